//! A move within a file system: a rename, before which the object gets the owner and the mode that it is to have.

use super::plan::FileJob;
use super::{copy, links, wanted};
use crate::parts::diag::Failure;
use crate::parts::meta;
use crate::parts::publish::{self, Over};
use crate::parts::spot::Spot;
use crate::parts::walk::{Next, Place, Step, walk};
use crate::sys::fs::{self, Open, Stat};
use crate::sys::{Errno, change};
use std::os::fd::AsFd;

const OTHER: &str = "another one has its name now";

/// Moves what was found at the source; false if that is no rename: the target's directory is on another file system, or is
/// another one's mount.
pub fn shift(job: &FileJob, source: &Spot, target: &Spot, found: &Stat) -> Result<bool, Failure> {
    let there = target.stat()?;
    if there.is_some_and(|there| there.id() == found.id()) {
        // Both are names of one file: by a killed run, where the file system has no rename that replaces nothing.
        let done = change::unlink(source.dir.as_fd(), &source.name);
        return done.map(|()| true).map_err(|errno| source.failure("move", errno));
    }
    if there.is_some() && !job.replace {
        return Err(super::exists("move", target));
    }
    // While it is open, no other object can get its number.
    let place =
        fs::open(source.dir.as_fd(), &source.name, Open::Entry).map_err(|errno| source.failure("open", errno))?;
    let is_it = |now: Option<Stat>| now.map(|now| now.id()) == Some(found.id());
    dress(job, source, found)?;
    if !is_it(fs::stat(place.as_fd(), b"").ok()) || !is_it(source.stat()?) {
        return Err(source.failure("move", OTHER));
    }
    match publish::rename(source.at(), target.at(), copy::over(job)) {
        // Nothing: somebody has taken it on already.
        Ok(left) if target.stat()?.is_none_or(|now| is_it(Some(now))) => left.map_or(Ok(true), Err),
        Ok(_) => Err(give_back(source, target)),
        Err(Errno::EXDEV) => Ok(false),
        Err(Errno::EEXIST) if !job.replace => Err(super::exists("move", target)),
        Err(errno) => Err(source.failure("move", errno)),
    }
}

/// What was not to be moved gets its name back.
///
/// Who may change the source's directory can put another object there between the last look and the rename, for that goes by
/// name only. It has the destination's name until it is looked at there, with the owner and the mode that it had, and
/// what it replaced there is gone. If somebody replaces what was moved in the same moment, that one is taken for it.
fn give_back(source: &Spot, target: &Spot) -> Failure {
    let failure = source.failure("move", "another one had its name when it was moved");
    match publish::rename(target.at(), source.at(), Over::Nothing) {
        Ok(_) => failure,
        Err(errno) => failure.hint(&target.failure("move it back from", errno).to_string()),
    }
}

/// Gives owner and mode to all of it, and sees that nothing of it was planted.
fn dress(job: &FileJob, source: &Spot, found: &Stat) -> Result<(), Failure> {
    let is_as_it_was = job.access == crate::engine::rule::Access::default();
    walk(source.dir.as_fd(), &source.name, &mut |step| {
        match step {
            Step::Enter { place, stat, .. } | Step::Entry { place, stat }
                if !place.path.contains(&b'/') && stat.id() != found.id() =>
            {
                return Err(Failure::on_path("move", place.path, OTHER));
            }
            // What others put into a directory of theirs is theirs, as long as it is not touched.
            Step::Enter { .. } if is_as_it_was => return Ok(Next::Past),
            Step::Enter { place, is_mount: true, .. } => {
                return Err(Failure::on_path("move", place.path, "something is mounted there"));
            }
            Step::Enter { .. } => {}
            Step::Leave { place, stat, .. } | Step::Entry { place, stat } => adjust(job, place, stat)?,
            Step::Failed { place, errno } => return Err(Failure::on_path("look at", place.path, errno)),
        }
        Ok(Next::On)
    })
}

fn adjust(job: &FileJob, place: Place<'_>, stat: &Stat) -> Result<(), Failure> {
    let fail = |errno| Failure::on_path("open", place.path, errno);
    let file = fs::open(place.parent, place.name(), Open::Entry).map_err(fail)?;
    let now = fs::stat(file.as_fd(), b"").map_err(fail)?;
    if now.id() != stat.id() {
        return Err(Failure::on_path("move", place.path, OTHER));
    }
    links::refuse(job, &now, place.path)?;
    meta::adjust(file.as_fd(), place.path, wanted(job, stat.kind))
}

#[cfg(test)]
mod tests;
