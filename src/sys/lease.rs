//! Read leases (fcntl(2), F_SETLEASE): whether somebody has a file open for writing.

use super::fs::{self, Open};
use super::{Errno, gate};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Whether a regular file is open for writing by anybody. A lease is taken and dropped at once; the kernel refuses it
/// (EAGAIN) where there is a writer. `None` where it cannot be told: another user's file without CAP_LEASE, a file system
/// without leases, no permission to read. For the moment of the lease, others who open the file for writing with O_NONBLOCK
/// get EAGAIN.
pub fn is_open(dir: BorrowedFd<'_>, name: &[u8]) -> Option<bool> {
    let file = fs::open(dir, name, Open::Read).ok()?;
    let raw = file.as_fd().as_raw_fd();
    // SAFETY: takes numbers only. A lease that somebody breaks sends SIGIO, which is blocked.
    match gate::call("fcntl", || unsafe { libc::fcntl(raw, libc::F_SETLEASE, libc::F_RDLCK) }) {
        // The only descriptor is closed here, which drops it.
        Ok(_) => Some(false),
        Err(Errno::EAGAIN) => (!fs::refuses_leases(file.as_fd())).then_some(true),
        Err(_) => None,
    }
}

/// The same; where it cannot be told, the answer is no.
pub fn is_written_to(dir: BorrowedFd<'_>, name: &[u8]) -> bool {
    is_open(dir, name) == Some(true)
}
