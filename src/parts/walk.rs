//! The one walk over a tree of files, by descriptors: for deleting, copying, changing owners, archives.
//!
//! A link is never followed: every directory is looked at, opened from its parent without following a link, and looked at
//! again. Few descriptors are open however deep it goes ([`Trail`]). Others may change the tree meanwhile: what has vanished is
//! told as such, and a directory that was moved elsewhere ends the walk instead of leading it there.

use super::diag::Failure;
use super::names::Names;
use crate::sys::dir::Reader;
use crate::sys::fs::{self, Id, Kind, Open, Stat};
use crate::sys::{Errno, Fd, change};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};

/// An entry by its name in its directory.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Its directory, open as a place at least.
    pub parent: BorrowedFd<'a>,
    /// Its path from the top, whose name is the first component.
    pub path: &'a [u8],
}

impl<'a> Place<'a> {
    /// The last component of its path.
    pub fn name(&self) -> &'a [u8] {
        self.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }
}

/// What a walk comes by, in byte order of the names.
#[derive(Debug)]
pub enum Step<'a> {
    /// A directory, before what is in it.
    Enter {
        /// Where it stands.
        place: Place<'a>,
        /// It, open to be listed.
        dir: BorrowedFd<'a>,
        /// What it is.
        stat: &'a Stat,
        /// Whether something is mounted here. (Of a mount of the same file system before Linux 5.8 that is not known.)
        is_mount: bool,
    },
    /// The same, after what is in it.
    Leave {
        /// Where it stands.
        place: Place<'a>,
        /// It, open to be listed.
        dir: BorrowedFd<'a>,
        /// What it was when it was entered.
        stat: &'a Stat,
    },
    /// Anything else. It is not opened, for that has effects on a device or a FIFO.
    Entry {
        /// Where it stands.
        place: Place<'a>,
        /// What it is.
        stat: &'a Stat,
    },
    /// What could not be looked at, or, after it was entered, not be read; ENOENT: it has vanished.
    Failed {
        /// Where it stands.
        place: Place<'a>,
        /// Why.
        errno: Errno,
    },
}

/// How a walk goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// To what comes next.
    On,
    /// Not into the directory that was just entered; it is not left either.
    Past,
}

/// Walks over what has this name, a directory with all that is in it, until `visit` fails.
pub fn walk(
    parent: BorrowedFd<'_>,
    name: &[u8],
    visit: &mut dyn FnMut(Step<'_>) -> Result<Next, Failure>,
) -> Result<(), Failure> {
    // What is no directory needs no more than this look.
    match fs::stat(parent, name) {
        Ok(stat) if stat.kind != Kind::Directory => {
            return visit(Step::Entry { place: Place { parent, path: name }, stat: &stat }).map(drop);
        }
        Ok(_) | Err(_) => {}
    }
    let top = fs::stat(parent, b"").map_err(|errno| Failure::on_path("look at", name, errno))?;
    let mut walk =
        Walk { trail: Trail::new(parent, &top), levels: Vec::new(), path: Vec::new(), reader: Reader::new() };
    walk.come_by(name, top.dev, visit)?;
    loop {
        let Some(level) = walk.levels.last_mut() else { return Ok(()) };
        let dev = level.stat.dev;
        match level.names.get(level.next).map(<[u8]>::to_vec) {
            Some(name) => {
                level.next += 1;
                walk.come_by(&name, dev, visit)?;
            }
            None => walk.leave(visit)?,
        }
    }
}

/// Removes what has this name, a directory with all that is in it, but nothing on another file system.
pub fn remove(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), Failure> {
    walk(parent, name, &mut |step| {
        let (place, done) = match step {
            Step::Enter { place, is_mount: true, .. } => {
                return Err(Failure::on_path("remove", place.path, "something is mounted there"));
            }
            Step::Enter { .. } => return Ok(Next::On),
            Step::Leave { place, .. } => (place, change::remove_dir(place.parent, place.name())),
            Step::Entry { place, .. } => (place, change::unlink(place.parent, place.name())),
            Step::Failed { place, errno } => (place, Err(errno)),
        };
        match done {
            Ok(()) | Err(Errno::ENOENT) => Ok(Next::On),
            Err(errno) => Err(Failure::on_path("remove", place.path, errno)),
        }
    })
}

struct Walk<'a> {
    trail: Trail<'a>,
    levels: Vec<Level>,
    path: Vec<u8>,
    reader: Reader,
}

/// A directory that was entered.
struct Level {
    stat: Stat,
    names: Names,
    /// The one of them that comes next.
    next: usize,
}

impl Walk<'_> {
    /// Comes by the next entry of the directory that it is in, which is on the file system `dev`.
    fn come_by(
        &mut self,
        name: &[u8],
        dev: (u32, u32),
        visit: &mut dyn FnMut(Step<'_>) -> Result<Next, Failure>,
    ) -> Result<(), Failure> {
        let parent_len = self.path.len();
        if parent_len > 0 {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name);
        let place = Place { parent: self.trail.dir(), path: &self.path };
        match find(place.parent, name) {
            Ok((stat, Some(dir))) => {
                let is_mount = stat.is_mount || stat.dev != dev;
                if visit(Step::Enter { place, dir: dir.as_fd(), stat: &stat, is_mount })? == Next::On {
                    let names = list(&mut self.reader, dir.as_fd()).or_else(|errno| {
                        visit(Step::Failed { place, errno })?;
                        Ok(Names::default())
                    })?;
                    self.trail.enter(dir, &stat);
                    self.levels.push(Level { stat, names, next: 0 });
                    return Ok(());
                }
            }
            Ok((stat, None)) => drop(visit(Step::Entry { place, stat: &stat })?),
            Err(errno) => drop(visit(Step::Failed { place, errno })?),
        }
        self.path.truncate(parent_len);
        Ok(())
    }

    /// Leaves the directory that it is in.
    fn leave(&mut self, visit: &mut dyn FnMut(Step<'_>) -> Result<Next, Failure>) -> Result<(), Failure> {
        let Some(level) = self.levels.pop() else { return Ok(()) };
        let dir = self.trail.leave().map_err(|errno| {
            let reason = if errno == Errno::ESTALE { "it was moved meanwhile".to_owned() } else { errno.to_string() };
            Failure::on_path("come back from", &self.path, reason)
        })?;
        let place = Place { parent: self.trail.dir(), path: &self.path };
        visit(Step::Leave { place, dir: dir.as_fd(), stat: &level.stat })?;
        let parent_len = self.path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        self.path.truncate(parent_len);
        Ok(())
    }
}

/// What has this name; opened if it is a directory, and then it is certainly that one.
fn find(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(Stat, Option<Fd>), Errno> {
    // It is another one after the look, if somebody has put that there, or an automounter has done its work.
    const MOST_LOOKS: u32 = 3;
    for _ in 0..MOST_LOOKS {
        let found = fs::stat(parent, name)?;
        if found.kind != Kind::Directory {
            return Ok((found, None));
        }
        if let Some((stat, dir)) = open_found(parent, name, &found)? {
            return Ok((stat, Some(dir)));
        }
    }
    Err(Errno::EAGAIN)
}

/// Opens the directory that was found under this name; none if another one has it by now.
fn open_found(parent: BorrowedFd<'_>, name: &[u8], found: &Stat) -> Result<Option<(Stat, Fd)>, Errno> {
    let dir = fs::open(parent, name, Open::DirectoryNoFollow)?;
    let stat = fs::stat(dir.as_fd(), b"")?;
    Ok((stat.id() == found.id()).then_some((stat, dir)))
}

/// Whether nothing is in a directory that is open to be listed, and was not read from yet.
pub fn is_empty(dir: BorrowedFd<'_>) -> Result<bool, Errno> {
    Ok(list(&mut Reader::new(), dir)?.is_empty())
}

/// The names in a directory that is open, also where it was read from, in byte order.
pub fn names(dir: BorrowedFd<'_>) -> Result<Names, Errno> {
    list(&mut Reader::new(), fs::open(dir, b".", Open::DirectoryNoFollow)?.as_fd())
}

fn list(reader: &mut Reader, dir: BorrowedFd<'_>) -> Result<Names, Errno> {
    let mut names = Names::default();
    while reader.fill(dir)? {
        reader.entries().for_each(|entry| names.push(entry.name));
    }
    names.sort();
    Ok(names)
}

/// A way down into a tree and back: the directories that were entered one from the other. Only the deepest of them are open.
/// The others are found again as `..`, if that is still the directory that they were.
pub struct Trail<'a> {
    base: BorrowedFd<'a>,
    ids: Vec<Id>,
    open: VecDeque<Fd>,
}

/// How many directories of a trail are open.
const MOST_OPEN: usize = 16;

impl<'a> Trail<'a> {
    /// Starts from a directory, which stays open, and what it is.
    pub fn new(base: BorrowedFd<'a>, stat: &Stat) -> Trail<'a> {
        Trail { base, ids: vec![stat.id()], open: VecDeque::new() }
    }

    /// The directory that it is in.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.open.back().map_or(self.base, AsFd::as_fd)
    }

    /// Enters a directory that was opened from the one that it is in.
    pub fn enter(&mut self, dir: Fd, stat: &Stat) {
        self.ids.push(stat.id());
        self.open.push_back(dir);
        if self.open.len() > MOST_OPEN {
            self.open.pop_front();
        }
    }

    /// Goes back to the one before, and hands out the directory that it was in. ESTALE where that was moved elsewhere
    /// meanwhile: then nothing more can be done with the trail, nor where it has been left already.
    pub fn leave(&mut self) -> Result<Fd, Errno> {
        let dir = self.open.pop_back().ok_or(Errno::ESTALE)?;
        self.ids.pop();
        if self.open.is_empty() && self.ids.len() > 1 {
            let parent = fs::open(dir.as_fd(), b"..", Open::DirectoryNoFollow)?;
            if Some(&fs::stat(parent.as_fd(), b"")?.id()) != self.ids.last() {
                return Err(Errno::ESTALE);
            }
            self.open.push_back(parent);
        }
        Ok(dir)
    }
}

#[cfg(test)]
mod tests;
