//! Each system call of the run in turn fails, moves half of its bytes, or is the last.

use crate::common::dogwatch;
use crate::run::{Run, run};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Runs at once: most of a run is waiting.
const AT_ONCE: usize = 4;

/// Runs once for each point with this fault there, until there is no such point; `judge` says what is wrong with a run, which it
/// is given with a run without faults.
fn each_point(fault: &str, judge: impl Fn(&Run, &Run) -> Option<String> + Sync) {
    let clean = run(dogwatch(), "");
    let wrong = clean.wrong().or_else(|| nothing_differs(&clean, &clean));
    assert_eq!(wrong, None, "a run without faults: {}", clean.log);
    let wrongs = Mutex::new(Vec::new());
    let (next, met) = (AtomicUsize::new(1), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let asked = format!("main:{n}={fault}");
                    let outcome = run(dogwatch(), &asked);
                    let Some(name) = outcome.points.get(n - 1) else { break };
                    met.fetch_add(1, Ordering::Relaxed);
                    if let Some(wrong) = judge(&outcome, &clean).or_else(|| outcome.wrong()) {
                        let Run { code, log, .. } = &outcome;
                        let saved = outcome.saved();
                        let text =
                            format!("{name} ({asked}): {wrong}; exit status {code:?}; log:\n{log}saved:\n{saved}");
                        wrongs.lock().unwrap().push(text);
                    }
                }
            });
        }
    });
    let wrongs = wrongs.into_inner().unwrap();
    assert!(wrongs.is_empty(), "{} are wrong:\n{}", wrongs.len(), wrongs.join("\n"));
    let met = met.into_inner();
    // What happens elsewhere on the machine adds a few points to a run.
    assert!(met + 20 > clean.points.len(), "only {met} points of {}", clean.points.len());
    println!("{fault} at each of {met} points: {:?}", calls(&clean.points));
}

/// How often each call was made.
fn calls(points: &[String]) -> BTreeMap<&str, usize> {
    let mut calls = BTreeMap::new();
    points.iter().for_each(|name| *calls.entry(name.as_str()).or_default() += 1);
    calls
}

impl Run {
    /// What must not be, whatever has failed.
    fn wrong(&self) -> Option<String> {
        let panicked = self.log.contains("panicked").then(|| "it panicked".to_owned());
        let stuck = || self.stuck.clone();
        panicked.or_else(stuck).or_else(|| self.saved_wrongly()).or_else(|| self.taken_up_wrongly())
    }
}

/// Nothing differs from a run without faults.
fn nothing_differs(outcome: &Run, clean: &Run) -> Option<String> {
    let log = &outcome.log;
    let quiet = *log == outcome.file() && !log.contains(" ERROR ") && !log.contains(" WARNING ");
    let same = quiet && outcome.code == Some(0) && outcome.story(log) == clean.story(&clean.log);
    (!same).then(|| format!("it made a difference to\n{}", clean.log))
}

/// It goes on, and if something differs, the log says what could not be done, and why. Or it ends, and says the same.
fn is_told(outcome: &Run, clean: &Run, why: &str) -> Option<String> {
    let Run { log, code, .. } = outcome;
    let told = log.lines().any(|line| line.contains("cannot ") && line.contains(why));
    let same = |log: &str| outcome.story(log) == clean.story(&clean.log);
    let only_lost = log.contains("lines were lost: they could not be written") && same(&outcome.file());
    let unwatched = log.contains(" is left: events in ");
    match code {
        Some(0) if told || unwatched || only_lost || same(log) => None,
        Some(0) => Some(format!("nobody was told that it made a difference to\n{}", clean.log)),
        Some(1) if told => None,
        Some(_) | None => Some("the end is not explained".to_owned()),
    }
}

/// A signal that interrupts a call changes nothing.
#[test]
fn eintr_changes_nothing() {
    each_point("EINTR", nothing_differs);
}

/// A read or write that moves only half of its bytes loses none of them.
#[test]
fn short_reads_and_writes_are_completed() {
    each_point("short", nothing_differs);
}

#[test]
fn eio_is_survived_or_told() {
    each_point("EIO", |outcome, clean| is_told(outcome, clean, "Input/output error"));
}

#[test]
fn enomem_is_survived_or_told() {
    each_point("ENOMEM", |outcome, clean| is_told(outcome, clean, "Cannot allocate memory"));
}

#[test]
fn emfile_is_survived_or_told() {
    each_point("EMFILE", |outcome, clean| is_told(outcome, clean, "Too many open files"));
}

#[test]
fn enospc_is_survived_or_told() {
    each_point("ENOSPC", |outcome, clean| is_told(outcome, clean, "No space left on device"));
}

/// Whichever call is the last, the next start finds the older tasks or the newer ones, whole.
#[test]
fn a_kill_before_any_call_leaves_saved_tasks_whole() {
    each_point("kill", |outcome, _| outcome.code.is_some().then(|| "it was not killed".to_owned()));
}
