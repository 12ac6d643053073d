//! Older archives: the one that stands gets a second name, with the date, before a new one takes its place.

use crate::parts::diag::Failure;
use crate::parts::publish::{self, Over};
use crate::parts::walk;
use crate::sys::Errno;
use crate::sys::change::{self, At};
use crate::sys::fs::{self, Id};
use std::os::fd::BorrowedFd;

const PREFIX: &[u8] = b"files_";
const SUFFIX: &[u8] = b".tar.gz";
/// `YYYYmmdd-HHMMSS`.
const DATE: usize = 15;
/// So many archives in one second find a name.
const MOST_TRIES: u32 = 1_000;

/// A second name that an archive was given.
pub struct Older {
    id: Id,
    name: Vec<u8>,
}

/// Keeps what stands there, if anything does, under a name with this date, and under its own until that is replaced (but where
/// a file has one name only). The answer is the new name, if it needed one.
pub fn keep(archive: At<'_>, path: &[u8], date: &[u8]) -> Result<Option<Older>, Failure> {
    let (base, name) = archive;
    let fail = |errno| Failure::on_path("keep the older archive", path, errno);
    let found = match fs::stat(base, name) {
        Err(Errno::ENOENT) => return Ok(None),
        found => found.map_err(fail)?,
    };
    // A run that was ended before it replaced it may have done that.
    if found.links > 1 && has_name(base, found.id()).map_err(fail)? {
        return Ok(None);
    }
    for n in 0..MOST_TRIES {
        let number = if n == 0 { String::new() } else { format!("_{n}") };
        let older = [PREFIX, date, number.as_bytes(), SUFFIX].concat();
        let to = (base, &older[..]);
        let done = match change::link(archive, to) {
            Err(Errno::EPERM | Errno::ENOTSUP | Errno::ENOSYS | Errno::EINVAL | Errno::EMLINK) => {
                publish::rename(archive, to, Over::Nothing).map(drop)
            }
            done => done,
        };
        match done {
            Err(Errno::EEXIST) => {}
            done => return done.map(|()| Some(Older { id: found.id(), name: older })).map_err(fail),
        }
    }
    Err(fail(Errno::EEXIST))
}

/// Undoes that after this failure, unless a new archive has taken its place all the same.
pub fn undo(archive: At<'_>, older: Option<Older>, failure: Failure) -> Failure {
    let (base, name) = archive;
    let Some(older) = older else { return failure };
    let undone = match fs::stat(base, name) {
        Ok(found) if found.id() == older.id => change::unlink(base, &older.name),
        Err(Errno::ENOENT) => publish::rename((base, &older.name), archive, Over::Nothing).map(drop),
        // It stays, for it is the only name, or may be.
        Ok(_) | Err(_) => Ok(()),
    };
    match undone {
        Ok(()) => failure,
        Err(errno) => failure.hint(&Failure::on_path("take back the name", &older.name, errno).to_string()),
    }
}

/// Removes the oldest, so that only so many are left.
pub fn forget(base: BorrowedFd<'_>, path: &[u8], keep: Option<usize>) -> Result<(), Failure> {
    let Some(keep) = keep else { return Ok(()) };
    let mut names = names(base).map_err(|errno| Failure::on_path("list", path, errno))?;
    // By their dates, and by their numbers within a second.
    names.sort_unstable_by_key(|name| (name.get(..PREFIX.len() + DATE).map(<[u8]>::to_vec), name.len(), name.clone()));
    let many = names.len().saturating_sub(keep);
    names.iter().take(many).try_for_each(|name| {
        let fail = |errno| Failure::on_path("remove the older archive", &[path, b"/", name].concat(), errno);
        change::unlink(base, name).map_err(fail)
    })
}

fn has_name(base: BorrowedFd<'_>, id: Id) -> Result<bool, Errno> {
    let is_it = |name: &Vec<u8>| fs::stat(base, name).is_ok_and(|found| found.id() == id);
    Ok(names(base)?.iter().any(is_it))
}

/// Names of older archives.
fn names(base: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>, Errno> {
    Ok(walk::names(base)?.iter().filter(|name| is_older(name)).map(<[u8]>::to_vec).collect())
}

fn is_older(name: &[u8]) -> bool {
    let Some(middle) = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX)) else { return false };
    let Some((date, number)) = middle.split_at_checked(DATE) else { return false };
    let is_date = date.iter().enumerate().all(|(at, byte)| if at == 8 { *byte == b'-' } else { byte.is_ascii_digit() });
    let is_number = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_date && (number.is_empty() || number.strip_prefix(b"_").is_some_and(is_number))
}

#[cfg(test)]
mod tests;
