//! Pid files: a lock on one says that its owner lives, and who that is; its text is for other programs, and is believed by
//! nobody here.
//!
//! The lock is a POSIX one (fcntl(2)): the kernel tells its holder's pid, and drops it when the holder ends, however that
//! comes about, or closes any descriptor of the file. So whoever holds one opens that file never again.

use super::diag::Failure;
use crate::sys::fs::{self, CWD, Kind, Open, Stat};
use crate::sys::lock::{self, Holder};
use crate::sys::{Errno, Fd, change, fd, process};
use std::os::fd::{AsFd, BorrowedFd};

/// A locked pid file.
pub struct Lockfile {
    file: Fd,
    path: Vec<u8>,
    found: Stat,
}

/// Why there is no lock.
pub enum Refused {
    /// Another process has it.
    Held(Failure),
    /// What is there must not be written to.
    Unsafe(Failure),
    /// The file cannot be made, locked or written.
    Failed(Failure),
}

/// Locks a pid file and writes our pid into it. `path` is absolute; a link as its last component is refused.
pub fn take(path: &[u8]) -> Result<Lockfile, Refused> {
    let failed = |errno| Refused::Failed(Failure::on_path("lock", path, errno));
    let not_safe = |reason: &str| Refused::Unsafe(Failure::on_path("lock", path, reason));
    loop {
        let file = match change::open_or_create(CWD, path, 0o644) {
            Err(Errno::ELOOP | Errno::EISDIR | Errno::ENXIO) => return Err(not_safe("it is no regular file")),
            opened => opened.map_err(failed)?,
        };
        let found = fs::stat(file.as_fd(), b"").map_err(failed)?;
        if found.kind != Kind::File {
            return Err(not_safe("it is no regular file"));
        }
        // Where others may make names, they could have put one of another file of ours here.
        if found.links > 1 || found.uid != process::effective_uid() {
            return Err(not_safe("it is not ours alone: it has another name, or another owner"));
        }
        match lock::take(file.as_fd()).map_err(failed)? {
            Some(holder) => return Err(Refused::Held(Failure::on_path("lock", path, held(holder)))),
            // Its holder may have ended, and have taken the name away, between the opening and the locking.
            None if !names(path, &found) => {}
            None => {
                let lockfile = Lockfile { file, path: path.to_vec(), found };
                return lockfile.write_pid().map_err(failed).map(|()| lockfile);
            }
        }
    }
}

/// Who holds the lock on a pid file; nobody does if it is not there.
pub fn holder(path: &[u8]) -> Result<Option<Holder>, Failure> {
    let fail = |errno| Failure::on_path("look at", path, errno);
    match fs::open(CWD, path, Open::Read) {
        Ok(file) => lock::holder(file.as_fd()).map_err(fail),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(fail(errno)),
    }
}

impl Lockfile {
    fn write_pid(&self) -> Result<(), Errno> {
        change::truncate(self.file.as_fd())?;
        fd::write_all(self.file.as_fd(), format!("{}\n", process::own_id()).as_bytes())
    }

    /// Whether this name is the locked file's: then it must not be opened.
    pub fn is(&self, dir: BorrowedFd<'_>, name: &[u8]) -> bool {
        self.path.ends_with(name) && fs::stat(dir, name).is_ok_and(|found| same(&found, &self.found))
    }
}

impl Drop for Lockfile {
    /// Takes the file away while it is still locked, if it is still there.
    fn drop(&mut self) {
        if names(&self.path, &self.found) {
            let _ = change::unlink(CWD, &self.path);
        }
    }
}

fn held(holder: Holder) -> String {
    match holder {
        Holder::Process(pid) => format!("process {pid} holds it"),
        Holder::Elsewhere => "a process in another pid namespace holds it".to_owned(),
    }
}

fn names(path: &[u8], file: &Stat) -> bool {
    fs::stat(CWD, path).is_ok_and(|found| same(&found, file))
}

fn same(one: &Stat, other: &Stat) -> bool {
    (one.dev, one.ino) == (other.dev, other.ino)
}

#[cfg(test)]
mod tests;
