//! What is to be done on disk, and what was found there.
//!
//! A directory is watched first and listed then: what is created in it is in the queue or in the listing, or in both.
//! After an overflow every directory is watched again, top down: a watch descriptor that is known tells that its
//! directory was renamed to here unseen, and its node moves; nodes that are not met are lost.

use super::maps::{Whose, is_temporary};
use super::tree::Presence;
use super::{Aftermath, Event, Found, NodeId, ROOT, RootId, Roots, Scan, Sink, Watches};
use crate::sys::fs::Kind;
use crate::sys::inotify::{Mask, Wd};

impl Watches {
    pub(super) fn want(&mut self, node: NodeId, scan: Scan) {
        let before = self.tree.scan(node);
        if before == Scan::None {
            self.scans.push(node);
        }
        self.tree.set_scan(node, before.max(scan));
    }

    /// The next watch to be removed; all of them are, before anything is scanned.
    pub fn next_unwatch(&mut self) -> Option<Wd> {
        self.forget_doubts_of_the_lost();
        loop {
            let wd = match self.stale.pop().or_else(|| self.tree.next_dropped()) {
                Some(stale) => Some(stale),
                None => self.next_to_leave()?,
            };
            // One that a scan has met again meanwhile is in use.
            if let Some(wd) = wd.filter(|wd| !self.is_in_use(*wd)) {
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

    /// Whether [`Watches::next_unwatch`] or [`Watches::next_scan`] may have something.
    pub fn has_work(&self) -> bool {
        let recovered = self.recovering && !self.is_in_doubt();
        let unwatches = !(self.leaving.is_empty() && self.stale.is_empty()) || self.tree.has_dropped();
        unwatches || recovered || self.has_names_in_doubt() || !self.scans.is_empty()
    }

    /// The next directory to be watched, and whether to list it. Children come next after their parent.
    pub fn next_scan(&mut self) -> Option<(NodeId, Scan)> {
        while let Some(node) = self.scans.pop() {
            let scan = self.tree.scan(node);
            self.tree.set_scan(node, Scan::None);
            if scan == Scan::None || self.tree.is_lost(node) {
                continue;
            }
            if self.tree.path_is_known(node) {
                return Some((node, scan));
            }
            if self.has_open_pairs() {
                self.put_off(node, scan);
            }
            // Else it lies below what is set aside until it is met, and is listed then.
        }
        if !self.is_in_doubt() {
            self.finish_recovery();
            self.started = true;
            self.scans = Vec::new();
            self.reloaded();
        }
        None
    }

    /// Whether something hangs on what is still to be read, or on nothing being there to be read.
    pub fn is_in_doubt(&self) -> bool {
        self.has_open_pairs() || !self.later.is_empty()
    }

    /// Whether symbolic links are followed on the way to a directory: as far as its path was configured.
    pub fn follows_links(&self, node: NodeId) -> bool {
        self.tree.presence(node) == Presence::Anchor
    }

    /// What is below a directory is gone, itself excepted. Whatever is told of that, it may live elsewhere.
    pub(super) fn lose_below(&mut self, node: NodeId, mask: Mask) {
        let subtree = self.tree.subtree(node);
        for child in subtree.iter().copied().filter(|child| *child != node) {
            // Configured paths below are never lost, but what lies below them is.
            let above = self.tree.parent(child).map(|above| (above, self.tree.presence(above)));
            if above.is_some_and(|(above, presence)| above == node || presence == Presence::Anchor) {
                self.tree.lose(child, Presence::MovedOut);
            }
        }
        self.leaving.extend(subtree);
        self.aftermath.push(Aftermath::Lost(node, mask));
    }

    /// The nodes of configured paths, and of the way to them, from a directory down; the last first.
    pub(super) fn anchors(&self, top: NodeId) -> Vec<NodeId> {
        let subtree = self.tree.subtree(top).into_iter().rev();
        subtree.filter(|node| self.tree.presence(*node) == Presence::Anchor).collect()
    }

    /// Whether the listing of a directory is to say more of files than their names: whether they are open for writing,
    /// and after lost events, whether they have changed.
    pub fn reports_files(&self, node: NodeId, scan: Scan) -> bool {
        match scan {
            Scan::None | Scan::Watch => false,
            Scan::List => self.was_renamed_among_excluded(node),
            Scan::First => self.set_of(node).existing || self.was_renamed_among_excluded(node),
            Scan::Return | Scan::Recent | Scan::Report => true,
        }
    }

    /// Whether jobs of ours may have left something behind in a directory.
    pub fn is_tidied(&self, node: NodeId) -> bool {
        let roots = &self.set_of(node).roots;
        roots.dirs.iter().chain(&roots.files).filter_map(|id| self.spec(*id)).any(|watch| watch.tidied)
    }

    /// A scan has found this in a directory.
    pub fn entry(&mut self, node: NodeId, scan: Scan, found: Found<'_>, sink: Sink<'_>) {
        if is_temporary(found.name) {
            return;
        }
        // What was excluded where it came from is new here.
        let scan = if self.is_excluded_no_more(node, found.name) { Scan::Report } else { scan };
        if found.kind != Kind::Directory {
            match scan {
                Scan::None | Scan::Watch | Scan::List => {}
                Scan::Recent if !found.recent => {}
                Scan::First | Scan::Return | Scan::Recent | Scan::Report => self.deliver_found(node, scan, found, sink),
            }
            return;
        }
        let is_unknown = || !self.tree.child(node, found.name).is_some_and(|known| self.is_known(known));
        match scan {
            Scan::None | Scan::Watch => {}
            Scan::First | Scan::Return | Scan::Report => {
                self.deliver_found(node, scan, found, sink);
                self.directory_found(node, found.name, scan);
            }
            Scan::List if is_unknown() => self.directory_appeared(node, found, sink),
            // Where all that were there would be known, an unknown one is new.
            Scan::Recent if is_unknown() => {
                if found.recent || !self.inherited(node, found.name, Scan::List).is_empty() {
                    self.directory_appeared(node, found, sink);
                }
            }
            Scan::List | Scan::Recent => {
                if scan == Scan::Recent && found.recent {
                    // Its own creation may be among what was lost.
                    self.deliver_found(node, Scan::Report, found, sink);
                }
                self.directory_found(node, found.name, scan);
            }
        }
    }

    /// Whether it is in the tree for more than the sake of tasks, and of a path that is waited for.
    fn is_known(&self, node: NodeId) -> bool {
        let is_on_the_way = self.tree.presence(node) == Presence::Anchor && self.tree.certain_wd(node).is_some();
        is_on_the_way || self.serves(node)
    }

    fn directory_appeared(&mut self, parent: NodeId, found: Found<'_>, sink: Sink<'_>) {
        self.deliver_found(parent, Scan::Report, found, sink);
        self.directory_found(parent, found.name, Scan::Report);
    }

    /// What the kernel would have told: IN_CREATE, then IN_CLOSE_WRITE of a file that nobody writes to any more. What has
    /// been there for long, at the first scan or a return, concerns only those watches that want to know it.
    fn deliver_found(&mut self, dir: NodeId, scan: Scan, found: Found<'_>, sink: Sink<'_>) {
        // Of what a new configuration asks for, nothing has been lost to those that are not new.
        let nothing_lost = self.reloading && !self.recovering;
        let whose = match scan {
            Scan::First => Whose::Existing,
            Scan::Return if !found.recent => Whose::Existing,
            Scan::Return if nothing_lost => Whose::New,
            Scan::None | Scan::Watch | Scan::List | Scan::Return | Scan::Recent | Scan::Report => Whose::All,
        };
        if whose == Whose::Existing && !self.set_of(dir).existing {
            return;
        }
        let (is_dir, closed) = (found.kind == Kind::Directory, found.kind == Kind::File && !found.written_to);
        let created = if is_dir { Mask::CREATE.with(Mask::ISDIR) } else { Mask::CREATE };
        let name = found.name;
        for mask in [created].into_iter().chain(closed.then_some(Mask::CLOSE_WRITE)) {
            if whose != Whose::All {
                self.deliver_departure_from(dir, name, sink);
                let maps = self.maps_for(dir, name, is_dir, whose);
                let event = Event { mask, dir, name, is_dir, below: true, maps: &[], source: None, from_scan: true };
                self.deliver_to(maps, event, sink);
            } else {
                self.deliver(dir, name, mask, None, true, sink);
            }
        }
    }

    /// After lost events: there are tasks for a file, or a directory, that is not there. What lies below a directory may
    /// have gone elsewhere with it, and is told of when that is known.
    pub fn vanished(&mut self, dir: NodeId, name: &[u8], is_dir: bool, sink: Sink<'_>) {
        self.deliver_departure_from(dir, name, sink);
        let mask = if is_dir { Mask::DELETE.with(Mask::ISDIR) } else { Mask::DELETE };
        let maps = self.maps_for(dir, name, is_dir, Whose::All);
        let event = Event { mask, dir, name, is_dir, below: false, maps: &[], source: None, from_scan: true };
        self.deliver_to(maps, event, sink);
    }

    /// A directory is there: at the start, or because it has appeared. Whoever wants such ones watches it.
    pub(super) fn directory_found(&mut self, parent: NodeId, name: &[u8], scan: Scan) {
        let set = self.set_of(parent);
        let serves_the_same = match scan {
            Scan::Report => set.all_auto_add,
            Scan::Return => (set.all_rec || set.all_auto_add) && self.is_a_return(),
            Scan::None | Scan::Watch | Scan::List | Scan::First | Scan::Recent => set.all_rec,
        };
        if serves_the_same {
            match self.tree.find_or_add(parent, name) {
                Some((node, true)) => {
                    self.tree.set_set(node, self.tree.set(parent));
                    return self.want(node, scan);
                }
                Some((_, false)) => {}
                None => return,
            }
        }
        let known = self.tree.child(parent, name);
        if let Some(known) = known.filter(|_| scan == Scan::Recent) {
            self.want(known, scan);
            return;
        }
        let own = known.map(|node| self.set_of(node).roots.clone()).unwrap_or_default();
        let roots = self.inherited(parent, name, scan).and(own);
        if roots.is_empty() {
            return;
        }
        if let Some(node) = self.tree.child_or_new(parent, name) {
            self.assign(node, roots);
            self.want(node, scan);
        }
    }

    /// Whether what [`Scan::Return`] finds has come back, and so has appeared; else it is met for the first time.
    fn is_a_return(&self) -> bool {
        self.started && !self.reloading
    }

    /// The same of a single path: those that are not new come back even while a new configuration's are met.
    fn has_come_back(&self, id: RootId) -> bool {
        let is_new = self.roots.get(usize::from(id)).is_some_and(|root| root.is_new);
        self.started && !(self.reloading && is_new)
    }

    /// What a directory of this name serves for its parent's sake: the watches that also want the directories in it,
    /// those found at the start or those that appear; and patterns that it matches.
    pub(super) fn inherited(&self, parent: NodeId, name: &[u8], scan: Scan) -> Roots {
        let set = self.set_of(parent);
        let path = if set.picky { self.tree.path(parent, name) } else { Vec::new() };
        let included = |id: RootId| self.spec(id).filter(|watch| !(set.picky && watch.excludes(&path)));
        let wants = |id: &RootId| {
            included(*id).is_some_and(|watch| match scan {
                Scan::Report => watch.auto_add,
                Scan::Return if watch.rec && watch.auto_add => true,
                Scan::Return => (watch.rec || (watch.auto_add && self.has_come_back(*id))) && self.replays(*id),
                Scan::None | Scan::Watch | Scan::List | Scan::First | Scan::Recent => watch.rec,
            })
        };
        let mut dirs: Vec<RootId> = set.roots.dirs.iter().copied().filter(wants).collect();
        dirs.extend(self.globbed(set, name, true).map(|(id, _)| id).filter(|id| included(*id).is_some()));
        let next = self.globbed(set, name, false).filter(|(id, _)| included(*id).is_some());
        let globs = next.map(|(id, level)| (id, level + 1)).collect();
        Roots { dirs, files: Vec::new(), globs }.in_order()
    }

    /// Events are lost: everything is looked at again.
    pub(super) fn recover(&mut self) {
        self.recovering = true;
        self.recovers_again = self.reloading;
        self.tree.forget_met();
        // Before all has been scanned once, an unknown directory is not new, and what is there is still to be told.
        let scan = if self.is_a_return() { Scan::Recent } else { Scan::Return };
        // In this order the roots come last onto the stack, and each is met before what lies below.
        for node in self.anchors(ROOT) {
            self.want(node, if self.serves(node) { scan } else { Scan::Watch });
        }
    }

    /// All has been looked at: what was not met is gone.
    fn finish_recovery(&mut self) {
        if !std::mem::take(&mut self.recovering) {
            return;
        }
        for node in self.tree.subtree(ROOT) {
            // Also those below a directory that is lost: they may have left it before. Who is still aside was met, if at
            // all, before another took its place.
            let (is_met, presence) = (self.tree.is_met(node), self.tree.presence(node));
            if presence == Presence::Deleted && self.tree.wd(node).is_some() {
                // Its IN_IGNORED may be among what was lost.
                self.leaving.push(node);
            }
            if presence == Presence::Anchor && !is_met && self.tree.wd(node).is_none() {
                // A record of its end was read, but what lay below might still have been met elsewhere.
                self.aftermath.push(Aftermath::Lost(node, Mask::DELETE));
            }
            if presence == Presence::Aside || (presence == Presence::Here && !is_met && self.is_known(node)) {
                self.gone_unseen(node);
            }
        }
    }

    /// A directory is not there any more, and no record has said so: it may live elsewhere, and its watches are to end.
    pub(super) fn gone_unseen(&mut self, node: NodeId) {
        self.tree.lose(node, Presence::MovedOut);
        self.leaving.extend(self.tree.subtree(node));
        self.aftermath.push(Aftermath::Lost(node, Mask::DELETE));
    }
}
