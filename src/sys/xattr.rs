//! Extended attributes of an open file (xattr(7)); POSIX ACLs are two of them (`system.posix_acl_access`, `…_default`).
//! ENOTSUP where a file system has none. A file may be a place (O_PATH), and a link's own: it is reached through /proc then.

use super::fs::{proc_path, terminated};
use super::{Errno, gate};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The kernel's own limit for one value, and for all names (XATTR_SIZE_MAX, XATTR_LIST_MAX).
const MOST: usize = 64 * 1024;

/// The names that we may see.
pub fn list(file: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>, Errno> {
    // SAFETY: at most `len` bytes are written into a buffer of that length.
    let names = filled("flistxattr", |buffer, len| unsafe { libc::flistxattr(file.as_raw_fd(), buffer.cast(), len) });
    let names = or_by_path(names, file, |path| {
        // SAFETY: a live NUL-terminated string, and at most `len` bytes are written into a buffer of that length.
        filled("listxattr", |buffer, len| unsafe { libc::listxattr(path.as_ptr(), buffer.cast(), len) })
    })?;
    Ok(names.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect())
}

/// A value; ENODATA where there is none of that name.
pub fn get(file: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<u8>, Errno> {
    terminated(name, |name| {
        // SAFETY: a live NUL-terminated string, and at most `len` bytes are written into a buffer of that length.
        let value = filled("fgetxattr", |buffer, len| unsafe {
            libc::fgetxattr(file.as_raw_fd(), name.as_ptr(), buffer.cast(), len)
        });
        or_by_path(value, file, |path| {
            // SAFETY: two live NUL-terminated strings, and a buffer as above.
            filled("getxattr", |buffer, len| unsafe {
                libc::getxattr(path.as_ptr(), name.as_ptr(), buffer.cast(), len)
            })
        })
    })
}

/// Sets a value, whether or not there is one of that name.
pub fn set(file: BorrowedFd<'_>, name: &[u8], value: &[u8]) -> Result<(), Errno> {
    terminated(name, |name| {
        // SAFETY: a live NUL-terminated string, and as many bytes as are told are read from a live slice.
        let done = gate::call("fsetxattr", || unsafe {
            libc::fsetxattr(file.as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0)
        });
        or_by_path(done, file, |path| {
            // SAFETY: two live NUL-terminated strings, and a slice as above.
            gate::call("setxattr", || unsafe {
                libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0)
            })
        })
    })
    .map(drop)
}

/// Takes a value away; ENODATA where there is none of that name.
pub fn remove(file: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    terminated(name, |name| {
        // SAFETY: a live NUL-terminated string.
        let done = gate::call("fremovexattr", || unsafe { libc::fremovexattr(file.as_raw_fd(), name.as_ptr()) });
        or_by_path(done, file, |path| {
            // SAFETY: two live NUL-terminated strings.
            gate::call("removexattr", || unsafe { libc::removexattr(path.as_ptr(), name.as_ptr()) })
        })
    })
    .map(drop)
}

/// The calls by descriptor take no place: EBADF; where there is no /proc, that stays.
fn or_by_path<T>(
    done: Result<T, Errno>,
    file: BorrowedFd<'_>,
    by_path: impl FnOnce(&CStr) -> Result<T, Errno>,
) -> Result<T, Errno> {
    match done {
        Err(Errno::EBADF) => terminated(&proc_path(file), by_path)
            .map_err(|errno| if errno == Errno::ENOENT { Errno::EBADF } else { errno }),
        done => done,
    }
}

fn filled(name: &'static str, mut f: impl FnMut(*mut u8, usize) -> isize) -> Result<Vec<u8>, Errno> {
    // Not zeroed, for that would take more time than the call.
    let mut buffer = Vec::with_capacity(MOST);
    let len = gate::call(name, || f(buffer.as_mut_ptr(), MOST))?.unsigned_abs();
    // SAFETY: the kernel has written so many bytes, MOST at the most.
    unsafe { buffer.set_len(len.min(MOST)) };
    Ok(buffer)
}
