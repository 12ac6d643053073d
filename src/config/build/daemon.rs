//! `[daemon]`, all sections of that name together.

use super::values::{a_count, a_duration, a_level, a_log, one_of};
use crate::config::ini::Section;
use crate::config::keys::{Reader, expected};
use crate::config::{DAEMON, OnShutdown, Places, Scheduler};
use crate::parts::diag::{Diagnostic, Span};
use crate::parts::duration::Millis;
use crate::parts::log::Level;

const SHUTDOWN_TIMEOUT: Millis = Millis(30_000);
const MAX_JOBS: usize = 4;
const ON_SHUTDOWN: [(&str, OnShutdown); 2] = [("save", OnShutdown::Save), ("cancel", OnShutdown::Cancel)];

/// [daemon], all of them together.
pub(super) struct Daemon {
    pub(super) shutdown_timeout: Millis,
    pub(super) on_shutdown: OnShutdown,
    pub(super) max_jobs: usize,
    pub(super) places: Places,
    level: Level,
    levels: Vec<(String, Level, Span)>,
}

pub(super) fn daemon<'a>(sections: impl Iterator<Item = &'a Section>, complaints: &mut Vec<Diagnostic>) -> Daemon {
    let mut daemon = Daemon {
        shutdown_timeout: SHUTDOWN_TIMEOUT,
        on_shutdown: OnShutdown::default(),
        max_jobs: MAX_JOBS,
        places: Places::default(),
        level: Level::Info,
        levels: Vec::new(),
    };
    for section in sections {
        let mut reader = Reader::new(section, complaints);
        if let Some(timeout) = reader.value("shutdown_timeout", a_duration) {
            daemon.shutdown_timeout = timeout;
        }
        if let Some(what) = reader.value("on_shutdown", |word| one_of(word, &ON_SHUTDOWN)) {
            daemon.on_shutdown = what;
        }
        if let Some(most) = reader.value("max_jobs", a_count) {
            daemon.max_jobs = most;
        }
        let places = Places { state: reader.path("state_dir"), run: reader.path("run_dir") };
        daemon.places = places.or(daemon.places);
        if let Some(level) = reader.value("log", a_log) {
            daemon.level = level;
        }
        for entry in reader.entries("log").skip(1) {
            let complaint = Diagnostic::error(entry.value_span.clone(), "standard error is the log already");
            reader.complain(complaint.help("write one line log = stderr LEVEL"));
        }
        for entry in &section.entries {
            let Some(name) = entry.key.strip_prefix("loglevel.").filter(|name| !name.is_empty()) else { continue };
            match a_level(&entry.text()) {
                Ok(level) => daemon.levels.push((name.to_owned(), level, entry.key_span.clone())),
                Err(right) => {
                    let message = format!("\"{}\" is no level", entry.text());
                    reader.complain(Diagnostic::error(entry.value_span.clone(), message).help(right));
                }
            }
        }
    }
    daemon
}

impl Daemon {
    /// The least level that is logged under a name; later sections win.
    pub(super) fn level_of(&self, logname: &str) -> Level {
        let own = self.levels.iter().rev().find(|(name, ..)| name == logname);
        own.map_or(self.level, |(_, level, _)| *level)
    }

    /// Warns of levels for names under which nobody logs.
    pub(super) fn check_names(&self, schedulers: &[Scheduler], complaints: &mut Vec<Diagnostic>) {
        let mut known: Vec<&str> = schedulers.iter().map(|scheduler| scheduler.logname.as_str()).collect();
        known.push(DAEMON);
        for (name, _, span) in self.levels.iter().filter(|(name, ..)| !known.contains(&name.as_str())) {
            let warning = Diagnostic::warning(span.clone(), format!("nothing is logged under the name \"{name}\""));
            complaints.push(warning.help(expected(name, &known)));
        }
    }
}
