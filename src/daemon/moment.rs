//! A moment by both clocks: by the one, files' times are judged; by the other, whether the first was set meanwhile.

use crate::sys::clock::{self, Tick};

/// A file's ctime is taken from a coarser clock: so many seconds are looked back.
const SLACK: i64 = 2;
/// A wall clock is slewed by 500 ppm at the most (adjtimex(2)), and crystals err by less: in so many seconds, by one.
const SLEWED: i64 = 1_000;

/// A moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// Wall time, in seconds since 1970.
    pub wall: i64,
    /// Boot time.
    pub boot: Tick,
}

impl Moment {
    /// This one.
    pub fn now() -> Moment {
        Moment { wall: clock::wall_now(), boot: clock::boot_now() }
    }

    /// The wall time (seconds) at or after which a file's ctime says that it may have changed since this moment. Everything
    /// may have, if the clock was set between then and `now`.
    pub fn since(self, now: Moment) -> i64 {
        let passed = i64::try_from(now.boot.0.saturating_sub(self.boot.0) / 1_000).unwrap_or(i64::MAX);
        let slack = SLACK + passed / SLEWED;
        let was_set = now.wall.saturating_sub(self.wall).saturating_sub(passed).abs() >= slack;
        if was_set { i64::MIN } else { self.wall.saturating_sub(slack) }
    }
}

#[cfg(test)]
mod tests;
