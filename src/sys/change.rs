//! Changing directories and files by descriptor: openat(2) that creates, renameat(2), linkat(2), symlinkat(2), unlinkat(2),
//! mkdirat(2), mknodat(2), fchownat(2), fchmod(2), utimensat(2), ftruncate(2), fsync(2).

use super::clock::Timespec64;
use super::fs::{Kind, Time, proc_path, terminated};
use super::{Errno, Fd, gate};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// Creates a regular file to write to. EEXIST where the name is taken, also by a link that leads nowhere.
pub fn create(at: BorrowedFd<'_>, path: &[u8], mode: u32) -> Result<Fd, Errno> {
    terminated(path, |path| open(at, path, libc::O_WRONLY | libc::O_EXCL, mode))
}

/// Opens a file to read and write, and creates it where there is none. A link as last component is refused (ELOOP), and a
/// FIFO or device does not make it wait.
pub fn open_or_create(at: BorrowedFd<'_>, path: &[u8], mode: u32) -> Result<Fd, Errno> {
    terminated(path, |path| open(at, path, libc::O_RDWR | libc::O_NONBLOCK, mode))
}

/// Opens a file to append to, and creates it where there is none. A link as last component is refused (ELOOP), and nothing
/// makes it wait: ENXIO for a FIFO that nobody reads.
pub fn append(at: BorrowedFd<'_>, path: &[u8], mode: u32) -> Result<Fd, Errno> {
    let how = libc::O_WRONLY | libc::O_APPEND | libc::O_NONBLOCK;
    terminated(path, |path| open(at, path, how, mode))
}

fn open(at: BorrowedFd<'_>, path: &CStr, how: libc::c_int, mode: u32) -> Result<Fd, Errno> {
    let flags = how | libc::O_CREAT | libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_LARGEFILE;
    // SAFETY: a live NUL-terminated string, and the mode that O_CREAT needs.
    gate::call("openat", || unsafe { libc::openat(at.as_raw_fd(), path.as_ptr(), flags, mode) }).map(Fd::new)
}

/// A name in a directory.
pub type At<'a> = (BorrowedFd<'a>, &'a [u8]);

/// Gives a file another name in the same directory, in place of what has that name.
pub fn rename(at: BorrowedFd<'_>, from: &[u8], to: &[u8]) -> Result<(), Errno> {
    rename_to((at, from), (at, to))
}

/// Gives a file another name, maybe in another directory of the file system, in place of what has that name: a file may be
/// replaced by a file, and an empty directory by a directory.
pub fn rename_to(from: At<'_>, to: At<'_>) -> Result<(), Errno> {
    with_names(from, to, |from_dir, from, to_dir, to| {
        // SAFETY: two live NUL-terminated strings.
        gate::call("renameat", || unsafe { libc::renameat(from_dir, from.as_ptr(), to_dir, to.as_ptr()) })
    })
    .map(drop)
}

/// The same where nothing has that name, else EEXIST. EINVAL where the file system cannot do that, ENOSYS before Linux 3.15.
pub fn rename_new(from: At<'_>, to: At<'_>) -> Result<(), Errno> {
    with_names(from, to, |from_dir, from, to_dir, to| {
        // By number, for old C libraries lack the function.
        // SAFETY: two live NUL-terminated strings.
        gate::call("renameat2", || unsafe {
            libc::syscall(libc::SYS_renameat2, from_dir, from.as_ptr(), to_dir, to.as_ptr(), libc::RENAME_NOREPLACE)
        })
    })
    .map(drop)
}

/// Gives a file that is no directory a second name; a link gets one itself. EEXIST where the name is taken.
pub fn link(from: At<'_>, to: At<'_>) -> Result<(), Errno> {
    with_names(from, to, |from_dir, from, to_dir, to| {
        // SAFETY: two live NUL-terminated strings.
        gate::call("linkat", || unsafe { libc::linkat(from_dir, from.as_ptr(), to_dir, to.as_ptr(), 0) })
    })
    .map(drop)
}

fn with_names<T>(
    from: At<'_>,
    to: At<'_>,
    f: impl FnOnce(RawFd, &CStr, RawFd, &CStr) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let (from_dir, to_dir) = (from.0.as_raw_fd(), to.0.as_raw_fd());
    terminated(from.1, |from| terminated(to.1, |to| f(from_dir, from, to_dir, to)))
}

/// Makes a symbolic link that holds `text`. EEXIST where the name is taken.
pub fn symlink(text: &[u8], to: At<'_>) -> Result<(), Errno> {
    let raw = to.0.as_raw_fd();
    terminated(text, |text| {
        // SAFETY: two live NUL-terminated strings.
        terminated(to.1, |to| gate::call("symlinkat", || unsafe { libc::symlinkat(text.as_ptr(), raw, to.as_ptr()) }))
    })
    .map(drop)
}

/// Takes a name away that is no directory's.
pub fn unlink(at: BorrowedFd<'_>, path: &[u8]) -> Result<(), Errno> {
    unlinkat(at, path, 0)
}

/// Takes a directory away; ENOTEMPTY or EEXIST where something is in it.
pub fn remove_dir(at: BorrowedFd<'_>, path: &[u8]) -> Result<(), Errno> {
    unlinkat(at, path, libc::AT_REMOVEDIR)
}

fn unlinkat(at: BorrowedFd<'_>, path: &[u8], flags: libc::c_int) -> Result<(), Errno> {
    // SAFETY: a live NUL-terminated string.
    terminated(path, |path| gate::call("unlinkat", || unsafe { libc::unlinkat(at.as_raw_fd(), path.as_ptr(), flags) }))
        .map(drop)
}

/// Makes a directory; `mode` less the umask.
pub fn make_dir(at: BorrowedFd<'_>, path: &[u8], mode: u32) -> Result<(), Errno> {
    // SAFETY: a live NUL-terminated string.
    terminated(path, |path| gate::call("mkdirat", || unsafe { libc::mkdirat(at.as_raw_fd(), path.as_ptr(), mode) }))
        .map(drop)
}

/// Makes a FIFO or, as root, a device of this number; only its owner may open it. EINVAL for other kinds.
pub fn make_node(at: BorrowedFd<'_>, path: &[u8], kind: Kind, device: (u32, u32)) -> Result<(), Errno> {
    let kind = match kind {
        Kind::Fifo => libc::S_IFIFO,
        Kind::Character => libc::S_IFCHR,
        Kind::Block => libc::S_IFBLK,
        Kind::File | Kind::Directory | Kind::Symlink | Kind::Socket | Kind::Unknown => return Err(Errno::EINVAL),
    };
    let device = libc::makedev(device.0, device.1);
    terminated(path, |path| {
        // SAFETY: a live NUL-terminated string.
        gate::call("mknodat", || unsafe { libc::mknodat(at.as_raw_fd(), path.as_ptr(), kind | 0o600, device) })
    })
    .map(drop)
}

/// A user and a group that something is to belong to; what is not given stays as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Owner {
    /// Numeric.
    pub user: Option<u32>,
    /// Numeric.
    pub group: Option<u32>,
}

/// Sets owner and group. `file` may be a place (O_PATH), and a link's own.
pub fn set_owner(file: BorrowedFd<'_>, owner: Owner) -> Result<(), Errno> {
    // The number that leaves an id as it is (chown(2)).
    const KEEP: u32 = u32::MAX;
    let (user, group) = (owner.user.unwrap_or(KEEP), owner.group.unwrap_or(KEEP));
    // SAFETY: a NUL-terminated constant and numbers.
    gate::call("fchownat", || unsafe {
        libc::fchownat(file.as_raw_fd(), c"".as_ptr(), user, group, libc::AT_EMPTY_PATH)
    })
    .map(drop)
}

/// Sets permission bits, whatever the umask is. `file` may be a place (O_PATH).
pub fn set_mode(file: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    let done = gate::call("fchmod", || unsafe { libc::fchmod(file.as_raw_fd(), mode) }).map(drop);
    // fchmod(2) takes no place: fchmodat2(2) does, since Linux 6.6. EPERM is also what filters of system calls say.
    let done = if done == Err(Errno::EBADF) { fchmodat2(file, mode) } else { return done };
    if !matches!(done, Err(Errno::ENOSYS | Errno::EPERM)) {
        return done;
    }
    terminated(&proc_path(file), |path| {
        // SAFETY: a live NUL-terminated string.
        gate::call("fchmodat", || unsafe { libc::fchmodat(libc::AT_FDCWD, path.as_ptr(), mode, 0) }).map(drop)
    })
}

fn fchmodat2(file: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    // Newer calls have numbers of one row on all machines; the libc crate lacks this one's on some of them.
    const SYS_FCHMODAT2: libc::c_long = libc::SYS_openat2 - 437 + 452;
    // SAFETY: a NUL-terminated constant and numbers.
    gate::call("fchmodat2", || unsafe {
        libc::syscall(SYS_FCHMODAT2, file.as_raw_fd(), c"".as_ptr(), mode, libc::AT_EMPTY_PATH)
    })
    .map(drop)
}

/// Sets when it was read and when it was written to. `file` may be a place (O_PATH), and a link's own.
pub fn set_times(file: BorrowedFd<'_>, read: Time, written: Time) -> Result<(), Errno> {
    let time = |(seconds, nanoseconds): Time| Timespec64 { seconds, nanoseconds: nanoseconds.into() };
    let times = [time(read), time(written)];
    match utimensat(file.as_raw_fd(), None, &times, 0) {
        Err(Errno::EBADF) => {}
        done => return done,
    }
    // EINVAL before Linux 5.8.
    match utimensat(file.as_raw_fd(), Some(c""), &times, libc::AT_EMPTY_PATH) {
        Err(Errno::EINVAL) => terminated(&proc_path(file), |path| utimensat(libc::AT_FDCWD, Some(path), &times, 0)),
        done => done,
    }
}

/// By number, for the C libraries' functions refuse a call without a path.
fn utimensat(at: RawFd, path: Option<&CStr>, times: &[Timespec64; 2], flags: libc::c_int) -> Result<(), Errno> {
    let path = path.map_or(std::ptr::null(), CStr::as_ptr);
    #[cfg(target_pointer_width = "32")]
    {
        // SAFETY: no path or a live NUL-terminated string, and two live structures in the layout of the 64-bit call.
        let done = gate::call("utimensat_time64", || unsafe {
            libc::syscall(super::clock::wide::SYS_UTIMENSAT_TIME64, at, path, times.as_ptr(), flags)
        });
        // ENOSYS before Linux 5.1, EPERM from filters of system calls that were made before it.
        if !matches!(done, Err(Errno::ENOSYS | Errno::EPERM)) {
            return done.map(drop);
        }
    }
    let native = times.map(|time| libc::timespec { tv_sec: time.seconds as _, tv_nsec: time.nanoseconds as _ });
    // SAFETY: no path or a live NUL-terminated string, and two live structures of the call's own type.
    gate::call("utimensat", || unsafe { libc::syscall(libc::SYS_utimensat, at, path, native.as_ptr(), flags) })
        .map(drop)
}

/// Makes a file empty.
pub fn truncate(file: BorrowedFd<'_>) -> Result<(), Errno> {
    set_size(file, 0)
}

/// Makes a file so long: cut, or with a hole at its end.
pub fn set_size(file: BorrowedFd<'_>, size: u64) -> Result<(), Errno> {
    let size = i64::try_from(size).map_err(|_| Errno(libc::EFBIG))?;
    // SAFETY: takes numbers only.
    gate::call("ftruncate", || unsafe { libc::ftruncate64(file.as_raw_fd(), size) }).map(drop)
}

/// Waits until a file's data, or a directory's names, are on disk. A directory has to be open for reading.
pub fn sync(file: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    gate::call("fsync", || unsafe { libc::fsync(file.as_raw_fd()) }).map(drop)
}

/// The same of a directory's names; some file systems cannot do that for directories (fsync(2)).
pub fn sync_names(dir: BorrowedFd<'_>) -> Result<(), Errno> {
    match sync(dir) {
        Err(Errno::EINVAL) => Ok(()),
        done => done,
    }
}

/// Whether names may be made and taken away in this directory (faccessat(2)): EACCES, EROFS.
pub fn may_change(dir: BorrowedFd<'_>) -> Result<(), Errno> {
    let mode = libc::W_OK | libc::X_OK;
    // By number, for musl's function may fork. It asks for the real user, who is the effective one here.
    // SAFETY: a NUL-terminated constant and numbers.
    gate::call("faccessat", || unsafe { libc::syscall(libc::SYS_faccessat, dir.as_raw_fd(), c".".as_ptr(), mode) })
        .map(drop)
}
