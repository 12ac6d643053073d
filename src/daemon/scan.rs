//! Directories on disk: each is opened from its parent, watched, and listed if the engine wants it.
//!
//! A directory is opened by its last name below its parent's descriptor, without following a link, becomes the working
//! directory, and is watched as ".": a path would be led astray by a swapped link, and could be too long. One that need
//! not be listed is watched by its name from its parent as working directory, and not opened; so is one that has no
//! directories in it, where the file system tells that by its count of links. Descriptors of the way down are kept for
//! the next directory, which is mostly a neighbour, and closed at the end of a batch; only what is being listed stays
//! open until it is done, for not every file system finds the place again in a directory that is opened anew.

use crate::engine::watch::tree::NodeId;
use crate::engine::watch::{Found, ROOT, Scan, Sink, Tree, Watches};
use crate::jobs::files::claim;
use crate::parts::lockfile::Lockfile;
use crate::sys::dir::{Entry, Reader};
use crate::sys::fs::{self, CWD, Kind, Open};
use crate::sys::inotify::{Inotify, Wd};
use crate::sys::{Errno, Fd, lease};
use std::os::fd::{AsFd, BorrowedFd};

/// Descriptors kept open on the way down; deeper directories are reached all the same.
const MOST_KEPT: usize = 32;

pub struct Scanner {
    /// By which all of them are watched.
    pub inotify: Inotify,
    /// The last directories opened: each lies in the one before it.
    way: Vec<(NodeId, Fd)>,
    /// The working directory, if it is one of them.
    at: Option<NodeId>,
    /// The last directory that was asked for its links, and what device it is on if links are counted there.
    links: Option<(NodeId, Option<(u32, u32)>)>,
    reader: Reader,
    /// What is being listed: the last of the way.
    listing: Option<Listing>,
    /// What killed runs have left behind, and takes longer to end.
    pub leftovers: Vec<(NodeId, Vec<u8>)>,
    /// Directories that were watched from their parents, and of which the engine does not know yet.
    leaves: Vec<(NodeId, Wd, Scan)>,
}

#[derive(Clone, Copy)]
struct Listing {
    node: NodeId,
    scan: Scan,
    wd: Option<Wd>,
    closely: bool,
    /// The queue may have been read since it began.
    goes_on: bool,
}

impl Scanner {
    pub fn new(inotify: Inotify) -> Scanner {
        Scanner {
            inotify,
            way: Vec::new(),
            at: None,
            links: None,
            reader: Reader::new(),
            listing: None,
            leftovers: Vec::new(),
            leaves: Vec::new(),
        }
    }

    /// Watches a directory, and makes ready to list it if `scan` says so.
    pub fn begin(&mut self, watches: &mut Watches, (node, scan): (NodeId, Scan)) -> Result<(), Miss> {
        let by_name = node != ROOT && !watches.follows_links(node) && !watches.reports_files(node, scan);
        if by_name && self.watch_from_parent(watches, (node, scan))? {
            return Ok(());
        }
        self.open(watches, (node, scan))?;
        let Some((last, dir)) = self.way.last_mut() else { return Ok(()) };
        let miss = |errno| Miss::At(node, errno);
        fs::fchdir(dir.as_fd()).map_err(miss)?;
        self.at = Some(node);
        let watched = match self.inotify.watch_here(watches.mask(node), watches.may_narrow(node)) {
            Ok(wd) => watches.watched(node, wd, scan, self.inotify.queued().map_err(miss)? == 0),
            // No watch is left. What is below is looked at all the same, so that it is known how many are wanted.
            Err(Errno::ENOSPC) => Some(watches.not_watched(node, Errno::ENOSPC)),
            Err(errno) => return Err(miss(errno)),
        };
        let Some(node) = watched else {
            self.way.pop();
            return Ok(());
        };
        (*last, self.at) = (node, Some(node));
        if scan != Scan::Watch {
            let closely = watches.reports_files(node, scan);
            self.listing = Some(Listing { node, scan, wd: watches.tree().wd(node), closely, goes_on: false });
            watches.begins_to_list(node, scan);
        }
        Ok(())
    }

    /// Watches a directory from its parent; false if it has to be opened after all.
    fn watch_from_parent(&mut self, watches: &mut Watches, (node, scan): (NodeId, Scan)) -> Result<bool, Miss> {
        let Some(parent) = watches.tree().parent(node) else { return Ok(false) };
        self.open_way(watches, (node, scan), parent)?;
        let Some((_, dir)) = self.way.last() else { return Ok(false) };
        let miss = |errno| Miss::At(node, errno);
        let device = match self.links {
            _ if scan == Scan::Watch => None,
            Some((known, device)) if known == parent => device,
            Some(_) | None => fs::device_that_counts_links(dir.as_fd()).map_err(miss)?,
        };
        self.links = Some((parent, device)).filter(|_| scan != Scan::Watch).or(self.links);
        if scan != Scan::Watch && device.is_none() {
            return Ok(false);
        }
        if self.at != Some(parent) {
            fs::fchdir(dir.as_fd()).map_err(miss)?;
            self.at = Some(parent);
        }
        let name = watches.tree().name(node);
        let wd = match self.inotify.watch(name, watches.mask(node), watches.may_narrow(node)) {
            Ok(wd) => wd,
            Err(Errno::ENOSPC) if scan != Scan::Watch => return Ok(false),
            Err(Errno::ENOSPC) => {
                watches.not_watched(node, Errno::ENOSPC);
                return Ok(true);
            }
            Err(errno) => return Err(miss(errno)),
        };
        // Looked at after it is watched: a directory that comes into it later has its record.
        if scan != Scan::Watch {
            let found = fs::stat(dir.as_fd(), name).map_err(miss)?;
            if found.kind != Kind::Directory || found.links != 2 || Some(found.dev) != device {
                return Ok(false);
            }
        }
        self.leaves.push((node, wd, scan));
        Ok(true)
    }

    /// Looks at a name that is in doubt.
    pub fn look_at(&mut self, watches: &mut Watches, (dir, name): (NodeId, &[u8]), sink: Sink<'_>) -> Result<(), Miss> {
        self.open_way(watches, (dir, Scan::Watch), dir)?;
        let Some((_, at)) = self.way.last() else { return Ok(()) };
        match fs::stat(at.as_fd(), name) {
            Ok(found) => watches.name_found(dir, name, found.kind == Kind::Directory, sink),
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(Miss::At(dir, errno)),
        }
        Ok(())
    }

    /// What is being listed, and for what.
    pub fn listing(&self) -> Option<(NodeId, Scan)> {
        self.listing.map(|listing| (listing.node, listing.scan))
    }

    /// Whether a listing is not finished.
    pub fn is_listing(&self) -> bool {
        self.listing.is_some()
    }

    /// Goes on with a listing by as much as one read brings; it is over if its directory has gone. What has changed at or after `since` (wall time, seconds)
    /// counts as recent. Our own pid files must not be opened.
    pub fn list_on(
        &mut self,
        watches: &mut Watches,
        pid_files: &[&Lockfile],
        since: i64,
        sink: Sink<'_>,
    ) -> Result<(), Miss> {
        let Some(listing) = self.listing.take() else { return Ok(()) };
        let Listing { node, scan, wd, closely, .. } = listing;
        let Some((_, dir)) = self.way.last().filter(|_| watches.tree().wd(node) == wd && !watches.tree().is_lost(node))
        else {
            return Ok(());
        };
        if !self.reader.fill(dir.as_fd()).map_err(|errno| Miss::At(node, errno))? {
            return Ok(());
        }
        let mut left = Vec::new();
        for entry in self.reader.entries() {
            if claim::is_leftover(entry.name) && watches.is_tidied(node) {
                left.push(entry.name.to_vec());
            }
            let closely = closely && !pid_files.iter().any(|pid_file| pid_file.is(dir.as_fd(), entry.name));
            if let Some(found) = look_at(dir.as_fd(), entry, &Listing { closely, ..listing }, since) {
                watches.entry(node, scan, found, sink);
            }
        }
        for name in left {
            let given_back = claim::give_back((dir.as_fd(), &name)).unwrap_or_default();
            if claim::is_ours((dir.as_fd(), &name)) {
                self.leftovers.push((node, name));
            }
            for name in given_back {
                let entry = Entry { name: &name, kind: Kind::Unknown };
                if let Some(found) = look_at(dir.as_fd(), entry, &Listing { closely, ..listing }, since) {
                    watches.entry(node, scan, found, sink);
                }
            }
        }
        self.listing = Some(listing);
        Ok(())
    }

    /// Whether the directory that is about to be listed has no file, or directory, of this name.
    pub fn lacks(&self, name: &[u8], is_dir: bool) -> bool {
        self.way.last().is_some_and(|(_, dir)| match fs::stat(dir.as_fd(), name) {
            Ok(found) => (found.kind == Kind::Directory) != is_dir,
            Err(errno) => errno == Errno::ENOENT,
        })
    }

    /// Tells the engine of what was watched from parents. The queue is asked once for all of them: if it is empty now, it
    /// was empty after each look, for nothing was read in between.
    pub fn tell_of_leaves(&mut self, watches: &mut Watches) {
        if self.leaves.is_empty() {
            return;
        }
        let in_sync = self.inotify.queued() == Ok(0);
        for (node, wd, scan) in self.leaves.drain(..) {
            watches.watched(node, wd, scan, in_sync);
        }
    }

    /// Ends a batch: nothing stays open but what is being listed, and the working directory is `/`, so that no mount is
    /// kept busy.
    pub fn rest(&mut self) -> Result<(), Errno> {
        if self.way.is_empty() {
            return Ok(());
        }
        fs::chdir_root()?;
        self.at = None;
        self.links = None;
        self.listing.iter_mut().for_each(|listing| listing.goes_on = true);
        let keep = usize::from(self.is_listing());
        self.way.drain(..self.way.len() - keep);
        Ok(())
    }

    /// Makes a node's directory the last of the way.
    fn open(&mut self, watches: &mut Watches, wanted: (NodeId, Scan)) -> Result<(), Miss> {
        let (node, scan) = wanted;
        match watches.tree().parent(node) {
            Some(parent) => self.open_way(watches, wanted, parent)?,
            None => self.way.clear(),
        }
        let how = match (scan != Scan::Watch, watches.follows_links(node)) {
            (true, true) => Open::Directory,
            (true, false) => Open::DirectoryNoFollow,
            (false, true) => Open::PlaceFollowing,
            (false, false) => Open::Place,
        };
        if watches.follows_links(node) {
            self.tell_of_link(watches, node);
        }
        self.step(watches.tree(), node, how)
    }

    /// Says where a link on the way to a configured path leads, if the next step is one.
    fn tell_of_link(&self, watches: &mut Watches, node: NodeId) {
        let Some((_, parent)) = self.way.last().filter(|_| node != ROOT) else { return };
        let name = watches.tree().name(node);
        if let Ok(target) = fs::read_link(parent.as_fd(), name) {
            let above = watches.tree().parent(node).map(|parent| watches.tree().path(parent, b"")).unwrap_or_default();
            watches.is_link_to(node, &joined(&above, &target));
        }
    }

    /// Makes the directory above a wanted one the last of the way.
    fn open_way(&mut self, watches: &mut Watches, wanted: (NodeId, Scan), parent: NodeId) -> Result<(), Miss> {
        let mut missing = Vec::new();
        let mut next = Some(parent);
        while let Some(node) = next {
            if let Some(at) = self.way.iter().rposition(|(known, _)| *known == node) {
                self.way.truncate(at + 1);
                break;
            }
            missing.push(node);
            next = watches.tree().parent(node);
        }
        if next.is_none() {
            self.way.clear();
        }
        while let Some(node) = missing.pop() {
            let how = if watches.follows_links(node) { Open::PlaceFollowing } else { Open::Place };
            self.step(watches.tree(), node, how)?;
            // Each, for others are reached through it while it is kept open.
            self.check_identity(watches, wanted, node)?;
        }
        Ok(())
    }

    fn step(&mut self, tree: &Tree, node: NodeId, how: Open) -> Result<(), Miss> {
        let opened = loop {
            let opened = match self.way.last() {
                Some((_, parent)) if node != ROOT => fs::open(parent.as_fd(), tree.name(node), how),
                _ => fs::open(CWD, b"/", how),
            };
            // The last of the way is enough to go on from.
            if opened.as_ref().err() != Some(&Errno::EMFILE) || self.way.len() < 2 {
                break opened.map_err(|errno| Miss::At(node, errno))?;
            }
            self.way.remove(0);
        };
        if self.at == Some(node) {
            // It may be another one by now.
            self.at = None;
        }
        if self.way.len() == MOST_KEPT {
            self.way.remove(0);
        }
        self.way.push((node, opened));
        Ok(())
    }

    /// Whether the directory that was opened last is the one that the tree has there. A rename above it that has not
    /// been read yet may have put another in its place, and what is below that one is not what was asked for.
    fn check_identity(&mut self, watches: &mut Watches, wanted: (NodeId, Scan), node: NodeId) -> Result<(), Miss> {
        let (Some(known), Some((_, dir))) = (watches.tree().certain_wd(node), self.way.last()) else { return Ok(()) };
        let miss = |errno| Miss::At(node, errno);
        fs::fchdir(dir.as_fd()).map_err(miss)?;
        self.at = Some(node);
        let met = self.inotify.watch_here(watches.mask(node), false).map_err(miss)?;
        if met == known {
            return Ok(());
        }
        self.way.pop();
        watches.met_a_stranger(node, met, wanted);
        Err(Miss::Stranger)
    }
}

/// Why a directory could not be scanned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Miss {
    /// A directory could not be reached: the wanted one, or one above it.
    At(NodeId, Errno),
    /// There is another one on the way; it will be asked for again.
    Stranger,
}

/// Where a link's text leads from a directory, without `.` and `..`. A `..` behind a further link is taken for what it
/// says: then another directory is watched for renames, which does no harm.
fn joined(dir: &[u8], target: &[u8]) -> Vec<u8> {
    let base = if target.starts_with(b"/") { &[] } else { dir };
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in [base, target].into_iter().flat_map(|path| path.split(|byte| *byte == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    [b"/", &parts.join(&b'/')[..]].concat()
}

/// What there is to say of an entry. A listing that goes on may still give a name that is not there any more, and whose
/// end has been told already: where a signal interrupts getdents64(2), ext4 keeps one back (tried); overlayfs keeps all of
/// a merged directory's.
fn look_at<'e>(dir: BorrowedFd<'_>, entry: Entry<'e>, listing: &Listing, since: i64) -> Option<Found<'e>> {
    let Listing { scan, closely, goes_on, .. } = *listing;
    let mut found = Found { name: entry.name, kind: entry.kind, written_to: false, recent: false };
    let recent_matters = closely && matches!(scan, Scan::Return | Scan::Recent);
    if found.kind == Kind::Unknown || recent_matters || goes_on {
        match fs::stat(dir, entry.name) {
            Ok(stat) => (found.kind, found.recent) = (stat.kind, stat.ctime.0 >= since),
            Err(Errno::ENOENT) if goes_on => return None,
            Err(_) => {}
        }
    }
    let told = closely && found.kind == Kind::File && (scan != Scan::Recent || found.recent);
    // Who writes to it by another of its names closes it by that one: there is no event to come for this.
    let has_other_names = || fs::stat(dir, entry.name).is_ok_and(|stat| stat.links > 1);
    found.written_to = told && lease::is_written_to(dir, entry.name) && !has_other_names();
    Some(found)
}
