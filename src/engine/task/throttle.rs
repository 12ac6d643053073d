//! Tasks that keep waking themselves: a job that changes what its own watch tells of would run for ever.
//!
//! What a job does to its path comes back as an event while it runs, and asks for one more run after it. A task that is
//! asked for again so many times in a row, each time after a short run, is held back: longer and longer, so that the
//! machine has rest and nothing is lost, for what is not its own doing is acted on too, only later.

use super::slab::{State, Task};
use super::{TaskRef, Tasks, What};
use crate::engine::watch::Tree;
use crate::parts::duration::Millis;
use crate::sys::clock::Tick;

/// So many in a row are no coincidence.
const MOST_IN_A_ROW: u16 = 10;
/// A run that takes longer holds itself back; in milliseconds.
const SHORT: u64 = 1_000;
/// For how long it is held back at first, and in the end.
const PAUSES: [u64; 2] = [1_000, 60_000];

/// A task starts.
pub fn starts(task: &mut Task, now: Tick) {
    task.mark = now.0 as u32;
}

/// Until when a task is held back, if that is to come.
pub fn held_until(task: &Task, now: Tick) -> u64 {
    let left = u64::from(task.mark.wrapping_sub(now.0 as u32));
    if task.in_a_row >= MOST_IN_A_ROW && left <= PAUSES[1] { now.0 + left } else { 0 }
}

impl Tasks {
    /// A task that has not started, were it due already, starts then and not before, whatever asks for it.
    pub fn hold(&mut self, now: Tick, tree: &mut Tree, task: TaskRef, pause: Millis) {
        let TaskRef(at) = task;
        let (State::Delayed(_) | State::Queued(_)) = self.slab.state(at) else { return };
        let until = now.0 + pause.0.min(PAUSES[1]);
        self.take_out(at);
        self.delay_or_enqueue(at, until, now);
        if let Some(task) = self.slab.get_mut(at) {
            (task.in_a_row, task.mark) = (MOST_IN_A_ROW, until as u32);
        }
        self.set_aside_if_too_late(tree, at);
    }

    /// A task has run, and was asked for again meanwhile. The answer is when it may start, at the earliest.
    pub(super) fn hold_back(&mut self, now: Tick, tree: &Tree, at: u32) -> u64 {
        let delay = self.slab.get(at).and_then(|task| self.spec(task.scheduler)).map(|spec| spec.delay);
        let Some(task) = self.slab.get_mut(at) else { return 0 };
        let took = u64::from((now.0 as u32).wrapping_sub(task.mark));
        if took + delay.unwrap_or_default().0 >= SHORT {
            task.in_a_row = 0;
        } else {
            task.in_a_row = task.in_a_row.saturating_add(1);
        }
        let Some(doublings) = task.in_a_row.checked_sub(MOST_IN_A_ROW) else {
            task.mark = now.0 as u32;
            return 0;
        };
        let pause = (PAUSES[0] << doublings.min(16)).min(PAUSES[1]);
        task.mark = (now.0 + pause) as u32;
        if doublings == 0 {
            self.note(tree, at, What::HeldBack(Millis(pause)));
        }
        now.0 + pause
    }
}
