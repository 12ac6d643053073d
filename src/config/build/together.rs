//! What only several sections together show.

use crate::config::Scheduler;
use crate::config::ini::Section;
use crate::engine::task::{Action, EventMap, SchedulerId, Verb};
use crate::engine::watch::{Watch, events};
use crate::jobs::Work;
use crate::parts::diag::{Diagnostic, Span};
use crate::parts::spot;
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

/// Two collectors at one directory would take turns, and each would see half of what comes.
pub(super) fn refuse_twins(chosen: &Chosen<'_>, complaints: &mut Vec<Diagnostic>) {
    let source = |at: usize| match &chosen.get(at)?.1.work {
        Work::Source(call) if !call.root.is_empty() => Some((call.kind, &call.root)),
        Work::Source(_) | Work::Archive(_) | Work::Command(_) | Work::Files | Work::Own(_) => None,
    };
    for at in 0..chosen.len() {
        if let Some(first) = (0..at).find(|first| source(at).is_some() && source(*first) == source(at)) {
            let name = chosen.get(first).map(|(section, _)| section.name.as_str()).unwrap_or_default();
            let message = format!("[collector {name}] has this base_dir already");
            complaints.extend(place(chosen, at, "base_dir").map(|span| Diagnostic::error(span, message)));
        }
    }
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

/// Of each scheduler, the paths below which what its tasks are for is found: those of the watches whose events it gets, a
/// pattern's up to its first wildcard; and what those have that hand on to it: the destinations of their rules, for
/// what comes of success, else their own.
pub(super) fn roots(chosen: &Chosen<'_>, maps: &[EventMap], watches: &[Watch]) -> Vec<Vec<Vec<u8>>> {
    let bases = |at: usize| {
        let watches = watches.iter().filter(|watch| leads_to(watch, maps, at));
        watches.flat_map(|watch| watch.paths.iter().map(|path| path.base.clone())).collect()
    };
    let mut roots: Vec<Vec<Vec<u8>>> = (0..chosen.len()).map(bases).collect();
    // No chain is longer than there are schedulers.
    for _ in 0..chosen.len() {
        for (from, (_, scheduler)) in chosen.iter().enumerate() {
            let [then, on_failure] = edges(chosen, from);
            let own = roots.get(from).cloned().unwrap_or_default();
            let made: Vec<Vec<u8>> = destinations(scheduler).filter_map(spot::root_of).collect();
            let results = match &scheduler.work {
                Work::Files => [made, own.clone()].concat(),
                Work::Source(call) => vec![call.root.clone()],
                Work::Archive(archiving) => spot::root_of(archiving.to.literal()).into_iter().collect(),
                Work::Command(_) | Work::Own(_) => own.clone(),
            };
            for (to, paths) in [(then, results), (on_failure, own)] {
                if let Some(known) = to.and_then(|to| roots.get_mut(to)) {
                    known.extend(paths);
                    known.sort();
                    known.dedup();
                }
            }
        }
    }
    roots
}

/// The literal parts of where a scheduler's rules let things go.
fn destinations<'a>(scheduler: &'a Scheduler) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let rules = scheduler.rules.matching.iter().flat_map(|rules| rules.iter());
    rules.filter_map(|rule| rule.action.destination()).map(|destination| destination.to.literal())
}

/// Whether any event of a watch schedules this scheduler's tasks.
fn leads_to(watch: &Watch, maps: &[EventMap], at: usize) -> bool {
    let schedules = |action: &Action| usize::from(action.scheduler) == at && action.verb == Verb::Schedule;
    let map = maps.get(usize::from(watch.map));
    map.is_some_and(|map| events::bits(map.used()).any(|event| map.actions(event).iter().any(schedules)))
}

/// Where rules are at work, a killed run of theirs may have left something behind.
pub(super) fn keep_tidy(chosen: &Chosen<'_>, maps: &[EventMap], watches: &mut [Watch]) {
    for watch in watches {
        let rules = (0..chosen.len()).filter(|at| chosen.get(*at).is_some_and(|(_, s)| s.work == Work::Files));
        watch.tidied = rules.into_iter().any(|at| leads_to(watch, maps, at));
    }
}

/// What arrives in the watch that it comes from is an event of that watch too.
pub(super) fn warn_of_destinations(
    chosen: &Chosen<'_>,
    maps: &[EventMap],
    watches: &[Watch],
    complaints: &mut Vec<Diagnostic>,
) {
    for (at, (section, scheduler)) in chosen.iter().enumerate() {
        for watch in watches.iter().filter(|watch| leads_to(watch, maps, at)) {
            let covers = |root: &Vec<u8>| {
                let below =
                    |base: &[u8]| root.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest[0] == b'/');
                watch.paths.iter().any(|path| below(&path.base) && (watch.rec || watch.auto_add || *root == path.base))
            };
            if destinations(scheduler).filter_map(spot::root_of).any(|root| covers(&root) && !watch.excludes(&root)) {
                let span = place(chosen, at, "rules").unwrap_or_else(|| section.span.clone());
                let message = format!("a rule's destination lies in [watch {}], which calls these rules", watch.name);
                let help = "what arrives there is an event too: exclude it, or let no rule match it";
                complaints.push(Diagnostic::warning(span, message).help(help));
            }
        }
    }
}
