//! The bytes of a regular file into an empty one: shared where the file system can share them, else copied in the kernel,
//! else read and written. Holes stay holes.

use crate::sys::{Errno, change, copy};
use std::os::fd::BorrowedFd;

/// So many at once, so that progress is told.
const MOST_AT_ONCE: usize = 8 << 20;
const BUFFER: usize = 128 << 10;

/// Copies `size` bytes; EIO where there are fewer. `tell` hears of how many are done.
pub fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, size: u64, tell: &mut dyn FnMut(u64)) -> Result<(), Errno> {
    // Whatever keeps it from that: what counts is told by what comes next.
    if copy::clone(from, to).is_ok() {
        tell(size);
        return Ok(());
    }
    let mut copier = Copier { from, to, in_kernel: true, buffer: Vec::new() };
    let mut at = 0;
    while at < size {
        let (start, end) = match copy::next_data(from, at) {
            Ok(Some(start)) => (start, copy::next_hole(from, start)?.min(size)),
            Ok(None) => break,
            Err(Errno::EINVAL) => (at, size),
            Err(errno) => return Err(errno),
        };
        at = start;
        while at < end {
            match copier.some(at, end)? {
                0 => return Err(Errno::EIO),
                n => at += n,
            }
            tell(at);
        }
    }
    change::set_size(to, size)
}

struct Copier<'a> {
    from: BorrowedFd<'a>,
    to: BorrowedFd<'a>,
    in_kernel: bool,
    buffer: Vec<u8>,
}

impl Copier<'_> {
    /// Copies some bytes; the answer is how many, 0 at the end of the file.
    fn some(&mut self, at: u64, end: u64) -> Result<u64, Errno> {
        let left = usize::try_from(end - at).unwrap_or(usize::MAX).min(MOST_AT_ONCE);
        if self.in_kernel {
            match copy::range(self.from, self.to, at, left) {
                // Files that are made up as they are read (proc(5)) say that they are at their end.
                Ok(0) | Err(_) => self.in_kernel = false,
                Ok(n) => return Ok(n as u64),
            }
        }
        self.buffer.resize(BUFFER, 0);
        let room = self.buffer.get_mut(..left.min(BUFFER)).unwrap_or_default();
        let n = copy::read_at(self.from, room, at)?;
        copy::write_at(self.to, room.get(..n).unwrap_or_default(), at)?;
        Ok(n as u64)
    }
}
