//! timerfd_create(2): one descriptor that becomes readable at an instant of the boot clock.

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
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: takes numbers only.
        let raw = gate::call("timerfd_create", || unsafe { libc::timerfd_create(libc::CLOCK_BOOTTIME, flags) })?;
        Ok(BootTimer { fd: Fd::new(raw) })
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
        settime(self.fd.as_fd(), &Itimerspec64 { interval: Timespec64::default(), value })
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

fn settime(timer: BorrowedFd<'_>, new: &Itimerspec64) -> Result<(), Errno> {
    #[cfg(target_pointer_width = "32")]
    {
        let none = std::ptr::null_mut::<Itimerspec64>();
        // SAFETY: a live structure in the layout of the 64-bit call; no old value asked for.
        let result = gate::call("timerfd_settime64", || unsafe {
            libc::syscall(
                super::clock::wide::SYS_TIMERFD_SETTIME64,
                timer.as_raw_fd(),
                libc::TFD_TIMER_ABSTIME,
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
        libc::timerfd_settime(timer.as_raw_fd(), libc::TFD_TIMER_ABSTIME, &raw const new, std::ptr::null_mut())
    })
    .map(drop)
}
