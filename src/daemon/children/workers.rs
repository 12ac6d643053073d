//! Jobs that workers do: a worker is started when a job finds none that is free, gets the next job once it has answered, and
//! is ended when none has come for a moment.
//!
//! A job ends once: by its worker's answer, or else by its worker's end.

use super::stop::Stop;
use super::{Begun, Child, Daemon, Doing, tell};
use crate::engine::task::About;
use crate::engine::watch::events;
use crate::jobs::own;
use crate::parts::duration::Millis;
use crate::parts::log::Level;
use crate::parts::worker::packet::{Message, Progress};
use crate::parts::worker::{Heard, Worker};
use crate::sys::Errno;
use crate::sys::clock::Tick;
use crate::sys::inotify::Mask;
use crate::sys::process::Pid;
use crate::sys::spawn;
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// So long a free worker waits for the next job: those that come in a row need one program, not as many as they are.
const LINGER: Millis = Millis(1_000);
/// So many messages of one worker are taken in a turn, so that one that talks without end holds up nobody.
const MOST_AT_ONCE: usize = 64;

/// Workers that have no job.
#[derive(Default)]
pub struct Workers {
    /// Each waits for one until then.
    free: Vec<(Worker, Tick)>,
    /// They are told to end, and not reaped yet. Nobody waits for that: they have nothing left to do, and do not outlive us.
    ended: Vec<Pid>,
}

impl Workers {
    /// When [`Workers::end_idle`] has something to do.
    pub fn deadline(&self) -> Option<Tick> {
        self.free.iter().map(|(_, until)| *until).min()
    }

    /// Ends those that have waited for long enough.
    pub fn end_idle(&mut self, now: Tick) {
        let over = self.free.iter().filter(|(_, until)| *until <= now);
        self.ended.extend(over.map(|(worker, _)| worker.pid));
        self.free.retain(|(_, until)| *until > now);
    }

    /// Looks at each of them after SIGCHLD.
    pub fn reap(&mut self) {
        let is_there = |pid| !matches!(spawn::reap(pid), Ok(Some(_)) | Err(Errno::ECHILD));
        self.ended.retain(|pid| is_there(*pid));
        self.free.retain(|(worker, _)| is_there(worker.pid));
    }

    /// Whether it is one of them.
    pub fn knows(&self, pid: Pid) -> bool {
        self.ended.contains(&pid) || self.free.iter().any(|(worker, _)| worker.pid == pid)
    }

    /// Gives a job to a worker that is free, else to a new one.
    fn give(&mut self, packet: &[u8], environment: impl FnOnce() -> Vec<CString>) -> Result<Worker, Errno> {
        while let Some((worker, _)) = self.free.pop() {
            match worker.give(packet) {
                Ok(()) => return Ok(worker),
                // It has ended just now.
                Err(_) => self.ended.push(worker.pid),
            }
        }
        let worker = Worker::start(environment())?;
        match worker.give(packet) {
            // It has ended already: how, will be told as of one that ends at its job.
            Ok(()) | Err(Errno::EPIPE) => Ok(worker),
            Err(errno) => {
                self.ended.push(worker.pid);
                Err(errno)
            }
        }
    }
}

/// The bytes of a call of one of the program's own jobs.
pub fn own_call(job: &str, scheduler: &str, about: &About) -> Vec<u8> {
    let path = |bytes| Path::new(OsStr::from_bytes(bytes));
    let call = own::Task {
        event: events::first_name(about.mask),
        path: path(&about.path),
        source: about.source.as_deref().map(path),
        is_dir: about.mask.any(Mask::ISDIR),
        id: about.id,
        scheduler,
    };
    own::encode(job, &call)
}

impl Daemon {
    /// Has a job done by a worker.
    pub(super) fn employ(&mut self, about: &About, kind: &str, value: &[u8]) -> Begun {
        let packet = Message::Job { kind, value }.encode(about.id).map_err(|_| "its path is too long for a worker")?;
        let environment = &self.environment;
        let worker = self.children.workers.give(&packet, || environment.variables()).map_err(|errno| {
            let hint = if errno == Errno::ENOENT { " (it needs /proc)" } else { "" };
            format!("cannot start a worker: {errno}{hint}")
        })?;
        Ok((worker.pid, Doing::Job { worker: Some(worker), progress: Progress::default() }))
    }

    /// Has it ended in a worker what a run that was ended has left behind. Nobody waits for that: if it does not come to its end,
    /// the next start finds it again.
    pub fn tidy(&mut self, kind: &str, value: &[u8]) {
        let environment = &self.environment;
        let packet = Message::Job { kind, value }.encode(0);
        let worker = packet.and_then(|packet| self.children.workers.give(&packet, || environment.variables()));
        // It does what it was given, and ends when there is nobody to answer to.
        self.children.workers.ended.extend(worker.ok().map(|worker| worker.pid));
    }

    /// Takes what the worker of this process has to say about its job.
    pub fn hear(&mut self, pid: Pid) {
        let Some(at) = self.children.running.iter().position(|child| child.pid == pid) else { return };
        let mut child = self.children.running.remove(at);
        match self.listen(&mut child, MOST_AT_ONCE) {
            Some(result) => {
                self.job_ended(&child, result);
                self.dismiss(child);
            }
            None => self.children.running.insert(at, child),
        }
    }

    /// Takes messages; the answer is the job's result, if that is among them.
    pub(super) fn listen(&mut self, child: &mut Child, most: usize) -> Option<Result<Option<Vec<u8>>, String>> {
        let mut buffer = Vec::new();
        for _ in 0..most {
            let Doing::Job { worker: Some(worker), progress } = &mut child.doing else { return None };
            match worker.hear(&mut buffer) {
                Heard::Nothing => return None,
                Heard::Said(task, message) if task == child.about.id => match message {
                    Message::Log(level, text) => self.say_of_child(level, child, format_args!("{text}")),
                    Message::Progress(so_far) => *progress = so_far,
                    Message::Again(after) => self.engine.again(child.task, after.after(self.now)),
                    Message::At(instant) => self.appointments.make(child.about.scheduler, instant),
                    Message::Done => return Some(Ok(None)),
                    Message::Made(path) => return Some(Ok(Some(path.to_vec()))),
                    Message::Failed(why) => return Some(Err(why.to_owned())),
                    Message::Job { .. } => self.part_with(child, Some("its worker asks for a job")),
                },
                Heard::Said(..) | Heard::Noise => self.part_with(child, Some("its worker says what is no message")),
                Heard::End => self.part_with(child, None),
            }
        }
        None
    }

    /// Nothing more comes from a worker that is worth listening to. It ends, or is made to; that ends its job.
    fn part_with(&mut self, child: &mut Child, why: Option<&str>) {
        if let Some(why) = why {
            self.say_of_child(Level::Error, child, format_args!("{why}, and gets SIGTERM"));
        }
        child.doing = Doing::Job { worker: None, progress: Progress::default() };
        tell(child.pid, child.stop.ask(self.now));
    }

    /// A worker without a job waits for one, if it was not told to end meanwhile.
    fn dismiss(&mut self, child: Child) {
        if let Doing::Job { worker: Some(worker), .. } = child.doing {
            match child.stop {
                Stop::Unasked(_) => self.children.workers.free.push((worker, LINGER.after(self.now))),
                Stop::Asked(_) | Stop::Killed => self.children.workers.ended.push(worker.pid),
            }
        }
    }
}

impl super::Children {
    /// What comes from workers at work, each under its process.
    pub fn voices(&self) -> impl Iterator<Item = (Pid, BorrowedFd<'_>)> {
        self.running.iter().filter_map(|child| match &child.doing {
            Doing::Job { worker: Some(worker), .. } => Some((child.pid, worker.as_fd())),
            Doing::Job { worker: None, .. } | Doing::Command => None,
        })
    }
}
