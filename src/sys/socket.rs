//! Unix datagrams (unix(7)).

use super::{Errno, Fd, gate};
use std::os::fd::{AsFd, AsRawFd};

/// Sends one datagram to a socket, without waiting for room. `address` is a path, or begins with `@`: then it is the name
/// of an abstract socket. EINVAL where it is too long.
pub fn send_to(address: &[u8], bytes: &[u8]) -> Result<(), Errno> {
    let flags = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    // SAFETY: takes numbers only.
    let socket = Fd::new(gate::call("socket", || unsafe { libc::socket(libc::AF_UNIX, flags, 0) })?);
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
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: bytes and length are those of a live slice; so are the address and its length, which is at most its size.
    gate::call("sendto", || unsafe {
        let (to, len) = ((&raw const name).cast(), len as libc::socklen_t);
        libc::sendto(socket.as_fd().as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags, to, len)
    })
    .map(drop)
}
