//! Tasks that begin by themselves, ask for another run, and wait after a failure.

use super::*;

/// As a collector's: one task in all, which nobody has asked for.
fn source(delay: u64) -> Rig {
    let spec = Scheduler { singlejob: true, max_wait: Some(Millis(delay)), ..scheduler(delay) };
    Rig::new(vec![spec], vec![map()], 1)
}

impl Rig {
    fn begin(&mut self) {
        self.tasks.begin(Tick(self.now), &mut self.tree, 0, (Mask::CREATE.with(Mask::ISDIR), b"/d"));
        self.tasks.check(&self.tree);
        self.take();
    }

    /// The job that runs asks for another run after so long.
    fn again(&mut self, after: u64) {
        self.tasks.again(self.running[0].0, Tick(self.now + after));
    }

    /// The job that runs fails, and waits then.
    fn fail(&mut self, pause: u64) {
        let task = self.running[0].0;
        self.end(Outcome::Failed);
        self.tasks.hold(Tick(self.now), &mut self.tree, task, Millis(pause));
        self.tasks.check(&self.tree);
        self.take();
    }

    /// So long it takes until something starts.
    fn until_a_start(&mut self) -> u64 {
        let before = self.now;
        while self.pass(1).is_empty() && self.now < before + 100_000 {}
        self.now - before
    }
}

#[test]
fn a_source_begins_at_once_and_has_one_task() {
    let mut rig = source(DELAY);
    rig.begin();
    assert_eq!(rig.pass(0), ["/d"]);
    assert_eq!(rig.running[0].1.mask, Mask::CREATE.with(Mask::ISDIR));
    assert_eq!(rig.event(CLOSE, "/d/a"), [What::Again], "its events are the same task's");
    rig.begin();
    rig.finish();
    assert_eq!((rig.pass(0), rig.tasks.len()), (vec!["/d".to_owned()], 1), "who begins anew waits for no delay");
    rig.finish();
    assert_eq!((rig.tasks.len(), rig.tasks.next()), (0, None), "nothing wakes it");
}

#[test]
fn a_job_runs_again_when_it_wants_to_or_an_event_does_before() {
    let mut rig = source(DELAY);
    rig.begin();
    rig.pass(0);
    rig.again(9 * DELAY);
    rig.again(20 * DELAY);
    rig.finish();
    assert_eq!(rig.until_a_start(), 9 * DELAY, "the sooner of two");
    rig.event(CLOSE, "/d/a");
    rig.again(9 * DELAY);
    rig.finish();
    assert_eq!(rig.until_a_start(), DELAY + 1);
    rig.again(9 * DELAY);
    rig.finish();
    rig.pass(5 * DELAY);
    rig.event(CLOSE, "/d/a");
    assert!(rig.until_a_start() <= DELAY + 1);
    let ended = rig.running[0].0;
    rig.finish();
    rig.tasks.again(ended, Tick(rig.now + 1));
    assert_eq!((rig.tasks.len(), rig.tasks.next()), (0, None), "who does not run asks in vain");
}

/// Neither an event of the failed run, nor one that comes later, nor a reload cuts the pause short; one such pause is no habit.
#[test]
fn after_a_failure_it_waits_whatever_asks_for_it() {
    let mut rig = source(DELAY);
    rig.begin();
    rig.pass(0);
    rig.event(CLOSE, "/d/a");
    rig.again(10 * DELAY);
    rig.fail(10 * DELAY);
    rig.pass(DELAY);
    rig.event(CLOSE, "/d/b");
    rig.begin();
    assert_eq!(rig.until_a_start(), 9 * DELAY);
    // This run takes so long that what was asked for in it is due at its end.
    rig.event(CLOSE, "/d/a");
    rig.pass(5 * DELAY);
    rig.fail(10 * DELAY);
    assert_eq!(rig.until_a_start(), 10 * DELAY);
    rig.event(CLOSE, "/d/a");
    rig.finish();
    assert_eq!(rig.until_a_start(), DELAY + 1);
    // There is nothing to be held back.
    rig.fail(10 * DELAY);
    assert_eq!((rig.tasks.len(), rig.tasks.next()), (0, None));
}

#[test]
fn what_waits_after_a_failure_beyond_the_end_is_set_aside() {
    let mut rig = source(DELAY);
    rig.begin();
    rig.pass(0);
    rig.event(CLOSE, "/d/a");
    rig.tasks.drain(&mut rig.tree, Some(Tick(rig.now + 3 * DELAY)), false);
    rig.take();
    rig.fail(10 * DELAY);
    assert_eq!(rig.tasks.active(), 0);
}

#[test]
fn a_job_whose_scheduler_is_gone_runs_no_more() {
    let mut rig = source(DELAY);
    rig.begin();
    rig.pass(0);
    rig.tasks.reconfigure(Rules { max_jobs: 1, ..Rules::default() }, &|_| None, &mut rig.tree);
    rig.again(DELAY);
    rig.fail(DELAY);
    assert_eq!((rig.tasks.len(), rig.tasks.next()), (0, None));
}
