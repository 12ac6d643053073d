//! Durations as people write them: one integer with a unit (`500ms`, `10s`, `5m`, `2h`, `1d`), or bare seconds.

use crate::sys::clock::Tick;
use std::fmt;

/// A length of time in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// The first tick at which so long has passed: `now` was rounded down, so one more, if there is anything to wait for.
    pub fn after(self, now: Tick) -> Tick {
        Tick(now.0.saturating_add(self.0).saturating_add(u64::from(self.0 > 0)))
    }

    /// Rounded up to seconds.
    pub fn whole_seconds(self) -> Millis {
        Millis(self.0.div_ceil(1_000) * 1_000)
    }
}

/// Units, the largest first, and their milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Ten thousand years: more is a slip of the pen, and would overflow sums.
const MOST: u64 = 10_000 * 366 * 86_400_000;

/// Reads a duration; `None` where it is none.
pub fn parse(text: &str) -> Option<Millis> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(digits)?;
    let factor = if unit.is_empty() { 1_000 } else { UNITS.iter().find(|(name, _)| *name == unit)?.1 };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(factor).filter(|total| *total <= MOST).map(Millis)
}

impl fmt::Display for Millis {
    /// In the largest unit that says it in full: `90s`, `2m`, `1500ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, factor): &&(&str, u64)| self.0 != 0 && self.0 % factor == 0;
        let (unit, factor) = UNITS.iter().find(fits).copied().unwrap_or(("s", 1_000));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

#[cfg(test)]
mod tests;
