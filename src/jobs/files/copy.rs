//! A whole copy, in a draft that nobody else can look into until it gets its name: a file, a link, or a directory with all
//! that is in it.
//!
//! If what is copied changes meanwhile, it is copied again. What has no bytes to copy (FIFOs, sockets, devices) is refused.

use super::look::{self, Look};
use super::plan::FileJob;
use super::{bytes, links, wanted};
use crate::parts::diag::Failure;
use crate::parts::log::Level;
use crate::parts::meta::Meta;
use crate::parts::publish::{Draft, Over, Target};
use crate::parts::spot::Spot;
use crate::parts::walk::{self, Next, Place, Step, Trail};
use crate::parts::worker::Report;
use crate::sys::change::{self, At};
use crate::sys::fs::{self, Id, Kind, Open, Stat};
use crate::sys::{Errno, Fd};
use std::collections::{BTreeSet, HashMap};
use std::os::fd::{AsFd, BorrowedFd};

/// So often it is copied again because it has changed.
const MOST_COPIES: u32 = 5;

/// A copy that is not published yet.
pub struct Copy<'t> {
    draft: Draft<'t>,
    meta: Meta,
    /// What of what is kept with files the file system does not keep, so far.
    lost: BTreeSet<String>,
    /// What the original was like.
    pub looks: Vec<Look>,
}

/// Copies what stands at `from`, for a job and to its target.
pub fn make<'t>(from: At<'_>, job: &FileJob, target: &'t Spot, report: &mut Report) -> Result<Copy<'t>, Failure> {
    for _ in 0..MOST_COPIES {
        let looks = look::look_at_rest(from)?;
        let (named, lost, total) = (HashMap::new(), BTreeSet::new(), look::bytes(&looks));
        let mut copier = Copier { job, target, report, done: 0, total, named, lost };
        let copied = copier.copy_all(from, target);
        let lost = copier.lost;
        let is_same = look::look(from)? == looks;
        match copied {
            Ok((draft, meta)) if is_same => return Ok(Copy { draft, meta, lost, looks }),
            // It may have failed for the change.
            Ok(_) => {}
            Err(failure) if is_same => return Err(failure),
            Err(_) => {}
        }
    }
    Err(target.failure("make", "what is copied changes all the time"))
}

impl Copy<'_> {
    /// Gives it its owner and mode, and its name.
    pub fn publish(mut self, job: &FileJob, target: &Spot, report: &mut Report) -> Result<(), Failure> {
        self.lost.extend(self.meta.set(self.draft.file(), &target.path, wanted(job, self.meta.stat.kind))?);
        self.draft.finish_over(over(job))?;
        if !self.lost.is_empty() {
            let lost = self.lost.into_iter().collect::<Vec<_>>().join(", ");
            report.log(Level::Info, &format!("the destination's file system does not keep all of it: {lost}"));
        }
        Ok(())
    }
}

/// What a job may replace.
pub fn over(job: &FileJob) -> Over {
    if job.replace { Over::Anything } else { Over::Nothing }
}

struct Copier<'c> {
    job: &'c FileJob,
    target: &'c Spot,
    report: &'c mut Report,
    /// Bytes, for the report.
    done: u64,
    total: u64,
    /// Where files with several names were copied to, by path below the top.
    named: HashMap<Id, Vec<u8>>,
    lost: BTreeSet<String>,
}

impl Copier<'_> {
    fn copy_all<'t>(&mut self, from: At<'_>, target: &'t Spot) -> Result<(Draft<'t>, Meta), Failure> {
        let (dir, dir_path) = (target.dir.as_fd(), target.dir_path());
        let to = Target { dir, dir_path, name: &target.name, patient: true };
        let place = Place { parent: from.0, path: from.1 };
        let stat = fs::stat(from.0, from.1).map_err(|errno| Failure::on_path("look at", from.1, errno))?;
        match stat.kind {
            Kind::File => {
                let file = self.open(place, &stat, Open::Read)?;
                let draft = Draft::begin(to)?;
                let meta = self.copy_bytes(place, file.as_fd(), draft.file())?;
                Ok((draft, meta))
            }
            Kind::Symlink => {
                let link = self.open(place, &stat, Open::Entry)?;
                let (meta, text) = read_link(place, link.as_fd())?;
                Ok((Draft::link(to, &text)?, meta))
            }
            Kind::Directory => {
                let draft = Draft::directory(to)?;
                let meta = self.copy_tree(from, draft.file())?;
                Ok((draft, meta))
            }
            Kind::Fifo | Kind::Socket | Kind::Character | Kind::Block | Kind::Unknown => Err(not_copied(place, &stat)),
        }
    }

    /// Copies what is in a directory into another one; the answer is what is kept with the one.
    fn copy_tree(&mut self, from: At<'_>, top: BorrowedFd<'_>) -> Result<Meta, Failure> {
        let stat = fs::stat(top, b"").map_err(|errno| self.target.failure("look at", errno))?;
        let mut trail = Trail::new(top, &stat);
        let mut top_meta = None;
        walk::walk(from.0, from.1, &mut |step| {
            let is_top = |place: Place<'_>| !place.path.contains(&b'/');
            match step {
                Step::Enter { place, is_mount: true, .. } => {
                    return Err(fail("copy", place, "something is mounted there"));
                }
                Step::Enter { place, .. } if is_top(place) => {}
                Step::Enter { place, .. } => {
                    let made = self.in_target(make_dir(trail.dir(), place.name()))?;
                    trail.enter(made.0, &made.1);
                }
                Step::Leave { place, dir, .. } if is_top(place) => top_meta = Some(Meta::read(dir, place.path)?),
                Step::Leave { place, dir, stat } => {
                    let made = self.in_target(trail.leave())?;
                    self.dress(&Meta::read(dir, place.path)?, made.as_fd(), place, stat.kind)?;
                    self.in_target(change::sync_names(made.as_fd()))?;
                }
                Step::Entry { place, stat } => self.copy_entry(place, stat, (top, trail.dir()))?,
                Step::Failed { place, errno } => return Err(fail("copy", place, errno)),
            }
            Ok(Next::On)
        })?;
        top_meta.ok_or_else(|| Failure::on_path("copy", from.1, Errno::ENOENT))
    }

    fn copy_entry(
        &mut self,
        place: Place<'_>,
        stat: &Stat,
        (top, dir): (BorrowedFd<'_>, BorrowedFd<'_>),
    ) -> Result<(), Failure> {
        let name = place.name();
        match stat.kind {
            Kind::File => {
                let first = self.named.get(&stat.id());
                // A path that is too long for that, or too many names: then it is a file of its own.
                if first.is_some_and(|path| change::link((top, path), (dir, name)).is_ok()) {
                    return Ok(());
                }
                let file = self.open(place, stat, Open::Read)?;
                let made = self.in_target(change::create(dir, name, 0o600))?;
                let meta = self.copy_bytes(place, file.as_fd(), made.as_fd())?;
                self.dress(&meta, made.as_fd(), place, stat.kind)?;
                self.in_target(change::sync(made.as_fd()))?;
                if stat.links > 1 {
                    let below = place.path.splitn(2, |byte| *byte == b'/').nth(1).unwrap_or_default();
                    self.named.insert(stat.id(), below.to_vec());
                }
                Ok(())
            }
            Kind::Symlink => {
                let link = self.open(place, stat, Open::Entry)?;
                let (meta, text) = read_link(place, link.as_fd())?;
                self.in_target(change::symlink(&text, (dir, name)))?;
                let made = self.in_target(fs::open(dir, name, Open::Entry))?;
                self.dress(&meta, made.as_fd(), place, stat.kind)
            }
            Kind::Directory | Kind::Fifo | Kind::Socket | Kind::Character | Kind::Block | Kind::Unknown => {
                Err(not_copied(place, stat))
            }
        }
    }

    /// Opens what was looked at, and nothing else.
    fn open(&self, place: Place<'_>, stat: &Stat, how: Open) -> Result<Fd, Failure> {
        links::refuse(self.job, stat, place.path)?;
        let file = fs::open(place.parent, place.name(), how).map_err(|errno| fail("open", place, errno))?;
        match fs::stat(file.as_fd(), b"") {
            Ok(found) if found.id() == stat.id() => Ok(file),
            Ok(_) => Err(fail("copy", place, "another one has its name now")),
            Err(errno) => Err(fail("look at", place, errno)),
        }
    }

    fn copy_bytes(&mut self, place: Place<'_>, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<Meta, Failure> {
        // Before it is read, which changes one of its times.
        let meta = Meta::read(from, place.path)?;
        let Copier { report, done, total, .. } = self;
        let copied = bytes::copy(from, to, meta.stat.size, &mut |so_far| report.progress(*done + so_far, *total));
        copied.map_err(|errno| self.target.failure("write", errno))?;
        self.done += meta.stat.size;
        Ok(meta)
    }

    fn dress(&mut self, meta: &Meta, made: BorrowedFd<'_>, place: Place<'_>, kind: Kind) -> Result<(), Failure> {
        self.lost.extend(meta.set(made, place.path, wanted(self.job, kind))?);
        Ok(())
    }

    fn in_target<T>(&self, done: Result<T, Errno>) -> Result<T, Failure> {
        done.map_err(|errno| self.target.failure("write", errno))
    }
}

/// What is kept with a link, before it is read, which changes one of its times; and what it holds.
fn read_link(place: Place<'_>, link: BorrowedFd<'_>) -> Result<(Meta, Vec<u8>), Failure> {
    let meta = Meta::read(link, place.path)?;
    let text = fs::read_link(link, b"").map_err(|errno| fail("read", place, errno))?;
    Ok((meta, text))
}

fn make_dir(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(Fd, Stat), Errno> {
    change::make_dir(parent, name, 0o700)?;
    let dir = fs::open(parent, name, Open::DirectoryNoFollow)?;
    let stat = fs::stat(dir.as_fd(), b"")?;
    Ok((dir, stat))
}

fn fail(what: &str, place: Place<'_>, reason: impl std::fmt::Display) -> Failure {
    Failure::on_path(what, place.path, reason)
}

fn not_copied(place: Place<'_>, stat: &Stat) -> Failure {
    let kind = match stat.kind {
        Kind::Fifo => "a FIFO",
        Kind::Socket => "a socket",
        Kind::Character | Kind::Block => "a device",
        Kind::File | Kind::Directory | Kind::Symlink | Kind::Unknown => "of no known kind",
    };
    fail("copy", place, format_args!("it is {kind}, which stays on its file system"))
}
