//! Collectors: once a spool, the directory `tmp` of a base directory, holds enough files, they go into an archive there.
//!
//! Whatever happens, every byte stands in the spool, in a claim (`claims`), or in a complete archive, and in one of them
//! alone: what was claimed cannot be opened by its path any more, an archive gets its name once nobody can write to what is in
//! it, and only then that goes. Runs in a worker, at every event of the spool; `choose` decides.

mod choose;
mod claims;
mod older;

use crate::jobs::archive::write::{self, Kept, Options, Prepared, Source};
use crate::jobs::files::links;
use crate::parts::beneath::{Refused, Root};
use crate::parts::diag::Failure;
use crate::parts::duration::Millis;
use crate::parts::log::Level;
use crate::parts::names::Names;
use crate::parts::publish::{Over, Target};
use crate::parts::spot::Place;
use crate::parts::walk;
use crate::parts::worker::Report;
use crate::sys::change::Owner;
use crate::sys::fs::{self, CWD, Kind, Open};
use crate::sys::{Errno, Fd, clock, lease};
use choose::{Candidate, QUIET, Tally, Verdict, age, is_valid};
use claims::Claims;
use std::os::fd::AsFd;

/// The kind of work that this is, for workers.
pub const KIND: &str = "collect";
/// So many files are collected, unless the configuration says otherwise.
pub const THRESHOLD: usize = 10;
/// From an event to the look that it causes: what comes together costs one look.
pub const DELAY: Millis = Millis(1_000);
/// Somebody else is at the same spool: then there is another look.
const BUSY: Millis = Millis(1_000);

const SPOOL: &[u8] = b"tmp";
const ARCHIVE: &[u8] = b"files.tar.gz";
const UNREAD: &str = "it cannot be read whole, and stays";

/// What a collector is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The directory of the archives; the spool lies in it.
    pub base: Vec<u8>,
    /// So many files are enough.
    pub threshold: usize,
    /// A file as old as that is enough.
    pub max_age: Option<Millis>,
    /// So many older archives are kept; without it, all.
    pub keep: Option<usize>,
    /// Gzip's, 1 to 9.
    pub level: u32,
}

impl Settings {
    /// The directory that is watched.
    pub fn spool(&self) -> Vec<u8> {
        self.path(SPOOL)
    }

    fn path(&self, name: &[u8]) -> Vec<u8> {
        Place { root: self.base.clone(), below: name.to_vec() }.path()
    }

    /// The bytes of these, for a worker.
    pub fn encode(&self) -> Vec<u8> {
        let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        let Settings { threshold, max_age, keep, level, .. } = self;
        let (max_age, keep) = (number(max_age.map(|age| age.0)), number(keep.map(|keep| keep as u64)));
        [format!("{threshold} {level} {max_age} {keep}\0").as_bytes(), &self.base].concat()
    }

    /// What these bytes say.
    pub fn decode(bytes: &[u8]) -> Option<Settings> {
        let end = bytes.iter().position(|byte| *byte == 0)?;
        let words: Vec<&str> = std::str::from_utf8(bytes.get(..end)?).ok()?.split(' ').collect();
        let [threshold, level, max_age, keep] = words[..] else { return None };
        let base = bytes.get(end + 1..)?.to_vec();
        let (max_age, keep) = (max_age.parse().ok().map(Millis), keep.parse().ok());
        Some(Settings { base, threshold: threshold.parse().ok()?, max_age, keep, level: level.parse().ok()? })
    }
}

/// Collects, if there is enough, in a worker; `value` is a date for an older archive's name, a NUL and the settings. The answer
/// is the path of the archive, if there is a new one.
pub fn run(value: &[u8], report: &mut Report) -> Result<Option<Vec<u8>>, String> {
    let wrong = || "its values cannot be read".to_owned();
    let end = value.iter().position(|byte| *byte == 0).ok_or_else(wrong)?;
    let (date, rest) = value.split_at(end);
    let settings = Settings::decode(rest.get(1..).unwrap_or_default()).ok_or_else(wrong)?;
    let collected = Collector::open(&settings).and_then(|collector| collector.work(date, report));
    collected.map_err(|failure| failure.to_string())
}

/// Makes a spool that is missing, for these settings.
pub fn prepare(settings: &[u8]) {
    let _ = Settings::decode(settings).map(|settings| Collector::open(&settings).map(drop));
}

/// What would be collected now, in order of the names, or nothing; nothing is changed.
pub fn rehearse(settings: &Settings) -> Result<Names, Failure> {
    let is_missing = |path: &[u8]| matches!(fs::stat(CWD, path), Err(Errno::ENOENT));
    if is_missing(&settings.spool()) && !is_missing(&settings.base) {
        return Ok(Names::default());
    }
    let (names, tally) = Collector::open(settings)?.look(&mut |_| ())?;
    match tally.verdict(settings.threshold) {
        Verdict::Collect(_) => Ok(names),
        Verdict::Wait(_) => Ok(Names::default()),
    }
}

struct Collector<'s> {
    settings: &'s Settings,
    /// The base directory and the spool, open to be listed.
    base: Fd,
    spool: Fd,
    spool_path: Vec<u8>,
}

impl Collector<'_> {
    /// A spool that is missing is made; a base directory is not.
    fn open(settings: &Settings) -> Result<Collector<'_>, Failure> {
        let base_failure = |refused: Refused| Failure::on_path("use the base directory", &settings.base, refused);
        let spool_path = settings.spool();
        let spool_failure = |refused: Refused| Failure::on_path("use the directory", &spool_path, refused);
        let root = Root::open(&settings.base).map_err(base_failure)?;
        let base = root.dir(b"", Open::DirectoryNoFollow).map_err(base_failure)?;
        root.make_dirs(SPOOL, None, Owner::default()).map_err(spool_failure)?;
        let spool = root.dir(SPOOL, Open::DirectoryNoFollow).map_err(spool_failure)?;
        Ok(Collector { settings, base, spool, spool_path })
    }

    fn work(&self, date: &[u8], report: &mut Report) -> Result<Option<Vec<u8>>, Failure> {
        let Some(mut claims) = Claims::begin((self.spool.as_fd(), &self.spool_path))? else {
            report.again(BUSY);
            return Ok(None);
        };
        let standing = (self.base.as_fd(), ARCHIVE);
        claims.end_what_was_begun(standing, &self.archive_path(), report)?;
        let collected = self.look_and_collect(&mut claims, date, report).map_err(|failure| {
            // It may have been archived all the same.
            match claims.end_what_was_begun(standing, &self.archive_path(), report) {
                Ok(()) => failure,
                Err(other) => failure.hint(&other.to_string()),
            }
        });
        let finished = claims.finish();
        if !collected? {
            return finished.map(|()| None);
        }
        log_failure(finished, report);
        Ok(Some(self.archive_path()))
    }

    fn look_and_collect(&self, claims: &mut Claims<'_>, date: &[u8], report: &mut Report) -> Result<bool, Failure> {
        let (names, tally) = self.look(&mut |name| self.tell(report, Level::Warning, name, links::WHY))?;
        match tally.verdict(self.settings.threshold) {
            Verdict::Wait(after) => {
                after.into_iter().for_each(|after| report.again(after));
                Ok(false)
            }
            Verdict::Collect(enough) => {
                tell_of_quiet(tally.untold, report);
                self.collect(claims, (names, enough), date, report)
            }
        }
    }

    /// The valid files of the spool that are whole, and what all of them amount to; nothing if they are too few anyway. What
    /// may be somebody else's does not count, and is told.
    fn look(&self, tell: &mut dyn FnMut(&[u8])) -> Result<(Names, Tally), Failure> {
        let (spool, now) = (self.spool.as_fd(), clock::wall_time());
        let mut names = walk::names(spool).map_err(|errno| Failure::on_path("list", &self.spool_path, errno))?;
        names.retain(is_valid);
        let (mut whole, mut tally) = (Names::default(), Tally::new(self.settings.max_age));
        if names.len() < self.settings.threshold && self.settings.max_age.is_none() {
            return Ok((whole, tally));
        }
        for name in names.iter() {
            match fs::stat(spool, name) {
                Ok(found) if links::are_suspect(&found) => tell(name),
                Ok(found) if found.kind == Kind::File => {
                    let (age, open) = (age(found.ctime, now), lease::is_open(spool, name));
                    if tally.add(Candidate { age, open }) {
                        whole.push(name);
                    }
                }
                Ok(_) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(self.failure("look at", name, errno)),
            }
        }
        Ok((whole, tally))
    }

    /// Claims these files, and archives what of them nobody writes to; false if too few of them are left for that. After an
    /// error, claims may be left.
    fn collect(
        &self,
        claims: &mut Claims<'_>,
        (names, enough): (Names, usize),
        date: &[u8],
        report: &mut Report,
    ) -> Result<bool, Failure> {
        for name in names.iter() {
            match fs::stat(self.spool.as_fd(), name) {
                Ok(found) if links::are_suspect(&found) => {}
                Ok(found) if found.kind == Kind::File => claims.take(name, found.id())?,
                Ok(_) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(self.failure("look at", name, errno)),
            }
        }
        // Memory is wanted for more now.
        drop(names);
        claims.sync()?;
        for name in claims.give_back_what_is_open()?.iter() {
            self.tell(report, Level::Info, name, "somebody writes to it");
        }
        match self.archive(claims, enough, date, report)? {
            Some(kept) => {
                claims.discard(&kept, report)?;
                log_failure(older::forget(self.base.as_fd(), &self.settings.base, self.settings.keep), report);
                Ok(true)
            }
            None => claims.give_back_all().map(|()| false),
        }
    }

    /// Publishes an archive of what was claimed, as long as that is enough. What has changed meanwhile, or cannot be read, goes
    /// back before that, and is not in it. That too little can be read is an error.
    fn archive(
        &self,
        claims: &mut Claims<'_>,
        enough: usize,
        date: &[u8],
        report: &mut Report,
    ) -> Result<Option<Vec<Kept>>, Failure> {
        let target = Target { dir: self.base.as_fd(), dir_path: &self.settings.base, name: ARCHIVE, patient: true };
        let standing = (self.base.as_fd(), ARCHIVE);
        let mut unread = None;
        while claims.len() >= enough {
            let prepared = self.prepare(claims, target, report)?;
            let has_changed =
                claims.give_back_what_has_changed(&prepared.written.kept, &mut |name, is_unread| match is_unread {
                    true => {
                        self.tell(report, Level::Error, name, UNREAD);
                        unread = Some(self.failure("collect", name, UNREAD));
                    }
                    false => self.tell(report, Level::Info, name, "it has changed meanwhile"),
                })?;
            if !has_changed {
                let older = older::keep(standing, &self.archive_path(), date)?;
                let published = prepared.publish().map_err(|failure| older::undo(standing, older, failure));
                return published.map(|written| Some(written.kept));
            }
        }
        unread.map_or(Ok(None), Err)
    }

    fn prepare<'t>(
        &self,
        claims: &Claims<'_>,
        target: Target<'t>,
        report: &mut Report,
    ) -> Result<Prepared<'t>, Failure> {
        let parent = claims.dir();
        let sources = claims.names().map(|name| Source { parent, name, member: name });
        let options = Options {
            excludes: Vec::new(),
            one_file_system: false,
            skip_caches: false,
            left_out: Vec::new(),
            level: self.settings.level,
            mode: None,
            over: Over::File,
        };
        write::prepare(sources, target, &options, report)
    }

    fn archive_path(&self) -> Vec<u8> {
        self.settings.path(ARCHIVE)
    }

    fn tell(&self, report: &mut Report, level: Level, name: &[u8], why: &str) {
        report.log(level, &self.failure("collect", name, why).to_string());
    }

    fn failure(&self, what: &str, name: &[u8], reason: impl std::fmt::Display) -> Failure {
        Failure::on_path(what, &[&self.spool_path[..], b"/", name].concat(), reason)
    }
}

/// What fails once all is archived makes nothing of that undone.
fn log_failure(done: Result<(), Failure>, report: &mut Report) {
    done.err().into_iter().for_each(|failure| report.log(Level::Error, &failure.to_string()));
}

fn tell_of_quiet(untold: usize, report: &mut Report) {
    if untold > 0 {
        let seconds = QUIET.0 / 1_000;
        let text =
            format!("of {untold} files it cannot be told whether anybody writes to them: {seconds} s of quiet count");
        report.log(Level::Warning, &text);
    }
}
