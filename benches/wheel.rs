//! The wheel against a binary heap with lazy cancel, with a million pending timers.
//!
//! Each operation is done a million times. The heap forgets nothing when a timer is moved or
//! cancelled: it owes a pop for each, which is charged where it surfaces. So `expiry` has the pops
//! owed by the re-schedules before it, and `cancel` ends with draining what was cancelled.

#[allow(dead_code, unused_imports)]
#[path = "../src/parts/wheel.rs"]
mod wheel;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::time::Instant;
use wheel::{TimerId, Wheel};

const TIMERS: usize = 1_000_000;
const ROUNDS: usize = 7;
const HOUR: u64 = 3_600_000;
/// Re-schedules per tick: all of them take a second, in which the files are written to again.
const PER_TICK: usize = 1000;

trait Timers {
    fn new() -> Self;
    fn schedule(&mut self, expiry: u64, value: u32);
    fn reschedule(&mut self, timer: u32, expiry: u64);
    fn cancel(&mut self, timer: u32);
    fn pop(&mut self, now: u64) -> Option<u32>;
    fn next(&mut self) -> Option<u64>;
}

struct OnWheel(Wheel<u32>, Vec<TimerId>);

impl Timers for OnWheel {
    fn new() -> Self {
        OnWheel(Wheel::new(0), Vec::new())
    }

    fn schedule(&mut self, expiry: u64, value: u32) {
        self.1.push(self.0.schedule(expiry, value));
    }

    fn reschedule(&mut self, timer: u32, expiry: u64) {
        self.0.reschedule(self.1[timer as usize], expiry);
    }

    fn cancel(&mut self, timer: u32) {
        self.0.cancel(self.1[timer as usize]);
    }

    fn pop(&mut self, now: u64) -> Option<u32> {
        self.0.pop(now).map(|popped| popped.1)
    }

    fn next(&mut self) -> Option<u64> {
        self.0.next()
    }
}

/// An entry of the heap counts if it has the tick at which its timer is due now: that is as good
/// as a generation and leaves the entry at 16 bytes. (Of two alike the second finds it `GONE`.)
struct OnHeap {
    heap: BinaryHeap<Reverse<(u64, u32)>>,
    due: Vec<u64>,
}

/// The `due` of a timer that is not pending.
const GONE: u64 = u64::MAX;

impl Timers for OnHeap {
    fn new() -> Self {
        OnHeap { heap: BinaryHeap::new(), due: Vec::new() }
    }

    fn schedule(&mut self, expiry: u64, value: u32) {
        self.due.push(expiry);
        self.heap.push(Reverse((expiry, value)));
    }

    fn reschedule(&mut self, timer: u32, expiry: u64) {
        self.due[timer as usize] = expiry;
        self.heap.push(Reverse((expiry, timer)));
    }

    fn cancel(&mut self, timer: u32) {
        self.due[timer as usize] = GONE;
    }

    fn pop(&mut self, now: u64) -> Option<u32> {
        self.next().filter(|&next| next <= now)?;
        let Reverse((_, timer)) = self.heap.pop()?;
        self.due[timer as usize] = GONE;
        Some(timer)
    }

    fn next(&mut self) -> Option<u64> {
        while let Some(&Reverse((expiry, timer))) = self.heap.peek() {
            if self.due[timer as usize] == expiry {
                return Some(expiry);
            }
            self.heap.pop();
        }
        None
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn delays(&mut self) -> Vec<u32> {
        (0..TIMERS).map(|_| 1 + self.below(HOUR) as u32).collect()
    }

    /// All timers in random order.
    fn timers(&mut self) -> Vec<u32> {
        let mut timers: Vec<u32> = (0..TIMERS as u32).collect();
        for i in (1..TIMERS).rev() {
            timers.swap(i, self.below(i as u64 + 1) as usize);
        }
        timers
    }
}

struct Plan {
    delays: Vec<u32>,
    again: Vec<(u32, u32)>,
    cancelled: Vec<u32>,
}

/// Nanoseconds per operation.
fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1e9 / TIMERS as f64
}

fn schedule_all(timers: &mut impl Timers, plan: &Plan) {
    for (timer, &delay) in plan.delays.iter().enumerate() {
        timers.schedule(black_box(delay.into()), timer as u32);
    }
}

/// Schedule, re-schedule, expiry, cancel; the expired timers summed up, lest a bug looks fast.
fn round<T: Timers>(plan: &Plan) -> ([f64; 4], u64) {
    let mut sum = 0;
    let mut timers = T::new();
    let schedule = timed(|| schedule_all(&mut timers, plan));
    let mut now = 0;
    let reschedule = timed(|| {
        for (i, &(timer, delay)) in plan.again.iter().enumerate() {
            now = (i / PER_TICK) as u64;
            timers.reschedule(black_box(timer), now + u64::from(delay));
        }
    });
    let expiry = timed(|| {
        // As a daemon does: sleep until the next timer, then deliver what is due.
        while let Some(next) = timers.next() {
            now = now.max(next);
            while let Some(timer) = timers.pop(black_box(now)) {
                sum += now ^ u64::from(timer);
            }
        }
    });
    drop(timers);
    let mut timers = T::new();
    schedule_all(&mut timers, plan);
    let cancel = timed(|| {
        for &timer in &plan.cancelled {
            timers.cancel(black_box(timer));
        }
        assert_eq!(black_box(timers.next()), None);
    });
    ([schedule, reschedule, cancel, expiry], sum)
}

fn main() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut ratios = Vec::new();
    println!("ns per operation   schedule re-schedule  cancel  expiry     sum");
    for _ in 0..ROUNDS {
        let plan = Plan {
            delays: random.delays(),
            again: random.timers().into_iter().zip(random.delays()).collect(),
            cancelled: random.timers(),
        };
        let (wheel, wheel_sum) = round::<OnWheel>(&plan);
        let (heap, heap_sum) = round::<OnHeap>(&plan);
        assert_eq!(wheel_sum, heap_sum, "they expired different timers, or at other times");
        for (name, ns) in [("wheel", wheel), ("heap", heap)] {
            let [schedule, reschedule, cancel, expiry] = ns;
            let sum: f64 = ns.iter().sum();
            println!("{name:16} {schedule:10.1} {reschedule:11.1} {cancel:7.1} {expiry:7.1} {sum:7.1}");
        }
        ratios.push(heap.iter().sum::<f64>() / wheel.iter().sum::<f64>());
    }
    ratios.sort_by(f64::total_cmp);
    println!("heap / wheel: {:.1} (median), {:.1?}", ratios[ROUNDS / 2], ratios);
}
