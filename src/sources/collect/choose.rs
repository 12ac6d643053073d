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
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Since it came or has changed last.
    pub age: Millis,
    /// Whether somebody has it open for writing, where that can be told.
    pub open: Option<bool>,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// What is whole is to be collected, if at least so many of them can be.
    Collect(usize),
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

/// What is in a spool, as far as it was looked at: no more than what the verdict needs.
pub struct Tally {
    max_age: Option<Millis>,
    whole: usize,
    has_old: bool,
    /// Of how many it cannot be told whether they are open.
    pub untold: usize,
    next: Option<Millis>,
}

impl Tally {
    /// Of nothing yet; a file as old as `max_age` is enough.
    pub fn new(max_age: Option<Millis>) -> Tally {
        Tally { max_age, whole: 0, has_old: false, untold: 0, next: None }
    }

    /// Adds a file. The answer is whether it is whole: then it is collected, if anything is.
    pub fn add(&mut self, Candidate { age, open }: Candidate) -> bool {
        let is_whole = open.map_or(age >= QUIET, |open| !open);
        self.whole += usize::from(is_whole);
        self.untold += usize::from(open.is_none());
        self.has_old |= is_whole && self.max_age.is_some_and(|most| age >= most);
        // A close is an event, and so is a change, but for some; that a while has passed is none.
        let look = match open {
            Some(true) => Some(age.clamp(OPEN[0], OPEN[1])),
            Some(false) => None,
            None => Some(left(QUIET, age)),
        };
        let old = self.max_age.map(|most| left(most, age));
        self.next = [self.next, look, old].into_iter().flatten().filter(|left| left.0 > 0).min();
        is_whole
    }

    /// What to do: as soon as `threshold` are whole, or one of them is as old as `max_age`, all that are whole are collected.
    pub fn verdict(&self, threshold: usize) -> Verdict {
        let enough = if self.has_old { 1 } else { threshold.max(1) };
        if self.whole >= enough { Verdict::Collect(enough) } else { Verdict::Wait(self.next) }
    }
}

fn left(until: Millis, age: Millis) -> Millis {
    Millis(until.0.saturating_sub(age.0))
}

#[cfg(test)]
mod tests;
