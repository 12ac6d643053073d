//! Looking at tasks that have not started, for people who ask.

use super::slab::State;
use super::{About, Tasks};
use crate::engine::watch::{NodeId, Tree};
use crate::sys::clock::Tick;
use std::collections::BinaryHeap;

/// A task that has not started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pending {
    /// When it is due; `None` if it is, and waits for its turn.
    pub due: Option<Tick>,
    /// What it is for.
    pub about: About,
}

impl Tasks {
    /// The tasks that come next, `most` at the most: those that wait for their turn, then the others by due time. However
    /// many there are, no more than that are kept in memory meanwhile.
    pub fn pending(&self, tree: &Tree, most: usize) -> Vec<Pending> {
        let queued: Vec<_> = self.turns.first(most).into_iter().map(|at| (None, at)).collect();
        let room = most.saturating_sub(queued.len());
        // The one that is due last is on top, and goes when an earlier one comes.
        let mut next = BinaryHeap::with_capacity(room + 1);
        for (at, task) in self.slab.all() {
            let due = match task.state {
                State::Delayed(timer) => self.wheel.expiry(timer),
                State::Parked(due) => Some(due),
                State::New | State::Queued(_) | State::Running { .. } => None,
            };
            next.extend(due.map(|due| (due, task.id, at)));
            if next.len() > room {
                next.pop();
            }
        }
        let delayed = next.into_sorted_vec().into_iter().map(|(due, _, at)| (Some(Tick(due)), at));
        let pending = |(due, at)| {
            let task = self.slab.get(at)?;
            Some(Pending { due, about: task.about(tree.path(NodeId(task.node), &task.name)) })
        };
        queued.into_iter().chain(delayed).filter_map(pending).collect()
    }

    /// How many tasks are delayed, wait for their turn, and run.
    pub fn counts(&self) -> (usize, usize, usize) {
        let (queued, running) = self.turns.counts();
        (self.wheel.len() + self.parked, queued, running)
    }
}
