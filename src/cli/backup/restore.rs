//! `dogwatch backup verify`, `contents` and `restore`: what reads backups. None of them needs a schedule, and with a file's
//! path none needs a backup directory; nothing is written but below the directory that is restored into.

use crate::cli::daemon::failed;
use crate::cli::out;
use crate::cli::watching::absolute;
use crate::engine::due::Date;
use crate::jobs::archive::Sums;
use crate::jobs::archive::extract::{Extracted, Options, extract};
use crate::jobs::archive::member::{Member, What};
use crate::jobs::archive::read::Archive;
use crate::parts::beneath::Root;
use crate::parts::diag::Failure;
use crate::parts::log::Level;
use crate::parts::text::{Escaped, to_bytes};
use crate::parts::worker::Report;
use crate::parts::zone::{Zone, here};
use crate::sources::backup::book::Book;
use crate::sources::backup::keep::{SUFFIX, Stamp};
use crate::sys::fs::{self, CWD, Kind, Open};
use crate::sys::{Errno, Fd};
use std::cell::RefCell;
use std::os::fd::AsFd;
use std::process::ExitCode;

/// A listing is printed in parts of about so many bytes.
const PART: usize = 32 << 10;
/// What a mode consists of, from the highest bit on.
const BITS: &[u8; 9] = b"rwxrwxrwx";

/// One of these commands, if the words are; `dir` is the backup directory.
pub fn run(words: &[&str], dir: &str, overwrite: bool) -> Option<Result<ExitCode, ExitCode>> {
    Some(match words {
        ["verify"] => all(dir).map_err(failed).and_then(|paths| verify(&paths)),
        ["verify", which] => find(dir, which).map_err(failed).and_then(|paths| verify(&paths)),
        ["contents", which] => newest(dir, which).and_then(|path| contents(&path)),
        ["restore", which, into, paths @ ..] => {
            let paths = paths.iter().map(|path| to_bytes(path)).collect();
            newest(dir, which).and_then(|path| restore(&path, &to_bytes(into), &Options { paths, overwrite }))
        }
        _ => return None,
    })
}

/// Reads all of each archive, and prints a line for each.
fn verify(paths: &[Vec<u8>]) -> Result<ExitCode, ExitCode> {
    let (mut are_good, mut status) = (true, ExitCode::SUCCESS);
    for path in paths {
        let line = match read_through(path) {
            Ok(Sums { members, bytes, .. }) => format!("{}: {members} members, {bytes} bytes\n", Escaped(path)),
            Err(failure) => {
                are_good = false;
                failed(failure);
                format!("{}: failed\n", Escaped(path))
            }
        };
        status = print(&line, are_good)?;
    }
    Ok(status)
}

fn read_through(path: &[u8]) -> Result<Sums, Failure> {
    let file = open(path)?;
    let report = RefCell::new(Report::to_people());
    let mut archive = begin(&file, path, &report)?;
    while archive.next()?.is_some() {}
    Ok(archive.sums())
}

/// Prints a line for each member, up to a damage.
fn contents(path: &[u8]) -> Result<ExitCode, ExitCode> {
    let file = open(path).map_err(failed)?;
    let mut archive = Archive::new(file.as_fd(), path).map_err(failed)?;
    let zone = here::zone();
    let mut text = String::new();
    let ended = loop {
        match archive.next() {
            Ok(Some(member)) => text += &line(&member, &zone),
            Ok(None) => break Ok(()),
            Err(failure) => break Err(failure),
        }
        if text.len() > PART {
            out::print(&std::mem::take(&mut text))?;
        }
    };
    let status = print(&text, ended.is_ok())?;
    ended.map_err(failed).map(|()| status)
}

/// Restores an archive below a directory, and prints how much of it.
fn restore(path: &[u8], into: &[u8], options: &Options) -> Result<ExitCode, ExitCode> {
    let dir = absolute(into).map_err(failed)?;
    let no_dir = |refused| Failure::on_path("restore into", &dir, refused).hint("name a directory that is there");
    let root = Root::open(&dir).map_err(|refused| failed(no_dir(refused)))?;
    let file = open(path).map_err(failed)?;
    let mut extracted = Extracted::default();
    let report = RefCell::new(Report::to_people());
    let mut tell = |failure: &Failure| report.borrow_mut().log(Level::Warning, &failure.to_string());
    let done = begin(&file, path, &report)
        .and_then(|mut archive| extract(&mut archive, &root, options, &mut extracted, &mut tell));
    let is_whole = done.is_ok() && extracted.failed == 0;
    done.err().iter().for_each(&mut tell);
    drop(report);
    if !extracted.lost.is_empty() {
        let lost = extracted.lost.into_iter().collect::<Vec<_>>().join(", ");
        out::complain(&format!("dogwatch: warning: the file system does not keep all of it: {lost}\n"));
    }
    let not = if extracted.failed > 0 { format!(", {} not", extracted.failed) } else { String::new() };
    print(&format!("{}: {} members restored{not}\n", Escaped(path), extracted.restored), is_whole)
}

/// Prints a result; the exit status tells whether it is good, also whom it does not reach.
pub(super) fn print(line: &str, is_good: bool) -> Result<ExitCode, ExitCode> {
    out::print(line).map_err(|status| if is_good { status } else { ExitCode::FAILURE })?;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Devices may have no end, and pipes nobody at theirs.
fn open(path: &[u8]) -> Result<Fd, Failure> {
    let fail = |errno| Failure::on_path("read", path, errno);
    let file = fs::open(CWD, path, Open::ReadFollowing).map_err(fail)?;
    match fs::stat(file.as_fd(), b"").map_err(fail)?.kind {
        Kind::File => Ok(file),
        Kind::Directory => Err(fail(Errno::EISDIR)),
        Kind::Symlink | Kind::Fifo | Kind::Socket | Kind::Character | Kind::Block | Kind::Unknown => {
            Err(Failure::on_path("read", path, "it is no regular file"))
        }
    }
}

/// Begins to read; a terminal is shown how far that is.
fn begin<'a>(file: &'a Fd, path: &'a [u8], report: &'a RefCell<Report>) -> Result<Archive<'a>, Failure> {
    let size = fs::stat(file.as_fd(), b"").map_or(0, |found| found.size);
    Archive::heard(file.as_fd(), path, move |read| report.borrow_mut().progress(read, size))
}

fn book(dir: &str) -> Result<Book, Failure> {
    absolute(&to_bytes(dir)).and_then(|path| Book::open(&path))
}

/// All backups.
fn all(dir: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let book = book(dir)?;
    let paths: Vec<_> = book.names()?.iter().map(|name| book.path_of(&Book::shown(name))).collect();
    let none = || Failure::on_path("verify backups in", &book.path, "there is none").hint("name the directory by -C");
    if paths.is_empty() { Err(none()) } else { Ok(paths) }
}

fn newest(dir: &str, which: &str) -> Result<Vec<u8>, ExitCode> {
    find(dir, which).map(|paths| paths.into_iter().next().unwrap_or_default()).map_err(failed)
}

/// What a word of the command line means, newest first; at least one. A path has a slash in it. Other words are names of
/// schedules, that with a date, files as `backups` shows them, and only then files of the working directory.
fn find(dir: &str, which: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let word = to_bytes(which);
    if word.contains(&b'/') {
        return Ok(vec![word]);
    }
    let book = book(dir)?;
    let names = book.names()?;
    let of_date = || {
        let (name, date) = which.rsplit_once('@')?;
        Some(newest_first(&book, &names, &to_bytes(name), Some(Date::parse(date)?)))
    };
    let mut found = newest_first(&book, &names, &word, None);
    if found.is_empty() {
        found = of_date().unwrap_or_default();
    }
    if found.is_empty() && names.contains(&word) {
        found.push(word.clone());
    }
    if found.is_empty() {
        fs::stat(CWD, &word).map_err(|errno| {
            let failure = Failure::on_path("find a backup or a file", &word, errno);
            failure.hint(&format!("backups are in {}: see dogwatch backup backups", Escaped(&book.path)))
        })?;
        return Ok(vec![word]);
    }
    Ok(found.iter().map(|name| book.path_of(&Book::shown(name))).collect())
}

/// Backups of a schedule's name, of this date if there is one.
fn newest_first(book: &Book, names: &[Vec<u8>], name: &[u8], date: Option<Date>) -> Vec<Vec<u8>> {
    let zone = here::zone();
    let stamp_of = |file: &Vec<u8>| match file.strip_prefix(name)? {
        SUFFIX => {
            let written = fs::stat(CWD, &book.path_of(&Book::shown(file))).ok()?.mtime.0;
            Stamp::parse(zone.civil(written).compact().as_bytes())
        }
        _ => Stamp::of_file(file, name),
    };
    let stamped = names.iter().filter_map(|file| Some((stamp_of(file)?, file)));
    let mut found: Vec<_> = stamped.filter(|(stamp, _)| date.is_none_or(|date| stamp.date() == date)).collect();
    found.sort_unstable();
    found.into_iter().rev().map(|(_, file)| file.clone()).collect()
}

/// A member as `tar tvf --numeric-owner` shows it.
fn line(member: &Member, zone: &Zone) -> String {
    let (kind, size, target) = match &member.what {
        What::File(size) => ('-', size.to_string(), None),
        What::Directory => ('d', "0".to_owned(), None),
        What::Symlink(target) => ('l', "0".to_owned(), Some((" -> ", target))),
        What::Link(first) => ('h', "0".to_owned(), Some((" link to ", first))),
        What::Fifo => ('p', "0".to_owned(), None),
        What::Character((major, minor)) => ('c', format!("{major},{minor}"), None),
        What::Block((major, minor)) => ('b', format!("{major},{minor}"), None),
        What::Other(_) => ('?', "0".to_owned(), None),
    };
    let at = zone.civil(member.mtime.0);
    let time = format!("{:04}-{:02}-{:02} {:02}:{:02}", at.year, at.month, at.day, at.hour, at.minute);
    let owner = format!("{}/{}", member.uid, member.gid);
    let target = target.map(|(between, target)| format!("{between}{}", Escaped(target))).unwrap_or_default();
    format!("{kind}{} {owner:<9} {size:>9} {time} {}{target}\n", mode(member.mode), Escaped(&member.name))
}

/// Permission bits, as ls(1) shows them.
fn mode(mode: u32) -> String {
    let bit = |(at, letter): (usize, &u8)| {
        let is_set = mode & (0o400 >> at) != 0;
        let special = match at {
            2 if mode & 0o4000 != 0 => b's',
            5 if mode & 0o2000 != 0 => b's',
            8 if mode & 0o1000 != 0 => b't',
            _ => return char::from(if is_set { *letter } else { b'-' }),
        };
        char::from(if is_set { special } else { special.to_ascii_uppercase() })
    };
    BITS.iter().enumerate().map(bit).collect()
}
