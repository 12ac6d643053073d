//! `[scheduler NAME]`: what decides about its tasks, and what they do.

use super::values::{
    a_boolean, a_count, a_duration, a_level_of_compression, a_number_of, a_wait, a_word, list, one_of,
};
use crate::config::Scheduler;
use crate::config::ini::{Entry, Section};
use crate::config::keys::{Reader, expected};
use crate::engine::rule::Rule;
use crate::engine::task::{self, OnBusy, SchedulerId};
use crate::jobs::Work;
use crate::jobs::archive::USUAL_LEVEL;
use crate::jobs::archive::job::Archiving;
use crate::jobs::command::{Command, Line, Output, shell, words};
use crate::parts::accounts::{Account, Accounts};
use crate::parts::diag::Diagnostic;
use crate::parts::log::Routes;
use crate::parts::template::{Template, braces};
use std::rc::Rc;

/// What a scheduler's words may refer to.
pub(super) struct Surroundings<'a> {
    pub(super) logs: &'a Routes,
    /// All schedulers; their place is their number.
    pub(super) names: &'a [&'a str],
    /// All rules by their names; one that is wrong is `None`.
    pub(super) rules: &'a [(&'a str, Option<Rule>)],
    pub(super) accounts: &'a Accounts,
    /// The program's own jobs.
    pub(super) jobs: &'a [String],
}

/// The keys of which a scheduler has exactly one.
const WORK: [&str; 5] = ["archive", "cmd", "exec", "job", "rules"];
const ON_BUSY: [(&str, OnBusy); 3] = [("rerun", OnBusy::Rerun), ("skip", OnBusy::Skip), ("restart", OnBusy::Restart)];
const OUTPUT: [(&str, Output); 3] = [("log", Output::Log), ("inherit", Output::Inherit), ("null", Output::Null)];

pub(super) fn scheduler(
    section: &Section,
    surroundings: &Surroundings<'_>,
    complaints: &mut Vec<Diagnostic>,
) -> Scheduler {
    let mut reader = Reader::new(section, complaints);
    let logname = reader.value("logname", a_word).unwrap_or_else(|| section.name.clone());
    let rules = task::Scheduler {
        delay: reader.value("delay", a_duration).unwrap_or_default(),
        files: reader.value("files", a_boolean).unwrap_or(true),
        dirs: reader.value("dirs", a_boolean).unwrap_or(false),
        singlejob: reader.value("singlejob", a_boolean).unwrap_or(false),
        max_wait: reader.value("max_wait", a_wait),
        on_busy: reader.value("on_busy", |word| one_of(word, &ON_BUSY)).unwrap_or_default(),
        max_jobs: reader.value("max_jobs", a_count).unwrap_or(usize::MAX),
        then: reader.value("then", |name| surroundings.scheduler(name)),
        on_failure: reader.value("on_failure", |name| surroundings.scheduler(name)),
        notes: surroundings.logs.least(&logname),
        matching: reader.entry("rules").map(|entry| rules(entry, &mut reader, surroundings)),
    };
    if !rules.files && !rules.dirs {
        reader.section_error("neither files nor directories count", "set files = yes or dirs = yes");
    }
    let timeout = reader.value("timeout", a_duration).filter(|timeout| timeout.0 > 0);
    let work = work(section, &mut reader, surroundings).unwrap_or(Work::Own(String::new()));
    Scheduler { name: section.name.clone(), logname, rules, work, roots: Vec::new(), timeout }
}

/// What its tasks do: exactly one of the keys that say so.
fn work(section: &Section, reader: &mut Reader<'_>, surroundings: &Surroundings<'_>) -> Option<Work> {
    let user = reader.value("user", |word| surroundings.user(word));
    let output = reader.value("output", |word| one_of(word, &OUTPUT)).unwrap_or_default();
    if let Some(entry) = reader.entry("level").filter(|_| reader.entry("archive").is_none()) {
        reader.complain(Diagnostic::error(entry.key_span.clone(), "level is for archive").help("remove it"));
    }
    let mut chosen = WORK.iter().filter_map(|key| reader.entry(key).map(|entry| (*key, entry)));
    let (first, second) = (chosen.next(), chosen.next());
    let Some((key, entry)) = first else {
        reader.section_error(
            format!("[scheduler {}] has no job", section.name),
            "add archive =, cmd =, exec =, job = or rules =",
        );
        return None;
    };
    if let Some((other, second)) = second {
        let message = format!("a scheduler has one job, and {key} is here too");
        let complaint = Diagnostic::error(second.key_span.clone(), message);
        reader.complain(complaint.help(format!("remove one of {key} and {other}")));
        return None;
    }
    let line = match key {
        "cmd" => shell_line(entry, reader)?,
        "exec" => arguments(entry, reader)?,
        "archive" => {
            only_of_commands(["an archive is dogwatch's own", "what is archived is logged"], reader);
            return archive(entry, reader).map(Work::Archive);
        }
        "rules" => {
            only_of_commands(["a rule says whose its files are", "what becomes of files is logged"], reader);
            return Some(Work::Files);
        }
        _ => {
            only_of_commands(["a job runs as dogwatch itself does", "a job tells the log what it has to say"], reader);
            return own(reader, surroundings).map(Work::Own);
        }
    };
    Some(Work::Command(Command { line, user, output }))
}

/// Where archives go; below the literal beginning of the path.
fn archive(entry: &Entry, reader: &mut Reader<'_>) -> Option<Archiving> {
    warn_of_near_placeholders(entry, reader);
    let level = reader.value("level", a_level_of_compression).unwrap_or(USUAL_LEVEL);
    let to = Template::new(&entry.value);
    if !to.literal().starts_with(b"/") || entry.value.ends_with(b"/") {
        let complaint = Diagnostic::error(entry.value_span.clone(), "this is no absolute path of a file");
        reader.complain(complaint.help("write a path that begins with /, as in /backup/{name}-{date}.tar.gz"));
        return None;
    }
    Some(Archiving { to, level })
}

/// The rules of a comma-separated list; one that there is not is complained of.
fn rules(entry: &Entry, reader: &mut Reader<'_>, surroundings: &Surroundings<'_>) -> Rc<[Rule]> {
    let mut rules = Vec::new();
    for (name, span) in list(&entry.value, &entry.value_span) {
        match surroundings.rules.iter().find(|(known, _)| *known == name) {
            Some((_, rule)) => rules.extend(rule.clone()),
            None => {
                let names: Vec<&str> = surroundings.rules.iter().map(|(name, _)| *name).collect();
                let complaint = Diagnostic::error(span, format!("there is no [rule {name}]"));
                reader.complain(complaint.help(expected(&name, &names)));
            }
        }
    }
    rules.into()
}

/// Complains of `user` and `output`; `instead` says, of each, what holds.
fn only_of_commands(instead: [&str; 2], reader: &mut Reader<'_>) {
    for (key, instead) in ["user", "output"].into_iter().zip(instead) {
        if let Some(entry) = reader.entry(key) {
            let complaint = Diagnostic::error(entry.key_span.clone(), format!("{key} is for cmd and exec"));
            reader.complain(complaint.help(instead));
        }
    }
}

/// The name of a job that the program has registered.
fn own(reader: &mut Reader<'_>, surroundings: &Surroundings<'_>) -> Option<String> {
    let known: Vec<&str> = surroundings.jobs.iter().map(String::as_str).collect();
    reader.value("job", |name| match known.contains(&name) {
        true => Ok(name.to_owned()),
        false if known.is_empty() => Err("this program has no jobs of its own: they are written in Rust".to_owned()),
        false => Err(expected(name, &known)),
    })
}

impl Surroundings<'_> {
    pub(super) fn scheduler(&self, name: &str) -> Result<SchedulerId, String> {
        a_number_of("scheduler", name, self.names)
    }

    fn user(&self, word: &str) -> Result<Account, String> {
        self.accounts.user(word).ok_or_else(|| "a number, or a name in /etc/passwd".to_owned())
    }
}

fn shell_line(entry: &Entry, reader: &mut Reader<'_>) -> Option<Line> {
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
            Some(Line::Shell(line))
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

fn arguments(entry: &Entry, reader: &mut Reader<'_>) -> Option<Line> {
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
        Ok(words) => Some(Line::Exec(words)),
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
