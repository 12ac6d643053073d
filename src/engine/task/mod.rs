//! Tasks: what is to be done for a path once its delay is over, unless an event cancels it before.
//!
//! States: delayed → queued → running → gone. A task is keyed by (scheduler, directory node, name), so that it moves
//! along when its directory is renamed; with `singlejob` a scheduler has one task in all. Handlers take the time and
//! an input, and push effects: what to start, and what the log should say. Relies on [`crate::engine::watch`]'s tree
//! for paths, on which tasks hang themselves so that their directory's node lives as long as they do.
//!
//! | input    | none             | delayed           | queued         | running                              |
//! | -------- | ---------------- | ----------------- | -------------- | ------------------------------------ |
//! | schedule | delayed, queued  | its delay anew    | event replaced | once more after it                   |
//! | cancel   | nothing          | gone              | gone           | goes on; what was to follow is dropped |

mod drain;
pub mod map;
mod pending;
mod slab;
mod throttle;

pub use map::{Action, EventMap, SchedulerId, Verb};

use crate::engine::watch::{Event, NodeId, Tree, events};
use crate::parts::duration::Millis;
use crate::parts::log::Level;
use crate::parts::wheel::{TimerId, Wheel};
use crate::sys::clock::Tick;
use crate::sys::inotify::Mask;
use slab::{Key, Slab, State};
use std::collections::BTreeMap;

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
    /// The least level that anybody wants notes of.
    pub notes: Level,
}

/// A task, by number, from its start to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaskRef(u32);

/// What a task was started for, or what a note is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct About {
    /// Whose task.
    pub scheduler: SchedulerId,
    /// Its number, unique in a daemon's life.
    pub id: u64,
    /// The event, one bit, with IN_ISDIR for a directory.
    pub mask: Mask,
    /// The path.
    pub path: Vec<u8>,
    /// The path before a rename.
    pub source: Option<Box<[u8]>>,
    /// A listing found it, not the kernel's queue.
    pub from_scan: bool,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Start the job; [`Tasks::finished`] is owed.
    Start(TaskRef, About),
    /// Tell it.
    Note(About, What),
    /// Tell that there was this event.
    Seen {
        /// Its bits.
        mask: Mask,
        /// Its path.
        path: Vec<u8>,
        /// A listing found it, not the kernel's queue.
        from_scan: bool,
    },
}

/// What has happened to a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// It is new, and due after this.
    Scheduled(Millis),
    /// Its delay has begun anew.
    Rescheduled(Millis),
    /// It was waiting for its turn, and has a newer event now.
    Replaced,
    /// It is running, and will run once more.
    Again,
    /// An event has cancelled it.
    Cancelled,
    /// An event would have cancelled it, but it is running.
    TooLate,
    /// The daemon ends, and it is not due in time.
    CancelledByShutdown,
    /// Its own job seems to wake it again and again: it is held back for this long.
    HeldBack(Millis),
    /// Its directory was renamed, and no event map sends its event there any more.
    NotMatched,
}

impl What {
    /// How much it matters.
    pub fn level(self) -> Level {
        match self {
            What::Rescheduled(_) | What::Replaced | What::Again => Level::Debug,
            What::Scheduled(_) | What::Cancelled => Level::Info,
            What::TooLate | What::CancelledByShutdown | What::NotMatched | What::HeldBack(_) => Level::Warning,
        }
    }
}

/// A task whose directory is being renamed as it becomes due is looked at again after this.
const UNKNOWN_PATH: Millis = Millis(25);

/// All tasks of all schedulers.
pub struct Tasks {
    schedulers: Vec<Scheduler>,
    maps: Vec<EventMap>,
    slab: Slab,
    wheel: Wheel<u32>,
    /// Tasks that wait for their turn, by the order in which they came.
    queue: BTreeMap<u64, u32>,
    queued_so_far: u64,
    running: usize,
    max_jobs: usize,
    draining: Option<Tick>,
    /// How many have been cancelled before they started.
    pub cancelled: u64,
}

impl Tasks {
    /// No task yet. At most `max_jobs` run at once; `seed` is a secret.
    pub fn new(schedulers: Vec<Scheduler>, maps: Vec<EventMap>, max_jobs: usize, seed: u64, now: Tick) -> Tasks {
        Tasks {
            schedulers,
            maps,
            slab: Slab::new(seed),
            wheel: Wheel::new(now.0),
            queue: BTreeMap::new(),
            queued_so_far: 0,
            running: 0,
            max_jobs,
            draining: None,
            cancelled: 0,
        }
    }

    /// Consults the event's maps and does what they say, each (scheduler, verb) once.
    pub fn event(&mut self, now: Tick, tree: &mut Tree, event: &Event<'_>, effects: &mut Vec<Effect>) {
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
                Verb::Schedule => self.schedule(now, tree, action.scheduler, bit, event, effects),
                Verb::Cancel => self.cancel(tree, action.scheduler, event, effects),
            }
        }
    }

    fn schedule(
        &mut self,
        now: Tick,
        tree: &mut Tree,
        scheduler: SchedulerId,
        bit: Mask,
        event: &Event<'_>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(spec) = self.schedulers.get(usize::from(scheduler)) else { return };
        if !(if event.is_dir { spec.dirs } else { spec.files }) {
            return;
        }
        let (delay, key) = (spec.delay, Key { scheduler, single: spec.singlejob, dir: event.dir, name: event.name });
        let known = self.slab.find(&key);
        if known.is_none() && self.draining.is_some() {
            return;
        }
        let at = known.unwrap_or_else(|| self.slab.add(tree, &key));
        let Some(task) = self.slab.get_mut(at) else { return };
        let due = due_after(now, delay).max(throttle::held_until(task, now));
        task.mask = if event.is_dir { bit.with(Mask::ISDIR) } else { bit };
        task.source = event.source.map(Box::from);
        task.from_scan = event.from_scan;
        self.slab.set_path(tree, at, &key);
        let what = match self.slab.state(at) {
            State::New if delay.0 == 0 => {
                self.enqueue(at);
                What::Scheduled(delay)
            }
            State::New => {
                self.delay(at, due);
                What::Scheduled(delay)
            }
            State::Delayed(timer) => {
                self.wheel.reschedule(timer, due);
                What::Rescheduled(delay)
            }
            State::Queued(_) => What::Replaced,
            State::Running { .. } => {
                self.slab.set_state(at, State::Running { again_at: Some(due) });
                What::Again
            }
        };
        self.note(tree, at, what, effects);
        self.cancel_if_too_late(tree, at, effects);
    }

    /// Cancels the path's task, and those of all that lies below it if it is a directory.
    fn cancel(&mut self, tree: &mut Tree, scheduler: SchedulerId, event: &Event<'_>, effects: &mut Vec<Effect>) {
        let Some(spec) = self.schedulers.get(usize::from(scheduler)) else { return };
        let key = Key { scheduler, single: spec.singlejob, dir: event.dir, name: event.name };
        let mut found: Vec<u32> = self.slab.find(&key).into_iter().collect();
        if event.is_dir && event.below && !spec.singlejob {
            let top = if event.name.is_empty() { Some(event.dir) } else { tree.child(event.dir, event.name) };
            for node in top.map(|top| tree.subtree(top)).unwrap_or_default() {
                found.extend(
                    self.slab.of_node(tree, node).filter(|(_, task)| task.scheduler == scheduler).map(|(at, _)| at),
                );
            }
        }
        for at in found {
            self.cancel_one(tree, at, What::Cancelled, effects);
        }
    }

    /// Ends a task that has not started; one that runs goes on, but not once more.
    fn cancel_one(&mut self, tree: &mut Tree, at: u32, why: What, effects: &mut Vec<Effect>) {
        match self.slab.state(at) {
            State::Running { .. } => {
                self.slab.set_state(at, State::Running { again_at: None });
                self.note(tree, at, What::TooLate, effects);
            }
            State::New | State::Delayed(_) | State::Queued(_) => {
                self.note(tree, at, why, effects);
                self.remove(tree, at);
                self.cancelled += 1;
            }
        }
    }

    /// Takes a task out of wherever it is.
    fn remove(&mut self, tree: &mut Tree, at: u32) {
        match self.slab.state(at) {
            State::Delayed(timer) => drop(self.wheel.cancel(timer)),
            State::Queued(turn) => drop(self.queue.remove(&turn)),
            State::Running { .. } => self.running -= 1,
            State::New => {}
        }
        self.slab.remove(tree, at);
    }

    fn delay(&mut self, at: u32, due: u64) {
        let timer = self.wheel.schedule(due, at);
        self.slab.set_state(at, State::Delayed(timer));
    }

    fn enqueue(&mut self, at: u32) {
        self.queued_so_far += 1;
        self.queue.insert(self.queued_so_far, at);
        self.slab.set_state(at, State::Queued(self.queued_so_far));
    }

    /// Queues what is due, and starts what may start.
    pub fn advance(&mut self, now: Tick, tree: &mut Tree, effects: &mut Vec<Effect>) {
        while let Some((_, at)) = self.wheel.pop(now.0) {
            self.enqueue(at);
        }
        while self.running < self.max_jobs {
            let Some((_, at)) = self.queue.pop_first() else { break };
            self.slab.set_state(at, State::Running { again_at: None });
            self.running += 1;
            if let Some(task) = self.slab.get_mut(at) {
                throttle::starts(task, now);
            }
            match self.about(tree, at) {
                Some(about) => effects.push(Effect::Start(TaskRef(at), about)),
                None => {
                    self.running -= 1;
                    self.delay(at, due_after(now, UNKNOWN_PATH));
                }
            }
        }
    }

    /// A job that was started has ended, or could not be started.
    pub fn finished(&mut self, now: Tick, tree: &mut Tree, task: TaskRef, effects: &mut Vec<Effect>) {
        let State::Running { again_at } = self.slab.state(task.0) else { return };
        match again_at {
            None => self.remove(tree, task.0),
            Some(due) => {
                self.running -= 1;
                let due = due.max(self.hold_back(now, tree, task.0, effects));
                if due <= now.0 {
                    self.enqueue(task.0);
                } else {
                    self.delay(task.0, due);
                    self.cancel_if_too_late(tree, task.0, effects);
                }
            }
        }
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
    pub fn match_again(&mut self, tree: &mut Tree, dir: NodeId, name: &[u8], maps: &[u16], effects: &mut Vec<Effect>) {
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
            if !matches {
                self.cancel_one(tree, at, What::NotMatched, effects);
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

    pub(super) fn note(&self, tree: &Tree, at: u32, what: What, effects: &mut Vec<Effect>) {
        let Some(task) = self.slab.get(at) else { return };
        let wanted = self.schedulers.get(usize::from(task.scheduler)).is_some_and(|spec| what.level() >= spec.notes);
        if wanted {
            effects.push(Effect::Note(task.about(tree.path(NodeId(task.node), &task.name)), what));
        }
    }

    /// The invariants.
    #[cfg(test)]
    pub fn check(&self, tree: &Tree) {
        self.wheel.check();
        let count = |is: fn(&State) -> bool| self.slab.all().filter(|(_, task)| is(&task.state)).count();
        assert_eq!(count(|state| matches!(state, State::New)), 0);
        assert_eq!(count(|state| matches!(state, State::Delayed(_))), self.wheel.len());
        assert_eq!(count(|state| matches!(state, State::Queued(_))), self.queue.len());
        assert_eq!(count(|state| matches!(state, State::Running { .. })), self.running);
        self.slab.check(tree);
    }
}

/// The first tick at which a whole delay has passed: `now` was rounded down, so one more, if there is a delay at all.
fn due_after(now: Tick, delay: Millis) -> u64 {
    now.0.saturating_add(delay.0).saturating_add(u64::from(delay.0 > 0))
}

#[cfg(test)]
mod tests;
