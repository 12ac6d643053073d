//! Shutdown: no new tasks; what is due in time still runs, and events still cancel and delay it.

use super::slab::State;
use super::{Effect, Tasks, What};
use crate::engine::watch::Tree;
use crate::sys::clock::Tick;

impl Tasks {
    /// From now on no task is added, and what is not due before `until` is cancelled.
    pub fn drain(&mut self, until: Tick, tree: &mut Tree, effects: &mut Vec<Effect>) {
        self.draining = Some(until);
        for at in self.all() {
            self.cancel_if_too_late(tree, at, effects);
        }
    }

    /// Cancels what has not started: the time is over.
    pub fn give_up(&mut self, tree: &mut Tree, effects: &mut Vec<Effect>) {
        for at in self.all() {
            match self.slab.state(at) {
                State::Running { again_at } => self.drop_rerun(tree, at, again_at.is_some(), effects),
                State::New | State::Delayed(_) | State::Queued(_) => {
                    self.cancel_one(tree, at, What::CancelledByShutdown, effects);
                }
            }
        }
        self.draining = Some(Tick(0));
    }

    pub(super) fn cancel_if_too_late(&mut self, tree: &mut Tree, at: u32, effects: &mut Vec<Effect>) {
        let Some(until) = self.draining else { return };
        match self.slab.state(at) {
            State::Delayed(timer) if self.wheel.expiry(timer).is_some_and(|due| due > until.0) => {
                self.cancel_one(tree, at, What::CancelledByShutdown, effects);
            }
            State::Running { again_at: Some(due) } if due > until.0 => self.drop_rerun(tree, at, true, effects),
            State::New | State::Delayed(_) | State::Queued(_) | State::Running { .. } => {}
        }
    }

    /// It will not run once more after it; that is told if it was expected to.
    fn drop_rerun(&mut self, tree: &Tree, at: u32, expected: bool, effects: &mut Vec<Effect>) {
        self.slab.set_state(at, State::Running { again_at: None });
        if expected {
            self.note(tree, at, What::CancelledByShutdown, effects);
        }
    }

    fn all(&self) -> Vec<u32> {
        self.slab.all().map(|(at, _)| at).collect()
    }
}
