//! Configured paths: they belong to paths, not to inodes.
//!
//! One that is not there yet, or goes and comes back, is waited for through its nearest directory above that is there.
//! Directories on the way are watched for their own renaming and deletion only, and for new names only while one is
//! waited for, so that what others do in them does not wake anybody. A path that is a file is served by its parent.

use super::tree::{Flag, Presence};
use super::{Missing, NodeId, ROOT, Root, RootId, Scan, Sink, Trouble, UPKEEP, WatchPath, Watches};
use crate::sys::inotify::{Mask, Record};

/// What a directory on the way is asked for.
const ON_THE_WAY: Mask = Mask::DELETE_SELF.with(Mask::MOVE_SELF);
/// And what besides, while the next directory is not there.
const WAITING: Mask = Mask::CREATE.with(Mask::MOVED_TO);

impl Watches {
    /// A further configured path, in the place of number `free` if there is one; the answer is its number.
    pub(super) fn add_root(&mut self, path: &WatchPath, watch: usize, free: Option<usize>) -> Option<RootId> {
        let way = self.tree.way_to(&path.base)?;
        let node = way.last().copied()?;
        let at = free.unwrap_or(self.roots.len());
        let id = RootId::try_from(at).ok()?;
        let root = Root { node, watch, globs: path.globs.clone(), replays: true, is_new: true };
        match self.roots.get_mut(at) {
            Some(place) => *place = root,
            None => self.roots.push(root),
        }
        self.tree.anchor(node);
        let mut roots = self.set_of(node).roots.clone();
        match path.globs.is_empty() {
            true => roots.dirs.push(id),
            false => roots.globs.push((id, 0)),
        }
        self.assign(node, roots);
        // The stack gives them out from the top of the tree down.
        self.want(node, self.first_scan(node));
        for above in way.into_iter().rev().skip(1) {
            self.want(above, Scan::Watch);
        }
        Some(id)
    }

    /// On the way to a configured path, this is a symbolic link to there: what happens to its target happens to it. The
    /// target's own way is watched too, and a target that is not there is waited for.
    pub fn is_link_to(&mut self, link: NodeId, target: &[u8]) {
        let Some(way) = self.tree.way_to(target) else { return };
        let Some(node) = way.last().copied().filter(|node| !self.is_same(*node, link) && *node != link) else { return };
        self.tree.anchor(node);
        self.links.push((link, node));
        for above in way.into_iter().rev() {
            self.want(above, Scan::Watch);
        }
    }

    /// Whether the one is known as a link to the other.
    pub(super) fn is_same(&self, one: NodeId, other: NodeId) -> bool {
        self.links.iter().any(|pair| *pair == (one, other) || *pair == (other, one))
    }

    /// Something has become of a link's target.
    fn look_at_links_to(&mut self, target: NodeId) {
        for at in 0..self.links.len() {
            if let Some((link, _)) = self.links.get(at).copied().filter(|(_, to)| *to == target) {
                self.want(link, Scan::Watch);
            }
        }
    }

    /// What is to be done when a configured path is met for the first time, or again.
    pub(super) fn first_scan(&self, node: NodeId) -> Scan {
        let set = self.set_of(node);
        let mut watches = set.roots.dirs.iter().filter_map(|id| self.spec(*id));
        let lists = !set.roots.globs.is_empty() || watches.any(|watch| watch.rec || watch.existing || watch.tidied);
        match self.started {
            true if self.serves(node) => Scan::Return,
            false if lists => Scan::First,
            true | false => Scan::Watch,
        }
    }

    /// Whether it is watched for more than for the way to a configured path.
    pub(super) fn serves(&self, node: NodeId) -> bool {
        !self.set_of(node).roots.is_empty()
    }

    /// What the watch of this directory asks the kernel for.
    pub fn mask(&self, node: NodeId) -> Mask {
        let mask = match (self.serves(node), self.waits_for_more(node)) {
            (true, _) if self.set_of(node).files_count => self.mask,
            // A pattern's next component may match what comes.
            (true, _) => UPKEEP,
            (false, true) => ON_THE_WAY.with(WAITING),
            (false, false) => ON_THE_WAY,
        };
        if self.tree.flag(node, Flag::HeedsPermissions) { mask.with(Mask::ATTRIB) } else { mask }
    }

    /// Whether its watch may ask for less than before: on the way, where nothing is waited for any more.
    pub fn may_narrow(&self, node: NodeId) -> bool {
        let Some(wd) = self.tree.wd(node) else { return false };
        let wants_more =
            |node| self.serves(node) || self.waits_for_more(node) || self.tree.flag(node, Flag::HeedsPermissions);
        !self.tree.by_wd(wd).any(wants_more)
    }

    fn waits_for_more(&self, node: NodeId) -> bool {
        self.missing.iter().any(|missing| self.tree.parent(missing.node) == Some(node))
    }

    /// A configured path is no directory: its parent's watch serves it.
    pub(super) fn is_a_file(&mut self, node: NodeId) {
        self.missing.retain(|missing| missing.node != node);
        self.directory_is_gone(node, Mask::DELETE);
        self.serve_by_parent(node);
        self.look_at_links_to(node);
    }

    /// No directory is at this path any more; what was watched there is elsewhere, or nowhere.
    fn directory_is_gone(&mut self, node: NodeId, how: Mask) {
        self.forget_doubt(node);
        if let Some(wd) = self.tree.wd(node) {
            self.stale.push(wd);
            self.tree.set_wd(node, None);
            self.lose_below(node, how);
        }
    }

    /// Whether this configured path leads to this node.
    pub(super) fn is_at(&self, id: RootId, node: NodeId) -> bool {
        self.roots.get(usize::from(id)).is_some_and(|root| root.node == node)
    }

    fn serve_by_parent(&mut self, node: NodeId) {
        let Some(parent) = self.tree.parent(node) else { return };
        // Only its own: what it inherited comes back with it, and what it serves for others in it stays.
        let mut here = self.set_of(node).roots.clone();
        let own: Vec<RootId> = here.dirs.iter().copied().filter(|id| self.is_at(*id, node)).collect();
        let existing = own.iter().filter_map(|id| self.spec(*id)).any(|watch| watch.existing || watch.tidied);
        let scan = match (self.started, self.reloading) {
            (false, _) if existing => Scan::First,
            // What is there concerns the new ones among them.
            (true, true) if !own.is_empty() => Scan::Return,
            (true | false, true | false) => Scan::Watch,
        };
        here.dirs.clear();
        self.assign(node, here);
        let mut above = self.set_of(parent).roots.clone();
        above.files.extend(own);
        self.assign(parent, above);
        // Its mask is another one now; and the file may be there.
        self.want(parent, scan);
    }

    /// What its parent served is a directory now.
    fn serve_itself(&mut self, node: NodeId) {
        let Some(parent) = self.tree.parent(node) else { return };
        if self.set_of(parent).roots.files.is_empty() {
            return;
        }
        let mut above = self.set_of(parent).roots.clone();
        let (own, others): (Vec<RootId>, Vec<RootId>) = above.files.iter().partition(|id| self.is_at(**id, node));
        if !own.is_empty() {
            // It has come, or come back.
            self.roots.iter_mut().filter(|root| root.node == node).for_each(|root| root.replays = true);
            above.files = others;
            self.assign(parent, above);
            let mut here = self.set_of(node).roots.clone();
            here.dirs.extend(own);
            self.assign(node, here);
            self.want(parent, Scan::Watch);
        }
    }

    /// A configured path, or a directory on its way, is not there: it is waited for, and until it turns out to be a
    /// directory, it is served as a file would be. It is looked for a second time once its parent is watched for it.
    /// The user is told of a configured path once.
    pub(super) fn is_missing(&mut self, node: NodeId) -> Option<Trouble> {
        self.directory_is_gone(node, Mask::DELETE);
        self.roots.iter_mut().filter(|root| root.node == node).for_each(|root| root.replays = true);
        let is_root = self.roots.iter().any(|root| root.node == node);
        let trouble = match self.missing.iter_mut().find(|missing| missing.node == node) {
            Some(known) => (is_root && !std::mem::replace(&mut known.told, true)).then_some(Trouble::RootMissing),
            None => {
                self.missing.push(Missing { node, awaited: false, told: false });
                self.want(node, Scan::Watch);
                None
            }
        };
        // Which comes first.
        self.serve_by_parent(node);
        trouble
    }

    /// A directory has its watch: it is not waited for any more, and what is waited for in it can be looked for.
    pub(super) fn way_is_open(&mut self, node: NodeId, scan: Scan, is_new: bool) {
        if self.tree.presence(node) != Presence::Anchor {
            return;
        }
        self.serve_itself(node);
        if is_new {
            self.look_at_links_to(node);
        }
        if is_new && scan < self.first_scan(node) {
            self.want(node, self.first_scan(node));
        }
        let waited = self.missing.len();
        self.missing.retain(|missing| missing.node != node);
        if let Some(parent) = self.tree.parent(node).filter(|_| self.missing.len() < waited) {
            if !self.waits_for_more(parent) {
                // It need not hear of new names any more.
                self.want(parent, Scan::Watch);
            }
            let name = self.tree.name(node).to_vec();
            if self.recovering && !self.inherited(parent, &name, Scan::Report).is_empty() {
                // That it has come may be among what was lost, and whoever lists its parent takes it for known.
                self.directory_found(parent, &name, Scan::Report);
            }
        }
        let mut children = if is_new { self.tree.children(node) } else { Vec::new() };
        for missing in self.missing.iter_mut().filter(|missing| self.tree.parent(missing.node) == Some(node)) {
            children.extend((!std::mem::replace(&mut missing.awaited, true)).then_some(missing.node));
        }
        for child in children {
            if self.tree.presence(child) == Presence::Anchor && self.tree.wd(child).is_none() {
                self.want(child, Scan::Watch);
            }
        }
    }

    /// A name on the way to a configured path has come, or a link of that name has gone. That a directory goes, its own
    /// watch tells; a file that is served as one may come and go.
    pub(super) fn way_changed(&mut self, dir: NodeId, name: &[u8], mask: Mask) {
        let Some(child) = self.tree.child(dir, name) else { return };
        let is_dir = mask.any(Mask::ISDIR);
        let goes = mask.any(Mask::DELETE.with(Mask::MOVED_FROM));
        let missing = self.missing.iter().any(|missing| missing.node == child);
        let a_file = !missing && !is_dir && self.set_of(dir).roots.files.iter().any(|id| self.is_at(*id, child));
        if self.tree.presence(child) == Presence::Anchor && !a_file && !(goes && is_dir) {
            self.want(child, Scan::Watch);
        }
    }

    /// A watched directory was renamed, deleted or unmounted itself. What its path leads to now, the disk tells.
    pub(super) fn look_again(&mut self, node: NodeId, mask: Mask) {
        if self.tree.presence(node) == Presence::Anchor {
            // Until then nothing below has a path that can be relied on.
            self.in_doubt.extend(mask.any(Mask::MOVE_SELF).then_some(node));
            for below in self.anchors(node) {
                self.want(below, Scan::Watch);
                self.look_at_links_to(below);
            }
        } else if mask.any(Mask::UNMOUNT.with(Mask::IGNORED)) && self.tree.presence(node) == Presence::Here {
            self.want(node, Scan::Report);
        }
    }

    /// These are mount points now: a mount over a directory raises no event.
    pub fn mounted(&mut self, points: &[Vec<u8>]) {
        for node in points.iter().filter_map(|point| self.find(point)).collect::<Vec<_>>() {
            self.want(node, Scan::Watch);
        }
    }

    /// These are no mount points any more. The kernel tells of what it unmounts, but later than of the table's change,
    /// and not while somebody uses it still: so it is told here, and the kernel's own record finds nobody.
    pub fn unmounted(&mut self, points: &[Vec<u8>], sink: Sink<'_>) {
        for node in points.iter().filter_map(|point| self.find(point)).collect::<Vec<_>>() {
            let Some(wd) = self.tree.wd(node) else { continue };
            self.own_record(node, &Record { wd, mask: Mask::UNMOUNT, cookie: 0, name: b"" }, sink);
            self.directory_is_gone(node, Mask::UNMOUNT);
        }
    }

    fn find(&self, path: &[u8]) -> Option<NodeId> {
        let mut parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
        parts.try_fold(ROOT, |node, part| self.tree.child(node, part))
    }
}
