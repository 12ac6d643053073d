//! Watches: inotify records become events with paths, and directories that appear are watched without loss.
//!
//! [`Watches`] holds the tree of directories. It is fed records ([`Watches::record`]) and what was found on disk
//! ([`Watches::watched`], [`Watches::entry`], [`Watches::failed`]), gives out [`Event`]s, and says what is to be done
//! next ([`Watches::next_unwatch`], then [`Watches::next_scan`]). A new directory is watched first and listed then, so
//! that whatever is created in it is in the queue or in the listing, or in both: delivery is at least once.

mod binding;
mod doubtful;
pub mod events;
mod maps;
mod moves;
mod names;
mod reload;
mod roots;
mod scans;
mod set;
mod settle;
mod shut;
pub mod tree;

pub use names::NAME_MAX;
pub use set::{MapId, RootId};
use set::{Roots, Set};
pub use tree::{NodeId, ROOT, Scan, Tree};

use crate::parts::glob::Glob;
use crate::parts::pattern::Pattern;
use crate::sys::Errno;
use crate::sys::fs::Kind;
use crate::sys::inotify::{Mask, Record, Wd};
use binding::Doubt;
use maps::{Whose, each_once, is_temporary};
use moves::Moves;
use set::Sets;
use shut::Denied;
use tree::{Flag, Presence};

/// A path of a watch: where it begins, and the pattern that what lies below must match, a component each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WatchPath {
    /// An absolute path, normal (no empty, `.` or `..` component). Symbolic links on it are followed.
    pub base: Vec<u8>,
    /// None if the path holds no pattern.
    pub globs: Vec<Glob>,
}

impl From<&[u8]> for WatchPath {
    fn from(path: &[u8]) -> WatchPath {
        WatchPath { base: path.to_vec(), globs: Vec::new() }
    }
}

/// A watch of the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watch {
    /// By which it is known again in another configuration.
    pub name: String,
    /// To directories or files.
    pub paths: Vec<WatchPath>,
    /// Its event map.
    pub map: MapId,
    /// The directories below that are there at the start count too.
    pub rec: bool,
    /// Directories that appear below count too.
    pub auto_add: bool,
    /// Files that are there at the first scan, or when a path of it comes back, count as new.
    pub existing: bool,
    /// Its directories are listed at their first scan in any case: what jobs do there may have left something behind.
    pub tidied: bool,
    /// Paths below that do not count; a directory among them is not entered.
    pub exclude: Vec<Pattern>,
}

/// An event, as event maps see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event<'a> {
    /// What happened: at least one event bit; IN_ISDIR may be missing from events on directories.
    pub mask: Mask,
    /// The path's directory.
    pub dir: NodeId,
    /// The path's last component; empty for `/`.
    pub name: &'a [u8],
    /// Whether it is about a directory.
    pub is_dir: bool,
    /// Whether it is about what lies below as well: not if a directory only gets another name.
    pub below: bool,
    /// The event maps to consult, each once.
    pub maps: &'a [MapId],
    /// The path before a rename.
    pub source: Option<&'a [u8]>,
    /// A listing found it; the kernel may tell it again.
    pub from_scan: bool,
}

impl Watch {
    /// Whether it leaves this path out.
    pub fn excludes(&self, path: &[u8]) -> bool {
        self.exclude.iter().any(|pattern| pattern.is_match(path))
    }
}

/// Takes the events that a call gives rise to, and may hang tasks on the tree.
pub type Sink<'s> = &'s mut dyn FnMut(&mut Tree, &Event<'_>);

/// What a listing has found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its kind.
    pub kind: Kind,
    /// Somebody has it open for writing: its own IN_CLOSE_WRITE is to come.
    pub written_to: bool,
    /// It has changed since events were lost.
    pub recent: bool,
}

/// Why a directory could not be watched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// A configured path is not there; it is waited for.
    RootMissing,
    /// Its events are missing.
    Unwatched(Errno),
}

/// What tasks that hang on the tree must be told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aftermath {
    /// For each task at or below this directory, this event is to go through its event map: the disk has lost it.
    Lost(NodeId, Mask),
    /// Each task at or below this directory is to be matched again: it has another path, or other watches.
    Moved(NodeId),
}

/// A path of a watch, from its base on.
struct Root {
    node: NodeId,
    watch: usize,
    globs: Vec<Glob>,
    /// What is there already when it is scanned is told, to those watches that want to know it.
    replays: bool,
    /// The last configuration has brought it.
    is_new: bool,
}

/// A configured path, or a directory on its way, that is waited for.
struct Missing {
    node: NodeId,
    /// The directory above is watched for it.
    awaited: bool,
    /// The user knows.
    told: bool,
}

/// What every watch needs to keep up with the tree, whatever its map uses.
const UPKEEP: Mask = Mask::CREATE
    .with(Mask::DELETE)
    .with(Mask::MOVED_FROM)
    .with(Mask::MOVED_TO)
    .with(Mask::DELETE_SELF)
    .with(Mask::MOVE_SELF);

/// Events that a directory's own watch and its parent's both tell.
const TOLD_TWICE: Mask =
    Mask::ACCESS.with(Mask::ATTRIB).with(Mask::OPEN).with(Mask::CLOSE_NOWRITE).with(Mask::CLOSE_WRITE);

/// All watches and the tree that they share.
pub struct Watches {
    specs: Vec<Watch>,
    tree: Tree,
    roots: Vec<Root>,
    sets: Sets,
    mask: Mask,
    scans: Vec<NodeId>,
    moves: Moves,
    /// Directories that have left, whose watches are to end, children last.
    leaving: Vec<NodeId>,
    /// Further watches that are to end.
    stale: Vec<Wd>,
    aftermath: Vec<Aftermath>,
    /// Configured paths, and directories on the way to them, that are not there.
    missing: Vec<Missing>,
    /// Symbolic links on the way to configured paths, and what they lead to.
    links: Vec<(NodeId, NodeId)>,
    /// Directories that are looked at again when more of the queue has been read.
    later: Vec<(NodeId, Scan)>,
    /// What is being listed.
    listing: Option<(NodeId, Scan)>,
    /// What was met that contradicts the tree.
    doubts: Vec<Doubt>,
    /// Configured paths' directories that were renamed themselves, and are looked at again.
    in_doubt: Vec<NodeId>,
    /// Directories that wait for permission.
    denied: Vec<Denied>,
    /// Directories that wait for a watch, a descriptor or memory, and what was lacking last.
    unwatched: Vec<NodeId>,
    want_of: Errno,
    /// All that was there at the start has been scanned.
    started: bool,
    /// What is lost by an overflow is being looked for.
    recovering: bool,
    /// What a new configuration asks for is being scanned.
    reloading: bool,
    /// Events were lost meanwhile.
    recovers_again: bool,
}

impl Watches {
    /// Watches to begin with: every root waits to be scanned. `used` is what the event maps use; `seed` a secret.
    pub fn new(watches: &[Watch], used: Mask, seed: u64) -> Watches {
        let mut new = Watches {
            specs: watches.to_vec(),
            tree: Tree::new(seed),
            roots: Vec::new(),
            sets: Sets::new(),
            mask: Mask(UPKEEP.0 | used.0),
            scans: Vec::new(),
            moves: Moves::default(),
            leaving: Vec::new(),
            stale: Vec::new(),
            aftermath: Vec::new(),
            missing: Vec::new(),
            links: Vec::new(),
            later: Vec::new(),
            in_doubt: Vec::new(),
            listing: None,
            doubts: Vec::new(),
            denied: Vec::new(),
            unwatched: Vec::new(),
            want_of: Errno::ENOSPC,
            started: false,
            recovering: false,
            reloading: false,
            recovers_again: false,
        };
        for (number, watch) in watches.iter().enumerate() {
            for path in &watch.paths {
                new.add_root(path, number, None);
            }
        }
        new
    }

    fn assign(&mut self, node: NodeId, roots: Roots) {
        if self.sets.is_crowded() {
            self.sets.keep(self.tree.sets());
        }
        let set = self.number_of(roots);
        self.tree.set_set(node, set);
    }

    /// The number of the set of these paths.
    fn number_of(&mut self, roots: Roots) -> u16 {
        let watch_of = |id: RootId| self.specs.get(self.roots.get(usize::from(id))?.watch);
        let last = |(id, level): &(RootId, u8)| {
            self.roots.get(usize::from(*id)).is_some_and(|root| root.globs.len() == usize::from(*level) + 1)
        };
        let make = |roots: Roots| {
            let of_globs = roots.globs.iter().map(|(id, _)| *id);
            let watches =
                || roots.dirs.iter().chain(&roots.files).copied().chain(of_globs.clone()).filter_map(watch_of);
            let plain = roots.files.is_empty() && roots.globs.is_empty() && watches().all(|w| w.exclude.is_empty());
            Set {
                maps: each_once(roots.dirs.iter().filter_map(|id| watch_of(*id)).map(|watch| watch.map)),
                picky: watches().any(|watch| !watch.exclude.is_empty()),
                existing: watches().any(|watch| watch.existing),
                all_rec: plain && watches().all(|watch| watch.rec),
                all_auto_add: plain && watches().all(|watch| watch.auto_add),
                files_count: !(roots.dirs.is_empty() && roots.files.is_empty()) || roots.globs.iter().any(last),
                roots,
            }
        };
        self.sets.intern(roots.in_order(), make)
    }

    /// What a directory serves.
    fn set_of(&self, node: NodeId) -> &Set {
        self.sets.get(self.tree.set(node))
    }

    /// The watch that a root belongs to.
    fn spec(&self, id: RootId) -> Option<&Watch> {
        self.specs.get(self.roots.get(usize::from(id))?.watch)
    }

    /// Whether what is there already under a configured path is told when it is scanned.
    fn replays(&self, id: RootId) -> bool {
        self.roots.get(usize::from(id)).is_some_and(|root| root.replays)
    }

    /// How many directories are watched for what happens in them.
    pub fn watched_directories(&self) -> usize {
        self.tree.watched_sets().filter(|set| self.sets.get(*set).files_count).count()
    }

    /// How many watch descriptors are in use.
    pub fn watch_descriptors(&self) -> usize {
        self.tree.watched()
    }

    /// The tree.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The tree, for those who hang tasks on it.
    pub fn tree_mut(&mut self) -> &mut Tree {
        &mut self.tree
    }

    /// What the tasks must be told of next; to be asked after every call that gives out events.
    pub fn next_aftermath(&mut self) -> Option<Aftermath> {
        self.aftermath.pop()
    }

    /// Takes one record of the queue.
    pub fn record(&mut self, record: &Record<'_>, sink: Sink<'_>) {
        if record.wd == Wd::OVERFLOW || record.mask.any(Mask::Q_OVERFLOW) {
            self.overflow(sink);
            return;
        }
        if self.hold(record, sink) {
            return;
        }
        let nodes: Vec<NodeId> = self.tree.by_wd(record.wd).collect();
        if nodes.is_empty() && !record.mask.any(Mask::IGNORED) {
            // Whoever it was met for has not been it.
            self.stale.push(record.wd);
        }
        for node in nodes {
            if self.tree.flag(node, Flag::Provisional) || !self.tree.path_is_known(node) {
                // What happens there is found by the scan that is to come: also what has come to a name by an exchange, of
                // which the other half may be read after that.
                if record.mask.any(Mask::MOVED_TO) {
                    self.remember_halves(node, record.name, record);
                }
                if !self.started && self.serves(node) && !record.name.is_empty() {
                    // The first scan alone does not ask what is new.
                    self.want(node, Scan::Return);
                }
                if record.mask.any(Mask::IGNORED) {
                    self.tree.set_wd(node, None);
                }
                continue;
            }
            match record.name {
                [] => self.own_record(node, record, sink),
                name => self.named_record(node, name, record, sink),
            }
        }
    }

    /// Events are lost: each watch's map may say what to do about it.
    fn overflow(&mut self, sink: Sink<'_>) {
        self.drop_open_pairs(sink);
        self.recover();
        for root in self.roots.iter().filter(|root| self.specs.get(root.watch).is_some()) {
            let name = self.tree.name(root.node).to_vec();
            let dir = self.tree.parent(root.node).unwrap_or(ROOT);
            let event = Event {
                mask: Mask::Q_OVERFLOW,
                dir,
                name: &name,
                is_dir: true,
                below: true,
                maps: self.specs.get(root.watch).map_or(&[][..], |watch| std::slice::from_ref(&watch.map)),
                source: None,
                from_scan: false,
            };
            sink(&mut self.tree, &event);
        }
    }

    /// A record about the watched directory itself.
    fn own_record(&mut self, node: NodeId, record: &Record<'_>, sink: Sink<'_>) {
        if record.mask.any(Mask::MOVE_SELF) {
            self.was_renamed(node);
        }
        let parent = self.tree.parent(node);
        let dir = parent.unwrap_or(ROOT);
        let name = self.tree.name(node).to_vec();
        let maps = self.maps_in(self.tree.set(node), dir, &name, Whose::All);
        // The parent's watch tells the same with the name, unless that is excluded there.
        let told = record.mask.any(TOLD_TWICE)
            && parent.is_some_and(|parent| self.tree.wd(parent).is_some() && self.maps_of(parent, &name) == maps);
        if !told && !self.has_left(node) {
            let event = Event {
                mask: record.mask,
                dir,
                name: &name,
                is_dir: true,
                below: true,
                maps: &maps,
                source: None,
                from_scan: false,
            };
            sink(&mut self.tree, &event);
        }
        if record.mask.any(Mask::IGNORED) {
            self.tree.set_wd(node, None);
            self.tree.release(node);
        }
        if record.mask.any(Mask::MOVE_SELF.with(Mask::DELETE_SELF).with(Mask::UNMOUNT).with(Mask::IGNORED)) {
            self.look_again(node, record.mask);
        }
    }

    /// Whether it is below a directory that left the watched part and is not unwatched yet.
    fn has_left(&self, node: NodeId) -> bool {
        !self.leaving.is_empty() && self.tree.is_lost(node) && self.tree.presence(node) != Presence::Deleted
    }

    /// A record about a name in a watched directory.
    fn named_record(&mut self, node: NodeId, name: &[u8], record: &Record<'_>, sink: Sink<'_>) {
        if self.has_left(node) || is_temporary(name) {
            return;
        }
        let renames = Mask::MOVED_FROM.with(Mask::MOVED_TO);
        match (record.mask.any(Mask::ISDIR), record.mask.any(renames)) {
            (true, true) if record.mask.any(Mask::MOVED_FROM) => self.directory_departs(node, name, record, sink),
            (true, true) => self.directory_arrives(node, name, record, sink),
            (false, true) => self.file_renamed(node, name, record, sink),
            (_, false) => self.deliver(node, name, record.mask, None, false, sink),
        }
        if record.mask.any(Mask::ISDIR) && record.mask.any(Mask::DELETE) {
            self.tree.child(node, name).into_iter().for_each(|child| self.gone_by_record(child));
        } else if record.mask.any(Mask::ISDIR) && record.mask.any(Mask::CREATE) {
            self.directory_found(node, name, Scan::Report);
        }
        if record.mask.any(Mask::ISDIR) && record.mask.any(Mask::ATTRIB) {
            self.permissions_changed(node, name);
        }
        if record.mask.any(Mask::CREATE.with(Mask::MOVED_TO).with(Mask::DELETE).with(Mask::MOVED_FROM)) {
            self.way_changed(node, name, record.mask);
        }
    }
}

#[cfg(test)]
mod tests;
