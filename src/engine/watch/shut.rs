//! Directories that cannot be watched now: for want of permission, of a watch, of a descriptor or of memory.
//!
//! One that must not be entered is waited for through its parent, whose watch hears of changed permissions. The others
//! are tried again when the caller says so.

use super::tree::{Flag, Presence};
use super::{NodeId, Scan, Trouble, Watches};
use crate::sys::Errno;

/// A directory that waits for permission.
pub struct Denied {
    /// What must not be entered: itself, or one on its way.
    at: NodeId,
    pub(super) node: NodeId,
    scan: Scan,
}

impl Watches {
    /// A scan could not be done, for the directory `at` could not be reached: the node's own or one above it; `in_sync`
    /// if the queue was empty after that. The answer is what the user must be told.
    pub fn failed(&mut self, node: NodeId, scan: Scan, errno: Errno, at: NodeId, in_sync: bool) -> Option<Trouble> {
        match errno {
            Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP => {
                if self.tree.certain_wd(node).is_some() && !self.is_confirmed(node, None, in_sync) {
                    // Gone, or renamed: its own records are still to come, and what happened in it stands before them.
                    self.put_off(node, scan);
                    None
                } else if at == node {
                    self.is_not_there(node, errno)
                } else {
                    self.is_out_of_reach(node, scan, at)
                }
            }
            Errno::EACCES => self.is_denied(node, scan, at),
            Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM => {
                self.not_watched(node, errno);
                None
            }
            // Only on the way to a configured path, it is no loss but that its moves are not noticed.
            errno => self.serves(node).then_some(Trouble::Unwatched(errno)),
        }
    }

    fn is_not_there(&mut self, node: NodeId, errno: Errno) -> Option<Trouble> {
        let is_anchor = self.tree.presence(node) == Presence::Anchor;
        if is_anchor && errno != Errno::ENOTDIR {
            return self.is_missing(node);
        } else if is_anchor {
            self.is_a_file(node);
        } else if self.tree.certain_wd(node).is_none() {
            // Gone again, or replaced: its own records have told.
            self.deleted(node);
        } else {
            self.gone_unseen(node);
        }
        None
    }

    /// A directory above is not there. If it was renamed, the path is right once the records of that are read.
    fn is_out_of_reach(&mut self, node: NodeId, scan: Scan, at: NodeId) -> Option<Trouble> {
        if self.tree.presence(node) == Presence::Anchor {
            return self.is_missing(node);
        }
        self.put_off(node, scan);
        self.put_off(at, Scan::Watch);
        None
    }

    /// A name that is in doubt could not be looked at, for the directory `at` could not be reached. If that was renamed,
    /// the name is to be looked at where it is then.
    pub fn name_out_of_reach(&mut self, (dir, name): (NodeId, Vec<u8>), errno: Errno, at: NodeId) {
        let missing = matches!(errno, Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP);
        if missing && self.tree.presence(at) != Presence::Anchor {
            self.name_put_off(dir, name);
            self.put_off(at, Scan::Watch);
        }
    }

    fn is_denied(&mut self, node: NodeId, scan: Scan, at: NodeId) -> Option<Trouble> {
        if self.recovering {
            // It is there, and so may be all that is known below.
            self.tree.subtree(at).into_iter().for_each(|below| self.tree.set_met(below));
        }
        // What has changed meanwhile is not known then.
        let scan = if scan == Scan::Recent { Scan::Report } else { scan };
        self.denied.retain(|denied| !self.tree.is_lost(denied.node));
        let known = self.denied.iter_mut().find(|denied| denied.node == node && self.tree.flag(node, Flag::Denied));
        let is_new = known.is_none();
        match known {
            Some(known) if known.at == at => {
                known.scan = known.scan.max(scan);
                return None;
            }
            Some(known) => known.at = at,
            None => self.denied.push(Denied { at, node, scan }),
        }
        self.tree.set_flag(node, Flag::Denied, true);
        // A second look, for it may have opened before its parent's watch hears of that.
        self.want(node, scan);
        if let Some(parent) = self.tree.parent(at) {
            self.tree.set_flag(parent, Flag::HeedsPermissions, true);
            self.want(parent, Scan::Watch);
        }
        (is_new && self.serves(node)).then_some(Trouble::Unwatched(Errno::EACCES))
    }

    /// A directory's permissions have changed.
    pub(super) fn permissions_changed(&mut self, parent: NodeId, name: &[u8]) {
        if self.denied.is_empty() {
            return;
        }
        let Some(child) = self.tree.child(parent, name) else { return };
        let waiting = self.denied.iter().filter(|denied| denied.at == child && !self.tree.is_lost(denied.node));
        for (node, scan) in waiting.map(|denied| (denied.node, denied.scan)).collect::<Vec<_>>() {
            self.want(node, scan);
        }
    }

    /// A directory has its watch: it waits for nothing any more.
    pub(super) fn is_open(&mut self, node: NodeId) {
        if self.tree.flag(node, Flag::Denied) {
            self.tree.set_flag(node, Flag::Denied, false);
            self.denied.retain(|denied| denied.node != node);
        }
    }

    /// There was no watch, no descriptor or no memory left for this directory.
    pub fn not_watched(&mut self, node: NodeId, errno: Errno) -> NodeId {
        self.want_of = errno;
        if !self.tree.flag(node, Flag::Wanting) {
            self.tree.set_flag(node, Flag::Wanting, true);
            self.unwatched.push(node);
        }
        self.tree.set_met(node);
        node
    }

    /// How many directories are not watched for want of something, and the error that says of what.
    pub fn unwatched_directories(&self) -> (usize, Errno) {
        (self.unwatched.len(), self.want_of)
    }

    /// Tries them again; what has changed in them meanwhile is reported.
    pub fn retry_unwatched(&mut self) {
        for node in std::mem::take(&mut self.unwatched) {
            self.tree.set_flag(node, Flag::Wanting, false);
            if !self.tree.is_lost(node) {
                self.want(node, Scan::Return);
            }
        }
    }
}
