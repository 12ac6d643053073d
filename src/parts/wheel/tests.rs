//! The wheel against a naive model, then its edges one by one.

use super::*;
use std::collections::{BTreeMap, HashMap};

struct Random(u64);

impl Random {
    /// xorshift64*
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Of every magnitude up to `bits` bits alike: 0, 1, 2..3, 4..7 and so on.
    fn magnitude(&mut self, bits: u64) -> u64 {
        let bits = self.below(bits + 1) as u32;
        self.next().checked_shr(64 - bits).unwrap_or(0)
    }
}

/// Says on failure which seed it was. `WHEEL_SEED=n` runs the random tests with another one.
struct Seed(u64);

impl Seed {
    fn new(default: u64) -> Self {
        let given = std::env::var("WHEEL_SEED").ok().and_then(|seed| seed.parse().ok());
        Seed(given.unwrap_or(default))
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with WHEEL_SEED={}", self.0);
        }
    }
}

/// What the wheel is to do, done with an ordered map.
#[derive(Default)]
struct Model {
    due: BTreeMap<(u64, u64), u32>,
    timers: HashMap<u32, ((u64, u64), u32)>,
    order: u64,
    tick: u64,
    now: u64,
}

impl Model {
    fn put(&mut self, id: u32, expiry: u64, value: u32) {
        self.order += 1;
        let key = (expiry.max(self.tick), self.order);
        self.due.insert(key, id);
        assert_eq!(self.timers.insert(id, (key, value)), None, "an id in use was handed out");
    }

    fn remove(&mut self, id: u32) -> Option<u32> {
        let (key, value) = self.timers.remove(&id)?;
        self.due.remove(&key);
        Some(value)
    }

    fn pop(&mut self, now: u64) -> Option<(TimerId, u32)> {
        self.now = self.now.max(now);
        let first = self.due.first_key_value().map(|(key, id)| (key.0, *id));
        match first.filter(|first| first.0 <= self.now) {
            Some((expiry, id)) => {
                self.tick = expiry;
                self.remove(id).map(|value| (TimerId(id), value))
            }
            None => {
                self.tick = self.now;
                None
            }
        }
    }
}

/// Wheel and model side by side: does each step to both and compares them.
struct Pair {
    wheel: Wheel<u32>,
    model: Model,
    random: Random,
    steps: u64,
    seen: Seen,
}

/// What the random steps came across: a test that never gets somewhere shows nothing.
#[derive(Default, Debug)]
struct Seen {
    bounds: u64,
    dead: u64,
    past: u64,
    back: u64,
    far: u64,
    popped: u64,
    most: usize,
}

impl Pair {
    fn new(now: u64, seed: u64) -> Self {
        let model = Model { tick: now, now, ..Model::default() };
        let (wheel, random) = (Wheel::new(now), Random(seed));
        Pair { wheel, model, random, steps: 0, seen: Seen::default() }
    }

    /// An id that may be of a timer, of a free entry, of a slot, or of nothing at all.
    fn any_id(&mut self) -> TimerId {
        let (from, to) = (FIRST as u64 - 2, self.wheel.slab.len() as u64 + 2);
        TimerId((from + self.random.below(to - from)) as u32)
    }

    fn any_expiry(&mut self, bits: u64) -> u64 {
        let (now, mut delay) = (self.model.now, self.random.magnitude(bits));
        if self.random.below(2) == 0 {
            delay = self.random.next() >> (64 - bits);
        }
        match self.random.below(8) {
            0 => now.saturating_sub(delay),
            1 => now.saturating_add(delay) & !63,
            2 => now.saturating_add(delay) | 63,
            _ => now.saturating_add(delay),
        }
    }

    fn any_now(&mut self, bits: u64) -> u64 {
        let (now, leap) = (self.model.now, self.random.magnitude(bits));
        let next = self.wheel.next().unwrap_or(now);
        let unit = DIGIT as u64 * self.random.below(LEVELS as u64 + 1);
        match self.random.below(8) {
            0 => now.saturating_sub(leap),
            1 => next.saturating_sub(1),
            2 => next,
            3 if unit < bits => (now | ((1 << unit) - 1)).saturating_add(1),
            4 if unit < bits => now | ((1 << unit) - 1),
            _ => now.saturating_add(leap),
        }
    }

    fn pop(&mut self, now: u64) -> bool {
        let popped = self.wheel.pop(now);
        assert_eq!(popped, self.model.pop(now), "pop");
        self.seen.popped += u64::from(popped.is_some());
        self.compare();
        popped.is_some()
    }

    fn compare(&mut self) {
        let (wheel, model) = (&self.wheel, &self.model);
        self.steps += 1;
        assert_eq!(wheel.len(), model.timers.len(), "len");
        assert_eq!(wheel.is_empty(), model.timers.is_empty(), "is_empty");
        let (next, exact) = (wheel.next(), model.due.keys().next().map(|key| key.0));
        if next != exact {
            let (head, start) = wheel.first().unwrap();
            let mut own = wheel.slab[head as usize].next;
            for _ in 0..64 {
                assert_ne!(own, head, "next is {next:?} and not {exact:?} for want of a glance");
                own = wheel.slab[own as usize].next;
            }
            assert_ne!(own, head, "next is {next:?} and not {exact:?} for 64 timers");
            assert!(head >= SLOTS && next == Some(start) && next < exact, "next {next:?} {exact:?}");
            assert!(start > model.tick, "next does not go on");
            self.seen.bounds += 1;
        }
        if wheel.len() <= 32 || self.steps % 1000 == 0 {
            wheel.check();
        }
        self.seen.most = self.seen.most.max(wheel.len());
    }

    /// One step of any kind, or a round of pops; the population stays about `population`.
    fn step(&mut self, population: usize, delay: u64, leap: u64) {
        let wanted = self.wheel.len() < 1 + self.random.below(population as u64) as usize;
        match self.random.below(16) {
            0..8 if wanted => {
                let (expiry, value) = (self.any_expiry(delay), self.random.next() as u32);
                self.seen.past += u64::from(expiry < self.model.tick);
                let id = self.wheel.schedule(expiry, value);
                self.model.put(id.0, expiry, value);
                let far = (expiry ^ self.model.tick) >> (DIGIT * LEVELS) > 0;
                self.seen.far += u64::from(far);
            }
            0..11 => {
                let (id, expiry) = (self.any_id(), self.any_expiry(delay));
                let value = self.model.remove(id.0);
                assert_eq!(self.wheel.reschedule(id, expiry), value.is_some(), "reschedule");
                if let Some(value) = value {
                    self.model.put(id.0, expiry, value);
                }
            }
            11..13 => {
                let id = self.any_id();
                let expiry = self.model.timers.get(&id.0).map(|timer| timer.0.0);
                assert_eq!(self.wheel.expiry(id), expiry, "expiry");
                let value = self.model.remove(id.0);
                assert_eq!(self.wheel.cancel(id), value, "cancel");
                assert_eq!(self.wheel.cancel(id), None, "cancel of a dead id");
                self.seen.dead += u64::from(value.is_none());
            }
            13 => {
                let now = self.any_now(leap);
                self.seen.back += u64::from(now < self.model.now);
                self.pop(now);
                return;
            }
            14 if self.random.below(4) == 0 => self.wheel.shrink(),
            _ => {
                // Mostly small leaps, or a large population would never come about.
                let leap = 1 + self.random.below(leap);
                let now = self.any_now(leap);
                let pops = self.random.magnitude(12);
                for _ in 0..=pops {
                    if !self.pop(now) {
                        break;
                    }
                }
                return;
            }
        }
        self.compare();
    }
}

#[test]
fn random_few_timers() {
    let seed = Seed::new(0xD06);
    let mut pair = Pair::new(0, seed.0);
    while pair.steps < 120_000 {
        let population = if pair.steps / 1000 % 2 == 0 { 4 } else { 60 };
        pair.step(population, 36, 36);
    }
    let seen = &pair.seen;
    assert!(seen.dead > 1000 && seen.past > 1000 && seen.back > 1000, "{seen:?}");
    assert!(seen.popped > 10_000 && seen.most > 32 && seen.bounds == 0, "{seen:?}");
}

#[test]
fn random_thousands_of_timers() {
    let seed = Seed::new(0xCAFE);
    let mut pair = Pair::new(1 << 33, seed.0);
    while pair.steps < 780_000 {
        let (delay, leap) = [(35, 12), (23, 12), (15, 4)][(pair.steps / 50_000 % 3) as usize];
        // A suspend now and then, which most timers do not survive.
        let suspend = pair.steps % 50_000 < 100;
        pair.step(12_000, delay, if suspend { 36 } else { leap });
    }
    let seen = &pair.seen;
    assert!(seen.most > 2000 && seen.bounds > 10 && seen.popped > 20_000, "{seen:?}");
}

#[test]
fn random_all_of_time() {
    let seed = Seed::new(0x7E57);
    let mut far = 0;
    for run in 0..200 {
        let mut random = Random(seed.0 + run);
        let now = random.magnitude(64);
        let mut pair = Pair::new(if run % 3 == 0 { u64::MAX - now } else { now }, random.next());
        let population = if run % 4 == 0 { 300 } else { 20 };
        while pair.steps < 500 {
            pair.step(population, 64, 64);
        }
        while pair.pop(u64::MAX) {}
        pair.wheel.check();
        assert!(pair.wheel.is_empty());
        far += pair.seen.far;
    }
    assert!(far > 1000, "{far}");
}

#[test]
fn slot_boundaries_of_each_level() {
    for bits in (0..64).step_by(DIGIT as usize) {
        for start in [0, 1, 63, (1 << bits) - 1, 1 << bits, 63 << bits, 64 << (bits.min(57))] {
            let mut all = Wheel::new(start);
            let mut ticks = Vec::new();
            for slots in [1, 2, 62, 63, 64, 65, 127, 128] {
                let edge = u64::try_from((slots as u128) << bits).unwrap_or(u64::MAX);
                for expiry in [edge - 1, edge, edge.saturating_add(1)] {
                    let expiry = expiry.max(start + 1);
                    ticks.push(expiry);
                    all.schedule(expiry, expiry);
                    let mut wheel = Wheel::new(start);
                    let id = wheel.schedule(expiry, 'x');
                    wheel.check();
                    assert_eq!((wheel.next(), wheel.pop(expiry - 1)), (Some(expiry), None));
                    wheel.check();
                    assert_eq!(wheel.next(), Some(expiry));
                    assert_eq!((wheel.pop(expiry), wheel.pop(expiry)), (Some((id, 'x')), None));
                }
            }
            ticks.sort();
            for tick in ticks {
                all.check();
                assert_eq!(all.next(), Some(tick));
                assert_eq!(all.pop(tick).map(|popped| popped.1), Some(tick));
            }
        }
    }
}

#[test]
fn past_expiry_is_due_at_once() {
    let mut wheel = Wheel::new(1000);
    let id = wheel.schedule(10, 'a');
    assert_eq!((wheel.next(), wheel.expiry(id)), (Some(1000), Some(1000)));
    assert_eq!(wheel.pop(0), Some((id, 'a')));
    wheel.schedule(1000, 'b');
    assert_eq!(wheel.pop(1000).map(|popped| popped.1), Some('b'));
    let id = wheel.schedule(5000, 'c');
    wheel.reschedule(id, 0);
    assert_eq!(wheel.pop(1000).map(|popped| popped.1), Some('c'));
    assert_eq!(wheel.pop(1000), None);
}

#[test]
fn now_does_not_go_back() {
    let mut wheel = Wheel::new(0);
    for expiry in [10, 20, 30, 40] {
        wheel.schedule(expiry, expiry);
    }
    assert_eq!(wheel.pop(30).map(|popped| popped.1), Some(10));
    assert_eq!(wheel.pop(5).map(|popped| popped.1), Some(20));
    wheel.schedule(3, 3);
    assert_eq!(wheel.next(), Some(20));
    assert_eq!(wheel.pop(0).map(|popped| popped.1), Some(3));
    assert_eq!(wheel.pop(0).map(|popped| popped.1), Some(30));
    assert_eq!((wheel.pop(0), wheel.next()), (None, Some(40)));
    wheel.check();
}

#[test]
fn scheduled_between_pops_is_delivered_in_order() {
    let mut wheel = Wheel::new(0);
    for (expiry, value) in [(100, 'a'), (300, 'd'), (300, 'e'), (70_000, 'f')] {
        wheel.schedule(expiry, value);
    }
    let mut round = String::new();
    while let Some((_, value)) = wheel.pop(100_000) {
        wheel.check();
        round.push(value);
        match value {
            'a' => _ = (wheel.schedule(200, 'c'), wheel.schedule(50, 'b')),
            'f' => _ = (wheel.schedule(100_000, 'g'), wheel.schedule(100_001, 'h')),
            _ => (),
        }
    }
    assert_eq!((round.as_str(), wheel.next()), ("abcdefg", Some(100_001)));
}

#[test]
fn equal_ticks_are_first_in_first_out() {
    let mut wheel = Wheel::new(0);
    let first = wheel.schedule(300_000, 0);
    for value in 1..100 {
        wheel.schedule(300_000, value);
        assert_eq!(wheel.pop(value * 3000), None);
    }
    assert!(wheel.reschedule(first, 300_000));
    let order: Vec<u64> = std::iter::from_fn(|| wheel.pop(300_000).map(|popped| popped.1)).collect();
    assert_eq!(order, (1..100).chain([0]).collect::<Vec<_>>());
}

#[test]
fn end_of_time() {
    let mut wheel = Wheel::new(u64::MAX);
    wheel.schedule(u64::MAX, 1);
    wheel.schedule(0, 2);
    assert_eq!(wheel.next(), Some(u64::MAX));
    assert_eq!(wheel.pop(u64::MAX).map(|popped| popped.1), Some(1));
    assert_eq!(wheel.pop(0).map(|popped| popped.1), Some(2));
    assert_eq!((wheel.pop(u64::MAX), wheel.next()), (None, None));

    // Many timers that are never meant to expire, and a leap over all of time: if the wheel went
    // there by 2^42 ticks it would deal all of them out four million times.
    let mut wheel = Wheel::new(0);
    for _ in 0..1000 {
        wheel.schedule(u64::MAX, 0);
    }
    assert_eq!(wheel.next(), Some(1 << 42));
    assert_eq!(wheel.pop(u64::MAX - 1), None);
    wheel.check();
    assert_eq!(wheel.next(), Some(u64::MAX));
    assert_eq!(std::iter::from_fn(|| wheel.pop(u64::MAX)).count(), 1000);
}

#[test]
fn next_is_exact_up_to_64_timers() {
    let mut wheel = Wheel::new(0);
    for timer in 0..64 {
        wheel.schedule(5000 + timer, ());
        assert_eq!(wheel.next(), Some(5000));
    }
    wheel.schedule(6000, ());
    assert_eq!(wheel.next(), Some(4096));
    assert_eq!((wheel.pop(4096), wheel.next()), (None, Some(5000)));
}

#[test]
fn empty() {
    let mut wheel = Wheel::<u32>::new(7);
    assert_eq!((wheel.len(), wheel.is_empty(), wheel.next()), (0, true, None));
    assert_eq!((wheel.pop(7), wheel.pop(1 << 60), wheel.pop(0)), (None, None, None));
    wheel.shrink();
    wheel.check();
}

#[test]
fn dead_ids_do_no_harm() {
    let mut wheel = Wheel::new(0);
    let (a, b) = (wheel.schedule(10, 'a'), wheel.schedule(10, 'b'));
    assert_eq!((wheel.cancel(a), wheel.cancel(a), wheel.expiry(a)), (Some('a'), None, None));
    assert!(!wheel.reschedule(a, 5));
    wheel.check();
    assert_eq!((wheel.len(), wheel.pop(10)), (1, Some((b, 'b'))));
    // Now the slab has no such entries any more; and heads were never timers.
    for id in [a, b, TimerId(0), TimerId(FIRST - 1), TimerId(u32::MAX)] {
        assert_eq!((wheel.cancel(id), wheel.expiry(id)), (None, None));
        assert!(!wheel.reschedule(id, 5));
    }
    wheel.check();
}

#[test]
fn memory_comes_back() {
    const FLOOD: u64 = 1_000_000;
    let mut wheel = Wheel::new(0);
    let empty = wheel.slab.capacity();
    let stays = wheel.schedule(FLOOD * 2, 0);
    let flood: Vec<_> = (0..FLOOD).map(|expiry| wheel.schedule(expiry, 1)).collect();
    assert!(wheel.slab.len() > FLOOD as usize);
    for id in &flood[..1000] {
        assert_eq!(wheel.cancel(*id), Some(1));
    }
    while wheel.pop(FLOOD).is_some() {}
    // One timer is left, at the front: what is behind it can go, when asked for.
    wheel.shrink();
    assert!(wheel.slab.capacity() <= 2 * empty + 2);
    wheel.check();
    assert_eq!((wheel.len(), wheel.next()), (1, Some(FLOOD * 2)));
    let flood: Vec<_> = (0..FLOOD).map(|expiry| wheel.schedule(FLOOD + expiry, 1)).collect();
    assert_eq!(wheel.cancel(stays), Some(0));
    // One is left at the end: nothing can go, and its id stays good.
    while wheel.len() > 1 {
        wheel.pop(FLOOD * 3);
    }
    wheel.shrink();
    wheel.check();
    assert_eq!(wheel.expiry(flood[flood.len() - 1]), Some(FLOOD * 2 - 1));
    assert!(wheel.slab.len() > FLOOD as usize);
    // Room in the middle is used again.
    let again = wheel.schedule(FLOOD * 4, 2);
    assert!((again.0 as usize) < wheel.slab.len() - 1);
    while wheel.pop(FLOOD * 4).is_some() {}
    // With none left it goes unasked.
    assert!(wheel.slab.capacity() <= 2 * empty + 2 && wheel.slab.len() == FIRST as usize);
}

#[test]
fn check_sees_damage() {
    type Damage = fn(&mut Wheel<u32>, TimerId);
    let damages: [Damage; 13] = [
        |wheel, _| _ = (wheel.pop(0), wheel.tick += 1),
        |wheel, _| wheel.len += 1,
        |wheel, _| wheel.free = NONE,
        |wheel, _| wheel.free = FIRST - 1,
        |wheel, _| wheel.free = wheel.at(0).next,
        |wheel, _| wheel.at(wheel.free).next = wheel.free,
        |wheel, _| wheel.occupied[0] |= 1 << 7,
        |wheel, _| wheel.occupied[1] = 0,
        |wheel, id| wheel.at(id.0).value = None,
        |wheel, id| wheel.at(id.0).prev = id.0,
        |wheel, id| wheel.at(id.0).expiry = 5000,
        |wheel, _| _ = (wheel.pop(0), (wheel.tick, wheel.now) = (330, 330)),
        |wheel, _| wheel.at(0).value = Some(0),
    ];
    for (number, damage) in damages.iter().enumerate() {
        let mut wheel = Wheel::new(0);
        let [_, _, id, _, dead] = [0, 300, 310, 5000, 9].map(|expiry| wheel.schedule(expiry, 1));
        wheel.cancel(dead);
        wheel.check();
        damage(&mut wheel, id);
        let checked = std::panic::catch_unwind(|| wheel.check());
        assert!(checked.is_err(), "damage {number} goes unseen");
    }
}

#[test]
fn sizes() {
    assert_eq!(size_of::<Entry<u32>>(), 24);
    assert_eq!(size_of::<TimerId>(), 4);
}
