//! `[scheduler NAME]`: what decides about its tasks, and what they do.

use super::daemon::Daemon;
use super::values::{a_boolean, a_duration, a_word};
use crate::config::Scheduler;
use crate::config::ini::{Entry, Section};
use crate::config::keys::Reader;
use crate::engine::task;
use crate::jobs::command::{Command, shell, words};
use crate::parts::diag::Diagnostic;
use crate::parts::template::{Template, braces};

pub(super) fn scheduler(section: &Section, daemon: &Daemon, complaints: &mut Vec<Diagnostic>) -> Scheduler {
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
