//! The kernel's error numbers as values that print the system's own words (errno(3), strerror(3)).

use std::ffi::CStr;
use std::fmt;

/// An error number of the kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// Permission denied.
    pub const EACCES: Errno = Errno(libc::EACCES);
    /// Not a descriptor for this: closed, or the place of a file only (O_PATH).
    pub const EBADF: Errno = Errno(libc::EBADF);
    /// Reading or writing has failed, or ended too early.
    pub const EIO: Errno = Errno(libc::EIO);
    /// Would block: nothing to read, or no room to write.
    pub const EAGAIN: Errno = Errno(libc::EAGAIN);
    /// The user's share of the disk is used up.
    pub const EDQUOT: Errno = Errno(libc::EDQUOT);
    /// The clock was set.
    pub const ECANCELED: Errno = Errno(libc::ECANCELED);
    /// No such child.
    pub const ECHILD: Errno = Errno(libc::ECHILD);
    /// A call was interrupted by a signal.
    pub const EINTR: Errno = Errno(libc::EINTR);
    /// The name is taken.
    pub const EEXIST: Errno = Errno(libc::EEXIST);
    /// An invalid argument.
    pub const EINVAL: Errno = Errno(libc::EINVAL);
    /// A directory, where none may be.
    pub const EISDIR: Errno = Errno(libc::EISDIR);
    /// Too many links on the way, or a link where none may be.
    pub const ELOOP: Errno = Errno(libc::ELOOP);
    /// No descriptor left in this process.
    pub const EMFILE: Errno = Errno(libc::EMFILE);
    /// More names than a file can have.
    pub const EMLINK: Errno = Errno(libc::EMLINK);
    /// A message longer than the socket takes.
    pub const EMSGSIZE: Errno = Errno(libc::EMSGSIZE);
    /// No descriptor left in the whole system.
    pub const ENFILE: Errno = Errno(libc::ENFILE);
    /// No memory left for what is on its way.
    pub const ENOBUFS: Errno = Errno(libc::ENOBUFS);
    /// No such file.
    pub const ENOENT: Errno = Errno(libc::ENOENT);
    /// No memory left.
    pub const ENOMEM: Errno = Errno(libc::ENOMEM);
    /// Nothing of that name is kept with the file.
    pub const ENODATA: Errno = Errno(libc::ENODATA);
    /// No space on the device, or no inotify watch left.
    pub const ENOSPC: Errno = Errno(libc::ENOSPC);
    /// A system call that this kernel does not have.
    pub const ENOSYS: Errno = Errno(libc::ENOSYS);
    /// Not a directory.
    pub const ENOTDIR: Errno = Errno(libc::ENOTDIR);
    /// A directory with something in it.
    pub const ENOTEMPTY: Errno = Errno(libc::ENOTEMPTY);
    /// Something that this file system does not have.
    pub const ENOTSUP: Errno = Errno(libc::ENOTSUP);
    /// Not permitted.
    pub const EPERM: Errno = Errno(libc::EPERM);
    /// Nothing is behind that name: a socket's, or a device's without its device.
    pub const ENXIO: Errno = Errno(libc::ENXIO);
    /// A pipe that nobody reads any more.
    pub const EPIPE: Errno = Errno(libc::EPIPE);
    /// A socket of another kind.
    pub const EPROTOTYPE: Errno = Errno(libc::EPROTOTYPE);
    /// A file that is not what it was.
    pub const ESTALE: Errno = Errno(libc::ESTALE);
    /// No such process.
    pub const ESRCH: Errno = Errno(libc::ESRCH);
    /// Another file system.
    pub const EXDEV: Errno = Errno(libc::EXDEV);

    /// The error of the call that has just failed on this thread.
    pub(super) fn last() -> Errno {
        // SAFETY: __errno_location(3) returns the calling thread's own errno, valid while the thread lives.
        Errno(unsafe { *libc::__errno_location() })
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 128];
        // SAFETY: strerror_r (XSI form) writes at most `len` bytes with a NUL into the buffer that is ours.
        let failed = unsafe { libc::strerror_r(self.0, text.as_mut_ptr().cast(), text.len()) } != 0;
        match CStr::from_bytes_until_nul(&text) {
            Ok(words) if !failed => f.write_str(&words.to_string_lossy()),
            _ => write!(f, "error {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Errno({}: {self})", self.0)
    }
}
