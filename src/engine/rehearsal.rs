//! What a watch would say of an event, without anything happening: it is told of a disk that holds one path and the
//! directories above it, and then of the event. So the answer is the watches' own, and no second reading of their rules.

use super::watch::{Event, Found, NodeId, Scan, Sink, Tree, Watch, Watches};
use crate::sys::Errno;
use crate::sys::fs::Kind;
use crate::sys::inotify::{Mask, Record, Wd};

/// Of a directory, these come from its own watch, without a name.
const OWN: Mask = Mask::DELETE_SELF
    .with(Mask::MOVE_SELF)
    .with(Mask::UNMOUNT)
    .with(Mask::IGNORED)
    .with(Mask::ATTRIB)
    .with(Mask::OPEN)
    .with(Mask::ACCESS)
    .with(Mask::CLOSE_NOWRITE);
/// These come from nowhere else.
const ONLY_OWN: Mask = Mask::DELETE_SELF.with(Mask::MOVE_SELF).with(Mask::UNMOUNT).with(Mask::IGNORED);
/// Events that do not happen to directories.
pub const OF_FILES: Mask = Mask::MODIFY.with(Mask::CLOSE_WRITE);

/// Whether a watch tells of this event, one bit, on this path.
pub fn tells(watch: &Watch, event: Mask, path: &[u8], is_dir: bool) -> bool {
    let mut rehearsal = Rehearsal::new(watch, path, is_dir);
    let slash = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    let (dir, name) = (path.get(..slash.max(1)).unwrap_or_default(), path.get(slash + 1..).unwrap_or_default());
    match (event, is_dir) {
        (Mask::Q_OVERFLOW, _) => rehearsal.hears(event, Wd::OVERFLOW, event, b""),
        (_, true) if event.any(OF_FILES) => false,
        (_, true) => {
            let kind = Mask::ISDIR;
            let own = event.any(OWN).then(|| rehearsal.wd(path)).flatten();
            let named = (!event.any(ONLY_OWN)).then(|| rehearsal.wd(dir)).flatten();
            own.is_some_and(|wd| rehearsal.hears(event, wd, event.with(kind), b""))
                || named.is_some_and(|wd| rehearsal.hears(event, wd, event.with(kind), name))
        }
        // A file is seen through its directory.
        (_, false) => {
            let cause = match event {
                Mask::DELETE_SELF => Mask::DELETE,
                Mask::MOVE_SELF => Mask::MOVED_FROM,
                Mask::UNMOUNT | Mask::IGNORED => return false,
                event => event,
            };
            rehearsal.wd(dir).is_some_and(|wd| rehearsal.hears(event, wd, cause, name))
        }
    }
}

struct Rehearsal<'a> {
    watches: Watches,
    path: &'a [u8],
    is_dir: bool,
}

impl<'a> Rehearsal<'a> {
    /// All is scanned.
    fn new(watch: &Watch, path: &'a [u8], is_dir: bool) -> Rehearsal<'a> {
        let watches = Watches::new(std::slice::from_ref(watch), Mask::default(), 0);
        let mut rehearsal = Rehearsal { watches, path, is_dir };
        let mut next_wd = 1;
        while let Some((node, scan)) = rehearsal.watches.next_scan() {
            let dir = rehearsal.watches.tree().path(node, b"");
            match rehearsal.below(&dir) {
                Ok(name) => {
                    rehearsal.watches.watched(node, Wd(next_wd), scan, true);
                    next_wd += 1;
                    rehearsal.list(node, scan, name.map(<[u8]>::to_vec));
                }
                Err(errno) => drop(rehearsal.watches.failed(node, scan, errno, node, true)),
            }
        }
        rehearsal
    }

    /// What is on this disk in a directory, if it is there: the next component of the path.
    fn below(&self, dir: &[u8]) -> Result<Option<&'a [u8]>, Errno> {
        let rest = match dir {
            b"/" => self.path.get(1..),
            dir => self.path.strip_prefix(dir).map(|rest| rest.strip_prefix(b"/").unwrap_or(rest)),
        };
        let is_whole = dir == b"/" || self.path.get(dir.len()).is_none_or(|byte| *byte == b'/');
        match rest.filter(|_| is_whole) {
            Some([]) if self.is_dir || dir == b"/" => Ok(None),
            Some([]) => Err(Errno::ENOTDIR),
            Some(rest) => Ok(rest.split(|byte| *byte == b'/').next()),
            None => Err(Errno::ENOENT),
        }
    }

    fn list(&mut self, node: NodeId, scan: Scan, name: Option<Vec<u8>>) {
        self.watches.begins_to_list(node, scan);
        if let Some(name) = name.filter(|_| scan != Scan::Watch) {
            let path = self.watches.tree().path(node, &name);
            let kind = if path == self.path && !self.is_dir { Kind::File } else { Kind::Directory };
            let found = Found { name: &name, kind, written_to: false, recent: false };
            self.watches.entry(node, scan, found, &mut |_, _| {});
        }
        self.watches.listed();
    }

    /// The watch descriptor of a directory, if it has one.
    fn wd(&self, dir: &[u8]) -> Option<Wd> {
        let tree = self.watches.tree();
        let mut names = dir.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        tree.wd(names.try_fold(super::watch::ROOT, |node, name| tree.child(node, name))?)
    }

    /// Whether a record gives rise to the event on the path.
    fn hears(&mut self, event: Mask, wd: Wd, mask: Mask, name: &[u8]) -> bool {
        let mut heard = false;
        let path = self.path;
        let sink: Sink<'_> = &mut |tree: &mut Tree, told: &Event<'_>| {
            heard |= told.mask.any(event) && !told.maps.is_empty() && tree.path(told.dir, told.name) == path;
        };
        self.watches.record(&Record { wd, mask, cookie: 0, name }, sink);
        // A directory that is renamed away might have been renamed to somewhere else.
        self.watches.give_up_waiting(sink);
        heard
    }
}
