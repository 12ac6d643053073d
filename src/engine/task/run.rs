//! The way of a task: delayed, queued, running, gone.

use super::slab::State;
use super::{Effect, Outcome, TaskRef, Tasks, throttle};
use crate::engine::watch::Tree;
use crate::parts::duration::Millis;
use crate::sys::clock::Tick;

/// A task whose directory is being renamed as it becomes due is looked at again after this.
const UNKNOWN_PATH: Millis = Millis(25);

impl Tasks {
    /// Ends a task, wherever it is.
    pub(super) fn remove(&mut self, tree: &mut Tree, at: u32) {
        self.take_out(at);
        self.restored -= usize::from(self.slab.get(at).is_some_and(|task| task.restored));
        self.slab.remove(tree, at);
    }

    /// Takes a task out of where it waits, or runs.
    pub(super) fn take_out(&mut self, at: u32) {
        let Some(task) = self.slab.get(at) else { return };
        let scheduler = task.scheduler;
        match task.state {
            State::Delayed(timer) => drop(self.wheel.cancel(timer)),
            State::Queued(turn) => self.turns.remove(scheduler, turn),
            State::Running { .. } => self.turns.runs(scheduler, false),
            State::Parked(_) => {
                self.parked -= 1;
                self.parkings += 1;
            }
            State::New => {}
        }
        self.slab.set_state(at, State::New);
    }

    /// Of one that was taken out.
    fn delay(&mut self, at: u32, due: u64) {
        let timer = self.wheel.schedule(due, at);
        self.slab.set_state(at, State::Delayed(timer));
    }

    pub(super) fn delay_or_enqueue(&mut self, at: u32, due: u64, now: Tick) {
        if due <= now.0 { self.enqueue(at) } else { self.delay(at, due) }
    }

    fn enqueue(&mut self, at: u32) {
        let Some(task) = self.slab.get(at) else { return };
        let turn = self.turns.push(task.scheduler, at);
        self.slab.set_state(at, State::Queued(turn));
    }

    /// Queues what is due, and starts what may start.
    pub fn advance(&mut self, now: Tick, tree: &mut Tree) {
        while let Some((_, at)) = self.wheel.pop(now.0) {
            self.enqueue(at);
        }
        while let Some(at) = self.next_turn() {
            self.slab.set_state(at, State::Running { again_at: None });
            if let Some(task) = self.slab.get_mut(at) {
                throttle::starts(task, now);
            }
            match self.about(tree, at) {
                Some(about) => self.effects.push(Effect::Start(TaskRef(at), about)),
                None => {
                    self.take_out(at);
                    self.delay(at, UNKNOWN_PATH.after(now).0);
                }
            }
        }
    }

    fn next_turn(&mut self) -> Option<u32> {
        let schedulers = &self.schedulers;
        let most_of = |scheduler| schedulers.get(usize::from(scheduler)).map_or(usize::MAX, |spec| spec.max_jobs);
        self.turns.next(self.max_jobs, most_of)
    }

    /// A job that was started has ended, or could not be started.
    pub fn finished(&mut self, now: Tick, tree: &mut Tree, task: TaskRef, outcome: Outcome<'_>) {
        let State::Running { again_at } = self.slab.state(task.0) else { return };
        self.hand_on(now, tree, task, outcome);
        match again_at {
            None => self.remove(tree, task.0),
            Some(due) => {
                let due = due.max(self.hold_back(now, tree, task.0));
                self.take_out(task.0);
                self.delay_or_enqueue(task.0, due, now);
                self.set_aside_if_too_late(tree, task.0);
            }
        }
    }
}
