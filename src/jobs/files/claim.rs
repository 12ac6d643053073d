//! A claim: what is to go is first renamed into a directory that only we may enter, so that nobody finds it by its path any
//! more, and nobody takes it for what comes under that path later.
//!
//! The directory is called after what it holds, and marked (flock(2)) as long as somebody is at it: what a kill leaves is
//! known by that, and goes back to its name.

use super::spot::Spot;
use crate::parts::diag::Failure;
use crate::parts::publish::{self, Over};
use crate::parts::{fnv, walk};
use crate::sys::change::{self, At};
use crate::sys::dir::Reader;
use crate::sys::fs::{self, Id, Open};
use crate::sys::{Errno, Fd, clock, lock, process};
use std::os::fd::{AsFd, BorrowedFd};

const CLAIMED: &[u8] = b".dogwatch-move-";
const GONE: &[u8] = b".dogwatch-gone-";
/// So often it is tried to make the directory, or to find a name that is free.
const MOST_TRIES: u32 = 100;

/// What was claimed.
pub struct Claim<'s> {
    source: &'s Spot,
    dir: Fd,
    called: Vec<u8>,
}

impl<'s> Claim<'s> {
    /// Claims what stands there, if it is this.
    pub fn take(source: &'s Spot, wanted: Id) -> Result<Claim<'s>, Failure> {
        let called = name_for(&source.name);
        let fail = |errno| source.failure("claim", errno);
        let dir = make(source.dir.as_fd(), &called).map_err(fail)?;
        let claim = Claim { source, dir, called };
        if let Err(errno) = change::rename_to(source.at(), claim.at()) {
            let _ = change::remove_dir(source.dir.as_fd(), &claim.called);
            return Err(fail(errno));
        }
        match fs::stat(claim.dir.as_fd(), &source.name) {
            Ok(found) if found.id() == wanted => Ok(claim),
            Ok(_) | Err(_) => Err(claim.give_back(source.failure("claim", "another one has its name now"))),
        }
    }

    /// Where it is now.
    pub fn at(&self) -> At<'_> {
        (self.dir.as_fd(), &self.source.name)
    }

    /// It gets its name back for this failure, which is told besides.
    pub fn give_back(self, why: Failure) -> Failure {
        match empty(self.dir.as_fd(), (self.source.dir.as_fd(), &self.called)) {
            Ok(_) => why,
            Err(failure) => why.hint(&failure.to_string()),
        }
    }

    /// It goes for good.
    pub fn discard(self) -> Result<(), Failure> {
        publish::discard((self.source.dir.as_fd(), &self.called))
    }
}

/// Whether a name is that of a directory that a claim may have left behind.
pub fn is_leftover(name: &[u8]) -> bool {
    name.starts_with(CLAIMED) || name.starts_with(GONE)
}

/// Whether what stands there was left behind and is ours, with nobody at it.
pub fn is_over(at: At<'_>) -> bool {
    open(at).is_some()
}

/// What killed runs may have left behind for this name.
pub fn leftovers(name: &[u8]) -> [Vec<u8>; 2] {
    let claimed = name_for(name);
    [publish::gone_name(&claimed), claimed]
}

/// What stands there, if it was left behind and is ours, with nobody at it. It is marked as long as it is open.
fn open(at: At<'_>) -> Option<Fd> {
    let dir = fs::open(at.0, at.1, Open::DirectoryNoFollow).ok()?;
    (is_leftover(at.1) && lock::mark(dir.as_fd()) && is_private(dir.as_fd()) == Ok(true)).then_some(dir)
}

/// Whether only we may enter a directory. Some file systems keep no owners and modes: there it is as private as can be if one
/// that is made in it looks the same.
fn is_private(dir: BorrowedFd<'_>) -> Result<bool, Errno> {
    const INNER: &[u8] = b".dogwatch-inner";
    let found = fs::stat(dir, b"")?;
    if found.uid == process::effective_uid() && found.mode & 0o777 == 0o700 {
        return Ok(true);
    }
    let _ = change::remove_dir(dir, INNER);
    change::make_dir(dir, INNER, 0o700)?;
    let made = fs::stat(dir, INNER);
    change::remove_dir(dir, INNER)?;
    Ok(made.is_ok_and(|made| (made.uid, made.mode) == (found.uid, found.mode)))
}

/// Ends what a killed run has begun: what was claimed gets its name back, and what was to go goes.
pub fn tidy(at: At<'_>) -> Result<(), Failure> {
    give_back(at)?;
    // Marked until it is gone.
    let Some(_dir) = open(at).filter(|_| at.1.starts_with(GONE)) else { return Ok(()) };
    walk::remove(at.0, at.1)
}

/// Ends what a killed run has begun to replace at a target: what it has set aside in this directory gets its name back, or
/// goes if the new one has that by now.
pub fn tidy_replaced(dir: BorrowedFd<'_>, target: At<'_>) -> Result<(), Failure> {
    let gone = publish::gone_name(target.1);
    let Some(aside) = open((dir, &gone)) else { return Ok(()) };
    match publish::rename((aside.as_fd(), target.1), target, Over::Nothing) {
        Ok(_) | Err(Errno::EEXIST | Errno::ENOENT) => walk::remove(dir, &gone),
        Err(errno) => Err(Failure::on_path("give back what is in", &gone, errno)),
    }
}

/// The same of what was claimed only; the answer is the names that it has now.
pub fn give_back(at: At<'_>) -> Result<Vec<Vec<u8>>, Failure> {
    match open(at).filter(|_| at.1.starts_with(CLAIMED)) {
        Some(dir) => empty(dir.as_fd(), at),
        None => Ok(Vec::new()),
    }
}

/// What is in a claim's directory gets its name beside it, or if that is taken, one with a number; then the directory goes.
fn empty(dir: BorrowedFd<'_>, at: At<'_>) -> Result<Vec<Vec<u8>>, Failure> {
    let fail = |errno| Failure::on_path("give back what is in", at.1, errno);
    let mut reader = Reader::new();
    let mut names = Vec::new();
    // Anew, for the descriptor may have been read from.
    let listed = fs::open(dir, b".", Open::DirectoryNoFollow).map_err(fail)?;
    while reader.fill(listed.as_fd()).map_err(fail)? {
        names.extend(reader.entries().map(|entry| entry.name.to_vec()));
    }
    for name in &mut names {
        let numbered = (1..MOST_TRIES).map(|n| [&name[..], format!(".{n}").as_bytes()].concat());
        let mut given = Err(Errno::EEXIST);
        for free in std::iter::once(name.clone()).chain(numbered) {
            given = publish::rename((dir, name), (at.0, &free), Over::Nothing).map(|_| free);
            if given.as_ref().err() != Some(&Errno::EEXIST) {
                break;
            }
        }
        *name = given.map_err(fail)?;
    }
    change::remove_dir(at.0, at.1).map_err(fail)?;
    Ok(names)
}

/// Makes a claim's directory, and marks it. Before it is marked, another process can take it for a leftover, and take it away.
fn make(parent: BorrowedFd<'_>, called: &[u8]) -> Result<Fd, Errno> {
    for _ in 0..MOST_TRIES {
        match try_to_make(parent, called) {
            Ok(Some(dir)) => return Ok(dir),
            Ok(None) | Err(Errno::ENOENT | Errno::EEXIST) => clock::sleep(1),
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EEXIST)
}

fn try_to_make(parent: BorrowedFd<'_>, called: &[u8]) -> Result<Option<Fd>, Errno> {
    change::make_dir(parent, called, 0o700)?;
    let dir = fs::open(parent, called, Open::DirectoryNoFollow)?;
    let is_ours = lock::mark(dir.as_fd())
        && walk::is_empty(dir.as_fd())?
        && is_private(dir.as_fd())?
        && fs::stat(parent, called)?.id() == id(&dir)?;
    Ok(is_ours.then_some(dir))
}

fn id(dir: &Fd) -> Result<Id, Errno> {
    fs::stat(dir.as_fd(), b"").map(|found| found.id())
}

fn name_for(name: &[u8]) -> Vec<u8> {
    let hash = fnv::with(fnv::EMPTY, name);
    [CLAIMED, format!("{hash:016x}").as_bytes()].concat()
}
