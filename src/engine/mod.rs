//! The pure core: it is told what happened and what time it is, and says what is to be done.
//!
//! No file here makes a system call or reads a clock; of `sys` it takes only types. So it is tested without sleeping.

pub mod task;
pub mod watch;

use crate::sys::clock::Tick;
use task::{Effect, Tasks};
use watch::{Aftermath, Event, NodeId, Watches};

/// Tells the tasks what has become of the directories that they hang on; to be called after each call to
/// [`Watches`] that gives out events.
pub fn tell_tasks(watches: &mut Watches, tasks: &mut Tasks, now: Tick, effects: &mut Vec<Effect>) {
    while let Some(aftermath) = watches.next_aftermath() {
        let (Aftermath::Lost(top, _) | Aftermath::Moved(top)) = aftermath;
        for node in watches.tree().subtree(top) {
            for name in tasks.names_at(watches.tree(), node) {
                let maps = watches.maps_at(node, &name);
                match aftermath {
                    Aftermath::Lost(_, mask) => {
                        let event = synthetic(node, &name, mask, &maps);
                        tasks.event(now, watches.tree_mut(), &event, effects);
                    }
                    Aftermath::Moved(_) => tasks.match_again(watches.tree_mut(), node, &name, &maps, effects),
                }
            }
        }
        if matches!(aftermath, Aftermath::Lost(..)) {
            watches.tree_mut().release(top);
        }
    }
}

/// An event that no record tells: the file's directory is gone, and so is the file at this path.
fn synthetic<'a>(dir: NodeId, name: &'a [u8], mask: crate::sys::inotify::Mask, maps: &'a [watch::MapId]) -> Event<'a> {
    Event { mask, dir, name, is_dir: false, below: false, maps, source: None, from_scan: true }
}

#[cfg(test)]
mod tests;
