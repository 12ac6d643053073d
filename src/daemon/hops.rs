//! Rules that make work for rules: what one moves or copies into a watched directory comes back as an event there. Such rows
//! may be meant, but one of many steps in a short time is a circle, and is ended.

use crate::parts::fnv;
use crate::sys::clock::Tick;
use std::collections::HashMap;

/// A longer row is no coincidence.
const MOST_IN_A_ROW: u16 = 10;
/// So many milliseconds after a job for it began, what happens to a path has another reason.
const SHORT: u64 = 60_000;

/// Where jobs have made something go lately.
#[derive(Default)]
pub struct Hops {
    /// By the path's hash: when, and as which of a row.
    made: HashMap<u64, (Tick, u16)>,
    tidied: Tick,
}

impl Hops {
    /// A job is to make something go from one path to another. It must not if many others have led to that.
    pub fn go(&mut self, now: Tick, from: &[u8], to: &[u8]) -> Result<(), String> {
        let is_recent = |at: Tick| now.0 <= at.0 + SHORT;
        let hops = self.made.get(&hash(from)).filter(|(at, _)| is_recent(*at)).map_or(0, |(_, hops)| *hops);
        if hops == MOST_IN_A_ROW {
            return Err(format!("rules have made it go on {MOST_IN_A_ROW} times in a row: it stays here"));
        }
        if !is_recent(self.tidied) {
            self.made.retain(|_, (at, _)| is_recent(*at));
            self.tidied = now;
        }
        self.made.insert(hash(to), (now, hops + 1));
        Ok(())
    }
}

fn hash(path: &[u8]) -> u64 {
    fnv::with(fnv::EMPTY, path)
}
