//! Writes archives: what stands under some names, trees with all that is in them, into one file that gets its name whole.
//!
//! Files may change meanwhile. The archive is right all the same: a file gives as many bytes as its header says. But it is told,
//! and is not what is safely in the archive.

use super::Sums;
use super::member::{Member, What};
use super::output::{self, Output};
use crate::parts::diag::Failure;
use crate::parts::glob::Glob;
use crate::parts::log::Level;
use crate::parts::meta::Meta;
use crate::parts::publish::{Draft, Over, Target};
use crate::parts::walk::{Next, Place, Step, walk};
use crate::parts::worker::Report;
use crate::sys::fs::{self, Id, Kind, Open, Stat, Time};
use crate::sys::{Errno, Fd, copy};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt::Display;
use std::os::fd::{AsFd, BorrowedFd};

const BUFFER: usize = 64 << 10;
/// Whoever makes a directory's content anew at will says so by this file (bford.info/cachedir), which begins so.
const CACHE_TAG: &[u8] = b"CACHEDIR.TAG";
const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// Something to be archived.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its directory.
    pub parent: BorrowedFd<'a>,
    /// Its name there, without a slash.
    pub name: &'a [u8],
    /// Its name in the archive; what is in a directory has it as a prefix.
    pub member: &'a [u8],
}

/// How an archive is written.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is left out, a directory with all that is in it, if its name in the archive or the last component matches.
    pub excludes: Vec<Glob>,
    /// What is mounted in a tree is left out, but for the directory.
    pub one_file_system: bool,
    /// What is in directories that are marked as caches (CACHEDIR.TAG) is left out, but for the mark.
    pub skip_caches: bool,
    /// What is left out besides, with all that is in it.
    pub left_out: Vec<Id>,
    /// Gzip's, 0 (fast) to 9 (small).
    pub level: u32,
    /// The archive's permission bits; without them, everybody may read it if everybody may read all that is in it.
    pub mode: Option<u32>,
    /// What the archive may replace.
    pub over: Over,
}

/// Which file it is, its size, and when its content and its inode changed last: another, once anything is written to it.
pub type Version = (Id, u64, Time, Time);

/// What has become of a source.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// What it was when it was archived; none if it was not: it is gone, excluded, a socket.
    pub version: Option<Version>,
    /// Whether all of it is in the archive as it was before and after it was read. What was left out on request does not count.
    pub is_safe: bool,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// In the order of the sources.
    pub kept: Vec<Kept>,
    /// How many members the archive has.
    pub members: u64,
    /// How many bytes it has, uncompressed.
    pub bytes: u64,
    /// The first of what is there, and could not be read. What changed meanwhile is none.
    pub unread: Option<Failure>,
}

/// An archive that is on disk and was read back, but has not got its name yet. If it is dropped, it is gone.
pub struct Prepared<'t> {
    draft: Draft<'t>,
    over: Over,
    /// What was written.
    pub written: Written,
}

impl<'t> Prepared<'t> {
    /// Gives it another name than it was begun for, in the same directory.
    pub fn call(&mut self, name: &'t [u8]) {
        self.draft.call(name);
    }

    /// Gives it its name; after an error, what had the name before stands.
    pub fn publish(self) -> Result<Written, Failure> {
        self.draft.finish_over(self.over)?;
        Ok(self.written)
    }
}

/// Writes an archive, which gets its name by [`Prepared::publish`].
pub fn prepare<'s, 't>(
    sources: impl Iterator<Item = Source<'s>> + Clone,
    target: Target<'t>,
    options: &Options,
    report: &mut Report,
) -> Result<Prepared<'t>, Failure> {
    let (draft, own) = output::begin(target, options.over)?;
    let own = [own, options.left_out.clone()].concat();
    let output = Output::new(&draft, target, options.level);
    let (written, sums, is_public) = write_members(sources, output, own, options, report)?;
    output::read_back(&draft, target, sums, options.mode.unwrap_or(if is_public { 0o644 } else { 0o600 }))?;
    Ok(Prepared { draft, over: options.over, written })
}

/// Writes an archive, and gives it its name.
pub fn write<'s>(
    sources: impl Iterator<Item = Source<'s>> + Clone,
    target: Target<'_>,
    options: &Options,
    report: &mut Report,
) -> Result<Written, Failure> {
    prepare(sources, target, options, report)?.publish()
}

fn write_members<'s>(
    sources: impl Iterator<Item = Source<'s>> + Clone,
    output: Output<'_>,
    own: Vec<Id>,
    options: &Options,
    report: &mut Report,
) -> Result<(Written, Sums, bool), Failure> {
    let nothing = Kept { version: None, is_safe: true };
    let mut writer = Writer {
        output,
        options,
        own,
        buffer: vec![0; BUFFER],
        named: HashMap::new(),
        kept: nothing,
        unread: None,
        is_public: true,
        done: 0,
        total: 0,
        counting: report.is_watched(),
        report,
    };
    if writer.counting {
        sources.clone().try_for_each(|source| writer.source(&source))?;
    }
    writer.counting = false;
    let mut kept = Vec::new();
    for source in sources {
        writer.kept = nothing;
        writer.source(&source)?;
        kept.push(writer.kept);
    }
    let (sums, is_public) = (writer.output.end()?, writer.is_public);
    Ok((Written { kept, members: sums.members, bytes: sums.bytes, unread: writer.unread }, sums, is_public))
}

struct Writer<'w, 'r> {
    output: Output<'w>,
    options: &'w Options,
    /// The archive's own files.
    own: Vec<Id>,
    report: &'r mut Report,
    buffer: Vec<u8>,
    /// Files with several names, by the member that has their bytes, and how many of the names are still to come.
    named: HashMap<Id, (Vec<u8>, Stat, u64)>,
    /// Of the present source.
    kept: Kept,
    unread: Option<Failure>,
    /// Whether everybody may read all that is archived so far.
    is_public: bool,
    /// How many bytes of files are archived, and how many there are, as far as anybody asks.
    done: u64,
    total: u64,
    /// They are still being counted: nothing is written.
    counting: bool,
}

impl Writer<'_, '_> {
    fn source(&mut self, source: &Source<'_>) -> Result<(), Failure> {
        walk(source.parent, source.name, &mut |step| {
            let (place, stat) = match &step {
                Step::Enter { place, stat, .. } | Step::Entry { place, stat } => (*place, **stat),
                Step::Leave { .. } => return Ok(Next::On),
                Step::Failed { .. } if self.counting => return Ok(Next::On),
                Step::Failed { place, errno } => {
                    self.miss(&Failure::on_path("look at", place.path, errno), *place);
                    return Ok(Next::On);
                }
            };
            let below = place.path.get(source.name.len()..).unwrap_or_default();
            let name = [source.member, below].concat();
            if self.is_excluded(&name) || self.own.contains(&stat.id()) {
                return Ok(Next::Past);
            }
            let (archived, next) = match step {
                Step::Enter { dir, is_mount, .. } => {
                    let is_left = is_mount && self.options.one_file_system && !below.is_empty();
                    (Some(stat), self.directory(&name, (place, dir), is_left)?)
                }
                Step::Entry { .. } | Step::Leave { .. } | Step::Failed { .. } => {
                    (self.entry(name, place, &stat)?, Next::On)
                }
            };
            if below.is_empty() {
                self.kept.version = archived.as_ref().map(version);
            }
            Ok(next)
        })
    }

    /// Something that is not in the archive; if it is gone, it need not be.
    fn miss(&mut self, failure: &Failure, place: Place<'_>) {
        if !matches!(fs::stat(place.parent, place.name()), Err(Errno::ENOENT)) {
            self.unread.get_or_insert_with(|| failure.clone());
        }
        self.doubt(failure);
    }

    /// Something that is not in the archive as it is.
    fn doubt(&mut self, failure: &Failure) {
        self.kept.is_safe = false;
        self.report.log(Level::Warning, &failure.to_string());
    }

    /// What only root may read is no loss that makes a file unsafe.
    fn tell_unread(&mut self, meta: &Meta, place: Place<'_>) {
        if !meta.unread().is_empty() {
            let failure = Failure::on_path("archive extended attributes of", place.path, meta.unread().join(", "));
            self.report.log(Level::Info, &failure.to_string());
        }
    }

    fn is_excluded(&self, name: &[u8]) -> bool {
        let last = name.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        self.options.excludes.iter().any(|glob| glob.is_match(name) || glob.is_match(last))
    }

    fn directory(
        &mut self,
        name: &[u8],
        (place, dir): (Place<'_>, BorrowedFd<'_>),
        is_left: bool,
    ) -> Result<Next, Failure> {
        match (!self.counting).then(|| Meta::read(dir, place.path)) {
            None => {}
            Some(Ok(meta)) => {
                self.tell_unread(&meta, place);
                self.begin(&member([name, b"/"].concat(), What::Directory, meta), place)?;
            }
            Some(Err(failure)) => self.miss(&failure, place),
        }
        if let Some(tag) = self.options.skip_caches.then(|| cache_tag(dir)).flatten() {
            let path = [place.path, b"/", CACHE_TAG].concat();
            self.entry([name, b"/", CACHE_TAG].concat(), Place { parent: dir, path: &path }, &tag)?;
            return Ok(Next::Past);
        }
        Ok(if is_left { Next::Past } else { Next::On })
    }

    /// Archives what is no directory. The answer is what it was then.
    fn entry(&mut self, name: Vec<u8>, place: Place<'_>, stat: &Stat) -> Result<Option<Stat>, Failure> {
        if self.counting {
            // Each of several names has its part.
            self.total += if stat.kind == Kind::File { stat.size / stat.links.max(1) } else { 0 };
            return Ok(None);
        }
        if stat.kind == Kind::Socket {
            self.report.log(Level::Warning, &fail(place, "it is a socket").to_string());
            return Ok(None);
        }
        let (file, meta, what) = match open(place, stat) {
            Ok(opened) => opened,
            Err(failure) => {
                self.miss(&failure, place);
                return Ok(None);
            }
        };
        self.tell_unread(&meta, place);
        let stat = meta.stat;
        if let Some(first) = self.first_name(&stat) {
            let is_begun = self.begin(&member(name, What::Link(first), meta), place)?;
            return Ok(is_begun.then_some(stat));
        }
        if !self.begin(&member(name.clone(), what, meta), place)? {
            return Ok(None);
        }
        let is_whole = stat.kind != Kind::File || self.data(file.as_fd(), place, &stat)?;
        if stat.links > 1 && is_whole {
            self.named.insert(stat.id(), (name, stat, stat.links - 1));
        }
        Ok(Some(stat))
    }

    /// The member that has this file's bytes already, if it has not changed since.
    fn first_name(&mut self, stat: &Stat) -> Option<Vec<u8>> {
        let (name, then, names) = self.named.get_mut(&stat.id())?;
        *names = names.saturating_sub(1);
        let (is_last, first) = (*names == 0, is_same(then, stat).then(|| name.clone()));
        if is_last {
            self.named.remove(&stat.id());
        }
        first
    }

    /// Writes a member's headers, if readers can take them.
    fn begin(&mut self, member: &Member, place: Place<'_>) -> Result<bool, Failure> {
        self.is_public &= member.mode & 0o004 != 0;
        match member.headers() {
            Some(headers) => self.output.begin(&headers).map(|()| true),
            None => {
                let too_large = "its name or its extended attributes are too large for an archive";
                self.miss(&fail(place, too_large), place);
                Ok(false)
            }
        }
    }

    /// Writes as many bytes of a file as its header says. The answer is whether they are what was in it.
    fn data(&mut self, file: BorrowedFd<'_>, place: Place<'_>, stat: &Stat) -> Result<bool, Failure> {
        let end = self.output.bytes() + stat.size;
        let read = self.read(file, stat.size)?;
        self.output.write_zeros(end - self.output.bytes())?;
        self.output.fill_up()?;
        self.done += stat.size;
        let why = match (read, fs::stat(file, b"")) {
            (Ok(()), Ok(after)) if is_same(stat, &after) => return Ok(true),
            (Err(errno), _) | (Ok(()), Err(errno)) => {
                self.miss(&Failure::on_path("archive all of", place.path, errno), place);
                return Ok(false);
            }
            (Ok(()), Ok(after)) => match after.size.cmp(&stat.size) {
                Ordering::Less => "it became shorter meanwhile; zeros stand for the rest",
                Ordering::Equal => "it changed meanwhile",
                Ordering::Greater => "it became longer meanwhile; the rest is left out",
            },
        };
        self.doubt(&Failure::on_path("archive all of", place.path, why));
        Ok(false)
    }

    /// Writes what is in a file, up to a size; less if it ends earlier or cannot be read.
    fn read(&mut self, file: BorrowedFd<'_>, size: u64) -> Result<Result<(), Errno>, Failure> {
        let mut at = 0;
        // To ask for holes takes longer than to read so little.
        let mut hole_end = if size <= BUFFER as u64 { size } else { 0 };
        while at < size {
            if at >= hole_end {
                let data = copy::next_data(file, at);
                let start = data.unwrap_or(Some(at)).unwrap_or(size).min(size);
                self.output.write_zeros(start - at)?;
                at = start;
                hole_end = if data.is_ok() { copy::next_hole(file, at).unwrap_or(size) } else { size };
                continue;
            }
            let most = usize::try_from(hole_end.min(size) - at).unwrap_or(usize::MAX).min(BUFFER);
            match copy::read_at(file, self.buffer.get_mut(..most).unwrap_or_default(), at) {
                Ok(0) => break,
                Ok(n) => {
                    self.output.write(self.buffer.get(..n).unwrap_or_default())?;
                    at += n as u64;
                    self.report.progress(self.done + at, self.total);
                }
                Err(errno) => return Ok(Err(errno)),
            }
        }
        Ok(Ok(()))
    }
}

fn member(name: Vec<u8>, what: What, meta: Meta) -> Member {
    let Meta { stat, mut xattrs, .. } = meta;
    xattrs.sort();
    Member { name, what, mode: stat.mode, uid: stat.uid, gid: stat.gid, mtime: stat.mtime, xattrs }
}

/// Opens what was looked at, and nothing else.
fn open(place: Place<'_>, stat: &Stat) -> Result<(Fd, Meta, What), Failure> {
    let how = if stat.kind == Kind::File { Open::Read } else { Open::Entry };
    let file = fs::open(place.parent, place.name(), how).map_err(|errno| fail(place, errno))?;
    let meta = Meta::read(file.as_fd(), place.path)?;
    let what = match meta.stat.kind {
        _ if meta.stat.id() != stat.id() => return Err(fail(place, "another one has its name now")),
        Kind::File => What::File(meta.stat.size),
        Kind::Symlink => What::Symlink(fs::read_link(file.as_fd(), b"").map_err(|errno| fail(place, errno))?),
        Kind::Fifo => What::Fifo,
        Kind::Character => What::Character(meta.stat.rdev),
        Kind::Block => What::Block(meta.stat.rdev),
        Kind::Socket | Kind::Directory | Kind::Unknown => return Err(fail(place, "it is of no known kind")),
    };
    Ok((file, meta, what))
}

fn fail(place: Place<'_>, reason: impl Display) -> Failure {
    Failure::on_path("archive", place.path, reason)
}

/// What tells whether it is the same file, with nothing written to it since.
pub fn version(stat: &Stat) -> Version {
    (stat.id(), stat.size, stat.mtime, stat.ctime)
}

fn is_same(one: &Stat, other: &Stat) -> bool {
    version(one) == version(other)
}

/// The mark of a cache in a directory.
fn cache_tag(dir: BorrowedFd<'_>) -> Option<Stat> {
    let stat = fs::stat(dir, CACHE_TAG).ok().filter(|stat| stat.kind == Kind::File)?;
    let mut found = [0; CACHE_SIGNATURE.len()];
    copy::read_at(fs::open(dir, CACHE_TAG, Open::Read).ok()?.as_fd(), &mut found, 0).ok()?;
    (found == CACHE_SIGNATURE).then_some(stat)
}
