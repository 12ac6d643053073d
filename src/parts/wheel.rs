//! Timers: a hierarchical timing wheel, for any number of deadlines at a cost that does not
//! depend on how many are pending.
//!
//! After Varghese & Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 7; the bitmaps
//! of occupied slots, by which empty time is skipped, are those of William Ahern's timeout.c.
//!
//! Time is a `u64` of ticks (dogwatch: 1 ms) told by the caller; no clock is read here. A timer is
//! never early; whoever converts a duration to ticks rounds up, and so may be late by one tick.
//!
//! Level `l` has 64 slots of `64^l` ticks. A timer lives in the level of the highest base-64 digit
//! in which its expiry differs from the wheel's own tick, in the slot that this digit names. What
//! follows from this, and is relied on throughout:
//!
//! - a level's timers expire before those of higher levels, and in the order of their slots: the
//!   first occupied slot holds the next timer;
//! - timers of one tick are in one slot, so lists that only grow at the end keep them in order;
//! - a slot of level 0 is a single tick, and above level 0 the current slot is empty and so are
//!   those before. Slot 0 of the top level is therefore free to hold all that differs in higher
//!   digits yet (2^42 ticks are 139 years); it comes last, and is dealt out again when reached.
//!
//! Schedule, reschedule and cancel are O(1), and so is skipping empty time of any length. `pop`
//! pays for moving timers down, each at most once per level; it empties a slot at one go.
//!
//! Memory: one `Vec`, doubling as it grows, of 24 bytes per timer (for a `T` of 4 bytes) and per
//! slot: 10.5 KiB when empty. It goes back when the wheel becomes empty, and on [`Wheel::shrink`]
//! as far as possible. There can be 2^32 - 448 timers, for which memory ends first (96 GiB).

use std::hint::black_box;
use std::mem::replace;

const DIGIT: u32 = 6;
const SLOTS: u32 = 1 << DIGIT;
const LEVELS: u32 = 7;
/// Slot 0 of the top level: it spans years, or holds what lies beyond all levels.
const TOP: u32 = (LEVELS - 1) * SLOTS;
/// The first entry that is a timer; those below are the heads of the slots' lists.
const FIRST: u32 = LEVELS * SLOTS;
/// Ends the free list: entry 0 is a head, so it is never free.
const NONE: u32 = 0;
/// Timers [`Wheel::next`] looks at before it is content with a lower bound.
const GLANCE: usize = 64;

/// Names a pending timer. Once the timer was delivered or cancelled the id is dead, and may be
/// handed out again for another timer: forget it then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimerId(u32);

/// A timer; or, without a value, a free entry (linked by `next` only) or the head of a slot's
/// circular list: an entry too, so that linking and unlinking need not tell it from a timer.
struct Entry<T> {
    expiry: u64,
    prev: u32,
    next: u32,
    value: Option<T>,
}

/// An entry linked to `own` on both sides: for a head of that number, an empty list.
fn entry<T>(own: u32, value: Option<T>) -> Entry<T> {
    Entry { expiry: 0, prev: own, next: own, value }
}

/// Pending timers, each with a value of type `T`.
pub struct Wheel<T> {
    /// `FIRST` heads, by level and slot, then timers and free entries.
    slab: Vec<Entry<T>>,
    /// Per level, the slots whose list is not empty.
    occupied: [u64; LEVELS as usize],
    free: u32,
    len: usize,
    /// Where the wheel stands: no timer is due before this tick.
    tick: u64,
    /// The latest time heard of: ahead of `tick` while `pop` has more to deliver.
    now: u64,
}

impl<T: Copy> Wheel<T> {
    /// An empty wheel that stands at tick `now`.
    pub fn new(now: u64) -> Self {
        Wheel {
            slab: (0..FIRST).map(|head| entry(head, None)).collect(),
            occupied: [0; LEVELS as usize],
            free: NONE,
            len: 0,
            tick: now,
            now,
        }
    }

    /// The number of pending timers.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no timer is pending.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a timer due at tick `expiry`. An expiry in the past counts as due at once: the next
    /// `pop` delivers it, after what was already due at the tick delivered last.
    pub fn schedule(&mut self, expiry: u64, value: T) -> TimerId {
        let entry = entry(NONE, Some(value));
        let mut own = self.free;
        if own == NONE {
            own = self.slab.len() as u32;
            self.slab.push(entry);
        } else {
            self.free = self.at(own).next;
            *self.at(own) = entry;
        }
        self.len += 1;
        self.link(own, expiry);
        TimerId(own)
    }

    /// Moves a pending timer to tick `expiry`, as if it were cancelled and scheduled anew, but
    /// its id stays. Returns false, and does nothing, if the timer is gone.
    pub fn reschedule(&mut self, id: TimerId, expiry: u64) -> bool {
        let pending = self.expiry(id).is_some();
        if pending {
            self.unlink(id.0);
            self.link(id.0, expiry);
        }
        pending
    }

    /// Removes a pending timer and returns its value; `None` if the timer is gone.
    pub fn cancel(&mut self, id: TimerId) -> Option<T> {
        let value = self.slab.get_mut(id.0 as usize)?.value.take()?;
        self.unlink(id.0);
        self.at(id.0).next = self.free;
        self.free = id.0;
        self.len -= 1;
        if self.len == 0 {
            // Then nothing has to be searched for.
            self.slab.truncate(FIRST as usize);
            self.shrink();
        }
        Some(value)
    }

    /// The tick at which a pending timer is due, `None` if the timer is gone. An expiry that was
    /// past already when it was given reads as the tick it was changed to.
    pub fn expiry(&self, id: TimerId) -> Option<u64> {
        let entry = self.slab.get(id.0 as usize)?;
        entry.value.map(|_| entry.expiry)
    }

    /// Removes and returns the next timer due at tick `now` or before, `None` if there is none.
    /// Earlier ticks come first; within a tick, what was (re)scheduled first. To be called until
    /// it returns `None`. Time does not go back: the latest `now` ever given is what counts.
    ///
    /// Timers scheduled between two calls are delivered in the same round if due, so a caller
    /// that keeps scheduling timers in the past has to end its round itself.
    pub fn pop(&mut self, now: u64) -> Option<(TimerId, T)> {
        self.now = self.now.max(now);
        while let Some((head, start)) = self.first().filter(|&(_, start)| start <= self.now) {
            if head < SLOTS {
                self.tick = start;
                let id = TimerId(self.at(head).next);
                return self.cancel(id).map(|value| (id, value));
            }
            self.tick = if head < TOP {
                start
            } else {
                // Slot by slot a leap over all of time would take millions of turns.
                self.earliest(head, start, usize::MAX).min(self.now)
            };
            self.deal(head);
        }
        self.tick = self.now;
        None
    }

    /// The tick of the next timer, `None` if there is none: `pop` has nothing to deliver before.
    /// Exact, but if the first occupied slot is above level 0 and has more than 64 timers it is
    /// the first tick of that slot, so as not to search them all: calling `pop` then deals them
    /// out to finer slots.
    pub fn next(&self) -> Option<u64> {
        let (head, start) = self.first()?;
        Some(self.earliest(head, start, GLANCE))
    }

    /// Gives back the memory behind the last pending timer; pending timers and their ids stay.
    /// Takes time in proportion to the timers there were: for idle moments after a flood.
    #[cold] // kept out of `cancel`, which is a fifth faster for it
    pub fn shrink(&mut self) {
        let last = self.slab.iter().rposition(|entry| entry.value.is_some());
        let used = last.map_or(FIRST as usize, |last| last + 1);
        self.slab.truncate(used);
        // Keeping room for as much again lets a wheel that is often empty not allocate each time.
        self.slab.shrink_to(2 * used);
        self.free = NONE;
        for own in (FIRST..used as u32).rev() {
            if self.at(own).value.is_none() {
                self.at(own).next = self.free;
                self.free = own;
            }
        }
    }

    fn at(&mut self, entry: u32) -> &mut Entry<T> {
        &mut self.slab[entry as usize]
    }

    /// The head of the slot for a timer that expires at `expiry`, not before `tick`.
    fn head(&self, expiry: u64) -> u32 {
        let level = ((expiry ^ self.tick) | 1).ilog2() / DIGIT;
        if level < LEVELS { level * SLOTS + (expiry >> (level * DIGIT)) as u32 % SLOTS } else { TOP }
    }

    /// Puts an entry that is in no list at the end of its slot's list.
    fn link(&mut self, own: u32, expiry: u64) {
        let expiry = expiry.max(self.tick);
        let head = self.head(expiry);
        let last = replace(&mut self.at(head).prev, own);
        self.at(last).next = own;
        let entry = self.at(own);
        entry.expiry = expiry;
        entry.prev = last;
        entry.next = head;
        self.occupied[(head / SLOTS) as usize] |= 1 << (head % SLOTS);
    }

    fn unlink(&mut self, own: u32) {
        let Entry { prev, next, .. } = *self.at(own);
        self.at(prev).next = next;
        self.at(next).prev = prev;
        if prev == next {
            // Only a head is on both sides of a timer, and then it was the last one there.
            self.occupied[(next / SLOTS) as usize] &= !(1 << (next % SLOTS));
        }
    }

    /// The head and the first tick of the first occupied slot.
    fn first(&self) -> Option<(u32, u64)> {
        if self.occupied[0] != 0 {
            let slot = self.occupied[0].trailing_zeros();
            return Some((slot, (self.tick >> DIGIT << DIGIT) + u64::from(slot)));
        }
        let level = self.occupied.iter().position(|&slots| slots != 0)?;
        let bits = level as u32 * DIGIT;
        // The search begins after the current slot, and ends with it: see TOP.
        let after = (self.tick >> bits) + 1;
        let slots = self.occupied[level].rotate_right(after as u32);
        let slot = after + u64::from(slots.trailing_zeros());
        Some((level as u32 * SLOTS + slot as u32 % SLOTS, slot << bits))
    }

    /// The earliest expiry in a slot's list; its first tick `start` if it has more than `most`.
    fn earliest(&self, head: u32, start: u64, most: usize) -> u64 {
        let mut earliest = u64::MAX;
        let mut own = self.slab[head as usize].next;
        for _ in 0..=most {
            if own == head {
                return earliest;
            }
            let entry = &self.slab[own as usize];
            earliest = earliest.min(entry.expiry);
            own = entry.next;
        }
        start
    }

    /// Empties a slot that `tick` has entered, putting its timers where they belong now. The list
    /// is taken off first, since what is still beyond all levels comes back to the same slot.
    fn deal(&mut self, head: u32) {
        let mut own = replace(&mut self.at(head).next, head);
        let mut end = replace(&mut self.at(head).prev, head);
        self.occupied[(head / SLOTS) as usize] &= !(1 << (head % SLOTS));
        while own != head {
            let Entry { expiry, next, .. } = *self.at(own);
            // With many timers each is a cache miss that only the one before leads to. Reading
            // from the end too, until both meet, has two misses under way at once: a quarter off.
            let met = end == own || end == next;
            end = black_box(if met { next } else { self.at(end).prev });
            self.link(own, expiry);
            own = next;
        }
    }

    /// Panics if the wheel contradicts itself. Visits everything: for tests and debug builds.
    #[cfg(test)]
    pub fn check(&self) {
        let of = |own: u32| &self.slab[own as usize];
        assert!(self.tick <= self.now, "the wheel is ahead of time");
        let (mut timers, mut entries) = (0, FIRST as usize);
        for head in 0..FIRST {
            let occupied = self.occupied[(head / SLOTS) as usize] >> (head % SLOTS) & 1 == 1;
            assert_eq!(occupied, of(head).next != head, "occupancy of {head}");
            let (mut last, mut own) = (head, of(head).next);
            while own != head {
                let (prev, expiry) = (of(own).prev, of(own).expiry);
                assert!(of(own).value.is_some(), "no timer {own}");
                assert!(expiry >= self.tick, "missed {own}");
                assert_eq!((prev, self.head(expiry)), (last, head), "links of {own}");
                timers += 1;
                (last, own) = (own, of(own).next);
            }
            let (prev, timer) = (of(head).prev, of(head).value.is_some());
            assert_eq!((prev, timer), (last, false), "links of {head}");
        }
        assert_eq!(timers, self.len, "number of timers");
        let mut own = self.free;
        while own != NONE && entries <= self.slab.len() {
            assert!(own >= FIRST && of(own).value.is_none(), "{own} not free");
            (entries, own) = (entries + 1, of(own).next);
        }
        assert_eq!(entries + timers, self.slab.len(), "number of free entries");
    }
}

#[cfg(test)]
#[path = "wheel/tests.rs"] // so that benches/wheel.rs finds it too
mod tests;
