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
    walk(path, Kind::File)
}

/// Opens an absolute path to a directory for listing.
pub fn open_directory(path: &[u8]) -> Result<Fd, Failure> {
    walk(path, Kind::Directory)
}

fn walk(path: &[u8], wanted: Kind) -> Result<Fd, Failure> {
    let fail = |reason: Errno| Failure::on_path("read", path, reason);
    let mut dir = enter(CWD, b"/").map_err(|refusal| refusal.about(path))?;
    let mut rest: Vec<Vec<u8>> = components(path);
    let mut links = 0;
    while let Some(component) = rest.pop() {
        let found = fs::stat(dir.as_fd(), &component).map_err(fail)?;
        match found.kind {
            Kind::Symlink => {
                links += 1;
                // In a sticky directory others may make links, though not replace root's.
                judge(&found, "a link on its way", Judged::Link).map_err(|refusal| refusal.about(path))?;
                let target = fs::read_link(dir.as_fd(), &component).map_err(fail)?;
                if links > MOST_LINKS {
                    return Err(fail(Errno::ELOOP));
                }
                if target.starts_with(b"/") {
                    dir = enter(CWD, b"/").map_err(|refusal| refusal.about(path))?;
                }
                rest.extend(components(&target));
            }
            Kind::Directory if !rest.is_empty() => {
                dir = enter(dir.as_fd(), &component).map_err(|refusal| refusal.about(path))?;
            }
            _ if !rest.is_empty() => return Err(fail(Errno::ENOTDIR)),
            Kind::Directory if wanted == Kind::Directory => {
                let listing = fs::open(dir.as_fd(), &component, Open::DirectoryNoFollow).map_err(fail)?;
                let opened = fs::stat(listing.as_fd(), b"").map_err(fail)?;
                judge(&opened, "it", Judged::Directory).map_err(|refusal| refusal.about(path))?;
                return Ok(listing);
            }
            Kind::File if wanted == Kind::File => {
                let file = fs::open(dir.as_fd(), &component, Open::Read).map_err(fail)?;
                let opened = fs::stat(file.as_fd(), b"").map_err(fail)?;
                judge(&opened, "it", Judged::File).map_err(|refusal| refusal.about(path))?;
                return Ok(file);
            }
            Kind::File
            | Kind::Directory
            | Kind::Fifo
            | Kind::Socket
            | Kind::Character
            | Kind::Block
            | Kind::Unknown => break,
        }
    }
    Err(Failure::on_path("read", path, "it is no regular file"))
}

/// Why something is not trusted.
enum Refusal {
    System(Errno),
    Unsafe(String),
}

impl Refusal {
    fn about(self, path: &[u8]) -> Failure {
        match self {
            Refusal::System(errno) => Failure::on_path("read", path, errno),
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
    let dir = fs::open(at, name, Open::Place).map_err(Refusal::System)?;
    let found = fs::stat(dir.as_fd(), b"").map_err(Refusal::System)?;
    judge(&found, &format!("the directory \"{}\" on its way", Escaped(name)), Judged::Directory)?;
    Ok(dir)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Judged {
    File,
    Directory,
    /// Its mode means nothing.
    Link,
}

fn judge(found: &Stat, what: &str, kind: Judged) -> Result<(), Refusal> {
    const STICKY: u32 = 0o1000;
    if found.uid != 0 {
        return Err(Refusal::Unsafe(format!("{what} belongs to user {}", found.uid)));
    }
    let open = found.mode & 0o022 != 0 && kind != Judged::Link;
    if open && !(kind == Judged::Directory && found.mode & STICKY != 0) {
        let whom = if found.mode & 0o002 != 0 { "everybody" } else { "its group" };
        return Err(Refusal::Unsafe(format!("{what} can be written by {whom} (mode {:04o})", found.mode)));
    }
    Ok(())
}
