//! Standard output and standard error, written without blocking, and without making them non-blocking for those who share
//! them.

use crate::sys::{Errno, Fd, fd, fs, poll};
use std::os::fd::{AsFd, BorrowedFd};

/// A pipe that polls as writable takes this much without blocking (pipe(7), PIPE_BUF).
const ATOMIC: usize = 4096;

/// One of the two.
pub struct Stream {
    standard: BorrowedFd<'static>,
    way: Way,
}

enum Way {
    /// A file: writes do not block for want of a reader.
    Plain,
    /// An open file description of our own for the same pipe or terminal, non-blocking.
    Own(Fd),
    /// A socket: each write says for itself that it must not block.
    Socket,
    /// Where it cannot be opened again: ask, then write no more than surely fits.
    Asking,
}

impl Stream {
    /// Standard output.
    pub fn output() -> Stream {
        Stream::of(fd::STDOUT, b"/proc/self/fd/1")
    }

    /// Standard error.
    pub fn error() -> Stream {
        Stream::of(fd::STDERR, b"/proc/self/fd/2")
    }

    fn of(standard: BorrowedFd<'static>, path: &[u8]) -> Stream {
        let kind = fs::stat(standard, b"").map_or(fs::Kind::Unknown, |found| found.kind);
        let way = match kind {
            fs::Kind::File => Way::Plain,
            fs::Kind::Socket => Way::Socket,
            fs::Kind::Fifo | fs::Kind::Character => {
                fs::open(fs::CWD, path, fs::Open::WriteNow).map_or(Way::Asking, Way::Own)
            }
            fs::Kind::Directory | fs::Kind::Symlink | fs::Kind::Block | fs::Kind::Unknown => Way::Asking,
        };
        Stream { standard, way }
    }

    /// What to poll until it can be written to.
    pub fn fd(&self) -> BorrowedFd<'_> {
        match &self.way {
            Way::Own(fd) => fd.as_fd(),
            Way::Plain | Way::Socket | Way::Asking => self.standard,
        }
    }

    /// Writes what can be written at once; EAGAIN if that is nothing.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match &self.way {
            Way::Plain | Way::Own(_) => fd::write(self.fd(), bytes),
            Way::Socket => fd::send_now(self.standard, bytes),
            Way::Asking if !poll::writable_now(self.standard) => Err(Errno::EAGAIN),
            Way::Asking => fd::write(self.standard, bytes.get(..ATOMIC).unwrap_or(bytes)),
        }
    }
}
