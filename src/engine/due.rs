//! Due dates: when what is to happen daily at hh:mm is due by the clocks of a zone, and what is to run now.
//!
//! What counts is the local date: each has one run, whatever the clocks do. No clock is read here; whoever does the work says
//! what time it is, when it looked last, and which runs there were.

use crate::parts::duration::Millis;
use crate::parts::zone::{Zone, civil_from_days, days_from_civil};
use std::fmt;

const MINUTE: i64 = 60;
const DAY: i64 = 86_400;
/// No zone's clocks are ahead of UTC by that (RFC 9636 section 3.2).
const FURTHEST_EAST: i64 = 26 * 3600;
/// What is dated further ahead than that, in seconds, was dated by a clock that was wrong.
pub const TOO_FAR_AHEAD: i64 = 48 * 3600;
/// The names of [`Days`], as they are written.
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// A weekday comes again within so many dates, even if a zone leaves one of them out.
const TWO_WEEKS: i64 = 15;
/// So many runs of a schedule are remembered. A clock that is set back by less than [`TOO_FAR_AHEAD`] finds its dates among
/// them, also if it had dated a few runs wrongly.
const REMEMBERED: usize = 8;

/// A local date, in days since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Date(i64);

impl Date {
    /// A date of the calendar, month and day from 1; `None` if it has no such date.
    pub fn new(year: i64, month: u8, day: u8) -> Option<Date> {
        let days = days_from_civil(year, month, day);
        (civil_from_days(days) == (year, month, day)).then_some(Date(days))
    }

    /// Reads `2026-01-02`.
    pub fn parse(text: &str) -> Option<Date> {
        let (year, rest) = text.split_once('-')?;
        let (month, day) = rest.split_once('-')?;
        Date::new(digits(year, 4)?.into(), digits(month, 2)?.try_into().ok()?, digits(day, 2)?.try_into().ok()?)
    }

    /// The date on which clocks show so many seconds since 1970-01-01 00:00.
    pub fn of_shown(shown: i64) -> Date {
        Date(shown.div_euclid(DAY))
    }

    /// The first second of the date, as its clocks show it.
    pub fn shown(self) -> i64 {
        self.0.saturating_mul(DAY)
    }

    /// The number of its week: they begin on Mondays, as ISO 8601 has them.
    pub fn week(self) -> i64 {
        // 1970-01-01 was a Thursday.
        (self.0 + 3).div_euclid(7)
    }

    /// Its year and month.
    pub fn month(self) -> (i64, u8) {
        let (year, month, _) = civil_from_days(self.0);
        (year, month)
    }
}

impl fmt::Display for Date {
    /// `2026-01-02`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// A time of day, in minutes after 00:00.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Time(u16);

impl Time {
    /// Reads `hh:mm`, 00:00 to 23:59, two digits each.
    pub fn parse(text: &str) -> Option<Time> {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute) = (digits(hour, 2)?, digits(minute, 2)?);
        (hour < 24 && minute < 60).then_some(Time(hour * 60 + minute))
    }

    fn seconds(self) -> i64 {
        i64::from(self.0) * MINUTE
    }
}

impl fmt::Display for Time {
    /// `hh:mm`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// A number of exactly so many digits.
pub fn digits(text: &str, length: usize) -> Option<u16> {
    let is_number = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// Days of the week: a bit each, Monday's is the lowest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Days(u8);

impl Days {
    /// Every day.
    pub const ALL: Days = Days(0x7f);

    /// Reads `mon,tue`.
    pub fn parse(text: &str) -> Option<Days> {
        let mut days = Days(0);
        for word in text.split(',') {
            days.0 |= 1 << WEEKDAYS.iter().position(|name| *name == word)?;
        }
        Some(days)
    }

    fn contain(self, date: Date) -> bool {
        self.0 >> (date.0 + 3).rem_euclid(7) & 1 == 1
    }
}

/// What makes a schedule the same, whatever else of its line is changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// What is backed up, as the line has it.
    pub path: Vec<u8>,
    /// When.
    pub time: Time,
    /// The backup's name.
    pub name: Vec<u8>,
}

/// When a schedule is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Which schedule that is, and its time of day.
    pub key: Key,
    /// Dates on other days have no run.
    pub days: Days,
    /// How late a run may be made up that was missed.
    pub catchup: Millis,
}

impl Plan {
    /// When it is due at a date (Unix time in seconds); `None` if the date has no run: the zone leaves it out, or it is on
    /// another day of the week.
    pub fn due_of_date(&self, zone: &Zone, date: Date) -> Option<i64> {
        self.days.contain(date).then(|| due_of_date(zone, date, self.key.time)).flatten()
    }

    /// When it is due next after `after` (Unix times in seconds), and for which date.
    pub fn next_due(&self, zone: &Zone, after: i64) -> Option<(Date, i64)> {
        let today = Date::of_shown(shown(zone, after)).0;
        self.dues(zone, today..=today + TWO_WEEKS).find(|(_, due)| *due > after)
    }

    /// When it was due last, at or before `now`, and for which date.
    fn last_due(&self, zone: &Zone, now: i64) -> Option<(Date, i64)> {
        let today = Date::of_shown(shown(zone, now)).0;
        // Clocks that were set back over midnight have shown tomorrow's date before.
        self.dues(zone, (today - TWO_WEEKS..=today + 1).rev()).find(|(_, due)| *due <= now)
    }

    fn dues(&self, zone: &Zone, dates: impl Iterator<Item = i64>) -> impl Iterator<Item = (Date, i64)> {
        dates.map(Date).filter_map(|date| Some((date, self.due_of_date(zone, date)?)))
    }
}

/// The earliest instant of a date (Unix time in seconds) at which the zone's clocks show this time or a later one: where
/// clocks are set forward over it the first after that, where they are set back the first pass. If the date has none left, it
/// is the first of the next date; if there is no such date in the zone, there is none.
pub fn due_of_date(zone: &Zone, date: Date, time: Time) -> Option<i64> {
    let is_in_date = |t| Date::of_shown(shown(zone, t)) == date;
    let due = reached(zone, date.shown().saturating_add(time.seconds()));
    (is_in_date(due) || is_in_date(reached(zone, date.shown()))).then_some(due)
}

/// What the zone's clocks show at `t` (Unix time), in seconds since 1970-01-01 00:00.
fn shown(zone: &Zone, t: i64) -> i64 {
    t.saturating_add(zone.offset_at(t).into())
}

/// The first instant (Unix time) at which the zone's clocks show so many seconds since 1970-01-01 00:00, or more.
fn reached(zone: &Zone, wanted: i64) -> i64 {
    // They show less there, and before.
    let mut from = wanted.saturating_sub(FURTHEST_EAST);
    loop {
        let at = from.max(wanted.saturating_sub(zone.offset_at(from).into()));
        match zone.next_transition(from) {
            Some(next) if next <= at => from = next,
            Some(_) | None => return at,
        }
    }
}

/// A run that was begun.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Whose.
    pub key: Key,
    /// The date that it counts for.
    pub date: Date,
    /// Whether it has come to its end, a good or a bad one.
    pub finished: bool,
}

/// When somebody looks what is to be done.
pub struct Look<'a> {
    /// Unix time in seconds.
    pub now: i64,
    /// When was looked last, also if that was before a restart; `now`, if never. What was due by then is not made up: so
    /// whoever looks once more before new schedules are read makes up nothing for those.
    pub last: i64,
    /// The zone that holds now.
    pub zone: &'a Zone,
    /// Nothing runs yet: the service has just been started.
    pub starting: bool,
}

/// What is to be done. Schedules and records are told by their places in what [`Look::findings`] was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finding {
    /// The run of this record was cut off: it is to be told of, and is finished. Its date has had its run.
    Failed(usize),
    /// This record was dated by a clock that was wrong: that is to be told, and the record goes.
    Ahead(usize),
    /// This record can go: nobody will ask for it.
    Old(usize),
    /// This schedule is to run for this date. A record says so before it begins.
    Run(usize, Date),
    /// This schedule has missed its run for this date, and it is too late for it: that is to be told.
    Missed(usize, Date),
}

impl Look<'_> {
    /// What is to be done by these schedules, after these runs.
    pub fn findings(&self, plans: &[&Plan], records: &[Record]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (at, record) in records.iter().enumerate() {
            findings.extend((self.starting && !record.finished).then_some(Finding::Failed(at)));
            if self.ahead(record) > TOO_FAR_AHEAD {
                findings.push(Finding::Ahead(at));
            } else if self.is_old(record, plans, records) {
                findings.push(Finding::Old(at));
            }
        }
        let runs = plans.iter().enumerate().filter_map(|(at, plan)| self.run(at, plan, records));
        findings.extend(runs);
        findings
    }

    /// Of several dates that were missed the last counts: one backup is as good as two.
    fn run(&self, at: usize, plan: &Plan, records: &[Record]) -> Option<Finding> {
        let (date, due) = plan.last_due(self.zone, self.now)?;
        if records.iter().any(|record| record.key == plan.key && record.date == date) {
            return None;
        }
        let (late, is_new) = (self.now.saturating_sub(due), due > self.last);
        let in_time = late < MINUTE || is_new && late.unsigned_abs().saturating_mul(1_000) <= plan.catchup.0;
        if in_time { Some(Finding::Run(at, date)) } else { is_new.then_some(Finding::Missed(at, date)) }
    }

    /// How far ahead of the clocks the time of a run is, in seconds.
    fn ahead(&self, record: &Record) -> i64 {
        let time = record.date.shown().saturating_add(record.key.time.seconds());
        time.saturating_sub(shown(self.zone, self.now))
    }

    fn is_old(&self, record: &Record, plans: &[&Plan], records: &[Record]) -> bool {
        let is_newer = |other: &&Record| other.key == record.key && other.date > record.date;
        let is_known = plans.iter().any(|plan| plan.key == record.key);
        records.iter().filter(is_newer).count() >= REMEMBERED || !is_known && self.ahead(record) < -TOO_FAR_AHEAD
    }
}

#[cfg(test)]
mod tests;
