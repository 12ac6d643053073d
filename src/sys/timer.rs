//! timerfd_create(2): a descriptor that becomes readable at an instant, of the boot clock or of the wall clock.

use super::clock::{Tick, Timespec64};
use super::{Errno, Fd, fd, gate};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// A timer on CLOCK_BOOTTIME: unlike ppoll's timeout it goes on in suspend.
pub struct BootTimer {
    fd: Fd,
}

/// `struct itimerspec` with 64-bit times.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Itimerspec64 {
    interval: Timespec64,
    value: Timespec64,
}

impl BootTimer {
    /// A timer that is not armed.
    pub fn new() -> Result<BootTimer, Errno> {
        create(libc::CLOCK_BOOTTIME).map(|fd| BootTimer { fd })
    }

    /// Arms it for the instant `at` (in the past: fires at once), whatever was set before.
    pub fn arm(&self, at: Tick) -> Result<(), Errno> {
        let nanoseconds = i64::try_from(at.0 % 1000).unwrap_or(0) * 1_000_000;
        let value = Timespec64 {
            // A machine that has been up for 68 years finds nothing due, and arms it anew.
            seconds: i64::try_from(at.0 / 1000).unwrap_or(i64::MAX).min(i32::MAX.into()),
            // All zero would disarm (timerfd_settime(2)).
            nanoseconds: if at.0 == 0 { 1 } else { nanoseconds },
        };
        settime(self.fd.as_fd(), &Itimerspec64 { interval: Timespec64::default(), value }, libc::TFD_TIMER_ABSTIME)
    }

    /// Takes note that it has fired; it is unarmed then.
    pub fn acknowledge(&self) -> Result<(), Errno> {
        let mut count = [0; 8];
        match fd::read_whole(self.fd.as_fd(), &mut count) {
            Ok(()) | Err(Errno::EAGAIN) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}

impl AsFd for BootTimer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A timer on CLOCK_REALTIME, which fires also when that clock is set (TFD_TIMER_CANCEL_ON_SET).
pub struct WallTimer {
    fd: Fd,
}

impl WallTimer {
    /// A timer that is not armed.
    pub fn new() -> Result<WallTimer, Errno> {
        create(libc::CLOCK_REALTIME).map(|fd| WallTimer { fd })
    }

    /// Arms it for the instant `at` (Unix time in seconds; in the past: fires at once), whatever was set before. ECANCELED:
    /// the clock was set meanwhile.
    pub fn arm(&self, at: i64) -> Result<(), Errno> {
        let value = Timespec64 { seconds: at.max(0), nanoseconds: i64::from(at <= 0) };
        let how = libc::TFD_TIMER_ABSTIME | libc::TFD_TIMER_CANCEL_ON_SET;
        settime(self.fd.as_fd(), &Itimerspec64 { interval: Timespec64::default(), value }, how)
    }

    /// Takes note that it has fired, or that the clock was set (ECANCELED): the one and the other ask for another look.
    pub fn acknowledge(&self) -> Result<(), Errno> {
        match fd::read_whole(self.fd.as_fd(), &mut [0; 8]) {
            Ok(()) | Err(Errno::EAGAIN | Errno::ECANCELED) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}

impl AsFd for WallTimer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn create(clock: libc::clockid_t) -> Result<Fd, Errno> {
    // SAFETY: takes numbers only.
    let raw = gate::call("timerfd_create", || unsafe {
        libc::timerfd_create(clock, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC)
    })?;
    Ok(Fd::new(raw))
}

fn settime(timer: BorrowedFd<'_>, new: &Itimerspec64, how: libc::c_int) -> Result<(), Errno> {
    #[cfg(target_pointer_width = "32")]
    {
        let none = std::ptr::null_mut::<Itimerspec64>();
        // SAFETY: a live structure in the layout of the 64-bit call; no old value asked for.
        let result = gate::call("timerfd_settime64", || unsafe {
            libc::syscall(
                super::clock::wide::SYS_TIMERFD_SETTIME64,
                timer.as_raw_fd(),
                how,
                std::ptr::from_ref(new),
                none,
            )
        });
        // ENOSYS before Linux 5.1, EPERM from filters of system calls that were made before it.
        if !matches!(result, Err(Errno::ENOSYS | Errno::EPERM)) {
            return result.map(drop);
        }
    }
    let native = |time: Timespec64| libc::timespec { tv_sec: time.seconds as _, tv_nsec: time.nanoseconds as _ };
    let new = libc::itimerspec { it_interval: native(new.interval), it_value: native(new.value) };
    // SAFETY: a live structure of the call's own type; no old value asked for.
    gate::call("timerfd_settime", || unsafe {
        libc::timerfd_settime(timer.as_raw_fd(), how, &raw const new, std::ptr::null_mut())
    })
    .map(drop)
}
