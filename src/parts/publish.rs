//! The one way in which a file that others read comes into being: written under a temporary name in the same directory,
//! synced, and renamed. Whoever looks sees the old file or the new one, whole, also after a kill or a power cut.
//!
//! The temporary name is derived from the final one, so that whoever publishes it again after a kill finds what was left
//! there, and takes it away. A mark (flock(2)) on the open file tells a leftover from what somebody is still writing.

use super::diag::Failure;
use crate::sys::fs::{self, Open};
use crate::sys::{Errno, Fd, change, fd, lock};
use std::os::fd::{AsFd, BorrowedFd};

/// Where a file is to stand.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// An open directory, not by O_PATH.
    pub dir: BorrowedFd<'a>,
    /// Its path, for messages only.
    pub dir_path: &'a [u8],
    /// The name in it.
    pub name: &'a [u8],
}

/// A file that nobody sees under its name yet. If it is dropped unfinished, it is gone.
pub struct Draft<'a> {
    target: Target<'a>,
    temporary: Vec<u8>,
    /// `None` once it has its final name.
    file: Option<Fd>,
}

/// Publishes these bytes with this mode (permission bits, whatever the umask is).
pub fn bytes(target: Target<'_>, mode: u32, bytes: &[u8]) -> Result<(), Failure> {
    let draft = Draft::begin(target)?;
    if let Some(file) = draft.file() {
        fd::write_all(file, bytes).map_err(|errno| target.failure(errno))?;
    }
    draft.finish(mode)
}

impl Target<'_> {
    /// That this file could not be written, and why.
    pub fn failure(&self, reason: Errno) -> Failure {
        Failure::on_path("write", &[self.dir_path, b"/", self.name].concat(), reason)
    }
}

impl<'a> Draft<'a> {
    /// An empty file under the temporary name, which only we may read. It fails with EEXIST if another process is writing
    /// the same file at this moment.
    pub fn begin(target: Target<'a>) -> Result<Draft<'a>, Failure> {
        let fail = |errno| target.failure(errno);
        let temporary = temporary_name(target.name);
        let file = match change::create(target.dir, &temporary, 0o600) {
            Err(Errno::EEXIST) => {
                remove_leftover(target.dir, &temporary).map_err(fail)?;
                change::create(target.dir, &temporary, 0o600)
            }
            created => created,
        };
        let file = file.map_err(fail)?;
        // In the moment before it is marked, another process can take it for a leftover.
        if !lock::mark(file.as_fd()) || fs::stat(file.as_fd(), b"").map_err(fail)?.links == 0 {
            return Err(fail(Errno::EEXIST));
        }
        Ok(Draft { target, temporary, file: Some(file) })
    }

    /// What to write to.
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(Fd::as_fd)
    }

    /// Gives it its mode and its name, in place of what has that name, once all of it is on disk. After an error the old
    /// file stands, but for the last step: then the new one does, though a power cut may still undo it.
    pub fn finish(mut self, mode: u32) -> Result<(), Failure> {
        let Some(file) = &self.file else { return Ok(()) };
        let Target { dir, name, .. } = self.target;
        let steps = || {
            change::set_mode(file.as_fd(), mode)?;
            change::sync(file.as_fd())?;
            change::rename(dir, &self.temporary, name)
        };
        steps().map_err(|errno| self.target.failure(errno))?;
        self.file = None;
        match change::sync(dir) {
            // Some file systems cannot do that for directories (fsync(2), EINVAL).
            Ok(()) | Err(Errno::EINVAL) => Ok(()),
            Err(errno) => Err(self.target.failure(errno).hint("it is written, but a power cut may undo that")),
        }
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if self.file.is_some() {
            // What failed before is told, and what is left here will be taken away by the next one.
            let _ = change::unlink(self.target.dir, &self.temporary);
        }
    }
}

/// Takes away what a process that was killed has left; EEXIST if it is still being written.
fn remove_leftover(dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    let leftover = fs::open(dir, name, Open::Read);
    if leftover.is_ok_and(|file| !lock::mark(file.as_fd())) {
        return Err(Errno::EEXIST);
    }
    change::unlink(dir, name)
}

/// `.dogwatch-` and a hash of the final name (FNV-1a, 64 bits): the same for all versions, and never too long.
fn temporary_name(name: &[u8]) -> Vec<u8> {
    let hash = name
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!(".dogwatch-{hash:016x}").into_bytes()
}

#[cfg(test)]
mod tests;
