//! Which event maps an event concerns: those of the watches of its directory, but for what they exclude, and those of files.

use super::set::Set;
use super::tree::Presence;
use super::{Event, MapId, NodeId, RootId, Sink, Watch, Watches};
use crate::sys::inotify::Mask;

/// Of which watches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    All,
    /// Those that have not seen what is there.
    New,
    /// Those among them that want to know it.
    Existing,
}

impl Watches {
    /// The maps that an event on `name` in `dir` concerns for the directory's sake.
    pub(super) fn maps_of(&self, dir: NodeId, name: &[u8]) -> Vec<MapId> {
        self.maps_in(self.tree.set(dir), dir, name, Whose::All)
    }

    /// The maps that what a name has concerns, for the directory's sake and for a file's own.
    pub(super) fn maps_for(&self, dir: NodeId, name: &[u8], is_dir: bool, whose: Whose) -> (Vec<MapId>, Vec<MapId>) {
        let set = self.set_of(dir);
        let mut of_dir = self.maps_in(self.tree.set(dir), dir, name, whose);
        if is_dir || (set.roots.files.is_empty() && set.roots.globs.is_empty()) {
            return (of_dir, Vec::new());
        }
        let is_it =
            |id: &RootId| self.roots.get(usize::from(*id)).is_some_and(|root| self.tree.name(root.node) == name);
        let files = set.roots.files.iter().copied().filter(is_it);
        let files = files.chain(self.globbed(set, name, true).map(|(id, _)| id));
        // A map that both ask is asked once, for the file: that is told more.
        let of_file = self.maps_of_roots(set, files, dir, name, whose);
        of_dir.retain(|map| !of_file.contains(map));
        (of_dir, of_file)
    }

    /// The maps of a set's directories, for a path.
    pub(super) fn maps_in(&self, set: u16, dir: NodeId, name: &[u8], whose: Whose) -> Vec<MapId> {
        let set = self.sets.get(set);
        if !set.picky && whose == Whose::All {
            return set.maps.clone();
        }
        self.maps_of_roots(set, set.roots.dirs.iter().copied(), dir, name, whose)
    }

    /// The maps of these roots of a set, but for those that exclude this path.
    fn maps_of_roots(
        &self,
        set: &Set,
        roots: impl Iterator<Item = RootId>,
        dir: NodeId,
        name: &[u8],
        whose: Whose,
    ) -> Vec<MapId> {
        let path = if set.picky { self.tree.path(dir, name) } else { Vec::new() };
        let roots = roots.filter(|id| whose == Whose::All || self.replays(*id));
        let counts =
            |watch: &&Watch| (watch.existing || whose != Whose::Existing) && !(set.picky && watch.excludes(&path));
        each_once(roots.filter_map(|id| self.spec(id)).filter(counts).map(|watch| watch.map))
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
        let is_dir = mask.any(Mask::ISDIR);
        let maps = self.maps_for(dir, name, is_dir, Whose::All);
        let event = Event { mask, dir, name, is_dir, below: true, maps: &[], source, from_scan };
        self.deliver_to(maps, event, sink);
    }

    /// Gives out an event to these maps, those for the directory's sake and those for a file's own.
    pub(super) fn deliver_to(&mut self, (of_dir, of_file): (Vec<MapId>, Vec<MapId>), event: Event<'_>, sink: Sink<'_>) {
        for (mask, maps) in [(event.mask, of_dir), (of_the_file(event.mask), of_file)] {
            if !maps.is_empty() {
                sink(&mut self.tree, &Event { mask, maps: &maps, ..event });
            }
        }
    }

    /// The maps of what hangs on a lost or renamed directory. A configured path that is gone is served by its parent by
    /// then.
    pub fn maps_at(&self, dir: NodeId, name: &[u8], is_dir: bool) -> Vec<MapId> {
        let (of_dir, of_file) = self.maps_for(dir, name, is_dir, Whose::All);
        let is_gone = self.tree.presence(dir) == Presence::Anchor && self.tree.wd(dir).is_none();
        let above = self.tree.parent(dir).filter(|_| is_gone).map(|parent| self.set_of(parent));
        let of_path = above.map(|set| {
            let own = set.roots.files.iter().filter(|id| self.is_at(**id, dir));
            let goes_below = |id: &&RootId| self.spec(**id).is_some_and(|watch| watch.rec || watch.auto_add);
            let all = own.chain(set.roots.dirs.iter().filter(goes_below)).copied();
            self.maps_of_roots(set, all, dir, name, Whose::All)
        });
        each_once([of_dir, of_file, of_path.unwrap_or_default()].into_iter().flatten())
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
