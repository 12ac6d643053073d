//! Sources begin by themselves: each has one task in all, which is there from the start, and again whenever it asks for that.

use super::{Daemon, End};
use crate::config::{Config, Scheduler};
use crate::engine::task::{About, SchedulerId, TaskRef};
use crate::jobs::Work;
use crate::parts::diag::Failure;
use crate::parts::log::Level;
use crate::parts::stream::Stream;
use crate::sources::{self, AFTER_FAILURE};
use crate::sys::inotify::Mask;
use crate::sys::spawn::Exit;
use crate::sys::timer::WallTimer;
use crate::sys::{Errno, clock};
use std::os::fd::{AsFd, BorrowedFd};

/// Makes what the sources of a configuration want watched.
pub fn prepare(config: &Config) {
    for scheduler in &config.schedulers {
        if let Work::Source(call) = &scheduler.work {
            sources::prepare(call);
        }
    }
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

    fn begin_source(&mut self, number: SchedulerId) {
        if let Some(Work::Source(call)) = self.config.scheduler(number).map(|scheduler| &scheduler.work) {
            self.engine.begin(self.now, number, (Mask::CREATE.with(Mask::ISDIR), &call.root));
        }
    }

    /// A worker has ended without an answer, or there was none. If it is a source's, which has not said when it wants to look
    /// again, it does after a while.
    pub fn source_is_unheard(&mut self, about: &About, scheduler: &Scheduler) {
        if matches!(scheduler.work, Work::Source(_)) {
            let soon = clock::wall_now().saturating_add_unsigned(AFTER_FAILURE.0 / 1_000);
            self.appointments.make(about.scheduler, soon);
        }
    }

    /// A source's job has ended. Whoever waits for its first result is told, and whoever reads of them all.
    pub fn source_has_worked(&mut self, task: TaskRef, result: &Result<Option<Vec<u8>>, String>) {
        if result.is_err() {
            // What it has put back where it was is no reason to look again at once.
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
