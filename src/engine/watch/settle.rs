//! A renamed directory's new place: who wants it there, what of it is to be looked at, and what is not wanted any more.

use super::tree::Presence;
use super::{Aftermath, NodeId, Roots, Scan, Watches};
use crate::sys::inotify::Mask;

impl Watches {
    /// Gives a renamed directory its new place, if a watch wants it there. Between watches its subtree changes hands,
    /// and is listed for those who have not known it.
    pub(super) fn settle_in(&mut self, node: NodeId, parent: NodeId, name: &[u8]) {
        let before = self.set_of(node).roots.clone();
        let (old_path, pending) = (self.tree.path(node, b""), self.pending_above(node));
        let wanted = self.moved_along(parent, name, &before);
        // Directories above it may have changed hands just now, and it with them.
        let moved = |after: &Aftermath| matches!(after, Aftermath::Moved(top) if self.tree.is_below(node, *top));
        let above_moved = self.aftermath.iter().any(moved);
        let taken = self.tree.child(parent, name).is_some_and(|other| other != node);
        let left = self.tree.parent(node);
        if wanted.is_empty() || taken || !self.tree.rename(node, parent, name) {
            self.moved_out(node);
            self.directory_found(parent, name, Scan::Report);
            return;
        }
        // It may have been the last that held on to one that is lost.
        self.leaving.extend(left.filter(|left| self.tree.is_lost(*left) && self.tree.wd(*left).is_none()));
        let picky = self.set_of(node).picky || self.set_of(parent).picky;
        if picky || wanted != before {
            let subtree = self.tree.subtree(node).into_iter();
            // What is on its way out of it is not here.
            for below in subtree.filter(|below| self.tree.path_is_known(*below)).collect::<Vec<_>>() {
                let above = self.tree.parent(below).unwrap_or(parent);
                let (name, before) = (self.tree.name(below).to_vec(), self.set_of(below).roots.clone());
                let roots = self.moved_along(above, &name, &before);
                let excluded = roots.is_empty() && below != node && !self.tree.is_lost(below);
                self.assign(below, roots);
                if excluded {
                    // Its tasks are matched again with the others', before it is let go.
                    self.tree.lose(below, Presence::MovedOut);
                    self.leaving.extend(self.tree.subtree(below));
                }
            }
        }
        let scan = if wanted.is_more_than(&before) {
            Scan::Report
        } else if self.recovering && !self.tree.is_met(node) {
            // Whoever looked for what was lost has not come by.
            Scan::Recent
        } else if picky {
            // What was excluded there may not be here.
            Scan::List
        } else {
            // If it was renamed between its IN_CREATE and its scan, the scan may have met another under its old name.
            Scan::Watch
        };
        self.want(node, scan.max(pending));
        if picky {
            self.moves.old_paths.push((node, old_path));
        }
        if picky || above_moved || wanted != before {
            self.aftermath.push(Aftermath::Moved(node));
        }
    }

    /// What was still to be done for a directory by way of those above it, which it leaves.
    fn pending_above(&self, node: NodeId) -> Scan {
        let mut pending = Scan::None;
        let mut at = self.tree.parent(node);
        while let Some(above) = at {
            pending = pending.max(self.pending(above));
            at = self.tree.parent(above);
        }
        pending
    }

    /// Whether a path was excluded before a directory above it was renamed, and is not now.
    pub(super) fn is_excluded_no_more(&self, dir: NodeId, name: &[u8]) -> bool {
        let set = self.set_of(dir);
        let mut moved = self.moves.old_paths.iter().filter(|(top, _)| set.picky && self.tree.is_below(dir, *top));
        moved.any(|(top, old)| {
            let path = self.tree.path(dir, name);
            let below = path.get(self.tree.path(*top, b"").len()..).unwrap_or_default();
            let old = [old, below].concat();
            let mut watches = set.roots.dirs.iter().filter_map(|id| self.spec(*id));
            watches.any(|watch| watch.excludes(&old) && !watch.excludes(&path))
        })
    }

    /// Whether there may be such paths in a directory.
    pub(super) fn was_renamed_among_excluded(&self, dir: NodeId) -> bool {
        self.set_of(dir).picky && self.moves.old_paths.iter().any(|(top, _)| self.tree.is_below(dir, *top))
    }

    /// All has been listed.
    pub(super) fn forget_old_paths(&mut self) {
        self.moves.old_paths.clear();
    }

    /// The roots that want a directory renamed to here: those that want what appears, and those that had it already.
    fn moved_along(&self, parent: NodeId, name: &[u8], before: &Roots) -> Roots {
        let mut had = self.inherited(parent, name, Scan::List);
        had.dirs.retain(|root| before.dirs.contains(root));
        self.inherited(parent, name, Scan::Report).and(had)
    }

    /// A directory went to where no watch is: neither it nor what lies below has a path, and the kernel's watches end.
    pub(super) fn moved_out(&mut self, top: NodeId) {
        for anchor in self.anchors(top) {
            self.stale.extend(self.tree.wd(anchor));
            self.tree.set_wd(anchor, None);
            self.want(anchor, Scan::Watch);
        }
        self.tree.lose(top, Presence::MovedOut);
        self.lose_below(top, Mask::MOVED_FROM);
    }
}
