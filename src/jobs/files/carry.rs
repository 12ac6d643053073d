//! A move to another file system. Nothing is lost that anybody writes meanwhile: what was copied goes only when nobody can
//! write to it any more, and nothing of it has changed since.
//!
//! At every moment the source stands whole under its name, or in a claim, which gives it back after a kill; the copy
//! gets its name whole; and where both stand, the next run knows the one for a copy of the other.

use super::claim::Claim;
use super::copy::{self, Copy};
use super::look::{self, Look};
use super::plan::FileJob;
use super::same;
use crate::parts::diag::Failure;
use crate::parts::spot::Spot;
use crate::parts::text::Escaped;
use crate::parts::worker::Report;
use crate::sys::clock;
use crate::sys::fs::Stat;

/// For so long, in milliseconds, what was claimed may be kept from its path because somebody has it open still.
const PATIENCE: u64 = 5_000;
/// So long who seems to write to what is to go is waited for before anything is done: that a file was closed is told before it
/// counts as closed (Linux fs/file_table.c, __fput: fsnotify_close() comes first, put_file_access() last).
const CLOSING: u64 = 500;
/// So long a look waits for the next.
const PAUSE: u16 = 20;
/// So often it is copied again for what was written by who had it open.
const MOST_COPIES: u32 = 5;

/// Moves what was found at the source.
pub fn carry(job: &FileJob, source: &Spot, target: &Spot, found: &Stat, report: &mut Report) -> Result<(), Failure> {
    let refuse_writers = || {
        let end = clock::boot_now().0 + CLOSING;
        loop {
            match look::writer(source.at())? {
                None => return Ok(()),
                Some(path) if clock::boot_now().0 > end => return Err(source.failure("move", written_to(&path))),
                Some(_) => clock::sleep(PAUSE),
            }
        }
    };
    refuse_writers()?;
    let there = target.stat()?;
    let (copy, looks) = if there.is_some() && same::is_copy(source.at(), target.at()) == Ok(true) {
        // A killed run has published it.
        (None, look::look_at_rest(source.at())?)
    } else if there.is_some() && !job.replace {
        return Err(super::exists("move", target));
    } else {
        let copy = copy::make(source.at(), job, target, report)?;
        let looks = copy.looks.clone();
        (Some(copy), looks)
    };
    refuse_writers()?;
    // After the claim it has another ctime, which tells nothing any more.
    let looks = if look::look(source.at())? == looks { looks } else { Vec::new() };
    let claim = Claim::take(source, found.id())?;
    match settle(&claim, (copy, looks), job, target, report) {
        Ok(()) => claim.discard(),
        Err(failure) => Err(claim.give_back(failure)),
    }
}

/// Publishes a copy of what was claimed, once nobody can change that any more. None is made where one stands already.
fn settle<'t>(
    claim: &Claim<'_>,
    (mut copy, mut looks): (Option<Copy<'t>>, Vec<Look>),
    job: &FileJob,
    target: &'t Spot,
    report: &mut Report,
) -> Result<(), Failure> {
    let fail = |reason: &str| target.failure("move to", reason);
    let end = clock::boot_now().0 + PATIENCE;
    let mut copies = 0;
    loop {
        // In this order: who has closed it by the one look has changed it before the other.
        let writer = look::writer(claim.at())?;
        let is_same = look::is_same_renamed(&looks, &look::look(claim.at())?);
        match writer {
            None if is_same => break,
            Some(path) if clock::boot_now().0 > end => return Err(fail(&written_to(&path))),
            Some(_) => clock::sleep(PAUSE),
            None if copy.is_none() || copies == MOST_COPIES => return Err(fail("what was to go changes all the time")),
            None => {
                copies += 1;
                // The one has its temporary name, which the next wants.
                drop(copy.take());
                let again = copy::make(claim.at(), job, target, report)?;
                looks = again.looks.clone();
                copy = Some(again);
            }
        }
    }
    copy.map_or(Ok(()), |copy| copy.publish(job, target, report))
}

fn written_to(path: &[u8]) -> String {
    format!("somebody writes to {}", Escaped(path))
}
