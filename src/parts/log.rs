//! The log: one line a message, to standard error, never blocking.
//!
//! Lines are gathered during a turn of the loop and written at its end. What a pipe, terminal or socket does not take
//! at once waits in a bounded buffer until it is writable; when that is full, further lines are lost, counted, and the
//! count is the next line. Under systemd's journal a line begins with its priority (`<6>`, sd-daemon(3)), else with
//! the local time. Names are printed by [`super::text::Escaped`] by whoever makes a message.

use super::zone::Zone;
use crate::sys::{Fd, fd, fs, poll};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};

/// How much a message matters, with pyinotifyd's names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// What helps to find out why.
    Debug,
    /// What happens.
    Info,
    /// Not as it should be, and nothing is lost.
    Warning,
    /// Something was not done.
    Error,
    /// The daemon cannot go on.
    Critical,
}

/// Levels with their names and syslog priorities (syslog(3)).
pub const LEVELS: [(Level, &str, u8); 5] = [
    (Level::Debug, "DEBUG", 7),
    (Level::Info, "INFO", 6),
    (Level::Warning, "WARNING", 4),
    (Level::Error, "ERROR", 3),
    (Level::Critical, "CRITICAL", 2),
];

/// The level of this name, in any case.
pub fn level(name: &str) -> Option<Level> {
    LEVELS.iter().find(|(_, known, _)| known.eq_ignore_ascii_case(name)).map(|(level, ..)| *level)
}

/// What waits while nobody reads.
const MOST_WAITING: usize = 64 * 1024;
/// A pipe that polls as writable takes this much without blocking (pipe(7), PIPE_BUF).
const ATOMIC: usize = 4096;

/// Where lines go and what is on its way there.
pub struct Log {
    way: Way,
    journal: bool,
    zone: Zone,
    now: i64,
    waiting: Vec<u8>,
    lost: u64,
    /// Lines that were lost before those, and are told of.
    lost_before: u64,
    /// The last line that was written has no end.
    cut: bool,
}

/// How to write to standard error without blocking and without making it non-blocking for those who share it.
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

impl Way {
    fn to_stderr() -> Way {
        let kind = fs::stat(fd::STDERR, b"").map_or(fs::Kind::Unknown, |found| found.kind);
        match kind {
            fs::Kind::File => Way::Plain,
            fs::Kind::Socket => Way::Socket,
            fs::Kind::Fifo | fs::Kind::Character => {
                fs::open(fs::CWD, b"/proc/self/fd/2", fs::Open::WriteNow).map_or(Way::Asking, Way::Own)
            }
            fs::Kind::Directory | fs::Kind::Symlink | fs::Kind::Block | fs::Kind::Unknown => Way::Asking,
        }
    }
}

impl Log {
    /// A log to standard error; `journal_stream` is the variable `JOURNAL_STREAM`, if set.
    pub fn to_stderr(journal_stream: Option<&[u8]>, zone: Zone) -> Log {
        let way = Way::to_stderr();
        let journal = journal_stream.is_some_and(|stream| crate::sys::process::is_journal(fd::STDERR, stream));
        Log { way, journal, zone, now: 0, waiting: Vec::new(), lost: 0, lost_before: 0, cut: false }
    }

    /// Something else has become standard error.
    pub fn stderr_changed(&mut self) {
        self.way = Way::to_stderr();
    }

    /// How many lines have been lost since the start.
    pub fn lost(&self) -> u64 {
        self.lost_before + self.lost
    }

    /// Sets the wall time (seconds) that the next lines carry; the clock is read once a turn.
    pub fn set_time(&mut self, now: i64) {
        self.now = now;
    }

    /// The local time zone.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Adds a line. Whether its level is wanted, the caller has asked its own logname's level.
    pub fn line(&mut self, level: Level, logname: &str, message: fmt::Arguments<'_>) {
        if self.waiting.len() > MOST_WAITING {
            self.flush();
        }
        if self.waiting.len() > MOST_WAITING {
            self.lost += 1;
            return;
        }
        self.append(level, logname, message);
    }

    fn append(&mut self, level: Level, logname: &str, message: fmt::Arguments<'_>) {
        let (name, priority) =
            LEVELS.iter().find(|(known, ..)| *known == level).map_or(("", 6), |(_, name, priority)| (*name, *priority));
        let line = if self.journal {
            format!("<{priority}>{logname}: {message}\n")
        } else {
            format!("{} {name} {logname}: {message}\n", self.zone.civil(self.now))
        };
        if std::mem::take(&mut self.cut) {
            self.waiting.push(b'\n');
        }
        self.waiting.extend_from_slice(line.as_bytes());
    }

    /// The descriptor to wait for, if something could not be written yet.
    pub fn blocked_on(&self) -> Option<BorrowedFd<'_>> {
        let fd = match &self.way {
            Way::Own(fd) => fd.as_fd(),
            Way::Plain | Way::Socket | Way::Asking => fd::STDERR,
        };
        (!self.waiting.is_empty()).then_some(fd)
    }

    /// Writes what can be written now. Lost lines are told before the next one that can be written.
    pub fn flush(&mut self) {
        if !self.waiting.is_empty() || self.lost > 0 {
            self.write_waiting();
        }
        if self.waiting.is_empty() && self.lost > 0 {
            let lost = self.lost;
            self.append(Level::Warning, "log", format_args!("{lost} lines were lost: they could not be written"));
            self.write_waiting();
            // If this one was lost as well, the next one tells.
            match self.lost > lost {
                true => self.lost = lost,
                false => (self.lost, self.lost_before) = (0, self.lost_before + lost),
            }
        }
    }

    fn write_waiting(&mut self) {
        let mut done = 0;
        while let Some(rest) = self.waiting.get(done..).filter(|rest| !rest.is_empty()) {
            let sure = rest.get(..ATOMIC).unwrap_or(rest);
            let result = match &self.way {
                Way::Plain => fd::write(fd::STDERR, rest),
                Way::Own(fd) => fd::write(fd.as_fd(), rest),
                Way::Socket => fd::send_now(fd::STDERR, rest),
                Way::Asking if !poll::writable_now(fd::STDERR) => break,
                Way::Asking => fd::write(fd::STDERR, sure),
            };
            match result {
                Ok(0) | Err(crate::sys::Errno::EAGAIN) => break,
                Ok(n) => done += n,
                Err(_) => {
                    // The reader is gone or the disk is full: nothing to wait for.
                    self.lost += rest.iter().filter(|byte| **byte == b'\n').count() as u64;
                    self.cut |= self.waiting.get(..done).is_some_and(|out| !out.is_empty() && !out.ends_with(b"\n"));
                    done = self.waiting.len();
                    break;
                }
            }
        }
        self.waiting.drain(..done);
        if self.waiting.is_empty() {
            self.waiting.shrink_to(ATOMIC);
        }
    }
}
