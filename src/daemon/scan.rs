//! Directories on disk: each is opened from its parent, watched, and listed if the engine wants it.
//!
//! A directory is opened by its last name below its parent's descriptor, without following a link, becomes the working
//! directory, and is watched as ".": a path would be led astray by a swapped link, and could be too long. Descriptors of
//! the way down are kept for the next directory, which is mostly a neighbour, and closed at the end of a batch.

use crate::engine::watch::tree::NodeId;
use crate::engine::watch::{ROOT, Scan, Tree, Watches};
use crate::sys::dir::Reader;
use crate::sys::fs::{self, CWD, Kind, Open};
use crate::sys::inotify::Inotify;
use crate::sys::{Errno, Fd};
use std::os::fd::AsFd;

/// Descriptors kept open on the way down; deeper directories are reached all the same.
const MOST_KEPT: usize = 32;

pub struct Scanner {
    /// The last directories opened: each lies in the one before it.
    way: Vec<(NodeId, Fd)>,
    reader: Reader,
}

impl Scanner {
    pub fn new() -> Scanner {
        Scanner { way: Vec::new(), reader: Reader::new() }
    }

    /// Watches a directory, and lists it for `watches` if `scan` says so.
    pub fn scan(
        &mut self,
        watches: &mut Watches,
        inotify: &Inotify,
        node: NodeId,
        scan: Scan,
        sink: crate::engine::watch::Sink<'_>,
    ) -> Result<(), Errno> {
        let listed = scan != Scan::Watch;
        self.open(watches, node, listed)?;
        let Some((_, dir)) = self.way.last() else { return Ok(()) };
        fs::fchdir(dir.as_fd())?;
        let wd = inotify.watch_here(watches.mask())?;
        watches.watched(node, wd);
        while listed && self.reader.fill(dir.as_fd())? {
            for entry in self.reader.entries() {
                let mut kind = entry.kind;
                if kind == Kind::Unknown {
                    kind = fs::stat(dir.as_fd(), entry.name).map_or(kind, |found| found.kind);
                }
                watches.entry(node, scan, entry.name, kind, sink);
            }
        }
        Ok(())
    }

    /// Ends a batch: nothing stays open, and the working directory is `/`, so that no mount is kept busy.
    pub fn rest(&mut self) -> Result<(), Errno> {
        if self.way.is_empty() {
            return Ok(());
        }
        self.way.clear();
        fs::chdir_root()
    }

    /// Makes `node` the last of the way.
    fn open(&mut self, watches: &Watches, node: NodeId, to_list: bool) -> Result<(), Errno> {
        let tree = watches.tree();
        let mut missing = vec![node];
        while let Some(parent) = missing.last().and_then(|at| tree.parent(*at)) {
            if let Some(at) = self.way.iter().rposition(|(known, _)| *known == parent) {
                self.way.truncate(at + 1);
                break;
            }
            missing.push(parent);
        }
        if missing.last() == Some(&ROOT) {
            self.way.clear();
        }
        while let Some(next) = missing.pop() {
            let last = missing.is_empty();
            let how = match (last && to_list, watches.follows_links(next)) {
                (true, true) => Open::Directory,
                (true, false) => Open::DirectoryNoFollow,
                (false, true) => Open::PlaceFollowing,
                (false, false) => Open::Place,
            };
            let opened = self.open_below(tree, next, how).map_err(|errno| match errno {
                // Not the directory itself is a file, but something above it.
                Errno::ENOTDIR if !last => Errno::ENOENT,
                errno => errno,
            })?;
            if self.way.len() == MOST_KEPT {
                self.way.remove(0);
            }
            self.way.push((next, opened));
        }
        Ok(())
    }

    fn open_below(&self, tree: &Tree, node: NodeId, how: Open) -> Result<Fd, Errno> {
        match self.way.last() {
            Some((_, parent)) if node != ROOT => fs::open(parent.as_fd(), tree.name(node), how),
            _ => fs::open(CWD, b"/", how),
        }
    }
}
