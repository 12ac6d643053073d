//! What commands print, line by line into the log.

use crate::config::Scheduler;
use crate::parts::log::{Level, Log};
use crate::parts::text::Escaped;
use crate::sys::process::Pid;
use crate::sys::{Fd, fd};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

/// So much of one pipe is read in a turn, so that a command that prints without end holds up nobody.
const MOST_AT_ONCE: usize = 64 * 1024;
/// A longer line is logged in parts.
const MOST_IN_A_LINE: usize = 4096;
/// So many pipes are kept whose command has ended and left somebody who may print.
const MOST_ORPHANS: usize = 64;

/// The read end of a command's pipe.
struct Pipe {
    fd: Fd,
    child: Option<Pid>,
    scheduler: Rc<Scheduler>,
    task: u64,
    /// The beginning of a line.
    rest: Vec<u8>,
    at_end: bool,
}

/// All pipes, the oldest first.
#[derive(Default)]
pub struct Outputs {
    pipes: Vec<Pipe>,
    buffer: Vec<u8>,
}

impl Outputs {
    /// A command of task number `task` prints into the other end.
    pub fn add(&mut self, fd: Fd, child: Pid, scheduler: Rc<Scheduler>, task: u64) {
        self.pipes.push(Pipe { fd, child: Some(child), scheduler, task, rest: Vec::new(), at_end: false });
    }

    /// The descriptors to wait for, by number; the numbers hold until [`Outputs::tidy`].
    pub fn fds(&self) -> impl Iterator<Item = (usize, BorrowedFd<'_>)> {
        self.pipes.iter().map(|pipe| pipe.fd.as_fd()).enumerate()
    }

    /// Reads some of a pipe.
    pub fn read(&mut self, number: usize, log: &mut Log) {
        self.buffer.resize(MOST_AT_ONCE, 0);
        if let Some(pipe) = self.pipes.get_mut(number).filter(|pipe| !pipe.at_end) {
            pipe.read(&mut self.buffer, log);
        }
    }

    /// A command has ended. What it has printed itself was read in the turn in which its SIGCHLD was: a pipe holds no more
    /// than is read at once.
    pub fn child_ended(&mut self, child: Pid) {
        self.pipes.iter_mut().filter(|pipe| pipe.child == Some(child)).for_each(|pipe| pipe.child = None);
    }

    /// Closes what is at its end, and the oldest of too many whose command has ended.
    pub fn tidy(&mut self, log: &mut Log) {
        self.pipes.retain(|pipe| !pipe.at_end);
        let mut many = self.pipes.iter().filter(|pipe| pipe.child.is_none()).count().saturating_sub(MOST_ORPHANS);
        self.pipes.retain_mut(|pipe| {
            let goes = pipe.child.is_none() && many > 0;
            if goes {
                many -= 1;
                pipe.end(log);
                let message = "what is left of this command prints still, and is not listened to any more";
                pipe.say(Level::Warning, format_args!("{message}"), log);
            }
            !goes
        });
        if self.pipes.is_empty() {
            self.buffer = Vec::new();
        }
    }
}

impl Pipe {
    fn read(&mut self, buffer: &mut [u8], log: &mut Log) {
        match fd::read(self.fd.as_fd(), buffer) {
            Ok(0) => self.end(log),
            Ok(n) => self.take(buffer.get(..n).unwrap_or_default(), log),
            Err(crate::sys::Errno::EAGAIN) => {}
            Err(errno) => {
                self.say(Level::Warning, format_args!("what it prints cannot be read: {errno}"), log);
                self.end(log);
            }
        }
    }

    fn take(&mut self, bytes: &[u8], log: &mut Log) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(part);
            while self.rest.last() == Some(&b'\n') || self.rest.len() > MOST_IN_A_LINE {
                let line: Vec<u8> = self.rest.drain(..self.rest.len().min(MOST_IN_A_LINE)).collect();
                self.print(line.strip_suffix(b"\n").unwrap_or(&line), log);
            }
        }
    }

    /// A last line may lack its end.
    fn end(&mut self, log: &mut Log) {
        self.at_end = true;
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() {
            self.print(&rest, log);
        }
    }

    fn print(&self, line: &[u8], log: &mut Log) {
        self.say(Level::Info, format_args!("{}", Escaped(line)), log);
    }

    fn say(&self, level: Level, message: std::fmt::Arguments<'_>, log: &mut Log) {
        if level >= self.scheduler.rules.notes {
            let (name, task) = (&self.scheduler.name, self.task);
            log.line(level, &self.scheduler.logname, format_args!("{name}#{task} prints: {message}"));
        }
    }
}
