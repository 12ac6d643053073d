//! Another configuration.

use super::*;

#[test]
fn a_new_configuration_keeps_tasks_by_their_schedulers_name() {
    let schedulers = || vec![Scheduler { max_jobs: 1, ..scheduler(0) }, scheduler(DELAY), scheduler(DELAY)];
    let map = |scheduler| {
        let mut map = EventMap::default();
        map.set(CLOSE, vec![Action { scheduler, verb: Verb::Schedule }]);
        map
    };
    let mut rig = Rig::new(schedulers(), vec![map(0), map(1), map(2)], 9);
    for (path, number) in [("/d/runs", 0), ("/d/waits", 0), ("/d/gone", 1), ("/d/one", 2), ("/d/two", 2)] {
        rig.event_in(CLOSE, path, false, &[number]);
    }
    assert_eq!(rig.pass(0), ["/d/runs"]);
    rig.event_in(CLOSE, "/d/runs", false, &[0]);
    // The first is gone with its running task, the third is the first now, and the second has one task in all.
    let schedulers = vec![Scheduler { singlejob: true, ..scheduler(0) }, scheduler(DELAY)];
    let rules = Rules { schedulers, maps: vec![map(1)], max_jobs: 9 };
    let number = |old| [None, Some(1), Some(0)].get(usize::from(old)).copied().flatten();
    rig.tasks.reconfigure(rules, &number, &mut rig.tree);
    rig.tasks.check(&rig.tree);
    assert_eq!(rig.take(), [What::SchedulerGone; 2], "/d/waits, and one of the third's");
    assert_eq!(rig.finish(), [], "what runs, runs to its end, and not once more");
    assert_eq!(rig.event(CLOSE, "/d/gone"), [What::Rescheduled(Millis(DELAY))], "it is found by its new number");
    let mut left = rig.pass(DELAY + 1);
    left.sort();
    assert_eq!(left, ["/d/gone", "/d/one"]);
}

#[test]
fn turns_and_limits_survive_a_new_configuration() {
    let mut rig = Rig::new(vec![scheduler(0), scheduler(0)], vec![map()], 1);
    for path in ["/d/a", "/d/b", "/d/c"] {
        rig.event(CLOSE, path);
    }
    rig.pass(0);
    let rules = Rules { schedulers: vec![scheduler(0), scheduler(0)], maps: vec![map()], max_jobs: 2 };
    rig.tasks.reconfigure(rules, &|old| Some(1 - old), &mut rig.tree);
    rig.tasks.check(&rig.tree);
    assert_eq!(rig.pass(0), ["/d/b"], "two at once now");
    rig.finish();
    assert_eq!(rig.pass(0), ["/d/c"]);
}
