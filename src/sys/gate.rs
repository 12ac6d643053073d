//! The one errno gate: every system call that dogwatch makes passes here and comes out as a `Result`.
//!
//! A call that a signal interrupts is made again here, but for [`once`]'s (close(2) must not be repeated on Linux,
//! ppoll(2) belongs to the loop). In the test build (feature `fault`) each passage is a numbered point of its
//! process, at which the environment can ask for a failure:
//!
//! - `DOGWATCH_FAULT=main:17=ENOMEM` the 17th call fails with that errno without being made (`worker:17`: of each worker);
//!   several, with commas;
//!   `=short` lets a read or write move only half of its bytes; `=kill` ends the process before the call, by SIGKILL.
//! - `DOGWATCH_FAULT=openat2=ENOSYS` every call of that name fails with that errno, in every process: a kernel without it.
//! - `DOGWATCH_FAULT=overflow=3` every third read of the inotify queue that moves anything is lost: its records are
//!   replaced by one that says that the queue overflowed.
//! - `DOGWATCH_FAULT_LOG=FILE` every point appends `main:17 openat` to FILE.
//!
//! What no point stands for: the allocator's brk and mmap; the calls inside posix_spawn, and the prlimit64 by which glibc
//! looks over the descriptors that it is given; the one getrandom for the keys of the standard library's hash tables; getpid
//! and geteuid, which cannot fail; clocks read through the vDSO; what the run-time does before `main`, and the end of the
//! process itself. A test compares all others with what strace(1) sees.

use super::errno::Errno;

/// -1 is how every C wrapper of a system call says that `errno` tells why.
pub(super) trait MinusOne: Copy {
    fn is_minus_one(self) -> bool;
}

impl MinusOne for i32 {
    fn is_minus_one(self) -> bool {
        self == -1
    }
}

impl MinusOne for i64 {
    fn is_minus_one(self) -> bool {
        self == -1
    }
}

impl MinusOne for isize {
    fn is_minus_one(self) -> bool {
        self == -1
    }
}

/// Makes a call until no signal interrupts it; `name` is the system call's.
pub(super) fn call<T: MinusOne>(name: &'static str, mut f: impl FnMut() -> T) -> Result<T, Errno> {
    loop {
        match once(name, &mut f) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// Makes a call a single time.
pub(super) fn once<T: MinusOne>(name: &'static str, f: impl FnOnce() -> T) -> Result<T, Errno> {
    point(name)?;
    let value = f();
    if value.is_minus_one() { Err(Errno::last()) } else { Ok(value) }
}

/// Moves up to `len` bytes by a read or write that `f(len)` makes; the answer is how many were moved.
pub(super) fn sized(name: &'static str, len: usize, mut f: impl FnMut(usize) -> isize) -> Result<usize, Errno> {
    loop {
        let result = match point(name) {
            Ok(Passage::Whole) => move_bytes(len, &mut f),
            Ok(Passage::Short) => move_bytes((len / 2).max(1).min(len), &mut f),
            Err(errno) => Err(errno),
        };
        match result {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

fn move_bytes(len: usize, f: &mut impl FnMut(usize) -> isize) -> Result<usize, Errno> {
    usize::try_from(f(len)).map_err(|_| Errno::last())
}

/// Makes a call that returns its error number itself instead of setting errno (the posix_spawn family).
pub(super) fn direct(name: &'static str, mut f: impl FnMut() -> i32) -> Result<(), Errno> {
    loop {
        let result = point(name).and_then(|_| match f() {
            0 => Ok(()),
            errno => Err(Errno(errno)),
        });
        match result {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// How a call may pass its point.
enum Passage {
    Whole,
    #[cfg_attr(not(feature = "fault"), expect(dead_code, reason = "only the test build asks for it"))]
    Short,
}

#[cfg(not(feature = "fault"))]
#[inline(always)]
fn point(_name: &'static str) -> Result<Passage, Errno> {
    Ok(Passage::Whole)
}

#[cfg(feature = "fault")]
pub(super) use fault::is_lost_read;
#[cfg(feature = "fault")]
use fault::point;

/// The test build's half of the gate: it counts points and makes the chosen ones fail.
#[cfg(feature = "fault")]
mod fault {
    use super::{Errno, Passage};
    use std::ffi::CString;
    use std::num::NonZeroU32;
    use std::os::unix::ffi::OsStringExt;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// What is asked of the points of this process, read once from the environment.
    struct Plan {
        /// What this process is: `main`, or `worker`.
        role: &'static str,
        faults: Vec<(u32, Action)>,
        /// Calls that always fail.
        missing: Vec<(String, Errno)>,
        /// Every so manieth read of the inotify queue is lost.
        overflow: Option<NonZeroU32>,
        log: Option<i32>,
    }

    enum Action {
        Fail(Errno),
        Short,
        Kill,
    }

    static PLAN: OnceLock<Plan> = OnceLock::new();
    static POINTS: AtomicU32 = AtomicU32::new(0);
    static READS: AtomicU32 = AtomicU32::new(0);

    /// Errors that tests ask for by name.
    const NAMES: &[(&str, i32)] = &[
        ("EACCES", libc::EACCES),
        ("EAGAIN", libc::EAGAIN),
        ("EDQUOT", libc::EDQUOT),
        ("EEXIST", libc::EEXIST),
        ("EINTR", libc::EINTR),
        ("EINVAL", libc::EINVAL),
        ("ECANCELED", libc::ECANCELED),
        ("EIO", libc::EIO),
        ("EMFILE", libc::EMFILE),
        ("ENOENT", libc::ENOENT),
        ("ENOMEM", libc::ENOMEM),
        ("ENOSPC", libc::ENOSPC),
        ("ENOSYS", libc::ENOSYS),
        ("ENOTSUP", libc::ENOTSUP),
        ("EPERM", libc::EPERM),
        ("EXDEV", libc::EXDEV),
    ];

    pub(super) fn point(name: &'static str) -> Result<Passage, Errno> {
        let plan = PLAN.get_or_init(Plan::from_environment);
        let number = POINTS.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(fd) = plan.log {
            let line = format!("{}:{number} {name}\n", plan.role);
            // SAFETY: the pointer and length are those of a live string. The result does not matter: a test that
            // misses a line says so itself.
            unsafe { libc::write(fd, line.as_ptr().cast(), line.len()) };
        }
        if let Some((_, errno)) = plan.missing.iter().find(|(call, _)| call == name) {
            return Err(*errno);
        }
        match plan.faults.iter().find(|(n, _)| *n == number) {
            Some((_, Action::Fail(errno))) => Err(*errno),
            Some((_, Action::Short)) => Ok(Passage::Short),
            Some((_, Action::Kill)) => {
                // SAFETY: raise(3) takes no pointers; SIGKILL ends the process here, which is what was asked for.
                unsafe { libc::raise(libc::SIGKILL) };
                Ok(Passage::Whole)
            }
            None => Ok(Passage::Whole),
        }
    }

    /// Whether the records that were just read are to be lost.
    pub(in super::super) fn is_lost_read() -> bool {
        let every = PLAN.get_or_init(Plan::from_environment).overflow;
        every.is_some_and(|every| (READS.fetch_add(1, Ordering::Relaxed) + 1) % every == 0)
    }

    impl Plan {
        /// A word that is not understood is a mistake in a test, and must not pass for a run without faults.
        fn from_environment() -> Plan {
            let text = std::env::var("DOGWATCH_FAULT").unwrap_or_default();
            let is_worker = std::env::args_os().next().is_some_and(|name| name == "dogwatch: worker");
            let (role, other) = if is_worker { ("worker", "main") } else { ("main", "worker") };
            let (mut faults, mut missing, mut overflow) = (Vec::new(), Vec::new(), None);
            for word in text.split(',').filter(|word| !word.is_empty() && !word.starts_with(other)) {
                match (parse(word, role), word.strip_prefix("overflow=").map(str::parse), parse_missing(word)) {
                    (Some(fault), _, _) => faults.push(fault),
                    (None, Some(Ok(every)), _) => overflow = Some(every),
                    (None, None, Some(call)) => missing.push(call),
                    (None, _, _) => std::process::abort(),
                }
            }
            let log = std::env::var_os("DOGWATCH_FAULT_LOG").and_then(|path| open_log(path.into_vec()));
            Plan { role, faults, missing, overflow, log }
        }
    }

    fn parse(word: &str, role: &str) -> Option<(u32, Action)> {
        let (number, action) = word.strip_prefix(role)?.strip_prefix(':')?.split_once('=')?;
        let action = match action {
            "short" => Action::Short,
            "kill" => Action::Kill,
            name => Action::Fail(errno(name)?),
        };
        Some((number.parse().ok()?, action))
    }

    fn parse_missing(word: &str) -> Option<(String, Errno)> {
        let (call, name) = word.split_once('=').filter(|(call, _)| !call.contains(':'))?;
        Some((call.to_owned(), errno(name)?))
    }

    fn errno(name: &str) -> Option<Errno> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, errno)| Errno(*errno))
    }

    fn open_log(path: Vec<u8>) -> Option<i32> {
        let path = CString::new(path).ok()?;
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_CLOEXEC;
        // SAFETY: the path is a live NUL-terminated string. Not through the gate: this is the gate.
        let fd = unsafe { libc::open(path.as_ptr(), flags, 0o600) };
        (fd >= 0).then_some(fd)
    }
}
