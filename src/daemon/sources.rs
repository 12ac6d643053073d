//! Sources begin by themselves: each has one task in all, which is there from the start, and again whenever it asks for that.

use super::shutdown::Phase;
use super::{Daemon, End};
use crate::config::Config;
use crate::engine::task::{Outcome, SchedulerId, TaskRef};
use crate::jobs::{Call, Work};
use crate::parts::diag::Failure;
use crate::parts::lockfile::{self, Lockfile, Refused};
use crate::parts::log::Level;
use crate::parts::stream::Stream;
use crate::sources::{self, AFTER_FAILURE};
use crate::sys::Errno;
use crate::sys::inotify::Mask;
use crate::sys::spawn::Exit;
use crate::sys::timer::WallTimer;
use std::os::fd::{AsFd, BorrowedFd};

/// Makes what the sources of a configuration want watched.
pub fn prepare(config: &Config) {
    for scheduler in &config.schedulers {
        if let Work::Source(call) = &scheduler.work {
            sources::prepare(call);
        }
    }
}

/// Takes the locks that the sources of a configuration need, and lets go of others; after an error, all are as they were.
pub fn lock(config: &Config, held: &mut Vec<Lockfile>) -> Result<(), Failure> {
    let calls = config.schedulers.iter().filter_map(|scheduler| match &scheduler.work {
        Work::Source(call) => Some(call),
        Work::Archive(_) | Work::Command(_) | Work::Files | Work::Own(_) => None,
    });
    let wanted: Vec<Vec<u8>> = calls.flat_map(sources::locks).collect();
    let missing = wanted.iter().filter(|path| !held.iter().any(|lock| lock.path() == **path));
    let take = |path: &Vec<u8>| {
        lockfile::take(path).map_err(|refused| match refused {
            Refused::Held(failure) => failure.hint("somebody else makes the backups of that directory"),
            Refused::Failed(failure) => failure,
        })
    };
    let taken = missing.map(take).collect::<Result<Vec<Lockfile>, Failure>>()?;
    held.retain(|lock| wanted.iter().any(|path| path == lock.path()));
    held.extend(taken);
    Ok(())
}

/// Instants of the wall clock at which sources want to look again.
#[derive(Default)]
pub struct Appointments {
    timer: Option<WallTimer>,
    /// At most one a source.
    kept: Vec<(SchedulerId, i64)>,
    armed: Option<i64>,
}

impl Appointments {
    /// A source wants to look again then.
    pub fn make(&mut self, source: SchedulerId, instant: i64) {
        self.kept.retain(|(known, _)| *known != source);
        self.kept.push((source, instant));
    }

    /// What to poll for them.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.timer.as_ref().map(AsFd::as_fd)
    }

    /// Arms the timer for the first of them; ECANCELED if the clock was set.
    fn arm(&mut self) -> Result<(), Errno> {
        let first = self.kept.iter().map(|(_, instant)| *instant).min();
        let Some(instant) = first.filter(|_| first != self.armed) else { return Ok(()) };
        let timer = match self.timer.take() {
            Some(timer) => timer,
            None => WallTimer::new()?,
        };
        let armed = timer.arm(instant);
        self.timer = Some(timer);
        armed.map(|()| self.armed = Some(instant))
    }
}

impl Daemon {
    /// Arms the timer of the wall clock for what sources have asked for.
    pub fn arm_appointments(&mut self) -> Result<(), Failure> {
        match self.appointments.arm() {
            Err(Errno::ECANCELED) => {
                self.appointments_are_due();
                Ok(())
            }
            armed => armed.map_err(|errno| Failure::of("arm the timer of the wall clock", errno)),
        }
    }

    /// The timer has fired, or the clock was set: whoever waits for an instant looks again, and says when next.
    pub fn wall_clock_woke(&mut self) -> Result<(), Failure> {
        let woken = self.appointments.timer.as_ref().map_or(Ok(()), WallTimer::acknowledge);
        self.appointments_are_due();
        woken.map_err(|errno| Failure::of("read the timer of the wall clock", errno))
    }

    fn appointments_are_due(&mut self) {
        self.appointments.armed = None;
        for (source, _) in std::mem::take(&mut self.appointments.kept) {
            self.begin_source(source);
        }
    }

    /// Has each source look once at what there is; all that it wants to see later wakes it.
    pub fn begin_sources(&mut self) {
        self.appointments = Appointments::default();
        (0..).zip(0..self.config.schedulers.len()).for_each(|(number, _)| self.begin_source(number));
    }

    /// The same once more, for whoever asks for it.
    pub fn look_again(&mut self) {
        if self.phase == Phase::Running {
            self.begin_sources();
        }
    }

    fn begin_source(&mut self, number: SchedulerId) {
        if let Some(Work::Source(call)) = self.config.scheduler(number).map(|scheduler| &scheduler.work) {
            self.engine.begin(self.now, number, (Mask::CREATE.with(Mask::ISDIR), &call.root));
        }
    }

    /// A source's job has ended. After a failure, a killed worker's too, it has another try, and not at once: what it has put
    /// back where it was is no reason for that. Whoever waits for its first result is told, and whoever reads of them all.
    pub fn source_has_worked(
        &mut self,
        task: TaskRef,
        call: &Call,
        outcome: Outcome<'_>,
        result: &Result<Option<Vec<u8>>, String>,
    ) {
        // Who is to end waits for what goes on.
        if result.is_err() && self.phase == Phase::Running {
            self.engine.again(task, AFTER_FAILURE.after(self.now));
        }
        self.engine.finished(self.now, task, outcome);
        if result.is_err() && sources::wakes_itself(call) {
            self.engine.hold(self.now, task, AFTER_FAILURE);
        }
        if self.presence.wishes.once && !matches!(result, Ok(None)) {
            self.verdict = Some(End::Command(Exit::Code(result.is_err().into())));
        }
        let Some(line) = self.presence.wishes.announce.filter(|_| matches!(result, Ok(Some(_)))) else { return };
        // A line is written whole or not at all; nobody is waited for.
        if let Err(errno) = Stream::output().write(line) {
            self.say(Level::Warning, format_args!("{}", Failure::of("write to standard output", errno)));
        }
    }
}
