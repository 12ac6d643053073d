//! Where an archive is written to: tar's blocks through gzip into a draft, which gets its name once all of it was read back
//! from disk as it was written.

use super::{Sums, read_through};
use crate::parts::diag::Failure;
use crate::parts::publish::{Draft, Over, Target, temporary_name};
use crate::sys::fs::{self, Id, Open};
use crate::sys::stream::{Stream, Write, reason};
use crate::sys::{Errno, change, copy};
use flate2::write::GzEncoder;
use flate2::{Compression, Crc};
use std::os::fd::AsFd;

/// An archive ends with so many zeros at least.
const END: usize = 2 * super::member::BLOCK;
/// What gzip takes.
const MOST_LEVEL: u32 = 9;
/// zlib-rs at its level 1 gives archives that are 8 to 15 % larger than gzip's; at 2, they are 4 to 5 % smaller, in 2/3 of gzip's
/// time (128 MiB of mixed data: 68.5 and 56.7 MB in 0.9 and 1.7 s, gzip's 59.6 MB in 2.5).
const LEAST_LEVEL: u32 = 2;
const ZEROS: [u8; 16 << 10] = [0; 16 << 10];

/// An archive that is being written.
pub struct Output<'a> {
    target: Target<'a>,
    gzip: GzEncoder<Stream<'a>>,
    crc: Crc,
    sums: Sums,
}

impl<'a> Output<'a> {
    /// Begins one in a draft. (Gzip's header has no time in it.)
    pub fn new(draft: &'a Draft<'_>, target: Target<'a>, level: u32) -> Output<'a> {
        let level = if level == 0 { level } else { level.clamp(LEAST_LEVEL, MOST_LEVEL) };
        let gzip = GzEncoder::new(Stream(draft.file()), Compression::new(level));
        Output { target, gzip, crc: Crc::new(), sums: Sums::default() }
    }

    /// Begins a member with these headers; its data follow, and [`Output::fill_up`].
    pub fn begin(&mut self, headers: &[u8]) -> Result<(), Failure> {
        self.sums.members += 1;
        self.write(headers)
    }

    /// Writes bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.gzip.write_all(bytes).map_err(|error| self.failure(reason(&error)))?;
        self.crc.update(bytes);
        self.sums.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes zeros.
    pub fn write_zeros(&mut self, mut count: u64) -> Result<(), Failure> {
        while count > 0 {
            let some = usize::try_from(count).unwrap_or(usize::MAX).min(ZEROS.len());
            self.write(ZEROS.get(..some).unwrap_or_default())?;
            count -= some as u64;
        }
        Ok(())
    }

    /// Fills up the last block of a member.
    pub fn fill_up(&mut self) -> Result<(), Failure> {
        self.write_zeros(self.sums.bytes.wrapping_neg() % super::member::BLOCK as u64)
    }

    /// How much was written.
    pub fn bytes(&self) -> u64 {
        self.sums.bytes
    }

    /// Ends it, tar and gzip.
    pub fn end(mut self) -> Result<Sums, Failure> {
        self.write_zeros(END as u64)?;
        let Output { target, gzip, crc, sums } = self;
        gzip.finish().map_err(|error| failure(target, reason(&error)))?;
        Ok(Sums { crc: crc.sum(), ..sums })
    }

    fn failure(&self, reason: impl std::fmt::Display) -> Failure {
        failure(self.target, reason)
    }
}

fn failure(target: Target<'_>, reason: impl std::fmt::Display) -> Failure {
    Failure::on_path("write", &path(target), reason)
}

fn path(target: Target<'_>) -> Vec<u8> {
    [target.dir_path, b"/", target.name].concat()
}

/// The draft of an archive, with what has its name so far: neither may get into it.
pub fn begin(target: Target<'_>, over: Over) -> Result<(Draft<'_>, Vec<Id>), Failure> {
    let found = match fs::stat(target.dir, target.name) {
        Ok(_) if over == Over::Nothing => return Err(target.failure(Errno::EEXIST)),
        Ok(found) => Some(found.id()),
        Err(Errno::ENOENT) => None,
        Err(errno) => return Err(target.failure(errno)),
    };
    let draft = Draft::begin(target)?;
    let own = fs::stat(draft.file(), b"").map_err(|errno| target.failure(errno))?;
    Ok((draft, found.into_iter().chain([own.id()]).collect()))
}

/// Reads an archive back that has these sums, and gives it its mode.
pub fn read_back(draft: &Draft<'_>, target: Target<'_>, sums: Sums, mode: u32) -> Result<(), Failure> {
    let fail = |errno| target.failure(errno);
    change::sync(draft.file()).map_err(fail)?;
    // What is read then comes from the disk, not from memory. It is advice, which is not taken everywhere.
    let _ = copy::forget(draft.file());
    let back = fs::open(target.dir, &temporary_name(target.name), Open::Read).map_err(fail)?;
    let is_ours = fs::stat(back.as_fd(), b"").map_err(fail)?.id() == fs::stat(draft.file(), b"").map_err(fail)?.id();
    let found = read_through(back.as_fd(), &path(target), &mut |_| {})?;
    if !is_ours || found != sums {
        return Err(failure(target, "what was written is not what reads back").hint("the old archive, if any, stands"));
    }
    change::set_mode(draft.file(), mode).map_err(fail)
}
