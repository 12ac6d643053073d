//! `[daemon]`, all sections of that name together.

use super::logs::Logs;
use super::values::{a_count, a_duration, one_of};
use crate::config::ini::Section;
use crate::config::keys::Reader;
use crate::config::{OnShutdown, Places};
use crate::parts::diag::Diagnostic;
use crate::parts::duration::Millis;

const SHUTDOWN_TIMEOUT: Millis = Millis(30_000);
const MAX_JOBS: usize = 4;
const ON_SHUTDOWN: [(&str, OnShutdown); 2] = [("save", OnShutdown::Save), ("cancel", OnShutdown::Cancel)];

/// [daemon], all of them together.
pub(super) struct Daemon {
    pub(super) shutdown_timeout: Millis,
    pub(super) on_shutdown: OnShutdown,
    pub(super) max_jobs: usize,
    pub(super) places: Places,
    pub(super) logs: Logs,
}

pub(super) fn daemon<'a>(sections: impl Iterator<Item = &'a Section>, complaints: &mut Vec<Diagnostic>) -> Daemon {
    let mut daemon = Daemon {
        shutdown_timeout: SHUTDOWN_TIMEOUT,
        on_shutdown: OnShutdown::default(),
        max_jobs: MAX_JOBS,
        places: Places::default(),
        logs: Logs::default(),
    };
    for section in sections {
        let mut reader = Reader::new(section, complaints);
        daemon.shutdown_timeout = reader.value("shutdown_timeout", a_duration).unwrap_or(daemon.shutdown_timeout);
        let on_shutdown = reader.value("on_shutdown", |word| one_of(word, &ON_SHUTDOWN));
        daemon.on_shutdown = on_shutdown.unwrap_or(daemon.on_shutdown);
        daemon.max_jobs = reader.value("max_jobs", a_count).unwrap_or(daemon.max_jobs);
        let places = Places { state: reader.path("state_dir"), run: reader.path("run_dir") };
        daemon.places = places.or(daemon.places);
        daemon.logs.read(section, &mut reader);
    }
    daemon
}
