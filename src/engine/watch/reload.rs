//! Another configuration: what has not changed keeps its watches, what has gone is unwatched, and what has come is scanned
//! like at the start.

use super::set::{Roots, Sets};
use super::tree::{Flag, Presence};
use super::{NodeId, ROOT, Root, Scan, Watch, WatchPath, Watches};
use crate::sys::inotify::Mask;
use std::collections::HashSet;

/// No watch: the path is not configured any more, and its number is free.
const GONE: usize = usize::MAX;
const NOWHERE: NodeId = NodeId(super::tree::NONE);

impl Watches {
    /// From now on these watches hold, and `used` is what their event maps use. A watch that has changed in more than its
    /// map counts as new, but keeps its watch descriptors. To be called while nothing is to be scanned and nothing is in
    /// doubt.
    pub fn reconfigure(&mut self, watches: &[Watch], used: Mask) {
        let mut fresh: Vec<(usize, &WatchPath)> = Vec::new();
        for (number, watch) in watches.iter().enumerate() {
            fresh.extend(watch.paths.iter().map(|path| (number, path)));
        }
        let free: Vec<usize> = (0..self.roots.len()).filter(|at| self.is_gone(*at)).collect();
        let mut ended: Vec<usize> = Vec::new();
        for at in (0..self.roots.len()).filter(|at| !free.contains(at)) {
            let same = fresh.iter().position(|(number, path)| self.is_as_before(at, &watches[*number], path));
            match (same, self.roots.get_mut(at)) {
                (Some(same), Some(root)) => {
                    (root.watch, root.replays, root.is_new) = (fresh.remove(same).0, false, false);
                }
                _ => ended.push(at),
            }
        }
        self.specs = watches.to_vec();
        let heirs = self.take_over(&fresh, &ended, free);
        self.forget_what_is_gone(&heirs);
        let asked = Mask(super::UPKEEP.0 | used.0);
        let all_anew = std::mem::replace(&mut self.mask, asked) != asked;
        for node in self.tree.subtree(ROOT) {
            let is_anchor = self.tree.presence(node) == Presence::Anchor;
            if is_anchor || (all_anew && self.tree.wd(node).is_some() && !self.tree.is_lost(node)) {
                // Its watch may have to ask for other events.
                self.want(node, Scan::Watch);
            }
        }
        self.reloading = true;
    }

    /// New paths; the answer is which of them have the place of one that has ended, by their numbers.
    fn take_over(&mut self, fresh: &[(usize, &WatchPath)], ended: &[usize], mut free: Vec<usize>) -> Vec<(u16, u16)> {
        let mut heirs = Vec::new();
        for (number, path) in fresh {
            let Some(new) = self.add_root(path, *number, free.pop()) else { continue };
            let same = ended.iter().copied().filter(|at| self.is_at_path(*at, path));
            heirs.extend(same.filter_map(|at| Some((u16::try_from(at).ok()?, new))));
        }
        for at in ended {
            if let Some(root) = self.roots.get_mut(*at) {
                *root = Root { node: NOWHERE, watch: GONE, globs: Vec::new(), replays: false, is_new: false };
            }
        }
        heirs
    }

    fn is_gone(&self, at: usize) -> bool {
        self.roots.get(at).is_none_or(|root| root.watch == GONE)
    }

    /// All that a new configuration asks for has been scanned: paths that come back from now on are told of. If events
    /// were lost meanwhile, what has appeared below paths that are not new is looked for now.
    pub(super) fn reloaded(&mut self) {
        if std::mem::take(&mut self.reloading) {
            self.roots.iter_mut().for_each(|root| root.replays = true);
            if std::mem::take(&mut self.recovers_again) {
                self.recover();
            }
        }
    }

    /// Whether a path was configured alike, but for its event map and whether files that are there count.
    fn is_as_before(&self, at: usize, watch: &Watch, path: &WatchPath) -> bool {
        let Some(before) = self.roots.get(at).and_then(|root| self.specs.get(root.watch)) else { return false };
        let same_watch = before.name == watch.name
            && before.rec == watch.rec
            && before.auto_add == watch.auto_add
            && before.exclude == watch.exclude;
        same_watch && self.is_at_path(at, path)
    }

    fn is_at_path(&self, at: usize, path: &WatchPath) -> bool {
        self.roots.get(at).is_some_and(|root| root.globs == path.globs && self.tree.path(root.node, b"") == path.base)
    }

    fn forget_what_is_gone(&mut self, heirs: &[(u16, u16)]) {
        let before = std::mem::replace(&mut self.sets, Sets::new());
        let needed = self.needed();
        // Parents come first.
        let nodes = self.tree.subtree(ROOT);
        for node in nodes.iter().copied() {
            let roots = self.left_of(&before.get(self.tree.set(node)).roots, node, heirs);
            let set = self.number_of(roots);
            self.tree.set_set(node, set);
            if self.tree.presence(node) == Presence::Anchor && !needed.contains(&node) {
                self.tree.unanchor(node);
            }
        }
        self.missing.retain(|missing| needed.contains(&missing.node));
        self.links.retain(|(link, target)| needed.contains(link) && needed.contains(target));
        self.let_go(nodes);
    }

    /// What a directory still serves, and what it serves for those that have taken the place of others: until they have
    /// been scanned anew, nothing is missed.
    fn left_of(&self, before: &Roots, node: NodeId, heirs: &[(u16, u16)]) -> Roots {
        let is_left = |id: &u16| !self.is_gone(usize::from(*id));
        let inherits = |id: &u16| {
            let above = self.tree.parent(node).is_some_and(|parent| self.set_of(parent).roots.dirs.contains(id));
            above && self.spec(*id).is_some_and(|watch| watch.rec && !watch.excludes(&self.tree.path(node, b"")))
        };
        let is_heir = |(old, _): &&(u16, u16)| before.dirs.contains(old);
        let mut left = before.clone();
        left.dirs.retain(is_left);
        left.files.retain(is_left);
        left.globs.retain(|(id, _)| is_left(id));
        left.dirs.extend(heirs.iter().filter(is_heir).map(|(_, new)| *new).filter(inherits));
        left
    }

    /// Ends the watches of directories that serve nothing any more.
    fn let_go(&mut self, nodes: Vec<NodeId>) {
        let is_left = |node: &NodeId| self.tree.presence(*node) == Presence::Anchor || self.serves(*node);
        let idle: Vec<NodeId> = nodes.into_iter().rev().filter(|n| !is_left(n) && !self.tree.is_lost(*n)).collect();
        let idle_ones: HashSet<NodeId> = idle.iter().copied().collect();
        self.denied.retain(|denied| !idle_ones.contains(&denied.node));
        self.unwatched.retain(|node| !idle_ones.contains(node));
        for node in idle {
            self.stale.extend(self.tree.wd(node));
            self.tree.set_wd(node, None);
            for flag in [Flag::HeedsPermissions, Flag::Denied, Flag::Wanting] {
                self.tree.set_flag(node, flag, false);
            }
            // Unless a task hangs on it: then it goes with that.
            self.tree.release(node);
        }
    }

    /// The nodes of configured paths that are left, and of the way to them, links followed; `/` in any case.
    fn needed(&self) -> HashSet<NodeId> {
        let mut needed = HashSet::from([ROOT]);
        let mut todo: Vec<NodeId> = self.roots.iter().filter(|root| root.watch != GONE).map(|root| root.node).collect();
        while let Some(node) = todo.pop() {
            if needed.insert(node) {
                todo.extend(self.tree.parent(node));
                todo.extend(self.links.iter().filter(|(link, _)| *link == node).map(|(_, target)| *target));
            }
        }
        needed
    }
}
