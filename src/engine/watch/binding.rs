//! Whose watch descriptor it is: what was met at a path becomes its node's once that is certain.
//!
//! A path is looked up on the disk of now, while the tree knows only what has been read from the queue. A rename that
//! is not read yet may have put another directory there. So what was met counts if the queue was empty after the look,
//! or if the same is met once more after the queue was read and nothing that was read has touched the path: until then
//! the descriptor is provisional, and its records are dropped, for a listing follows. What contradicts the tree (another
//! directory than the one that is known there, one that is known elsewhere, or none) must be met twice with an empty
//! queue: the kernel makes a rename visible an instant before it queues its records.

use super::tree::{Flag, Presence};
use super::{Aftermath, NodeId, Scan, Sink, Watches};
use crate::sys::inotify::{Mask, Wd};

/// What was met at a node's path and contradicts the tree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    node: NodeId,
    /// A directory with this descriptor, or none.
    met: Option<Wd>,
    /// The queue was empty after that.
    in_sync: bool,
}

impl Watches {
    /// A scan has added the watch of the directory at a node's path; `in_sync` if the queue was empty after that. The
    /// answer is the node that the directory has, which after an overflow may be one that was known elsewhere; `None` if
    /// that is not certain yet, and it will be asked for again.
    pub fn watched(&mut self, node: NodeId, wd: Wd, scan: Scan, in_sync: bool) -> Option<NodeId> {
        if self.tree.is_lost(node) {
            // Of what is watched from its parent, others are told before.
            self.stale.push(wd);
            return None;
        }
        let known = self.tree.certain_wd(node) == Some(wd);
        if !known && !self.is_certain(node, wd, in_sync) {
            self.postpone(node, wd, scan);
            return None;
        }
        self.forget_doubt(node);
        let node = self.bind(node, wd, scan);
        // Half of an exchange may have been read, if more is to be read.
        if in_sync || !known {
            self.was_overwritten(node);
        }
        if matches!(scan, Scan::List | Scan::Report) && !self.recovering {
            // What is known below may have gone on already, unread: the listing will not meet it.
            for child in self.tree.children(node) {
                if matches!(self.tree.presence(child), Presence::Here | Presence::Aside) && self.serves(child) {
                    self.want(child, scan);
                }
            }
        }
        Some(node)
    }

    /// A listing of a directory begins; [`Watches::listed`] is owed.
    pub fn begins_to_list(&mut self, node: NodeId, scan: Scan) {
        self.listing = Some((node, scan));
    }

    /// It has ended.
    pub fn listed(&mut self) {
        self.listing = None;
    }

    fn is_certain(&mut self, node: NodeId, wd: Wd, in_sync: bool) -> bool {
        let known = self.tree.certain_wd(node);
        let elsewhere =
            |other: NodeId| other != node && self.tree.certain_wd(other).is_some() && !self.tree.is_lost(other);
        let holders = self.tree.by_wd(wd).filter(|other| elsewhere(*other) && !self.is_same(*other, node));
        let holders: Vec<NodeId> = holders.filter(|other| !self.moved_unseen(*other, node)).collect();
        let contradicts = known.is_some_and(|known| known != wd) || !holders.is_empty();
        // Who is set aside without a departure has lost its records: none will say where it is.
        let is_awaited = |other: NodeId| self.has_departures() && !self.tree.path_is_known(other);
        let on_its_way = |other: &NodeId| self.has_held_of(*other) || is_awaited(*other);
        let waits = self.tree.presence(node) != Presence::Anchor && self.has_held_of(node);
        if waits || holders.iter().any(on_its_way) {
            // Records that are kept back are as good as unread; those of a configured path wait for it.
            false
        } else if contradicts {
            self.is_confirmed(node, Some(wd), in_sync)
        } else {
            // One that is still to be looked at again has not been read for since.
            in_sync || (self.tree.wd(node) == Some(wd) && !self.tree.flag(node, Flag::Later))
        }
    }

    /// Whether this (no directory, if `None`) has been met at a node's path twice, each time with an empty queue.
    pub(super) fn is_confirmed(&mut self, node: NodeId, met: Option<Wd>, in_sync: bool) -> bool {
        let before = self.doubts.iter().position(|doubt| doubt.node == node);
        let before = before.map(|at| self.doubts.swap_remove(at));
        let same = before.filter(|before| before.met == met);
        if same.is_some_and(|before| before.in_sync && in_sync) {
            return true;
        }
        // Its watch stays meanwhile: ending it would fill the queue again.
        self.stale.extend(before.filter(|before| before.met != met).and_then(|before| before.met));
        self.doubts.push(Doubt { node, met, in_sync });
        false
    }

    pub(super) fn forget_doubt(&mut self, node: NodeId) {
        self.forget_doubts(|doubt| doubt.node == node);
    }

    /// What is lost is not doubted any more.
    pub(super) fn forget_doubts_of_the_lost(&mut self) {
        let lost: Vec<NodeId> = self.doubts.iter().map(|doubt| doubt.node).filter(|n| self.tree.is_lost(*n)).collect();
        if !lost.is_empty() {
            self.forget_doubts(|doubt| lost.contains(&doubt.node));
        }
    }

    fn forget_doubts(&mut self, which: impl Fn(&Doubt) -> bool) {
        self.stale.extend(self.doubts.iter().filter(|doubt| which(doubt)).filter_map(|doubt| doubt.met));
        self.doubts.retain(|doubt| !which(doubt));
    }

    /// Whether this descriptor belongs to a directory, or may do so.
    pub(super) fn is_in_use(&self, wd: Wd) -> bool {
        self.tree.by_wd(wd).next().is_some() || self.doubts.iter().any(|doubt| doubt.met == Some(wd))
    }

    fn postpone(&mut self, node: NodeId, wd: Wd, scan: Scan) {
        if self.tree.certain_wd(node).is_none() {
            self.stale.extend(self.tree.wd(node).filter(|before| *before != wd));
            self.tree.set_wd(node, Some(wd));
            self.tree.set_flag(node, Flag::Provisional, true);
        }
        self.put_off(node, scan);
    }

    /// Looks at a directory again when more of the queue has been read.
    pub(super) fn put_off(&mut self, node: NodeId, scan: Scan) {
        self.tree.set_flag(node, Flag::Later, true);
        self.later.push((node, scan));
    }

    fn bind(&mut self, node: NodeId, wd: Wd, scan: Scan) -> NodeId {
        self.tree.forget_provisional(node);
        let holders: Vec<NodeId> = self.tree.by_wd(wd).filter(|other| *other != node).collect();
        let mut place = node;
        for other in holders {
            if self.tree.is_lost(other) {
                // Whoever was lost does not hold it any more; the tasks that hang on it since are told, and what came
                // below it since goes with it.
                self.tree.set_wd(other, None);
                self.lose_below(other, Mask::DELETE);
                self.forget_held(wd);
            } else if self.tree.flag(other, Flag::Provisional) {
                self.tree.forget_provisional(other);
            } else if self.moved_unseen(other, place) {
                place = self.takes_place(other, place, scan);
            }
            // Any other is the same directory by another way: a bind mount.
        }
        if self.tree.is_lost(place) {
            // Nobody wants it there.
            self.stale.push(wd);
            return place;
        }
        let before = self.tree.wd(place);
        if before.is_some_and(|before| before != wd) {
            self.replaced(place, scan);
        } else if before.is_none()
            && matches!(scan, Scan::Watch | Scan::List | Scan::Recent)
            && self.tree.presence(place) != Presence::Anchor
        {
            // It is nowhere known: all that is in it is new.
            self.want(place, Scan::Report);
        }
        self.tree.set_wd(place, Some(wd));
        self.tree.set_met(place);
        self.is_open(place);
        self.way_is_open(place, scan, before != Some(wd));
        place
    }

    /// Whether a directory was renamed from where `other` is to where `node` is, without a record.
    fn moved_unseen(&self, other: NodeId, node: NodeId) -> bool {
        let movable = |node| self.tree.presence(node) != Presence::Anchor;
        // Who was met may have had to make room for another since, unless that is the same directory.
        let displaced = self.tree.presence(other) == Presence::Aside
            && !self.tree.flag(other, Flag::Departing)
            && self.tree.certain_wd(node) != self.tree.certain_wd(other);
        let unseen = (self.recovering && (displaced || !self.tree.is_met(other))) || self.is_departing(other);
        unseen && movable(other) && movable(node)
    }

    /// `other` is found where `node` was thought to be, which steps aside: it may be met elsewhere.
    fn takes_place(&mut self, other: NodeId, node: NodeId, scan: Scan) -> NodeId {
        let (Some(parent), name) = (self.tree.parent(node), self.tree.name(node).to_vec()) else { return node };
        let left = self.tree.parent(other).map(|dir| (dir, self.tree.name(other).to_vec()));
        let waiting = self.take_pending(other);
        let unknown = self.tree.wd(node).is_none();
        self.tree.lose(node, if unknown { Presence::Deleted } else { Presence::Aside });
        self.aftermath.extend(unknown.then_some(Aftermath::Lost(node, Mask::DELETE)));
        let (set, was_here) = (self.tree.set(other), self.tree.presence(other) == Presence::Here);
        let departing = self.is_departing(other);
        self.has_arrived(other);
        self.settle_in(other, parent, &name);
        if departing && scan < Scan::Report {
            // Nobody has told what has become of it in between.
            self.want(other, Scan::Report);
        }
        if !unknown {
            self.put_in_doubt(other);
        }
        if let Some((dir, name)) = left.filter(|_| was_here && waiting != Scan::None) {
            // The place that it has left was still to be looked at: something else may be there.
            if let Some(there) = self.tree.child_or_new(dir, &name) {
                self.tree.set_set(there, set);
                self.want(there, waiting);
            }
        }
        self.tree.child(parent, &name).unwrap_or(node)
    }

    /// What is still to be done for a node at its place, and is not any more.
    fn take_pending(&mut self, node: NodeId) -> Scan {
        let pending = self.pending(node);
        self.later.retain(|(waiting, _)| *waiting != node);
        self.tree.set_flag(node, Flag::Later, false);
        self.forget_doubt(node);
        self.tree.set_scan(node, Scan::None);
        pending
    }

    /// What is still to be done for a node.
    pub(super) fn pending(&self, node: NodeId) -> Scan {
        let waiting = self.tree.flag(node, Flag::Later);
        let of_node = |(waiting, scan): &(NodeId, Scan)| (*waiting == node).then_some(*scan);
        let later = waiting.then(|| self.later.iter().filter_map(of_node).max()).flatten();
        let listing = self.listing.filter(|(listed, _)| *listed == node).map(|(_, scan)| scan);
        self.tree.scan(node).max(later.max(listing).unwrap_or(Scan::None))
    }

    /// Another directory is in this one's place. What was below the old one is lost.
    fn replaced(&mut self, node: NodeId, scan: Scan) {
        self.stale.extend(self.tree.wd(node));
        self.roots.iter_mut().filter(|root| root.node == node).for_each(|root| root.replays = true);
        self.lose_below(node, Mask::DELETE);
        self.put_in_doubt(node);
        if self.tree.presence(node) != Presence::Anchor && scan < Scan::Report {
            self.want(node, Scan::Report);
        }
    }

    /// On the way to a directory, there is another than the one that the tree has there; this is its watch.
    pub fn met_a_stranger(&mut self, on_the_way: NodeId, wd: Wd, (node, scan): (NodeId, Scan)) {
        self.stale.push(wd);
        self.put_off(node, scan);
        self.put_off(on_the_way, Scan::Watch);
    }

    /// What was queued has been read: what was not certain is looked at again.
    pub fn try_again(&mut self) {
        self.try_names_again();
        for (node, scan) in std::mem::take(&mut self.later) {
            self.tree.set_flag(node, Flag::Later, false);
            if !self.tree.is_lost(node) {
                self.want(node, scan);
            }
        }
    }

    /// What has been scanned may be all: what came from below a directory whose path was in doubt can be told, if it has
    /// one. That waits for configured paths alone, for others may wait for what is told.
    pub fn all_scanned(&mut self, sink: Sink<'_>) {
        if self.scans.is_empty() && self.later.is_empty() && self.listing.is_none() {
            self.forget_old_paths();
        }
        let waits = |node: &NodeId| self.follows_links(*node) && self.pending(*node) != Scan::None;
        let mut pending = self.scans.iter().chain(self.later.iter().map(|(node, _)| node));
        if !self.in_doubt.is_empty() && !pending.any(waits) {
            self.in_doubt.clear();
            self.replay(sink);
        }
    }
}
