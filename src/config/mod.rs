//! The configuration: text into typed values of the rooms that use them.
//!
//! Everything is read into one [`Config`] before anything starts, and nothing later looks at text again. All errors are
//! reported at once, each with its place. Keys and their meaning are described in dogwatch.conf(5).

mod build;
mod draft;
mod ini;
mod keys;
mod places;
mod read;
mod trust;

pub use draft::Draft;
pub use places::Places;
pub use trust::open_directory as open_trusted_directory;

use crate::engine::task::{self, EventMap, Rules, SchedulerId};
use crate::engine::watch::Watch;
use crate::jobs::Work;
use crate::parts::accounts::Accounts;
use crate::parts::diag::{Diagnostic, Failure, Severity, Source};
use crate::parts::duration::Millis;
use crate::parts::log::{Level, Routes};
use std::rc::Rc;

/// Where the configuration is, unless `-c` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/dogwatch/dogwatch.conf";

/// The daemon's own logname.
pub const DAEMON: &str = "daemon";

/// All that the daemon needs to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// How long pending tasks may still run after a request to end.
    pub shutdown_timeout: Millis,
    /// What becomes of those that are not due by then.
    pub on_shutdown: OnShutdown,
    /// Children at once.
    pub max_jobs: usize,
    /// Where its own directories are, as far as that is configured.
    pub places: Places,
    /// Which log lines go where.
    pub logs: Routes,
    /// The least level that the daemon itself logs.
    pub level: Level,
    /// Schedulers; their place is their number.
    pub schedulers: Vec<Rc<Scheduler>>,
    /// Event maps; their place is their number.
    pub maps: Vec<EventMap>,
    /// Watches.
    pub watches: Vec<Watch>,
}

/// A scheduler with its job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scheduler {
    /// The section's name.
    pub name: String,
    /// The name in the log.
    pub logname: String,
    /// What decides about its tasks.
    pub rules: task::Scheduler,
    /// What its tasks do.
    pub work: Work,
    /// The paths below which what its tasks are for is found, as far as rules need to know: watches' paths, and the
    /// destinations of rules that hand on to it.
    pub roots: Vec<Vec<u8>>,
    /// A job that runs for longer is ended.
    pub timeout: Option<Millis>,
}

/// What becomes of tasks that are not due in time at the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnShutdown {
    /// They are saved, and taken up again at the next start.
    #[default]
    Save,
    /// They are cancelled.
    Cancel,
}

/// A configuration that may be obeyed, with what is to be said about it.
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// Warnings, each several lines.
    pub warnings: Vec<String>,
}

/// Why there is no configuration: what was found wrong, warnings among it, each a text of its own.
#[derive(Debug)]
pub struct Refused {
    /// All complaints, errors first.
    pub complaints: Vec<String>,
    /// How many of them are errors.
    pub errors: usize,
}

impl Config {
    /// What it says of tasks.
    pub fn rules(&self) -> Rules {
        let schedulers = self.schedulers.iter().map(|scheduler| scheduler.rules.clone()).collect();
        Rules { schedulers, maps: self.maps.clone(), max_jobs: self.max_jobs }
    }

    /// The scheduler of this number.
    pub fn scheduler(&self, number: SchedulerId) -> Option<&Rc<Scheduler>> {
        self.schedulers.get(usize::from(number))
    }

    /// The number of the scheduler of this name.
    pub fn number_of(&self, name: &str) -> Option<SchedulerId> {
        let at = self.schedulers.iter().position(|scheduler| scheduler.name == name)?;
        SchedulerId::try_from(at).ok()
    }

    /// Whether somebody wants to know of every event.
    pub fn is_traced(&self) -> bool {
        self.level == Level::Debug
    }

    /// The same with every level at DEBUG.
    pub fn debugging(mut self) -> Config {
        self.logs = self.logs.debugging();
        self.level = Level::Debug;
        for scheduler in &mut self.schedulers {
            Rc::make_mut(scheduler).rules.notes = Level::Debug;
        }
        self
    }
}

/// Reads the configuration from its main file and the drop-ins beside it, for a program that has these jobs of its own.
pub fn load(main: &[u8], jobs: &[String]) -> Result<Loaded, Refused> {
    let refused = |failures: Vec<Failure>| Refused {
        errors: failures.len(),
        complaints: failures.iter().map(|failure| format!("error: {failure}\n")).collect(),
    };
    parse(&read::sources(main).map_err(refused)?, &read::accounts(), jobs)
}

/// Reads the configuration from texts, in their order.
pub fn parse(sources: &[Source], accounts: &Accounts, jobs: &[String]) -> Result<Loaded, Refused> {
    let mut complaints: Vec<Diagnostic> = Vec::new();
    let sections = build::sections(sources, &mut complaints);
    conclude(sources, sections, complaints, (accounts, jobs))
}

/// Sections into values; what is wrong with them is added to the complaints and shown with the sources' lines.
fn conclude(
    sources: &[Source],
    sections: Vec<ini::Section>,
    mut complaints: Vec<Diagnostic>,
    known: (&Accounts, &[String]),
) -> Result<Loaded, Refused> {
    let config = build::build(sections, known, &mut complaints);
    complaints.sort_by(|one, other| one.span.cmp(&other.span));
    let rendered = |severity: Severity| {
        let chosen = complaints.iter().filter(move |complaint| complaint.severity == severity);
        chosen.map(|complaint| complaint.render(sources)).collect::<Vec<_>>()
    };
    let (errors, warnings) = (rendered(Severity::Error), rendered(Severity::Warning));
    if errors.is_empty() {
        Ok(Loaded { config, warnings })
    } else {
        Err(Refused { errors: errors.len(), complaints: [errors, warnings].concat() })
    }
}

#[cfg(test)]
mod tests;
