//! `[collector NAME]`: a scheduler of its own, and a watch and an event map that wake it.

use super::scheduler::Surroundings;
use super::values::{a_count, a_duration, a_level_of_compression};
use crate::config::Scheduler;
use crate::config::ini::Section;
use crate::config::keys::Reader;
use crate::engine::task::{self, Action, EventMap, Verb};
use crate::engine::watch::{Watch, WatchPath};
use crate::jobs::archive::USUAL_LEVEL;
use crate::jobs::{Call, Work};
use crate::parts::diag::Diagnostic;
use crate::sources::collect::{self, Settings};
use crate::sys::inotify::Mask;

/// A collector, in the terms of the engine.
pub(super) struct Collector {
    pub(super) scheduler: Scheduler,
    spool: Vec<u8>,
}

pub(super) fn collector(
    section: &Section,
    surroundings: &Surroundings<'_>,
    complaints: &mut Vec<Diagnostic>,
) -> Collector {
    let mut reader = Reader::new(section, complaints);
    if reader.entry("base_dir").is_none() {
        reader.section_error(format!("[collector {}] has no base_dir", section.name), "add base_dir = /DIRECTORY");
    }
    let base = reader.path("base_dir").and_then(|path| plain(&path, &mut reader)).unwrap_or_default();
    let settings = Settings {
        base: base.clone(),
        threshold: reader.value("threshold", a_count).unwrap_or(collect::THRESHOLD),
        max_age: reader.value("max_age", a_duration),
        keep: reader.value("keep", a_count),
        level: reader.value("level", a_level_of_compression).unwrap_or(USUAL_LEVEL),
    };
    let rules = task::Scheduler {
        delay: collect::DELAY,
        max_wait: Some(collect::DELAY),
        singlejob: true,
        then: reader.value("then", |name| surroundings.scheduler(name)),
        on_failure: reader.value("on_failure", |name| surroundings.scheduler(name)),
        notes: surroundings.logs.least(&section.name),
        ..task::Scheduler::default()
    };
    let call = Call { kind: collect::KIND, value: settings.encode(), root: base };
    let (name, logname) = (own_name(&section.name), section.name.clone());
    let work = Work::Source(call);
    let scheduler = Scheduler { name, logname, rules, work, roots: Vec::new(), timeout: None };
    Collector { scheduler, spool: settings.spool() }
}

/// A path without repeated or trailing slashes.
fn plain(path: &[u8], reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| matches!(*part, b"." | b"..")) {
        let span = reader.entry("base_dir")?.value_span.clone();
        reader.complain(Diagnostic::error(span, "a base directory's path has no . and .. in it"));
        return None;
    }
    Some([b"/", &parts.join(&b'/')[..]].concat())
}

/// No section has a name with a space in it.
fn own_name(name: &str) -> String {
    format!("collector {name}")
}

impl Collector {
    /// What wakes it, where it is the scheduler of this number and the map will have that one. A file has come whole when it
    /// is closed, renamed or linked there.
    pub(super) fn source(self, scheduler: usize, map: usize) -> (EventMap, Watch) {
        let name = self.scheduler.name;
        let mut events = EventMap::default();
        events.name.clone_from(&name);
        // There are fewer sections than that, or it was complained of.
        let scheduler = scheduler.try_into().unwrap_or_default();
        for event in [Mask::CLOSE_WRITE, Mask::MOVED_TO, Mask::CREATE] {
            events.set(event, vec![Action { scheduler, verb: Verb::Schedule }]);
        }
        let watch = Watch {
            name,
            paths: vec![WatchPath { base: self.spool, globs: Vec::new() }],
            exclude: Vec::new(),
            existing: true,
            tidied: false,
            map: map.try_into().unwrap_or_default(),
            rec: false,
            auto_add: false,
        };
        (events, watch)
    }
}
