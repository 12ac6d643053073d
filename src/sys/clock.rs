//! The clocks (clock_gettime(2)), 64-bit everywhere.

/// A point on the boot clock in milliseconds: monotonic, and goes on in suspend (CLOCK_BOOTTIME).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Tick(pub u64);

/// The boot clock, rounded down to a tick: a timer that is due at tick n has passed its instant when `now` says n.
pub fn boot_now() -> Tick {
    let (seconds, nanoseconds) = read(libc::CLOCK_BOOTTIME);
    Tick(seconds.unsigned_abs().saturating_mul(1000).saturating_add(u64::from(nanoseconds / 1_000_000)))
}

/// The clock of service managers (sd_notify(3), MONOTONIC_USEC): microseconds on CLOCK_MONOTONIC.
pub fn monotonic_micros() -> u64 {
    let (seconds, nanoseconds) = read(libc::CLOCK_MONOTONIC);
    seconds.unsigned_abs().saturating_mul(1_000_000).saturating_add(u64::from(nanoseconds / 1_000))
}

/// Wall time: whole seconds since 1970-01-01 00:00 UTC.
pub fn wall_now() -> i64 {
    read(libc::CLOCK_REALTIME).0
}

/// The same with nanoseconds, as files have their times.
pub fn wall_time() -> (i64, u32) {
    read(libc::CLOCK_REALTIME)
}

/// Does nothing for so long. For workers: the loop never sleeps.
pub fn sleep(milliseconds: u16) {
    // SAFETY: no descriptors are handed over.
    let _ = super::gate::call("poll", || unsafe { libc::poll(std::ptr::null_mut(), 0, milliseconds.into()) });
}

/// The `struct timespec` of the kernel's 64-bit calls.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Timespec64 {
    pub(super) seconds: i64,
    pub(super) nanoseconds: i64,
}

/// The first number of the system calls that all machines number alike (linux/arch/*/syscall.tbl) is 403, on MIPS o32
/// after 4,000 others. Kernels before 5.1 lack these; then the old calls' 32-bit times are all there is.
#[cfg(target_pointer_width = "32")]
pub(super) mod wide {
    const BASE: libc::c_long = if cfg!(target_arch = "mips") { 4000 } else { 0 };
    pub(in super::super) const SYS_CLOCK_GETTIME64: libc::c_long = BASE + 403;
    pub(in super::super) const SYS_TIMERFD_SETTIME64: libc::c_long = BASE + 411;
    pub(in super::super) const SYS_UTIMENSAT_TIME64: libc::c_long = BASE + 412;
}

/// Seconds and nanoseconds. The call cannot fail for a clock that the kernel has (BOOTTIME: since 2.6.39). Where the
/// native structure is 64-bit, the vDSO answers without entering the kernel, and so without the gate.
#[cfg_attr(target_pointer_width = "64", expect(clippy::unnecessary_cast, reason = "time_t may have 32 bits elsewhere"))]
fn read(clock: libc::clockid_t) -> (i64, u32) {
    #[cfg(target_pointer_width = "32")]
    {
        let mut time = Timespec64::default();
        // SAFETY: the kernel writes one 64-bit timespec into ours.
        let result = super::gate::call("clock_gettime64", || unsafe {
            libc::syscall(wide::SYS_CLOCK_GETTIME64, clock, &raw mut time)
        });
        if result.is_ok() {
            return (time.seconds, u32::try_from(time.nanoseconds).unwrap_or(0));
        }
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes into a live structure of its own type.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    (time.tv_sec as i64, u32::try_from(time.tv_nsec).unwrap_or(0))
}
