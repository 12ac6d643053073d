//! File jobs: what rules do with files and directories. Nothing is ever seen half-written, nothing is lost when it is ended
//! at any moment, and no link that others plant leads it astray.
//!
//! What takes but one short call, the daemon's loop does at once; all else is for workers.

mod bytes;
mod carry;
pub mod claim;
mod copy;
pub mod links;
mod look;
pub mod plan;
mod same;
mod shift;

use crate::parts::diag::Failure;
use crate::parts::meta::Wanted;
use crate::parts::publish;
use crate::parts::spot::{Place, Spot};
use crate::parts::worker::Report;
use crate::sys::Errno;
use crate::sys::change::{self, Owner};
use crate::sys::fs::{self, CWD, Kind, Open, Stat};
use claim::Claim;
use plan::{FileJob, Verb};
use std::os::fd::AsFd;

/// The kind of work that this is, for workers.
pub const KIND: &str = "files";
/// The same of ending what killed runs have begun, in a directory that is scanned, and of one job.
pub const TIDY: &str = "tidy";
/// See [`TIDY`].
pub const END: &str = "end";

/// Taking away the bytes of a longer file may take a while.
const QUICKLY_FREED: u64 = 64 << 20;

/// Does a job, in a worker. The answer is where the object is now, if it is anywhere.
pub fn run(value: &[u8], report: &mut Report) -> Result<Option<Vec<u8>>, String> {
    let job = FileJob::decode(value).ok_or("its values cannot be read")?;
    perform(&job, report).map_err(|failure| failure.to_string())
}

fn perform(job: &FileJob, report: &mut Report) -> Result<Option<Vec<u8>>, Failure> {
    let source = Spot::find(&job.source)?;
    tidy_for(&source)?;
    let Some(place) = &job.target else { return delete(job, &source).map(|()| None) };
    let found = found(job, &source)?;
    links::refuse(job, &found, &source.path)?;
    let target = target(job, place)?;
    tidy_target(&source, &target)?;
    if job.verb == Verb::Copy {
        if target.stat()?.is_some() && !job.replace {
            return Err(exists("copy", &target));
        }
        copy::make(source.at(), job, &target, report)?.publish(job, &target, report)?;
    } else {
        let dir = fs::stat(target.dir.as_fd(), b"").map_err(|errno| target.failure("look at", errno))?;
        if dir.dev != found.dev || !shift::shift(job, &source, &target, &found)? {
            carry::carry(job, &source, &target, &found, report)?;
        }
    }
    Ok(Some(target.path))
}

/// Does a job if that is a matter of one short call: a rename or an unlink of what is no directory, on a file system of this
/// machine. `None`: it is a worker's.
pub fn at_once(job: &FileJob) -> Option<Result<Option<Vec<u8>>, String>> {
    quickly(job).map_err(|failure| failure.to_string()).transpose()
}

/// The outer `None`: it is a worker's.
#[expect(clippy::option_option, reason = "whether it is done, and whether something has come of it")]
fn quickly(job: &FileJob) -> Result<Option<Option<Vec<u8>>>, Failure> {
    let source = Spot::find(&job.source)?;
    let is_quick = |found: &Stat| found.kind != Kind::Directory && found.size <= QUICKLY_FREED;
    if job.verb == Verb::Copy || !is_local(&source) || has_leftovers(&source) {
        return Ok(None);
    }
    let found = found(job, &source)?;
    let Some(place) = job.target.as_ref().filter(|_| found.kind != Kind::Directory) else {
        return if is_quick(&found) { delete(job, &source).map(|()| Some(None)) } else { Ok(None) };
    };
    links::refuse(job, &found, &source.path)?;
    if job.auto_create && Spot::find(place).is_err() {
        return Ok(None);
    }
    let target = target(job, place)?;
    let is_same_dev = fs::stat(target.dir.as_fd(), b"").is_ok_and(|dir| dir.dev == found.dev);
    if !is_same_dev
        || !is_local(&target)
        || has_leftovers(&target)
        || target.stat()?.is_some_and(|there| !is_quick(&there))
    {
        return Ok(None);
    }
    Ok(shift::shift(job, &source, &target, &found)?.then_some(Some(target.path)))
}

fn is_local(spot: &Spot) -> bool {
    fs::is_remote(spot.dir.as_fd()) == Ok(false)
}

fn found(job: &FileJob, source: &Spot) -> Result<Stat, Failure> {
    let what = match job.verb {
        Verb::Move => "move",
        Verb::Copy => "copy",
        Verb::Delete { .. } => "delete",
    };
    source.stat()?.ok_or_else(|| source.failure(what, Errno::ENOENT))
}

fn target(job: &FileJob, place: &Place) -> Result<Spot, Failure> {
    if job.auto_create {
        return Spot::find_or_make(place, job.access.dirmode, owner(job));
    }
    Spot::find(place).map_err(|failure| failure.hint("missing directories are not made (auto_create = no)"))
}

fn exists(what: &str, target: &Spot) -> Failure {
    Failure::on_path(&format!("{what} to"), &target.path, "the destination exists already (override = no)")
}

fn owner(job: &FileJob) -> Owner {
    Owner { user: job.access.uid, group: job.access.gid }
}

/// What an object of this kind is to have.
fn wanted(job: &FileJob, kind: Kind) -> Wanted {
    let mode = if kind == Kind::Directory { job.access.dirmode } else { job.access.filemode };
    Wanted { owner: owner(job), mode }
}

fn delete(job: &FileJob, source: &Spot) -> Result<(), Failure> {
    let fail = |errno| source.failure("delete", errno);
    let found = found(job, source)?;
    match job.verb {
        _ if found.kind != Kind::Directory => change::unlink(source.dir.as_fd(), &source.name).map_err(fail),
        Verb::Delete { rec: true } => Claim::take(source, found.id())?.discard(),
        Verb::Move | Verb::Copy | Verb::Delete { rec: false } => {
            match change::remove_dir(source.dir.as_fd(), &source.name) {
                Err(errno @ (Errno::ENOTEMPTY | Errno::EEXIST)) => Err(fail(errno).hint("with rec = yes it would go")),
                done => done.map_err(fail),
            }
        }
    }
}

/// Ends what a job has begun whose worker was killed; `value` is the job.
pub fn end(value: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let job = FileJob::decode(value).ok_or("its values cannot be read")?;
    let ended = || {
        let source = Spot::find(&job.source)?;
        tidy_for(&source)?;
        job.target.iter().try_for_each(|place| tidy_target(&source, &Spot::find(place)?))
    };
    ended().map(|()| None).map_err(|failure: Failure| failure.to_string())
}

/// Ends what a killed run has begun to replace at this target.
fn tidy_target(source: &Spot, target: &Spot) -> Result<(), Failure> {
    claim::tidy_aside(source.at(), target.at())?;
    claim::tidy_aside((target.dir.as_fd(), &publish::temporary_name(&target.name)), target.at())
}

/// Ends what a killed run has begun with this name.
fn tidy_for(source: &Spot) -> Result<(), Failure> {
    claim::leftovers(&source.name).iter().try_for_each(|name| claim::tidy((source.dir.as_fd(), name)))
}

fn has_leftovers(source: &Spot) -> bool {
    claim::leftovers(&source.name).iter().any(|name| fs::stat(source.dir.as_fd(), name).is_ok())
}

/// Ends what killed runs have begun in a directory, in a worker: `value` is its path, and the name that they have left there.
pub fn tidy(value: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let slash = value.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    let (path, name) = (value.get(..=slash).unwrap_or_default(), value.get(slash + 1..).unwrap_or_default());
    let dir = fs::open(CWD, path, Open::Directory).map_err(|errno| errno.to_string())?;
    claim::wait_for((dir.as_fd(), name));
    claim::tidy((dir.as_fd(), name)).map(|()| None).map_err(|failure| failure.to_string())
}
