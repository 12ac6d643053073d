//! Claims: files that are to be collected are first renamed into a directory that only we may enter. Nobody opens them by
//! their path any more; whoever has one open still is waited for.
//!
//! The directory is marked (flock(2)) as long as somebody is at it: what a kill leaves is known by that.

use crate::jobs::archive::member::{Member, What};
use crate::jobs::archive::read::Archive;
use crate::jobs::archive::write::{Kept, version};
use crate::jobs::files::claim;
use crate::parts::diag::Failure;
use crate::parts::log::Level;
use crate::parts::names::Names;
use crate::parts::publish;
use crate::parts::walk;
use crate::parts::worker::Report;
use crate::sys::change::{self, At};
use crate::sys::fs::{self, Id, Kind, Open};
use crate::sys::{Errno, Fd, clock, copy, lease, lock};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};

/// Its name in the spool.
const NAME: &[u8] = b".dogwatch-collect";
/// So many milliseconds somebody may take who has opened a file just before it was claimed.
const PATIENCE: u64 = 1_000;
const PAUSE: u16 = 10;
const BUFFER: usize = 64 << 10;

/// What was claimed, in a spool.
pub struct Claims<'s> {
    spool: At<'s>,
    dir: Fd,
    /// Sorted.
    names: Names,
}

impl<'s> Claims<'s> {
    /// Makes the directory, or takes the one that a killed run has left, with what is in it; `spool` is the spool and its path.
    /// `None`: somebody else is at it.
    pub fn begin(spool: At<'s>) -> Result<Option<Claims<'s>>, Failure> {
        let fail = |errno| failure(spool, "claim files in", NAME, errno);
        let dir = match fs::open(spool.0, NAME, Open::DirectoryNoFollow) {
            Err(Errno::ENOENT) => match publish::make_private(spool.0, NAME) {
                Err(Errno::EEXIST) => return Ok(None),
                made => return Ok(Some(Claims { spool, dir: made.map_err(fail)?, names: Names::default() })),
            },
            dir => dir.map_err(fail)?,
        };
        if publish::mark_of(dir.as_fd()).map_err(fail)?.is_none() {
            return Err(failure(spool, "claim files in", NAME, "it is there, but not ours alone; rename it"));
        }
        if !lock::mark(dir.as_fd()) {
            return Ok(None);
        }
        let names = walk::names(dir.as_fd()).map_err(fail)?;
        Ok(Some(Claims { spool, dir, names }))
    }

    /// The directory.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// What is claimed, in order.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.names.iter()
    }

    /// How many are claimed.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Ends what a killed run has begun: what it had archived already goes, all else goes back.
    pub fn end_what_was_begun(&mut self, archive: At<'_>, path: &[u8], report: &mut Report) -> Result<(), Failure> {
        if self.names.is_empty() {
            return Ok(());
        }
        // An archive that cannot be read has nothing safe in it.
        let archived = self.archived(archive, path).unwrap_or_else(|failure| {
            report.log(Level::Warning, &failure.to_string());
            BTreeSet::new()
        });
        // Its name may not be on disk yet.
        change::sync_names(archive.0).map_err(|errno| Failure::on_path("write", path, errno))?;
        // Backwards: another name of a file is known by the first.
        archived.iter().rev().try_for_each(|name| self.remove(name))?;
        self.names.retain(|name| !archived.contains(name));
        self.give_back_all()
    }

    /// The claims that are members of an archive, by name, time, size and bytes.
    fn archived(&self, archive: At<'_>, path: &[u8]) -> Result<BTreeSet<Vec<u8>>, Failure> {
        let file = match fs::open(archive.0, archive.1, Open::Read) {
            Err(Errno::ENOENT) => return Ok(BTreeSet::new()),
            file => file.map_err(|errno| Failure::on_path("open", path, errno))?,
        };
        let mut archive = Archive::new(file.as_fd(), path)?;
        let mut archived = BTreeSet::new();
        while let Some(member) = archive.next()? {
            if !self.names.contains(&member.name) {
                continue;
            }
            let is_it = match &member.what {
                What::File(size) => self.is_it(&member, *size, &mut archive)?,
                What::Link(first) => archived.contains(first) && self.id(first)? == self.id(&member.name)?,
                What::Directory
                | What::Symlink(_)
                | What::Fifo
                | What::Character(_)
                | What::Block(_)
                | What::Other(_) => false,
            };
            if is_it {
                archived.insert(member.name);
            }
        }
        Ok(archived)
    }

    fn id(&self, name: &[u8]) -> Result<Id, Failure> {
        fs::stat(self.dir(), name).map(|found| found.id()).map_err(|errno| self.failure("look at", name, errno))
    }

    fn is_it(&self, member: &Member, size: u64, archive: &mut Archive<'_>) -> Result<bool, Failure> {
        let fail = |errno| self.failure("read", &member.name, errno);
        let file = fs::open(self.dir(), &member.name, Open::Read).map_err(fail)?;
        let found = fs::stat(file.as_fd(), b"").map_err(fail)?;
        if (found.size, found.mtime, found.kind) != (size, member.mtime, Kind::File) {
            return Ok(false);
        }
        let (mut theirs, mut ours) = (vec![0; BUFFER], vec![0; BUFFER]);
        let mut at = 0;
        loop {
            let some = archive.read(&mut theirs)?;
            if some == 0 {
                return Ok(at == size);
            }
            let ours = ours.get_mut(..some).unwrap_or_default();
            if copy::fill(file.as_fd(), ours, at).map_err(fail)? != some || Some(&*ours) != theirs.get(..some) {
                return Ok(false);
            }
            at += some as u64;
        }
    }

    /// Claims a file of the spool, if that still is this one, in the order of the names. After an error it stands where it
    /// stood.
    pub fn take(&mut self, name: &[u8], wanted: Id) -> Result<(), Failure> {
        match change::rename_to((self.spool.0, name), (self.dir(), name)) {
            Err(Errno::ENOENT) => return Ok(()),
            done => done.map_err(|errno| self.failure("claim", name, errno))?,
        }
        match fs::stat(self.dir(), name) {
            Ok(found) if found.id() == wanted => {
                self.names.push(name);
                Ok(())
            }
            Ok(_) | Err(Errno::ENOENT) => self.give_back_one(name),
            Err(errno) => {
                self.give_back_one(name)?;
                Err(self.failure("look at", name, errno))
            }
        }
    }

    /// Has on disk which files are claimed: after a power cut, what an archive holds is not found in the spool.
    pub fn sync(&self) -> Result<(), Failure> {
        let synced = change::sync_names(self.dir()).and_then(|()| change::sync_names(self.spool.0));
        synced.map_err(|errno| failure(self.spool, "write", NAME, errno))
    }

    /// Waits a moment for those who write to a claim, and gives back what is open even then; the answer is those.
    pub fn give_back_what_is_open(&mut self) -> Result<Names, Failure> {
        let end = clock::boot_now().0 + PATIENCE;
        loop {
            let is_open = |name: &&[u8]| lease::is_open(self.dir(), name) == Some(true);
            let mut open = Names::default();
            self.names().filter(is_open).for_each(|name| open.push(name));
            if open.is_empty() || clock::boot_now().0 > end {
                return self.give_back(open);
            }
            clock::sleep(PAUSE);
        }
    }

    /// Gives back what is not now as it was archived, and says whether there was any; `kept` is in the order of the names.
    /// What could not be read though nobody has changed it goes back too, so that it does not keep the others; `tell` hears
    /// of each, and whether that is why.
    pub fn give_back_what_has_changed(
        &mut self,
        kept: &[Kept],
        tell: &mut dyn FnMut(&[u8], bool),
    ) -> Result<bool, Failure> {
        let mut changed = Names::default();
        for (name, kept) in self.names().zip(kept) {
            // In this order: who has closed it by the one look has changed it before the other.
            let is_open = lease::is_open(self.dir(), name) == Some(true);
            let now = fs::stat(self.dir(), name).map_err(|errno| self.failure("look at", name, errno))?;
            let is_as_then = kept.version.is_none_or(|then| then == version(&now));
            if is_open || !is_as_then || !kept.is_safe {
                tell(name, is_as_then && !kept.is_safe);
                changed.push(name);
            }
        }
        self.give_back(changed).map(|changed| !changed.is_empty())
    }

    /// All that is left is given back, and the directory removed.
    pub fn give_back_all(&mut self) -> Result<(), Failure> {
        let all = std::mem::take(&mut self.names);
        self.give_back(all).map(drop)
    }

    /// They get their names back, or where that is taken, one with a number. One that cannot does not keep
    /// the others. The answer is those.
    fn give_back(&mut self, names: Names) -> Result<Names, Failure> {
        if !names.is_empty() {
            self.names.retain(|name| !names.contains(name));
        }
        let failed = names.iter().filter_map(|name| self.give_back_one(name).err()).reduce(|first, _| first);
        failed.map_or(Ok(names), Err)
    }

    fn give_back_one(&self, name: &[u8]) -> Result<(), Failure> {
        let given = claim::give_back_one((self.dir(), name), self.spool.0);
        given.map(drop).map_err(|errno| self.failure("give back", name, errno))
    }

    fn remove(&self, name: &[u8]) -> Result<(), Failure> {
        change::unlink(self.dir(), name).map_err(|errno| self.failure("remove", name, errno))
    }

    /// All is archived and goes; `kept` is what each was then. What somebody has changed even now stays: it goes back.
    pub fn discard(&mut self, kept: &[Kept], report: &mut Report) -> Result<(), Failure> {
        let spool = self.spool;
        self.give_back_what_has_changed(kept, &mut |name, _| {
            let why = "it has changed since it was archived, and stands here besides";
            report.log(Level::Warning, &failure(spool, "remove", name, why).to_string());
        })?;
        while let Some(name) = self.names.last() {
            self.remove(name)?;
            self.names.pop();
        }
        // The next archive of this name does not hold them.
        self.sync()
    }

    /// Removes the directory, which has to be empty.
    pub fn finish(self) -> Result<(), Failure> {
        change::remove_dir(self.spool.0, NAME).map_err(|errno| failure(self.spool, "remove", NAME, errno))
    }

    fn failure(&self, what: &str, name: &[u8], reason: impl std::fmt::Display) -> Failure {
        failure(self.spool, what, &[NAME, b"/", name].concat(), reason)
    }
}

fn failure((_, path): At<'_>, what: &str, name: &[u8], reason: impl std::fmt::Display) -> Failure {
    Failure::on_path(what, &[path, b"/", name].concat(), reason)
}
