//! Read leases (fcntl(2), F_SETLEASE): whether somebody has a file open for writing.

use super::fs::{self, Open};
use super::{Errno, gate};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Whether a regular file is open for writing by anybody. A lease is taken and dropped at once; the kernel refuses it
/// (EAGAIN) where there is a writer. Where it cannot be told (another user's file without CAP_LEASE, a file system
/// without leases, no permission to read), the answer is no. For the moment of the lease, others who open the file for
/// writing with O_NONBLOCK get EAGAIN.
pub fn is_written_to(dir: BorrowedFd<'_>, name: &[u8]) -> bool {
    let Ok(file) = fs::open(dir, name, Open::Read) else { return false };
    let raw = file.as_fd().as_raw_fd();
    // SAFETY: takes numbers only. A lease that somebody breaks sends SIGIO, which is blocked.
    let lease = |kind: libc::c_int| gate::call("fcntl", || unsafe { libc::fcntl(raw, libc::F_SETLEASE, kind) });
    let taken = lease(libc::F_RDLCK);
    if taken.is_ok() {
        // Closing the only descriptor would drop it too.
        let _ = lease(libc::F_UNLCK);
    }
    taken == Err(Errno::EAGAIN)
}
