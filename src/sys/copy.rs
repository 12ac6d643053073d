//! A file's bytes into another one, at the same place in both: ioctl(2) FICLONE, copy_file_range(2), pread(2), pwrite(2),
//! where its holes are (lseek(2)), and what of it is in memory (posix_fadvise(2)).

use super::{Errno, gate};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Makes `to` share all of the data of `from`. Which errors mean that it has to be copied, ioctl_ficlone(2) lists: EXDEV,
/// EOPNOTSUPP, EINVAL, ENOTTY, EPERM.
pub fn clone(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: takes descriptors that are open for the time of the borrows, and no pointer.
    gate::call("ioctl", || unsafe { libc::ioctl(to.as_raw_fd(), libc::FICLONE, from.as_raw_fd()) }).map(drop)
}

/// Copies up to `len` bytes inside the kernel; the answer is how many, 0 at the end. EXDEV, EINVAL, ENOSYS, EOPNOTSUPP or EPERM
/// where it cannot be done so; some file systems then say 0 (those of /proc do).
pub fn range(from: BorrowedFd<'_>, to: BorrowedFd<'_>, at: u64, len: usize) -> Result<usize, Errno> {
    let start = offset(at)?;
    let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
    gate::sized("copy_file_range", len, |len| {
        let (mut read_at, mut write_at) = (start, start);
        // By number, for old C libraries lack the function.
        // SAFETY: the kernel reads and writes two offsets that live for the call.
        let n =
            unsafe { libc::syscall(libc::SYS_copy_file_range, from, &raw mut read_at, to, &raw mut write_at, len, 0) };
        isize::try_from(n).unwrap_or(-1)
    })
}

/// Reads what stands at a place in a file; 0 is the end.
pub fn read_at(file: BorrowedFd<'_>, buffer: &mut [u8], at: u64) -> Result<usize, Errno> {
    let (raw, start) = (file.as_raw_fd(), offset(at)?);
    // SAFETY: at most `len` <= buffer.len() bytes are written into a buffer that is borrowed mutably for the call.
    gate::sized("pread64", buffer.len(), |len| unsafe { libc::pread64(raw, buffer.as_mut_ptr().cast(), len, start) })
}

/// Writes all of the bytes at a place in a file.
pub fn write_at(file: BorrowedFd<'_>, mut bytes: &[u8], mut at: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let (raw, start) = (file.as_raw_fd(), offset(at)?);
        // SAFETY: at most `len` <= bytes.len() bytes are read from a live slice.
        let n = gate::sized("pwrite64", bytes.len(), |len| unsafe {
            libc::pwrite64(raw, bytes.as_ptr().cast(), len, start)
        })?;
        if n == 0 {
            return Err(Errno(libc::EIO));
        }
        at += n as u64;
        bytes = bytes.get(n..).unwrap_or_default();
    }
    Ok(())
}

/// Where the next data begin, from a place on; none if there is only a hole up to the end. EINVAL where the file system tells
/// no holes.
pub fn next_data(file: BorrowedFd<'_>, from: u64) -> Result<Option<u64>, Errno> {
    match seek(file, from, libc::SEEK_DATA) {
        Err(Errno::ENXIO) => Ok(None),
        found => found.map(Some),
    }
}

/// Where the next hole begins, from a place before the end on; there is one at the end of every file.
pub fn next_hole(file: BorrowedFd<'_>, from: u64) -> Result<u64, Errno> {
    seek(file, from, libc::SEEK_HOLE)
}

/// Reads as much as there is room for, and is left in the file.
pub fn fill(file: BorrowedFd<'_>, buffer: &mut [u8], at: u64) -> Result<usize, Errno> {
    let mut filled = 0;
    loop {
        match read_at(file, buffer.get_mut(filled..).unwrap_or_default(), at + filled as u64)? {
            0 => return Ok(filled),
            n => filled += n,
        }
    }
}

/// Drops what of a file is in memory, once it is on disk: the next read comes from there (posix_fadvise(2)).
pub fn forget(file: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    gate::direct("fadvise64", || unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) })
}

fn seek(file: BorrowedFd<'_>, from: u64, what: libc::c_int) -> Result<u64, Errno> {
    let start = offset(from)?;
    // SAFETY: takes numbers only. The file's own place, which it moves, nobody uses who copies.
    let found = gate::call("lseek", || unsafe { libc::lseek64(file.as_raw_fd(), start, what) })?;
    Ok(found.unsigned_abs())
}

fn offset(at: u64) -> Result<i64, Errno> {
    i64::try_from(at).map_err(|_| Errno(libc::EFBIG))
}
