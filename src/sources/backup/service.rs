//! Making backups, in a worker: one at each call, the one that is due first; then it is told when the next is.

use super::agenda::Agenda;
use super::book::{self, Book, Who};
use super::keep::{INCOMPLETE, SUFFIX, Stamp};
use super::runs::Runs;
use super::schedule::{Listing, Schedule};
use crate::engine::due::{Date, Record};
use crate::jobs::archive::write::{self, Options, Source};
use crate::parts::diag::Failure;
use crate::parts::duration::Millis;
use crate::parts::log::Level;
use crate::parts::publish::{Over, Target};
use crate::parts::worker::Report;
use crate::parts::zone::{Zone, here};
use crate::sys::fs::{self, Kind, Open};
use crate::sys::{Fd, change, clock};
use std::os::fd::AsFd;

/// Whoever could not look looks again after so many seconds.
const AFTER_FAILURE: i64 = 10;

/// Looks what is to be done; `value` is a date, a NUL and the backup directory. The answer is the path of the backup that was
/// made, if there was one.
pub fn run(value: &[u8], report: &mut Report) -> Result<Option<Vec<u8>>, String> {
    let path = value.splitn(2, |byte| *byte == 0).nth(1).ok_or("its values cannot be read")?;
    let looked = Book::open(path)
        .and_then(|book| look(&book, report).inspect_err(|failure| tell(&book, report, &format!("Error: {failure}"))));
    if looked.is_err() {
        // Not as a task that goes on, which the service's end would wait for.
        report.at(clock::wall_now().saturating_add(AFTER_FAILURE));
    }
    looked.and_then(|made| made).map_err(|failure| failure.to_string())
}

/// The error is one of the look itself; within, what has become of the backup that it found to be due.
fn look(book: &Book, report: &mut Report) -> Result<Result<Option<Vec<u8>>, Failure>, Failure> {
    let (zone, listing, mut runs) = (here::zone(), Listing::read(&book.schedules()?), book.runs()?);
    let agenda = Agenda::new(clock::wall_now(), &zone, &listing, &mut runs);
    agenda.told.iter().for_each(|text| tell(book, report, text));
    let first = agenda.to_run.first().and_then(|(at, date)| Some((&listing.good.get(*at)?.1, *date)));
    let made = match first {
        Some((schedule, date)) => one(book, (schedule, date), (&mut runs, &zone), agenda.since, report)?.map(Some),
        None => book.keep_runs(&runs).map(|()| Ok(None))?,
    };
    if agenda.to_run.len() > 1 {
        report.again(Millis(0));
    }
    agenda.next.into_iter().for_each(|due| report.at(due));
    Ok(made)
}

/// Makes a backup; that it is begun and that it has ended are written down, with `since` when backups are being made.
fn one(
    book: &Book,
    (schedule, date): (&Schedule, Date),
    (runs, zone): (&mut Runs, &Zone),
    since: i64,
    report: &mut Report,
) -> Result<Result<Vec<u8>, Failure>, Failure> {
    let key = schedule.plan.key.clone();
    runs.records.push(Record { key, date, finished: false });
    book.keep_runs(runs)?;
    // By the boot clock: one that is set meanwhile has not gone on.
    let (wall, boot) = (clock::wall_now(), clock::boot_now().0);
    let made = make(book, schedule, zone, report);
    let took = clock::boot_now().0.saturating_sub(boot) / 1_000;
    runs.busy = Some((since, wall.saturating_add_unsigned(took)));
    runs.records.iter_mut().for_each(|record| record.finished = true);
    book.keep_runs(runs)?;
    Ok(made)
}

/// Adds to the service's log. Where that cannot be, the loop's log has it: a backup is worth more than a line.
fn tell(book: &Book, report: &mut Report, text: &str) {
    if let Err(failure) = book.log(Who::Service, text) {
        report.log(Level::Error, &format!("{text} ({failure})"));
    }
}

/// Makes a backup now, and tells the log how that has ended. The answer is its path.
pub fn make(book: &Book, schedule: &Schedule, zone: &Zone, report: &mut Report) -> Result<Vec<u8>, Failure> {
    let source = book::line(&schedule.plan.key.path);
    // Those of this one.
    report.warning();
    let made = archive(book, schedule, zone, report);
    let text = match &made {
        Ok((name, _)) => format!("Backup done for {source} in {}", book::line(&Book::shown(name))),
        Err(failure) => format!("Backup failed for {source}: {failure}"),
    };
    tell(book, report, &text);
    let (name, is_whole) = made?;
    if !is_whole {
        let why = report.warning().unwrap_or_default();
        tell(book, report, &format!("Error: not all of {source} is in its backup as it was: {why}"));
    }
    if let Err(failure) = forget(book, schedule, &name) {
        tell(book, report, &format!("Error: {failure}"));
    }
    Ok(book.path_of(&Book::shown(&name)))
}

/// What [`make`] would do now, in lines. Nothing is changed.
pub fn rehearse(book: &Book, schedule: &Schedule, zone: &Zone) -> Result<String, Failure> {
    let Spot { called, .. } = Spot::find(book, schedule, zone)?;
    let shown = |name: &[u8]| book::line(&Book::shown(name));
    let mut text = format!("would back up {} in {}\n", book::line(&schedule.plan.key.path), shown(&called));
    for name in superfluous(book, schedule, &called)? {
        text += &format!("would remove {}\n", shown(&name));
    }
    Ok(text)
}

/// Where a schedule's source is, and how its backup is to be called.
struct Spot {
    parent: Fd,
    name: Vec<u8>,
    /// Its name in the archive.
    member: Vec<u8>,
    called: Vec<u8>,
}

impl Spot {
    fn find(book: &Book, schedule: &Schedule, zone: &Zone) -> Result<Spot, Failure> {
        let key = &schedule.plan.key;
        let (above, name, member) = place_of(&key.path);
        let parent = fs::open(book.dir.as_fd(), &above, Open::Directory).map_err(|errno| failed(schedule, errno))?;
        let found = fs::stat(parent.as_fd(), &name).map_err(|errno| failed(schedule, errno))?;
        if found.kind == Kind::Symlink {
            return Err(failed(schedule, "it is a symbolic link: name what it leads to"));
        }
        let date = if schedule.keep.is_dated() { zone.civil(clock::wall_now()).compact() } else { String::new() };
        let dash: &[u8] = if date.is_empty() { b"" } else { b"-" };
        Ok(Spot { parent, name, member, called: [&key.name, dash, date.as_bytes(), SUFFIX].concat() })
    }
}

fn failed(schedule: &Schedule, reason: impl std::fmt::Display) -> Failure {
    Failure::on_path("back up", &schedule.plan.key.path, reason)
}

/// The answer is the backup's name, and whether all is in it as it was.
fn archive(book: &Book, schedule: &Schedule, zone: &Zone, report: &mut Report) -> Result<(Vec<u8>, bool), Failure> {
    let Spot { parent, name, member, called } = Spot::find(book, schedule, zone)?;
    let backups = book.backups()?;
    let dir = fs::stat(backups.as_fd(), b"").map_err(|errno| failed(schedule, errno))?;
    let options = Options {
        excludes: schedule.excludes.clone(),
        one_file_system: schedule.one_file_system,
        skip_caches: true,
        left_out: vec![dir.id()],
        level: schedule.level,
        mode: Some(0o600),
        over: Over::File,
    };
    let backups_path = book.path_of(&Book::shown(b""));
    let dir_path = backups_path.strip_suffix(b"/").unwrap_or(&backups_path);
    let target = Target { dir: backups.as_fd(), dir_path, name: &called, patient: true };
    let source = Source { parent: parent.as_fd(), name: &name, member: &member };
    let incomplete = incomplete(schedule);
    let mut prepared = write::prepare(std::iter::once(source), target, &options, report)?;
    let kept = &prepared.written.kept;
    let (is_there, is_whole) = (kept.iter().all(|kept| kept.version.is_some()), kept.iter().all(|kept| kept.is_safe));
    if !is_there {
        // What was backed up before is better than nothing.
        let why = report.warning().unwrap_or_else(|| "there is nothing of it to be archived".to_owned());
        return Err(failed(schedule, why));
    }
    let Some(unread) = prepared.written.unread.clone() else { return prepared.publish().map(|_| (called, is_whole)) };
    // And better than a part, which is worth something all the same.
    prepared.call(&incomplete);
    prepared.publish()?;
    let rest = format!("all that could be read is in {}", book::line(&Book::shown(&incomplete)));
    Err(failed(schedule, unread).hint(&rest))
}

/// The directory in which a source stands, from the backup directory; its name there; and what it is called in the archive: its
/// path without what would lead out of where it is restored, a leading `/` and all up to the last `..`, as GNU tar has it.
fn place_of(path: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    let member = parts.rsplit(|part| *part == b"..").next().unwrap_or_default().join(&b'/');
    let (above, name) = match parts.split_last() {
        Some((name, above)) if *name != b".." => (above, *name),
        Some(_) | None => (&parts[..], &b"."[..]),
    };
    let start: &[u8] = if path.starts_with(b"/") { b"/" } else { b"./" };
    let member = if member.is_empty() { b".".to_vec() } else { member };
    ([start, &above.join(&b'/')].concat(), name.to_vec(), member)
}

/// What a schedule's backup is called that lacks what could not be read.
fn incomplete(schedule: &Schedule) -> Vec<u8> {
    [&schedule.plan.key.name, INCOMPLETE, SUFFIX].concat()
}

/// Removes backups that are not kept any more, after this one was made.
fn forget(book: &Book, schedule: &Schedule, made: &[u8]) -> Result<(), Failure> {
    let backups = book.backups()?;
    for file in superfluous(book, schedule, made)? {
        let fail = |errno| Failure::on_path("remove the older backup", &book.path_of(&Book::shown(&file)), errno);
        change::unlink(backups.as_fd(), &file).map_err(fail)?;
    }
    Ok(())
}

/// Backups that are not kept once this one is made.
fn superfluous(book: &Book, schedule: &Schedule, made: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let (name, incomplete, mut names) = (&schedule.plan.key.name, incomplete(schedule), book.names()?);
    let of = |file: &[u8]| Stamp::of_file(file, name);
    let mut gone: Vec<Vec<u8>> = names.iter().filter(|file| **file == incomplete).cloned().collect();
    names.retain(|file| of(file).is_some());
    let mut stamps: Vec<Stamp> = names.iter().filter_map(|file| of(file)).collect();
    if let Some(made) = of(made) {
        // It may not be there yet.
        stamps.extend((!stamps.contains(&made)).then_some(made));
        gone.extend(schedule.keep.superfluous(&stamps, made).into_iter().filter_map(|at| names.get(at).cloned()));
    }
    Ok(gone)
}
