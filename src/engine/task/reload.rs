//! Another configuration: tasks stay with the scheduler of their scheduler's name.

use super::slab::State;
use super::turns::Turns;
use super::{Rules, SchedulerId, Tasks, What};
use crate::engine::watch::Tree;

/// The scheduler of a task that runs and has none any more.
const GONE: SchedulerId = SchedulerId::MAX;

impl Tasks {
    /// From now on these rules hold; `number` says which scheduler, by its new number, is the same as before, by its old
    /// one. Tasks of those that are gone are cancelled; what runs, runs to its end.
    pub fn reconfigure(
        &mut self,
        Rules { schedulers, maps, max_jobs }: Rules,
        number: &dyn Fn(SchedulerId) -> Option<SchedulerId>,
        tree: &mut Tree,
    ) {
        let all: Vec<(u32, SchedulerId)> = self.slab.all().map(|(at, task)| (at, task.scheduler)).collect();
        let mut single: Vec<SchedulerId> = Vec::new();
        for (at, old) in all {
            let new = number(old);
            let is_single = new.and_then(|new| schedulers.get(usize::from(new))).is_some_and(|spec| spec.singlejob);
            let is_one_too_many = is_single && new.is_some_and(|new| single.contains(&new));
            match (new.filter(|_| !is_one_too_many), self.slab.state(at)) {
                (Some(new), _) => {
                    single.extend(is_single.then_some(new));
                    self.slab.assign(at, new, is_single);
                }
                (None, State::Running { .. }) => {
                    self.slab.set_state(at, State::Running { again_at: None });
                    self.slab.assign(at, GONE, false);
                }
                (None, State::New | State::Delayed(_) | State::Queued(_) | State::Parked(_)) => {
                    self.note(tree, at, What::SchedulerGone);
                    self.remove(tree, at);
                }
            }
        }
        self.slab.index_anew();
        (self.schedulers, self.maps, self.max_jobs) = (schedulers, maps, max_jobs);
        self.queue_anew();
    }

    fn queue_anew(&mut self) {
        self.turns = Turns::default();
        let mut waiting: Vec<(u64, u32, SchedulerId)> = Vec::new();
        for (at, task) in self.slab.all() {
            match task.state {
                State::Queued(turn) => waiting.push((turn, at, task.scheduler)),
                State::Running { .. } => self.turns.runs(task.scheduler, true),
                State::New | State::Delayed(_) | State::Parked(_) => {}
            }
        }
        waiting.sort_unstable();
        for (_, at, scheduler) in waiting {
            let turn = self.turns.push(scheduler, at);
            self.slab.set_state(at, State::Queued(turn));
        }
    }
}
