//! Mounts: one over a watched directory raises no inotify event, but /proc/self/mountinfo does (POLLPRI, proc(5)).

use crate::sys::Fd;
use crate::sys::fd;
use crate::sys::fs::{self, CWD, Open};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};

const MOUNTINFO: &[u8] = b"/proc/self/mountinfo";

/// More mounts than that are not looked at: every mount is a line of about 100 bytes.
const MOST: usize = 16 << 20;

/// The mount table, as it was read last. Without /proc there is none.
pub struct Mounts {
    file: Option<Fd>,
    known: BTreeSet<(Vec<u8>, Vec<u8>)>,
}

impl Mounts {
    pub fn new() -> Mounts {
        let file = fs::open(CWD, MOUNTINFO, Open::ReadFollowing).ok();
        Mounts { file, known: read() }
    }

    /// What to wait for, by POLLPRI.
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(Fd::as_fd)
    }

    /// The mount points that have gone and those that have come since the last look.
    pub fn changed(&mut self) -> [Vec<Vec<u8>>; 2] {
        let before = std::mem::replace(&mut self.known, read());
        let points = |(_, point): &(Vec<u8>, Vec<u8>)| point.clone();
        [before.difference(&self.known).map(points).collect(), self.known.difference(&before).map(points).collect()]
    }
}

/// Each mount's id and mount point.
fn read() -> BTreeSet<(Vec<u8>, Vec<u8>)> {
    let file = fs::open(CWD, MOUNTINFO, Open::ReadFollowing);
    let text = file.and_then(|file| fd::read_all(file.as_fd(), MOST)).unwrap_or_default();
    text.split(|byte| *byte == b'\n').filter_map(mount_of).collect()
}

/// `36 35 98:0 /root /mount/point options…`; blanks in paths are written as `\040`.
fn mount_of(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
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
