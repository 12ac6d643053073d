//! What a file, or a tree of files, is like at one moment: to tell later whether anything of it has changed.
//!
//! Whoever looks waits until the last change is a while ago, so that any later one shows in the times.

use crate::parts::diag::Failure;
use crate::parts::walk::{Next, Step, walk};
use crate::sys::change::At;
use crate::sys::fs::{Id, Kind, Stat, Time};
use crate::sys::{Errno, clock, lease};

/// What one entry is like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Look {
    path: Vec<u8>,
    kind: Kind,
    id: Id,
    owner: (u32, u32, u32),
    size: u64,
    mtime: Time,
    ctime: Time,
}

/// Changes within one tick of the clock that the kernel gives files their times by may leave the times as they are. So many
/// milliseconds are more than one (100 Hz).
const TICK: i64 = 20;
/// So often it is looked whether the last change is old enough.
const MOST_LOOKS: u32 = 100;

/// All of what stands there, a directory first and what is in it after it. Nothing may be mounted in it.
pub fn look(at: At<'_>) -> Result<Vec<Look>, Failure> {
    let mut looks = Vec::new();
    walk(at.0, at.1, &mut |step| {
        match step {
            Step::Enter { place, is_mount: true, .. } => {
                return Err(Failure::on_path("take", place.path, "something is mounted there"));
            }
            Step::Enter { place, stat, .. } | Step::Entry { place, stat } => looks.push(Look::of(place.path, stat)),
            Step::Leave { .. } | Step::Failed { errno: Errno::ENOENT, .. } => {}
            Step::Failed { place, errno } => return Err(Failure::on_path("look at", place.path, errno)),
        }
        Ok(Next::On)
    })?;
    Ok(looks)
}

/// The same once nothing of it has changed for a moment.
pub fn look_at_rest(at: At<'_>) -> Result<Vec<Look>, Failure> {
    for _ in 0..MOST_LOOKS {
        let now = millis(clock::wall_time());
        let looks = look(at)?;
        // What is dated ahead will get another time when it changes.
        let is_recent = |look: &Look| (0..TICK).contains(&(now - millis(look.ctime))) || is_just_ahead(look, now);
        if !looks.iter().any(is_recent) {
            return Ok(looks);
        }
        clock::sleep(TICK as u16);
    }
    Err(Failure::on_path("take", at.1, "it changes all the time"))
}

/// It has changed since the clock was read.
fn is_just_ahead(look: &Look, now: i64) -> bool {
    (0..1_000).contains(&(millis(look.ctime) - now))
}

fn millis((seconds, nanoseconds): Time) -> i64 {
    seconds.saturating_mul(1_000).saturating_add(i64::from(nanoseconds / 1_000_000))
}

/// Whether nothing has changed between two looks, but for a rename of the whole.
pub fn is_same_renamed(before: &[Look], after: &[Look]) -> bool {
    let but_for_ctime = |one: &Look, other: &Look| Look { ctime: other.ctime, ..one.clone() } == *other;
    match (before, after) {
        ([top, rest @ ..], [renamed, others @ ..]) => but_for_ctime(top, renamed) && rest == others,
        _ => false,
    }
}

/// The bytes in regular files.
pub fn bytes(looks: &[Look]) -> u64 {
    looks.iter().filter(|look| look.kind == Kind::File).map(|look| look.size).sum()
}

/// A regular file that somebody has open for writing, if there is any.
pub fn writer(at: At<'_>) -> Result<Option<Vec<u8>>, Failure> {
    let mut found = None;
    walk(at.0, at.1, &mut |step| {
        match step {
            Step::Enter { is_mount: true, .. } => return Ok(Next::Past),
            Step::Entry { place, stat } if stat.kind == Kind::File && found.is_none() => {
                found = lease::is_written_to(place.parent, place.name()).then(|| place.path.to_vec());
            }
            Step::Enter { .. } | Step::Leave { .. } | Step::Entry { .. } | Step::Failed { .. } => {}
        }
        Ok(Next::On)
    })?;
    Ok(found)
}

impl Look {
    fn of(path: &[u8], stat: &Stat) -> Look {
        let Stat { kind, size, mtime, ctime, .. } = *stat;
        Look { path: path.to_vec(), kind, id: stat.id(), owner: (stat.mode, stat.uid, stat.gid), size, mtime, ctime }
    }
}
