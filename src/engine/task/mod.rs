//! Tasks: what is to be done for a path once its delay is over, unless an event cancels it before.
//!
//! States: delayed → queued → running → gone; at the end of the daemon, parked. A task is keyed by (scheduler, directory node, name), so that it moves
//! along when its directory is renamed; with `singlejob` a scheduler has one task in all. Handlers take the time and
//! an input, and push effects: what to start, and what the log should say. Relies on [`crate::engine::watch`]'s tree
//! for paths, on which tasks hang themselves so that their directory's node lives as long as they do.
//!
//! | input    | none             | delayed           | queued         | running                              |
//! | -------- | ---------------- | ----------------- | -------------- | ------------------------------------ |
//! | schedule | delayed, queued  | its delay anew    | event replaced | `on_busy`: once more after it, nothing, or ended and begun anew |
//! | cancel   | nothing          | gone              | gone           | goes on; what was to follow is dropped |

mod chain;
mod drain;
mod effect;
pub mod map;
mod pending;
mod reload;
mod run;
mod slab;
mod throttle;
mod turns;

pub use chain::{Outcome, Saved};
pub use effect::{About, Effect, What};
pub use map::{Action, EventMap, SchedulerId, Verb};

use crate::engine::rule::{self, Rule};
use crate::engine::watch::{Event, NodeId, Tree, events};
use crate::parts::duration::Millis;
use crate::parts::log::Level;
use crate::parts::wheel::{TimerId, Wheel};
use crate::sys::clock::Tick;
use crate::sys::inotify::Mask;
use drain::Draining;
use slab::{Key, Slab, State};
use std::rc::Rc;
use turns::Turns;

/// A scheduler, as far as deciding goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scheduler {
    /// From the event to the start.
    pub delay: Millis,
    /// Whether files count; everything is a file that is no directory.
    pub files: bool,
    /// Whether directories count.
    pub dirs: bool,
    /// One task in all, instead of one a path.
    pub singlejob: bool,
    /// So long after it was scheduled first, a task is due, however often it was scheduled anew since.
    pub max_wait: Option<Millis>,
    /// What an event does to a task that runs.
    pub on_busy: OnBusy,
    /// Of its own tasks, so many run at once.
    pub max_jobs: usize,
    /// Who is handed the result of a task that was done, and who the path of one that failed.
    pub then: Option<SchedulerId>,
    /// See `then`.
    pub on_failure: Option<SchedulerId>,
    /// The least level that anybody wants notes of.
    pub notes: Level,
    /// Only paths count that one of these is for.
    pub matching: Option<Rc<[Rule]>>,
}

/// What an event does to a task that runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnBusy {
    /// It runs once more after it.
    #[default]
    Rerun,
    /// Nothing; a warning is logged.
    Skip,
    /// It is ended, and begins anew.
    Restart,
}

impl Scheduler {
    /// Whether a path of this tree counts.
    fn matches(&self, tree: &Tree, dir: NodeId, name: &[u8]) -> bool {
        self.matching.as_ref().is_none_or(|rules| rule::apply(rules, &tree.path(dir, name)))
    }

    fn key<'a>(&self, scheduler: SchedulerId, dir: NodeId, name: &'a [u8]) -> Key<'a> {
        Key { scheduler, single: self.singlejob, dir, name }
    }
}

impl Default for Scheduler {
    /// What the configuration leaves out.
    fn default() -> Scheduler {
        Scheduler {
            delay: Millis(0),
            files: true,
            dirs: false,
            singlejob: false,
            max_wait: None,
            on_busy: OnBusy::Rerun,
            max_jobs: usize::MAX,
            then: None,
            on_failure: None,
            notes: Level::Info,
            matching: None,
        }
    }
}

/// What the configuration says of tasks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// Schedulers; their place is their number.
    pub schedulers: Vec<Scheduler>,
    /// Event maps; their place is their number.
    pub maps: Vec<EventMap>,
    /// So many tasks run at once.
    pub max_jobs: usize,
}

impl Rules {
    /// All events that do anything.
    pub fn used(&self) -> Mask {
        self.maps.iter().fold(Mask::default(), |used, map| used.with(map.used()))
    }
}

/// A task, by number, from its start to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaskRef(u32);

/// All tasks of all schedulers.
pub struct Tasks {
    schedulers: Vec<Scheduler>,
    maps: Vec<EventMap>,
    slab: Slab,
    wheel: Wheel<u32>,
    turns: Turns,
    max_jobs: usize,
    draining: Option<Draining>,
    /// How many are kept aside to be saved.
    parked: usize,
    /// How often that has changed.
    pub parkings: u64,
    /// How many are left of those that were saved.
    restored: usize,
    /// How many have been cancelled before they started.
    pub cancelled: u64,
    /// What is to be done, in this order; whoever does it takes it out.
    pub effects: Vec<Effect>,
}

/// What a task is for.
struct Cause<'a> {
    /// One event, with IN_ISDIR for a directory.
    mask: Mask,
    dir: NodeId,
    name: &'a [u8],
    source: Option<Box<[u8]>>,
    from_scan: bool,
}

impl Tasks {
    /// No task yet; `seed` is a secret.
    pub fn new(Rules { schedulers, maps, max_jobs }: Rules, seed: u64, now: Tick) -> Tasks {
        Tasks {
            schedulers,
            maps,
            slab: Slab::new(seed),
            wheel: Wheel::new(now.0),
            turns: Turns::default(),
            max_jobs,
            draining: None,
            parked: 0,
            parkings: 0,
            restored: 0,
            cancelled: 0,
            effects: Vec::new(),
        }
    }

    /// Consults the event's maps and does what they say, each (scheduler, verb) once.
    pub fn event(&mut self, now: Tick, tree: &mut Tree, event: &Event<'_>) {
        let mut todo: Vec<(Action, Mask)> = Vec::new();
        for map in event.maps.iter().filter_map(|map| self.maps.get(usize::from(*map))) {
            for bit in events::bits(event.mask) {
                for action in map.actions(bit) {
                    if !todo.iter().any(|(known, _)| known == action) {
                        todo.push((*action, bit));
                    }
                }
            }
        }
        for (action, bit) in todo {
            match action.verb {
                Verb::Schedule => self.schedule(now, tree, action.scheduler, bit, event),
                Verb::Cancel => self.cancel(tree, action.scheduler, event),
            }
        }
    }

    fn schedule(&mut self, now: Tick, tree: &mut Tree, scheduler: SchedulerId, bit: Mask, event: &Event<'_>) {
        let Some(spec) = self.spec(scheduler) else { return };
        if !(if event.is_dir { spec.dirs } else { spec.files }) || !spec.matches(tree, event.dir, event.name) {
            return;
        }
        let (due, key) = (spec.delay.after(now).0, spec.key(scheduler, event.dir, event.name));
        if self.draining.is_some() && self.slab.find(&key).is_none() {
            return;
        }
        let mask = if event.is_dir { bit.with(Mask::ISDIR) } else { bit };
        let (dir, name, source) = (event.dir, event.name, event.source.map(Box::from));
        let cause = Cause { mask, dir, name, source, from_scan: event.from_scan };
        self.put(now, tree, scheduler, &cause, due);
    }

    /// Makes a task, or changes the one that is there; the answer is its number.
    fn put(&mut self, now: Tick, tree: &mut Tree, scheduler: SchedulerId, cause: &Cause<'_>, due: u64) -> Option<u32> {
        let spec = self.spec(scheduler)?.clone();
        let key = spec.key(scheduler, cause.dir, cause.name);
        let at = self.slab.find(&key).unwrap_or_else(|| self.slab.add(tree, &key));
        let state = self.slab.state(at);
        let task = self.slab.get_mut(at)?;
        if spec.on_busy == OnBusy::Skip && matches!(state, State::Running { .. }) {
            self.note(tree, at, What::Skipped);
            return Some(at);
        }
        (task.mask, task.from_scan) = (cause.mask, cause.from_scan);
        task.source = cause.source.clone().map(Box::new);
        if state == State::New {
            task.mark = now.0 as u32;
        }
        let due = latest(task, &spec, now, due).max(throttle::held_until(task, now));
        let wait = Millis(due.saturating_sub(now.0).saturating_sub(1));
        // For people: nobody counts the milliseconds of a minute.
        let wait = if wait < Millis(60_000) { wait } else { wait.whole_seconds() };
        self.slab.set_path(tree, at, &key);
        let what = match state {
            State::New | State::Parked(_) => {
                self.take_out(at);
                self.delay_or_enqueue(at, due, now);
                What::Scheduled(wait)
            }
            State::Delayed(timer) => {
                self.wheel.reschedule(timer, due);
                What::Rescheduled(wait)
            }
            State::Queued(_) => What::Replaced,
            State::Running { again_at } => {
                self.slab.set_state(at, State::Running { again_at: Some(due) });
                match spec.on_busy {
                    OnBusy::Restart if again_at.is_none() => {
                        self.effects.push(Effect::Stop(TaskRef(at)));
                        What::Restarted
                    }
                    OnBusy::Restart | OnBusy::Rerun | OnBusy::Skip => What::Again,
                }
            }
        };
        self.note(tree, at, what);
        self.set_aside_if_too_late(tree, at);
        Some(at)
    }

    /// Cancels the path's task, and those of all that lies below it if it is a directory.
    fn cancel(&mut self, tree: &mut Tree, scheduler: SchedulerId, event: &Event<'_>) {
        let Some(spec) = self.spec(scheduler) else { return };
        let key = spec.key(scheduler, event.dir, event.name);
        let mut found: Vec<u32> = self.slab.find(&key).into_iter().collect();
        if event.is_dir && event.below && !spec.singlejob {
            let top = if event.name.is_empty() { Some(event.dir) } else { tree.child(event.dir, event.name) };
            for node in top.map(|top| tree.subtree(top)).unwrap_or_default() {
                found.extend(
                    self.slab.of_node(tree, node).filter(|(_, task)| task.scheduler == scheduler).map(|(at, _)| at),
                );
            }
        }
        // What a look at the disk has missed there may have made room for another of its name.
        let missed = event.from_scan && event.mask.any(Mask::DELETE) && !spec.singlejob;
        let is_meant = |task: &slab::Task| !missed || task.mask.any(Mask::ISDIR) == event.is_dir;
        found.retain(|at| self.slab.get(*at).is_some_and(is_meant));
        for at in found {
            self.cancel_one(tree, at, What::Cancelled);
        }
    }

    /// Ends a task that has not started; one that runs goes on, but not once more.
    fn cancel_one(&mut self, tree: &mut Tree, at: u32, why: What) {
        match self.slab.state(at) {
            State::Running { .. } => {
                self.slab.set_state(at, State::Running { again_at: None });
                self.note(tree, at, What::TooLate);
            }
            State::New | State::Delayed(_) | State::Queued(_) | State::Parked(_) => {
                self.note(tree, at, why);
                self.remove(tree, at);
                self.cancelled += 1;
            }
        }
    }

    fn spec(&self, scheduler: SchedulerId) -> Option<&Scheduler> {
        self.schedulers.get(usize::from(scheduler))
    }

    /// When [`Tasks::advance`] is to be called next, unless something happens before. Never later than a task is due.
    pub fn next(&self) -> Option<Tick> {
        self.wheel.next().map(Tick)
    }

    /// How many tasks there are, in whatever state.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// The names of a directory for which there are tasks, and whether those are a directory's; each once.
    pub fn names_at(&self, tree: &Tree, dir: NodeId) -> Vec<(Box<[u8]>, bool)> {
        let tasks = self.slab.of_node(tree, dir);
        let mut names: Vec<_> = tasks.map(|(_, task)| (task.name.clone(), task.mask.any(Mask::ISDIR))).collect();
        names.sort();
        names.dedup();
        names
    }

    /// A path has changed, and `maps` are the event maps that it concerns now: tasks that none of them would schedule
    /// for their event are cancelled.
    pub fn match_again(&mut self, tree: &mut Tree, dir: NodeId, name: &[u8], maps: &[u16]) {
        let tasks: Vec<(u32, SchedulerId, Mask)> = self
            .slab
            .of_node(tree, dir)
            .filter(|(_, task)| *task.name == *name)
            .map(|(at, task)| (at, task.scheduler, task.mask))
            .collect();
        for (at, scheduler, mask) in tasks {
            let wanted = Action { scheduler, verb: Verb::Schedule };
            let maps = maps.iter().filter_map(|map| self.maps.get(usize::from(*map)));
            let matches = maps
                .flat_map(|map| events::bits(mask).map(|bit| map.actions(bit)))
                .any(|found| found.contains(&wanted));
            if !matches || !self.spec(scheduler).is_some_and(|spec| spec.matches(tree, dir, name)) {
                self.cancel_one(tree, at, What::NotMatched);
            }
        }
    }

    /// What a task is about; `None` while its directory's new path is not known.
    fn about(&self, tree: &Tree, at: u32) -> Option<About> {
        let task = self.slab.get(at)?;
        let mut path = Vec::new();
        let known = tree.push_path(NodeId(task.node), &task.name, &mut path);
        known.then(|| task.about(path))
    }

    pub(super) fn note(&mut self, tree: &Tree, at: u32, what: What) {
        let Some(task) = self.slab.get(at) else { return };
        let wanted = self.spec(task.scheduler).is_some_and(|spec| what.level() >= spec.notes);
        if wanted {
            self.effects.push(Effect::Note(task.about(tree.path(NodeId(task.node), &task.name)), what));
        }
    }

    /// The invariants.
    #[cfg(test)]
    pub fn check(&self, tree: &Tree) {
        self.wheel.check();
        let count = |is: fn(&State) -> bool| self.slab.all().filter(|(_, task)| is(&task.state)).count();
        assert_eq!(count(|state| matches!(state, State::New)), 0);
        assert_eq!(count(|state| matches!(state, State::Delayed(_))), self.wheel.len());
        let queued = count(|state| matches!(state, State::Queued(_)));
        let running = count(|state| matches!(state, State::Running { .. }));
        assert_eq!((queued, running), self.turns.counts());
        assert_eq!(count(|state| matches!(state, State::Parked(_))), self.parked);
        assert_eq!(self.slab.all().filter(|(_, task)| task.restored).count(), self.restored);
        self.slab.check(tree);
    }
}

/// A task that is delayed again and again is due after `max_wait` all the same.
fn latest(task: &slab::Task, spec: &Scheduler, now: Tick, due: u64) -> u64 {
    let waited = u64::from((now.0 as u32).wrapping_sub(task.mark));
    let delays = matches!(task.state, State::New | State::Delayed(_));
    spec.max_wait.filter(|_| delays).map_or(due, |most| due.min(Millis(most.0.saturating_sub(waited)).after(now).0))
}

#[cfg(test)]
mod tests;
