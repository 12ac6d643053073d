//! Which event maps an event concerns: those of the watches of its directory, but for what they exclude, and those of files.

use super::set::Set;
use super::{Event, MapId, NodeId, RootId, Sink, Watch, Watches};
use crate::sys::inotify::Mask;

impl Watches {
    /// The maps that an event on `name` in `dir` concerns for the directory's sake.
    pub(super) fn maps_of(&self, dir: NodeId, name: &[u8]) -> Vec<MapId> {
        self.maps_in(self.tree.set(dir), dir, name)
    }

    /// The maps that what a name has concerns, for the directory's sake and for a file's own, of those watches that are
    /// `wanted`.
    pub(super) fn maps_where(
        &self,
        dir: NodeId,
        name: &[u8],
        is_dir: bool,
        wanted: impl Fn(&Watch) -> bool,
    ) -> (Vec<MapId>, Vec<MapId>) {
        let set = self.set_of(dir);
        let path = if set.picky { self.tree.path(dir, name) } else { Vec::new() };
        let counts = |watch: &&Watch| wanted(watch) && !(set.picky && watch.excludes(&path));
        let of_dir = set.roots.dirs.iter().filter_map(|id| self.spec(*id)).filter(counts).map(|watch| watch.map);
        let of_dir = each_once(of_dir);
        if is_dir {
            return (of_dir, Vec::new());
        }
        let is_it =
            |id: &&RootId| self.roots.get(usize::from(**id)).is_some_and(|root| self.tree.name(root.node) == name);
        let files = set.roots.files.iter().filter(is_it).copied();
        let files = files.chain(self.globbed(set, name, true).map(|(id, _)| id)).filter_map(|id| self.spec(id));
        let of_file = files.filter(counts).map(|watch| watch.map).filter(|map| !of_dir.contains(map));
        let of_file = each_once(of_file);
        (of_dir, of_file)
    }

    /// The patterns that a name matches at a directory's level; their last component, or any other.
    pub(super) fn globbed<'a>(
        &'a self,
        set: &'a Set,
        name: &'a [u8],
        last: bool,
    ) -> impl Iterator<Item = (RootId, u8)> + 'a {
        set.roots.globs.iter().copied().filter(move |(id, level)| {
            self.roots.get(usize::from(*id)).is_some_and(|root| {
                (root.globs.len() == usize::from(*level) + 1) == last
                    && root.globs.get(usize::from(*level)).is_some_and(|glob| glob.is_match(name))
            })
        })
    }

    /// The maps of a set's roots, but for those that exclude this path.
    pub(super) fn maps_in(&self, set: u16, dir: NodeId, name: &[u8]) -> Vec<MapId> {
        let set = self.sets.get(set);
        if !set.picky {
            return set.maps.clone();
        }
        let path = self.tree.path(dir, name);
        let watches = set.roots.dirs.iter().filter_map(|id| self.spec(*id));
        each_once(watches.filter(|watch| !watch.excludes(&path)).map(|watch| watch.map))
    }

    /// Gives out an event on `name` in `dir` for all maps that it concerns.
    pub(super) fn deliver(
        &mut self,
        dir: NodeId,
        name: &[u8],
        mask: Mask,
        source: Option<&[u8]>,
        from_scan: bool,
        sink: Sink<'_>,
    ) {
        self.deliver_departure_from(dir, name, sink);
        let set = self.set_of(dir);
        let maps = if !set.picky && set.roots.files.is_empty() && set.roots.globs.is_empty() {
            (set.maps.clone(), Vec::new())
        } else {
            self.maps_where(dir, name, mask.any(Mask::ISDIR), |_| true)
        };
        self.deliver_to(maps, (dir, name), mask, source, from_scan, sink);
    }

    pub(super) fn deliver_to(
        &mut self,
        (of_dir, of_file): (Vec<MapId>, Vec<MapId>),
        (dir, name): (NodeId, &[u8]),
        mask: Mask,
        source: Option<&[u8]>,
        from_scan: bool,
        sink: Sink<'_>,
    ) {
        let is_dir = mask.any(Mask::ISDIR);
        for (mask, maps) in [(mask, of_dir), (of_the_file(mask), of_file)] {
            if !maps.is_empty() {
                let event = Event { mask, dir, name, is_dir, below: true, maps: &maps, source, from_scan };
                sink(&mut self.tree, &event);
            }
        }
    }

    /// The maps of what hangs on a lost or renamed directory.
    pub fn maps_at(&self, dir: NodeId, name: &[u8], is_dir: bool) -> Vec<MapId> {
        let (of_dir, of_file) = self.maps_where(dir, name, is_dir, |_| true);
        [of_dir, of_file].concat()
    }
}

/// Whether dogwatch itself makes files of this name, for as long as they are not whole: nobody is told of them.
pub(super) fn is_temporary(name: &[u8]) -> bool {
    name.starts_with(b".dogwatch-")
}

pub(super) fn each_once(maps: impl Iterator<Item = MapId>) -> Vec<MapId> {
    let mut once = Vec::new();
    for map in maps {
        if !once.contains(&map) {
            once.push(map);
        }
    }
    once
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
