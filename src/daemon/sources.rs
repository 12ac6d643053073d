//! Sources begin by themselves: each has one task in all, which is there from the start, and again whenever it asks for that.

use super::{Daemon, End};
use crate::config::Config;
use crate::engine::task::{Outcome, TaskRef};
use crate::jobs::Work;
use crate::parts::diag::Failure;
use crate::parts::duration::Millis;
use crate::parts::log::Level;
use crate::parts::stream::Stream;
use crate::sources;
use crate::sys::inotify::Mask;
use crate::sys::spawn::Exit;

/// After a failure, a source is asked again after this.
const AFTER_FAILURE: Millis = Millis(10_000);

/// Makes what the sources of a configuration want watched.
pub fn prepare(config: &Config) {
    for scheduler in &config.schedulers {
        if let Work::Source(call) = &scheduler.work {
            sources::prepare(call);
        }
    }
}

impl Daemon {
    /// Has each source look once at what there is; all that it wants to see later wakes it.
    pub fn begin_sources(&mut self) {
        for (number, scheduler) in (0..).zip(&self.config.schedulers) {
            if let Work::Source(call) = &scheduler.work {
                self.engine.begin(self.now, number, (Mask::CREATE.with(Mask::ISDIR), &call.root));
            }
        }
    }

    /// A source's job has ended. After a failure, a killed worker's too, it has another try, and not at once: what it has put
    /// back where it was is no reason for that. Whoever waits for its first result is told, and whoever reads of them all.
    pub fn source_has_worked(&mut self, task: TaskRef, outcome: Outcome<'_>, result: &Result<Option<Vec<u8>>, String>) {
        if result.is_err() {
            self.engine.again(task, AFTER_FAILURE.after(self.now));
        }
        self.engine.finished(self.now, task, outcome);
        if result.is_err() {
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
