//! Children: commands and workers are started, what they have to say is logged, and each is reaped or made to end.
//!
//! A command's task ends when its child does; a pipe may live on, for what the command left running still prints into it.
//! A worker's ends when it answers, or when the worker ends before that.

mod output;
mod stop;
mod workers;

use super::hops::Hops;
use super::{Daemon, End, say};
use crate::config::Scheduler;
use crate::engine::rule;
use crate::engine::task::{About, Outcome, TaskRef};
use crate::engine::watch::events;
use crate::jobs::archive::job::{self, Archiving, Job};
use crate::jobs::command::{Command, Output};
use crate::jobs::files::plan::FileJob;
use crate::jobs::{Work, files, own};
use crate::parts::diag::Failure;
use crate::parts::log::Level;
use crate::parts::spot::Place;
use crate::parts::template::Values;
use crate::parts::text::Escaped;
use crate::parts::worker::Worker;
use crate::parts::worker::packet::Progress;
use crate::sys::clock::{self, Tick};
use crate::sys::process::Pid;
use crate::sys::signal::{self, Order};
use crate::sys::spawn::{self, Exit};
use crate::sys::{Errno, Fd, fd, process};
use output::Outputs;
use std::os::fd::AsFd;
use std::rc::Rc;
use stop::{Rest, Stop};
use workers::Workers;

pub use stop::GRACE;

/// A command that runs, or a job that a worker is at.
pub struct Child {
    pub pid: Pid,
    task: TaskRef,
    pub about: About,
    /// As it was when the job was started.
    pub scheduler: Rc<Scheduler>,
    pub started: Tick,
    stop: Stop,
    /// It is ended for a newer event: that is no failure.
    outdated: bool,
    pub doing: Doing,
}

/// What was begun for a task; the error is in words.
type Begun = Result<(Pid, Doing), String>;

/// What a child is there for.
pub enum Doing {
    /// It is a command.
    Command,
    /// It is a worker that has a job.
    Job {
        /// None once nothing more is heard of it.
        worker: Option<Worker>,
        /// What it has told last.
        progress: Progress,
    },
}

/// All that runs, and what is left of what ran.
#[derive(Default)]
pub struct Children {
    running: Vec<Child>,
    pub outputs: Outputs,
    workers: Workers,
    hops: Hops,
    /// SIGCHLD has come, and not every child has been looked at since.
    pub ended: bool,
    /// Groups whose leader ended when it was told to, and of which somebody is left. As long as somebody is, the number is
    /// theirs; and it is not given out again within seconds (pid_max is 32,768 at least).
    leftovers: Vec<(Pid, Rest)>,
}

impl Children {
    /// Whether nothing runs that was started or told to end.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty() && self.leftovers.is_empty()
    }

    /// Whether it is told here when this process ends.
    fn knows(&self, pid: Pid) -> bool {
        self.running.iter().any(|child| child.pid == pid) || self.workers.knows(pid)
    }

    /// Commands and jobs that run.
    pub fn iter(&self) -> impl Iterator<Item = &Child> {
        self.running.iter()
    }

    /// When [`Daemon::stop_overdue`] has something to do.
    pub fn deadline(&self) -> Option<Tick> {
        let running = self.running.iter().filter_map(|child| child.stop.deadline());
        running.chain(self.leftovers.iter().map(|(_, rest)| rest.look_at)).chain(self.workers.deadline()).min()
    }
}

impl Daemon {
    /// Starts a task's job.
    pub fn start(&mut self, task: TaskRef, about: About) {
        let Some(scheduler) = self.config.scheduler(about.scheduler).cloned() else {
            return self.engine.finished(self.now, task, Outcome::Failed);
        };
        let begun = match &scheduler.work {
            Work::Command(command) => self.start_command(command, &scheduler, &about),
            Work::Files => match self.start_files(task, &scheduler, &about) {
                Some(begun) => begun,
                None => return,
            },
            Work::Archive(archiving) => archive_job(archiving, &scheduler, &about, &self.date())
                .and_then(|job| self.employ(&about, job::KIND, &job.encode())),
            Work::Source(call) => {
                let date = self.date();
                self.employ(&about, call.kind, &[date.as_bytes(), b"\0", &call.value].concat())
            }
            Work::Own(job) => self.employ(&about, own::KIND, &workers::own_call(job, &scheduler.name, &about)),
        };
        match begun {
            Ok((pid, doing)) => {
                let what = if matches!(doing, Doing::Command) { "pid" } else { "worker" };
                self.say_of_task(Level::Info, &about, format_args!("started, {what} {}", pid.raw()));
                let stop = Stop::after(self.now, scheduler.timeout);
                self.counters.started += 1;
                self.children.running.push(Child {
                    pid,
                    task,
                    about,
                    scheduler,
                    started: self.now,
                    stop,
                    outdated: false,
                    doing,
                });
            }
            Err(why) => {
                if self.presence.wishes.once {
                    self.verdict = Some(End::Command(Exit::Code(spawn::NOT_FOUND)));
                }
                self.task_ended(task, &scheduler, &about, &Err(why));
            }
        }
    }

    /// `None`: it is done.
    fn start_files(&mut self, task: TaskRef, scheduler: &Scheduler, about: &About) -> Option<Begun> {
        let job = match file_job(scheduler, about) {
            Ok(job) => job,
            Err(why) => return Some(Err(why)),
        };
        let target = job.target.as_ref().map(Place::path);
        if let Some(Err(why)) = target.map(|to| self.children.hops.go(self.now, &about.path, &to)) {
            return Some(Err(why));
        }
        match files::at_once(&job) {
            None => Some(self.employ(about, files::KIND, &job.encode())),
            Some(result) => {
                self.counters.started += 1;
                self.task_ended(task, scheduler, about, &result);
                None
            }
        }
    }

    fn start_command(&mut self, command: &Command, scheduler: &Rc<Scheduler>, about: &About) -> Begun {
        let pid = self.spawn(command, scheduler, about).map_err(|errno| {
            let no_proc = command.user.is_some() && errno == Errno::ENOENT;
            let hint = if no_proc { " (another user's command needs /proc)" } else { "" };
            format!("cannot start its command: {errno}{hint}")
        })?;
        Ok((pid, Doing::Command))
    }

    /// Now, for `{date}`.
    fn date(&self) -> String {
        self.log.zone().civil(clock::wall_now()).compact()
    }

    fn spawn(&mut self, command: &Command, scheduler: &Rc<Scheduler>, about: &About) -> Result<Pid, Errno> {
        let date = self.date();
        let program = command.program(&values(scheduler, about, &date), &self.environment)?;
        let dir = self.presence.wishes.dir.as_ref().map(Fd::as_fd);
        match command.output {
            Output::Inherit => spawn::spawn(&program, spawn::Output::Inherited, dir),
            Output::Null => spawn::spawn(&program, spawn::Output::Null, dir),
            Output::Log => {
                let (ours, theirs) = fd::pipe()?;
                fd::set_nonblocking(ours.as_fd())?;
                let pid = spawn::spawn(&program, spawn::Output::To(theirs.as_fd()), dir)?;
                self.children.outputs.add(ours, pid, Rc::clone(scheduler), about.id);
                Ok(pid)
            }
        }
    }

    /// Looks at each known child after SIGCHLD: several ends can come as one signal. What fails is tried again.
    pub fn reap(&mut self) -> Result<(), Failure> {
        if !std::mem::take(&mut self.children.ended) {
            return Ok(());
        }
        self.children.workers.reap();
        let mut result = Ok(());
        for child in std::mem::take(&mut self.children.running) {
            match spawn::reap(child.pid) {
                Ok(None) => self.children.running.push(child),
                Ok(Some(exit)) => self.ended(child, exit),
                Err(Errno::ECHILD) => {
                    let why = "somebody else has reaped it, and how it ended is not known";
                    self.job_ended(&child, Err(why.to_owned()));
                }
                Err(errno) => {
                    self.children.running.push(child);
                    self.children.ended = true;
                    result = Err(Failure::of("wait for a child", errno));
                }
            }
        }
        if process::id() == 1 {
            self.reap_strangers();
        }
        result
    }

    /// The first process of a namespace inherits what others leave behind.
    fn reap_strangers(&mut self) {
        while let Ok(Some(pid)) = spawn::any_ended() {
            if self.children.knows(pid) {
                // It has ended since it was looked at.
                self.children.ended = true;
                return;
            }
            if spawn::reap(pid).is_err() {
                return;
            }
        }
    }

    fn ended(&mut self, mut child: Child, exit: Exit) {
        self.children.leftovers.extend(child.stop.rest(self.now).map(|rest| (child.pid, rest)));
        self.children.outputs.child_ended(child.pid);
        if self.presence.wishes.once && (exit == Exit::Code(0) || !child.outdated) {
            self.verdict = Some(End::Command(exit));
        }
        let result = match child.doing {
            Doing::Command => say::failure_of_command(exit).map_or(Ok(None), Err),
            // It may have answered before.
            Doing::Job { .. } => self.listen(&mut child, usize::MAX).unwrap_or_else(|| {
                let job = Some(&child).filter(|child| child.scheduler.work == Work::Files);
                let job = job.and_then(|child| file_job(&child.scheduler, &child.about).ok());
                job.iter().for_each(|job| self.tidy(files::END, &job.encode()));
                Err(say::failure_of_worker(exit))
            }),
        };
        self.job_ended(&child, result);
    }

    /// A child's job has ended.
    fn job_ended(&mut self, child: &Child, result: Result<Option<Vec<u8>>, String>) {
        if result.is_err() && child.outdated {
            self.say_of_child(Level::Info, child, format_args!("ended for a newer event"));
            return self.engine.finished(self.now, child.task, Outcome::Outdated);
        }
        self.task_ended(child.task, &child.scheduler, &child.about, &result);
    }

    /// A job has ended, with the path of what it made or with why it failed.
    fn task_ended(
        &mut self,
        task: TaskRef,
        scheduler: &Scheduler,
        about: &About,
        result: &Result<Option<Vec<u8>>, String>,
    ) {
        let (level, words, outcome) = match result {
            Ok(None) if matches!(scheduler.work, Work::Source(_)) => {
                (Level::Debug, "nothing to be done".to_owned(), Outcome::Nothing)
            }
            Ok(None) => (Level::Info, "done".to_owned(), Outcome::Done(None)),
            Ok(Some(path)) => (Level::Info, format!("done: {}", Escaped(path)), Outcome::Done(Some(path))),
            Err(why) => (Level::Error, format!("failed: {why}"), Outcome::Failed),
        };
        match outcome {
            Outcome::Done(_) | Outcome::Nothing => self.counters.done += 1,
            Outcome::Failed | Outcome::Outdated => self.counters.failed += 1,
        }
        self.say_under(level, scheduler, about, format_args!("{words}"));
        match &scheduler.work {
            Work::Source(call) => self.source_has_worked(task, call, outcome, result),
            Work::Archive(_) | Work::Command(_) | Work::Files | Work::Own(_) => {
                self.engine.finished(self.now, task, outcome);
            }
        }
    }

    /// A task's job is to end: there is a newer event, and its scheduler restarts.
    pub fn stop_task(&mut self, task: TaskRef) {
        let now = self.now;
        for child in self.children.running.iter_mut().filter(|child| child.task == task) {
            child.outdated = true;
            tell(child.pid, child.stop.ask(now));
        }
    }

    /// All jobs are to end.
    pub fn stop_all(&mut self) {
        let now = self.now;
        self.children.running.iter_mut().for_each(|child| tell(child.pid, child.stop.ask(now)));
    }

    /// Jobs that have run for too long are told to end, and those that were told in vain are killed; workers that have none
    /// are ended.
    pub fn stop_overdue(&mut self) {
        self.children.workers.end_idle(self.now);
        for mut child in std::mem::take(&mut self.children.running) {
            let order = child.stop.overdue(self.now);
            match order {
                Some(Order::Term) => {
                    let timeout = child.scheduler.timeout.unwrap_or_default();
                    self.say_of_child(Level::Error, &child, format_args!("runs for {timeout} now and gets SIGTERM"));
                }
                Some(Order::Kill) => self.say_of_child(Level::Warning, &child, format_args!("gets SIGKILL")),
                Some(Order::Nothing) | None => {}
            }
            tell(child.pid, order);
            self.children.running.push(child);
        }
        let now = self.now;
        self.children.leftovers.retain_mut(|(group, rest)| match rest.overdue(now) {
            None => true,
            Some(Order::Kill) => {
                tell(*group, Some(Order::Kill));
                false
            }
            Some(order) => signal::order_group(*group, order).is_ok(),
        });
    }

    fn say_of_child(&mut self, level: Level, child: &Child, message: std::fmt::Arguments<'_>) {
        self.say_under(level, &child.scheduler, &child.about, message);
    }

    /// Logs what became of a task.
    pub fn say_of_task(&mut self, level: Level, about: &About, message: std::fmt::Arguments<'_>) {
        let Some(scheduler) = self.config.scheduler(about.scheduler).cloned() else { return };
        self.say_under(level, &scheduler, about, message);
    }

    fn say_under(&mut self, level: Level, scheduler: &Scheduler, about: &About, message: std::fmt::Arguments<'_>) {
        if level >= scheduler.rules.notes {
            let subject = say::Subject(&scheduler.name, about);
            self.log.line(level, &scheduler.logname, format_args!("{subject}: {message}"));
        }
    }
}

/// What the placeholders stand for.
fn values<'a>(scheduler: &'a Scheduler, about: &'a About, date: &'a str) -> Values<'a> {
    Values {
        maskname: events::first_name(about.mask),
        pathname: &about.path,
        src_pathname: about.source.as_deref().unwrap_or_default(),
        task_id: about.id,
        scheduler: &scheduler.name,
        date,
    }
}

/// The archive of what the task is about.
fn archive_job(archiving: &Archiving, scheduler: &Scheduler, about: &About, date: &str) -> Result<Job, String> {
    Job::new(archiving, &values(scheduler, about, date), &scheduler.roots)
}

/// What the first rule that is for the path says.
fn file_job(scheduler: &Scheduler, about: &About) -> Result<FileJob, String> {
    let rules = scheduler.rules.matching.as_deref().unwrap_or_default();
    let rule = rule::first(rules, &about.path).ok_or("no rule is for this path")?;
    FileJob::new(rule, &about.path, &scheduler.roots).ok_or("its rule leaves it alone")?
}

fn tell(group: Pid, order: Option<Order>) {
    if let Some(order) = order {
        // ESRCH only says that the whole group is gone already.
        let _ = signal::order_group(group, order);
    }
}
