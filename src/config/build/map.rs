//! `[event_map NAME]`: from events to schedulers.

use super::values::list;
use crate::config::ini::{Entry, Section};
use crate::config::keys::expected;
use crate::engine::task::{Action, EventMap, SchedulerId, Verb};
use crate::engine::watch::events;
use crate::parts::diag::{Diagnostic, Span};
use crate::sys::inotify::Mask;

pub(super) fn event_map(section: &Section, schedulers: &[&str], complaints: &mut Vec<Diagnostic>) -> EventMap {
    let mut map = EventMap::default();
    map.name.clone_from(&section.name);
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
    // Whoever leaves IN_ out is understood, and so is his misprint.
    let full = if word.to_ascii_uppercase().starts_with("IN_") { word.to_owned() } else { format!("IN_{word}") };
    complaint.help(expected(&full, &names))
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
