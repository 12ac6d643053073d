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
    /// A byte of each slot's hash: whose differs need not be looked at.
    tags: Vec<u8>,
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
        self.run(hash)
            .filter(move |at| self.tags.get(*at) == Some(&tag(hash)))
            .filter_map(|at| self.slots.get(at).copied())
    }

    /// The used slots from a hash's home on, up to the first free one.
    fn run(&self, hash: u64) -> impl Iterator<Item = usize> + '_ {
        let start = self.home(hash);
        let probes = (0..self.slots.len()).map(move |step| (start + step) & self.mask());
        probes.take_while(|at| self.slots.get(*at) != Some(&FREE))
    }

    /// Adds a number, which must not be in the table yet.
    pub fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        if (self.len + 1) * 8 > self.slots.len() * 7 {
            let doubled = vec![FREE; (self.slots.len() * 2).max(8)];
            self.tags = vec![0; doubled.len()];
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
        let Some(mut hole) = self.run(hash).find(|at| self.slots.get(*at) == Some(&number)) else { return };
        let mut at = hole;
        self.len -= 1;
        loop {
            at = (at + 1) & self.mask();
            let Some(next) = self.slots.get(at).copied().filter(|next| *next != FREE) else { break };
            // What lies at or after its home, counted from the hole, would not be found any more: it moves up.
            let hash = hash_of(next);
            let distance = at.wrapping_sub(self.home(hash)) & self.mask();
            if distance >= at.wrapping_sub(hole) & self.mask() {
                self.set(hole, next, tag(hash));
                hole = at;
            }
        }
        self.set(hole, FREE, 0);
        if self.len == 0 {
            (self.slots, self.tags) = (Vec::new(), Vec::new());
        }
    }

    fn place(&mut self, hash: u64, number: u32) {
        let free = (self.home(hash) + self.run(hash).count()) & self.mask();
        self.set(free, number, tag(hash));
    }

    fn set(&mut self, at: usize, number: u32, tag: u8) {
        if let (Some(slot), Some(place)) = (self.slots.get_mut(at), self.tags.get_mut(at)) {
            (*slot, *place) = (number, tag);
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

/// Bits that a slot's place does not tell, in all but the largest tables.
fn tag(hash: u64) -> u8 {
    (hash >> 24) as u8
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
