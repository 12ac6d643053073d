//! Workers: this program started again, to do what would hold up the loop.
//!
//! A worker is started by posix_spawn(3) of /proc/self/exe, which survives an upgrade, and never by a fork: the daemon's
//! heap may be large. Jobs go to it one after the other, as packets over a pair of sockets; log lines, progress and one
//! result each come back. It ends when its socket is closed, and is killed when whoever started it ends in whatever way.
//! Nothing here knows what a job is: the name of a kind of work, and bytes. Relies on `sys`.

pub mod packet;

use super::duration::Millis;
use super::log::Level;
use super::text::Escaped;
use crate::sys::clock::{self, Tick};
use crate::sys::process::{self, Pid};
use crate::sys::socket::{self, Wait};
use crate::sys::spawn::{self, Program};
use crate::sys::{Errno, Fd, fd};
use packet::{MOST_BYTES, Message, Progress};
use std::ffi::{CString, OsStr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a worker is called in its argument list, so that it is told from the program's usual commands.
const CALLED: &str = "dogwatch: worker";
/// A longer line is logged in parts.
const MOST_IN_A_LINE: usize = 4096;
/// To a terminal: back to the start of the line, which is erased (ECMA-48, EL).
const AT_LINE_START: &str = "\r\x1b[K";
/// Progress is told at most so often, in milliseconds.
const PROGRESS_EVERY: u64 = 250;

/// A worker, as whoever started it sees it. It ends when this is dropped.
pub struct Worker {
    /// Its process, the leader of a group of its own; it is not reaped here.
    pub pid: Pid,
    socket: Fd,
}

/// What comes from a worker.
pub enum Heard<'a> {
    /// Nothing yet.
    Nothing,
    /// Something about the task of this number.
    Said(u64, Message<'a>),
    /// What is no message.
    Noise,
    /// Nothing more: it has ended, or is about to.
    End,
}

impl Worker {
    /// Starts one, with this environment. ENOENT where there is no /proc.
    pub fn start(environment: Vec<CString>) -> Result<Worker, Errno> {
        let (ours, theirs) = socket::pair()?;
        let program = Program::itself([CALLED.to_owned(), process::id().to_string()], Vec::new(), environment);
        Ok(Worker { pid: spawn::spawn_with(&program, theirs.as_fd())?, socket: ours })
    }

    /// Gives it a job, as a packet, without waiting: there is room for one while it has none. EPIPE where it has ended.
    pub fn give(&self, packet: &[u8]) -> Result<(), Errno> {
        socket::send(self.socket.as_fd(), packet, Wait::No)
    }

    /// What it has to say at this moment. The buffer is the message's room.
    pub fn hear<'b>(&self, buffer: &'b mut Vec<u8>) -> Heard<'b> {
        buffer.resize(MOST_BYTES, 0);
        match socket::receive(self.socket.as_fd(), buffer, Wait::No) {
            Err(Errno::EAGAIN) => Heard::Nothing,
            Err(Errno::EMSGSIZE) => Heard::Noise,
            // Also ECONNRESET: it has ended without having read its job.
            Ok(0) | Err(_) => Heard::End,
            Ok(length) => match buffer.get(..length).and_then(packet::decode) {
                Some((task, message)) => Heard::Said(task, message),
                None => Heard::Noise,
            },
        }
    }
}

impl AsFd for Worker {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The worker's end, and the task that it is at.
struct Line {
    socket: Fd,
    task: AtomicU64,
}

impl Line {
    /// Whoever started us may be gone: then so are we, in a moment.
    fn say(&self, message: &Message<'_>) -> Result<(), Errno> {
        socket::send(self.socket.as_fd(), &message.encode(self.task.load(Ordering::Relaxed))?, Wait::Yes)
    }

    fn log(&self, level: Level, text: &str) {
        for line in text.lines() {
            for part in line.as_bytes().chunks(MOST_IN_A_LINE) {
                let _ = self.say(&Message::Log(level, &Escaped(part).to_string()));
            }
        }
    }
}

/// How a job tells of itself: one that runs in a worker to whoever has started that, any other to people, on standard error.
pub struct Report {
    /// None: to people.
    line: Option<Arc<Line>>,
    told: Option<Tick>,
    warning: Option<String>,
}

impl Report {
    /// For a job that people have called at their terminal.
    pub(crate) fn to_people() -> Report {
        Report::new(None)
    }

    fn new(line: Option<Arc<Line>>) -> Report {
        Report { line, told: None, warning: None }
    }

    /// Adds to the daemon's log, under the scheduler's logname; each line of the text becomes a line there, which also
    /// names scheduler, task and path. Control characters are escaped.
    pub fn log(&mut self, level: Level, text: &str) {
        if level == Level::Warning {
            self.warning.get_or_insert_with(|| text.to_owned());
        }
        match &self.line {
            Some(line) => line.log(level, text),
            None if level >= Level::Warning => {
                self.clear();
                // Ours is escaped already.
                let _ = fd::write_all(fd::STDERR, format!("dogwatch: {text}\n").as_bytes());
            }
            None => {}
        }
    }

    /// The first warning that was logged since this was asked.
    pub(crate) fn warning(&mut self) -> Option<String> {
        self.warning.take()
    }

    /// Tells how many bytes of the work are done, and of how many in all (0 if that is not known). `dogwatch status` shows
    /// it. It may be called often: most calls tell nobody.
    pub fn progress(&mut self, done: u64, total: u64) {
        let now = clock::boot_now();
        if self.told.is_some_and(|told| now.0 < told.0 + PROGRESS_EVERY) {
            return;
        }
        let progress = Progress { done, total };
        match &self.line {
            Some(line) => drop(line.say(&Message::Progress(progress))),
            None if !self.is_watched() => {}
            None => drop(fd::write_all(fd::STDERR, format!("{AT_LINE_START}{}", progress.bar()).as_bytes())),
        }
        self.told = Some(now);
    }

    /// Whether people look on, to whom a whole is worth some work.
    pub(crate) fn is_watched(&self) -> bool {
        self.line.is_none() && fd::is_terminal(fd::STDERR)
    }

    /// Takes what stands on the terminal's line away.
    fn clear(&mut self) {
        if self.told.take().is_some() && self.is_watched() {
            let _ = fd::write_all(fd::STDERR, AT_LINE_START.as_bytes());
        }
    }

    /// Has it done again at that wall time (Unix time in seconds), or when the clock is set before. Only for sources.
    pub(crate) fn at(&mut self, instant: i64) {
        self.say(&Message::At(instant));
    }

    /// Has the job done again after so long, once it has ended; an event may want that sooner.
    pub fn again(&mut self, after: Millis) {
        self.say(&Message::Again(after));
    }

    fn say(&self, message: &Message<'_>) {
        let _ = self.line.as_ref().map(|line| line.say(message));
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
impl Report {
    /// One for a test, which hears it at the socket's other end.
    pub fn pair() -> (Report, Fd) {
        let (ours, theirs) = socket::pair().unwrap_or_else(|errno| std::process::exit(errno.0));
        (Report::new(Some(Arc::new(Line { socket: theirs, task: AtomicU64::new(0) }))), ours)
    }

    /// Fills the socket: whatever is told next waits until the other end has listened.
    pub fn fill(&self) {
        let Some(line) = &self.line else { return };
        while socket::send(line.socket.as_fd(), &[0], Wait::No).is_ok() {}
    }
}

/// If this process was started as a worker, it does by `run` what it is told, until nobody tells it more; the answer is its
/// exit status then. `run` gets a kind of work and the bytes of its values, and gives the path of what it made, or in words
/// why it failed, on one line without control characters.
pub fn serve(
    arguments: &[&OsStr],
    mut run: impl FnMut(&str, &[u8], &mut Report) -> Result<Option<Vec<u8>>, String>,
) -> Option<i32> {
    let [called, parent] = arguments else { return None };
    if *called != CALLED {
        return None;
    }
    let Some(line) = parent.to_str().and_then(|parent| connect(parent.parse().ok()?).ok()) else { return Some(1) };
    let mut buffer = vec![0; MOST_BYTES];
    loop {
        let length = match socket::receive(line.socket.as_fd(), &mut buffer, Wait::Yes) {
            Ok(0) => return Some(0),
            Ok(length) => length,
            Err(_) => return Some(1),
        };
        let job = buffer.get(..length).and_then(packet::decode);
        let Some((task, Message::Job { kind, value })) = job else { return Some(1) };
        line.task.store(task, Ordering::Relaxed);
        let result = run(kind, value, &mut Report::new(Some(Arc::clone(&line))));
        if answer(&line, result).is_err() {
            return Some(1);
        }
    }
}

fn connect(parent: u32) -> Result<Arc<Line>, Errno> {
    let socket = fd::inherited(spawn::CHANNEL)?;
    process::live_under(parent)?;
    let line = Arc::new(Line { socket, task: AtomicU64::new(0) });
    // A panic ends the worker, and with it no more than its job: but its words are wanted in the log.
    let its_line = Arc::clone(&line);
    std::panic::set_hook(Box::new(move |panic| its_line.log(Level::Error, &panic.to_string())));
    Ok(line)
}

fn answer(line: &Line, result: Result<Option<Vec<u8>>, String>) -> Result<(), Errno> {
    let (message, too_long) = match &result {
        Ok(None) => (Message::Done, ""),
        Ok(Some(path)) => (Message::Made(path), "the path of its result is too long to be told"),
        Err(why) => (Message::Failed(why), "it gives a reason that is too long to be told"),
    };
    match line.say(&message) {
        Err(Errno::EMSGSIZE) => line.say(&Message::Failed(too_long)),
        said => said,
    }
}
