//! The model test: seeded random operations at full speed against the real daemon. In the end its pending tasks are those
//! that the rules give for what is on disk, and no event has named what never was there.
//!
//! `DOGWATCH_SEEDS=n` runs so many seeds, `DOGWATCH_SEED=n` a single one. A failing seed is printed and shrunk; the whole
//! log of the last run that failed goes to the file `DOGWATCH_MODEL_LOG`, if that is set. With `DOGWATCH_KEEP_GOING` set, all
//! seeds are run, and the failing one with the fewest steps is shrunk. No directory is renamed while the daemon has
//! anything to do, unless `DOGWATCH_WILD` is set.

#[path = "../common/mod.rs"]
mod common;
mod disk;
mod expect;
mod limit;
mod plan;
mod run;
mod shrink;

use plan::{Loss, Plan, plan};
use run::Outcome;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Daemons at once: the kernel allows a user 128 instances, and other tests run too.
const THREADS: usize = 3;
const SHRINKING: Duration = Duration::from_secs(60);

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number of seeds, or a seed"))
}

/// Runs seeds, `usual` of them if nothing else is asked for; the answer is what all of them came to.
fn seeds(loss: Loss, usual: u64) -> Outcome {
    let range = match number("DOGWATCH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("DOGWATCH_SEEDS").unwrap_or(usual),
    };
    let keep_going = std::env::var_os("DOGWATCH_KEEP_GOING").is_some();
    let began = Instant::now();
    let (next, stop) = (AtomicU64::new(range.start), AtomicBool::new(false));
    let total = Mutex::new((Outcome::default(), Vec::<(u64, Plan, String)>::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !range.contains(&seed) {
                        break;
                    }
                    let plan = plan(seed, loss);
                    let outcome = run::run(&plan);
                    let mut total = total.lock().unwrap();
                    total.0.operations += outcome.operations;
                    total.0.events += outcome.events;
                    total.0.tasks += outcome.tasks;
                    total.0.overflows += outcome.overflows;
                    if let Some(failure) = outcome.failure {
                        println!("seed {seed} fails: {}", failure.lines().next().unwrap_or_default());
                        stop.store(!keep_going, Ordering::Relaxed);
                        total.1.push((seed, plan, failure));
                    }
                }
            });
        }
    });
    let (total, failed) = total.into_inner().unwrap();
    let Outcome { operations, events, tasks, overflows, .. } = total;
    println!(
        "{loss:?}: seeds {range:?}, {operations} operations, {events} events, {tasks} tasks, {overflows} overflows, {:?}, {} failing",
        began.elapsed(),
        failed.len()
    );
    if let Some((seed, plan, failure)) = failed.into_iter().min_by_key(|(_, plan, _)| plan.steps.len()) {
        let (small, failure) = shrink::shrink(&plan, failure, SHRINKING);
        panic!(
            "seed {seed} ({loss:?}; {} of {} steps left):\n{:?}\n{:#?}\n{failure}",
            small.steps.len(),
            plan.steps.len(),
            small.setting,
            small.steps
        );
    }
    total
}

/// The daemon's idleness is read from /proc.
fn can_run() -> bool {
    let can = std::fs::read("/proc/self/syscall").is_ok();
    if !can {
        common::skip("/proc/PID/syscall cannot be read");
    }
    can
}

#[test]
#[cfg_attr(feature = "fault", ignore = "runs with the daemon as it is shipped")]
fn pending_tasks_are_what_the_disk_and_the_rules_say() {
    if can_run() {
        let total = seeds(Loss::None, 300);
        assert_eq!(total.overflows, 0, "the queue holds what a seed does");
    }
}

#[test]
#[cfg_attr(not(feature = "fault"), ignore = "needs the test build")]
fn pending_tasks_are_right_after_forced_overflows() {
    if can_run() {
        let total = seeds(Loss::Forced, 300);
        assert!(total.overflows >= 100 || number("DOGWATCH_SEED").is_some(), "{} overflows", total.overflows);
    }
}

#[test]
#[cfg_attr(feature = "fault", ignore = "runs with the daemon as it is shipped")]
fn pending_tasks_are_right_after_real_overflows() {
    if !can_run() {
        return;
    }
    if !limit::can_change() {
        return common::skip("fs.inotify.max_queued_events cannot be changed: that needs root");
    }
    let total = seeds(Loss::Real, 60);
    assert!(total.overflows > 0 || number("DOGWATCH_SEED").is_some(), "no queue was too short");
}
