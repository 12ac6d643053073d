//! Directory entries by getdents64(2), a buffer at a time, so that a large directory can be read in slices.

use super::fs::{Kind, kind_of_mode};
use super::{Errno, gate};
use std::os::fd::{AsRawFd, BorrowedFd};

/// One entry; `.` and `..` are left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// The name, any bytes but `/` and NUL.
    pub name: &'a [u8],
    /// The kind that the directory tells; [`Kind::Unknown`] where the file system does not.
    pub kind: Kind,
}

/// Reads a directory a buffer at a time.
pub struct Reader {
    // u64 words, for the kernel aligns its records to 8.
    buffer: Vec<u64>,
    filled: usize,
}

/// 32 KiB holds about 1,000 entries; what glibc's readdir(3) uses.
const WORDS: usize = 32 * 1024 / 8;
/// `d_ino`, `d_off`, `d_reclen` and `d_type` come before the name (getdents(2)).
const NAME_AT: usize = 19;

impl Reader {
    /// A reader, which gets its buffer when it is first used.
    pub fn new() -> Reader {
        Reader { buffer: Vec::new(), filled: 0 }
    }

    /// Reads the next entries of `dir`; false at the end. The descriptor keeps the place.
    pub fn fill(&mut self, dir: BorrowedFd<'_>) -> Result<bool, Errno> {
        self.buffer.resize(WORDS, 0);
        let buffer = self.buffer.as_mut_ptr();
        let len = WORDS * 8;
        self.filled = 0;
        // SAFETY: the kernel writes at most `len` bytes into a buffer of WORDS words that `self` owns.
        self.filled = gate::sized("getdents64", len, |len| unsafe {
            libc::syscall(libc::SYS_getdents64, dir.as_raw_fd(), buffer, len) as isize
        })?;
        Ok(self.filled > 0)
    }

    /// The entries that the last [`Reader::fill`] brought.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        // SAFETY: u64 words are readable as bytes; length and lifetime are those of the buffer.
        let bytes = unsafe { std::slice::from_raw_parts(self.buffer.as_ptr().cast::<u8>(), self.buffer.len() * 8) };
        Records { rest: bytes.get(..self.filled).unwrap_or_default() }
            .filter(|entry| entry.name != b"." && entry.name != b"..")
    }
}

struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (&[low, high], &kind) = (self.rest.get(16..18)?.first_chunk()?, self.rest.get(18)?);
        let (record, rest) = self.rest.split_at_checked(usize::from(u16::from_ne_bytes([low, high])))?;
        self.rest = rest;
        let name = record.get(NAME_AT..)?;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        Some(Entry { name: name.get(..end)?, kind: kind_of_mode(u32::from(kind) << 12) })
    }
}
