//! inotify(7): one instance, raw records.

use super::{Errno, Fd, fd, fs, gate};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// A watch descriptor: the kernel's number for one watched inode of one instance, handed out cyclically.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Wd(pub i32);

impl Wd {
    /// What stands in a record that tells that the queue overflowed.
    pub const OVERFLOW: Wd = Wd(-1);
}

/// Event bits of inotify(7); bits that this program does not know are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Mask(pub u32);

impl Mask {
    /// What the record is about is a directory.
    pub const ISDIR: Mask = Mask(libc::IN_ISDIR);
    /// A file was accessed.
    pub const ACCESS: Mask = Mask(libc::IN_ACCESS);
    /// Metadata changed.
    pub const ATTRIB: Mask = Mask(libc::IN_ATTRIB);
    /// A file that was not open for writing was closed.
    pub const CLOSE_NOWRITE: Mask = Mask(libc::IN_CLOSE_NOWRITE);
    /// A file that was open for writing was closed.
    pub const CLOSE_WRITE: Mask = Mask(libc::IN_CLOSE_WRITE);
    /// A name appeared in a directory.
    pub const CREATE: Mask = Mask(libc::IN_CREATE);
    /// A name went from a directory.
    pub const DELETE: Mask = Mask(libc::IN_DELETE);
    /// The watched inode itself is gone.
    pub const DELETE_SELF: Mask = Mask(libc::IN_DELETE_SELF);
    /// A watch was removed.
    pub const IGNORED: Mask = Mask(libc::IN_IGNORED);
    /// A file was written to or truncated.
    pub const MODIFY: Mask = Mask(libc::IN_MODIFY);
    /// The watched inode itself was renamed.
    pub const MOVE_SELF: Mask = Mask(libc::IN_MOVE_SELF);
    /// A name was renamed away.
    pub const MOVED_FROM: Mask = Mask(libc::IN_MOVED_FROM);
    /// A name was renamed to here.
    pub const MOVED_TO: Mask = Mask(libc::IN_MOVED_TO);
    /// A file was opened.
    pub const OPEN: Mask = Mask(libc::IN_OPEN);
    /// The queue overflowed, and events are lost.
    pub const Q_OVERFLOW: Mask = Mask(libc::IN_Q_OVERFLOW);
    /// The file system was unmounted.
    pub const UNMOUNT: Mask = Mask(libc::IN_UNMOUNT);

    /// Whether any bit of `other` is set.
    pub fn any(self, other: Mask) -> bool {
        self.0 & other.0 != 0
    }

    /// Both together.
    pub const fn with(self, other: Mask) -> Mask {
        Mask(self.0 | other.0)
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mask({:#x})", self.0)
    }
}

/// One record of the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// Whose record it is.
    pub wd: Wd,
    /// What happened.
    pub mask: Mask,
    /// The same for both halves of a rename, else 0.
    pub cookie: u32,
    /// The name within the watched directory; empty where the record is about the watched inode itself.
    pub name: &'a [u8],
}

/// An inotify instance.
pub struct Inotify {
    fd: Fd,
}

/// Enough for 240 records at the least: one has at most 16 + 256 bytes.
pub const BUFFER: usize = 64 * 1024;

impl Inotify {
    /// A new instance; reads do not block.
    pub fn new() -> Result<Inotify, Errno> {
        // SAFETY: takes flags only.
        let raw = gate::call("inotify_init1", || unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) })?;
        Ok(Inotify { fd: Fd::new(raw) })
    }

    /// Watches the working directory. Paths are not taken: a swapped link would lead them astray, and they end at
    /// 4,095 bytes. An inode that is watched already keeps its wd, and gets `mask` added to its own: to replace a mask,
    /// the kernel clears it for a moment, and an event in that moment is lost (tried: one of 22,000 files). Only
    /// `narrow` replaces it, for where that does not matter.
    pub fn watch_here(&self, mask: Mask, narrow: bool) -> Result<Wd, Errno> {
        self.watch(b".", mask, narrow)
    }

    /// The same for a directory of this name in the working directory; a link is refused (ENOTDIR).
    pub fn watch(&self, name: &[u8], mask: Mask, narrow: bool) -> Result<Wd, Errno> {
        let add = if narrow { 0 } else { libc::IN_MASK_ADD };
        let mask = mask.0 | libc::IN_ONLYDIR | libc::IN_DONT_FOLLOW | libc::IN_EXCL_UNLINK | add;
        fs::terminated(name, |name| {
            // SAFETY: a live NUL-terminated string and a descriptor that is open.
            gate::call("inotify_add_watch", || unsafe {
                libc::inotify_add_watch(self.fd.as_fd().as_raw_fd(), name.as_ptr(), mask)
            })
        })
        .map(Wd)
    }

    /// Ends a watch; its IN_IGNORED comes through the queue. EINVAL where the kernel has ended it already.
    pub fn unwatch(&self, wd: Wd) -> Result<(), Errno> {
        // SAFETY: takes numbers only.
        gate::call("inotify_rm_watch", || unsafe { libc::inotify_rm_watch(self.fd.as_fd().as_raw_fd(), wd.0) })
            .map(drop)
    }

    /// How many bytes of records wait in the queue (FIONREAD, inotify(7)).
    pub fn queued(&self) -> Result<usize, Errno> {
        let mut bytes: libc::c_int = 0;
        // SAFETY: FIONREAD writes one int.
        gate::call("ioctl", || unsafe { libc::ioctl(self.fd.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut bytes) })?;
        Ok(usize::try_from(bytes).unwrap_or(0))
    }

    /// Reads what the queue holds, up to the buffer's length; no records where it is empty.
    pub fn read<'b>(&self, buffer: &'b mut [u8]) -> Result<Records<'b>, Errno> {
        match fd::read(self.fd.as_fd(), buffer) {
            #[cfg(feature = "fault")]
            Ok(len) if len > 0 && gate::is_lost_read() => Ok(overflowed(buffer)),
            Ok(len) => Ok(Records { rest: buffer.get(..len).unwrap_or_default() }),
            Err(Errno::EAGAIN) => Ok(Records { rest: &[] }),
            Err(errno) => Err(errno),
        }
    }
}

/// What the kernel says when its queue was full, instead of what was read.
#[cfg(feature = "fault")]
fn overflowed(buffer: &mut [u8]) -> Records<'_> {
    let words = [Wd::OVERFLOW.0 as u32, Mask::Q_OVERFLOW.0, 0, 0];
    let len = size_of_val(&words);
    for (place, byte) in buffer.iter_mut().zip(words.iter().flat_map(|word| word.to_ne_bytes())) {
        *place = byte;
    }
    Records { rest: buffer.get(..len).unwrap_or_default() }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The records of one read, in the kernel's order. Whatever the bytes are, iterating ends and stays within them.
#[derive(Clone, Debug)]
pub struct Records<'b> {
    rest: &'b [u8],
}

impl<'b> Records<'b> {
    /// Records from bytes as the kernel lays them out (inotify(7), "Reading events").
    #[cfg(test)]
    pub fn new(bytes: &'b [u8]) -> Records<'b> {
        Records { rest: bytes }
    }

    /// How many bytes are left.
    pub fn len(&self) -> usize {
        self.rest.len()
    }
}

impl<'b> Iterator for Records<'b> {
    type Item = Record<'b>;

    fn next(&mut self) -> Option<Record<'b>> {
        let (header, rest) = self.rest.split_at_checked(16)?;
        let word = |at: usize| Some(u32::from_ne_bytes(*header.get(at..at + 4)?.first_chunk()?));
        let (name, rest) = rest.split_at_checked(usize::try_from(word(12)?).ok()?)?;
        self.rest = rest;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        Some(Record { wd: Wd(word(0)? as i32), mask: Mask(word(4)?), cookie: word(8)?, name: name.get(..end)? })
    }
}
