//! What the keys of a scheduler ask for, beside its delay; and tasks that wake themselves.

use super::*;

/// A job that wakes itself is held back after ten runs in a row, longer each time up to a minute, and told of once.
#[test]
fn a_job_that_wakes_itself_is_held_back() {
    let mut rig = immediate(1);
    rig.event(CLOSE, "/d/a");
    let (mut pauses, mut told) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let before = rig.now;
        while rig.pass(1).is_empty() {}
        pauses.push(rig.now - before);
        rig.event(CLOSE, "/d/a");
        rig.pass(5);
        told.extend(rig.finish());
        // What comes from it only now does not cut the pause short.
        rig.event(CLOSE, "/d/a");
    }
    assert_eq!(told, [What::HeldBack(Millis(1_000))]);
    assert!(pauses[..10].iter().all(|pause| *pause <= 2), "{pauses:?}");
    let held: Vec<u64> = pauses[10..].iter().map(|pause| pause / 1_000).collect();
    assert_eq!(held, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    // Once it is left in peace, it is forgotten.
    while rig.pass(1_000).is_empty() {}
    rig.finish();
    assert_eq!(rig.tasks.len(), 0);
    rig.event(CLOSE, "/d/a");
    assert_eq!(rig.pass(1), ["/d/a"]);
}

/// Jobs that take their time, or wait for their delay, are not held back, however often they are asked for.
#[test]
fn slow_jobs_and_long_delays_are_not_held_back() {
    for (mut rig, run) in [(immediate(1), 1_100), (delayed(), 5)] {
        rig.event(CLOSE, "/d/a");
        for _ in 0..30 {
            let before = rig.now;
            while rig.pass(1).is_empty() {}
            assert!(rig.now - before <= DELAY + 2);
            rig.event(CLOSE, "/d/a");
            rig.pass(run);
            assert_eq!(rig.finish(), []);
        }
    }
}

/// A file that is written to again and again is acted on after max_wait all the same, counted from its first event.
#[test]
fn max_wait_ends_a_delay_that_begins_anew_for_ever() {
    let most = Millis(3 * DELAY);
    let mut rig = Rig::new(vec![Scheduler { max_wait: Some(most), ..scheduler(DELAY) }], vec![map()], 1);
    for _ in 0..2 {
        let first = rig.now;
        rig.event(CLOSE, "/d/a");
        while rig.pass(DELAY / 2).is_empty() && rig.now < first + 2 * most.0 {
            rig.event(CLOSE, "/d/a");
        }
        assert_eq!(rig.now - first, most.0 + DELAY / 2, "the first look after {most}");
        rig.event(CLOSE, "/d/a");
        let again = rig.now;
        assert_eq!(rig.finish(), []);
        assert_eq!(rig.pass(DELAY + 1), ["/d/a"], "a rerun has a wait of its own, from {again} on");
        rig.finish();
    }
    rig.event(CLOSE, "/d/b");
    rig.event(Mask::MODIFY, "/d/b");
    assert_eq!(rig.tasks.len(), 0);
}

#[test]
fn a_scheduler_that_skips_loses_the_event_and_says_so() {
    let mut rig = Rig::new(vec![Scheduler { on_busy: OnBusy::Skip, ..scheduler(0) }], vec![map()], 1);
    rig.event(CLOSE, "/d/a");
    rig.pass(0);
    assert_eq!(rig.event(Mask::CREATE, "/d/a"), [What::Skipped]);
    rig.finish();
    assert_eq!((rig.tasks.len(), rig.pass(9)), (0, vec![]));
}

#[test]
fn a_scheduler_that_restarts_ends_the_running_job_once() {
    let mut schedulers = vec![Scheduler { on_busy: OnBusy::Restart, on_failure: Some(1), ..scheduler(DELAY) }];
    schedulers.push(scheduler(0));
    let mut rig = Rig::new(schedulers, vec![map()], 1);
    rig.event(CLOSE, "/d/a");
    rig.pass(DELAY + 1);
    assert_eq!(rig.event(CLOSE, "/d/a"), [What::Restarted]);
    assert_eq!((rig.event(CLOSE, "/d/a"), rig.stopped), (vec![What::Again], 1), "it is told once");
    assert_eq!(rig.end(Outcome::Outdated), [], "one that was ended for a newer event has not failed");
    assert_eq!((rig.pass(DELAY), rig.pass(1)), (vec![], vec!["/d/a".to_owned()]));
    assert_eq!(rig.end(Outcome::Failed), [What::Scheduled(Millis(0))], "this one has");
}

/// One scheduler's many tasks hold up nobody else; among those that may run, the first come is the first served.
#[test]
fn a_schedulers_own_limit_holds_up_only_its_own() {
    let schedulers = vec![Scheduler { max_jobs: 1, ..scheduler(0) }, scheduler(0)];
    let mut other = EventMap::default();
    other.set(CLOSE, vec![Action { scheduler: 1, verb: Verb::Schedule }]);
    let mut rig = Rig::new(schedulers, vec![map(), other], 2);
    for path in ["/d/a", "/d/b", "/d/c"] {
        rig.event(CLOSE, path);
    }
    for path in ["/d/x", "/d/y"] {
        rig.event_in(CLOSE, path, false, &[1]);
    }
    assert_eq!(rig.pass(0), ["/d/a", "/d/x"]);
    rig.finish();
    assert_eq!(rig.pass(0), ["/d/b"]);
    rig.finish();
    assert_eq!(rig.pass(0), ["/d/y"]);
    assert_eq!(rig.finish(), []);
    assert_eq!(rig.pass(0), ["/d/c"]);
}

#[test]
fn results_are_handed_on_with_the_event_and_the_old_path() {
    let first = Scheduler { dirs: true, then: Some(1), on_failure: Some(2), ..scheduler(0) };
    // What counts for them by events does not matter for what is handed on.
    let mut rig = Rig::new(vec![first, scheduler(DELAY), scheduler(0)], vec![map()], 9);
    rig.event_in(CLOSE, "/d/a", true, &[0]);
    rig.pass(0);
    assert_eq!(rig.end(Outcome::Done(Some(b"/far/away/b"))), [What::Scheduled(Millis(DELAY))]);
    assert_eq!((rig.pass(DELAY), rig.pass(1)), (vec![], vec!["/far/away/b".to_owned()]));
    let about = &rig.running[0].1;
    assert_eq!(
        (about.scheduler, about.mask, about.source.as_deref()),
        (1, CLOSE.with(Mask::ISDIR), Some(&b"/d/a"[..]))
    );
    rig.finish();
    assert!(rig.tree.child(ROOT, b"far").is_none(), "its directory was known for the task alone");
    rig.event(CLOSE, "/d/a");
    rig.pass(0);
    rig.end(Outcome::Failed);
    assert_eq!(rig.pass(0), ["/d/a"]);
    let about = &rig.running[0].1;
    assert_eq!((about.scheduler, about.source.as_deref()), (2, None), "a failure hands on the event's path");
}

/// A path that no rule is for is not scheduled, nor one that a rule leaves alone; and it is matched again at a new path.
#[test]
fn only_what_a_rule_is_for_is_scheduled() {
    use crate::engine::rule::{Action as Does, Rule};
    use crate::parts::pattern::Pattern;
    let rule = |src: &str, action| Rule { name: src.to_owned(), src: Pattern::new(src.as_bytes()).unwrap(), action };
    let rules = [rule("^/d/no.*$", Does::Nothing), rule("^/d/(sub/)?[^/]*$", Does::Delete { rec: false })];
    let matching = Some(std::rc::Rc::from(rules));
    let mut rig = Rig::new(vec![Scheduler { matching, ..scheduler(DELAY) }], vec![map()], 4);
    assert_eq!(rig.event(Mask::CLOSE_WRITE, "/d/yes"), [What::Scheduled(Millis(DELAY))]);
    assert_eq!(rig.event(Mask::CLOSE_WRITE, "/d/nobody"), []);
    assert_eq!(rig.event(Mask::CLOSE_WRITE, "/d/e/deep"), []);
    assert_eq!(rig.pass(DELAY + 1), ["/d/yes"]);
    rig.finish();
    let d = rig.node("/d");
    let sub = rig.tree.child_or_new(d, b"sub").unwrap();
    assert_eq!(rig.event(Mask::CLOSE_WRITE, "/d/sub/yes"), [What::Scheduled(Millis(DELAY))]);
    rig.tasks.match_again(&mut rig.tree, sub, b"yes", &[0]);
    assert_eq!(rig.take(), []);
    assert!(rig.tree.rename(sub, d, b"other"));
    rig.tasks.match_again(&mut rig.tree, sub, b"yes", &[0]);
    assert_eq!(rig.take(), [What::NotMatched]);
}

/// What has been looked for and is not there was a file; a directory that has its name now keeps its task.
#[test]
fn what_is_missed_cancels_nothing_of_another_kind() {
    let mut rig = Rig::new(vec![Scheduler { dirs: true, ..scheduler(DELAY) }], vec![map()], 9);
    rig.event_in(Mask::CREATE, "/d/x", true, &[0]);
    let dir = rig.node("/d");
    let missed = |is_dir| Event {
        mask: Mask::DELETE,
        dir,
        name: b"x",
        is_dir,
        below: false,
        maps: &[0],
        source: None,
        from_scan: true,
    };
    rig.tasks.event(Tick(rig.now), &mut rig.tree, &missed(false));
    assert_eq!((rig.tasks.len(), rig.take()), (1, vec![]));
    rig.tasks.event(Tick(rig.now), &mut rig.tree, &missed(true));
    assert_eq!((rig.tasks.len(), rig.take()), (0, vec![What::Cancelled]));
}
