//! Changing directories and files by descriptor: openat(2) that creates, renameat(2), unlinkat(2), mkdirat(2), fchmod(2),
//! ftruncate(2), fsync(2).

use super::fs::terminated;
use super::{Errno, Fd, gate};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Creates a regular file to write to. EEXIST where the name is taken, also by a link that leads nowhere.
pub fn create(at: BorrowedFd<'_>, path: &[u8], mode: u32) -> Result<Fd, Errno> {
    terminated(path, |path| open(at, path, libc::O_WRONLY | libc::O_EXCL, mode))
}

/// Opens a file to read and write, and creates it where there is none. A link as last component is refused (ELOOP), and a
/// FIFO or device does not make it wait.
pub fn open_or_create(at: BorrowedFd<'_>, path: &[u8], mode: u32) -> Result<Fd, Errno> {
    terminated(path, |path| open(at, path, libc::O_RDWR | libc::O_NONBLOCK, mode))
}

/// Opens a file to append to, and creates it where there is none. A link as last component is refused (ELOOP), and nothing
/// makes it wait: ENXIO for a FIFO that nobody reads.
pub fn append(at: BorrowedFd<'_>, path: &[u8], mode: u32) -> Result<Fd, Errno> {
    let how = libc::O_WRONLY | libc::O_APPEND | libc::O_NONBLOCK | libc::O_LARGEFILE;
    terminated(path, |path| open(at, path, how, mode))
}

fn open(at: BorrowedFd<'_>, path: &CStr, how: libc::c_int, mode: u32) -> Result<Fd, Errno> {
    let flags = how | libc::O_CREAT | libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NOCTTY;
    // SAFETY: a live NUL-terminated string, and the mode that O_CREAT needs.
    gate::call("openat", || unsafe { libc::openat(at.as_raw_fd(), path.as_ptr(), flags, mode) }).map(Fd::new)
}

/// Gives a file another name in the same directory, in place of what has that name.
pub fn rename(at: BorrowedFd<'_>, from: &[u8], to: &[u8]) -> Result<(), Errno> {
    let raw = at.as_raw_fd();
    terminated(from, |from| {
        // SAFETY: two live NUL-terminated strings.
        terminated(to, |to| gate::call("renameat", || unsafe { libc::renameat(raw, from.as_ptr(), raw, to.as_ptr()) }))
    })
    .map(drop)
}

/// Takes a name away that is no directory's.
pub fn unlink(at: BorrowedFd<'_>, path: &[u8]) -> Result<(), Errno> {
    // SAFETY: a live NUL-terminated string.
    terminated(path, |path| gate::call("unlinkat", || unsafe { libc::unlinkat(at.as_raw_fd(), path.as_ptr(), 0) }))
        .map(drop)
}

/// Makes a directory; `mode` less the umask.
pub fn make_dir(at: BorrowedFd<'_>, path: &[u8], mode: u32) -> Result<(), Errno> {
    // SAFETY: a live NUL-terminated string.
    terminated(path, |path| gate::call("mkdirat", || unsafe { libc::mkdirat(at.as_raw_fd(), path.as_ptr(), mode) }))
        .map(drop)
}

/// Sets permission bits, whatever the umask is.
pub fn set_mode(file: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    gate::call("fchmod", || unsafe { libc::fchmod(file.as_raw_fd(), mode) }).map(drop)
}

/// Makes a file empty.
pub fn truncate(file: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    gate::call("ftruncate", || unsafe { libc::ftruncate(file.as_raw_fd(), 0) }).map(drop)
}

/// Waits until a file's data, or a directory's names, are on disk. A directory has to be open for reading.
pub fn sync(file: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    gate::call("fsync", || unsafe { libc::fsync(file.as_raw_fd()) }).map(drop)
}

/// Whether names may be made and taken away in this directory (faccessat(2)): EACCES, EROFS.
pub fn may_change(dir: BorrowedFd<'_>) -> Result<(), Errno> {
    let mode = libc::W_OK | libc::X_OK;
    // By number, for musl's function may fork. It asks for the real user, who is the effective one here.
    // SAFETY: a NUL-terminated constant and numbers.
    gate::call("faccessat", || unsafe { libc::syscall(libc::SYS_faccessat, dir.as_raw_fd(), c".".as_ptr(), mode) })
        .map(drop)
}
