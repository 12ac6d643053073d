//! Whether one tree is a copy of another: what a killed move has left in both places is known by that.

use crate::parts::diag::Failure;
use crate::parts::walk::{Next, Place, Step, Trail, walk};
use crate::sys::change::At;
use crate::sys::fs::{self, Kind, Open, Stat};
use crate::sys::{Errno, copy};
use std::os::fd::{AsFd, BorrowedFd};

const BUFFER: usize = 64 << 10;

/// Whether `other` has the entries of `one`, each of the same kind, size, time and bytes.
pub fn is_copy(one: At<'_>, other: At<'_>) -> Result<bool, Failure> {
    let fail = |errno| Failure::on_path("compare", other.1, errno);
    let base = fs::stat(other.0, b"").map_err(fail)?;
    let mut trail = Trail::new(other.0, &base);
    let (mut is_same, mut entries) = (true, 0);
    walk(one.0, one.1, &mut |step| {
        let name = |place: Place<'_>| if place.path.contains(&b'/') { place.name().to_vec() } else { other.1.to_vec() };
        match step {
            _ if !is_same => return Ok(Next::Past),
            Step::Enter { is_mount: true, .. } => is_same = false,
            Step::Enter { place, stat, .. } => match enter(trail.dir(), &name(place), stat) {
                Ok(Some((dir, found))) => trail.enter(dir, &found),
                Ok(None) => is_same = false,
                Err(errno) => return Err(fail(errno)),
            },
            Step::Leave { .. } => drop(trail.leave().map_err(fail)?),
            Step::Entry { place, stat } => {
                let (from, to) = ((place.parent, place.name()), (trail.dir(), &name(place)[..]));
                is_same = is_same_entry(from, stat, to).map_err(fail)?;
            }
            Step::Failed { errno, .. } => return Err(fail(errno)),
        }
        entries += 1;
        Ok(if is_same { Next::On } else { Next::Past })
    })?;
    Ok(is_same && entries == count(other)?)
}

/// How many steps a walk takes.
fn count(at: At<'_>) -> Result<u64, Failure> {
    let mut entries = 0;
    walk(at.0, at.1, &mut |_| {
        entries += 1;
        Ok(Next::On)
    })?;
    Ok(entries)
}

/// The directory of this name, if it is one of the same time.
fn enter(at: BorrowedFd<'_>, name: &[u8], wanted: &Stat) -> Result<Option<(crate::sys::Fd, Stat)>, Errno> {
    if !look(at, name)?.is_some_and(|found| found.kind == Kind::Directory && found.mtime == wanted.mtime) {
        return Ok(None);
    }
    let dir = fs::open(at, name, Open::DirectoryNoFollow)?;
    let found = fs::stat(dir.as_fd(), b"")?;
    Ok(Some((dir, found)))
}

fn look(at: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Stat>, Errno> {
    match fs::stat(at, name) {
        Err(Errno::ENOENT) => Ok(None),
        found => found.map(Some),
    }
}

fn is_same_entry(one: At<'_>, stat: &Stat, other: At<'_>) -> Result<bool, Errno> {
    let Some(found) = look(other.0, other.1)? else { return Ok(false) };
    if (found.kind, found.size, found.mtime) != (stat.kind, stat.size, stat.mtime) {
        return Ok(false);
    }
    match stat.kind {
        Kind::Symlink => Ok(fs::read_link(one.0, one.1)? == fs::read_link(other.0, other.1)?),
        Kind::File => have_same_bytes(one, other),
        Kind::Directory | Kind::Fifo | Kind::Socket | Kind::Character | Kind::Block | Kind::Unknown => Ok(false),
    }
}

fn have_same_bytes(one: At<'_>, other: At<'_>) -> Result<bool, Errno> {
    let files = [fs::open(one.0, one.1, Open::Read)?, fs::open(other.0, other.1, Open::Read)?];
    let mut buffers = [vec![0; BUFFER], vec![0; BUFFER]];
    let mut at = 0;
    loop {
        let mut filled = [0; 2];
        for ((file, buffer), filled) in files.iter().zip(&mut buffers).zip(&mut filled) {
            *filled = copy::fill(file.as_fd(), buffer, at)?;
        }
        let [a, b] = [0, 1].map(|n| buffers.get(n).and_then(|buffer| buffer.get(..*filled.get(n)?)));
        if a != b {
            return Ok(false);
        }
        if filled == [0; 2] {
            return Ok(true);
        }
        at += filled[0] as u64;
    }
}
