//! Locks on files: POSIX record locks (fcntl(2)), which tell who holds them, and flock(2), which belongs to the open file.

use super::{Errno, gate};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Who holds a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holder {
    /// A process, by its number in our pid namespace.
    Process(i32),
    /// A process that has no number here: it lives in another pid namespace (l_pid is 0), or on another machine.
    Elsewhere,
}

/// Takes a write lock on the whole file, or tells who has one. It is gone as soon as this process closes any descriptor
/// of the file, and is not inherited by children. The file has to be open for writing.
pub fn take(file: BorrowedFd<'_>) -> Result<Option<Holder>, Errno> {
    loop {
        let taken = call(file, libc::F_SETLK);
        // Either may be said (fcntl(2), F_SETLK).
        if !matches!(taken, Err(Errno::EAGAIN | Errno::EACCES)) {
            return taken.map(|_| None);
        }
        // If it is free by now, it is tried again.
        if let Some(holder) = holder(file)? {
            return Ok(Some(holder));
        }
    }
}

/// Who holds a lock on the file, this process excepted.
pub fn holder(file: BorrowedFd<'_>) -> Result<Option<Holder>, Errno> {
    let lock = call(file, libc::F_GETLK)?;
    Ok(match (i32::from(lock.l_type), lock.l_pid) {
        (libc::F_UNLCK, _) => None,
        (_, pid) if pid > 0 => Some(Holder::Process(pid)),
        _ => Some(Holder::Elsewhere),
    })
}

fn call(file: BorrowedFd<'_>, command: libc::c_int) -> Result<libc::flock, Errno> {
    // SAFETY: all bytes zero is a valid value: from the file's start to its end.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    (lock.l_type, lock.l_whence) = (libc::F_WRLCK as _, libc::SEEK_SET as _);
    // SAFETY: a live structure of the call's own type, which F_GETLK writes to.
    gate::call("fcntl", || unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) })?;
    Ok(lock)
}

/// Whether this open file could be marked as in use (flock(2)) at once; it is until it is closed. Where there are no such
/// locks, the answer is yes.
pub fn mark(file: BorrowedFd<'_>) -> bool {
    // SAFETY: takes numbers only.
    let marked = gate::call("flock", || unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) });
    marked != Err(Errno::EAGAIN)
}

/// Waits until nobody has this open file marked, and marks it.
pub fn wait(file: BorrowedFd<'_>) {
    // SAFETY: takes numbers only. Where there are no such locks, there is nothing to wait for.
    let _ = gate::call("flock", || unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) });
}
