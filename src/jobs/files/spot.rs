//! A name in a directory, found below its root without following a link: what is done there is done by this descriptor and
//! this name, and no path is looked up twice.

use super::plan::Place;
use crate::parts::beneath::{Refused, Root};
use crate::parts::text::Escaped;
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
    pub fn find(place: &Place) -> Result<Spot, String> {
        let path = place.path();
        let fail = |refused: Refused| format!("cannot reach {}: {refused}", Escaped(&path));
        let root = Root::open(&place.root).map_err(fail)?;
        let (dir, name) = root.parent(&place.below, Open::DirectoryNoFollow).map_err(fail)?;
        let name = name.to_vec();
        Ok(Spot { dir, name, path })
    }

    /// The same after the directories that are missing were made, the root too.
    pub fn find_or_make(place: &Place, mode: Option<u32>, owner: Owner) -> Result<Spot, String> {
        let slash = place.below.iter().rposition(|byte| *byte == b'/');
        let fail = |path: &[u8], refused: Refused| format!("cannot make the directories of {}: {refused}", Escaped(path));
        let make = |root: &[u8], below: &[u8]| {
            let made = Root::open(root).and_then(|root| root.make_dirs(below, mode, owner));
            made.map_err(|refused| fail(below, refused))
        };
        if let Some(below) = place.root.strip_prefix(b"/").filter(|below| !below.is_empty()) {
            // The root is trusted, with all links on its way: only what is missing of it is made.
            if matches!(Root::open(&place.root), Err(Refused::Missing)) {
                make(b"/", below)?;
            }
        }
        if let Some(dirs) = slash.and_then(|at| place.below.get(..at)) {
            make(&place.root, dirs)?;
        }
        Spot::find(place)
    }

    /// For system calls.
    pub fn at(&self) -> At<'_> {
        (self.dir.as_fd(), &self.name)
    }

    /// What is there now.
    pub fn stat(&self) -> Result<Option<Stat>, String> {
        match fs::stat(self.dir.as_fd(), &self.name) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(self.failure("look at", errno)),
        }
    }

    /// `cannot WHAT PATH: REASON`.
    pub fn failure(&self, what: &str, reason: impl std::fmt::Display) -> String {
        format!("cannot {what} {}: {reason}", Escaped(&self.path))
    }
}
