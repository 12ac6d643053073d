//! The tree of directories, one for all watches, from `/` down.
//!
//! A node holds its watch descriptor, its parent and its own name, so that renaming a directory is one change whatever
//! lies below. Paths are built when they are needed. Nodes lie in a slab and are found by (parent, name) and by watch
//! descriptor through hash indexes. A node that the disk has lost stays as long as something holds on to it: its watch
//! descriptor (until IN_IGNORED), a task, or a node below.

mod state;

pub use state::{Flag, Presence, Scan};

use super::names::{NameAt, Names};
use crate::parts::index::{Index, keyed_hash};
use crate::sys::inotify::Wd;

/// A directory of the tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub u32);

/// `/`.
pub const ROOT: NodeId = NodeId(0);

/// No node, no task.
pub const NONE: u32 = u32::MAX;

const UNWATCHED: Wd = Wd(-1);

struct Node {
    parent: u32,
    first_child: u32,
    next: u32,
    prev: u32,
    wd: Wd,
    tasks: u32,
    name: NameAt,
    set: u16,
    presence: Presence,
    scan: Scan,
    /// The recovery in which it was last met.
    met: u8,
    flags: u8,
}

/// The tree.
pub struct Tree {
    nodes: Vec<Node>,
    free: Vec<u32>,
    names: Names,
    by_name: Index,
    by_wd: Index,
    seed: u64,
    recovery: u8,
    /// Provisional watch descriptors that nobody has claimed.
    dropped: Vec<Wd>,
}

impl Tree {
    /// A tree with `/` alone; `seed` is a secret that keeps others from choosing names with equal hashes.
    pub fn new(seed: u64) -> Tree {
        let mut tree = Tree {
            nodes: Vec::new(),
            free: Vec::new(),
            names: Names::default(),
            by_name: Index::default(),
            by_wd: Index::default(),
            seed,
            recovery: 0,
            dropped: Vec::new(),
        };
        let name = tree.names.put(b"").unwrap_or(NameAt::EMPTY);
        tree.nodes.push(Node { presence: Presence::Anchor, ..Node::new(NONE, name) });
        tree
    }

    fn node(&self, id: NodeId) -> &Node {
        // Ids come from this tree alone, and the slab never shrinks; `/` stands in for one that does not.
        self.nodes.get(id.0 as usize).unwrap_or(&self.nodes[0])
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        let at = if (id.0 as usize) < self.nodes.len() { id.0 as usize } else { 0 };
        &mut self.nodes[at]
    }

    /// The directory above; `None` for `/`.
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        node_id(self.node(id).parent)
    }

    /// The last component of its path; empty for `/`.
    pub fn name(&self, id: NodeId) -> &[u8] {
        self.names.get(self.node(id).name)
    }

    /// The present node of this name below `parent`.
    pub fn child(&self, parent: NodeId, name: &[u8]) -> Option<NodeId> {
        self.child_by_hash(keyed_hash(self.seed, [parent.0, 0], name), parent, name)
    }

    fn child_by_hash(&self, hash: u64, parent: NodeId, name: &[u8]) -> Option<NodeId> {
        let is_it = |n: &u32| self.node(NodeId(*n)).parent == parent.0 && self.name(NodeId(*n)) == name;
        self.by_name.candidates(hash).find(is_it).map(NodeId)
    }

    /// The present node of this name below `parent`, made if it is not there. `None` for what cannot be a name.
    pub fn child_or_new(&mut self, parent: NodeId, name: &[u8]) -> Option<NodeId> {
        self.find_or_add(parent, name).map(|(node, _)| node)
    }

    /// The nodes of all directories on a path, from `/` down, made where they are not there.
    pub fn way_to(&mut self, path: &[u8]) -> Option<Vec<NodeId>> {
        let mut way = vec![ROOT];
        for component in path.split(|byte| *byte == b'/').filter(|component| !component.is_empty()) {
            way.push(self.child_or_new(way.last().copied()?, component)?);
        }
        Some(way)
    }

    /// Like [`Tree::child_or_new`], and whether it is new.
    pub fn find_or_add(&mut self, parent: NodeId, name: &[u8]) -> Option<(NodeId, bool)> {
        let hash = keyed_hash(self.seed, [parent.0, 0], name);
        if let Some(known) = self.child_by_hash(hash, parent, name) {
            return Some((known, false));
        }
        let node = Node::new(parent.0, self.names.put(name)?);
        let id = match self.free.pop() {
            Some(free) => NodeId(free),
            None => {
                if self.nodes.len() == self.nodes.capacity() {
                    self.nodes.reserve_exact(self.nodes.len() / 8 + 64);
                }
                NodeId(u32::try_from(self.nodes.len()).ok().filter(|n| *n != NONE)?)
            }
        };
        match self.nodes.get_mut(id.0 as usize) {
            Some(place) => *place = node,
            None => self.nodes.push(node),
        }
        self.link_below(id, parent);
        let mut index = std::mem::take(&mut self.by_name);
        index.insert(hash, id.0, |n| self.name_hash(NodeId(n)));
        self.by_name = index;
        Some((id, true))
    }

    fn link_below(&mut self, id: NodeId, parent: NodeId) {
        let first = std::mem::replace(&mut self.node_mut(parent).first_child, id.0);
        let node = self.node_mut(id);
        (node.parent, node.next, node.prev) = (parent.0, first, NONE);
        if let Some(first) = node_id(first) {
            self.node_mut(first).prev = id.0;
        }
    }

    fn unlink(&mut self, id: NodeId) {
        let (parent, next, prev) = (self.node(id).parent, self.node(id).next, self.node(id).prev);
        match node_id(prev) {
            Some(prev) => self.node_mut(prev).next = next,
            None => self.node_mut(NodeId(parent)).first_child = next,
        }
        if let Some(next) = node_id(next) {
            self.node_mut(next).prev = prev;
        }
    }

    fn name_hash(&self, id: NodeId) -> u64 {
        keyed_hash(self.seed, [self.node(id).parent, 0], self.name(id))
    }

    fn enter_name(&mut self, id: NodeId) {
        let mut index = std::mem::take(&mut self.by_name);
        index.insert(self.name_hash(id), id.0, |n| self.name_hash(NodeId(n)));
        self.by_name = index;
    }

    fn leave_name(&mut self, id: NodeId) {
        let mut index = std::mem::take(&mut self.by_name);
        index.remove(self.name_hash(id), id.0, |n| self.name_hash(NodeId(n)));
        self.by_name = index;
    }

    /// Says that the directory is not where it was: its name is free for another. A lost one goes by
    /// [`Tree::release`] when nothing holds on to it any more. A configured path's is never lost.
    pub fn lose(&mut self, id: NodeId, presence: Presence) {
        match self.node(id).presence {
            Presence::Here => self.leave_name(id),
            Presence::Aside => {}
            Presence::Anchor | Presence::Deleted | Presence::MovedOut | Presence::Free => return,
        }
        self.node_mut(id).presence = presence;
        self.forget_provisional(id);
    }

    /// What was met at its path may be another's: the path is not the same any more.
    pub fn forget_provisional(&mut self, id: NodeId) {
        if self.flag(id, Flag::Provisional) {
            self.dropped.extend(self.wd(id));
            self.set_wd(id, None);
        }
    }

    /// A provisional watch descriptor that was dropped; it may be in use again.
    pub fn next_dropped(&mut self) -> Option<Wd> {
        self.dropped.pop()
    }

    /// Whether there are such.
    pub fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// Whether this is said of it.
    pub fn flag(&self, id: NodeId, flag: Flag) -> bool {
        self.node(id).flags & flag as u8 != 0
    }

    /// Says this of it, or not.
    pub fn set_flag(&mut self, id: NodeId, flag: Flag, holds: bool) {
        let flags = &mut self.node_mut(id).flags;
        *flags = if holds { *flags | flag as u8 } else { *flags & !(flag as u8) };
    }

    /// Whether it, or a directory above it, is lost.
    pub fn is_lost(&self, id: NodeId) -> bool {
        let mut at = Some(id);
        while let Some(id) = at {
            if matches!(self.node(id).presence, Presence::Deleted | Presence::MovedOut | Presence::Free) {
                return true;
            }
            at = self.parent(id);
        }
        false
    }

    /// Whether `top` is the node itself or lies above it.
    pub fn is_below(&self, id: NodeId, top: NodeId) -> bool {
        let mut at = Some(id);
        while let Some(id) = at.filter(|id| *id != top) {
            at = self.parent(id);
        }
        at.is_some()
    }

    /// Gives a directory another place and name; what lies below moves along. False where it cannot: it belongs to a
    /// configured path, it is lost, or it would lie below itself.
    pub fn rename(&mut self, id: NodeId, parent: NodeId, name: &[u8]) -> bool {
        if !matches!(self.node(id).presence, Presence::Here | Presence::Aside) || self.is_below(parent, id) {
            return false;
        }
        let Some(new_name) = self.names.put(name) else { return false };
        if self.node(id).presence == Presence::Here {
            self.leave_name(id);
        }
        self.forget_provisional(id);
        self.node_mut(id).presence = Presence::Here;
        self.unlink(id);
        self.names.forget(self.node(id).name);
        self.node_mut(id).name = new_name;
        self.link_below(id, parent);
        self.enter_name(id);
        self.repack_names_if_wasteful();
        true
    }

    /// Makes a node and all above it belong to a configured path.
    pub fn anchor(&mut self, id: NodeId) {
        let mut next = Some(id);
        while let Some(id) = next.filter(|id| self.node(*id).presence == Presence::Here) {
            self.node_mut(id).presence = Presence::Anchor;
            next = self.parent(id);
        }
    }

    /// It belongs to no configured path any more.
    pub fn unanchor(&mut self, id: NodeId) {
        self.node_mut(id).presence = Presence::Here;
    }

    /// What it is to the disk, itself.
    pub fn presence(&self, id: NodeId) -> Presence {
        self.node(id).presence
    }

    /// Frees a node that is lost, or that was made for a task alone, and that nothing holds; then what it alone held above.
    pub fn release(&mut self, id: NodeId) {
        let mut next = Some(id);
        while let Some(id) = next {
            let node = self.node(id);
            let departing = node.flags & Flag::Departing as u8 != 0;
            let held = departing || node.wd != UNWATCHED || node.tasks != NONE || node.first_child != NONE;
            let is_lost = matches!(node.presence, Presence::Deleted | Presence::MovedOut);
            let idle = node.presence == Presence::Here && node.set == 0 && node.flags == 0 && node.scan == Scan::None;
            if held || !(is_lost || idle) {
                return;
            }
            next = node_id(node.parent);
            if idle {
                self.leave_name(id);
            }
            self.free_node(id);
        }
    }

    fn free_node(&mut self, id: NodeId) {
        self.unlink(id);
        self.names.forget(self.node(id).name);
        let node = self.node_mut(id);
        (node.presence, node.scan) = (Presence::Free, Scan::None);
        self.free.push(id.0);
        self.repack_names_if_wasteful();
    }

    fn repack_names_if_wasteful(&mut self) {
        if !self.names.is_wasteful() {
            return;
        }
        let old = std::mem::take(&mut self.names);
        for node in self.nodes.iter_mut().filter(|node| node.presence != Presence::Free) {
            node.name = self.names.put(old.get(node.name)).unwrap_or(NameAt::EMPTY);
        }
    }

    /// The node and all below it, parents before children.
    pub fn subtree(&self, top: NodeId) -> Vec<NodeId> {
        let mut found = vec![top];
        let mut at = 0;
        while let Some(id) = found.get(at).copied() {
            let mut child = node_id(self.node(id).first_child);
            while let Some(id) = child {
                found.push(id);
                child = node_id(self.node(id).next);
            }
            at += 1;
        }
        found
    }

    /// The node's watch descriptor, if it is watched; it may be provisional.
    pub fn wd(&self, id: NodeId) -> Option<Wd> {
        Some(self.node(id).wd).filter(|wd| *wd != UNWATCHED)
    }

    /// The nodes that a watch descriptor stands for: several where bind mounts show one directory twice.
    pub fn by_wd(&self, wd: Wd) -> impl Iterator<Item = NodeId> + '_ {
        self.by_wd.candidates(wd_hash(wd)).map(NodeId).filter(move |id| self.node(*id).wd == wd)
    }

    /// The node's watch descriptor, if it is certain.
    pub fn certain_wd(&self, id: NodeId) -> Option<Wd> {
        self.wd(id).filter(|_| !self.flag(id, Flag::Provisional))
    }

    /// Says which watch descriptor a node has, for certain.
    pub fn set_wd(&mut self, id: NodeId, wd: Option<Wd>) {
        let hash_of = |nodes: &[Node], n: u32| wd_hash(nodes.get(n as usize).map_or(UNWATCHED, |node| node.wd));
        if let Some(old) = self.wd(id) {
            self.by_wd.remove(wd_hash(old), id.0, |n| hash_of(&self.nodes, n));
        }
        self.node_mut(id).wd = wd.unwrap_or(UNWATCHED);
        self.set_flag(id, Flag::Provisional, false);
        if let Some(new) = wd {
            self.by_wd.insert(wd_hash(new), id.0, |n| hash_of(&self.nodes, n));
        }
    }

    /// Which watches it serves, by the number of their set.
    pub fn set(&self, id: NodeId) -> u16 {
        self.node(id).set
    }

    /// The sets of the nodes that have a watch descriptor.
    pub fn watched_sets(&self) -> impl Iterator<Item = u16> + '_ {
        self.nodes.iter().filter(|node| node.wd != UNWATCHED).map(|node| node.set)
    }

    /// The sets that nodes in use have.
    pub fn sets(&self) -> impl Iterator<Item = u16> + '_ {
        self.nodes.iter().filter(|node| node.presence != Presence::Free).map(|node| node.set)
    }

    /// Says which watches it serves.
    pub fn set_set(&mut self, id: NodeId, set: u16) {
        self.node_mut(id).set = set;
    }

    /// A recovery begins: nothing was met in it. (Every 256th takes what the first one met for met.)
    pub fn forget_met(&mut self) {
        self.recovery = self.recovery.wrapping_add(1);
    }

    /// The disk has shown it.
    pub fn set_met(&mut self, id: NodeId) {
        self.node_mut(id).met = self.recovery;
    }

    /// Whether the disk has shown it since the last recovery began.
    pub fn is_met(&self, id: NodeId) -> bool {
        self.node(id).met == self.recovery
    }

    /// The nodes right below.
    pub fn children(&self, id: NodeId) -> Vec<NodeId> {
        let next = |id: &NodeId| node_id(self.node(*id).next);
        std::iter::successors(node_id(self.node(id).first_child), next).collect()
    }

    /// What is still to be done for it on disk.
    pub fn scan(&self, id: NodeId) -> Scan {
        self.node(id).scan
    }

    /// Says what is still to be done for it on disk.
    pub fn set_scan(&mut self, id: NodeId, scan: Scan) {
        self.node_mut(id).scan = scan;
    }

    /// The first task that hangs on the directory, or [`NONE`]; the tasks link themselves.
    pub fn tasks(&self, id: NodeId) -> u32 {
        self.node(id).tasks
    }

    /// Says which is the first task that hangs on it.
    pub fn set_tasks(&mut self, id: NodeId, first: u32) {
        self.node_mut(id).tasks = first;
    }

    /// Whether no directory on its way, nor itself, is being renamed.
    pub fn path_is_known(&self, id: NodeId) -> bool {
        let mut way = std::iter::successors(Some(id), |id| self.parent(*id));
        way.all(|id| self.node(id).presence != Presence::Aside)
    }

    /// Appends the path of `name` in `dir` (of the directory itself if `name` is empty) to `path`. False, and a path
    /// that may be wrong, while a directory on the way is being renamed. A lost one's path is the last that it had.
    pub fn push_path(&self, dir: NodeId, name: &[u8], path: &mut Vec<u8>) -> bool {
        let start = path.len();
        // Components from the last to the first, each reversed; then all of it is reversed.
        path.extend(name.iter().rev());
        let mut pending = !name.is_empty();
        let mut at = Some(dir);
        while let Some(id) = at.filter(|id| *id != ROOT) {
            if pending {
                path.push(b'/');
            }
            path.extend(self.name(id).iter().rev());
            pending = true;
            at = self.parent(id);
        }
        path.push(b'/');
        path.get_mut(start..).unwrap_or_default().reverse();
        self.path_is_known(dir)
    }

    /// The path as its own value.
    pub fn path(&self, dir: NodeId, name: &[u8]) -> Vec<u8> {
        let mut path = Vec::new();
        self.push_path(dir, name, &mut path);
        path
    }

    /// How many nodes have a watch descriptor.
    pub fn watched(&self) -> usize {
        self.by_wd.len()
    }
}

impl Node {
    fn new(parent: u32, name: NameAt) -> Node {
        Node {
            parent,
            first_child: NONE,
            next: NONE,
            prev: NONE,
            wd: UNWATCHED,
            tasks: NONE,
            name,
            set: 0,
            presence: Presence::Here,
            scan: Scan::None,
            met: 0,
            flags: 0,
        }
    }
}

fn node_id(raw: u32) -> Option<NodeId> {
    (raw != NONE).then_some(NodeId(raw))
}

/// Descriptors are handed out one after the other; as they are, they would lie side by side in one long run of the
/// table, through which every probe and removal goes. Multiplied (Knuth 6.4, Fibonacci hashing), they are spread.
fn wd_hash(wd: Wd) -> u64 {
    u64::from(wd.0 as u32).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}

#[cfg(test)]
mod tests;
