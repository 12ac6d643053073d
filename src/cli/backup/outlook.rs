//! `dogwatch backup status` and `next`: when backups are due, and how old the last ones are.

use crate::engine::due::{Date, Plan};
use crate::parts::diag::Failure;
use crate::parts::duration::Millis;
use crate::parts::text::Escaped;
use crate::parts::zone::{Civil, Zone};
use crate::sources::backup::book::Book;
use crate::sources::backup::keep::{SUFFIX, Stamp};
use crate::sources::backup::schedule::{Listing, Schedule};
use crate::sys::fs::{self, CWD};

const MINUTE: i64 = 60;
/// So far back it is looked for a last due date.
const MOST_DAYS: i64 = 15;

/// A schedule's line of the status, and whether a backup is overdue.
pub fn state(book: &Book, schedule: &Schedule, zone: &Zone, now: i64) -> Result<(String, bool), Failure> {
    let plan = &schedule.plan;
    let last = last_made(book, schedule)?;
    let is_overdue = last.is_some_and(|last| is_overdue(plan, zone, last, now));
    let next = plan.next_due(zone, now).map_or("never".to_owned(), |(date, due)| {
        format!("{} (in {}){}", shown(zone, due), ago(due - now), oddity(plan, zone, date, due))
    });
    let last = last.map_or("never".to_owned(), |last| format!("{} ({} ago)", shown(zone, last), ago(now - last)));
    let mark = if is_overdue { ", OVERDUE" } else { "" };
    Ok((format!("{}: next {next}, last {last}{mark}\n", Escaped(&plan.key.name)), is_overdue))
}

/// The next instants at which anything is due, in lines.
pub fn next(listing: &Listing, zone: &Zone, now: i64, count: usize) -> String {
    let mut dues: Vec<(i64, String)> = Vec::new();
    for (_, schedule) in &listing.good {
        let mut after = now;
        for _ in 0..count {
            let Some((date, due)) = schedule.plan.next_due(zone, after) else { break };
            let name = Escaped(&schedule.plan.key.name).to_string();
            dues.push((due, format!("{}  {name}{}\n", shown(zone, due), oddity(&schedule.plan, zone, date, due))));
            after = due;
        }
    }
    dues.sort();
    dues.into_iter().take(count).map(|(_, line)| line).collect()
}

/// When the last backup of a schedule came to its end.
fn last_made(book: &Book, schedule: &Schedule) -> Result<Option<i64>, Failure> {
    let name = &schedule.plan.key.name;
    let own = [&name[..], SUFFIX].concat();
    let is_own = |file: &Vec<u8>| *file == own || Stamp::of_file(file, name).is_some();
    let times = book.names()?.into_iter().filter(is_own).map(|file| {
        let path = book.path_of(&Book::shown(&file));
        fs::stat(CWD, &path).map(|found| found.mtime.0).map_err(|errno| Failure::on_path("look at", &path, errno))
    });
    Ok(times.collect::<Result<Vec<i64>, Failure>>()?.into_iter().max())
}

/// Whether a backup should have been made since the last one.
fn is_overdue(plan: &Plan, zone: &Zone, last: i64, now: i64) -> bool {
    let from = last.max(now - MOST_DAYS * 86_400);
    let late = i64::try_from(plan.catchup.0 / 1_000).unwrap_or(i64::MAX).max(MINUTE);
    plan.next_due(zone, from).is_some_and(|(_, due)| due.saturating_add(late) < now)
}

/// Why it is due at another time than its schedule says, or which of two.
fn oddity(plan: &Plan, zone: &Zone, date: Date, due: i64) -> String {
    let Civil { hour, minute, .. } = zone.civil(due);
    if format!("{hour:02}:{minute:02}") != plan.key.time.to_string() {
        return format!(" (the clocks are set forward over {} on {date})", plan.key.time);
    }
    let is_twice = zone.next_transition(due).is_some_and(|at| {
        let back = i64::from(zone.offset_at(at - 1)) - i64::from(zone.offset_at(at));
        back > 0 && due >= at - back
    });
    if is_twice { format!(" (the first of two {}: the clocks are set back)", plan.key.time) } else { String::new() }
}

/// `2026-11-21 16:07 +0100`
fn shown(zone: &Zone, instant: i64) -> String {
    let Civil { year, month, day, hour, minute, .. } = zone.civil(instant);
    let offset = zone.offset_at(instant);
    let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs() / 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} {sign}{:02}{:02}", minutes / 60, minutes % 60)
}

fn ago(seconds: i64) -> Millis {
    let seconds = seconds.max(0).unsigned_abs();
    let unit = [86_400, 3_600, 60].into_iter().find(|unit| seconds >= unit * 2).unwrap_or(1);
    Millis(seconds / unit * unit * 1_000)
}

#[cfg(test)]
mod tests;
