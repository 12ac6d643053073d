//! Rules that make work for rules: what one has moved or copied into a watched directory comes back as an event there. Such
//! rows may be meant, but one of many steps within moments is a circle, and is ended.

use crate::parts::fnv;
use crate::sys::clock::Tick;
use std::collections::HashMap;

/// A longer row is no coincidence.
const MOST_IN_A_ROW: u16 = 10;
/// So many milliseconds after it was made, what happens to a path has another reason.
const SHORT: u64 = 1_000;

/// What jobs have made lately.
#[derive(Default)]
pub struct Hops {
    /// By the path's hash: when, and after how many others in a row.
    made: HashMap<u64, (Tick, u16)>,
    tidied: Tick,
}

impl Hops {
    /// How many jobs in a row have led to this path, if not too many.
    pub fn before(&self, path: &[u8], now: Tick) -> Result<u16, String> {
        let made = self.made.get(&hash(path)).filter(|(at, _)| now.0 <= at.0 + SHORT);
        match made.map_or(0, |(_, hops)| *hops) {
            MOST_IN_A_ROW.. => Err(format!("rules have made it go on {MOST_IN_A_ROW} times in a row: it stays here")),
            hops => Ok(hops),
        }
    }

    /// A job has made this, after so many others.
    pub fn made(&mut self, path: &[u8], hops: u16, now: Tick) {
        if now.0 > self.tidied.0 + SHORT {
            self.made.retain(|_, (at, _)| now.0 <= at.0 + SHORT);
            self.tidied = now;
        }
        self.made.insert(hash(path), (now, hops + 1));
    }
}

fn hash(path: &[u8]) -> u64 {
    fnv::with(fnv::EMPTY, path)
}
