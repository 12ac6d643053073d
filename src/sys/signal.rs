//! Signals as something to read: they are blocked for good and arrive by signalfd(2). Nothing runs in a handler.

use super::process::Pid;
use super::{Errno, Fd, fd, gate};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

/// A signal that the loop knows what to do with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM.
    Term,
    /// SIGINT.
    Int,
    /// SIGHUP.
    Hup,
    /// SIGUSR1.
    Usr1,
    /// SIGCHLD: at least one child has ended.
    Child,
}

/// What a process group is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// SIGTERM: end, please.
    Term,
    /// SIGKILL.
    Kill,
    /// No signal: only whether there is anybody.
    Nothing,
}

/// The signals that the loop reads, with the kernel's numbers.
const READ: [(libc::c_int, Signal); 5] = [
    (libc::SIGTERM, Signal::Term),
    (libc::SIGINT, Signal::Int),
    (libc::SIGHUP, Signal::Hup),
    (libc::SIGUSR1, Signal::Usr1),
    (libc::SIGCHLD, Signal::Child),
];

/// The signalfd.
pub struct Signals {
    fd: Fd,
}

impl Signals {
    /// Blocks the loop's signals and SIGIO (which a lease may raise), gives SIGCHLD its default disposition back (inherited as ignored, the kernel would
    /// reap children without a word: sigaction(2), NOTES), and opens the descriptor to read them from. Without `hangup`, SIGHUP
    /// is none of them.
    pub fn new(hangup: bool) -> Result<Signals, Errno> {
        let read: Vec<_> =
            READ.map(|(number, _)| number).into_iter().filter(|n| hangup || *n != libc::SIGHUP).collect();
        let (blocked, set) = (set_of(&[&read[..], &[libc::SIGIO]].concat()), set_of(&read));
        // SAFETY: a live set, and no old one asked for. dogwatch has one thread.
        gate::call("rt_sigprocmask", || unsafe {
            libc::sigprocmask(libc::SIG_SETMASK, &raw const blocked, std::ptr::null_mut())
        })?;
        default_disposition(libc::SIGCHLD)?;
        // SAFETY: a live set; -1 asks for a new descriptor.
        let raw = gate::call("signalfd4", || unsafe {
            libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC)
        })?;
        Ok(Signals { fd: Fd::new(raw) })
    }

    /// The next signal that has come, if any.
    pub fn next(&self) -> Result<Option<Signal>, Errno> {
        let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
        match fd::read_whole(self.fd.as_fd(), &mut info) {
            Ok(()) => {}
            Err(Errno::EAGAIN) => return Ok(None),
            Err(errno) => return Err(errno),
        }
        // `ssi_signo` is the structure's first word (signalfd(2)).
        let number = info.first_chunk().map_or(0, |word| i32::from_ne_bytes(*word));
        Ok(READ.iter().find(|(known, _)| *known == number).map(|(_, signal)| *signal))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Tells a whole process group; ESRCH where nobody of it is left.
pub fn order_group(leader: Pid, order: Order) -> Result<(), Errno> {
    let signal = match order {
        Order::Term => libc::SIGTERM,
        Order::Kill => libc::SIGKILL,
        Order::Nothing => 0,
    };
    // SAFETY: takes numbers only. A Pid is never 0 or 1, so neither our own group nor everybody is meant.
    gate::call("kill", || unsafe { libc::kill(-leader.raw(), signal) }).map(drop)
}

/// Sends SIGUSR1 to a process, by its number; EPERM where it is another user's, ESRCH where there is none.
pub fn send_usr1(process: i32) -> Result<(), Errno> {
    send(process, libc::SIGUSR1)
}

/// The same of SIGTERM.
pub fn send_term(process: i32) -> Result<(), Errno> {
    send(process, libc::SIGTERM)
}

/// Whether there is a process of this number, if only one that nobody has reaped yet.
pub fn is_there(process: i32) -> bool {
    send(process, 0) != Err(Errno::ESRCH)
}

fn send(process: i32, signal: libc::c_int) -> Result<(), Errno> {
    if process <= 0 {
        // These would mean groups.
        return Err(Errno::ESRCH);
    }
    // SAFETY: takes numbers only.
    gate::call("kill", || unsafe { libc::kill(process, signal) }).map(drop)
}

/// Whether SIGHUP is ignored, as nohup(1) has it for the program that it starts.
pub fn hangup_is_ignored() -> Result<bool, Errno> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: no new disposition; the old one is written into a live structure.
    gate::call("rt_sigaction", || unsafe { libc::sigaction(libc::SIGHUP, std::ptr::null(), action.as_mut_ptr()) })?;
    // SAFETY: all zero is a valid value, and the kernel has written the real one.
    Ok(unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN)
}

fn default_disposition(signal: libc::c_int) -> Result<(), Errno> {
    // SAFETY: all zero is SIG_DFL with no flags and an empty mask.
    let action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: a live structure; no old one asked for.
    gate::call("rt_sigaction", || unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }).map(drop)
}

/// A set with these signals in it.
pub(super) fn set_of(signals: &[libc::c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: sigemptyset initialises the set that it is given, and fails for no valid pointer.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for signal in signals {
        // SAFETY: an initialised set; a number that is no signal gives EINVAL and changes nothing.
        unsafe { libc::sigaddset(set.as_mut_ptr(), *signal) };
    }
    // SAFETY: initialised by sigemptyset above.
    unsafe { set.assume_init() }
}
