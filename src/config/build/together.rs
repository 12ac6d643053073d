//! What only several sections together show.

use crate::config::Scheduler;
use crate::config::ini::Section;
use crate::engine::task::{Action, EventMap, SchedulerId, Verb};
use crate::parts::diag::{Diagnostic, Span};
use crate::sys::inotify::Mask;

/// Each scheduler with its section; their place is their number.
type Chosen<'a> = [(&'a Section, &'a Scheduler)];

/// A task that is handed on must come to an end.
pub(super) fn refuse_cycles(chosen: &Chosen<'_>, complaints: &mut Vec<Diagnostic>) {
    for at in 0..chosen.len() {
        // Each cycle is told once, of the first scheduler in it.
        if let Some(way) = way_back(chosen, at).filter(|way| way.iter().all(|member| *member >= at)) {
            let names: Vec<&str> = way.iter().filter_map(|at| chosen.get(*at)).map(|(s, _)| s.name.as_str()).collect();
            let start = names.first().copied().unwrap_or_default();
            let message = format!("tasks would be handed on for ever: {} -> {start}", names.join(" -> "));
            let keys = ["then", "on_failure"];
            let next = way.get(1).copied().unwrap_or(at);
            let key = keys.iter().zip(edges(chosen, at)).find(|(_, to)| *to == Some(next)).map(|(key, _)| *key);
            let span = key.and_then(|key| place(chosen, at, key));
            complaints.extend(span.map(|span| Diagnostic::error(span, message).help("a chain ends somewhere")));
        }
    }
}

/// The schedulers from one on that lead back to it, the shortest way.
fn way_back(chosen: &Chosen<'_>, start: usize) -> Option<Vec<usize>> {
    let mut ways = vec![vec![start]];
    let mut at = 0;
    while let Some(way) = ways.get(at).cloned() {
        for next in way.last().map(|last| edges(chosen, *last)).unwrap_or_default().into_iter().flatten() {
            if next == start {
                return Some(way);
            }
            if !ways.iter().any(|known| known.last() == Some(&next)) {
                ways.push([&way[..], &[next]].concat());
            }
        }
        at += 1;
    }
    None
}

/// Whom a scheduler's tasks are handed on to: after success, after failure.
fn edges(chosen: &Chosen<'_>, at: usize) -> [Option<usize>; 2] {
    chosen.get(at).map_or([None, None], |(_, s)| [s.rules.then, s.rules.on_failure].map(|to| to.map(usize::from)))
}

fn place(chosen: &Chosen<'_>, at: usize, key: &str) -> Option<Span> {
    let (section, _) = chosen.get(at)?;
    section.entries.iter().find(|entry| entry.key == key).map(|entry| entry.value_span.clone())
}

/// What is cancelled by every write begins anew with the next event, and max_wait never counts.
pub(super) fn warn_of_vain_max_wait(chosen: &Chosen<'_>, maps: &[EventMap], complaints: &mut Vec<Diagnostic>) {
    for (at, (section, scheduler)) in chosen.iter().enumerate() {
        let cancels = |id: SchedulerId| {
            let action = Action { scheduler: id, verb: Verb::Cancel };
            maps.iter().any(|map| map.actions(Mask::MODIFY).contains(&action))
        };
        let in_vain = scheduler.rules.max_wait.is_some() && SchedulerId::try_from(at).is_ok_and(cancels);
        if let Some(span) = place(chosen, at, "max_wait").filter(|_| in_vain) {
            let name = &section.name;
            let warning =
                Diagnostic::warning(span, format!("IN_MODIFY cancels {name}, so that max_wait counts for little"));
            complaints
                .push(warning.help(format!("write IN_MODIFY = {name} in the event map: that begins its delay anew")));
        }
    }
}
