//! Mounts: one over a watched directory raises no inotify event, but /proc/self/mountinfo does (POLLPRI, proc(5)).

use super::Daemon;
use crate::parts::diag::Failure;
use crate::parts::log::Level;
use crate::sys::fs::{self, CWD, Open};
use crate::sys::{Errno, Fd};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};

const MOUNTINFO: &[u8] = b"/proc/self/mountinfo";

/// More mounts than that are not looked at: every mount is a line of about 100 bytes.
const MOST: usize = 16 << 20;

/// Its id and its mount point.
type Mount = (Vec<u8>, Vec<u8>);

/// The mount table, as it was read last. Without /proc there is none.
#[derive(Default)]
pub struct Mounts {
    file: Option<Fd>,
    known: BTreeSet<Mount>,
    /// It is to be read again.
    pub changed: bool,
}

impl Mounts {
    fn open() -> Result<Mounts, Failure> {
        let fail =
            |errno| Failure::on_path("read", MOUNTINFO, errno).hint("it is not noticed what is mounted or unmounted");
        // Before it is read: what changes after that is told.
        let file = fs::open(CWD, MOUNTINFO, Open::ReadFollowing).map_err(fail)?;
        Ok(Mounts { file: Some(file), known: read().map_err(fail)?, changed: false })
    }

    /// What to wait for, by POLLPRI.
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(Fd::as_fd)
    }
}

impl Daemon {
    /// From now on it is noticed what is mounted and unmounted.
    pub fn open_mounts(&mut self) {
        match Mounts::open() {
            Ok(mounts) => self.mounts = mounts,
            Err(failure) => self.say(Level::Warning, format_args!("{failure}")),
        }
    }

    /// Tells the engine what mount points have gone and have come. What fails is tried again.
    pub fn look_at_mounts(&mut self) -> Result<(), Failure> {
        if !self.mounts.changed {
            return Ok(());
        }
        let new = read().map_err(|errno| Failure::on_path("read", MOUNTINFO, errno))?;
        let before = std::mem::replace(&mut self.mounts.known, new);
        self.mounts.changed = false;
        let points = |(_, point): &Mount| point.clone();
        let gone: Vec<_> = before.difference(&self.mounts.known).map(points).collect();
        let come: Vec<_> = self.mounts.known.difference(&before).map(points).collect();
        self.engine.watches.mounted(&come);
        self.engine.feed(self.now, |watches, sink| watches.unmounted(&gone, sink));
        Ok(())
    }
}

fn read() -> Result<BTreeSet<Mount>, Errno> {
    let text = fs::read(CWD, MOUNTINFO, Open::ReadFollowing, MOST)?;
    Ok(text.split(|byte| *byte == b'\n').filter_map(mount_of).collect())
}

/// `36 35 98:0 /root /mount/point options…`; blanks in paths are written as `\040`.
fn mount_of(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let (id, point) = (fields.next()?, fields.nth(3)?);
    let mut path = Vec::new();
    let mut rest = point;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| *first == b'\\');
        let byte = octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        path.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    Some((id.to_vec(), path))
}

#[cfg(test)]
mod tests;
