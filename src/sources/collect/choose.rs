//! What a collector takes, and when: pure, it is told what is in the spool.

use crate::parts::duration::Millis;
use crate::sys::fs::Time;

/// A file that has not changed for so long counts as whole where nobody can tell whether it is open for writing.
pub const QUIET: Millis = Millis(2_000);
/// A file that is open is looked at again after these at the least and at the most, else after as long as it has not changed:
/// one that was made without a name (O_TMPFILE), or is written to by a name elsewhere, is closed without an event here.
const OPEN: [Millis; 2] = [Millis(60_000), Millis(3_600_000)];
/// What has changed later than so many milliseconds from now has not: the clock was set back since.
const AHEAD: i64 = 60_000;

/// A file in the spool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Its name.
    pub name: Vec<u8>,
    /// Since it came or has changed last.
    pub age: Millis,
    /// Whether somebody has it open for writing, where that can be told.
    pub open: Option<bool>,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// These are to be collected, in order of their names, if at least so many of them can be.
    Collect(Vec<Vec<u8>>, usize),
    /// Nothing yet: another look after so long, or at the next event.
    Wait(Option<Millis>),
}

/// Whether a name counts at all: hidden files do not, nor an editor's swap files (`.sw` and one letter at the end).
pub fn is_valid(name: &[u8]) -> bool {
    let is_swap = matches!(name, [.., b'.', b's', b'w', last] if last.is_ascii_alphabetic());
    !name.starts_with(b".") && !is_swap
}

/// How old a file is that has come or changed at this time. After a clock was set back, nobody knows: it is old.
pub fn age(changed: Time, now: Time) -> Millis {
    let millis = |(seconds, nanoseconds): Time| seconds.saturating_mul(1_000) + i64::from(nanoseconds / 1_000_000);
    let age = millis(now).saturating_sub(millis(changed));
    Millis(u64::try_from(age).unwrap_or(if age < -AHEAD { u64::MAX } else { 0 }))
}

/// What to do with these files: as soon as `threshold` are whole, or one of them is as old as `max_age`, all that are whole
/// are collected.
pub fn choose(files: &[Candidate], threshold: usize, max_age: Option<Millis>) -> Verdict {
    let is_whole = |file: &&Candidate| file.open.map_or(file.age >= QUIET, |open| !open);
    let whole: Vec<&Candidate> = files.iter().filter(is_whole).collect();
    let is_old = |file: &&Candidate| max_age.is_some_and(|most| file.age >= most);
    let enough = if whole.iter().any(is_old) { 1 } else { threshold.max(1) };
    if whole.len() >= enough {
        let mut names: Vec<Vec<u8>> = whole.iter().map(|file| file.name.clone()).collect();
        names.sort_unstable();
        return Verdict::Collect(names, enough);
    }
    // A close is an event, and so is a change, but for some; that a while has passed is none.
    let open = files.iter().filter(|file| file.open == Some(true)).map(|file| file.age.clamp(OPEN[0], OPEN[1]));
    let quiet = files.iter().filter(|file| file.open.is_none()).map(|file| left(QUIET, file.age));
    let old = files.iter().filter_map(|file| Some(left(max_age?, file.age)));
    Verdict::Wait(open.chain(quiet).chain(old).filter(|left| left.0 > 0).min())
}

fn left(until: Millis, age: Millis) -> Millis {
    Millis(until.0.saturating_sub(age.0))
}

#[cfg(test)]
mod tests;
