//! Sections into values: names are resolved to numbers, and every value is checked.

use super::ini::{Entry, Section};
use super::keys::{self, Kind, Reader, expected};
use super::{Config, DAEMON, Scheduler};
use crate::engine::task::{self, Action, EventMap, SchedulerId, Verb};
use crate::engine::watch::{MapId, NAME_MAX, Watch, WatchPath, events};
use crate::jobs::command::{Command, shell, words};
use crate::parts::diag::{Diagnostic, Source, Span};
use crate::parts::duration::{self, Millis};
use crate::parts::glob::{self, Glob};
use crate::parts::log::{self, LEVELS, Level};
use crate::parts::pattern::Pattern;
use crate::parts::template::{Template, braces};
use crate::sys::inotify::Mask;

const SHUTDOWN_TIMEOUT: Millis = Millis(30_000);
const MAX_JOBS: usize = 4;

/// The configuration that the sources describe; it counts only if no complaint is an error.
pub fn build(sources: &[Source], complaints: &mut Vec<Diagnostic>) -> Config {
    let mut sections = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        if let Some(complaint) = python(number, &source.text) {
            complaints.push(complaint);
            continue;
        }
        for section in super::ini::parse(number, &source.text, complaints) {
            if let Some(kind) = keys::kind_of(&section, complaints) {
                if kind != Kind::EventMap {
                    keys::check_keys(kind, &section, complaints);
                }
                sections.push((kind, section));
            }
        }
    }
    unique(&sections, complaints);
    let of = |wanted: Kind| sections.iter().filter(move |(kind, _)| *kind == wanted).map(|(_, section)| section);
    let daemon = daemon(of(Kind::Daemon), complaints);
    let schedulers: Vec<Scheduler> = of(Kind::Scheduler).map(|s| scheduler(s, &daemon, complaints)).collect();
    daemon.check_names(&schedulers, complaints);
    let names: Vec<&str> = of(Kind::Scheduler).map(|section| section.name.as_str()).collect();
    let maps: Vec<EventMap> = of(Kind::EventMap).map(|section| event_map(section, &names, complaints)).collect();
    let map_names: Vec<&str> = of(Kind::EventMap).map(|section| section.name.as_str()).collect();
    let watches: Vec<Watch> = of(Kind::Watch).map(|section| watch(section, &map_names, complaints)).collect();
    if watches.is_empty() {
        let warning = Diagnostic::warning(Span::new(0, 0..0), "there is no watch: nothing will happen");
        complaints.push(warning.help("add a section [watch NAME] with path = and event_map ="));
    }
    let level = daemon.level_of(DAEMON);
    Config { shutdown_timeout: daemon.shutdown_timeout, max_jobs: daemon.max_jobs, level, schedulers, maps, watches }
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

/// [daemon], all of them together.
struct Daemon {
    shutdown_timeout: Millis,
    max_jobs: usize,
    level: Level,
    levels: Vec<(String, Level, Span)>,
}

fn daemon<'a>(sections: impl Iterator<Item = &'a Section>, complaints: &mut Vec<Diagnostic>) -> Daemon {
    let mut daemon =
        Daemon { shutdown_timeout: SHUTDOWN_TIMEOUT, max_jobs: MAX_JOBS, level: Level::Info, levels: Vec::new() };
    for section in sections {
        let mut reader = Reader::new(section, complaints);
        if let Some(timeout) = reader.value("shutdown_timeout", a_duration) {
            daemon.shutdown_timeout = timeout;
        }
        if let Some(most) = reader.value("max_jobs", a_count) {
            daemon.max_jobs = most;
        }
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
    fn level_of(&self, logname: &str) -> Level {
        let own = self.levels.iter().rev().find(|(name, ..)| name == logname);
        own.map_or(self.level, |(_, level, _)| *level)
    }

    /// Warns of levels for names under which nobody logs.
    fn check_names(&self, schedulers: &[Scheduler], complaints: &mut Vec<Diagnostic>) {
        let mut known: Vec<&str> = schedulers.iter().map(|scheduler| scheduler.logname.as_str()).collect();
        known.push(DAEMON);
        for (name, _, span) in self.levels.iter().filter(|(name, ..)| !known.contains(&name.as_str())) {
            let warning = Diagnostic::warning(span.clone(), format!("nothing is logged under the name \"{name}\""));
            complaints.push(warning.help(expected(name, &known)));
        }
    }
}

fn scheduler(section: &Section, daemon: &Daemon, complaints: &mut Vec<Diagnostic>) -> Scheduler {
    let mut reader = Reader::new(section, complaints);
    let logname = reader.value("logname", a_word).unwrap_or_else(|| section.name.clone());
    let rules = task::Scheduler {
        delay: reader.value("delay", a_duration).unwrap_or_default(),
        files: reader.value("files", a_boolean).unwrap_or(true),
        dirs: reader.value("dirs", a_boolean).unwrap_or(false),
        singlejob: reader.value("singlejob", a_boolean).unwrap_or(false),
        notes: daemon.level_of(&logname),
    };
    if !rules.files && !rules.dirs {
        reader.section_error("neither files nor directories count", "set files = yes or dirs = yes");
    }
    let command = match (reader.entry("cmd"), reader.entry("exec")) {
        (Some(cmd), None) => shell_line(cmd, &mut reader),
        (None, Some(exec)) => arguments(exec, &mut reader),
        (Some(_), Some(second)) => {
            let complaint = Diagnostic::error(second.key_span.clone(), "a scheduler has one job, and cmd is here too");
            reader.complain(complaint.help("remove one of cmd and exec"));
            None
        }
        (None, None) => {
            reader.section_error(format!("[scheduler {}] has no job", section.name), "add cmd = or exec =");
            None
        }
    };
    let command = command.unwrap_or(Command::Shell(Vec::new()));
    Scheduler { name: section.name.clone(), logname, rules, command }
}

fn shell_line(entry: &Entry, reader: &mut Reader<'_>) -> Option<Command> {
    warn_of_near_placeholders(entry, reader);
    if entry.value.is_empty() {
        reader.complain(Diagnostic::error(entry.value_span.clone(), "no command").help("write a line for /bin/sh"));
        return None;
    }
    match shell::rewrite(&entry.value) {
        Ok(line) => {
            if shell::is_unfinished(&entry.value) {
                let warning =
                    Diagnostic::warning(entry.value_span.clone(), "a quote without an end: no shell will run this");
                reader.complain(warning);
            }
            Some(Command::Shell(line))
        }
        Err(misplaced) => {
            for wrong in misplaced {
                let span = entry.value_span.within(wrong.span);
                let complaint = Diagnostic::error(span, format!("a placeholder inside {}", wrong.inside));
                reader.complain(complaint.help("take it out of the quotes: it becomes one word whatever its value is"));
            }
            None
        }
    }
}

fn arguments(entry: &Entry, reader: &mut Reader<'_>) -> Option<Command> {
    warn_of_near_placeholders(entry, reader);
    match words::split(&entry.value) {
        Ok(words) if words.is_empty() => {
            let complaint = Diagnostic::error(entry.value_span.clone(), "no program");
            reader.complain(complaint.help("write a program's path and its arguments"));
            None
        }
        Ok(words) if words.first().is_some_and(Template::is_empty) => {
            reader.complain(Diagnostic::error(entry.value_span.clone(), "the program's name is empty"));
            None
        }
        Ok(words) => Some(Command::Exec(words)),
        Err(unclosed) => {
            let span = entry.value_span.within(unclosed.span);
            reader.complain(Diagnostic::error(span, unclosed.what));
            None
        }
    }
}

fn warn_of_near_placeholders(entry: &Entry, reader: &mut Reader<'_>) {
    for brace in braces(&entry.value) {
        if let Some(near) = brace.near {
            let warning =
                Diagnostic::warning(entry.value_span.within(brace.span), "no placeholder: it is left as it is");
            reader.complain(warning.help(format!("did you mean {{{near}}}?")));
        }
    }
}

fn event_map(section: &Section, schedulers: &[&str], complaints: &mut Vec<Diagnostic>) -> EventMap {
    let mut map = EventMap::default();
    let mut named: Vec<Mask> = Vec::new();
    let mut default: Option<(Span, Vec<Action>)> = None;
    for entry in &section.entries {
        let actions = actions(entry, schedulers, complaints);
        if entry.key.eq_ignore_ascii_case("default") {
            if default.replace((entry.key_span.clone(), actions)).is_some() {
                complaints.push(Diagnostic::error(entry.key_span.clone(), "default stands here a second time"));
            }
            continue;
        }
        for (word, span) in list(entry.key.as_bytes(), &entry.key_span) {
            let Some(event) = events::by_name(&word) else {
                complaints.push(unknown_event(&word, span));
                continue;
            };
            if named.contains(&event) {
                let message = format!("{} is mapped already", events::first_name(event));
                let complaint = Diagnostic::error(span, message);
                complaints.push(complaint.help("write all its schedulers in one line, with commas"));
                continue;
            }
            named.push(event);
            if event.any(NOISY) && !actions.is_empty() {
                complaints.push(noisy(span, events::first_name(event)));
            }
            map.set(event, actions.clone());
        }
    }
    if let Some((span, actions)) = default {
        if !actions.is_empty() {
            complaints.push(noisy(span, "default"));
        }
        for event in events::EVENTS.iter().filter(|event| !named.contains(&event.bit)) {
            map.set(event.bit, actions.clone());
        }
    }
    if section.entries.is_empty() {
        let complaint = Diagnostic::error(section.span.clone(), format!("[event_map {}] maps nothing", section.name));
        complaints.push(complaint.help("write EVENT = SCHEDULER"));
    }
    map
}

/// Events that mere reading gives rise to.
const NOISY: Mask = Mask::ACCESS.with(Mask::OPEN).with(Mask::CLOSE_NOWRITE);

fn noisy(span: Span, what: &str) -> Diagnostic {
    let warning = Diagnostic::warning(span, format!("with {what}, mere reading counts, the daemon's own too"));
    warning.help("name the events that matter, such as IN_CLOSE_WRITE and IN_MOVED_TO")
}

fn unknown_event(word: &str, span: Span) -> Diagnostic {
    let complaint = Diagnostic::error(span, format!("unknown event \"{word}\""));
    // The misprint of pyinotifyd's second example.
    if ["IN_WRITE_CLOSE", "WRITE_CLOSE"].iter().any(|misprint| misprint.eq_ignore_ascii_case(word)) {
        return complaint.help("it is IN_CLOSE_WRITE (pyinotifyd's documentation misprints it)");
    }
    if word.eq_ignore_ascii_case("default") {
        return complaint.help("default stands alone: it is every event that is not named");
    }
    let names: Vec<&str> = events::EVENTS.iter().map(|event| event.name).chain(["default"]).collect();
    complaint.help(expected(word, &names))
}

/// The words of a comma-separated list with their places.
fn list(bytes: &[u8], span: &Span) -> Vec<(String, Span)> {
    let mut start = 0;
    let mut words = Vec::new();
    for part in bytes.split(|byte| *byte == b',') {
        let lead = part.len() - part.trim_ascii_start().len();
        let word = part.trim_ascii();
        let place = span.within(start + lead..start + lead + word.len().max(1));
        words.push((String::from_utf8_lossy(word).into_owned(), place));
        start += part.len() + 1;
    }
    words
}

/// `none`, or schedulers, each with `cancel` before it or not.
fn actions(entry: &Entry, schedulers: &[&str], complaints: &mut Vec<Diagnostic>) -> Vec<Action> {
    let mut actions: Vec<Action> = Vec::new();
    if entry.value == b"none" {
        return actions;
    }
    for (words, span) in list(&entry.value, &entry.value_span) {
        let (verb, name) = match words.split_once(|c: char| c.is_ascii_whitespace()) {
            Some(("cancel", name)) => (Verb::Cancel, name.trim_start()),
            _ => (Verb::Schedule, words.as_str()),
        };
        match schedulers.iter().position(|known| *known == name).map(SchedulerId::try_from) {
            Some(Ok(scheduler)) => {
                let action = Action { scheduler, verb };
                if actions.contains(&action) {
                    complaints.push(Diagnostic::warning(span, format!("\"{words}\" stands here twice")));
                } else {
                    actions.push(action);
                }
            }
            _ if name == "none" => {
                complaints.push(Diagnostic::error(span, "\"none\" stands alone"));
            }
            _ => {
                let complaint = Diagnostic::error(span, format!("there is no [scheduler {name}]"));
                complaints.push(complaint.help(expected(name, schedulers)));
            }
        }
    }
    actions
}

fn watch(section: &Section, maps: &[&str], complaints: &mut Vec<Diagnostic>) -> Watch {
    let mut reader = Reader::new(section, complaints);
    let title = format!("[watch {}]", section.name);
    if reader.entry("path").is_none() {
        reader.section_error(format!("{title} has no path"), "add path = /DIRECTORY");
    }
    if reader.entry("event_map").is_none() {
        reader.section_error(format!("{title} has no event map"), "add event_map = NAME");
    }
    let map = reader.value("event_map", |name| {
        let number = maps.iter().position(|known| *known == name).and_then(|at| MapId::try_from(at).ok());
        number.ok_or_else(|| format!("there is no [event_map {name}]; {}", expected(name, maps)))
    });
    let mut paths = Vec::new();
    for entry in reader.entries("path") {
        match watch_path(&entry.value) {
            Ok(path) => paths.push(path),
            Err(wrong) => {
                reader.complain(Diagnostic::error(entry.value_span.clone(), wrong).help("write an absolute path"));
            }
        }
    }
    let mut exclude = Vec::new();
    for entry in reader.entries("exclude") {
        exclude.extend(pattern(entry, &mut reader));
    }
    Watch {
        paths,
        exclude,
        existing: reader.value("existing", a_boolean).unwrap_or(false),
        map: map.unwrap_or(0),
        rec: reader.value("rec", a_boolean).unwrap_or(false),
        auto_add: reader.value("auto_add", a_boolean).unwrap_or(false),
    }
}

/// A regular expression, or what its compiler says of it.
fn pattern(entry: &Entry, reader: &mut Reader<'_>) -> Option<Pattern> {
    match Pattern::new(&entry.value) {
        Ok(pattern) => Some(pattern),
        Err(wrong) => {
            let complaint = Diagnostic::error(entry.value_span.clone(), format!("no pattern: {}", wrong.message));
            reader.complain(match wrong.hint {
                Some(hint) => complaint.help(hint),
                None => complaint,
            });
            None
        }
    }
}

/// A path without repeated or trailing slashes, and from its first component with a wildcard on, patterns; or what is
/// wrong with it.
fn watch_path(path: &[u8]) -> Result<WatchPath, String> {
    if !path.starts_with(b"/") {
        return Err("a watch's path begins with /".to_owned());
    }
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| matches!(*part, b"." | b"..")) {
        return Err("a watch's path has no . and .. in it".to_owned());
    }
    if parts.iter().any(|part| glob::unescaped(part).len() > NAME_MAX) {
        return Err(format!("no file's name is longer than {NAME_MAX} bytes"));
    }
    let plain = parts.iter().position(|part| glob::is_pattern(part)).unwrap_or(parts.len());
    let (base, patterns) = parts.split_at(plain);
    if patterns.len() > usize::from(u8::MAX) {
        return Err("a path has at most 255 components from its first pattern on".to_owned());
    }
    let base: Vec<Vec<u8>> = base.iter().map(|part| glob::unescaped(part)).collect();
    let globs = patterns.iter().map(|part| Glob::new(part)).collect::<Result<_, _>>()?;
    Ok(WatchPath { base: [b"/", &base.join(&b'/')[..]].concat(), globs })
}

fn a_duration(text: &str) -> Result<Millis, String> {
    duration::parse(text)
        .ok_or_else(|| "a duration is one integer with ms, s, m, h or d; without it, seconds".to_owned())
}

fn a_boolean(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("write yes or no".to_owned()),
    }
}

fn a_count(text: &str) -> Result<usize, String> {
    let number = text.parse::<u16>().ok().filter(|number| *number > 0);
    number.map(usize::from).ok_or_else(|| "a number from 1 to 65535".to_owned())
}

fn a_level(text: &str) -> Result<Level, String> {
    log::level(text).ok_or_else(|| expected(text, &LEVELS.map(|(_, name, _)| name)))
}

fn a_log(text: &str) -> Result<Level, String> {
    match text.split_ascii_whitespace().collect::<Vec<_>>()[..] {
        ["stderr", level] => a_level(level),
        ["stderr"] => Ok(Level::Info),
        _ => Err("write stderr, and a level if it is not INFO".to_owned()),
    }
}

fn a_word(text: &str) -> Result<String, String> {
    if keys::is_name(text) { Ok(text.to_owned()) } else { Err("a name has letters, digits, _, - and .".to_owned()) }
}
