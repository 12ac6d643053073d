//! Opening a configuration file as root: only if nobody else could have written it.
//!
//! A file is refused that is not owned by root or that group or others may write to, and so is one below a directory
//! of which the same is true: whoever may write there could put another file in its place. Sticky directories (/tmp)
//! let only owners replace things, and are allowed if they are root's. Links are followed one by one, and every
//! directory on the way is looked at. What is read is the descriptor that was looked at.

use crate::parts::diag::Failure;
use crate::parts::text::Escaped;
use crate::sys::fs::{self, CWD, Kind, Open, Stat};
use crate::sys::{Errno, Fd};
use std::os::fd::{AsFd, BorrowedFd};

/// As many links as the kernel follows (path_resolution(7)).
const MOST_LINKS: u32 = 40;

/// Opens an absolute path to a regular file for reading.
pub fn open(path: &[u8]) -> Result<Fd, Failure> {
    walk(path, Kind::File).map_err(|refusal| refusal.about(path))
}

/// Opens an absolute path to a directory for listing.
pub fn open_directory(path: &[u8]) -> Result<Fd, Failure> {
    walk(path, Kind::Directory).map_err(|refusal| refusal.about(path))
}

fn walk(path: &[u8], wanted: Kind) -> Result<Fd, Refusal> {
    let mut dir = enter(CWD, b"/")?;
    let mut rest: Vec<Vec<u8>> = components(path);
    let mut links = 0;
    while let Some(component) = rest.pop() {
        let found = fs::stat(dir.as_fd(), &component)?;
        if found.kind == Kind::Symlink {
            links += 1;
            // In a sticky directory others may make links, though not replace root's.
            judge(&found, "a link on its way")?;
            let target = fs::read_link(dir.as_fd(), &component)?;
            if links > MOST_LINKS {
                return Err(Errno::ELOOP.into());
            }
            if target.starts_with(b"/") {
                dir = enter(CWD, b"/")?;
            }
            rest.extend(components(&target));
        } else if !rest.is_empty() {
            dir = enter(dir.as_fd(), &component)?;
        } else if found.kind == wanted {
            let how = if wanted == Kind::File { Open::Read } else { Open::DirectoryNoFollow };
            let opened = fs::open(dir.as_fd(), &component, how)?;
            judge(&fs::stat(opened.as_fd(), b"")?, "it")?;
            return Ok(opened);
        } else {
            break;
        }
    }
    Err(Refusal::Kind)
}

/// Why something is not trusted.
enum Refusal {
    System(Errno),
    Unsafe(String),
    Kind,
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Refusal {
        Refusal::System(errno)
    }
}

impl Refusal {
    fn about(self, path: &[u8]) -> Failure {
        match self {
            Refusal::System(errno) => Failure::on_path("read", path, errno),
            Refusal::Kind => Failure::on_path("read", path, "it is no regular file"),
            Refusal::Unsafe(reason) => Failure::on_path("trust", path, reason)
                .hint("as root, dogwatch obeys only what root alone can write: chown root it and chmod go-w it"),
        }
    }
}

/// Components, the first last.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.rev().map(<[u8]>::to_vec).collect()
}

fn enter(at: BorrowedFd<'_>, name: &[u8]) -> Result<Fd, Refusal> {
    let dir = fs::open(at, name, Open::Place)?;
    judge(&fs::stat(dir.as_fd(), b"")?, &format!("the directory \"{}\" on its way", Escaped(name)))?;
    Ok(dir)
}

fn judge(found: &Stat, what: &str) -> Result<(), Refusal> {
    const STICKY: u32 = 0o1000;
    if found.uid != 0 {
        return Err(Refusal::Unsafe(format!("{what} belongs to user {}", found.uid)));
    }
    // A link's mode means nothing.
    let open = found.mode & 0o022 != 0 && found.kind != Kind::Symlink;
    if open && !(found.kind == Kind::Directory && found.mode & STICKY != 0) {
        let whom = if found.mode & 0o002 != 0 { "everybody" } else { "its group" };
        return Err(Refusal::Unsafe(format!("{what} can be written by {whom} (mode {:04o})", found.mode)));
    }
    Ok(())
}
