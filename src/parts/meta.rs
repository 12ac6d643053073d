//! What is kept with a file besides its bytes: owner, mode, times, extended attributes (POSIX ACLs are two of them). Read
//! from one open file and set on another; by descriptor, so that it is that file and no other.
//!
//! A file system or a user may not be able to keep all of it. What nobody asked for by name, and cannot be kept, is told in
//! the result; what was asked for and cannot be had is a failure.

use super::diag::Failure;
use super::text::Escaped;
use crate::sys::change::{self, Owner};
use crate::sys::fs::{self, Kind, Stat};
use crate::sys::{Errno, xattr};
use std::os::fd::BorrowedFd;

/// What is kept with a file.
#[derive(Clone, Debug)]
pub struct Meta {
    /// Its kind, owner, mode and times among others.
    pub stat: Stat,
    /// Names and values of its extended attributes.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Extended attributes that we may not read.
    unread: Lost,
}

/// What is asked for instead of what a file has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// Owner and group.
    pub owner: Owner,
    /// Permission bits (0o7777).
    pub mode: Option<u32>,
}

/// What could not be kept: `owner`, `mode`, `times`, or an extended attribute's name, for a message.
pub type Lost = Vec<String>;

const ACL: &[u8] = b"system.posix_acl_";
/// What a program may do whoever starts it: no chown(2) leaves it.
const CAPABILITY: &[u8] = b"security.capability";
const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;

impl Meta {
    /// What is to be set on a file, as something else than a file tells it.
    pub fn new(stat: Stat, xattrs: Vec<(Vec<u8>, Vec<u8>)>) -> Meta {
        Meta { stat, xattrs, unread: Lost::new() }
    }

    /// The extended attributes that we may not read.
    pub fn unread(&self) -> &[String] {
        &self.unread
    }

    /// Reads it. `file` may be a place (O_PATH), and a link's own.
    pub fn read(file: BorrowedFd<'_>, path: &[u8]) -> Result<Meta, Failure> {
        let fail = |errno| Failure::on_path("read the attributes of", path, errno);
        let stat = fs::stat(file, b"").map_err(fail)?;
        let (mut xattrs, mut unread) = (Vec::new(), Lost::new());
        for name in names(file).map_err(fail)? {
            match xattr::get(file, &name) {
                Ok(value) => xattrs.push((name, value)),
                // Taken away meanwhile.
                Err(Errno::ENODATA) => {}
                Err(errno) if is_no_failure(&name, errno) => unread.push(Escaped(&name).to_string()),
                Err(errno) => return Err(fail(errno)),
            }
        }
        Ok(Meta { stat, xattrs, unread })
    }

    /// Sets it on a file of the same kind: owner, mode, extended attributes, times, in an order in which no step undoes an
    /// earlier one. What the file has inherited from its directory's ACL goes. With another owner, setuid and setgid go
    /// (a directory's setgid stays, which gives nobody any right), unless a mode is asked for.
    pub fn set(&self, file: BorrowedFd<'_>, path: &[u8], wanted: Wanted) -> Result<Lost, Failure> {
        let mut lost = self.unread.clone();
        let fail = |what: &'static str| move |errno| Failure::on_path(what, path, errno);
        self.drop_inherited(file).map_err(fail("take the inherited ACL from"))?;

        let (user, group) = (wanted.owner.user.or(Some(self.stat.uid)), wanted.owner.group.or(Some(self.stat.gid)));
        let owned = match change::set_owner(file, Owner { user, group }) {
            Err(Errno::EPERM | Errno::EINVAL) if wanted.owner == Owner::default() => {
                lost.push("owner".to_owned());
                Ok(())
            }
            done => done,
        };
        owned.map_err(fail("set the owner of"))?;
        let now = fs::stat(file, b"").map_err(fail("look at"))?;
        let has_other_owner = is_other_owner(&now, &self.stat);

        let kept = if has_other_owner { without_privileges(&self.stat) } else { self.stat.mode };
        let is_link = self.stat.kind == Kind::Symlink;
        let set_mode = || if is_link { Ok(()) } else { change::set_mode(file, wanted.mode.unwrap_or(kept)) };
        match set_mode() {
            Err(Errno::EPERM) if wanted.mode.is_none() => lost.push("mode".to_owned()),
            done => done.map_err(fail("set the mode of"))?,
        }

        for (name, value) in self.xattrs.iter().filter(|(name, _)| !has_other_owner || name != CAPABILITY) {
            match xattr::set(file, name, value) {
                Err(errno) if is_no_failure(name, errno) => lost.push(Escaped(name).to_string()),
                done => done.map_err(fail("set an extended attribute of"))?,
            }
            // An ACL has the mode's bits in it, of its own file.
            if name.starts_with(ACL) && wanted.mode.is_some() {
                set_mode().map_err(fail("set the mode of"))?;
            }
        }

        match change::set_times(file, self.stat.atime, self.stat.mtime) {
            Err(Errno::EPERM) => lost.push("times".to_owned()),
            done => done.map_err(fail("set the times of"))?,
        }
        Ok(lost)
    }

    fn drop_inherited(&self, file: BorrowedFd<'_>) -> Result<(), Errno> {
        let is_ours = |name: &Vec<u8>| self.xattrs.iter().any(|(own, _)| own == name);
        for name in names(file)?.iter().filter(|name| name.starts_with(ACL) && !is_ours(name)) {
            match xattr::remove(file, name) {
                Err(Errno::ENODATA) => {}
                done => done?,
            }
        }
        Ok(())
    }
}

/// Gives a file that keeps everything else another owner and mode. `file` may be a place (O_PATH), and a link's own. With
/// another owner, setuid and setgid go as by [`Meta::set`].
pub fn adjust(file: BorrowedFd<'_>, path: &[u8], wanted: Wanted) -> Result<(), Failure> {
    let fail = |what: &'static str| move |errno| Failure::on_path(what, path, errno);
    let found = fs::stat(file, b"").map_err(fail("look at"))?;
    let is = |id: Option<u32>, now: u32| id.is_none_or(|id| id == now);
    let has_other_owner = !is(wanted.owner.user, found.uid) || !is(wanted.owner.group, found.gid);
    // chown(2) to the same owner would take setuid away too.
    if has_other_owner {
        change::set_owner(file, wanted.owner).map_err(fail("set the owner of"))?;
    }
    let left = if has_other_owner { without_privileges(&found) } else { found.mode };
    let mode = wanted.mode.unwrap_or(left);
    if found.kind == Kind::Symlink || mode == found.mode && !has_other_owner {
        return Ok(());
    }
    change::set_mode(file, mode).map_err(fail("set the mode of"))
}

fn is_other_owner(one: &Stat, other: &Stat) -> bool {
    (one.uid, one.gid) != (other.uid, other.gid)
}

fn without_privileges(found: &Stat) -> u32 {
    found.mode & !if found.kind == Kind::Directory { SETUID } else { SETUID | SETGID }
}

fn names(file: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>, Errno> {
    match xattr::list(file) {
        Err(Errno::ENOTSUP | Errno::EBADF) => Ok(Vec::new()),
        names => names,
    }
}

/// Whether an attribute may be left out: the file system has none such, or it is the system's own, which not everybody may
/// set, nor every machine understands.
fn is_no_failure(name: &[u8], errno: Errno) -> bool {
    let is_of_system = [&b"security."[..], b"trusted."].iter().any(|space| name.starts_with(space));
    errno == Errno::ENOTSUP || is_of_system && matches!(errno, Errno::EPERM | Errno::EACCES | Errno::EINVAL)
}

#[cfg(test)]
mod tests;
