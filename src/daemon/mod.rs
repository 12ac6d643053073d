//! The loop: one turn waits, reads what has come, feeds the engine, and carries out what the engine says.
//!
//! It blocks in ppoll(2) without a timeout; the one timerfd is armed for the next thing that is due, and for nothing
//! else. Cancelling events that came with an expiry are read before anything starts. Nothing in a turn blocks.

mod children;
mod degraded;
mod hops;
mod moment;
mod mounts;
mod perform;
mod presence;
mod printer;
mod reload;
mod saved;
mod say;
mod scan;
mod shutdown;
mod sources;
mod status;

pub use presence::{PID_FILE, Wishes};
pub use printer::{Printer, Wanted};
pub use status::STATUS_FILE;

use crate::config::{Config, DAEMON};
use crate::engine::Engine;
use crate::engine::task::Tasks;
use crate::engine::watch::Watches;
use crate::jobs::Work;
use crate::jobs::command::{Command, Environment};
use crate::parts::diag::Failure;
use crate::parts::lockfile::Lockfile;
use crate::parts::log::{Level, Log};
use crate::sys::clock::{self, Tick};
use crate::sys::inotify::{self, Inotify, Mask};
use crate::sys::poll::{Interest, Poll};
use crate::sys::process::Pid;
use crate::sys::signal::{Signal, Signals};
use crate::sys::spawn::Exit;
use crate::sys::timer::BootTimer;
use crate::sys::{Errno, fs, process, random};
use children::Children;
pub use reload::Origin;

use degraded::Degraded;
use moment::Moment;
use mounts::Mounts;
use presence::Presence;
use saved::Keeping;
use scan::Scanner;
use shutdown::Phase;
use sources::Appointments;
use status::Counters;
use std::os::fd::AsFd;

/// What the loop is woken by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token {
    Signals,
    Inotify,
    Timer,
    /// The wall clock: it is time, or it was set.
    WallClock,
    Mounts,
    Log,
    /// Standard output, where events are printed.
    Printer,
    /// A command's pipe, by number.
    Output(usize),
    /// What a worker has to say, by its process.
    Worker(Pid),
}

/// A call of the loop's own that fails (for want of memory, say) is made again in the next turn, for what it is about
/// is still there. One that has failed for so many milliseconds will not recover.
const PATIENCE: u64 = 10_000;

/// How the loop ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// As asked.
    Orderly,
    /// At once, for it was asked twice, or cannot print.
    Hasty,
    /// With the first command.
    Command(Exit),
    /// There was no event to print for too long.
    TimedOut,
}

/// Whether dogwatch has the rights that a configuration needs.
fn permitted(config: &Config) -> Result<(), Failure> {
    let uid = process::effective_uid();
    for scheduler in &config.schedulers {
        let Work::Command(Command { user: Some(user), .. }) = &scheduler.work else { continue };
        if uid != 0 && user.uid != uid {
            let what = format!("run the commands of [scheduler {}] as another user", scheduler.name);
            return Err(Failure::of(&what, Errno::EPERM).hint("start dogwatch as root, or leave user = out"));
        }
    }
    Ok(())
}

struct Daemon {
    config: Config,
    /// None if it was made on the command line.
    origin: Option<Origin>,
    /// The configuration is to be read again.
    reload_asked: bool,
    environment: Environment,
    log: Log,
    signals: Signals,
    timer: BootTimer,
    armed: Option<Tick>,
    buffer: Vec<u8>,
    mounts: Mounts,
    scanner: Scanner,
    engine: Engine,
    children: Children,
    appointments: Appointments,
    /// What sources need locked.
    locks: Vec<Lockfile>,
    phase: Phase,
    /// It is to end like this.
    verdict: Option<End>,
    presence: Presence,
    printer: Option<Printer>,
    counters: Counters,
    keeping: Keeping,
    degraded: Degraded,
    /// All that is there at the start is watched.
    ready: bool,
    now: Tick,
    /// What has changed since may have had events that an overflow lost.
    since: Moment,
    /// When the queue was last seen empty.
    empty_at: Moment,
}

/// Runs until it is to end. An error is one that keeps the loop from starting, or from going on.
pub fn run(
    (config, origin): (Config, Option<Origin>),
    environment: Environment,
    log: Log,
    signals: Signals,
    wishes: Wishes,
) -> Result<End, Failure> {
    permitted(&config)?;
    let (presence, warnings) = Presence::new(wishes)?;
    let mut daemon = Daemon::new((config, origin), environment, log, signals, presence)?;
    daemon.log.set_time(clock::wall_now());
    for warning in warnings {
        daemon.say(Level::Warning, format_args!("{warning}"));
    }
    daemon.open_mounts();
    daemon.read_saved();
    let result = daemon.run();
    daemon.log.flush();
    result
}

impl Daemon {
    fn new(
        (config, origin): (Config, Option<Origin>),
        environment: Environment,
        log: Log,
        signals: Signals,
        mut presence: Presence,
    ) -> Result<Daemon, Failure> {
        let inotify = Inotify::new().map_err(|errno| match errno {
            Errno::EMFILE => Failure::of("open an inotify instance", errno)
                .hint("raise the sysctl fs.inotify.max_user_instances, or the limit of open files"),
            _ => Failure::of("open an inotify instance", errno),
        })?;
        let timer = BootTimer::new().map_err(|errno| Failure::of("make a timer", errno))?;
        fs::chdir_root().map_err(|errno| Failure::on_path("enter", b"/", errno))?;
        sources::prepare(&config);
        let mut locks = Vec::new();
        // What is made from the command line has a pid file of its own.
        if origin.is_some() {
            sources::lock(&config, &mut locks)?;
        }
        let (rules, now) = (config.rules(), clock::boot_now());
        let printer = presence.wishes.printer.take();
        let printed = printer.as_ref().map(Printer::events).unwrap_or_default();
        let watches = Watches::new(&config.watches, rules.used().with(printed), random::seed());
        let tasks = Tasks::new(rules, random::seed(), now);
        Ok(Daemon {
            engine: Engine::new(watches, tasks, config.is_traced() || printer.is_some()),
            config,
            origin,
            reload_asked: false,
            environment,
            log,
            signals,
            timer,
            armed: None,
            buffer: vec![0; inotify::BUFFER],
            mounts: Mounts::default(),
            scanner: Scanner::new(inotify),
            children: Children::default(),
            appointments: Appointments::default(),
            locks,
            phase: Phase::Running,
            verdict: None,
            presence,
            printer,
            counters: Counters::default(),
            keeping: Keeping::default(),
            degraded: Degraded::default(),
            ready: false,
            now,
            since: Moment::now(),
            empty_at: Moment::now(),
        })
    }

    fn run(&mut self) -> Result<End, Failure> {
        self.serve()?;
        let mut poll = Poll::new();
        let mut failing_since = None;
        loop {
            match self.turn(&mut poll) {
                Ok(Some(end)) => return Ok(end),
                Ok(None) => failing_since = None,
                Err(failure) => {
                    self.now = clock::boot_now();
                    let since = *failing_since.get_or_insert_with(|| {
                        self.say(Level::Error, format_args!("{failure}; trying again"));
                        self.now
                    });
                    if self.now.0 > since.0 + PATIENCE {
                        self.abandon();
                        return Err(failure);
                    }
                }
            }
        }
    }

    /// Does what follows from the last wait, waits, and reads what has come.
    fn turn(&mut self, poll: &mut Poll<Token>) -> Result<Option<End>, Failure> {
        self.reap()?;
        self.look_at_mounts()?;
        self.stop_overdue();
        self.shut_down_further();
        // Whoever waited for one result wants nothing begun after it.
        if self.verdict.is_none() && self.phase != Phase::Hasty && !self.is_behind() {
            self.settle();
        }
        self.print_on();
        if let Some(end) = self.is_over() {
            return Ok(Some(end));
        }
        self.reload_if_asked();
        if !self.ready && !self.has_work() && !self.engine.watches.is_in_doubt() {
            self.take_up_saved();
            self.begin_sources();
            self.is_ready();
            // What was saved may be due.
            self.run_tasks();
        }
        self.forget_saved_if_done();
        if !self.has_work() {
            self.since = self.empty_at;
        }
        // It may have sources look at once, for which the other timer is armed.
        self.arm_appointments()?;
        self.arm()?;
        self.log.flush();
        let woken = self.wait(poll)?;
        self.now = clock::boot_now();
        self.log.set_time(clock::wall_now());
        for token in woken {
            match token {
                Token::Signals => self.read_signals()?,
                Token::Inotify => self.read_events()?,
                Token::Timer => self.acknowledge_timer()?,
                Token::WallClock => self.wall_clock_woke()?,
                Token::Mounts => self.mounts.changed = true,
                Token::Log => self.log.flush(),
                Token::Printer => self.output_woke(),
                Token::Worker(pid) => self.hear(pid),
                Token::Output(number) => self.children.outputs.read(number, &mut self.log),
            }
        }
        self.children.outputs.tidy(&mut self.log);
        Ok(None)
    }

    fn wait(&self, poll: &mut Poll<Token>) -> Result<Vec<Token>, Failure> {
        poll.clear();
        poll.add(self.signals.as_fd(), Interest::Read, Token::Signals);
        if !self.is_behind() {
            poll.add(self.scanner.inotify.as_fd(), Interest::Read, Token::Inotify);
        }
        poll.add(self.timer.as_fd(), Interest::Read, Token::Timer);
        if let Some(fd) = self.appointments.fd() {
            poll.add(fd, Interest::Read, Token::WallClock);
        }
        if let Some(fd) = self.mounts.file() {
            poll.add(fd, Interest::Priority, Token::Mounts);
        }
        self.log.blocked_on().for_each(|fd| poll.add(fd, Interest::Write, Token::Log));
        for (number, fd) in self.children.outputs.fds() {
            poll.add(fd, Interest::Read, Token::Output(number));
        }
        for (pid, fd) in self.children.voices() {
            poll.add(fd, Interest::Read, Token::Worker(pid));
        }
        if let Some(printer) = &self.printer {
            printer.poll(poll, Token::Printer);
        }
        let is_idle = !self.has_work() && !self.engine.has_effects() || self.is_behind();
        let woken = poll.wait(is_idle).map_err(|errno| Failure::of("wait for events", errno))?;
        Ok(woken.collect())
    }

    fn read_signals(&mut self) -> Result<(), Failure> {
        while let Some(signal) = self.signals.next().map_err(|errno| Failure::of("read signals", errno))? {
            match signal {
                Signal::Child => self.children.ended = true,
                Signal::Term => self.asked_to_end("SIGTERM"),
                Signal::Int => self.asked_to_end("SIGINT"),
                Signal::Hup if self.presence.wishes.looks_again => self.look_again(),
                Signal::Hup if self.origin.is_none() => self.asked_to_end("SIGHUP"),
                Signal::Hup => {
                    self.log.reopen();
                    self.reload_asked = true;
                }
                Signal::Usr1 => self.write_status(),
            }
        }
        Ok(())
    }

    /// Reads what was in the queue when the turn began: a cancelling event among it is seen before anything starts, and
    /// a flood of further ones cannot hold the turn up for ever.
    fn read_events(&mut self) -> Result<(), Failure> {
        let fail = |errno| Failure::of("read events", errno);
        let (records, mut more) = self.read_some().map_err(fail)?;
        if more {
            let mut left = self.scanner.inotify.queued().map_err(fail)?;
            let mut read = records;
            while more && left > 0 {
                left = left.saturating_sub(read);
                (read, more) = self.read_some().map_err(fail)?;
            }
        }
        self.engine.watches.try_again();
        if !more {
            self.queue_is_empty();
        }
        Ok(())
    }

    /// From now on patience with what is in doubt is limited.
    fn queue_is_empty(&mut self) {
        self.engine.watches.queue_is_empty(self.now);
        self.empty_at = Moment::now();
    }

    /// Reads once; the answer is how many bytes, and whether there may be more.
    fn read_some(&mut self) -> Result<(usize, bool), Errno> {
        let room = self.buffer.len();
        let records = self.scanner.inotify.read(&mut self.buffer)?;
        let read = records.len();
        for record in records {
            if record.mask.any(Mask::Q_OVERFLOW) {
                self.counters.overflows += 1;
                self.log.line(Level::Error, DAEMON, format_args!("the event queue overflowed: events are lost"));
            }
            self.engine.feed(self.now, |watches, sink| watches.record(&record, sink));
        }
        // A record has at most 16 + 256 bytes: with more room than that left, the queue is empty.
        Ok((read, read + 272 > room))
    }

    fn acknowledge_timer(&mut self) -> Result<(), Failure> {
        self.armed = None;
        self.timer.acknowledge().map_err(|errno| Failure::of("read the timer", errno))
    }

    /// Arms the timer if something is due before what it is armed for. What is due later needs no call: the timer
    /// fires once for nothing, at most, and is armed again then.
    fn arm(&mut self) -> Result<(), Failure> {
        let deadlines = [
            self.engine.tasks().next(),
            self.engine.watches.deadline(),
            self.degraded.retry_at,
            self.phase.deadline(),
            self.children.deadline(),
            self.printer.as_ref().and_then(Printer::deadline),
        ];
        let next = deadlines.into_iter().flatten().min();
        match next {
            Some(next) if self.armed.is_none_or(|armed| next < armed) => {
                self.timer.arm(next).map_err(|errno| Failure::of("arm the timer", errno))?;
                self.armed = Some(next);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Logs under the daemon's own name.
    fn say(&mut self, level: Level, message: std::fmt::Arguments<'_>) {
        if level >= self.config.level {
            self.log.line(level, DAEMON, message);
        }
    }
}
