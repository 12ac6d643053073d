//! Where tasks lie: a slab, found by key through a hash index, and hung on their directory's node by links.

use super::{About, SchedulerId, TimerId};
use crate::engine::watch::tree::NONE;
use crate::engine::watch::{NodeId, Tree};
use crate::parts::index::{Index, keyed_hash};
use crate::sys::inotify::Mask;

/// What makes a task the same as another.
pub struct Key<'a> {
    pub scheduler: SchedulerId,
    /// The scheduler has one task in all: the path does not count.
    pub single: bool,
    pub dir: NodeId,
    pub name: &'a [u8],
}

/// Where a task is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    New,
    Delayed(TimerId),
    /// Its place in the queue.
    Queued(u64),
    /// The daemon ends, and it is due then: it is kept to be saved.
    Parked(u64),
    /// An event has come meanwhile: once more, due at this tick.
    Running {
        again_at: Option<u64>,
    },
}

pub struct Task {
    pub id: u64,
    pub state: State,
    pub name: Box<[u8]>,
    /// Few have one, and twice boxed it takes half as much in those that have none.
    pub source: Option<Box<Box<[u8]>>>,
    pub node: u32,
    next: u32,
    prev: u32,
    pub mask: Mask,
    /// How often in a row it was asked for again while it ran, and that not for long.
    pub in_a_row: u16,
    /// The low bits of a tick: while it is delayed, of when it was scheduled first; while it runs, of its start; while it is
    /// held back, of until when.
    pub mark: u32,
    pub scheduler: SchedulerId,
    single: bool,
    pub from_scan: bool,
    /// It was saved when the daemon ended last.
    pub restored: bool,
}

impl Task {
    pub fn about(&self, path: Vec<u8>) -> About {
        About {
            scheduler: self.scheduler,
            id: self.id,
            mask: self.mask,
            path,
            source: self.source.as_deref().cloned(),
            from_scan: self.from_scan,
        }
    }
}

/// All tasks.
pub struct Slab {
    tasks: Vec<Option<Task>>,
    free: Vec<u32>,
    by_key: Index,
    seed: u64,
    ids: u64,
}

impl Slab {
    pub fn new(seed: u64) -> Slab {
        Slab { tasks: Vec::new(), free: Vec::new(), by_key: Index::default(), seed, ids: 0 }
    }

    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    pub fn get(&self, at: u32) -> Option<&Task> {
        self.tasks.get(at as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, at: u32) -> Option<&mut Task> {
        self.tasks.get_mut(at as usize)?.as_mut()
    }

    pub fn state(&self, at: u32) -> State {
        self.get(at).map_or(State::New, |task| task.state)
    }

    pub fn set_state(&mut self, at: u32, state: State) {
        if let Some(task) = self.get_mut(at) {
            task.state = state;
        }
    }

    /// All tasks with their numbers.
    pub fn all(&self) -> impl Iterator<Item = (u32, &Task)> {
        (0_u32..).zip(&self.tasks).filter_map(|(at, task)| Some((at, task.as_ref()?)))
    }

    /// The tasks that hang on a node.
    pub fn of_node(&self, tree: &Tree, node: NodeId) -> impl Iterator<Item = (u32, &Task)> {
        let mut next = tree.tasks(node);
        std::iter::from_fn(move || {
            let (at, task) = (next, self.get(next)?);
            next = task.next;
            Some((at, task))
        })
    }

    pub fn find(&self, key: &Key<'_>) -> Option<u32> {
        let is_it = |at: &u32| {
            self.get(*at).is_some_and(|task| {
                let same_path = task.node == key.dir.0 && *task.name == *key.name;
                task.scheduler == key.scheduler && (task.single || same_path)
            })
        };
        self.by_key.candidates(self.hash(key)).find(is_it)
    }

    fn hash(&self, key: &Key<'_>) -> u64 {
        let scheduler = u32::from(key.scheduler);
        if key.single {
            keyed_hash(self.seed, [scheduler, NONE], b"")
        } else {
            keyed_hash(self.seed, [scheduler, key.dir.0], key.name)
        }
    }

    fn hash_at(&self, at: u32) -> u64 {
        self.get(at).map_or(0, |task| {
            let dir = NodeId(task.node);
            self.hash(&Key { scheduler: task.scheduler, single: task.single, dir, name: &task.name })
        })
    }

    /// A new task with nothing but its key.
    pub fn add(&mut self, tree: &mut Tree, key: &Key<'_>) -> u32 {
        self.ids += 1;
        let task = Task {
            id: self.ids,
            state: State::New,
            name: Box::from(key.name),
            source: None,
            node: key.dir.0,
            next: NONE,
            prev: NONE,
            mask: Mask::default(),
            in_a_row: 0,
            mark: 0,
            scheduler: key.scheduler,
            single: key.single,
            from_scan: false,
            restored: false,
        };
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.tasks.push(None);
                // A task has over 64 bytes: 2³² of them fit into no memory.
                u32::try_from(self.tasks.len() - 1).unwrap_or(NONE)
            }
        };
        if let Some(place) = self.tasks.get_mut(at as usize) {
            *place = Some(task);
        }
        let mut index = std::mem::take(&mut self.by_key);
        index.insert(self.hash(key), at, |n| self.hash_at(n));
        self.by_key = index;
        self.hang(tree, at);
        at
    }

    /// Takes a task away for good.
    pub fn remove(&mut self, tree: &mut Tree, at: u32) {
        // A watch on `/` finds a task of `/` itself by its path and below its directory.
        if self.get(at).is_none() {
            return;
        }
        self.unhang(tree, at).into_iter().for_each(|node| tree.release(node));
        let mut index = std::mem::take(&mut self.by_key);
        index.remove(self.hash_at(at), at, |n| self.hash_at(n));
        self.by_key = index;
        if let Some(place) = self.tasks.get_mut(at as usize) {
            *place = None;
            self.free.push(at);
        }
        if self.by_key.len() == 0 {
            // After a burst the memory goes back.
            (self.tasks, self.free) = (Vec::new(), Vec::new());
        }
    }

    /// A task belongs to this scheduler; [`Slab::index_anew`] is owed.
    pub fn assign(&mut self, at: u32, scheduler: SchedulerId, single: bool) {
        if let Some(task) = self.get_mut(at) {
            (task.scheduler, task.single) = (scheduler, single);
        }
    }

    /// Schedulers have changed.
    pub fn index_anew(&mut self) {
        let mut index = Index::default();
        for (at, _) in self.all() {
            index.insert(self.hash_at(at), at, |n| self.hash_at(n));
        }
        self.by_key = index;
    }

    /// A scheduler's only task follows its newest event's path.
    pub fn set_path(&mut self, tree: &mut Tree, at: u32, key: &Key<'_>) {
        let moves = |task: &Task| task.single && (task.node != key.dir.0 || *task.name != *key.name);
        if self.get(at).is_some_and(moves) {
            let old = self.unhang(tree, at);
            if let Some(task) = self.get_mut(at) {
                (task.node, task.name) = (key.dir.0, Box::from(key.name));
            }
            self.hang(tree, at);
            old.into_iter().for_each(|old| tree.release(old));
        }
    }

    fn hang(&mut self, tree: &mut Tree, at: u32) {
        let Some(task) = self.get_mut(at) else { return };
        let node = NodeId(task.node);
        let first = tree.tasks(node);
        (task.prev, task.next) = (NONE, first);
        if let Some(first) = self.get_mut(first) {
            first.prev = at;
        }
        tree.set_tasks(node, at);
    }

    /// The node that it hung on may have nothing else.
    fn unhang(&mut self, tree: &mut Tree, at: u32) -> Option<NodeId> {
        let task = self.get(at)?;
        let (node, prev, next) = (NodeId(task.node), task.prev, task.next);
        match self.get_mut(prev) {
            Some(prev) => prev.next = next,
            None => tree.set_tasks(node, next),
        }
        if let Some(next) = self.get_mut(next) {
            next.prev = prev;
        }
        Some(node)
    }

    /// The invariants.
    #[cfg(test)]
    pub fn check(&self, tree: &Tree) {
        assert_eq!(self.all().count(), self.by_key.len());
        for (at, task) in self.all() {
            let dir = NodeId(task.node);
            let key = Key { scheduler: task.scheduler, single: task.single, dir, name: &task.name };
            assert_eq!(self.find(&key), Some(at), "a task is found by its key");
            assert!(self.of_node(tree, dir).any(|(other, _)| other == at), "a task hangs on its node");
        }
    }
}
