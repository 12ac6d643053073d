//! This process: its ids, its one fork, and on whose life its own depends.

use super::{Errno, fs, gate};
use std::ffi::{CString, c_char};
use std::os::fd::BorrowedFd;

/// A child's process id: above 1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Pid(libc::pid_t);

impl Pid {
    /// A pid that posix_spawn or fork handed out.
    pub(super) fn new(raw: libc::pid_t) -> Option<Pid> {
        (raw > 1).then_some(Pid(raw))
    }

    /// The number.
    pub fn raw(self) -> i32 {
        self.0
    }
}

/// The effective user id; 0 is root.
pub fn effective_uid() -> u32 {
    // SAFETY: takes nothing, and cannot fail.
    unsafe { libc::geteuid() }
}

/// This process's number in its own pid namespace.
pub fn id() -> u32 {
    // SAFETY: takes nothing, and cannot fail.
    unsafe { libc::getpid() }.unsigned_abs()
}

/// Goes on twice: as the parent, which gets the child's pid, and as the child, which gets none and is the leader of a
/// session of its own, without a terminal. The whole memory is the child's as well, and every descriptor; locks are not.
pub fn fork() -> Result<Option<Pid>, Errno> {
    // SAFETY: dogwatch has one thread, so nothing that the child needs is locked by another one (fork(2)).
    let pid = gate::call("fork", || unsafe { libc::fork() })?;
    if pid == 0 {
        // SAFETY: takes nothing. It cannot fail, for a child that was just forked leads no group.
        gate::call("setsid", || unsafe { libc::setsid() })?;
    }
    Ok(Pid::new(pid))
}

/// From now on this process is killed when its parent ends (PR_SET_PDEATHSIG, prctl(2)), and nothing that it executes gains
/// privileges (PR_SET_NO_NEW_PRIVS). ESRCH where `parent` is the parent no more: nobody would be waited for.
pub fn live_under(parent: u32) -> Result<(), Errno> {
    let (on, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: takes numbers only.
    gate::call("prctl", || unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) })?;
    // SAFETY: takes numbers only; the unused ones must be 0.
    gate::call("prctl", || unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, on, unused, unused, unused) })?;
    // SAFETY: takes nothing, and cannot fail. Asked for afterwards: an end before the first call sends no signal.
    let is_there = unsafe { libc::getppid() }.unsigned_abs() == parent;
    if is_there { Ok(()) } else { Err(Errno::ESRCH) }
}

/// Whether `fd` is the journal's stream that systemd connected: `JOURNAL_STREAM` names its device and inode
/// (systemd.exec(5)). The comparison keeps a child that redirected its stderr from prefixing lines.
pub fn is_journal(fd: BorrowedFd<'_>, journal_stream: &[u8]) -> bool {
    let Some(at) = journal_stream.iter().position(|byte| *byte == b':') else { return false };
    let number = |text: &[u8]| std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok());
    let (device, inode) = journal_stream.split_at(at);
    let (Some(device), Some(inode)) = (number(device), inode.get(1..).and_then(number)) else { return false };
    fs::stat(fd, b"").is_ok_and(|found| libc::makedev(found.dev.0, found.dev.1) == device && found.ino == inode)
}

/// Sets the supplementary groups (setgroups(2)); for root only.
pub fn set_groups(groups: &[u32]) -> Result<(), Errno> {
    // SAFETY: pointer and length are those of a live slice; gid_t is u32.
    gate::call("setgroups", || unsafe { libc::setgroups(groups.len(), groups.as_ptr()) }).map(drop)
}

/// Sets real, effective and saved group (setresgid(2)).
pub fn set_gid(gid: u32) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    gate::call("setresgid", || unsafe { libc::setresgid(gid, gid, gid) }).map(drop)
}

/// Sets real, effective and saved user (setresuid(2)), for good.
pub fn set_uid(uid: u32) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    gate::call("setresuid", || unsafe { libc::setresuid(uid, uid, uid) }).map(drop)
}

/// Becomes another program, looked for in PATH, with this environment; returns only for an error.
pub fn exec(argv: &[CString]) -> Errno {
    let pointers: Vec<*const c_char> = argv.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect();
    let Some(file) = argv.first() else { return Errno::EINVAL };
    // SAFETY: a NULL-terminated array of pointers to strings that `argv` keeps alive.
    gate::call("execve", || unsafe { libc::execvp(file.as_ptr(), pointers.as_ptr()) }).err().unwrap_or(Errno::EINVAL)
}
