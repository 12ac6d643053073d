//! `dogwatch explain`: what the configuration would have done for an event, and why not more. Nothing is done.

use super::daemon::failed;
use super::watching::absolute;
use super::{Usage, check, out, shown};
use crate::config::{Config, Scheduler};
use crate::engine::rehearsal;
use crate::engine::rule::{self, Rule};
use crate::engine::task::{Action, Verb};
use crate::engine::watch::{Watch, events};
use crate::jobs::Work;
use crate::jobs::archive::job::{Archiving, Job};
use crate::jobs::command::{Command, Line};
use crate::jobs::files::plan::{self, FileJob};
use crate::parts::duration::Millis;
use crate::parts::template::{PLACEHOLDERS, Values};
use crate::parts::text::{Escaped, to_bytes};
use crate::sys::fs::{self, CWD, Kind};
use crate::sys::inotify::Mask;
use std::fmt::Write;
use std::process::ExitCode;

/// The command `explain`.
pub fn run(words: &[String], jobs: &[String]) -> Result<ExitCode, ExitCode> {
    let about = "Shows what would happen for an event on a path, and why not more: watches, maps,\n\
                 schedulers, commands. Exit status 0 if anything would, 1 if not.";
    let mut usage = Usage::new("dogwatch explain [-c FILE] EVENT PATH", about);
    check::configuration_option(&mut usage);
    let matches = usage.parse(words, 2)?;
    let [event, path] = &matches.free[..] else {
        return Err(usage.wrong("give an event, as IN_CLOSE_WRITE, and a path"));
    };
    // As a log shows it: with what else the kernel says.
    let (name, flags) = event.split_once('|').unwrap_or((event, ""));
    let Some(mask) = events::by_name(name) else {
        return Err(usage.wrong(&format!("\"{}\" is no event: see dogwatch list-events", shown(event))));
    };
    let path = absolute(&to_bytes(path)).map_err(failed)?;
    let loaded = check::load(&matches, jobs)?;
    let subject = Subject { mask, is_dir: is_dir(&path, flags), path };
    let (text, anything) = subject.explain(&loaded.config);
    out::print(&text)?;
    out::complain(&loaded.warnings.concat());
    if anything { Ok(ExitCode::SUCCESS) } else { Err(ExitCode::FAILURE) }
}

/// Whether the event is about a directory: it says so, or the path is one. What is not there is taken for a file.
fn is_dir(path: &[u8], flags: &str) -> bool {
    let says_so = flags.eq_ignore_ascii_case("IN_ISDIR") || flags.eq_ignore_ascii_case("ISDIR");
    says_so || fs::stat(CWD, path).is_ok_and(|found| found.kind == Kind::Directory)
}

/// The event that is asked about.
struct Subject {
    mask: Mask,
    path: Vec<u8>,
    is_dir: bool,
}

impl Subject {
    /// What would happen, in lines, and whether anything would.
    fn explain(&self, config: &Config) -> (String, bool) {
        let what = match (self.is_dir, fs::stat(CWD, &self.path).is_ok()) {
            (true, _) => "a directory",
            (false, true) => "a file",
            (false, false) => "a file (nothing is there now)",
        };
        let mut text = format!("{} {}: {what}\n", events::first_name(self.mask), Escaped(&self.path));
        let mut anything = false;
        for watch in &config.watches {
            let _ = write!(text, "[watch {}]: ", watch.name);
            if let Err(why_not) = self.told_by(watch) {
                let _ = writeln!(text, "no: {why_not}");
                continue;
            }
            let Some(map) = config.maps.get(usize::from(watch.map)) else { continue };
            let _ = writeln!(text, "yes; [event_map {}] {}", map.name, self.mapped(config, map.actions(self.mask)));
            for action in map.actions(self.mask) {
                let Some(scheduler) = config.schedulers.get(usize::from(action.scheduler)) else { continue };
                let (words, happens) = self.task(scheduler, *action, config);
                anything |= happens;
                let _ = write!(text, "    [scheduler {}]: {words}", scheduler.name);
            }
        }
        if config.watches.is_empty() {
            text += "there is no watch\n";
        }
        (text, anything)
    }

    fn mapped(&self, config: &Config, actions: &[Action]) -> String {
        let name = |action: &Action| {
            let scheduler = config.schedulers.get(usize::from(action.scheduler)).map_or("", |known| &known.name);
            if action.verb == Verb::Cancel { format!("cancel {scheduler}") } else { scheduler.to_owned() }
        };
        match actions {
            [] => format!("has nothing for {}", events::first_name(self.mask)),
            actions => format!("says {}", actions.iter().map(name).collect::<Vec<_>>().join(", ")),
        }
    }

    /// What becomes of the task, and whether that is anything.
    fn task(&self, scheduler: &Scheduler, action: Action, config: &Config) -> (String, bool) {
        let rules = &scheduler.rules;
        if action.verb == Verb::Cancel {
            let whose = if rules.singlejob { "its task" } else { "its task for this path" };
            return (format!("{whose} is cancelled, if there is one that has not started\n"), true);
        }
        if !(if self.is_dir { rules.dirs } else { rules.files }) {
            let key = if self.is_dir { "dirs" } else { "files" };
            return (format!("no: {key} = no\n"), false);
        }
        if let Some(rules) = rules.matching.as_deref().filter(|rules| !rule::apply(rules, &self.path)) {
            let why = rule::first(rules, &self.path).map(|rule| format!("[rule {}] leaves it alone", rule.name));
            return (format!("no: {}\n", why.unwrap_or("none of its rules is for this path".to_owned())), false);
        }
        let mut text = match rules.delay {
            Millis(0) => "runs at once".to_owned(),
            delay => format!("runs {delay} after the last event that schedules it"),
        };
        if let Some(most) = rules.max_wait {
            let _ = write!(text, ", at the latest {most} after the first");
        }
        if rules.singlejob {
            text += "; one task for all paths";
        }
        text += "\n";
        self.describe(scheduler, &mut text);
        for (key, next) in [("then", rules.then), ("on_failure", rules.on_failure)] {
            if let Some(next) = next.and_then(|number| config.schedulers.get(usize::from(number))) {
                let _ = writeln!(text, "        {key} = {}", next.name);
            }
        }
        (text, true)
    }

    fn describe(&self, scheduler: &Scheduler, text: &mut String) {
        let _ = match &scheduler.work {
            Work::Files => self.describe_rules(scheduler, text),
            Work::Archive(archiving) => self.describe_archive(archiving, scheduler, text),
            Work::Source(_) => writeln!(text, "        looks whether there is enough to collect"),
            Work::Own(name) => writeln!(text, "        job = {name}"),
            Work::Command(command) => self.describe_command(command, &scheduler.name, text),
        };
    }

    fn describe_archive(&self, archiving: &Archiving, scheduler: &Scheduler, text: &mut String) -> std::fmt::Result {
        let maskname = events::first_name(self.mask);
        let name = &scheduler.name;
        let values =
            Values { maskname, pathname: &self.path, src_pathname: b"", task_id: 1, scheduler: name, date: "" };
        match Job::new(archiving, &values, &scheduler.roots) {
            Ok(job) => writeln!(text, "        archives it in {}", Escaped(&job.target.path())),
            Err(why) => writeln!(text, "        would fail: {why}"),
        }
    }

    /// The rule that is for the path, what its groups hold, and what it does.
    fn describe_rules(&self, scheduler: &Scheduler, text: &mut String) -> std::fmt::Result {
        let rules = scheduler.rules.matching.as_deref().unwrap_or_default();
        let Some(rule) = rule::first(rules, &self.path) else { return Ok(()) };
        writeln!(text, "        [rule {}] {}", rule.name, self.done_by(rule, scheduler))?;
        for (number, name, value) in rule.src.groups(&self.path) {
            let name = name.map_or_else(String::new, |name| format!(" ({name})"));
            writeln!(text, "            group {number}{name}: {}", Escaped(&value))?;
        }
        Ok(())
    }

    fn done_by(&self, rule: &Rule, scheduler: &Scheduler) -> String {
        match FileJob::new(rule, &self.path, &scheduler.roots) {
            None => "leaves it alone".to_owned(),
            Some(Err(why)) => format!("would fail: {why}"),
            Some(Ok(job)) => {
                let from = format!("(trusted: {})", Escaped(&job.source.root));
                let to = job.target.map(|to| format!(" to {} (trusted: {})", Escaped(&to.path()), Escaped(&to.root)));
                let verb = match job.verb {
                    plan::Verb::Move => "moves it",
                    plan::Verb::Copy => "copies it",
                    plan::Verb::Delete { rec: false } => "deletes it",
                    plan::Verb::Delete { rec: true } => "deletes it, a directory with what is in it",
                };
                format!("{verb}{} {from}", to.unwrap_or_default())
            }
        }
    }

    fn describe_command(&self, command: &Command, scheduler: &str, text: &mut String) -> std::fmt::Result {
        let maskname = events::first_name(self.mask);
        let values = Values { maskname, pathname: &self.path, src_pathname: b"", task_id: 1, scheduler, date: "" };
        match &command.line {
            Line::Exec(words) => {
                let words = words.iter().map(|word| format!("\"{}\"", Escaped(&word.expand(&values))));
                writeln!(text, "        exec = {}", words.collect::<Vec<_>>().join(" "))?;
            }
            Line::Shell(line) => {
                writeln!(text, "        /bin/sh -c: {}", Escaped(line))?;
                let used = |variable: &str| line.windows(variable.len()).any(|part| part == variable.as_bytes());
                for (placeholder, _) in PLACEHOLDERS {
                    let variable = placeholder.variable();
                    if used(&variable) {
                        writeln!(text, "        {variable}={}", Escaped(&values.get(placeholder)))?;
                    }
                }
            }
        }
        if let Some(user) = &command.user {
            writeln!(text, "        as user {}", user.uid)?;
        }
        Ok(())
    }

    /// Whether a watch tells of the event, else why not: what would have to be otherwise.
    fn told_by(&self, watch: &Watch) -> Result<(), String> {
        if let Some(link) = self.link_below(watch) {
            return Err(format!("{} is a symbolic link: below a watch's path they are not followed", Escaped(link)));
        }
        let tells = |watch: &Watch, is_dir: bool| rehearsal::tells(watch, self.mask, &self.path, is_dir);
        if tells(watch, self.is_dir) {
            return Ok(());
        }
        let unlimited = Watch { rec: true, exclude: Vec::new(), ..watch.clone() };
        let other_event =
            || events::EVENTS.iter().find(|e| rehearsal::tells(&unlimited, e.bit, &self.path, self.is_dir));
        Err(if tells(&Watch { exclude: Vec::new(), ..watch.clone() }, self.is_dir) {
            let excluded = self.parts().find(|part| watch.excludes(part));
            excluded.map_or_else(String::new, |part| format!("exclude leaves out {}", Escaped(part)))
        } else if tells(&unlimited, self.is_dir) && watch.auto_add {
            "rec = no: of directories within, only those that appear later count".to_owned()
        } else if tells(&unlimited, self.is_dir) {
            "rec = no: directories within do not count".to_owned()
        } else if self.is_dir && self.mask.any(rehearsal::OF_FILES) {
            "that does not happen to directories".to_owned()
        } else if !self.is_dir && tells(&unlimited, true) {
            "that is told of directories only".to_owned()
        } else if other_event().is_some() {
            "the path is its own: only what happens to that itself is told of".to_owned()
        } else if self.name().starts_with(b".dogwatch-") {
            "names that begin with .dogwatch- are dogwatch's own".to_owned()
        } else {
            "none of its paths leads there".to_owned()
        })
    }

    fn name(&self) -> &[u8] {
        self.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }

    /// The directories on the way, from the first below the root on, and the path itself.
    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let slashes = self.path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at).skip(1);
        slashes.chain([self.path.len()]).filter_map(|end| self.path.get(..end))
    }

    /// A symbolic link on the way, below every path of the watch that might lead there.
    fn link_below(&self, watch: &Watch) -> Option<&[u8]> {
        let bases = || watch.paths.iter().map(|path| &path.base[..]).filter(|base| self.path.starts_with(base));
        let is_link = |part: &[u8]| fs::stat(CWD, part).is_ok_and(|found| found.kind == Kind::Symlink);
        let mut links = self.parts().filter(|part| *part != self.path && is_link(part));
        links.find(|link| bases().count() > 0 && bases().all(|base| base.len() < link.len()))
    }
}
