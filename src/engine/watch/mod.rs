//! Watches: inotify records become events with paths, and directories that appear are watched without loss.
//!
//! [`Watches`] holds the tree of directories. It is fed records ([`Watches::record`]) and what was found on disk
//! ([`Watches::watched`], [`Watches::entry`], [`Watches::failed`]), gives out [`Event`]s, and says what is to be done
//! next ([`Watches::next_unwatch`], then [`Watches::next_scan`]). A new directory is watched first and listed then, so
//! that whatever is created in it is in the queue or in the listing, or in both: delivery is at least once.

pub mod events;
mod moves;
mod names;
mod set;
pub mod tree;

pub use names::NAME_MAX;
pub use set::{MapId, RootId};
pub use tree::{NodeId, ROOT, Scan, Tree};

use crate::parts::pattern::Pattern;
use crate::sys::Errno;
use crate::sys::fs::Kind;
use crate::sys::inotify::{Mask, Record, Wd};
use moves::Moves;
use set::Sets;
use tree::Presence;

/// A watch of the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watch {
    /// Absolute paths, normal (no empty, `.` or `..` component), to directories or files.
    pub paths: Vec<Vec<u8>>,
    /// Its event map.
    pub map: MapId,
    /// The directories below that are there at the start count too.
    pub rec: bool,
    /// Directories that appear below count too.
    pub auto_add: bool,
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
    fn excludes(&self, path: &[u8]) -> bool {
        self.exclude.iter().any(|pattern| pattern.is_match(path))
    }
}

/// Takes the events that a call gives rise to, and may hang tasks on the tree.
pub type Sink<'s> = &'s mut dyn FnMut(&mut Tree, &Event<'_>);

/// Why a directory could not be watched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// A configured path is not there.
    RootMissing,
    /// Watches or descriptors are used up, or it is not allowed: its events are missing.
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

/// A path of a watch.
struct Root {
    node: NodeId,
    watch: usize,
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
        };
        for (number, watch) in watches.iter().enumerate() {
            for path in &watch.paths {
                new.add_root(path, number, watch.rec);
            }
        }
        new
    }

    fn add_root(&mut self, path: &[u8], watch: usize, rec: bool) {
        let mut node = Some(ROOT);
        for component in path.split(|byte| *byte == b'/').filter(|component| !component.is_empty()) {
            node = node.and_then(|above| self.tree.child_or_new(above, component));
        }
        let (Some(node), Ok(id)) = (node, RootId::try_from(self.roots.len())) else { return };
        self.tree.anchor(node);
        self.roots.push(Root { node, watch });
        let set = self.sets.get(self.tree.set(node)).clone();
        self.assign(node, [set.dirs, vec![id]].concat(), set.files);
        self.want(node, if rec { Scan::List } else { Scan::Watch });
    }

    fn assign(&mut self, node: NodeId, dirs: Vec<RootId>, files: Vec<RootId>) {
        let (roots, specs) = (&self.roots, &self.specs);
        let watch_of = |id: RootId| {
            let watch = roots.get(usize::from(id)).and_then(|root| specs.get(root.watch));
            watch.map_or((0, false), |watch| (watch.map, !watch.exclude.is_empty()))
        };
        let set = self.sets.intern(dirs, files, watch_of);
        self.tree.set_set(node, set);
    }

    /// The watch that a root belongs to.
    fn spec(&self, id: RootId) -> Option<&Watch> {
        self.specs.get(self.roots.get(usize::from(id))?.watch)
    }

    /// What a watch of any directory asks the kernel for.
    pub fn mask(&self) -> Mask {
        self.mask
    }

    /// How many directories have a watch.
    pub fn watched_directories(&self) -> usize {
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

    fn want(&mut self, node: NodeId, scan: Scan) {
        let before = self.tree.scan(node);
        if before == Scan::None {
            self.scans.push(node);
        }
        self.tree.set_scan(node, before.max(scan));
    }

    /// The next watch to be removed; all of them are, before anything is scanned.
    pub fn next_unwatch(&mut self) -> Option<Wd> {
        loop {
            let wd = match self.stale.pop() {
                Some(stale) => Some(stale),
                None => self.next_to_leave()?,
            };
            // One that a scan has met again meanwhile is in use.
            if let Some(wd) = wd.filter(|wd| self.tree.by_wd(*wd).next().is_none()) {
                return Some(wd);
            }
        }
    }

    /// Takes the watch descriptor of the next directory that has left, and lets its node go.
    fn next_to_leave(&mut self) -> Option<Option<Wd>> {
        let node = self.leaving.pop()?;
        // Its place in memory may have been another's in the meantime.
        if !self.tree.is_lost(node) {
            return Some(None);
        }
        let wd = self.tree.wd(node);
        self.tree.set_wd(node, None);
        self.tree.lose(node, Presence::MovedOut);
        self.tree.release(node);
        Some(wd)
    }

    /// What the tasks must be told of next; to be asked after every call that gives out events.
    pub fn next_aftermath(&mut self) -> Option<Aftermath> {
        self.aftermath.pop()
    }

    /// The next directory to be watched, and whether to list it. Children come next after their parent.
    pub fn next_scan(&mut self) -> Option<(NodeId, Scan)> {
        while let Some(node) = self.scans.pop() {
            let scan = self.tree.scan(node);
            self.tree.set_scan(node, Scan::None);
            let here = matches!(self.tree.presence(node), Presence::Anchor | Presence::Here);
            if scan != Scan::None && here {
                return Some((node, scan));
            }
        }
        None
    }

    /// Whether symbolic links are followed on the way to a directory: as far as its path was configured.
    pub fn follows_links(&self, node: NodeId) -> bool {
        self.tree.presence(node) == Presence::Anchor
    }

    /// A scan has added this directory's watch.
    pub fn watched(&mut self, node: NodeId, wd: Wd) {
        let holders: Vec<NodeId> = self.tree.by_wd(wd).filter(|other| *other != node).collect();
        for other in holders {
            // The same inode under the same descriptor: whoever was lost does not hold it any more. One that is not
            // lost is the same directory by another way (a bind mount).
            if matches!(self.tree.presence(other), Presence::Deleted | Presence::MovedOut) {
                self.tree.set_wd(other, None);
                self.tree.release(other);
            }
        }
        self.tree.set_wd(node, Some(wd));
    }

    /// A scan has found this entry in a directory.
    pub fn entry(&mut self, node: NodeId, scan: Scan, name: &[u8], kind: Kind, sink: Sink<'_>) {
        let is_dir = kind == Kind::Directory;
        if scan == Scan::Report {
            let mask = match kind {
                Kind::File => Mask::CREATE.with(Mask::CLOSE_WRITE),
                Kind::Directory => Mask::CREATE.with(Mask::ISDIR),
                Kind::Symlink | Kind::Fifo | Kind::Socket | Kind::Character | Kind::Block | Kind::Unknown => {
                    Mask::CREATE
                }
            };
            self.deliver(node, name, mask, None, true, sink);
        }
        if is_dir && matches!(scan, Scan::List | Scan::Report) {
            self.directory_found(node, name, scan);
        }
    }

    /// A scan could not be done. The answer is what the user must be told.
    pub fn failed(&mut self, node: NodeId, errno: Errno) -> Option<Trouble> {
        let anchored = self.tree.presence(node) == Presence::Anchor;
        match errno {
            Errno::ENOTDIR if anchored => {
                self.is_a_file(node);
                None
            }
            Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP if anchored => Some(Trouble::RootMissing),
            Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP => {
                // Gone again, or replaced: its own records tell, or have told.
                self.deleted(node);
                self.tree.release(node);
                None
            }
            _ => Some(Trouble::Unwatched(errno)),
        }
    }

    /// A configured path is no directory: its parent's watch serves it.
    fn is_a_file(&mut self, node: NodeId) {
        let Some(parent) = self.tree.parent(node) else { return };
        let own = self.sets.get(self.tree.set(node)).dirs.clone();
        self.assign(node, Vec::new(), Vec::new());
        let set = self.sets.get(self.tree.set(parent)).clone();
        self.assign(parent, set.dirs, [set.files, own].concat());
        if self.tree.wd(parent).is_none() {
            self.want(parent, Scan::Watch);
        }
    }

    /// Takes one record of the queue.
    pub fn record(&mut self, record: &Record<'_>, sink: Sink<'_>) {
        if record.wd == Wd::OVERFLOW || record.mask.any(Mask::Q_OVERFLOW) {
            self.overflow(sink);
            return;
        }
        if self.hold(record) {
            return;
        }
        let nodes: Vec<NodeId> = self.tree.by_wd(record.wd).collect();
        for node in nodes {
            match record.name {
                [] => self.own_record(node, record, sink),
                name => self.named_record(node, name, record, sink),
            }
        }
    }

    /// Events are lost: each watch's map may say what to do about it.
    fn overflow(&mut self, sink: Sink<'_>) {
        self.give_up_waiting(sink);
        for root in &self.roots {
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
        let parent = self.tree.parent(node);
        // The parent's watch tells the same with the name; a root's parent is not asked.
        let told = record.mask.any(TOLD_TWICE)
            && parent.is_some_and(|parent| {
                self.tree.wd(parent).is_some() && self.sets.get(self.tree.set(parent)).maps == self.maps(node)
            });
        if !told && !self.has_left(node) {
            let name = self.tree.name(node).to_vec();
            let maps = self.maps_in(self.tree.set(node), parent.unwrap_or(ROOT), &name);
            let event = Event {
                mask: record.mask,
                dir: parent.unwrap_or(ROOT),
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
    }

    fn maps(&self, node: NodeId) -> &[MapId] {
        &self.sets.get(self.tree.set(node)).maps
    }

    /// Whether it is below a directory that left the watched part and is not unwatched yet.
    fn has_left(&self, node: NodeId) -> bool {
        !self.leaving.is_empty() && self.tree.is_lost(node) && self.tree.presence(node) != Presence::Deleted
    }

    /// A record about a name in a watched directory.
    fn named_record(&mut self, node: NodeId, name: &[u8], record: &Record<'_>, sink: Sink<'_>) {
        if self.has_left(node) {
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
            self.tree.child(node, name).into_iter().for_each(|child| self.deleted(child));
        } else if record.mask.any(Mask::ISDIR) && record.mask.any(Mask::CREATE) {
            self.directory_found(node, name, Scan::Report);
        }
    }

    /// A directory is there: at the start, or because it has appeared. Whoever wants such ones watches it.
    fn directory_found(&mut self, parent: NodeId, name: &[u8], scan: Scan) {
        let inherited = self.inherited(parent, name, scan);
        let known = self.tree.child(parent, name);
        let own = known.map(|node| self.sets.get(self.tree.set(node)).clone()).unwrap_or_default();
        if inherited.is_empty() && own.dirs.is_empty() && own.files.is_empty() {
            return;
        }
        if let Some(node) = self.tree.child_or_new(parent, name) {
            self.assign(node, [own.dirs, inherited].concat(), own.files);
            self.want(node, scan);
        }
    }

    /// The watches of a directory that also want the directories in it: those found at the start, or those that appear.
    fn inherited(&self, parent: NodeId, name: &[u8], scan: Scan) -> Vec<RootId> {
        let set = self.sets.get(self.tree.set(parent));
        let path = if set.picky { self.tree.path(parent, name) } else { Vec::new() };
        let wants = |id: &RootId| {
            let watch = self.spec(*id);
            watch.is_some_and(|watch| {
                (if scan == Scan::Report { watch.auto_add } else { watch.rec }) && !watch.excludes(&path)
            })
        };
        set.dirs.iter().copied().filter(wants).collect()
    }

    /// The maps that an event on `name` in `dir` concerns for the directory's sake.
    fn maps_of(&self, dir: NodeId, name: &[u8]) -> Vec<MapId> {
        self.maps_in(self.tree.set(dir), dir, name)
    }

    /// The maps of a set's roots, but for those that exclude this path.
    fn maps_in(&self, set: u16, dir: NodeId, name: &[u8]) -> Vec<MapId> {
        let set = self.sets.get(set);
        if !set.picky {
            return set.maps.clone();
        }
        let path = self.tree.path(dir, name);
        let watches = set.dirs.iter().filter_map(|id| self.spec(*id)).filter(|watch| !watch.excludes(&path));
        let mut maps = Vec::new();
        for map in watches.map(|watch| watch.map) {
            if !maps.contains(&map) {
                maps.push(map);
            }
        }
        maps
    }

    /// Gives out an event on `name` in `dir` for all maps that it concerns.
    fn deliver(
        &mut self,
        dir: NodeId,
        name: &[u8],
        mask: Mask,
        source: Option<&[u8]>,
        from_scan: bool,
        sink: Sink<'_>,
    ) {
        let is_dir = mask.any(Mask::ISDIR);
        let dir_maps = self.maps_of(dir, name);
        if !dir_maps.is_empty() {
            let event = Event { mask, dir, name, is_dir, below: true, maps: &dir_maps, source, from_scan };
            sink(&mut self.tree, &event);
        }
        let set = self.sets.get(self.tree.set(dir));
        let file_is = |id: &&RootId| {
            let root = self.roots.get(usize::from(**id));
            root.is_some_and(|root| self.tree.name(root.node) == name)
        };
        let files = set.files.iter().filter(file_is).filter_map(|id| self.spec(*id));
        let mut maps: Vec<MapId> = files.map(|watch| watch.map).filter(|map| !dir_maps.contains(map)).collect();
        maps.dedup();
        if !maps.is_empty() {
            let event =
                Event { mask: of_the_file(mask), dir, name, is_dir, below: true, maps: &maps, source, from_scan };
            sink(&mut self.tree, &event);
        }
    }
}

/// A watched file has no watch of its own that would say IN_DELETE_SELF or IN_MOVE_SELF: its directory's says the same.
fn of_the_file(mask: Mask) -> Mask {
    let mut of_file = mask;
    for (seen, own) in [(Mask::DELETE, Mask::DELETE_SELF), (Mask::MOVED_FROM, Mask::MOVE_SELF)] {
        if mask.any(seen) {
            of_file = of_file.with(own);
        }
    }
    of_file
}

#[cfg(test)]
mod tests;
