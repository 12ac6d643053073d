//! Files by descriptor: the at-functions (openat(2), openat2(2), statx(2), readlinkat(2), fchdir(2)); what changes them is
//! in `change`.

use super::{Errno, Fd, fd, gate};
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

// SAFETY: AT_FDCWD is no open descriptor and cannot be closed; only the at-functions are given it.
/// The working directory as a place to start from; with an absolute path it does not matter which that is.
pub const CWD: BorrowedFd<'static> = unsafe { BorrowedFd::borrow_raw(libc::AT_FDCWD) };

/// What to open, and how. All are close-on-exec and never become the controlling terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Open {
    /// A directory, to list and to watch it; a symbolic link as last component is followed.
    Directory,
    /// A directory; a symbolic link as last component is refused (ELOOP or ENOTDIR).
    DirectoryNoFollow,
    /// Only the place of a directory (O_PATH), following a link; works without read permission.
    PlaceFollowing,
    /// The same, refusing a link.
    Place,
    /// Only the place of an entry of any kind, a link's own too.
    Entry,
    /// A regular file to read; refuses a link, and does not wait for the other end of a FIFO.
    Read,
    /// A file to read, also through a link; does not wait for the other end of a FIFO.
    ReadFollowing,
    /// To write without ever blocking: a FIFO, a terminal or a file that is there.
    WriteNow,
    /// To read and write, also through a link.
    ReadWriteFollowing,
}

impl Open {
    fn flags(self) -> libc::c_int {
        let own = match self {
            Open::Directory => libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NONBLOCK,
            Open::DirectoryNoFollow => libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_NONBLOCK,
            Open::PlaceFollowing => libc::O_PATH | libc::O_DIRECTORY,
            Open::Place => libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW,
            Open::Entry => libc::O_PATH | libc::O_NOFOLLOW,
            Open::Read => libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK,
            Open::ReadFollowing => libc::O_RDONLY | libc::O_NONBLOCK,
            Open::WriteNow => libc::O_WRONLY | libc::O_NONBLOCK | libc::O_APPEND,
            Open::ReadWriteFollowing => libc::O_RDWR,
        };
        // openat2(2) refuses what means nothing for a place.
        let besides = if own & libc::O_PATH == 0 { libc::O_NOCTTY | libc::O_LARGEFILE } else { 0 };
        own | libc::O_CLOEXEC | besides
    }
}

/// Opens `path`, relative to `at`.
pub fn open(at: BorrowedFd<'_>, path: &[u8], how: Open) -> Result<Fd, Errno> {
    terminated(path, |path| {
        // SAFETY: the path is a live NUL-terminated string; no mode is needed, for nothing is created.
        let raw = gate::call("openat", || unsafe { libc::openat(at.as_raw_fd(), path.as_ptr(), how.flags()) })?;
        Ok(Fd::new(raw))
    })
}

/// The `struct open_how` of openat2(2).
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// Opens `path` below `root`; the kernel itself sees to it that nothing leads out, and that no link is followed. ENOSYS
/// before Linux 5.6; the filters of system calls that were made before it say EPERM or EINVAL.
pub fn open_beneath(root: BorrowedFd<'_>, path: &[u8], how: Open) -> Result<Fd, Errno> {
    const RESOLVE: u64 = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow { flags: how.flags() as u64, mode: 0, resolve: RESOLVE };
    let (how, size) = (&raw const how, size_of::<OpenHow>());
    let raw = terminated(path, |path| {
        // SAFETY: a live NUL-terminated string, and a live structure in the layout and of the size that the kernel is told.
        gate::call("openat2", || unsafe {
            libc::syscall(libc::SYS_openat2, root.as_raw_fd(), path.as_ptr(), how, size)
        })
    })?;
    // A descriptor has 32 bits.
    Ok(Fd::new(raw as RawFd))
}

/// Opens a file and reads all of it; EFBIG where that is more than `most` bytes.
pub fn read(at: BorrowedFd<'_>, path: &[u8], how: Open, most: usize) -> Result<Vec<u8>, Errno> {
    fd::read_all(open(at, path, how)?.as_fd(), most)
}

/// Makes an open directory the working directory.
pub fn fchdir(dir: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: takes a descriptor that is open for the time of the borrow.
    gate::call("fchdir", || unsafe { libc::fchdir(dir.as_raw_fd()) }).map(drop)
}

/// Makes the root directory the working directory.
pub fn chdir_root() -> Result<(), Errno> {
    // SAFETY: a NUL-terminated constant.
    gate::call("chdir", || unsafe { libc::chdir(c"/".as_ptr()) }).map(drop)
}

/// The working directory's absolute path.
fn current_dir() -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0_u8; libc::PATH_MAX as usize];
    // SAFETY: getcwd(2) writes at most `len` bytes into a buffer of that length and returns how many, NUL included.
    let len = gate::sized("getcwd", buffer.len(), |_| unsafe {
        libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) as isize
    })?;
    buffer.truncate(len.saturating_sub(1));
    // The kernel says "(unreachable)/…" for a directory outside the process's root (getcwd(3)).
    if buffer.first() == Some(&b'/') { Ok(buffer) } else { Err(Errno::ENOENT) }
}

/// A path made absolute by the working directory; what it names is not looked at.
pub fn absolute(path: &[u8]) -> Result<Vec<u8>, Errno> {
    if path.starts_with(b"/") { Ok(path.to_vec()) } else { Ok([&current_dir()?[..], b"/", path].concat()) }
}

/// What a symbolic link holds.
pub fn read_link(at: BorrowedFd<'_>, path: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0_u8; libc::PATH_MAX as usize];
    let len = terminated(path, |path| {
        // SAFETY: a live NUL-terminated path, and at most `len` <= buffer.len() bytes written into our buffer.
        gate::sized("readlinkat", buffer.len(), |len| unsafe {
            libc::readlinkat(at.as_raw_fd(), path.as_ptr(), buffer.as_mut_ptr().cast(), len)
        })
    })?;
    buffer.truncate(len);
    Ok(buffer)
}

/// What kind of file it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named or unnamed pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// Not told (some file systems leave it out of their directories).
    Unknown,
}

/// What statx(2) says of a file.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// Its kind.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky (0o7777).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number of the file system, as statx splits it.
    pub dev: (u32, u32),
    /// Of a device file, the device that it stands for.
    pub rdev: (u32, u32),
    /// Whether something is mounted there, where the kernel tells (5.8).
    pub is_mount: bool,
    /// Inode number.
    pub ino: u64,
    /// How many names it has; of a directory on file systems that count so, two and one for each directory in it.
    pub links: u64,
    /// Bytes in it.
    pub size: u64,
    /// When its content changed last.
    pub mtime: Time,
    /// When it was read last.
    pub atime: Time,
    /// When its inode changed last.
    pub ctime: Time,
}

/// Seconds since 1970, and nanoseconds.
pub type Time = (i64, u32);

impl Stat {
    /// What tells it from every other file, as long as it is there.
    pub fn id(&self) -> Id {
        (self.dev, self.ino)
    }
}

/// Device and inode number.
pub type Id = ((u32, u32), u64);

/// Looks at `path` relative to `at` without following a link as last component; an empty path is `at` itself.
pub fn stat(at: BorrowedFd<'_>, path: &[u8]) -> Result<Stat, Errno> {
    terminated(path, |path| match statx(at, path) {
        // A kernel before 4.11, or a filter of system calls that was made before it.
        Err(Errno::ENOSYS | Errno::EPERM) => fstatat(at, path),
        found => found,
    })
}

fn statx(at: BorrowedFd<'_>, path: &CStr) -> Result<Stat, Errno> {
    let mut buffer = MaybeUninit::<libc::statx>::zeroed();
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH | libc::AT_NO_AUTOMOUNT;
    // SAFETY: a live NUL-terminated path, and a buffer of statx's own type to write into.
    gate::call("statx", || unsafe {
        // By number, for musl has the function only since 1.2.4.
        let (at, mask) = (at.as_raw_fd(), libc::STATX_BASIC_STATS);
        libc::syscall(libc::SYS_statx, at, path.as_ptr(), flags, mask, buffer.as_mut_ptr())
    })?;
    // SAFETY: all bytes were zeroed, which is a valid value of this struct of integers, then the kernel filled it.
    let found = unsafe { buffer.assume_init() };
    let mode = u32::from(found.stx_mode);
    let time = |at: libc::statx_timestamp| (at.tv_sec, at.tv_nsec);
    Ok(Stat {
        kind: kind_of_mode(mode),
        mode: mode & 0o7777,
        uid: found.stx_uid,
        gid: found.stx_gid,
        dev: (found.stx_dev_major, found.stx_dev_minor),
        rdev: (found.stx_rdev_major, found.stx_rdev_minor),
        is_mount: found.stx_attributes & libc::STATX_ATTR_MOUNT_ROOT as u64 != 0,
        ino: found.stx_ino,
        links: u64::from(found.stx_nlink),
        size: found.stx_size,
        mtime: time(found.stx_mtime),
        atime: time(found.stx_atime),
        ctime: time(found.stx_ctime),
    })
}

fn fstatat(at: BorrowedFd<'_>, path: &CStr) -> Result<Stat, Errno> {
    let mut buffer = MaybeUninit::<libc::stat>::zeroed();
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH;
    // SAFETY: a live NUL-terminated path, and a buffer of the call's own type to write into.
    gate::call("newfstatat", || unsafe { libc::fstatat(at.as_raw_fd(), path.as_ptr(), buffer.as_mut_ptr(), flags) })?;
    // SAFETY: all bytes were zeroed, which is a valid value of this struct of integers, then the kernel filled it.
    let found = unsafe { buffer.assume_init() };
    Ok(Stat {
        kind: kind_of_mode(found.st_mode),
        mode: found.st_mode & 0o7777,
        uid: found.st_uid,
        gid: found.st_gid,
        dev: (libc::major(found.st_dev), libc::minor(found.st_dev)),
        rdev: (libc::major(found.st_rdev), libc::minor(found.st_rdev)),
        is_mount: false,
        ino: found.st_ino as _,
        links: found.st_nlink as _,
        size: u64::try_from(found.st_size).unwrap_or(0),
        mtime: (found.st_mtime as _, u32::try_from(found.st_mtime_nsec).unwrap_or(0)),
        atime: (found.st_atime as _, u32::try_from(found.st_atime_nsec).unwrap_or(0)),
        ctime: (found.st_ctime as _, u32::try_from(found.st_ctime_nsec).unwrap_or(0)),
    })
}

/// The device of a directory, if its file system counts a directory's links: each directory in it has a name for it,
/// `..` (ext2 to ext4, xfs, tmpfs; statfs(2) lists the numbers). Other file systems always say 1, or tell nothing.
pub fn device_that_counts_links(dir: BorrowedFd<'_>) -> Result<Option<(u32, u32)>, Errno> {
    let counts = [libc::EXT4_SUPER_MAGIC as u32, libc::XFS_SUPER_MAGIC as u32, libc::TMPFS_MAGIC as u32];
    if counts.contains(&file_system(dir)?) { Ok(Some(stat(dir, b"")?.dev)) } else { Ok(None) }
}

/// Whether a directory's file system is on another machine, or is a program (FUSE), and may keep a call waiting for long.
pub fn is_remote(dir: BorrowedFd<'_>) -> Result<bool, Errno> {
    // By linux/magic.h: 9P, AFS (two), Ceph, CIFS, Coda, FUSE, GFS2, NFS, OCFS2, SMB, SMB2.
    const REMOTE: [u32; 12] = [
        0x0102_1997,
        0x5346_414f,
        0x6b41_4653,
        0x00c3_6400,
        0xff53_4d42,
        0x7375_7245,
        0x6573_5546,
        0x0116_1970,
        0x6969,
        0x7461_636f,
        0x517b,
        0xfe53_4d42,
    ];
    Ok(REMOTE.contains(&file_system(dir)?))
}

/// Whether a file's file system refuses a lease not only where there is a writer: NFS (nfs4_add_lease() in Linux), CIFS, SMB and
/// SMB2 do unless the server has granted one.
pub fn refuses_leases(file: BorrowedFd<'_>) -> bool {
    const GRUDGING: [u32; 4] = [0x6969, 0xff53_4d42, 0x517b, 0xfe53_4d42];
    file_system(file).is_ok_and(|number| GRUDGING.contains(&number))
}

/// The number of a file system's kind (statfs(2)).
fn file_system(dir: BorrowedFd<'_>) -> Result<u32, Errno> {
    let mut buffer = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: a descriptor that is open, and a buffer of the call's own type to write into.
    gate::call("fstatfs", || unsafe { libc::fstatfs(dir.as_raw_fd(), buffer.as_mut_ptr()) })?;
    // SAFETY: all bytes were zeroed, which is a valid value of this struct of integers, then the kernel filled it.
    let found = unsafe { buffer.assume_init() };
    // The field's type differs from one architecture to the next; the numbers have 32 bits.
    Ok(found.f_type as u32)
}

/// The file type bits of a mode (inode(7)); a directory entry's `d_type` is the same number shifted right by 12.
pub(super) fn kind_of_mode(mode: u32) -> Kind {
    match mode & libc::S_IFMT {
        libc::S_IFREG => Kind::File,
        libc::S_IFDIR => Kind::Directory,
        libc::S_IFLNK => Kind::Symlink,
        libc::S_IFIFO => Kind::Fifo,
        libc::S_IFSOCK => Kind::Socket,
        libc::S_IFCHR => Kind::Character,
        libc::S_IFBLK => Kind::Block,
        _ => Kind::Unknown,
    }
}

/// A path that leads to an open file, or to the place that it is, in calls that take no place.
pub(super) fn proc_path(file: BorrowedFd<'_>) -> Vec<u8> {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into_bytes()
}

/// Calls `f` with a path as the kernel takes it; one with a NUL inside names no file. Single names, which are most, need no
/// memory.
pub(super) fn terminated<T>(path: &[u8], f: impl FnOnce(&CStr) -> Result<T, Errno>) -> Result<T, Errno> {
    let mut short = [0_u8; 256];
    match short.get_mut(..path.len() + 1) {
        Some(whole) => {
            whole.iter_mut().zip(path).for_each(|(place, byte)| *place = *byte);
            f(CStr::from_bytes_with_nul(whole).map_err(|_| Errno::EINVAL)?)
        }
        None => f(&CString::new(path).map_err(|_| Errno::EINVAL)?),
    }
}
