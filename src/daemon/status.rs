//! The answer to SIGUSR1: what the daemon is doing, as a file in the run directory.
//!
//! Lines `KEY: VALUE`, then sections: a line `KEY:` and indented lines. Paths stand last, escaped.

use super::Daemon;
use super::children::Doing;
use crate::engine::task::About;
use crate::engine::watch::events;
use crate::parts::duration::Millis;
use crate::parts::log::Level;
use crate::parts::publish;
use crate::parts::text::Escaped;
use crate::sys::clock::Tick;
use crate::sys::process;
use std::fmt::Display;

/// The file's name in the run directory.
pub const STATUS_FILE: &[u8] = b"status";
/// So many tasks are shown; the others are counted.
const MOST_SHOWN: usize = 1_000;

/// What has happened since the start.
#[derive(Default)]
pub struct Counters {
    pub overflows: u64,
    pub started: u64,
    pub done: u64,
    pub failed: u64,
}

impl Daemon {
    /// Writes the status file.
    pub fn write_status(&mut self) {
        let written = match &self.presence.wishes.places.run {
            Some(run) => publish::bytes(run, STATUS_FILE, 0o640, self.status().as_bytes()),
            None => return self.say(Level::Warning, format_args!("there is no run_dir to write the status to")),
        };
        if let Err(failure) = written {
            self.say(Level::Error, format_args!("{failure}"));
        }
    }

    fn status(&self) -> String {
        let wishes = &self.presence.wishes;
        let path = |path: &Option<Vec<u8>>| path.as_deref().map_or("none".to_owned(), |path| Escaped(path).to_string());
        let (watches, tasks) = (&self.engine.watches, self.engine.tasks());
        let (delayed, queued, running) = tasks.counts();
        let pairs: [(&str, &dyn Display); 19] = [
            ("version", &env!("CARGO_PKG_VERSION")),
            ("pid", &process::id()),
            ("since", &self.log.zone().civil(self.presence.since)),
            ("configuration", &Escaped(self.origin.as_ref().map_or(&[], |origin| &origin.path))),
            ("run_dir", &path(&wishes.places.run)),
            ("state_dir", &path(&wishes.places.state)),
            ("directories watched", &watches.watched_directories()),
            ("watch descriptors", &watches.watch_descriptors()),
            ("degraded", &self.want().unwrap_or_else(|| "no".to_owned())),
            ("events", &self.engine.events),
            ("queue overflows", &self.counters.overflows),
            ("tasks started", &self.counters.started),
            ("tasks done", &self.counters.done),
            ("tasks failed", &self.counters.failed),
            ("tasks cancelled", &tasks.cancelled),
            ("tasks delayed", &delayed),
            ("tasks queued", &queued),
            ("tasks running", &running),
            ("log lines lost", &self.log.lost()),
        ];
        let mut text: String = pairs.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
        text += "running:\n";
        for child in self.children.iter() {
            let took = Millis(self.now.0.saturating_sub(child.started.0)).whole_seconds();
            let task = task(&child.scheduler.name, &child.about);
            let progress = match &child.doing {
                Doing::Job { progress, .. } if progress.done > 0 || progress.total > 0 => format!("{progress}  "),
                Doing::Job { .. } | Doing::Command => String::new(),
            };
            text += &format!("  pid {}  for {took}  {progress}{task}\n", child.pid.raw());
        }
        text += "pending:\n";
        let shown = tasks.pending(self.engine.watches.tree(), MOST_SHOWN);
        for pending in &shown {
            // Rounded up, so that nothing is due in no time.
            let wait = |due: Tick| Millis(due.0.saturating_sub(self.now.0)).whole_seconds();
            let due = pending.due.map(|due| format!("in {}", wait(due)));
            text += &format!(
                "  due {}  {}\n",
                due.as_deref().unwrap_or("now"),
                task(self.name_of(&pending.about), &pending.about)
            );
        }
        match (delayed + queued).saturating_sub(shown.len()) {
            0 => text,
            more => text + &format!("  and {more} more\n"),
        }
    }

    fn name_of(&self, about: &About) -> &str {
        self.config.scheduler(about.scheduler).map_or("", |known| &known.name)
    }
}

fn task(scheduler: &str, about: &About) -> String {
    format!("{scheduler}#{}  {}  {}", about.id, events::first_name(about.mask), Escaped(&about.path))
}
