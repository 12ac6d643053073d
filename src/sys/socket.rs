//! Unix sockets, as a client, and pairs of them that carry packets (unix(7)).

use super::{Errno, Fd, gate};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Whether a call waits: for room, or for something to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// As long as it takes.
    Yes,
    /// EAGAIN instead.
    No,
}

impl Wait {
    fn flag(self) -> libc::c_int {
        if self == Wait::No { libc::MSG_DONTWAIT } else { 0 }
    }
}

/// Two connected sockets of type SOCK_SEQPACKET: what is sent as one is received as one.
pub fn pair() -> Result<(Fd, Fd), Errno> {
    let mut ends = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: the kernel writes two descriptors into our array.
    gate::call("socketpair", || unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) })?;
    Ok((Fd::new(ends[0]), Fd::new(ends[1])))
}

/// Sends one packet, whole or not at all; EPIPE where the other end is closed.
pub fn send(socket: BorrowedFd<'_>, packet: &[u8], wait: Wait) -> Result<(), Errno> {
    let flags = wait.flag() | libc::MSG_NOSIGNAL;
    // SAFETY: bytes and length are those of a live slice.
    gate::call("sendto", || unsafe { libc::send(socket.as_raw_fd(), packet.as_ptr().cast(), packet.len(), flags) })
        .map(drop)
}

/// Receives one packet; 0 is the end. EMSGSIZE for one that is longer than the buffer: it is gone then.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], wait: Wait) -> Result<usize, Errno> {
    // With MSG_TRUNC the answer is the packet's length, also where that is more than fits.
    let flags = wait.flag() | libc::MSG_TRUNC;
    // SAFETY: at most buffer.len() bytes are written into a buffer that is borrowed mutably for the call.
    let length = gate::call("recvfrom", || unsafe {
        libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), flags)
    })?;
    usize::try_from(length).ok().filter(|length| *length <= buffer.len()).ok_or(Errno::EMSGSIZE)
}

/// How bytes travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Each message whole, or not at all.
    Datagram,
    /// One after the other.
    Stream,
}

/// The longest path of a socket in bytes: `sun_path` with a NUL at its end.
pub const LONGEST_PATH: usize = 107;

/// Sends one datagram to a socket, without waiting for room. `address` is a path, or begins with `@`: then it is the name
/// of an abstract socket. EINVAL where it is too long.
pub fn send_to(address: &[u8], bytes: &[u8]) -> Result<(), Errno> {
    let socket = socket(Kind::Datagram)?;
    let (name, len) = name(address)?;
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: bytes and length are those of a live slice; so are the address and its length, which is at most its size.
    gate::call("sendto", || unsafe {
        let (socket, to) = (socket.as_fd().as_raw_fd(), (&raw const name).cast());
        libc::sendto(socket, bytes.as_ptr().cast(), bytes.len(), flags, to, len)
    })
    .map(drop)
}

/// A socket that is connected to that of this address, non-blocking. EPROTOTYPE: that one is of the other kind;
/// ECONNREFUSED: nobody serves it; EAGAIN: a stream's server has not accepted earlier ones yet.
pub fn connect(address: &[u8], kind: Kind) -> Result<Fd, Errno> {
    let socket = socket(kind)?;
    let (name, len) = name(address)?;
    // SAFETY: a live address and its length, which is at most its size.
    gate::call("connect", || unsafe { libc::connect(socket.as_fd().as_raw_fd(), (&raw const name).cast(), len) })?;
    Ok(socket)
}

fn socket(kind: Kind) -> Result<Fd, Errno> {
    let kind = match kind {
        Kind::Datagram => libc::SOCK_DGRAM,
        Kind::Stream => libc::SOCK_STREAM,
    };
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes numbers only.
    gate::call("socket", || unsafe { libc::socket(libc::AF_UNIX, kind | flags, 0) }).map(Fd::new)
}

/// An address with its length.
fn name(address: &[u8]) -> Result<(libc::sockaddr_un, libc::socklen_t), Errno> {
    // SAFETY: all bytes zero is a valid value.
    let mut name: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    name.sun_family = libc::AF_UNIX as _;
    // A path needs its NUL; an abstract name is exactly as long as is said.
    if address.len() + usize::from(!address.starts_with(b"@")) > name.sun_path.len() {
        return Err(Errno::EINVAL);
    }
    name.sun_path.iter_mut().zip(address).for_each(|(place, byte)| *place = *byte as _);
    if let Some(first) = name.sun_path.first_mut().filter(|_| address.starts_with(b"@")) {
        *first = 0;
    }
    let len = std::mem::offset_of!(libc::sockaddr_un, sun_path) + address.len();
    Ok((name, len as libc::socklen_t))
}
