//! A name in a directory, found below its root without following a link: what is done there is done by this descriptor and
//! this name, and no path is looked up twice.

use super::plan::Place;
use crate::parts::beneath::{Refused, Root};
use crate::parts::diag::Failure;
use crate::sys::change::{At, Owner};
use crate::sys::fs::{self, Open, Stat};
use crate::sys::{Errno, Fd};
use std::os::fd::AsFd;

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
