//! Archives: a writer that tells what is safely in one, and a reader that believes nothing of what it reads.
//!
//! They are tar in the form that GNU tar, bsdtar, BusyBox and Python read alike, compressed by gzip. The same tree gives the
//! same bytes. Nothing here follows a link, and memory does not grow with what files hold.

pub mod extract;
pub mod job;
pub mod member;
mod output;
mod pax;
pub mod read;
pub mod write;

use crate::parts::diag::Failure;
use member::Member;
use read::Archive;
use std::os::fd::BorrowedFd;

/// Gzip's level, unless somebody says otherwise.
pub const USUAL_LEVEL: u32 = 6;

/// What tells one archive's content from another's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sums {
    /// How many members it has.
    pub members: u64,
    /// How many bytes it has, uncompressed.
    pub bytes: u64,
    /// The CRC-32 of those.
    pub crc: u32,
}

/// Reads all of an archive, and shows each member: sums, sizes and the end are right, or the error tells what is not.
pub fn read_through(file: BorrowedFd<'_>, path: &[u8], show: &mut dyn FnMut(&Member)) -> Result<Sums, Failure> {
    let mut archive = Archive::new(file, path)?;
    while let Some(member) = archive.next()? {
        show(&member);
    }
    Ok(archive.sums())
}

#[cfg(test)]
mod tests;
