//! Places: a path of which the configuration trusts the beginning, its root, and a name in a directory, found below that root
//! without following a link. What is done there is done by that descriptor and this name, and no path is looked up twice.
//!
//! Links on a root are followed. What lies below it, others may change at any time.

use super::beneath::{Refused, Root};
use super::diag::Failure;
use super::text::Escaped;
use crate::sys::change::{At, Owner};
use crate::sys::fs::{self, Open, Stat};
use crate::sys::{Errno, Fd};
use std::os::fd::AsFd;

/// A path, and the part of it that is trusted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// An absolute path.
    pub root: Vec<u8>,
    /// A path relative to it, without `.`, `..` and empty components; not empty.
    pub below: Vec<u8>,
}

impl Place {
    /// The whole path.
    pub fn path(&self) -> Vec<u8> {
        match &self.root[..] {
            b"/" => [b"/", &self.below[..]].concat(),
            root => [root, b"/", &self.below].concat(),
        }
    }

    /// A path below a root, if it is below it.
    pub fn below(root: &[u8], path: &[u8]) -> Option<Place> {
        let rest = if root == b"/" { path } else { path.strip_prefix(root)? };
        let below = rest.strip_prefix(b"/").filter(|below| !below.is_empty())?;
        Some(Place { root: root.to_vec(), below: below.to_vec() })
    }

    /// A path below the deepest of these roots that it is below.
    pub fn below_any(roots: &[Vec<u8>], path: &[u8]) -> Option<Place> {
        roots.iter().filter_map(|root| Place::below(root, path)).max_by_key(|place| place.root.len())
    }

    /// Its two parts, for a job's byte form: there is no NUL in either.
    pub fn fields(&self) -> [Vec<u8>; 2] {
        [self.root.clone(), self.below.clone()]
    }

    /// The place whose parts come first here.
    pub fn of_fields(fields: &[&[u8]]) -> Option<Place> {
        Some(Place { root: fields.first()?.to_vec(), below: fields.get(1)?.to_vec() })
    }
}

/// A place that was found. There may be nothing of its name in its directory.
pub struct Spot {
    /// Its directory, which can be listed and synced.
    pub dir: Fd,
    /// The name.
    pub name: Vec<u8>,
    /// The whole path, for messages.
    pub path: Vec<u8>,
}

impl Spot {
    /// Finds a place's directory.
    pub fn find(place: &Place) -> Result<Spot, Failure> {
        let path = place.path();
        let fail = |refused: Refused| Failure::on_path("reach", &path, refused);
        let root = Root::open(&place.root).map_err(fail)?;
        let (dir, name) = root.parent(&place.below, Open::DirectoryNoFollow).map_err(fail)?;
        let name = name.to_vec();
        Ok(Spot { dir, name, path })
    }

    /// The same after the directories that are missing were made, the root too.
    pub fn find_or_make(place: &Place, mode: Option<u32>, owner: Owner) -> Result<Spot, Failure> {
        let make = |root: &[u8], below: &[u8]| {
            let made = Root::open(root).and_then(|root| root.make_dirs(below, mode, owner));
            made.map_err(|refused| Failure::on_path("make the directories of", &place.path(), refused))
        };
        // The root is trusted, with all links on its way: only what is missing of it is made.
        let mut there = &place.root[..];
        while matches!(Root::open(there), Err(Refused::Missing)) {
            let slash = there.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            there = there.get(..slash).filter(|above| !above.is_empty()).unwrap_or(b"/");
        }
        let missing = place.root.get(there.len()..).unwrap_or_default();
        if !missing.is_empty() {
            make(there, missing.strip_prefix(b"/").unwrap_or(missing))?;
        }
        if let Some(slash) = place.below.iter().rposition(|byte| *byte == b'/') {
            make(&place.root, place.below.get(..slash).unwrap_or_default())?;
        }
        Spot::find(place)
    }

    /// Turns to another name in the same directory.
    pub fn rename(&mut self, name: Vec<u8>) {
        self.path = [self.dir_path(), b"/", &name].concat();
        self.name = name;
    }

    /// For system calls.
    pub fn at(&self) -> At<'_> {
        (self.dir.as_fd(), &self.name)
    }

    /// The directory's path, for messages.
    pub fn dir_path(&self) -> &[u8] {
        self.path.get(..self.path.len() - self.name.len() - 1).unwrap_or_default()
    }

    /// What is there now.
    pub fn stat(&self) -> Result<Option<Stat>, Failure> {
        match fs::stat(self.dir.as_fd(), &self.name) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(self.failure("look at", errno)),
        }
    }

    /// `cannot WHAT PATH: REASON`.
    pub fn failure(&self, what: &str, reason: impl std::fmt::Display) -> Failure {
        Failure::on_path(what, &self.path, reason)
    }
}

/// The directories that a destination surely lies in: its literal part up to the last slash.
pub fn root_of(literal: &[u8]) -> Option<Vec<u8>> {
    let slash = literal.iter().rposition(|byte| *byte == b'/')?;
    let root: Vec<&[u8]> = literal.get(..slash)?.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
    Some([b"/", &root.join(&b'/')[..]].concat())
}

/// An absolute path without empty components; one with `.` or `..` is refused.
pub fn normal(path: &[u8]) -> Result<Vec<u8>, String> {
    if path.is_empty() {
        return Err("the destination is empty".to_owned());
    }
    if !path.starts_with(b"/") {
        return Err(format!("the destination {} is no absolute path", Escaped(path)));
    }
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| matches!(*part, b"." | b"..")) {
        return Err(format!("the destination {} has . or .. in it", Escaped(path)));
    }
    Ok([b"/", &parts.join(&b'/')[..]].concat())
}
