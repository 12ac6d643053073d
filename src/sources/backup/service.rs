//! Making backups, in a worker: one at each call, the one that is due first; then it is told when the next is.

use super::book::{self, Book, Who};
use super::keep::Stamp;
use super::runs::Runs;
use super::schedule::{Listing, Schedule};
use crate::engine::due::{Date, Finding, Look, Plan, Record};
use crate::jobs::archive::write::{self, Options, Source};
use crate::parts::diag::Failure;
use crate::parts::duration::Millis;
use crate::parts::publish::{Over, Target};
use crate::parts::worker::Report;
use crate::parts::zone::{Zone, here};
use crate::sys::fs::{self, Kind, Open};
use crate::sys::{change, clock};
use std::os::fd::AsFd;

/// Looks what is to be done; `value` is a date, a NUL and the backup directory. The answer is the path of the backup that was
/// made, if there was one.
pub fn run(value: &[u8], report: &mut Report) -> Result<Option<Vec<u8>>, String> {
    let path = value.splitn(2, |byte| *byte == 0).nth(1).ok_or("its values cannot be read")?;
    Book::open(path).and_then(|book| look(&book, report)).map_err(|failure| failure.to_string())
}

fn look(book: &Book, report: &mut Report) -> Result<Option<Vec<u8>>, Failure> {
    let zone = here::zone();
    let listing = Listing::read(&book.schedules()?);
    for (index, wrong) in &listing.bad {
        book.log(Who::Service, &format!("Error: malformed schedule at index {index}: {wrong}"))?;
    }
    let plans: Vec<&Plan> = listing.good.iter().map(|(_, schedule)| &schedule.plan).collect();
    let mut runs = book.runs()?;
    let now = clock::wall_now();
    let look = Look { now, last: runs.last.unwrap_or(now), zone: &zone, starting: true };
    let mut to_run = Vec::new();
    let mut gone = Vec::new();
    for finding in look.findings(&plans, &runs.records) {
        match finding {
            Finding::Failed(at) => {
                if let Some(record) = runs.records.get_mut(at) {
                    record.finished = true;
                    let source = book::line(&record.key.path);
                    book.log(Who::Service, &format!("Backup failed for {source}: it was cut off"))?;
                }
            }
            Finding::Ahead(at) => {
                gone.push(at);
                let source = runs.records.get(at).map(|record| book::line(&record.key.path)).unwrap_or_default();
                let text = format!("Error: the clock was wrong: a run for {source} is dated ahead, and forgotten");
                book.log(Who::Service, &text)?;
            }
            Finding::Old(at) => gone.push(at),
            Finding::Run(at, date) => to_run.push((at, date)),
            Finding::Missed(at, date) => {
                let source = plans.get(at).map(|plan| book::line(&plan.key.path)).unwrap_or_default();
                book.log(Who::Service, &format!("Error: backup missed for {source} on {date}"))?;
            }
        }
    }
    let mut at = 0;
    runs.records.retain(|_| {
        at += 1;
        !gone.contains(&(at - 1))
    });
    // All of them have begun, as far as the next look is concerned, only when they have.
    let first = to_run.first().and_then(|(at, date)| Some((&listing.good.get(*at)?.1, *date)));
    if to_run.len() < 2 {
        runs.last = Some(now);
    }
    let made = match first {
        Some((schedule, date)) => Some(one(book, schedule, date, (&mut runs, &zone), report)?),
        None => book.keep_runs(&runs).map(|()| None)?,
    };
    if to_run.len() > 1 {
        report.again(Millis(0));
    }
    let next = plans.iter().filter_map(|plan| plan.next_due(&zone, now)).map(|(_, due)| due).min();
    next.into_iter().for_each(|due| report.at(due));
    made.transpose()
}

/// Makes a backup; that it is begun and that it has ended are written down.
fn one(
    book: &Book,
    schedule: &Schedule,
    date: Date,
    (runs, zone): (&mut Runs, &Zone),
    report: &mut Report,
) -> Result<Result<Vec<u8>, Failure>, Failure> {
    let key = schedule.plan.key.clone();
    runs.records.push(Record { key, date, finished: false });
    book.keep_runs(runs)?;
    let made = make(book, schedule, zone, report);
    runs.records.iter_mut().for_each(|record| record.finished = true);
    book.keep_runs(runs)?;
    Ok(made)
}

/// Makes a backup now, and tells the log how that has ended. The answer is its path.
pub fn make(book: &Book, schedule: &Schedule, zone: &Zone, report: &mut Report) -> Result<Vec<u8>, Failure> {
    let source = book::line(&schedule.plan.key.path);
    match archive(book, schedule, zone, report) {
        Ok(name) => {
            book.log(Who::Service, &format!("Backup done for {source} in {}", book::line(&Book::shown(&name))))?;
            forget(book, schedule, &name)?;
            Ok(book.path_of(&Book::shown(&name)))
        }
        Err(failure) => {
            book.log(Who::Service, &format!("Backup failed for {source}: {failure}"))?;
            Err(failure)
        }
    }
}

/// The answer is the backup's name.
fn archive(book: &Book, schedule: &Schedule, zone: &Zone, report: &mut Report) -> Result<Vec<u8>, Failure> {
    let key = &schedule.plan.key;
    let fail = |reason: &dyn std::fmt::Display| Failure::on_path("back up", &key.path, reason);
    let path = trimmed(&key.path);
    let slash = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (above, name) = path.split_at(slash);
    let above = if above.is_empty() { b"." } else { above };
    let parent = fs::open(book.dir.as_fd(), above, Open::Directory).map_err(|errno| fail(&errno))?;
    let name = if name.is_empty() || name == b".." { &b"."[..] } else { name };
    let found = fs::stat(parent.as_fd(), name).map_err(|errno| fail(&errno))?;
    if found.kind == Kind::Symlink {
        return Err(fail(&"it is a symbolic link: name what it leads to"));
    }
    let is_named = |part: &&[u8]| !matches!(*part, b"" | b"." | b"..");
    let member = path.split(|byte| *byte == b'/').filter(is_named).collect::<Vec<_>>().join(&b'/');
    let member = if member.is_empty() { b"." } else { &member[..] };
    let backups = book.backups()?;
    let dir = fs::stat(backups.as_fd(), b"").map_err(|errno| fail(&errno))?;
    let options = Options {
        excludes: schedule.excludes.clone(),
        one_file_system: schedule.one_file_system,
        skip_caches: true,
        left_out: vec![dir.id()],
        level: schedule.level,
        mode: 0o600,
        over: Over::File,
    };
    let stamp =
        if schedule.keep.is_dated() { format!("-{}", zone.civil(clock::wall_now()).compact()) } else { String::new() };
    let called = [&key.name[..], stamp.as_bytes(), b".tar"].concat();
    let backups_path = book.path_of(&Book::shown(b""));
    let dir_path = backups_path.strip_suffix(b"/").unwrap_or(&backups_path);
    let target = Target { dir: backups.as_fd(), dir_path, name: &called, patient: true };
    write::write(&[Source { parent: parent.as_fd(), name, member }], target, &options, report)?;
    Ok(called)
}

/// A path without `./` before it and slashes behind it.
fn trimmed(path: &[u8]) -> &[u8] {
    let mut path = path;
    while let Some(rest) = path.strip_prefix(b"./").filter(|rest| !rest.is_empty()) {
        path = rest;
    }
    while let Some(rest) = path.strip_suffix(b"/").filter(|rest| !rest.is_empty()) {
        path = rest;
    }
    path
}

/// Removes backups that are not kept any more, after this one was made.
fn forget(book: &Book, schedule: &Schedule, made: &[u8]) -> Result<(), Failure> {
    let name = &schedule.plan.key.name;
    let Some(made) = Stamp::of_file(made, name) else { return Ok(()) };
    let dated: Vec<(Vec<u8>, Stamp)> =
        book.names()?.into_iter().filter_map(|file| Stamp::of_file(&file, name).map(|stamp| (file, stamp))).collect();
    let stamps: Vec<Stamp> = dated.iter().map(|(_, stamp)| *stamp).collect();
    let backups = book.backups()?;
    for (file, _) in schedule.keep.superfluous(&stamps, made).into_iter().filter_map(|at| dated.get(at)) {
        let fail = |errno| Failure::on_path("remove the older backup", &book.path_of(&Book::shown(file)), errno);
        change::unlink(backups.as_fd(), file).map_err(fail)?;
    }
    Ok(())
}
