//! A claim: what is to go is first renamed into a directory that only we may enter, so that nobody finds it by its path any
//! more, and nobody takes it for what comes under that path later.
//!
//! The directory is called after what it holds, and marked (flock(2)) as long as somebody is at it: what a kill leaves is
//! known by that, and goes back to its name; or goes for good, if its mode says that this was decided.

use crate::parts::diag::Failure;
use crate::parts::publish::{self, Mark, Over};
use crate::parts::spot::Spot;
use crate::parts::{fnv, walk};
use crate::sys::change::{self, At};
use crate::sys::fs::{self, Id, Open};
use crate::sys::{Errno, Fd, clock, lock};
use std::os::fd::{AsFd, BorrowedFd};

const CLAIMED: &[u8] = b".dogwatch-move-";
const ASIDE: &[u8] = b".dogwatch-gone-";
/// So often it is tried to find a name that is free, or nobody at a directory, with so many milliseconds between.
const MOST_TRIES: u32 = 100;
const PAUSE: u16 = 20;
/// A name has so many bytes at the most (NAME_MAX).
const LONGEST: usize = 255;

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
        let dir = publish::make_private(source.dir.as_fd(), &called).map_err(fail)?;
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
        publish::discard(self.dir.as_fd(), (self.source.dir.as_fd(), &self.called))
    }
}

/// Whether a name is that of a directory that a claim, or a replacement, may have left behind.
pub fn is_leftover(name: &[u8]) -> bool {
    [CLAIMED, ASIDE, publish::GOING_NAME].iter().any(|prefix| name.starts_with(prefix))
}

/// Whether what stands there may have been left behind: it is ours, and somebody may be at it.
pub fn is_ours(at: At<'_>) -> bool {
    is_leftover(at.1) && fs::open(at.0, at.1, Open::DirectoryNoFollow).is_ok_and(|dir| marked(&dir).is_some())
}

fn marked(dir: &Fd) -> Option<Mark> {
    publish::mark_of(dir.as_fd()).ok()?
}

/// Waits a moment for somebody who is at it: who was killed may be about to end.
pub fn wait_for(at: At<'_>) {
    for _ in 0..MOST_TRIES {
        if fs::open(at.0, at.1, Open::DirectoryNoFollow).map_or(true, |dir| lock::mark(dir.as_fd())) {
            return;
        }
        clock::sleep(PAUSE);
    }
}

/// What killed runs may have left behind for this name.
pub fn leftovers(name: &[u8]) -> [Vec<u8>; 3] {
    [name_for(name), publish::aside_name(name), publish::aside_name(&publish::temporary_name(name))]
}

/// What stands there, if it was left behind and is ours, with nobody at it; and whether all of it is to go. It is marked as
/// long as it is open.
fn open(at: At<'_>) -> Option<(Fd, bool)> {
    let dir = fs::open(at.0, at.1, Open::DirectoryNoFollow).ok().filter(|_| is_leftover(at.1))?;
    if !lock::mark(dir.as_fd()) {
        return None;
    }
    let is_going = match marked(&dir)? {
        Mark::Kept => false,
        Mark::Going => true,
        Mark::Unknown => at.1.starts_with(publish::GOING_NAME),
    };
    Some((dir, is_going))
}

/// Ends what a killed run has begun: what was claimed gets its name back, and what was to go goes. What is kept of a place that
/// something else was to take stays as long as that stands where it comes from: its job knows the place.
pub fn tidy(at: At<'_>) -> Result<(), Failure> {
    match open(at) {
        None => Ok(()),
        Some((dir, false)) if !at.1.starts_with(ASIDE) => empty(dir.as_fd(), at).map(drop),
        Some((_, false)) if comes_still(at)? => Ok(()),
        Some((dir, _)) => publish::discard(dir.as_fd(), at),
    }
}

/// Whether that for which something is kept aside stands there still.
fn comes_still(aside: At<'_>) -> Result<bool, Failure> {
    let names = walk::names(aside.0).map_err(|errno| Failure::on_path("list the directory of", aside.1, errno))?;
    Ok(names.iter().any(|name| publish::aside_name(name) == aside.1))
}

/// Ends what a killed run has begun to replace at a target by what comes from there: what it has kept of that gets its name
/// back, or goes if something has that by now.
pub fn tidy_aside(from: At<'_>, target: At<'_>) -> Result<(), Failure> {
    let called = publish::aside_name(from.1);
    let at = (from.0, &called[..]);
    let fail = |errno| Failure::on_path("give back what is in", &called, errno);
    // A scan may have found it, and leaves it to us.
    wait_for(at);
    match open(at) {
        None => Ok(()),
        Some((dir, true)) => publish::discard(dir.as_fd(), at),
        Some((dir, false)) => match publish::rename((dir.as_fd(), target.1), target, Over::Nothing) {
            Err(Errno::EEXIST) => publish::discard(dir.as_fd(), at),
            // What else may be in it is of another target.
            Ok(_) | Err(Errno::ENOENT) => change::remove_dir(at.0, at.1).map_err(fail),
            Err(errno) => Err(fail(errno)),
        },
    }
}

/// The same of what was claimed only; the answer is the names that it has now.
pub fn give_back(at: At<'_>) -> Result<Vec<Vec<u8>>, Failure> {
    match open(at).filter(|(_, is_going)| !is_going && at.1.starts_with(CLAIMED)) {
        Some((dir, _)) => empty(dir.as_fd(), at),
        None => Ok(Vec::new()),
    }
}

/// What is in a claim's directory gets its name beside it, or if that is taken, one with a number; then the directory goes.
fn empty(dir: BorrowedFd<'_>, at: At<'_>) -> Result<Vec<Vec<u8>>, Failure> {
    let fail = |errno| Failure::on_path("give back what is in", at.1, errno);
    let names = walk::names(dir).map_err(fail)?;
    let given: Result<Vec<_>, _> = names.iter().map(|name| give_back_one((dir, name), at.0)).collect();
    let given = given.map_err(fail)?;
    change::remove_dir(at.0, at.1).map_err(fail)?;
    Ok(given)
}

/// Renames something into a directory, where it gets a number if its name is taken; the answer is the name that it has then.
pub fn give_back_one((dir, name): At<'_>, to: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    let numbered = (1..MOST_TRIES).map(|n| format!(".{n}")).map(|number| {
        let stem = name.get(..LONGEST - number.len()).unwrap_or(name);
        [stem, number.as_bytes()].concat()
    });
    let mut given = Err(Errno::EEXIST);
    for free in std::iter::once(name.to_vec()).chain(numbered) {
        given = publish::rename((dir, name), (to, &free), Over::Nothing).map(|_| free);
        if given.as_ref().err() != Some(&Errno::EEXIST) {
            break;
        }
    }
    given
}

fn name_for(name: &[u8]) -> Vec<u8> {
    let hash = fnv::with(fnv::EMPTY, name);
    [CLAIMED, format!("{hash:016x}").as_bytes()].concat()
}
