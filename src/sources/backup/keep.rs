//! Which of a schedule's dated backups are kept: pure, it is told their names' dates.

use crate::engine::due::{Date, TOO_FAR_AHEAD, digits};
use std::cmp::Reverse;

/// The end of a backup's name.
pub const SUFFIX: &[u8] = b".tar";
/// Before that, if what should be in it could not all be read. It is kept beside the last one that is whole.
pub const INCOMPLETE: &[u8] = b".incomplete";

/// The local date and time in a backup's name, in seconds since 1970-01-01 00:00.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Stamp(i64);

impl Stamp {
    /// That of a file, if it is a dated backup of this name: `NAME-YYYYmmdd-HHMMSS.tar`.
    pub fn of_file(file: &[u8], name: &[u8]) -> Option<Stamp> {
        Stamp::parse(file.strip_prefix(name)?.strip_prefix(b"-")?.strip_suffix(SUFFIX)?)
    }

    /// Reads `YYYYmmdd-HHMMSS`.
    pub fn parse(text: &[u8]) -> Option<Stamp> {
        let (date, time) = std::str::from_utf8(text).ok()?.split_once('-')?;
        let two = |text: &str, at: usize| digits(text.get(at..at + 2)?, 2);
        let part = |text: &str, at: usize| u8::try_from(two(text, at)?).ok();
        let date_of = Date::new(digits(date.get(..4)?, 4)?.into(), part(date, 4)?, part(date, 6)?)?;
        let (hour, minute, second) = (two(time, 0)?, two(time, 2)?, two(time, 4)?);
        let is_valid = date.len() == 8 && time.len() == 6 && hour < 24 && minute < 60 && second < 60;
        let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        is_valid.then(|| Stamp(date_of.shown() + seconds))
    }

    /// Its date.
    pub fn date(self) -> Date {
        Date::of_shown(self.0)
    }
}

/// What is kept; without any of these there is one backup, which the next one replaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Keep {
    /// So many of the newest.
    pub newest: Option<usize>,
    /// The newest of each of so many weeks, the last ones that have any.
    pub weekly: Option<usize>,
    /// The newest of each of so many months, the last ones that have any.
    pub monthly: Option<usize>,
}

impl Keep {
    /// Whether backups have dates in their names.
    pub fn is_dated(&self) -> bool {
        *self != Keep::default()
    }

    /// Which of these go, by their places, after a good one was `made`. That one stays, and so does what is dated so far ahead
    /// of it that one of the two clocks was wrong.
    pub fn superfluous(&self, backups: &[Stamp], made: Stamp) -> Vec<usize> {
        if !self.is_dated() {
            return Vec::new();
        }
        let all = backups.iter().copied().enumerate();
        let mut order: Vec<_> = all.filter(|(_, stamp)| stamp.0.saturating_sub(made.0) <= TOO_FAR_AHEAD).collect();
        order.sort_by_key(|(_, stamp)| Reverse(*stamp));
        let newest = order.iter().map(|(at, _)| *at).take(self.newest.unwrap_or(0));
        let weekly = firsts(&order, self.weekly, Date::week);
        let monthly = firsts(&order, self.monthly, Date::month);
        let stay: Vec<usize> = newest.chain(weekly).chain(monthly).collect();
        let goes = |(at, stamp): &(usize, Stamp)| *stamp != made && !stay.contains(at);
        order.iter().filter(|backup| goes(backup)).map(|(at, _)| *at).collect()
    }
}

/// The first of each of so many spans of time, in this order.
fn firsts<Span: PartialEq>(order: &[(usize, Stamp)], most: Option<usize>, span: fn(Date) -> Span) -> Vec<usize> {
    let mut spans = order.to_vec();
    spans.dedup_by_key(|(_, stamp)| span(stamp.date()));
    spans.into_iter().map(|(at, _)| at).take(most.unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests;
