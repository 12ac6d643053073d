//! Owned descriptors, and reading and writing through them.

use super::{Errno, fs, gate};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// An owned descriptor; closed through the gate when it is dropped.
#[derive(Debug)]
pub struct Fd(RawFd);

/// Standard output.
pub const STDOUT: BorrowedFd<'static> = standard(libc::STDOUT_FILENO);
/// Standard error.
pub const STDERR: BorrowedFd<'static> = standard(libc::STDERR_FILENO);

const fn standard(raw: RawFd) -> BorrowedFd<'static> {
    // SAFETY: `ensure_standard` opens 0, 1 and 2 before anything else, and nothing of dogwatch closes them.
    unsafe { BorrowedFd::borrow_raw(raw) }
}

impl Fd {
    /// Takes ownership of what a system call has just handed out.
    pub(super) fn new(raw: RawFd) -> Fd {
        Fd(raw)
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours alone and is not used after this. An error of close(2) is not reported: what
        // must be on disk has been fsynced before; and the descriptor is gone in any case (close(2), NOTES).
        let _ = gate::once("close", || unsafe { libc::close(self.0) });
    }
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: open as long as `self` lives.
        unsafe { BorrowedFd::borrow_raw(self.0) }
    }
}

/// Reads what is there into `buffer`; 0 is the end.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: at most `len` <= buffer.len() bytes are written into a buffer that is borrowed mutably for the call.
    gate::sized("read", buffer.len(), |len| unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), len) })
}

/// Reads what the kernel hands out whole or not at all: a signal, a timer's count.
pub fn read_whole(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<(), Errno> {
    // SAFETY: as many bytes as the buffer has are written into it, at most; it is borrowed mutably for the call.
    gate::call("read", || unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) }).map(drop)
}

/// Reads to the end; EFBIG where that is more than `most` bytes.
pub fn read_all(fd: BorrowedFd<'_>, most: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let n = read(fd, &mut buffer)?;
        bytes.extend_from_slice(buffer.get(..n).unwrap_or_default());
        match n {
            0 => return Ok(bytes),
            _ if bytes.len() > most => return Err(Errno(libc::EFBIG)),
            _ => {}
        }
    }
}

/// Writes once; the answer is how much was taken.
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: at most `len` <= bytes.len() bytes are read from a live slice.
    gate::sized("write", bytes.len(), |len| unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), len) })
}

/// Writes once to a socket without ever blocking, whatever its file status flags; a closed peer gives EPIPE.
pub fn send_now(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: at most `len` <= bytes.len() bytes are read from a live slice.
    gate::sized("sendto", bytes.len(), |len| unsafe { libc::send(fd.as_raw_fd(), bytes.as_ptr().cast(), len, flags) })
}

/// Writes everything, or says why not.
pub fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match write(fd, bytes)? {
            0 => return Err(Errno(libc::EIO)),
            n => bytes = bytes.get(n..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// Whether it is a terminal.
pub fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: isatty takes no pointer. It answers 1 or 0.
    gate::call("ioctl", || unsafe { libc::isatty(fd.as_raw_fd()) } - 1).is_ok()
}

/// Opens /dev/null at each of 0, 1 and 2 that is closed, so that no file of ours is ever taken for standard error.
pub fn ensure_standard() -> Result<(), Errno> {
    for raw in libc::STDIN_FILENO..=libc::STDERR_FILENO {
        // SAFETY: F_GETFD takes no argument and changes nothing.
        if gate::call("fcntl", || unsafe { libc::fcntl(raw, libc::F_GETFD) }).is_err() {
            // The lowest free number is `raw` itself, for those below are open by now.
            // SAFETY: the path is a NUL-terminated constant.
            gate::call("openat", || unsafe { libc::openat(libc::AT_FDCWD, c"/dev/null".as_ptr(), libc::O_RDWR) })?;
        }
    }
    Ok(())
}

/// Puts /dev/null in the place of standard input, output and error.
pub fn silence_standard() -> Result<(), Errno> {
    let null = fs::open(fs::CWD, b"/dev/null", fs::Open::ReadWriteFollowing)?;
    for raw in libc::STDIN_FILENO..=libc::STDERR_FILENO {
        // SAFETY: takes numbers only; the three are closed by nobody else, and are open again when it returns.
        gate::call("dup3", || unsafe { libc::dup3(null.as_fd().as_raw_fd(), raw, 0) })?;
    }
    Ok(())
}

/// A pipe's ends, to read from and to write to.
pub fn pipe() -> Result<(Fd, Fd), Errno> {
    let mut ends = [-1; 2];
    // SAFETY: the kernel writes two descriptors into our array.
    gate::call("pipe2", || unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    Ok((Fd(ends[0]), Fd(ends[1])))
}

/// Makes reads, or writes, of whoever shares this open file description never block.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: sets the status flags of a descriptor that is open; a pipe's end has no others to keep.
    gate::call("fcntl", || unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) }).map(drop)
}

/// A descriptor above 2 that dogwatch was started with, by its number; EBADF where there is none. It must be asked for
/// before anything else is opened, and once.
pub fn inherited(raw: RawFd) -> Result<Fd, Errno> {
    if raw <= libc::STDERR_FILENO {
        return Err(Errno(libc::EBADF));
    }
    // SAFETY: F_SETFD takes a number; EBADF where nothing is open.
    gate::call("fcntl", || unsafe { libc::fcntl(raw, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(Fd(raw))
}

/// Closes what dogwatch was started with above 2, but for `keep`, before anything else is opened: whoever waits for the end
/// of a pipe must not wait for a daemon in the background. (Before Linux 5.9 it does.)
pub fn close_inherited(keep: Option<&Fd>) {
    let kept = keep.map_or(libc::STDERR_FILENO, |fd| fd.0);
    for (first, last) in [(libc::STDERR_FILENO + 1, kept - 1), (kept + 1, RawFd::MAX)] {
        // SAFETY: takes numbers only, of descriptors that nobody owns yet. EINVAL for a range with nothing in it.
        let _ = gate::call("close_range", || unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) });
    }
}

/// Keeps what dogwatch was started with above 2 from leaking into the commands that it starts: close_range(2) where
/// the kernel has CLOSE_RANGE_CLOEXEC (5.11), else one descriptor of /proc/self/fd after the other.
pub fn cloexec_inherited() {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 1 << 2;
    // SAFETY: takes numbers only, and changes nothing but a flag.
    let range = gate::call("close_range", || unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC)
    });
    if range.is_ok() {
        return;
    }
    let Ok(listing) = fs::open(fs::CWD, b"/proc/self/fd", fs::Open::Directory) else { return };
    let mut dir = super::dir::Reader::new();
    while let Ok(true) = dir.fill(listing.as_fd()) {
        for entry in dir.entries() {
            let number = std::str::from_utf8(entry.name).ok().and_then(|name| name.parse::<RawFd>().ok());
            if let Some(raw) = number.filter(|raw| *raw > libc::STDERR_FILENO) {
                // SAFETY: sets a flag on a number; EBADF where it is closed by now.
                let _ = gate::call("fcntl", || unsafe { libc::fcntl(raw, libc::F_SETFD, libc::FD_CLOEXEC) });
            }
        }
    }
}
