//! A hash index of slab entries: it stores the entries' 32-bit numbers and nothing else; keys stay in the slab.
//!
//! Open addressing with linear probing, and removal by shifting back (Knuth, The Art of Computer Programming 6.4,
//! algorithm R), so that there are no tombstones. The caller computes hashes (of untrusted names with a secret seed)
//! and says what a number's hash is when the table grows. Several entries may have equal keys.

use std::hash::{DefaultHasher, Hasher};

/// The table; a slot is a number, or [`FREE`].
#[derive(Default)]
pub struct Index {
    slots: Vec<u32>,
    len: usize,
}

const FREE: u32 = u32::MAX;

impl Index {
    /// How many numbers it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The numbers whose hash is probably `hash`; the caller compares keys.
    pub fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> + '_ {
        let start = self.home(hash);
        let probes = (0..self.slots.len()).map(move |step| (start + step) & self.mask());
        probes.map_while(|at| self.slots.get(at).copied().filter(|number| *number != FREE))
    }

    /// Adds a number, which must not be in the table yet.
    pub fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        if (self.len + 1) * 8 > self.slots.len() * 7 {
            let doubled = vec![FREE; (self.slots.len() * 2).max(8)];
            for old in std::mem::replace(&mut self.slots, doubled) {
                if old != FREE {
                    self.place(hash_of(old), old);
                }
            }
        }
        self.place(hash, number);
        self.len += 1;
    }

    /// Takes a number out, if it is there.
    pub fn remove(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        let Some(step) = self.candidates(hash).position(|found| found == number) else { return };
        let mut hole = (self.home(hash) + step) & self.mask();
        let mut at = hole;
        self.len -= 1;
        loop {
            at = (at + 1) & self.mask();
            let Some(next) = self.slots.get(at).copied().filter(|next| *next != FREE) else { break };
            // What lies at or after its home, counted from the hole, would not be found any more: it moves up.
            let distance = at.wrapping_sub(self.home(hash_of(next))) & self.mask();
            if distance >= at.wrapping_sub(hole) & self.mask() {
                self.set(hole, next);
                hole = at;
            }
        }
        self.set(hole, FREE);
        if self.len == 0 {
            self.slots = Vec::new();
        }
    }

    fn place(&mut self, hash: u64, number: u32) {
        let start = self.home(hash);
        let free = (0..self.slots.len()).map(|step| (start + step) & self.mask());
        let free = free.clone().find(|at| self.slots.get(*at) == Some(&FREE));
        if let Some(at) = free {
            self.set(at, number);
        }
    }

    fn set(&mut self, at: usize, number: u32) {
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = number;
        }
    }

    /// Sizes are powers of two.
    fn mask(&self) -> usize {
        self.slots.len().wrapping_sub(1)
    }

    fn home(&self, hash: u64) -> usize {
        // The low bits are as good as any of SipHash.
        (hash as usize) & self.mask()
    }
}

/// A hash of untrusted bytes that nobody can predict without the seed (SipHash 1-3 with the seed as first word).
pub fn keyed_hash(seed: u64, numbers: [u32; 2], bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(seed);
    hasher.write_u64(u64::from(numbers[0]) << 32 | u64::from(numbers[1]));
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests;
