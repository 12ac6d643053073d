//! The one way in which a file that others read comes into being: written under a temporary name in the same directory,
//! synced, and renamed. Whoever looks sees the old file or the new one, whole, also after a kill or a power cut. So do
//! directories with all that is in them, and links; the last step alone, with what may be replaced by it, is [`rename`].
//!
//! The temporary name is derived from the final one, so that whoever publishes that one again finds what a kill has left,
//! and takes it away. A mark on the open file (flock(2)) tells it from what somebody is still writing.

use super::diag::Failure;
use super::{fnv, walk};
use crate::sys::change::At;
use crate::sys::fs::{self, CWD, Kind, Open, Stat};
use crate::sys::{Errno, Fd, change, clock, fd, lock, process};
use std::os::fd::{AsFd, BorrowedFd};

/// So often it is tried to make a directory that others take for a leftover.
const MOST_TRIES: u32 = 100;

/// Where a file is to stand.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// A directory that is open for reading (not O_PATH).
    pub dir: BorrowedFd<'a>,
    /// Its path, for messages only.
    pub dir_path: &'a [u8],
    /// The name in it.
    pub name: &'a [u8],
    /// If somebody is writing the same one, that is waited for; else it is EEXIST.
    pub patient: bool,
}

/// What has not got its name yet. If it is dropped unfinished, it is gone.
pub struct Draft<'a> {
    target: Target<'a>,
    temporary: Vec<u8>,
    kind: Kind,
    file: Fd,
    finished: bool,
}

/// What may have the name already, and goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    /// Nothing: else EEXIST.
    Nothing,
    /// A file or a link; of a directory, an empty one (rename(2)).
    File,
    /// Whatever it is: a directory with all that is in it, which is not merged.
    Anything,
}

/// Publishes these bytes under a name in the directory of this path, with permission bits that no umask changes.
pub fn bytes(dir_path: &[u8], name: &[u8], mode: u32, bytes: &[u8]) -> Result<(), Failure> {
    let dir = fs::open(CWD, dir_path, Open::Directory).map_err(|errno| Failure::on_path("open", dir_path, errno))?;
    let target = Target { dir: dir.as_fd(), dir_path, name, patient: false };
    let draft = Draft::begin(target)?;
    fd::write_all(draft.file(), bytes).map_err(|errno| target.failure(errno))?;
    draft.finish(mode)
}

impl Target<'_> {
    /// That the file could not be written.
    pub fn failure(&self, reason: Errno) -> Failure {
        Failure::on_path("write", &[self.dir_path, b"/", self.name].concat(), reason)
    }
}

impl<'a> Draft<'a> {
    /// An empty file that only we may read; EEXIST if somebody is writing the same file at this moment.
    pub fn begin(target: Target<'a>) -> Result<Draft<'a>, Failure> {
        Draft::make(target, Kind::File, |temporary| change::create(target.dir, temporary, 0o600))
    }

    /// An empty directory that only we may enter.
    pub fn directory(target: Target<'a>) -> Result<Draft<'a>, Failure> {
        Draft::make(target, Kind::Directory, |temporary| {
            change::make_dir(target.dir, temporary, 0o700)?;
            open_new((target.dir, temporary))
        })
    }

    /// A symbolic link that holds `text`.
    pub fn link(target: Target<'a>, text: &[u8]) -> Result<Draft<'a>, Failure> {
        Draft::make(target, Kind::Symlink, |temporary| {
            change::symlink(text, (target.dir, temporary))?;
            fs::open(target.dir, temporary, Open::Entry)
        })
    }

    /// A FIFO or a device of this number, which only we may open (and of devices only root).
    pub fn node(target: Target<'a>, kind: Kind, device: (u32, u32)) -> Result<Draft<'a>, Failure> {
        Draft::make(target, kind, |temporary| {
            change::make_node(target.dir, temporary, kind, device)?;
            fs::open(target.dir, temporary, Open::Entry)
        })
    }

    fn make(target: Target<'a>, kind: Kind, make: impl Fn(&[u8]) -> Result<Fd, Errno>) -> Result<Draft<'a>, Failure> {
        let temporary = temporary_name(target.name);
        let fail = |errno| target.failure(errno);
        loop {
            let file = match make(&temporary) {
                Err(Errno::EEXIST) => {
                    let leftover = fs::open(target.dir, &temporary, Open::Read);
                    if let Some(busy) = leftover.ok().filter(|leftover| !lock::mark(leftover.as_fd())) {
                        if !target.patient {
                            return Err(fail(Errno::EEXIST));
                        }
                        lock::wait(busy.as_fd());
                        continue;
                    }
                    take_away((target.dir, &temporary), fail)?;
                    make(&temporary)
                }
                made => made,
            };
            let file = match file {
                Err(Errno::EEXIST) if target.patient => continue,
                made => made.map_err(fail)?,
            };
            // Before it is marked, another process can take it for a leftover.
            if lock::mark(file.as_fd()) && !fs::stat(file.as_fd(), b"").is_ok_and(|found| found.links == 0) {
                return Ok(Draft { target, temporary, kind, file, finished: false });
            }
            if !target.patient {
                return Err(fail(Errno::EEXIST));
            }
        }
    }

    /// What to write to, or to make entries in; of a link, a FIFO or a device, its place.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// It gets this name, and not the one that it was begun for.
    pub fn call(&mut self, name: &'a [u8]) {
        self.target.name = name;
    }

    /// Gives it its mode, and once all of it is on disk, its name, in place of what has that name. After an error the old
    /// file stands, but for an error of the last step: then the new one does.
    pub fn finish(self, mode: u32) -> Result<(), Failure> {
        change::set_mode(self.file(), mode).map_err(|errno| self.target.failure(errno))?;
        self.finish_over(Over::File)
    }

    /// The same with the mode that it has. What is in a directory has to be on disk already.
    pub fn finish_over(mut self, over: Over) -> Result<(), Failure> {
        let Target { dir, name, .. } = self.target;
        let synced = match self.kind {
            // A place cannot be synced: it is what its directory says.
            Kind::Symlink | Kind::Fifo | Kind::Socket | Kind::Character | Kind::Block | Kind::Unknown => Ok(()),
            Kind::Directory => change::sync_names(self.file()),
            Kind::File => change::sync(self.file()),
        };
        let named = synced.and_then(|()| rename((dir, &self.temporary), (dir, name), over));
        let left = named.map_err(|errno| self.target.failure(errno))?;
        self.finished = true;
        let uncertain = |errno| self.target.failure(errno).hint("it is there, but a power cut may undo that");
        change::sync_names(dir).map_err(uncertain)?;
        left.map_or(Ok(()), Err)
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // What failed before is told; what is left here, the next one takes away.
            let _ = take_away((self.target.dir, &self.temporary), |errno| self.target.failure(errno));
        }
    }
}

/// Gives what stands in one place another one on the same file system, at once. Where something was replaced that could not be
/// removed then, the failure of that is the answer: the new one stands in its place.
///
/// What cannot be replaced in one step is kept in a directory of ours beside where the new one comes from, called
/// [`aside_name`] of its name there: where a kill leaves that, whoever comes that way again finds it.
pub fn rename(from: At<'_>, to: At<'_>, over: Over) -> Result<Option<Failure>, Errno> {
    match over {
        Over::Nothing => return rename_new(from, to).map(|()| None),
        Over::File => return change::rename_to(from, to).map(|()| None),
        Over::Anything => {}
    }
    match change::rename_to(from, to) {
        // One of them is a directory, and the other is none, or not empty.
        Err(Errno::EISDIR | Errno::ENOTDIR | Errno::ENOTEMPTY | Errno::EEXIST) => {}
        done => return done.map(|()| None),
    }
    // With a directory everything goes that is in it, and what is to replace it must not.
    if is_inside(from.0, &fs::stat(to.0, to.1)?)? {
        return Err(Errno::ENOTEMPTY);
    }
    let called = aside_name(from.1);
    let aside = make_private(from.0, &called)?;
    let kept = (aside.as_fd(), to.1);
    let named = change::rename_to(to, kept)
        .and_then(|()| rename_new(from, to).or_else(|errno| rename_new(kept, to).and(Err(errno))));
    if named.is_err() {
        // It stays if the old one could not come back, with that in it.
        let _ = change::remove_dir(from.0, &called);
    }
    named.map(|()| discard(aside.as_fd(), (from.0, &called)).err())
}

/// Whether a directory is another one, or below it.
fn is_inside(dir: BorrowedFd<'_>, other: &Stat) -> Result<bool, Errno> {
    let mut at = fs::open(dir, b".", Open::Place)?;
    loop {
        let id = fs::stat(at.as_fd(), b"")?.id();
        if id == other.id() {
            return Ok(true);
        }
        let above = fs::open(at.as_fd(), b"..", Open::Place)?;
        if fs::stat(above.as_fd(), b"")?.id() == id {
            return Ok(false);
        }
        at = above;
    }
}

/// The mode of a directory of ours in which something is kept from its path, which goes back there after a kill. By the
/// sticky bit, which only the owner can set, it is told from directories of others that somebody gives our names.
const KEPT: u32 = 0o1700;
/// The same of one of which all is to go. (Linux makes nothing of a directory's setuid bit.)
const GOING: u32 = 0o5700;
/// It may have it from where it was made.
const SETGID: u32 = 0o2000;

/// What a directory of ours says of what is in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// It is kept from its path.
    Kept,
    /// It goes.
    Going,
    /// Nothing: the file system keeps no modes. What goes has the name of [`going_name`] there.
    Unknown,
}

/// The mark of a directory, if it is one of ours.
pub fn mark_of(dir: BorrowedFd<'_>) -> Result<Option<Mark>, Errno> {
    let found = fs::stat(dir, b"")?;
    match found.mode & !SETGID {
        KEPT if found.uid == process::effective_uid() => Ok(Some(Mark::Kept)),
        GOING if found.uid == process::effective_uid() => Ok(Some(Mark::Going)),
        _ => Ok(has_no_modes(dir, &found)?.then_some(Mark::Unknown)),
    }
}

/// Some file systems keep no owners and modes: there what is made in a directory looks as that does.
fn has_no_modes(dir: BorrowedFd<'_>, found: &Stat) -> Result<bool, Errno> {
    const INNER: &[u8] = b".dogwatch-inner";
    let _ = change::remove_dir(dir, INNER);
    change::make_dir(dir, INNER, KEPT)?;
    let made = fs::stat(dir, INNER);
    change::remove_dir(dir, INNER)?;
    Ok(made.is_ok_and(|made| (made.uid, made.mode) == (found.uid, found.mode)))
}

/// Makes an empty directory to keep something in, and marks it (flock(2)). Who takes away one that a killed run has left is
/// waited for; EEXIST if another one stays.
pub fn make_private(parent: BorrowedFd<'_>, called: &[u8]) -> Result<Fd, Errno> {
    for _ in 0..MOST_TRIES {
        match try_to_make_private(parent, called) {
            Ok(Some(dir)) => return Ok(dir),
            Ok(None) | Err(Errno::ENOENT) => {}
            Err(Errno::EEXIST) => {
                let left = fs::open(parent, called, Open::DirectoryNoFollow);
                // Others cannot open one of ours, and so not have us wait for ever.
                let ours = left.ok().filter(|left| mark_of(left.as_fd()).is_ok_and(|mark| mark.is_some()));
                ours.iter().for_each(|left| lock::wait(left.as_fd()));
            }
            Err(errno) => return Err(errno),
        }
        clock::sleep(1);
    }
    Err(Errno::EEXIST)
}

/// Before it is marked, another process can take it for a leftover, and take it away: then there is none.
fn try_to_make_private(parent: BorrowedFd<'_>, called: &[u8]) -> Result<Option<Fd>, Errno> {
    change::make_dir(parent, called, KEPT)?;
    let dir = open_new((parent, called))?;
    let is_ours = lock::mark(dir.as_fd())
        && mark_of(dir.as_fd())?.is_some()
        && fs::stat(parent, called)?.id() == fs::stat(dir.as_fd(), b"")?.id();
    Ok(is_ours.then_some(dir))
}

/// Removes a directory that something was kept in, with all that is in it, whoever changes its name meanwhile. After a kill
/// it is known by its mode, or by its name, that this was begun.
pub fn discard(dir: BorrowedFd<'_>, at: At<'_>) -> Result<(), Failure> {
    let fail = |errno| Failure::on_path("remove", at.1, errno);
    match change::set_mode(dir, GOING) {
        Err(Errno::EPERM | Errno::ENOTSUP) => {}
        done => done.map_err(fail)?,
    }
    let going = going_name(at.1);
    let called = if mark_of(dir).map_err(fail)? == Some(Mark::Going) || at.1.starts_with(GOING_NAME) {
        at.1
    } else {
        change::rename_to(at, (at.0, &going)).map_err(fail)?;
        &going
    };
    walk::names(dir).map_err(fail)?.iter().try_for_each(|name| walk::remove(dir, name))?;
    change::remove_dir(at.0, called).map_err(fail)
}

/// Where nothing has the new name, also on file systems that cannot look and rename in one step.
fn rename_new(from: At<'_>, to: At<'_>) -> Result<(), Errno> {
    match change::rename_new(from, to) {
        Err(Errno::EINVAL | Errno::ENOSYS) => rename_new_in_steps(from, to),
        done => done,
    }
}

/// The same in two steps, of which the first fails if something has it.
fn rename_new_in_steps(from: At<'_>, to: At<'_>) -> Result<(), Errno> {
    if fs::stat(from.0, from.1)?.kind == Kind::Directory {
        change::make_dir(to.0, to.1, 0o700)?;
        let done = change::rename_to(from, to);
        if done.is_err() {
            let _ = change::remove_dir(to.0, to.1);
        }
        return done;
    }
    match change::link(from, to) {
        Ok(()) => {
            let done = change::unlink(from.0, from.1);
            if done.is_err() {
                let _ = change::unlink(to.0, to.1);
            }
            done
        }
        // No second names here, or not of this file.
        Err(Errno::EPERM | Errno::ENOTSUP | Errno::ENOSYS | Errno::EINVAL | Errno::EMLINK) => {
            rename_over_placeholder(from, to)
        }
        Err(errno) => Err(errno),
    }
}

fn rename_over_placeholder(from: At<'_>, to: At<'_>) -> Result<(), Errno> {
    let placeholder = fs::stat(change::create(to.0, to.1, 0o600)?.as_fd(), b"")?;
    let done = change::rename_to(from, to);
    let is_there = || fs::stat(to.0, to.1).is_ok_and(|found| found.id() == placeholder.id() && found.size == 0);
    if done.is_err() && is_there() {
        let _ = change::unlink(to.0, to.1);
    }
    done
}

/// Opens a directory that was just made. Somebody may have put another one in its place, which is not ours to fill and to give
/// an owner.
fn open_new(at: At<'_>) -> Result<Fd, Errno> {
    let dir = fs::open(at.0, at.1, Open::DirectoryNoFollow)?;
    if walk::is_empty(dir.as_fd())? { Ok(dir) } else { Err(Errno::ENOTEMPTY) }
}

/// Removes what is there under a temporary name.
fn take_away(at: At<'_>, fail: impl Fn(Errno) -> Failure) -> Result<(), Failure> {
    match change::unlink(at.0, at.1) {
        Err(Errno::EISDIR) => walk::remove(at.0, at.1),
        done => done.map_err(fail),
    }
}

/// `.dogwatch-` and a hash of the final name (FNV-1a, 64 bits): the same in all versions, and never too long.
pub fn temporary_name(name: &[u8]) -> Vec<u8> {
    derived("", name)
}

/// What something replaces is kept in `.dogwatch-gone-` and the hash of the name that this had.
pub fn aside_name(name: &[u8]) -> Vec<u8> {
    derived("gone-", name)
}

/// What is going, where no mode tells that.
fn going_name(name: &[u8]) -> Vec<u8> {
    derived("over-", name)
}

/// The beginning of such names.
pub const GOING_NAME: &[u8] = b".dogwatch-over-";

fn derived(what: &str, name: &[u8]) -> Vec<u8> {
    let hash = fnv::with(fnv::EMPTY, name);
    format!(".dogwatch-{what}{hash:016x}").into_bytes()
}

#[cfg(test)]
mod tests;
