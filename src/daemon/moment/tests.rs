//! Clocks that run, are slewed, and are set, with suspend in between.

use super::*;

fn at(wall: i64, boot: u64) -> Moment {
    Moment { wall, boot: Tick(boot) }
}

#[test]
fn a_clock_that_runs_leaves_what_is_older_out() {
    let then = at(1_000_000, 50_000);
    for (passed, boot, slack) in [(0, 0, 2), (5, 5_400, 2), (3_600, 3_602_900, 5), (86_440, 86_400_000, 88)] {
        assert_eq!(then.since(at(1_000_000 + passed, 50_000 + boot)), 1_000_000 - slack, "after {passed} s");
    }
}

#[test]
fn a_clock_that_was_set_leaves_nothing_out() {
    let then = at(1_000_000, 50_000);
    for now in
        [at(1_003_600, 51_000), at(996_400, 51_000), at(1_000_003, 50_500), at(0, 60_000), at(1_086_000, 86_450_000)]
    {
        assert_eq!(then.since(now), i64::MIN, "{now:?}");
    }
}
