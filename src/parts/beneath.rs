//! Resolution below a root: a relative path leads nowhere but below the directory that it starts from, whoever changes
//! directories into links meanwhile.
//!
//! The kernel sees to that (openat2(2)) where it can. Elsewhere, before Linux 5.6 and under filters of system calls that
//! do not know that call, each component is opened from the one before without following a link. Either refuses `..`, `.`
//! and empty components before any call is made. What was opened once is used by its descriptor, for a second look may
//! lead elsewhere.

use super::walk;
use crate::sys::change::{self, Owner};
use crate::sys::fs::{self, CWD, Open};
use crate::sys::{Errno, Fd};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;

/// A trusted directory to start from.
#[derive(Debug)]
pub struct Root {
    dir: Fd,
    resolver: Resolver,
}

/// What keeps a path below its root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolver {
    /// The kernel, by openat2(2).
    Openat2,
    /// A step for each component, by openat(2) with O_NOFOLLOW.
    Steps,
}

/// Why there is no such place below a root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Nothing of that name is there.
    Missing,
    /// A symbolic link is in the way, or something else that is no directory.
    InTheWay,
    /// A component is empty, `.` or `..`, or the root's path is not absolute.
    Path,
    /// Anything else.
    Other(Errno),
}

/// The longest path that a call takes, with its NUL (PATH_MAX).
const LONGEST: usize = 4096;
/// How often openat2(2) is called again that says EAGAIN: somebody renamed something meanwhile.
const MOST_AGAIN: u32 = 64;

/// The way that this kernel allows; found out once.
pub fn resolver() -> Resolver {
    static FOUND: OnceLock<Resolver> = OnceLock::new();
    *FOUND.get_or_init(|| match fs::open_beneath(CWD, b".", Open::Place) {
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EINVAL) => Resolver::Steps,
        Ok(_) | Err(_) => Resolver::Openat2,
    })
}

impl Root {
    /// Opens a root by its absolute path, in which links are followed.
    pub fn open(path: &[u8]) -> Result<Root, Refused> {
        if !path.starts_with(b"/") {
            return Err(Refused::Path);
        }
        Ok(Root { dir: fs::open(CWD, path, Open::PlaceFollowing)?, resolver: resolver() })
    }

    /// Opens a directory below it, or the root itself for an empty path: as [`Open::Place`], or to list and to sync it as
    /// [`Open::DirectoryNoFollow`].
    pub fn dir(&self, relative: &[u8], how: Open) -> Result<Fd, Refused> {
        if relative.is_empty() {
            return Ok(fs::open(self.dir.as_fd(), b".", how)?);
        }
        check(relative)?;
        let mut place: Option<Fd> = None;
        let mut rest = relative;
        loop {
            let at = place.as_ref().map_or(self.dir.as_fd(), AsFd::as_fd);
            let (part, after) = self.split(rest);
            let how = if after.is_empty() { how } else { Open::Place };
            let opened = match self.resolver {
                Resolver::Openat2 => patiently(|| fs::open_beneath(at, part, how))?,
                Resolver::Steps => fs::open(at, part, how)?,
            };
            if after.is_empty() {
                return Ok(opened);
            }
            (place, rest) = (Some(opened), after);
        }
    }

    /// The directory that the last component of a path stands in, opened as by [`Root::dir`], and that component.
    pub fn parent<'a>(&self, relative: &'a [u8], how: Open) -> Result<(Fd, &'a [u8]), Refused> {
        check(relative)?;
        let slash = relative.iter().rposition(|byte| *byte == b'/');
        let (dir, name) = slash.map_or((&b""[..], relative), |at| parts(relative, at));
        Ok((self.dir(dir, how)?, name))
    }

    /// Makes the directories of a path that are missing, each with its mode (0777 less the umask where none is given) and
    /// owner before the next one is made in it. Those that are there stay as they are.
    pub fn make_dirs(&self, relative: &[u8], mode: Option<u32>, owner: Owner) -> Result<(), Refused> {
        check(relative)?;
        let mut place = self.dir(b"", Open::Place)?;
        for name in relative.split(|byte| *byte == b'/') {
            place = match change::make_dir(place.as_fd(), name, mode.unwrap_or(0o777)) {
                Ok(()) => dress(place.as_fd(), name, mode, owner)?,
                // Where nothing may be made, EACCES or EROFS may come first: then it matters whether it is there.
                Err(errno) => match fs::open(place.as_fd(), name, Open::Place) {
                    Err(Errno::ENOENT) => return Err(errno.into()),
                    opened => opened?,
                },
            };
        }
        Ok(())
    }

    /// What one call resolves, and the rest.
    fn split<'a>(&self, path: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let slash = match self.resolver {
            Resolver::Steps => path.iter().position(|byte| *byte == b'/'),
            Resolver::Openat2 if path.len() < LONGEST => None,
            Resolver::Openat2 => path.iter().take(LONGEST).rposition(|byte| *byte == b'/'),
        };
        slash.map_or((path, &b""[..]), |at| parts(path, at))
    }
}

/// What stands before a slash and after it.
fn parts(path: &[u8], slash: usize) -> (&[u8], &[u8]) {
    (path.get(..slash).unwrap_or_default(), path.get(slash + 1..).unwrap_or_default())
}

fn check(relative: &[u8]) -> Result<(), Refused> {
    let is_wrong = |component: &[u8]| matches!(component, b"" | b"." | b"..");
    if relative.split(|byte| *byte == b'/').any(is_wrong) { Err(Refused::Path) } else { Ok(()) }
}

fn patiently<T>(mut open: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    for _ in 0..MOST_AGAIN {
        match open() {
            Err(Errno::EAGAIN) => {}
            opened => return opened,
        }
    }
    open()
}

/// Gives a new directory its owner and mode. If somebody has put another one in its place that has something in it, it is
/// left alone: nobody is made the owner of what others have put there.
fn dress(parent: BorrowedFd<'_>, name: &[u8], mode: Option<u32>, owner: Owner) -> Result<Fd, Refused> {
    let dir = fs::open(parent, name, Open::DirectoryNoFollow)?;
    if owner != Owner::default() {
        if !walk::is_empty(dir.as_fd())? {
            return Err(Refused::InTheWay);
        }
        change::set_owner(dir.as_fd(), owner)?;
    }
    if let Some(mode) = mode {
        change::set_mode(dir.as_fd(), mode)?;
    }
    change::sync_names(fs::open(parent, b".", Open::DirectoryNoFollow)?.as_fd())?;
    Ok(dir)
}

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Refused {
        match errno {
            Errno::ENOENT => Refused::Missing,
            Errno::ELOOP | Errno::ENOTDIR => Refused::InTheWay,
            errno => Refused::Other(errno),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Missing => Errno::ENOENT.fmt(f),
            Refused::InTheWay => f.write_str("a symbolic link is in the way, or something else that is no directory"),
            Refused::Path => f.write_str("it is no path below a directory (an empty component, \".\" or \"..\")"),
            Refused::Other(errno) => errno.fmt(f),
        }
    }
}

impl fmt::Display for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Resolver::Openat2 => "openat2",
            Resolver::Steps => "O_NOFOLLOW steps",
        })
    }
}

#[cfg(test)]
mod tests;
