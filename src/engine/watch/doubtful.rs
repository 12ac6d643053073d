//! Names whose last record does not tell what they have now: a look at the disk does.

use super::moves::{MOST_HALVES, is_just_before};
use super::{NodeId, Scan, Sink, Watches};
use crate::sys::inotify::{Mask, Record};

impl Watches {
    /// A rename away from a name that something has just been renamed to is either that going on, or half of an exchange
    /// with what was there before: then the name is not free, though that is the last that is told of it. A look tells.
    /// What was renamed just before the first that are read after a loss of events, nobody knows.
    pub(super) fn remember_halves(&mut self, dir: NodeId, name: &[u8], record: &Record<'_>) {
        let moves = &mut self.moves;
        if record.mask.any(Mask::MOVED_TO) {
            if moves.second_halves.len() == MOST_HALVES {
                moves.second_halves.remove(0);
            }
            moves.second_halves.push((record.cookie, dir, name.to_vec()));
            return;
        }
        let is_it = |(_, to, as_name): &&(u32, NodeId, Vec<u8>)| *to == dir && as_name == name;
        let mut came = moves.second_halves.iter().filter(is_it);
        // The last may stand for a later one too, whose record the kernel took for a repetition.
        let is_last = moves.second_halves.last().is_some_and(|last| is_it(&last));
        let is_half = is_last || came.any(|(cookie, ..)| is_just_before(*cookie, record.cookie));
        let after_loss = moves.after_loss > 0;
        moves.after_loss -= usize::from(after_loss);
        if after_loss || is_half {
            moves.names.push((dir, name.to_vec()));
        }
    }

    /// The next name to be looked at, for what it has now is not certain; [`Watches::name_found`] is owed if there is
    /// something, and [`Watches::name_put_off`] if its directory is not where it should be.
    pub fn next_name_in_doubt(&mut self) -> Option<(NodeId, Vec<u8>)> {
        loop {
            let (dir, name) = self.moves.names.pop()?;
            if self.tree.is_lost(dir) {
                continue;
            }
            if !self.tree.path_is_known(dir) {
                // It is looked at where its directory comes to, if a record can still tell that.
                if self.has_departures() {
                    self.name_put_off(dir, name);
                }
            } else {
                // Who is thought to be there may have been the one that left.
                self.tree.child(dir, &name).into_iter().for_each(|child| self.want(child, Scan::Watch));
                return Some((dir, name));
            }
        }
    }

    /// A name is looked at again when more of the queue has been read.
    pub fn name_put_off(&mut self, dir: NodeId, name: Vec<u8>) {
        self.moves.names_later.push((dir, name));
    }

    /// More of the queue has been read.
    pub(super) fn try_names_again(&mut self) {
        self.moves.names.append(&mut self.moves.names_later);
    }

    /// A name that was in doubt has something: that it was renamed to there is told once more.
    pub fn name_found(&mut self, dir: NodeId, name: &[u8], is_dir: bool, sink: Sink<'_>) {
        let mask = if is_dir { Mask::MOVED_TO.with(Mask::ISDIR) } else { Mask::MOVED_TO };
        self.deliver(dir, name, mask, None, true, sink);
        if is_dir && self.tree.child(dir, name).is_none() {
            // The record of its arrival was taken for a repetition of the one before: the kernel does not compare cookies.
            self.directory_found(dir, name, Scan::Report);
        }
    }

    /// A directory of this name is there that nobody has been told of.
    pub(super) fn put_in_doubt(&mut self, node: NodeId) {
        if let Some(dir) = self.tree.parent(node) {
            self.moves.names.push((dir, self.tree.name(node).to_vec()));
        }
    }

    pub(super) fn has_names_in_doubt(&self) -> bool {
        !self.moves.names.is_empty()
    }
}
