//! Shutdown: no new tasks; what is due in time still runs, and events still cancel and delay it. What is not due in time
//! is kept aside to be saved, or cancelled.

use super::slab::State;
use super::{About, Tasks, What};
use crate::engine::watch::Tree;
use crate::sys::clock::Tick;

/// The end has begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Draining {
    /// What is due later does not run any more; nothing does if there is none.
    until: Option<Tick>,
    /// It is kept.
    keep: bool,
}

impl Tasks {
    /// From now on no task is added, and what is not due before `until` (without it, all that has not started) is kept
    /// aside if `keep`, else cancelled.
    pub fn drain(&mut self, tree: &mut Tree, until: Option<Tick>, keep: bool) {
        self.draining = Some(Draining { until, keep });
        for at in self.slab.all().map(|(at, _)| at).collect::<Vec<_>>() {
            self.set_aside_if_too_late(tree, at);
        }
    }

    pub(super) fn set_aside_if_too_late(&mut self, tree: &mut Tree, at: u32) {
        let Some(Draining { until, keep }) = self.draining else { return };
        let is_late = |due: u64| until.is_none_or(|until| due > until.0);
        let due = match self.slab.state(at) {
            State::Delayed(timer) => self.wheel.expiry(timer).filter(|due| is_late(*due)),
            // It has been due for a while.
            State::Queued(_) => until.is_none().then_some(0),
            State::Running { again_at } => again_at.filter(|due| is_late(*due) && !keep),
            State::New | State::Parked(_) => None,
        };
        match (due, self.slab.state(at)) {
            (None, _) => {}
            (Some(_), State::Running { .. }) => {
                self.slab.set_state(at, State::Running { again_at: None });
                self.note(tree, at, What::CancelledByShutdown);
            }
            (Some(due), _) if keep => self.park(tree, at, due),
            (Some(_), _) => self.cancel_one(tree, at, What::CancelledByShutdown),
        }
    }

    fn park(&mut self, tree: &Tree, at: u32, due: u64) {
        self.take_out(at);
        self.parked += 1;
        self.parkings += 1;
        self.slab.set_state(at, State::Parked(due));
        self.note(tree, at, What::Kept);
    }

    /// The tasks that the next start is to find, and when they are due: those that are kept aside, and until they have
    /// ended, those that were found at this one.
    pub fn to_save<'a>(&'a self, tree: &'a Tree) -> impl Iterator<Item = (About, Tick)> + 'a {
        // What is to run once more after a run whose end nobody waits for.
        let given_up = self.draining.is_some_and(|draining| draining.until.is_none());
        self.slab.all().filter_map(move |(at, task)| {
            let due = match task.state {
                State::Parked(due) => Some(due),
                State::Running { again_at: Some(due) } if given_up => Some(due),
                State::Delayed(timer) => self.wheel.expiry(timer).filter(|_| task.restored),
                State::New | State::Queued(_) | State::Running { .. } => task.restored.then_some(0),
            };
            Some((self.about(tree, at)?, Tick(due?)))
        })
    }

    /// How many tasks still hold up the end.
    pub fn active(&self) -> usize {
        self.slab.len() - self.parked
    }
}
