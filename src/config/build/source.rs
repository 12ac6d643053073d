//! `[collector NAME]`, `[backup]`: a scheduler of its own, and a watch and an event map that wake it.

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
use crate::parts::pattern::Pattern;
use crate::parts::zone::here;
use crate::sources::backup;
use crate::sources::collect::{self, Settings};
use crate::sys::inotify::Mask;

/// A source, in the terms of the engine.
pub(super) struct Source {
    pub(super) scheduler: Scheduler,
    /// What is watched, and for which events.
    paths: Vec<Vec<u8>>,
    events: &'static [Mask],
    exclude: Vec<Pattern>,
    /// Whether what is there counts.
    existing: bool,
}

/// A file has come whole when it is closed, renamed or linked there.
const ARRIVALS: [Mask; 3] = [Mask::CLOSE_WRITE, Mask::MOVED_TO, Mask::CREATE];
/// It is another one now.
const CHANGES: [Mask; 4] = [Mask::CLOSE_WRITE, Mask::MOVED_TO, Mask::CREATE, Mask::DELETE];
/// Where files stand by which the system says what its time zone is; others there do not count.
const ZONES: &[u8] = b"/etc";
const NO_ZONE: &[u8] = b"/etc/([^lT]|l[^o]|lo[^c]|T[^Z])";

pub(super) fn collector(
    section: &Section,
    surroundings: &Surroundings<'_>,
    complaints: &mut Vec<Diagnostic>,
) -> Source {
    let mut reader = Reader::new(section, complaints);
    if reader.entry("base_dir").is_none() {
        reader.section_error(format!("[collector {}] has no base_dir", section.name), "add base_dir = /DIRECTORY");
    }
    let base = reader.path("base_dir").and_then(|path| plain("base_dir", &path, &mut reader)).unwrap_or_default();
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
        ..rules(&mut reader, surroundings, &section.name)
    };
    let call = Call { kind: collect::KIND, value: settings.encode(), root: base };
    let scheduler = scheduler((own_name(section), section.name.clone()), rules, call);
    Source { scheduler, paths: vec![settings.spool()], exclude: Vec::new(), events: &ARRIVALS, existing: true }
}

pub(super) fn backup(section: &Section, surroundings: &Surroundings<'_>, complaints: &mut Vec<Diagnostic>) -> Source {
    let mut reader = Reader::new(section, complaints);
    if reader.entry("dir").is_none() {
        reader.section_error("[backup] has no dir", "add dir = /DIRECTORY");
    }
    let dir = reader.path("dir").and_then(|path| plain("dir", &path, &mut reader)).unwrap_or_default();
    let rules = rules(&mut reader, surroundings, backup::KIND);
    let schedules = [&dir[..], b"/", backup::SCHEDULES].concat();
    let call = Call { kind: backup::KIND, value: dir.clone(), root: dir };
    let scheduler = scheduler((own_name(section), backup::KIND.to_owned()), rules, call);
    let paths = [schedules, ZONES.to_vec()].into_iter().chain(here::file().and_then(|path| straight(&path))).collect();
    Source { scheduler, paths, exclude: Pattern::new(NO_ZONE).into_iter().collect(), events: &CHANGES, existing: false }
}

fn rules(reader: &mut Reader<'_>, surroundings: &Surroundings<'_>, logname: &str) -> task::Scheduler {
    task::Scheduler {
        singlejob: true,
        then: reader.value("then", |name| surroundings.scheduler(name)),
        on_failure: reader.value("on_failure", |name| surroundings.scheduler(name)),
        notes: surroundings.logs.least(logname),
        ..task::Scheduler::default()
    }
}

fn scheduler((name, logname): (String, String), rules: task::Scheduler, call: Call) -> Scheduler {
    Scheduler { name, logname, rules, work: Work::Source(call), roots: Vec::new(), timeout: None }
}

/// A path without repeated or trailing slashes.
fn plain(key: &str, path: &[u8], reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let straight = straight(path);
    if straight.is_none() {
        let span = reader.entry(key)?.value_span.clone();
        reader.complain(Diagnostic::error(span, "this path has no . and .. in it"));
    }
    straight
}

/// The same of one without `.` and `..`; no other.
fn straight(path: &[u8]) -> Option<Vec<u8>> {
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
    let is_straight = !parts.iter().any(|part| matches!(*part, b"." | b".."));
    is_straight.then(|| [b"/", &parts.join(&b'/')[..]].concat())
}

/// No section has a name with a space in it.
fn own_name(section: &Section) -> String {
    format!("{} {}", section.kind, section.name).trim_end().to_owned()
        + if section.name.is_empty() { " service" } else { "" }
}

impl Source {
    /// What wakes it, where it is the scheduler of this number and the map will have that one.
    pub(super) fn waking(self, scheduler: usize, map: usize) -> (EventMap, Watch) {
        let name = self.scheduler.name;
        let mut events = EventMap::default();
        events.name.clone_from(&name);
        // There are fewer sections than that, or it was complained of.
        let scheduler = scheduler.try_into().unwrap_or_default();
        for event in self.events {
            events.set(*event, vec![Action { scheduler, verb: Verb::Schedule }]);
        }
        let watch = Watch {
            name,
            paths: self.paths.into_iter().map(|base| WatchPath { base, globs: Vec::new() }).collect(),
            exclude: self.exclude,
            existing: self.existing,
            tidied: false,
            map: map.try_into().unwrap_or_default(),
            rec: false,
            auto_add: false,
        };
        (events, watch)
    }
}
