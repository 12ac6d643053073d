//! Pid files: a lock on one says that its owner lives, and who that is; its text is for other programs, and nobody here
//! believes it.
//!
//! The lock is a POSIX one: the kernel tells its holder's pid, and drops it when the holder ends, or closes any descriptor
//! of the file. So whoever holds one opens that file never again.

use super::diag::Failure;
use crate::sys::fs::{self, CWD, Kind, Open, Stat};
use crate::sys::lock::{self, Holder};
use crate::sys::{Errno, Fd, change, fd, process};
use std::os::fd::{AsFd, BorrowedFd};

/// A locked pid file; it is taken away, while it is still locked, when this is dropped.
pub struct Lockfile {
    file: Fd,
    path: Vec<u8>,
    found: Stat,
}

/// Why there is no lock.
pub enum Refused {
    /// Another process has it.
    Held(Failure),
    /// The file cannot be made, locked or written to, or must not be.
    Failed(Failure),
}

/// Locks a pid file, by its absolute path, and writes our pid into it. What others may have put in its place is refused.
pub fn take(path: &[u8]) -> Result<Lockfile, Refused> {
    let failed = |errno| Refused::Failed(Failure::on_path("lock", path, errno));
    let not_safe = |what: &str| Refused::Failed(Failure::on_path("lock", path, what));
    loop {
        let file = match change::open_or_create(CWD, path, 0o644) {
            Err(Errno::ELOOP | Errno::EISDIR | Errno::ENXIO) => return Err(not_safe("it is no regular file")),
            opened => opened.map_err(failed)?,
        };
        let found = fs::stat(file.as_fd(), b"").map_err(failed)?;
        if found.kind != Kind::File {
            return Err(not_safe("it is no regular file"));
        }
        if found.links > 1 || found.uid != process::effective_uid() {
            return Err(not_safe("it is not ours alone: it has another name, or another owner"));
        }
        if let Some(holder) = lock::take(file.as_fd()).map_err(failed)? {
            let held = match holder {
                Holder::Process(pid) => format!("process {pid} holds it"),
                Holder::Elsewhere => "a process in another pid namespace holds it".to_owned(),
            };
            return Err(Refused::Held(Failure::on_path("lock", path, held)));
        }
        let lockfile = Lockfile { file, path: path.to_vec(), found };
        // Its holder may have ended, and have taken the name away, between the opening and the locking.
        if lockfile.is(CWD, path) {
            return lockfile.write_pid().map_err(failed).map(|()| lockfile);
        }
    }
}

/// Who holds the lock on a pid file; nobody does if it is not there.
pub fn holder(path: &[u8]) -> Result<Option<Holder>, Failure> {
    let found = match fs::open(CWD, path, Open::Read) {
        Ok(file) => lock::holder(file.as_fd()),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno),
    };
    found.map_err(|errno| Failure::on_path("look at", path, errno))
}

impl Lockfile {
    /// Its path.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// Whether this name is the locked file's: then it must not be opened.
    pub fn is(&self, dir: BorrowedFd<'_>, name: &[u8]) -> bool {
        let same = |found: Stat| (found.dev, found.ino) == (self.found.dev, self.found.ino);
        self.path.ends_with(name) && fs::stat(dir, name).is_ok_and(same)
    }

    fn write_pid(&self) -> Result<(), Errno> {
        change::truncate(self.file.as_fd())?;
        fd::write_all(self.file.as_fd(), format!("{}\n", process::id()).as_bytes())
    }
}

impl Drop for Lockfile {
    fn drop(&mut self) {
        if self.is(CWD, &self.path) {
            let _ = change::unlink(CWD, &self.path);
        }
    }
}

#[cfg(test)]
mod tests;
