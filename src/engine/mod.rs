//! The pure core: it is told what happened and what time it is, and says what is to be done.
//!
//! No file here makes a system call or reads a clock; of `sys` it takes only types. So it is tested without sleeping.

pub mod due;
pub mod rehearsal;
pub mod rule;
pub mod task;
pub mod watch;

use crate::parts::duration::Millis;
use crate::sys::clock::Tick;
use crate::sys::inotify::Mask;
use task::{About, Effect, Outcome, Rules, Saved, SchedulerId, TaskRef, Tasks};
use watch::{Aftermath, Event, MapId, NodeId, Sink, Tree, Watch, Watches};

/// Watches and tasks, and what is to be done by their word.
pub struct Engine {
    /// The watches.
    pub watches: Watches,
    tasks: Tasks,
    traced: bool,
    /// How many there have been.
    pub events: u64,
}

impl Engine {
    /// Both together; if `traced`, every event is told by an effect of its own.
    pub fn new(watches: Watches, tasks: Tasks, traced: bool) -> Engine {
        Engine { watches, tasks, traced, events: 0 }
    }

    /// The tasks.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Lets the watches take something in. The events that it gives rise to go to the tasks, and so does what has become
    /// of the directories that tasks hang on.
    pub fn feed<T>(&mut self, now: Tick, input: impl FnOnce(&mut Watches, Sink<'_>) -> T) -> T {
        let Engine { watches, tasks, traced, events } = self;
        let mut sink = |tree: &mut Tree, event: &Event<'_>| {
            // On the way to a configured path, directories are watched for themselves: that concerns nobody.
            if event.maps.is_empty() {
                return;
            }
            *events += 1;
            if *traced {
                let path = tree.path(event.dir, event.name);
                let source = event.source.map(Box::from);
                tasks.effects.push(Effect::Seen { mask: event.mask, path, source, from_scan: event.from_scan });
            }
            tasks.event(now, tree, event);
        };
        let result = input(watches, &mut sink);
        watches.catch_up(&mut sink);
        self.tell_tasks(now);
        result
    }

    fn tell_tasks(&mut self, now: Tick) {
        let Engine { watches, tasks, .. } = self;
        while let Some(aftermath) = watches.next_aftermath() {
            let (Aftermath::Lost(top, _) | Aftermath::Moved(top)) = aftermath;
            for node in watches.tree().subtree(top) {
                for (name, is_dir) in tasks.names_at(watches.tree(), node) {
                    let maps = watches.maps_at(node, &name, is_dir);
                    match aftermath {
                        Aftermath::Lost(_, mask) => {
                            let event = synthetic(node, (&name, is_dir), mask, &maps);
                            tasks.event(now, watches.tree_mut(), &event);
                        }
                        Aftermath::Moved(_) => tasks.match_again(watches.tree_mut(), node, &name, &maps),
                    }
                }
            }
            if matches!(aftermath, Aftermath::Lost(..)) {
                watches.tree_mut().release(top);
            }
        }
    }

    /// Queues what is due, and starts what may start.
    pub fn advance(&mut self, now: Tick) {
        self.tasks.advance(now, self.watches.tree_mut());
    }

    /// A job that was started has ended, or could not be started.
    pub fn finished(&mut self, now: Tick, task: TaskRef, outcome: Outcome<'_>) {
        self.tasks.finished(now, self.watches.tree_mut(), task, outcome);
    }

    /// A job that runs has something to do again at that time.
    pub fn again(&mut self, task: TaskRef, due: Tick) {
        self.tasks.again(task, due);
    }

    /// A job has failed for a reason that will not go away at once: its task, if it is to run again, waits for so long.
    pub fn hold(&mut self, now: Tick, task: TaskRef, pause: Millis) {
        self.tasks.hold(now, self.watches.tree_mut(), task, pause);
    }

    /// Schedules a task that no event asks for.
    pub fn begin(&mut self, now: Tick, scheduler: SchedulerId, about: (Mask, &[u8])) {
        self.tasks.begin(now, self.watches.tree_mut(), scheduler, about);
    }

    /// From now on no task is added, and what is not due before `until` (without it, all that has not started) is kept
    /// aside if `keep`, else cancelled.
    pub fn drain(&mut self, until: Option<Tick>, keep: bool) {
        self.tasks.drain(self.watches.tree_mut(), until, keep);
    }

    /// The tasks that the next start is to find, and when they are due.
    pub fn to_save(&self) -> impl Iterator<Item = (About, Tick)> {
        self.tasks.to_save(self.watches.tree())
    }

    /// Takes up a task that was saved.
    pub fn restore(&mut self, now: Tick, saved: &Saved) {
        self.tasks.restore(now, self.watches.tree_mut(), saved);
    }

    /// From now on these watches and rules hold; `number` says which scheduler, by its new number, is the same as before, by its
    /// old one. What is told of tasks names schedulers by their old numbers. To be called while nothing is to be scanned
    /// and nothing is in doubt.
    pub fn reconfigure(
        &mut self,
        watches: &[Watch],
        rules: Rules,
        number: &dyn Fn(SchedulerId) -> Option<SchedulerId>,
        traced: bool,
    ) {
        self.traced = traced;
        let used = rules.used();
        self.tasks.reconfigure(rules, number, self.watches.tree_mut());
        self.watches.reconfigure(watches, used);
    }

    /// What is to be done, in this order.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.tasks.effects)
    }

    /// Whether there is anything of that.
    pub fn has_effects(&self) -> bool {
        !self.tasks.effects.is_empty()
    }
}

/// An event that no record tells: the directory is gone, and so is what this name had in it.
fn synthetic<'a>(dir: NodeId, (name, is_dir): (&'a [u8], bool), mask: Mask, maps: &'a [MapId]) -> Event<'a> {
    let mask = if is_dir { mask.with(Mask::ISDIR) } else { mask };
    Event { mask, dir, name, is_dir, below: false, maps, source: None, from_scan: true }
}

#[cfg(test)]
mod tests;
