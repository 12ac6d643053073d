//! What is on its way to one target: lines wait in a bounded buffer while the target takes none, and what does not fit
//! is lost, counted, and told once the target takes lines again.

use super::routes::{LEVELS, Level, Target};
use crate::parts::diag::Failure;
use crate::parts::zone::Civil;
use crate::sys::Errno;
use std::fmt;
use std::os::fd::BorrowedFd;

/// What waits while nobody reads.
const MOST_WAITING: usize = 64 * 1024;
/// What the buffer keeps when nothing waits.
const KEPT: usize = 4096;

/// A line before it has a target's form.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    /// Local time.
    pub at: Civil,
    /// How much it matters.
    pub level: Level,
    /// Who says it.
    pub logname: &'a str,
    /// What is said. Whoever makes it prints names by [`crate::parts::text::Escaped`].
    pub message: fmt::Arguments<'a>,
}

impl Line<'_> {
    /// For people: `2026-01-02 03:04:05 INFO inbox: …`
    pub fn dated(&self) -> String {
        let Line { at, level, logname, message } = self;
        let name = LEVELS.iter().find(|(known, ..)| known == level).map_or("", |(_, name, _)| *name);
        format!("{at} {name} {logname}: {message}\n")
    }

    /// Its priority as syslog(3) counts.
    pub fn priority(&self) -> u8 {
        LEVELS.iter().find(|(known, ..)| *known == self.level).map_or(6, |(.., priority)| *priority)
    }
}

/// What a target does with lines. Nothing in it blocks, and while it has no descriptor it is shut.
pub trait Output {
    /// A line in the target's form, with a newline at its end only.
    fn format(&self, line: &Line<'_>) -> String;

    /// Opens or connects what is shut. The error is for people.
    fn open(&mut self) -> Result<(), Failure>;

    /// What to wait for when it does not take all.
    fn fd(&self) -> Option<BorrowedFd<'_>>;

    /// Takes some of the bytes. EAGAIN: none now, and the descriptor polls as writable when there is room; any other
    /// error has lost them, unless the output is shut after it. What else went wrong is put into `trouble`.
    fn write(&mut self, bytes: &[u8], trouble: &mut Option<Failure>) -> Result<usize, Errno>;
}

/// A target with what waits for it.
pub struct Sink {
    /// Which it is.
    pub target: Target,
    /// What others should be told of it.
    pub trouble: Option<Failure>,
    /// Lines that it has not got.
    pub lost_in_all: u64,
    output: Box<dyn Output>,
    waiting: Vec<u8>,
    lost: u64,
    /// As many the first line that waits tells of.
    telling: u64,
    /// What was written last ends within a line, whose rest waits.
    within_line: bool,
    /// It was lost, and the line has to be ended.
    cut: bool,
    tried_at: Option<Civil>,
    told: bool,
}

impl Sink {
    /// Nothing waits yet.
    pub fn new(target: Target, output: Box<dyn Output>) -> Sink {
        Sink {
            target,
            trouble: None,
            lost_in_all: 0,
            output,
            waiting: Vec::new(),
            lost: 0,
            telling: 0,
            within_line: false,
            cut: false,
            tried_at: None,
            told: false,
        }
    }

    /// Opens the output if it is shut; a failure becomes a trouble once.
    pub fn open(&mut self) -> bool {
        match self.output.open() {
            Ok(()) => self.told = false,
            Err(_) if self.told => {}
            Err(failure) => {
                self.trouble = Some(failure);
                self.told = true;
            }
        }
        self.output.fd().is_some()
    }

    /// Puts an open output in the old one's place, which is closed after it: of a FIFO that nobody reads, nothing is lost.
    pub fn replace(&mut self, output: Box<dyn Output>) {
        let _old = std::mem::replace(&mut self.output, output);
        self.open();
    }

    /// Adds a line.
    pub fn add(&mut self, line: &Line<'_>) {
        if self.waiting.len() > MOST_WAITING {
            self.flush(line.at);
        }
        if self.waiting.len() > MOST_WAITING {
            self.count_lost(1);
        } else {
            self.append(line);
        }
    }

    fn append(&mut self, line: &Line<'_>) {
        let text = self.output.format(line);
        debug_assert_eq!(text.find('\n'), Some(text.len() - 1), "names are escaped");
        self.waiting.extend_from_slice(text.as_bytes());
    }

    /// The descriptor to wait for, if something could not be written yet.
    pub fn blocked_on(&self) -> Option<BorrowedFd<'_>> {
        self.output.fd().filter(|_| !self.waiting.is_empty())
    }

    /// Whether there is nothing to write.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.lost == 0
    }

    /// Writes what can be written now. Lost lines are told before the next one that can be written.
    pub fn flush(&mut self, now: Civil) {
        self.write_waiting(now);
        if self.waiting.is_empty() && self.lost > 0 {
            self.telling = std::mem::take(&mut self.lost);
            let lost = self.telling;
            self.append(&Line {
                at: now,
                level: Level::Warning,
                logname: "log",
                message: format_args!("{lost} lines were lost: they could not be written"),
            });
            self.write_waiting(now);
        }
    }

    fn write_waiting(&mut self, now: Civil) {
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut done = 0;
        while let Some(rest) = waiting.get(done..).filter(|rest| !rest.is_empty()) {
            if self.output.fd().is_none() && !self.open_again(now) {
                break;
            }
            let next = if self.cut { b"\n" } else { rest };
            match self.output.write(next, &mut self.trouble) {
                Ok(0) | Err(Errno::EAGAIN) => break,
                Ok(_) if self.cut => self.cut = false,
                Ok(n) => {
                    done += n;
                    let out = waiting.get(..done).unwrap_or_default();
                    self.within_line = !out.ends_with(b"\n");
                    self.telling = if out.contains(&b'\n') { 0 } else { self.telling };
                }
                // What is opened next gets the rest, but not that of a line that was begun.
                Err(_) if self.output.fd().is_none() => {
                    if std::mem::take(&mut self.within_line) {
                        done += rest.split_inclusive(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len);
                        self.lose(1);
                    }
                }
                // The reader is gone or the disk is full: nothing to wait for.
                Err(_) => {
                    self.lose(rest.iter().filter(|byte| **byte == b'\n').count() as u64);
                    self.cut |= std::mem::take(&mut self.within_line);
                    done = waiting.len();
                }
            }
        }
        waiting.drain(..done);
        if waiting.is_empty() {
            waiting.shrink_to(KEPT);
        }
        self.waiting = waiting;
    }

    /// The first lines that wait are lost. If one was to tell of others, they are to be told of still.
    fn lose(&mut self, lines: u64) {
        let untold = std::mem::take(&mut self.telling);
        self.lost += untold;
        self.count_lost(lines - u64::from(untold > 0));
    }

    fn count_lost(&mut self, lines: u64) {
        self.lost += lines;
        self.lost_in_all += lines;
    }

    /// At most once a second: whoever is restarted over and over must not hold up the loop.
    fn open_again(&mut self, now: Civil) -> bool {
        self.tried_at.replace(now) != Some(now) && self.open()
    }
}

#[cfg(test)]
mod tests;
