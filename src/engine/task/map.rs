//! Event maps: which event goes to which schedulers, and whether it schedules or cancels.

use crate::engine::watch::events;
use crate::sys::inotify::Mask;

/// A scheduler, by number.
pub type SchedulerId = u16;

/// What an event does to a scheduler's task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// Schedules it, or starts its delay again.
    Schedule,
    /// Cancels it.
    Cancel,
}

/// One entry of a map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Action {
    /// Whose task.
    pub scheduler: SchedulerId,
    /// What is done to it.
    pub verb: Verb,
}

/// From events to actions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventMap {
    /// The name by which watches ask for it.
    pub name: String,
    /// By the number of the event's bit; all of them are below 16.
    actions: [Vec<Action>; 16],
}

impl EventMap {
    /// Says what an event does.
    pub fn set(&mut self, event: Mask, actions: Vec<Action>) {
        if let Some(place) = self.actions.get_mut(slot(event)) {
            *place = actions;
        }
    }

    /// What an event does, in the order in which it was written.
    pub fn actions(&self, event: Mask) -> &[Action] {
        self.actions.get(slot(event)).map_or(&[], Vec::as_slice)
    }

    /// All events that do anything.
    pub fn used(&self) -> Mask {
        let used = events::EVENTS.iter().filter(|event| !self.actions(event.bit).is_empty());
        used.fold(Mask::default(), |mask, event| mask.with(event.bit))
    }
}

fn slot(event: Mask) -> usize {
    event.0.trailing_zeros() as usize
}
