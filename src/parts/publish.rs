//! The one way in which a file that others read comes into being: written under a temporary name in the same directory,
//! synced, and renamed. Whoever looks sees the old file or the new one, whole, also after a kill or a power cut.
//!
//! The temporary name is derived from the final one, so that whoever publishes that one again finds what a kill has left,
//! and takes it away. A mark on the open file (flock(2)) tells it from what somebody is still writing.

use super::diag::Failure;
use super::fnv;
use crate::sys::fs::{self, CWD, Open};
use crate::sys::{Errno, Fd, change, fd, lock};
use std::os::fd::{AsFd, BorrowedFd};

/// Where a file is to stand.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// A directory that is open for reading (not O_PATH).
    pub dir: BorrowedFd<'a>,
    /// Its path, for messages only.
    pub dir_path: &'a [u8],
    /// The name in it.
    pub name: &'a [u8],
}

/// A file that has not got its name yet. If it is dropped unfinished, it is gone.
pub struct Draft<'a> {
    target: Target<'a>,
    temporary: Vec<u8>,
    file: Fd,
    finished: bool,
}

/// Publishes these bytes under a name in the directory of this path, with permission bits that no umask changes.
pub fn bytes(dir_path: &[u8], name: &[u8], mode: u32, bytes: &[u8]) -> Result<(), Failure> {
    let dir = fs::open(CWD, dir_path, Open::Directory).map_err(|errno| Failure::on_path("open", dir_path, errno))?;
    let target = Target { dir: dir.as_fd(), dir_path, name };
    let draft = Draft::begin(target)?;
    fd::write_all(draft.file(), bytes).map_err(|errno| target.failure(errno))?;
    draft.finish(mode)
}

impl Target<'_> {
    /// That the file could not be written.
    pub fn failure(&self, reason: Errno) -> Failure {
        Failure::on_path("write", &[self.dir_path, b"/", self.name].concat(), reason)
    }
}

impl<'a> Draft<'a> {
    /// An empty file that only we may read; EEXIST if somebody is writing the same file at this moment.
    pub fn begin(target: Target<'a>) -> Result<Draft<'a>, Failure> {
        let temporary = temporary_name(target.name);
        let file = create(target.dir, &temporary).map_err(|errno| target.failure(errno))?;
        Ok(Draft { target, temporary, file, finished: false })
    }

    /// What to write to.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Gives it its mode, and once all of it is on disk, its name, in place of what has that name. After an error the old
    /// file stands, but for an error of the last step: then the new one does.
    pub fn finish(mut self, mode: u32) -> Result<(), Failure> {
        let Target { dir, name, .. } = self.target;
        let named = change::set_mode(self.file(), mode)
            .and_then(|()| change::sync(self.file()))
            .and_then(|()| change::rename(dir, &self.temporary, name));
        named.map_err(|errno| self.target.failure(errno))?;
        self.finished = true;
        match change::sync(dir) {
            // Some file systems cannot do that for directories (fsync(2)).
            Ok(()) | Err(Errno::EINVAL) => Ok(()),
            Err(errno) => Err(self.target.failure(errno).hint("it is there, but a power cut may undo that")),
        }
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // What failed before is told; what is left here, the next one takes away.
            let _ = change::unlink(self.target.dir, &self.temporary);
        }
    }
}

fn create(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Fd, Errno> {
    let file = match change::create(dir, name, 0o600) {
        Err(Errno::EEXIST) => {
            if fs::open(dir, name, Open::Read).is_ok_and(|leftover| !lock::mark(leftover.as_fd())) {
                return Err(Errno::EEXIST);
            }
            change::unlink(dir, name)?;
            change::create(dir, name, 0o600)?
        }
        created => created?,
    };
    // Before it is marked, another process can take it for a leftover.
    let is_ours = lock::mark(file.as_fd()) && !fs::stat(file.as_fd(), b"").is_ok_and(|found| found.links == 0);
    if is_ours { Ok(file) } else { Err(Errno::EEXIST) }
}

/// `.dogwatch-` and a hash of the final name (FNV-1a, 64 bits): the same in all versions, and never too long.
fn temporary_name(name: &[u8]) -> Vec<u8> {
    let hash = fnv::with(fnv::EMPTY, name);
    format!(".dogwatch-{hash:016x}").into_bytes()
}

#[cfg(test)]
mod tests;
