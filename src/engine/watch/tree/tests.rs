//! The tree's invariants, and what tests ask it.

use super::*;

impl Tree {
    /// Bytes that names take.
    pub fn memory_of_names(&self) -> usize {
        self.names.capacity()
    }

    /// How many places of the table a look-up of this descriptor goes through, at the most.
    pub fn probes_of(&self, wd: Wd) -> usize {
        self.by_wd.candidates(wd_hash(wd)).count()
    }

    /// How many nodes are in use, `/` included.
    pub fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    /// Every link has its counterpart, and the indexes hold what they should.
    pub fn check(&self) {
        let used = || (0_u32..).zip(&self.nodes).filter(|(_, node)| node.presence != Presence::Free);
        for (n, node) in used() {
            let id = NodeId(n);
            assert_eq!(self.subtree(id).iter().filter(|below| **below == id).count(), 1, "a cycle below {n}");
            assert!(node.wd == UNWATCHED || self.by_wd(node.wd).any(|found| found == id), "wd of {n} is not found");
            if let Some(parent) = self.parent(id) {
                assert_ne!(self.node(parent).presence, Presence::Free, "{n} lies below a freed node");
                let found = self.child(parent, self.name(id)) == Some(id);
                assert_eq!(
                    found,
                    matches!(node.presence, Presence::Here | Presence::Anchor),
                    "{n} is found by name or is lost"
                );
            }
            if let Some(next) = node_id(node.next) {
                assert_eq!(self.node(next).prev, n);
            }
        }
        assert_eq!(used().count(), self.len());
        assert_eq!(used().filter(|(_, node)| node.wd != UNWATCHED).count(), self.by_wd.len());
    }
}
