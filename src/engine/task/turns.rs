//! Whose turn it is: tasks that are due wait in the order in which they came, and so many run at once, in all and of
//! each scheduler.

use super::SchedulerId;
use std::collections::BTreeMap;

/// Tasks that wait for their turn, and how many run.
#[derive(Default)]
pub struct Turns {
    /// By scheduler, then by the order in which they came: one that may not run holds up nobody else.
    waiting: Vec<BTreeMap<u64, u32>>,
    running: Vec<usize>,
    running_in_all: usize,
    so_far: u64,
}

impl Turns {
    /// A task waits from now on; the answer is its place.
    pub fn push(&mut self, scheduler: SchedulerId, at: u32) -> u64 {
        let scheduler = usize::from(scheduler);
        if self.waiting.len() <= scheduler {
            self.waiting.resize_with(scheduler + 1, BTreeMap::new);
        }
        self.so_far += 1;
        if let Some(queue) = self.waiting.get_mut(scheduler) {
            queue.insert(self.so_far, at);
        }
        self.so_far
    }

    /// A task does not wait any more.
    pub fn remove(&mut self, scheduler: SchedulerId, turn: u64) {
        if let Some(queue) = self.waiting.get_mut(usize::from(scheduler)) {
            queue.remove(&turn);
        }
    }

    /// The next task that may run, which runs from now on: `most` in all, and of each scheduler what it answers.
    pub fn next(&mut self, most: usize, most_of: impl Fn(SchedulerId) -> usize) -> Option<u32> {
        if self.running_in_all >= most {
            return None;
        }
        let running = |scheduler: SchedulerId| self.running.get(usize::from(scheduler)).copied().unwrap_or(0);
        let waiting = (0_u16..).zip(&self.waiting).filter(|(s, queue)| !queue.is_empty() && running(*s) < most_of(*s));
        let (scheduler, _) = waiting.min_by_key(|(_, queue)| queue.first_key_value().map(|(turn, _)| *turn))?;
        let (_, at) = self.waiting.get_mut(usize::from(scheduler))?.pop_first()?;
        self.runs(scheduler, true);
        Some(at)
    }

    /// A task runs, or does so no longer.
    pub fn runs(&mut self, scheduler: SchedulerId, runs: bool) {
        let step = |count: &mut usize| *count = if runs { *count + 1 } else { count.saturating_sub(1) };
        let scheduler = usize::from(scheduler);
        if self.running.len() <= scheduler {
            self.running.resize(scheduler + 1, 0);
        }
        self.running.get_mut(scheduler).into_iter().for_each(step);
        step(&mut self.running_in_all);
    }

    /// The first that wait, in the order in which they came.
    pub fn first(&self, most: usize) -> Vec<u32> {
        let mut first: Vec<(u64, u32)> = Vec::new();
        for queue in &self.waiting {
            first.extend(queue.iter().take(most).map(|(turn, at)| (*turn, *at)));
        }
        first.sort_unstable();
        first.into_iter().take(most).map(|(_, at)| at).collect()
    }

    /// How many wait, and how many run.
    pub fn counts(&self) -> (usize, usize) {
        (self.waiting.iter().map(BTreeMap::len).sum(), self.running_in_all)
    }
}
