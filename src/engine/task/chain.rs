//! Tasks that no event asked for: what another task hands on, and what was saved before the last end.

use super::slab::State;
use super::{Cause, SchedulerId, TaskRef, Tasks};
use crate::engine::watch::{NodeId, Tree};
use crate::parts::duration::Millis;
use crate::sys::clock::Tick;
use crate::sys::inotify::Mask;

/// How a job ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome<'a> {
    /// It was done; the path is that of what it made, if that is not the event's.
    Done(Option<&'a [u8]>),
    /// There was nothing to be done, and nobody is handed anything.
    Nothing,
    /// It failed.
    Failed,
    /// It was ended for a newer event, which is no failure.
    Outdated,
}

/// A task as it was when the daemon ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Saved {
    /// Whose task.
    pub scheduler: SchedulerId,
    /// The event, with IN_ISDIR for a directory.
    pub mask: Mask,
    /// The path.
    pub path: Vec<u8>,
    /// The path before a rename.
    pub source: Option<Box<[u8]>>,
    /// When it is due.
    pub due: Tick,
}

impl Tasks {
    /// Hands a task that has ended on to whoever its scheduler names. Unlike an event, this asks neither what counts for
    /// that scheduler nor whether the end has begun: nothing that was begun is lost.
    pub(super) fn hand_on(&mut self, now: Tick, tree: &mut Tree, task: TaskRef, outcome: Outcome<'_>) {
        let Some((ended, spec)) = self.slab.get(task.0).and_then(|task| Some((task, self.spec(task.scheduler)?)))
        else {
            return;
        };
        let (to, result) = match outcome {
            Outcome::Done(result) => (spec.then, result),
            Outcome::Nothing | Outcome::Outdated => return,
            Outcome::Failed => (spec.on_failure, None),
        };
        let Some(to) = to else { return };
        let (mask, node, name) = (ended.mask, NodeId(ended.node), ended.name.clone());
        let mut cause = Cause {
            mask,
            dir: node,
            name: &name,
            source: ended.source.as_deref().cloned(),
            from_scan: ended.from_scan,
        };
        if let Some((dir, name)) = result.and_then(|path| place(tree, path)) {
            let old = tree.path(node, cause.name);
            cause = Cause { mask, dir, name, source: Some(old.into()), from_scan: false };
        }
        let delay = self.spec(to).map_or(Millis(0), |spec| spec.delay);
        self.put(now, tree, to, &cause, delay.after(now).0);
    }

    /// The job of a task that runs has something to do again at that time: it runs once more, unless an event wants that sooner,
    /// or its scheduler is gone.
    pub fn again(&mut self, task: TaskRef, due: Tick) {
        if self.slab.get(task.0).is_none_or(|task| self.spec(task.scheduler).is_none()) {
            return;
        }
        if let State::Running { again_at } = self.slab.state(task.0) {
            let again_at = again_at.map_or(due.0, |sooner| sooner.min(due.0));
            // It is no event of its own doing.
            self.slab.get_mut(task.0).into_iter().for_each(|task| task.in_a_row = 0);
            self.slab.set_state(task.0, State::Running { again_at: Some(again_at) });
        }
    }

    /// Schedules a task that no event asks for: what its scheduler does, it begins by itself.
    pub fn begin(&mut self, now: Tick, tree: &mut Tree, scheduler: SchedulerId, (mask, path): (Mask, &[u8])) {
        if let Some((dir, name)) = place(tree, path) {
            let cause = Cause { mask, dir, name, source: None, from_scan: true };
            self.put(now, tree, scheduler, &cause, now.0);
        }
    }

    /// Takes a saved task up again. If events of this run have asked for the same since, they know better; what a first
    /// scan has found does not.
    pub fn restore(&mut self, now: Tick, tree: &mut Tree, saved: &Saved) {
        let Some((dir, name)) = place(tree, &saved.path) else { return };
        let Some(spec) = self.spec(saved.scheduler) else { return };
        if let Some(at) = self.slab.find(&spec.key(saved.scheduler, dir, name)) {
            let waits = matches!(self.slab.state(at), State::Delayed(_) | State::Queued(_));
            if !waits || self.slab.get(at).is_some_and(|task| !task.from_scan) {
                return;
            }
        }
        let cause = Cause { mask: saved.mask, dir, name, source: saved.source.clone(), from_scan: false };
        let at = self.put(now, tree, saved.scheduler, &cause, saved.due.0);
        if let Some(task) = at.and_then(|at| self.slab.get_mut(at)) {
            task.restored = true;
            self.restored += 1;
        }
    }

    /// How many of the tasks that were taken up again are left.
    pub fn restored(&self) -> usize {
        self.restored
    }
}

/// Where a path is in the tree; its directory becomes known if it is not.
fn place<'p>(tree: &mut Tree, path: &'p [u8]) -> Option<(NodeId, &'p [u8])> {
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    let (dir, name) = (path.get(..slash)?, path.get(slash + 1..)?);
    Some((*tree.way_to(dir)?.last()?, name))
}
