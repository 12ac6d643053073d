//! Sections into values: names are resolved to numbers, and every value is checked.

mod daemon;
mod logs;
mod map;
mod rule;
mod scheduler;
mod source;
mod together;
mod values;
mod watch;

use super::ini::Section;
use super::keys::{self, Kind};
use super::{Config, DAEMON, Scheduler};
use crate::engine::task::EventMap;
use crate::engine::watch::Watch;
use crate::parts::accounts::Accounts;
use crate::parts::diag::{Diagnostic, Source, Span};
use daemon::daemon;
use map::event_map;
use rule::rule;
use scheduler::{Surroundings, scheduler};
use source::{backup, collector};
use std::rc::Rc;
use watch::watch;

/// The sections of all sources.
pub fn sections(sources: &[Source], complaints: &mut Vec<Diagnostic>) -> Vec<Section> {
    let mut sections = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        match python(number, &source.text) {
            Some(complaint) => complaints.push(complaint),
            None => sections.extend(super::ini::parse(number, &source.text, complaints)),
        }
    }
    sections
}

/// The configuration that the sections describe; it counts only if no complaint is an error.
pub fn build(
    sections: Vec<Section>,
    (accounts, jobs): (&Accounts, &[String]),
    complaints: &mut Vec<Diagnostic>,
) -> Config {
    let kinds: Vec<_> = sections.iter().map(|section| keys::kind_of(section, complaints)).collect();
    let sections: Vec<(Kind, Section)> =
        kinds.into_iter().zip(sections).filter_map(|(kind, section)| Some((kind?, section))).collect();
    for (kind, section) in sections.iter().filter(|(kind, _)| *kind != Kind::EventMap) {
        keys::check_keys(*kind, section, complaints);
    }
    unique(&sections, complaints);
    let of = |wanted: Kind| sections.iter().filter(move |(kind, _)| *kind == wanted).map(|(_, section)| section);
    let daemon = daemon(of(Kind::Daemon), complaints);
    let logs = daemon.logs.routes();
    let names: Vec<&str> = of(Kind::Scheduler).map(|section| section.name.as_str()).collect();
    let rule_names: Vec<&str> = of(Kind::Rule).map(|section| section.name.as_str()).collect();
    let rules: Vec<_> = of(Kind::Rule).map(|section| rule(section, accounts, complaints)).collect();
    let rules: Vec<_> = rule_names.into_iter().zip(rules).collect();
    let surroundings = Surroundings { logs: &logs, names: &names, rules: &rules, accounts, jobs };
    let mut schedulers: Vec<Scheduler> = of(Kind::Scheduler).map(|s| scheduler(s, &surroundings, complaints)).collect();
    let mut sources: Vec<_> = of(Kind::Collector).map(|s| collector(s, &surroundings, complaints)).collect();
    sources.extend(of(Kind::Backup).map(|s| backup(s, &surroundings, complaints)));
    schedulers.extend(sources.iter().map(|source| source.scheduler.clone()));
    let lognames: Vec<&str> = schedulers.iter().map(|scheduler| scheduler.logname.as_str()).chain([DAEMON]).collect();
    daemon.logs.check_names(&lognames, complaints);
    let chosen: Vec<(&Section, &Scheduler)> =
        of(Kind::Scheduler).chain(of(Kind::Collector)).chain(of(Kind::Backup)).zip(&schedulers).collect();
    together::refuse_cycles(&chosen, complaints);
    together::refuse_twins(&chosen, complaints);
    let mut maps: Vec<EventMap> = of(Kind::EventMap).map(|section| event_map(section, &names, complaints)).collect();
    together::warn_of_vain_max_wait(&chosen, &maps, complaints);
    let map_names: Vec<&str> = of(Kind::EventMap).map(|section| section.name.as_str()).collect();
    let mut watches: Vec<Watch> = of(Kind::Watch).map(|section| watch(section, &map_names, complaints)).collect();
    for (at, source) in (names.len()..).zip(sources) {
        let (map, watch) = source.waking(at, maps.len());
        maps.push(map);
        watches.push(watch);
    }
    if watches.is_empty() {
        let warning = Diagnostic::warning(Span::new(0, 0..0), "there is no watch: nothing will happen");
        complaints.push(warning.help("add a section [watch NAME] with path = and event_map ="));
    }
    let level = logs.least(DAEMON);
    together::warn_of_destinations(&chosen, &maps, &watches, complaints);
    let roots = together::roots(&chosen, &maps, &watches);
    together::keep_tidy(&chosen, &maps, &mut watches);
    let schedulers = schedulers.into_iter().zip(roots);
    let schedulers = schedulers.map(|(scheduler, roots)| Rc::new(Scheduler { roots, ..scheduler })).collect();
    let daemon::Daemon { shutdown_timeout, on_shutdown, max_jobs, places, .. } = daemon;
    Config { shutdown_timeout, on_shutdown, max_jobs, places, logs, level, schedulers, maps, watches }
}

/// pyinotifyd's configuration is a Python program, which its users may try first.
fn python(number: usize, text: &[u8]) -> Option<Diagnostic> {
    const SIGNS: [&str; 5] = ["import ", "from ", "Pyinotifyd(", "EventMap(", "Scheduler("];
    let mut start = 0;
    for line in text.split(|byte| *byte == b'\n') {
        let shown = String::from_utf8_lossy(line);
        let content = shown.trim();
        if content.starts_with('[') {
            return None;
        }
        if content.starts_with('#') {
            start += line.len() + 1;
            continue;
        }
        let calls = SIGNS.iter().skip(2).any(|sign| content.contains(sign));
        if calls || SIGNS.iter().take(2).any(|sign| shown.starts_with(sign)) || shown.starts_with("async def ") {
            let span = Span::new(number, start..start + line.trim_ascii_end().len());
            let complaint = Diagnostic::error(span, "this is a configuration of pyinotifyd, written in Python");
            return Some(complaint.help("dogwatch.conf(5), MIGRATION, shows each of its lines in dogwatch's form"));
        }
        start += line.len() + 1;
    }
    None
}

/// Names are unique over all files; only [daemon] may recur.
fn unique(sections: &[(Kind, Section)], complaints: &mut Vec<Diagnostic>) {
    for (at, (kind, section)) in sections.iter().enumerate() {
        let same = |(other, earlier): &(Kind, Section)| other == kind && earlier.name == section.name;
        if *kind != Kind::Daemon && sections.iter().take(at).any(same) {
            let message = format!("[{} {}] stands here a second time", section.kind, section.name);
            complaints.push(Diagnostic::error(section.span.clone(), message).help("names are unique over all files"));
        }
    }
}
