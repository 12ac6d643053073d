//! The table of states, with a clock handed in; and random inputs against a naive model.

mod end;
mod keys;
mod pending;
mod reload;
mod sources;

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
        self.tasks.event(Tick(self.now), &mut self.tree, &event);
        self.tasks.check(&self.tree);
        self.take()
    }

    /// Lets time pass; the answer is what was started.
    fn pass(&mut self, millis: u64) -> Vec<String> {
        self.now += millis;
        let before = self.running.len();
        self.tasks.advance(Tick(self.now), &mut self.tree);
        self.tasks.check(&self.tree);
        self.take();
        self.running.iter().skip(before).map(|(_, about)| String::from_utf8_lossy(&about.path).into_owned()).collect()
    }

    /// The oldest running job is done; the answer is what is noted.
    fn finish(&mut self) -> Vec<What> {
        self.end(Outcome::Done(None))
    }

    fn end(&mut self, outcome: Outcome<'_>) -> Vec<What> {
        let (task, _) = self.running.remove(0);
        self.tasks.finished(Tick(self.now), &mut self.tree, task, outcome);
        self.tasks.check(&self.tree);
        self.take()
    }

    fn take(&mut self) -> Vec<What> {
        let mut notes = Vec::new();
        for effect in std::mem::take(&mut self.tasks.effects) {
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
