//! Standard error, written without blocking and without making it non-blocking for those who share it. Under systemd's
//! journal a line begins with its priority (`<6>`, sd-daemon(3)), else with the local time.

use super::sink::{Line, Output};
use crate::parts::diag::Failure;
use crate::sys::{Errno, Fd, fd, fs, poll, process};
use std::os::fd::{AsFd, BorrowedFd};

/// A pipe that polls as writable takes this much without blocking (pipe(7), PIPE_BUF).
const ATOMIC: usize = 4096;

/// Standard error.
pub struct Stderr {
    way: Way,
    journal: bool,
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

impl Stderr {
    /// `journal_stream` is the variable `JOURNAL_STREAM`, if set.
    pub fn new(journal_stream: Option<&[u8]>) -> Stderr {
        let kind = fs::stat(fd::STDERR, b"").map_or(fs::Kind::Unknown, |found| found.kind);
        let way = match kind {
            fs::Kind::File => Way::Plain,
            fs::Kind::Socket => Way::Socket,
            fs::Kind::Fifo | fs::Kind::Character => {
                fs::open(fs::CWD, b"/proc/self/fd/2", fs::Open::WriteNow).map_or(Way::Asking, Way::Own)
            }
            fs::Kind::Directory | fs::Kind::Symlink | fs::Kind::Block | fs::Kind::Unknown => Way::Asking,
        };
        Stderr { way, journal: journal_stream.is_some_and(|stream| process::is_journal(fd::STDERR, stream)) }
    }
}

impl Output for Stderr {
    fn format(&self, line: &Line<'_>) -> String {
        if self.journal { format!("<{}>{}: {}\n", line.priority(), line.logname, line.message) } else { line.dated() }
    }

    fn open(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(match &self.way {
            Way::Own(fd) => fd.as_fd(),
            Way::Plain | Way::Socket | Way::Asking => fd::STDERR,
        })
    }

    fn write(&mut self, bytes: &[u8], _: &mut Option<Failure>) -> Result<usize, Errno> {
        match &self.way {
            Way::Plain => fd::write(fd::STDERR, bytes),
            Way::Own(fd) => fd::write(fd.as_fd(), bytes),
            Way::Socket => fd::send_now(fd::STDERR, bytes),
            Way::Asking if !poll::writable_now(fd::STDERR) => Err(Errno::EAGAIN),
            Way::Asking => fd::write(fd::STDERR, bytes.get(..ATOMIC).unwrap_or(bytes)),
        }
    }
}
