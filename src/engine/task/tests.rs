//! The table of states, with a clock handed in; and random inputs against a naive model.

mod pending;

use super::*;
use crate::engine::watch::ROOT;
use std::collections::BTreeMap;

const DELAY: u64 = 1_000;

/// Tasks on a tree with the directories /d and /d/e.
struct Rig {
    tree: Tree,
    tasks: Tasks,
    now: u64,
    running: Vec<(TaskRef, About)>,
    stopped: usize,
}

fn scheduler(delay: u64) -> Scheduler {
    Scheduler { delay: Millis(delay), notes: Level::Debug, ..Scheduler::default() }
}

/// Maps: CLOSE_WRITE and CREATE schedule number 0, MODIFY and DELETE cancel it.
fn map() -> EventMap {
    let mut map = EventMap::default();
    for (event, verb) in [
        (Mask::CLOSE_WRITE, Verb::Schedule),
        (Mask::CREATE, Verb::Schedule),
        (Mask::MODIFY, Verb::Cancel),
        (Mask::DELETE, Verb::Cancel),
    ] {
        map.set(event, vec![Action { scheduler: 0, verb }]);
    }
    map
}

impl Rig {
    fn new(schedulers: Vec<Scheduler>, maps: Vec<EventMap>, max_jobs: usize) -> Rig {
        let mut tree = Tree::new(1);
        let d = tree.child_or_new(ROOT, b"d").unwrap();
        let e = tree.child_or_new(d, b"e").unwrap();
        tree.anchor(e);
        Rig {
            tree,
            tasks: Tasks::new(Rules { schedulers, maps, max_jobs }, 2, Tick(50)),
            now: 50,
            running: Vec::new(),
            stopped: 0,
        }
    }

    fn node(&self, dir: &str) -> NodeId {
        let parts = dir.split('/').filter(|part| !part.is_empty());
        parts.fold(ROOT, |node, part| self.tree.child(node, part.as_bytes()).unwrap())
    }

    /// Feeds an event; the answer is what was noted.
    fn event(&mut self, mask: Mask, path: &str) -> Vec<What> {
        self.event_in(mask, path, false, &[0])
    }

    fn event_in(&mut self, mask: Mask, path: &str, is_dir: bool, maps: &[u16]) -> Vec<What> {
        let (dir, name) = path.rsplit_once('/').unwrap();
        let dir = self.node(dir);
        let event =
            Event { mask, dir, name: name.as_bytes(), is_dir, below: true, maps, source: None, from_scan: false };
        let mut effects = Vec::new();
        self.tasks.event(Tick(self.now), &mut self.tree, &event, &mut effects);
        self.tasks.check(&self.tree);
        self.take(effects)
    }

    /// Lets time pass; the answer is what was started.
    fn pass(&mut self, millis: u64) -> Vec<String> {
        self.now += millis;
        let (mut effects, before) = (Vec::new(), self.running.len());
        self.tasks.advance(Tick(self.now), &mut self.tree, &mut effects);
        self.tasks.check(&self.tree);
        self.take(effects);
        self.running.iter().skip(before).map(|(_, about)| String::from_utf8_lossy(&about.path).into_owned()).collect()
    }

    /// The oldest running job is done; the answer is what is noted.
    fn finish(&mut self) -> Vec<What> {
        self.end(Outcome::Done(None))
    }

    fn end(&mut self, outcome: Outcome<'_>) -> Vec<What> {
        let (task, _) = self.running.remove(0);
        let mut effects = Vec::new();
        self.tasks.finished(Tick(self.now), &mut self.tree, task, outcome, &mut effects);
        self.tasks.check(&self.tree);
        self.take(effects)
    }

    fn take(&mut self, effects: Vec<Effect>) -> Vec<What> {
        let mut notes = Vec::new();
        for effect in effects {
            match effect {
                Effect::Start(task, about) => self.running.push((task, about)),
                Effect::Note(_, what) => notes.push(what),
                Effect::Stop(_) => self.stopped += 1,
                Effect::Seen { .. } => unreachable!("only the engine says it"),
            }
        }
        notes
    }
}

fn delayed() -> Rig {
    Rig::new(vec![scheduler(DELAY)], vec![map()], 1)
}

fn immediate(max_jobs: usize) -> Rig {
    Rig::new(vec![scheduler(0)], vec![map()], max_jobs)
}

const CLOSE: Mask = Mask::CLOSE_WRITE;

#[test]
fn a_delay_is_never_cut_short_and_late_by_a_tick_at_most() {
    let mut rig = delayed();
    assert_eq!(rig.event(CLOSE, "/d/a"), [What::Scheduled(Millis(DELAY))]);
    assert!(rig.tasks.next().unwrap().0 <= rig.now + DELAY + 1);
    assert_eq!(rig.pass(DELAY), [""; 0]);
    assert_eq!(rig.pass(1), ["/d/a"]);
    rig.finish();
    assert_eq!((rig.tasks.len(), rig.tasks.next()), (0, None));
}

#[test]
fn an_event_during_the_delay_starts_it_anew_and_keeps_the_number() {
    let mut rig = delayed();
    rig.event(Mask::CREATE, "/d/a");
    rig.pass(DELAY - 1);
    assert_eq!(rig.event(CLOSE, "/d/a"), [What::Rescheduled(Millis(DELAY))]);
    assert_eq!(rig.pass(DELAY), [""; 0]);
    assert_eq!(rig.pass(1), ["/d/a"]);
    let about = &rig.running[0].1;
    assert_eq!((about.id, about.mask), (1, CLOSE), "it takes the newest event");
}

#[test]
fn a_cancelled_task_is_gone_and_the_next_one_is_new() {
    let mut rig = delayed();
    rig.event(CLOSE, "/d/a");
    assert_eq!(rig.event(Mask::MODIFY, "/d/a"), [What::Cancelled]);
    assert_eq!(rig.event(Mask::MODIFY, "/d/a"), [], "nothing to cancel");
    assert_eq!(rig.pass(10 * DELAY), [""; 0]);
    rig.event(CLOSE, "/d/a");
    rig.pass(DELAY + 1);
    assert_eq!(rig.running[0].1.id, 2);
}

#[test]
fn each_path_has_its_own_task() {
    let mut rig = Rig::new(vec![scheduler(DELAY)], vec![map()], 9);
    for path in ["/d/a", "/d/b", "/a", "/d/e/a"] {
        rig.event(CLOSE, path);
    }
    rig.event(Mask::DELETE, "/d/b");
    assert_eq!(rig.pass(DELAY + 1), ["/d/a", "/a", "/d/e/a"]);
}

#[test]
fn a_queued_task_takes_a_newer_event_and_can_be_cancelled() {
    let mut rig = immediate(1);
    rig.event(CLOSE, "/d/a");
    assert_eq!(rig.pass(0), ["/d/a"]);
    rig.event(Mask::CREATE, "/d/b");
    rig.event(CLOSE, "/d/c");
    assert_eq!(rig.pass(0), [""; 0], "one job at once");
    assert_eq!(rig.event(CLOSE, "/d/b"), [What::Replaced]);
    assert_eq!(rig.event(Mask::DELETE, "/d/c"), [What::Cancelled]);
    rig.finish();
    assert_eq!(rig.pass(0), ["/d/b"]);
    assert_eq!(rig.running[0].1.mask, CLOSE);
    rig.finish();
    assert_eq!(rig.tasks.len(), 0);
}

#[test]
fn tasks_that_wait_their_turn_start_in_the_order_in_which_they_came() {
    let mut rig = immediate(2);
    for name in ["a", "b", "c", "d", "e"] {
        rig.event(CLOSE, &format!("/d/{name}"));
    }
    assert_eq!(rig.pass(0), ["/d/a", "/d/b"]);
    rig.finish();
    assert_eq!(rig.pass(0), ["/d/c"]);
    rig.finish();
    rig.finish();
    assert_eq!(rig.pass(0), ["/d/d", "/d/e"]);
}

#[test]
fn an_event_while_it_runs_makes_it_run_once_more() {
    let mut rig = immediate(1);
    rig.event(Mask::CREATE, "/d/a");
    rig.pass(0);
    for _ in 0..3 {
        assert_eq!(rig.event(CLOSE, "/d/a"), [What::Again]);
    }
    rig.pass(0);
    rig.finish();
    assert_eq!(rig.pass(0), ["/d/a"]);
    let about = &rig.running[0].1;
    assert_eq!((about.id, about.mask), (1, CLOSE));
    rig.finish();
    assert_eq!(rig.pass(0), [""; 0]);
    assert_eq!(rig.tasks.len(), 0);
}

/// A file that was written to while its task ran has to be quiet for the whole delay before the next run.
#[test]
fn once_more_keeps_the_delay_from_the_event_on() {
    let mut rig = delayed();
    rig.event(CLOSE, "/d/a");
    rig.pass(DELAY + 1);
    rig.event(CLOSE, "/d/a");
    rig.pass(400);
    rig.finish();
    assert_eq!(rig.pass(600), [""; 0]);
    assert_eq!(rig.pass(1), ["/d/a"]);
    rig.event(CLOSE, "/d/a");
    rig.pass(5 * DELAY);
    rig.finish();
    assert_eq!(rig.pass(0), ["/d/a"], "the delay is over already");
}

#[test]
fn a_cancel_while_it_runs_drops_the_next_run_only() {
    let mut rig = immediate(1);
    rig.event(CLOSE, "/d/a");
    rig.pass(0);
    rig.event(CLOSE, "/d/a");
    assert_eq!(rig.event(Mask::MODIFY, "/d/a"), [What::TooLate]);
    rig.finish();
    assert_eq!((rig.pass(0).len(), rig.tasks.len()), (0, 0));
}

#[test]
fn files_and_directories_are_told_apart() {
    for (files, dirs, expected) in
        [(true, false, vec!["/d/f"]), (false, true, vec!["/d/e"]), (true, true, vec!["/d/f", "/d/e"])]
    {
        let mut rig = Rig::new(vec![Scheduler { files, dirs, ..scheduler(0) }], vec![map()], 9);
        rig.event_in(Mask::CREATE, "/d/f", false, &[0]);
        rig.event_in(Mask::CREATE, "/d/e", true, &[0]);
        assert_eq!(rig.pass(0), expected);
        let isdir = rig.running.iter().filter(|(_, about)| about.mask.any(Mask::ISDIR)).count();
        assert_eq!(isdir, usize::from(dirs));
    }
}

#[test]
fn cancelling_a_directory_cancels_what_lies_below() {
    let mut rig = Rig::new(vec![scheduler(DELAY), scheduler(DELAY)], vec![map(), map()], 9);
    let mut other = EventMap::default();
    other.set(CLOSE, vec![Action { scheduler: 1, verb: Verb::Schedule }]);
    rig.tasks.maps[1] = other;
    for path in ["/d/a", "/d/e/b", "/x"] {
        rig.event_in(CLOSE, path, false, &[0, 1]);
    }
    assert_eq!(rig.event_in(Mask::DELETE, "/d", true, &[0]), [What::Cancelled, What::Cancelled]);
    let mut started = rig.pass(DELAY + 1);
    started.sort();
    assert_eq!(started, ["/d/a", "/d/e/b", "/x", "/x"], "another scheduler's tasks stay");
}

#[test]
fn a_single_job_is_one_task_for_all_paths() {
    let mut rig = Rig::new(vec![Scheduler { singlejob: true, ..scheduler(DELAY) }], vec![map()], 9);
    rig.event(CLOSE, "/d/a");
    rig.pass(DELAY / 2);
    assert_eq!(rig.event(CLOSE, "/d/e/b"), [What::Rescheduled(Millis(DELAY))]);
    assert_eq!(rig.pass(DELAY / 2 + 1), [""; 0]);
    assert_eq!(rig.pass(DELAY / 2), ["/d/e/b"], "with the newest event's path");
    rig.finish();
    rig.event(CLOSE, "/d/a");
    assert_eq!(rig.event(Mask::DELETE, "/d/e/other"), [What::Cancelled], "any path cancels it");
    assert_eq!(rig.tasks.len(), 0);
}

#[test]
fn an_event_goes_to_several_schedulers_and_to_each_once() {
    let mut map = EventMap::default();
    let action = |scheduler, verb| Action { scheduler, verb };
    map.set(CLOSE, vec![action(0, Verb::Schedule), action(1, Verb::Schedule), action(2, Verb::Cancel)]);
    map.set(Mask::CREATE, vec![action(2, Verb::Schedule)]);
    let mut rig = Rig::new(vec![scheduler(0), scheduler(0), scheduler(DELAY)], vec![map.clone(), map], 9);
    rig.event(Mask::CREATE, "/d/a");
    // Two maps of overlapping watches, and a scan's two bits: one task each all the same.
    let notes = rig.event_in(CLOSE.with(Mask::DELETE), "/d/a", false, &[0, 1]);
    assert_eq!(notes, [What::Scheduled(Millis(0)), What::Scheduled(Millis(0)), What::Cancelled]);
    assert_eq!(rig.pass(0), ["/d/a", "/d/a"]);
}

#[test]
fn notes_below_the_wanted_level_are_not_made() {
    let mut rig = Rig::new(vec![Scheduler { notes: Level::Warning, ..scheduler(DELAY) }], vec![map()], 1);
    assert_eq!(rig.event(CLOSE, "/d/a"), []);
    assert_eq!(rig.event(Mask::DELETE, "/d/a"), []);
    assert_eq!(rig.tasks.len(), 0);
}

#[test]
fn draining_runs_what_is_due_in_time_and_takes_no_new_tasks() {
    let mut rig = Rig::new(vec![scheduler(DELAY), scheduler(5 * DELAY)], vec![map(), map()], 9);
    let mut slow = EventMap::default();
    slow.set(CLOSE, vec![Action { scheduler: 1, verb: Verb::Schedule }]);
    rig.tasks.maps[1] = slow;
    rig.event(CLOSE, "/d/soon");
    rig.event(CLOSE, "/d/written");
    rig.event(CLOSE, "/d/again");
    rig.event_in(CLOSE, "/d/late", false, &[1]);
    let mut effects = Vec::new();
    rig.tasks.drain(Tick(rig.now + 3 * DELAY), false, &mut rig.tree, &mut effects);
    assert_eq!(rig.take(effects), [What::CancelledByShutdown]);
    assert_eq!(rig.event(CLOSE, "/d/new"), [], "no new task");
    assert_eq!(rig.event(Mask::MODIFY, "/d/written"), [What::Cancelled], "events still cancel");
    rig.pass(DELAY / 2);
    assert_eq!(rig.event(CLOSE, "/d/again"), [What::Rescheduled(Millis(DELAY))], "and delay");
    assert_eq!(rig.pass(DELAY / 2 + 1), ["/d/soon"]);
    rig.pass(DELAY / 2 - 2);
    assert_eq!(rig.event(CLOSE, "/d/again").last(), Some(&What::Rescheduled(Millis(DELAY))));
    rig.pass(DELAY / 2 + 2);
    assert_eq!(rig.event(CLOSE, "/d/again").last(), Some(&What::CancelledByShutdown), "beyond the end");
    rig.finish();
    assert_eq!(rig.tasks.len(), 0);
}

#[test]
fn what_is_left_at_the_end_is_cancelled_and_runs_no_more() {
    let mut rig = immediate(1);
    rig.event(CLOSE, "/d/a");
    rig.event(CLOSE, "/d/b");
    rig.pass(0);
    rig.event(CLOSE, "/d/a");
    let mut effects = Vec::new();
    rig.tasks.give_up(&mut rig.tree, &mut effects);
    // The one that waits, and the run that was to come after the present one.
    assert_eq!(rig.take(effects), [What::CancelledByShutdown; 2]);
    rig.finish();
    assert_eq!((rig.pass(0).len(), rig.tasks.len()), (0, 0));
}

/// A watch on `/`: its own task is found by its path and below its directory, and ends once.
#[test]
fn cancelling_the_root_directory_ends_each_task_once() {
    let mut rig = Rig::new(vec![Scheduler { dirs: true, ..scheduler(DELAY) }], vec![map()], 9);
    rig.event(CLOSE, "/d/runs");
    rig.pass(DELAY + 1);
    rig.event_in(CLOSE, "/", true, &[0]);
    rig.event(CLOSE, "/d/a");
    let notes = rig.event_in(Mask::DELETE, "/", true, &[0]);
    assert_eq!(notes.iter().filter(|what| **what == What::Cancelled).count(), 2);
    for path in ["/d/b", "/d/c", "/d/e/d"] {
        rig.event(CLOSE, path);
    }
    assert_eq!(rig.pass(DELAY + 1).len(), 3);
}

/// A naive model: for every path, when it is due and whether it runs. Queues are left out (max_jobs is large).
#[test]
fn random_inputs_agree_with_a_naive_model() {
    #[derive(Default, Clone, Copy)]
    struct Naive {
        due: Option<u64>,
        running: bool,
    }
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut rig = Rig::new(vec![scheduler(DELAY)], vec![map()], usize::MAX);
        let mut model: BTreeMap<String, Naive> = BTreeMap::new();
        for _ in 0..1_000 {
            let path = format!("{}/{}", ["", "/d", "/d/e"][random.usize(..3)], random.u8(..6));
            let naive = model.entry(path.clone()).or_default();
            let mut millis = 0;
            match random.u8(..10) {
                0..4 => {
                    rig.event(CLOSE, &path);
                    naive.due = Some(rig.now + DELAY + 1);
                }
                4..6 => {
                    rig.event(Mask::MODIFY, &path);
                    naive.due = None;
                }
                6..8 if !rig.running.is_empty() => {
                    let ended = String::from_utf8(rig.running[0].1.path.clone()).unwrap();
                    rig.finish();
                    model.entry(ended).or_default().running = false;
                }
                _ => millis = random.u64(..DELAY),
            }
            let mut started = rig.pass(millis);
            let due = |naive: &Naive| !naive.running && naive.due.is_some_and(|due| due <= rig.now);
            let mut expected: Vec<String> =
                model.iter().filter(|(_, naive)| due(naive)).map(|(path, _)| path.clone()).collect();
            for path in &expected {
                model.insert(path.clone(), Naive { due: None, running: true });
            }
            started.sort();
            expected.sort();
            assert_eq!(started, expected, "seed {seed}");
        }
    }
}

/// A job that wakes itself is held back after ten runs in a row, longer each time up to a minute, and told of once.
#[test]
fn a_job_that_wakes_itself_is_held_back() {
    let mut rig = immediate(1);
    rig.event(CLOSE, "/d/a");
    let (mut pauses, mut told) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let before = rig.now;
        while rig.pass(1).is_empty() {}
        pauses.push(rig.now - before);
        rig.event(CLOSE, "/d/a");
        rig.pass(5);
        told.extend(rig.finish());
        // What comes from it only now does not cut the pause short.
        rig.event(CLOSE, "/d/a");
    }
    assert_eq!(told, [What::HeldBack(Millis(1_000))]);
    assert!(pauses[..10].iter().all(|pause| *pause <= 2), "{pauses:?}");
    let held: Vec<u64> = pauses[10..].iter().map(|pause| pause / 1_000).collect();
    assert_eq!(held, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    // Once it is left in peace, it is forgotten.
    while rig.pass(1_000).is_empty() {}
    rig.finish();
    assert_eq!(rig.tasks.len(), 0);
    rig.event(CLOSE, "/d/a");
    assert_eq!(rig.pass(1), ["/d/a"]);
}

/// Jobs that take their time, or wait for their delay, are not held back, however often they are asked for.
#[test]
fn slow_jobs_and_long_delays_are_not_held_back() {
    for (mut rig, run) in [(immediate(1), 1_100), (delayed(), 5)] {
        rig.event(CLOSE, "/d/a");
        for _ in 0..30 {
            let before = rig.now;
            while rig.pass(1).is_empty() {}
            assert!(rig.now - before <= DELAY + 2);
            rig.event(CLOSE, "/d/a");
            rig.pass(run);
            assert_eq!(rig.finish(), []);
        }
    }
}

/// A file that is written to again and again is acted on after max_wait all the same, counted from its first event.
#[test]
fn max_wait_ends_a_delay_that_begins_anew_for_ever() {
    let most = Millis(3 * DELAY);
    let mut rig = Rig::new(vec![Scheduler { max_wait: Some(most), ..scheduler(DELAY) }], vec![map()], 1);
    for _ in 0..2 {
        let first = rig.now;
        rig.event(CLOSE, "/d/a");
        while rig.pass(DELAY / 2).is_empty() && rig.now < first + 2 * most.0 {
            rig.event(CLOSE, "/d/a");
        }
        assert_eq!(rig.now - first, most.0 + DELAY / 2, "the first look after {most}");
        rig.event(CLOSE, "/d/a");
        let again = rig.now;
        assert_eq!(rig.finish(), []);
        assert_eq!(rig.pass(DELAY + 1), ["/d/a"], "a rerun has a wait of its own, from {again} on");
        rig.finish();
    }
    rig.event(CLOSE, "/d/b");
    rig.event(Mask::MODIFY, "/d/b");
    assert_eq!(rig.tasks.len(), 0);
}

#[test]
fn a_scheduler_that_skips_loses_the_event_and_says_so() {
    let mut rig = Rig::new(vec![Scheduler { on_busy: OnBusy::Skip, ..scheduler(0) }], vec![map()], 1);
    rig.event(CLOSE, "/d/a");
    rig.pass(0);
    assert_eq!(rig.event(Mask::CREATE, "/d/a"), [What::Skipped]);
    rig.finish();
    assert_eq!((rig.tasks.len(), rig.pass(9)), (0, vec![]));
}

#[test]
fn a_scheduler_that_restarts_ends_the_running_job_once() {
    let mut schedulers = vec![Scheduler { on_busy: OnBusy::Restart, on_failure: Some(1), ..scheduler(DELAY) }];
    schedulers.push(scheduler(0));
    let mut rig = Rig::new(schedulers, vec![map()], 1);
    rig.event(CLOSE, "/d/a");
    rig.pass(DELAY + 1);
    assert_eq!(rig.event(CLOSE, "/d/a"), [What::Restarted]);
    assert_eq!((rig.event(CLOSE, "/d/a"), rig.stopped), (vec![What::Again], 1), "it is told once");
    assert_eq!(rig.end(Outcome::Outdated), [], "one that was ended for a newer event has not failed");
    assert_eq!((rig.pass(DELAY), rig.pass(1)), (vec![], vec!["/d/a".to_owned()]));
    assert_eq!(rig.end(Outcome::Failed), [What::Scheduled(Millis(0))], "this one has");
}

/// One scheduler's many tasks hold up nobody else; among those that may run, the first come is the first served.
#[test]
fn a_schedulers_own_limit_holds_up_only_its_own() {
    let schedulers = vec![Scheduler { max_jobs: 1, ..scheduler(0) }, scheduler(0)];
    let mut other = EventMap::default();
    other.set(CLOSE, vec![Action { scheduler: 1, verb: Verb::Schedule }]);
    let mut rig = Rig::new(schedulers, vec![map(), other], 2);
    for path in ["/d/a", "/d/b", "/d/c"] {
        rig.event(CLOSE, path);
    }
    for path in ["/d/x", "/d/y"] {
        rig.event_in(CLOSE, path, false, &[1]);
    }
    assert_eq!(rig.pass(0), ["/d/a", "/d/x"]);
    rig.finish();
    assert_eq!(rig.pass(0), ["/d/b"]);
    rig.finish();
    assert_eq!(rig.pass(0), ["/d/y"]);
    assert_eq!(rig.finish(), []);
    assert_eq!(rig.pass(0), ["/d/c"]);
}

#[test]
fn results_are_handed_on_with_the_event_and_the_old_path() {
    let first = Scheduler { dirs: true, then: Some(1), on_failure: Some(2), ..scheduler(0) };
    // What counts for them by events does not matter for what is handed on.
    let mut rig = Rig::new(vec![first, scheduler(DELAY), scheduler(0)], vec![map()], 9);
    rig.event_in(CLOSE, "/d/a", true, &[0]);
    rig.pass(0);
    assert_eq!(rig.end(Outcome::Done(Some(b"/far/away/b"))), [What::Scheduled(Millis(DELAY))]);
    assert_eq!((rig.pass(DELAY), rig.pass(1)), (vec![], vec!["/far/away/b".to_owned()]));
    let about = &rig.running[0].1;
    assert_eq!(
        (about.scheduler, about.mask, about.source.as_deref()),
        (1, CLOSE.with(Mask::ISDIR), Some(&b"/d/a"[..]))
    );
    rig.finish();
    assert!(rig.tree.child(ROOT, b"far").is_none(), "its directory was known for the task alone");
    rig.event(CLOSE, "/d/a");
    rig.pass(0);
    rig.end(Outcome::Failed);
    assert_eq!(rig.pass(0), ["/d/a"]);
    let about = &rig.running[0].1;
    assert_eq!((about.scheduler, about.source.as_deref()), (2, None), "a failure hands on the event's path");
}

/// A rig at its end, with /d/late kept aside.
fn draining() -> Rig {
    let mut rig = Rig::new(vec![Scheduler { then: Some(1), ..scheduler(DELAY) }, scheduler(0)], vec![map()], 9);
    rig.event(CLOSE, "/d/soon");
    rig.pass(DELAY / 2);
    rig.event(CLOSE, "/d/late");
    let mut effects = Vec::new();
    rig.tasks.drain(Tick(rig.now + DELAY * 3 / 4), true, &mut rig.tree, &mut effects);
    assert_eq!(rig.take(effects), [What::Kept]);
    rig
}

impl Rig {
    fn kept(&self) -> Vec<(String, u64)> {
        let kept = self.tasks.parked(&self.tree);
        kept.map(|(about, due)| (String::from_utf8(about.path).unwrap(), due.0)).collect()
    }
}

#[test]
fn what_is_due_too_late_is_kept_and_events_still_count() {
    let mut rig = draining();
    assert_eq!(rig.kept(), [("/d/late".to_owned(), rig.now + DELAY + 1)]);
    assert_eq!((rig.tasks.len(), rig.tasks.active()), (2, 1));
    rig.pass(5);
    assert_eq!(rig.event(CLOSE, "/d/late"), [What::Scheduled(Millis(DELAY)), What::Kept]);
    assert_eq!(rig.kept(), [("/d/late".to_owned(), rig.now + DELAY + 1)]);
    assert_eq!(rig.pass(DELAY / 2), ["/d/soon"]);
    assert_eq!(rig.event(CLOSE, "/d/soon"), [What::Again]);
    assert_eq!(
        rig.finish(),
        [What::Scheduled(Millis(0)), What::Kept],
        "what is handed on runs in time, the rerun does not"
    );
    assert_eq!(rig.pass(0), ["/d/soon"]);
    rig.finish();
    assert_eq!((rig.kept().len(), rig.tasks.active()), (2, 0));
    assert_eq!(rig.event(Mask::MODIFY, "/d/late"), [What::Cancelled], "a file that is written to is not acted on");
    assert_eq!((rig.kept().len(), rig.pass(10 * DELAY)), (1, vec![]));
}

#[test]
fn when_the_time_is_over_all_that_waits_is_kept() {
    let mut rig = Rig::new(vec![scheduler(0)], vec![map()], 1);
    rig.event(CLOSE, "/d/a");
    rig.event(CLOSE, "/d/b");
    rig.pass(0);
    rig.event(CLOSE, "/d/a");
    let mut effects = Vec::new();
    rig.tasks.drain(Tick(rig.now + DELAY), true, &mut rig.tree, &mut effects);
    rig.tasks.give_up(&mut rig.tree, &mut effects);
    assert_eq!(rig.take(effects), [What::Kept], "/d/b");
    assert_eq!(rig.end(Outcome::Failed), [What::Kept], "and the run that was to follow");
    assert_eq!((rig.kept(), rig.tasks.active()), (vec![("/d/a".to_owned(), 0), ("/d/b".to_owned(), 0)], 0));
}

#[test]
fn a_saved_task_wins_over_the_first_scan_and_not_over_events() {
    for (from_scan, due) in [(true, 7 * DELAY), (false, DELAY + 1)] {
        let mut rig = delayed();
        let start = rig.now;
        let (dir, maps, source) = (rig.node("/d"), &[0][..], None);
        let event = Event { mask: CLOSE, dir, name: b"a", is_dir: false, below: true, maps, source, from_scan };
        let mut effects = Vec::new();
        rig.tasks.event(Tick(rig.now), &mut rig.tree, &event, &mut effects);
        for path in [&b"/d/a"[..], b"/gone/b"] {
            let due = Tick(start + 7 * DELAY);
            let saved = Saved { scheduler: 0, mask: Mask::CREATE, path: path.to_vec(), source: None, due };
            rig.tasks.restore(Tick(rig.now), &mut rig.tree, &saved, &mut effects);
            rig.tasks.check(&rig.tree);
        }
        assert_eq!(rig.pass(due - 1), [""; 0]);
        assert_eq!(rig.pass(1).first().map(String::as_str), Some("/d/a"));
        assert_eq!(rig.tasks.restored(), if from_scan { 2 } else { 1 });
        while !rig.running.is_empty() {
            rig.finish();
        }
        rig.pass(7 * DELAY);
        while !rig.running.is_empty() {
            rig.finish();
        }
        assert_eq!((rig.tasks.len(), rig.tasks.restored()), (0, 0));
        assert!(rig.tree.child(ROOT, b"gone").is_none());
    }
}

#[test]
fn a_new_configuration_keeps_tasks_by_their_schedulers_name() {
    let schedulers = || vec![Scheduler { max_jobs: 1, ..scheduler(0) }, scheduler(DELAY), scheduler(DELAY)];
    let map = |scheduler| {
        let mut map = EventMap::default();
        map.set(CLOSE, vec![Action { scheduler, verb: Verb::Schedule }]);
        map
    };
    let mut rig = Rig::new(schedulers(), vec![map(0), map(1), map(2)], 9);
    for (path, number) in [("/d/runs", 0), ("/d/waits", 0), ("/d/gone", 1), ("/d/one", 2), ("/d/two", 2)] {
        rig.event_in(CLOSE, path, false, &[number]);
    }
    assert_eq!(rig.pass(0), ["/d/runs"]);
    rig.event_in(CLOSE, "/d/runs", false, &[0]);
    // The first is gone with its running task, the third is the first now, and the second has one task in all.
    let schedulers = vec![Scheduler { singlejob: true, ..scheduler(0) }, scheduler(DELAY)];
    let rules = Rules { schedulers, maps: vec![map(1)], max_jobs: 9 };
    let number = |old| [None, Some(1), Some(0)].get(usize::from(old)).copied().flatten();
    let mut effects = Vec::new();
    rig.tasks.reconfigure(rules, &number, &mut rig.tree, &mut effects);
    rig.tasks.check(&rig.tree);
    assert_eq!(rig.take(effects), [What::SchedulerGone; 2], "/d/waits, and one of the third's");
    assert_eq!(rig.finish(), [], "what runs, runs to its end, and not once more");
    assert_eq!(rig.event(CLOSE, "/d/gone"), [What::Rescheduled(Millis(DELAY))], "it is found by its new number");
    let mut left = rig.pass(DELAY + 1);
    left.sort();
    assert_eq!(left, ["/d/gone", "/d/one"]);
}

#[test]
fn turns_and_limits_survive_a_new_configuration() {
    let mut rig = Rig::new(vec![scheduler(0), scheduler(0)], vec![map()], 1);
    for path in ["/d/a", "/d/b", "/d/c"] {
        rig.event(CLOSE, path);
    }
    rig.pass(0);
    let mut effects = Vec::new();
    let rules = Rules { schedulers: vec![scheduler(0), scheduler(0)], maps: vec![map()], max_jobs: 2 };
    rig.tasks.reconfigure(rules, &|old| Some(1 - old), &mut rig.tree, &mut effects);
    rig.tasks.check(&rig.tree);
    assert_eq!(rig.pass(0), ["/d/b"], "two at once now");
    rig.finish();
    assert_eq!(rig.pass(0), ["/d/c"]);
}

/// What has been looked for and is not there was a file; a directory that has its name now keeps its task.
#[test]
fn what_is_missed_cancels_nothing_of_another_kind() {
    let mut rig = Rig::new(vec![Scheduler { dirs: true, ..scheduler(DELAY) }], vec![map()], 9);
    rig.event_in(Mask::CREATE, "/d/x", true, &[0]);
    let dir = rig.node("/d");
    let missed = |is_dir| Event {
        mask: Mask::DELETE,
        dir,
        name: b"x",
        is_dir,
        below: false,
        maps: &[0],
        source: None,
        from_scan: true,
    };
    let mut effects = Vec::new();
    rig.tasks.event(Tick(rig.now), &mut rig.tree, &missed(false), &mut effects);
    assert_eq!((rig.tasks.len(), effects.len()), (1, 0));
    rig.tasks.event(Tick(rig.now), &mut rig.tree, &missed(true), &mut effects);
    assert_eq!((rig.tasks.len(), effects.len()), (0, 1));
}
