//! Standard error as a log. Under systemd's journal a line begins with its priority (`<6>`, sd-daemon(3)), else with the
//! local time.

use super::sink::{Line, Output};
use crate::parts::diag::Failure;
use crate::parts::stream::Stream;
use crate::sys::{Errno, fd, process};
use std::os::fd::BorrowedFd;

/// Standard error.
pub struct Stderr {
    stream: Stream,
    journal: bool,
}

impl Stderr {
    /// `journal_stream` is the variable `JOURNAL_STREAM`, if set.
    pub fn new(journal_stream: Option<&[u8]>) -> Stderr {
        let journal = journal_stream.is_some_and(|stream| process::is_journal(fd::STDERR, stream));
        Stderr { stream: Stream::error(), journal }
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
        Some(self.stream.fd())
    }

    fn write(&mut self, bytes: &[u8], _: &mut Option<Failure>) -> Result<usize, Errno> {
        self.stream.write(bytes)
    }
}
