//! Making a failing plan small: steps are left out as long as it still fails (Zeller and Hildebrandt, "Simplifying and
//! isolating failure-inducing input", 2002).

use crate::plan::{Op, Plan, Step};
use crate::run::run;
use std::time::{Duration, Instant};

/// A failure may need a race to be won: so often is a smaller plan tried before it counts as one that works.
const TRIES: usize = 4;

/// The smallest failing plan that is found in this time, and its failure.
pub fn shrink(plan: &Plan, failure: String, within: Duration) -> (Plan, String) {
    let end = Instant::now() + within;
    let (mut best, mut why) = (plan.clone(), failure);
    let mut chunk = best.steps.len() / 2;
    while chunk > 0 && Instant::now() < end {
        let mut at = 0;
        let mut smaller = false;
        while at < best.steps.len() && Instant::now() < end {
            let steps = without(&best.steps, at, chunk);
            let candidate = Plan { setting: best.setting, steps };
            let fails = (candidate.steps.len() < best.steps.len()).then(|| fails(&candidate, end)).flatten();
            match fails {
                Some(failure) => (best, why, smaller) = (candidate, failure, true),
                None => at += chunk,
            }
        }
        if !(smaller && chunk == 1) {
            chunk /= 2;
        }
    }
    (best, why)
}

/// A plan without its start would test nothing.
fn without(steps: &[Step], at: usize, chunk: usize) -> Vec<Step> {
    let kept = |(n, step): &(usize, &Step)| !(at..at + chunk).contains(n) || step.op == Op::Start;
    steps.iter().enumerate().filter(kept).map(|(_, step)| step.clone()).collect()
}

fn fails(plan: &Plan, end: Instant) -> Option<String> {
    (0..TRIES).take_while(|_| Instant::now() < end).find_map(|_| run(plan).failure)
}
