//! Directories on disk: each is opened from its parent, watched, and listed if the engine wants it.
//!
//! A directory is opened by its last name below its parent's descriptor, without following a link, becomes the working
//! directory, and is watched as ".": a path would be led astray by a swapped link, and could be too long. Descriptors of
//! the way down are kept for the next directory, which is mostly a neighbour, and closed at the end of a batch.

use crate::engine::watch::tree::NodeId;
use crate::engine::watch::{Found, ROOT, Scan, Sink, Tree, Watches};
use crate::sys::dir::{Entry, Reader};
use crate::sys::fs::{self, CWD, Kind, Open};
use crate::sys::inotify::Inotify;
use crate::sys::{Errno, Fd, lease};
use std::os::fd::{AsFd, BorrowedFd};

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

    /// Watches a directory, and lists it for `watches` if `scan` says so. What has changed at or after `since` (wall
    /// time, seconds) counts as recent.
    pub fn scan(
        &mut self,
        watches: &mut Watches,
        inotify: &Inotify,
        (node, scan): (NodeId, Scan),
        since: i64,
        sink: Sink<'_>,
    ) -> Result<NodeId, Miss> {
        let listed = scan != Scan::Watch;
        self.open(watches, inotify, node, listed)?;
        let Some((known, dir)) = self.way.last_mut() else { return Ok(node) };
        fs::fchdir(dir.as_fd())?;
        let node = match inotify.watch_here(watches.mask(node), watches.may_narrow(node)) {
            Ok(wd) => watches.watched(node, wd, scan),
            // No watch is left. What is below is looked at all the same, so that it is known how many are wanted.
            Err(Errno::ENOSPC) => watches.not_watched(node),
            Err(errno) => return Err(errno.into()),
        };
        *known = node;
        let closely = listed && watches.reports_files(node, scan);
        while listed && self.reader.fill(dir.as_fd())? {
            for entry in self.reader.entries() {
                watches.entry(node, scan, look_at(dir.as_fd(), entry, closely, scan, since), sink);
            }
        }
        Ok(node)
    }

    /// Whether the directory that was scanned last has no file of this name.
    pub fn lacks(&self, name: &[u8]) -> bool {
        self.way.last().is_some_and(|(_, dir)| fs::stat(dir.as_fd(), name).err() == Some(Errno::ENOENT))
    }

    /// Ends a batch: nothing stays open, and the working directory is `/`, so that no mount is kept busy.
    pub fn rest(&mut self) -> Result<(), Errno> {
        if self.way.is_empty() {
            return Ok(());
        }
        fs::chdir_root()?;
        self.way.clear();
        Ok(())
    }

    /// Makes `node` the last of the way.
    fn open(&mut self, watches: &mut Watches, inotify: &Inotify, node: NodeId, to_list: bool) -> Result<(), Miss> {
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
            let opened = self.open_below(watches.tree(), next, how).map_err(|errno| Miss { errno, above: !last })?;
            if missing.len() == 1 {
                is_the_known_one(watches, inotify, next, opened.as_fd())?;
            }
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

/// Why a directory could not be scanned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Miss {
    pub errno: Errno,
    /// Not the directory itself could not be reached, but one above it.
    pub above: bool,
}

impl From<Errno> for Miss {
    fn from(errno: Errno) -> Miss {
        Miss { errno, above: false }
    }
}

/// Whether the directory that was opened by its path is the one that the tree has there. A rename above it that has not
/// been read yet may have put another in its place, and what is below that one is not what was asked for.
fn is_the_known_one(watches: &mut Watches, inotify: &Inotify, node: NodeId, dir: BorrowedFd<'_>) -> Result<(), Miss> {
    let Some(known) = watches.tree().wd(node) else { return Ok(()) };
    fs::fchdir(dir)?;
    let met = inotify.watch_here(watches.mask(node), false)?;
    if met == known {
        return Ok(());
    }
    watches.met_a_stranger(node, met);
    Err(Miss { errno: Errno::ENOENT, above: true })
}

/// What there is to say of an entry; `closely` if its being written to or changed matters.
fn look_at<'e>(dir: BorrowedFd<'_>, entry: Entry<'e>, closely: bool, scan: Scan, since: i64) -> Found<'e> {
    let mut found = Found { name: entry.name, kind: entry.kind, written_to: false, recent: false };
    let recent_matters = closely && matches!(scan, Scan::Return | Scan::Recent);
    if found.kind == Kind::Unknown || recent_matters {
        if let Ok(stat) = fs::stat(dir, entry.name) {
            (found.kind, found.recent) = (stat.kind, stat.ctime >= since);
        }
    }
    let told = closely && found.kind == Kind::File && (scan != Scan::Recent || found.recent);
    found.written_to = told && lease::is_written_to(dir, entry.name);
    found
}
