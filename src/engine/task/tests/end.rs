//! The end: what still runs, what is kept aside or cancelled, and what is taken up again at the next start.

use super::*;

#[test]
fn draining_runs_what_is_due_in_time_and_takes_no_new_tasks() {
    let mut rig = Rig::new(vec![scheduler(DELAY), scheduler(5 * DELAY)], vec![map(), map()], 9);
    let mut slow = EventMap::default();
    slow.set(CLOSE, vec![Action { scheduler: 1, verb: Verb::Schedule }]);
    rig.tasks.maps[1] = slow;
    rig.event(CLOSE, "/d/soon");
    rig.event(CLOSE, "/d/written");
    rig.event(CLOSE, "/d/again");
    rig.event_in(CLOSE, "/d/late", false, &[1]);
    rig.tasks.drain(&mut rig.tree, Some(Tick(rig.now + 3 * DELAY)), false);
    assert_eq!(rig.take(), [What::CancelledByShutdown]);
    assert_eq!(rig.event(CLOSE, "/d/new"), [], "no new task");
    assert_eq!(rig.event(Mask::MODIFY, "/d/written"), [What::Cancelled], "events still cancel");
    rig.pass(DELAY / 2);
    assert_eq!(rig.event(CLOSE, "/d/again"), [What::Rescheduled(Millis(DELAY))], "and delay");
    assert_eq!(rig.pass(DELAY / 2 + 1), ["/d/soon"]);
    rig.pass(DELAY / 2 - 2);
    assert_eq!(rig.event(CLOSE, "/d/again").last(), Some(&What::Rescheduled(Millis(DELAY))));
    rig.pass(DELAY / 2 + 2);
    assert_eq!(rig.event(CLOSE, "/d/again").last(), Some(&What::CancelledByShutdown), "beyond the end");
    rig.finish();
    assert_eq!(rig.tasks.len(), 0);
}

#[test]
fn what_is_left_at_the_end_is_cancelled_and_runs_no_more() {
    let mut rig = immediate(1);
    rig.event(CLOSE, "/d/a");
    rig.event(CLOSE, "/d/b");
    rig.pass(0);
    rig.event(CLOSE, "/d/a");
    rig.tasks.drain(&mut rig.tree, None, false);
    // The one that waits, and the run that was to come after the present one.
    assert_eq!(rig.take(), [What::CancelledByShutdown; 2]);
    rig.finish();
    assert_eq!((rig.pass(0).len(), rig.tasks.len()), (0, 0));
}

/// A rig at its end, with /d/late kept aside.
fn draining() -> Rig {
    let mut rig = Rig::new(vec![Scheduler { then: Some(1), ..scheduler(DELAY) }, scheduler(0)], vec![map()], 9);
    rig.event(CLOSE, "/d/soon");
    rig.pass(DELAY / 2);
    rig.event(CLOSE, "/d/late");
    rig.tasks.drain(&mut rig.tree, Some(Tick(rig.now + DELAY * 3 / 4)), true);
    assert_eq!(rig.take(), [What::Kept]);
    rig
}

impl Rig {
    fn kept(&self) -> Vec<(String, u64)> {
        let kept = self.tasks.to_save(&self.tree);
        kept.map(|(about, due)| (String::from_utf8(about.path).unwrap(), due.0)).collect()
    }
}

#[test]
fn what_is_due_too_late_is_kept_and_events_still_count() {
    let mut rig = draining();
    assert_eq!(rig.kept(), [("/d/late".to_owned(), rig.now + DELAY + 1)]);
    assert_eq!((rig.tasks.len(), rig.tasks.active()), (2, 1));
    rig.pass(5);
    assert_eq!(rig.event(CLOSE, "/d/late"), [What::Scheduled(Millis(DELAY)), What::Kept]);
    assert_eq!(rig.kept(), [("/d/late".to_owned(), rig.now + DELAY + 1)]);
    assert_eq!(rig.pass(DELAY / 2), ["/d/soon"]);
    assert_eq!(rig.event(CLOSE, "/d/soon"), [What::Again]);
    assert_eq!(
        rig.finish(),
        [What::Scheduled(Millis(0)), What::Kept],
        "what is handed on runs in time, the rerun does not"
    );
    assert_eq!(rig.pass(0), ["/d/soon"]);
    rig.finish();
    assert_eq!((rig.kept().len(), rig.tasks.active()), (2, 0));
    assert_eq!(rig.event(Mask::MODIFY, "/d/late"), [What::Cancelled], "a file that is written to is not acted on");
    assert_eq!((rig.kept().len(), rig.pass(10 * DELAY)), (1, vec![]));
}

#[test]
fn when_the_time_is_over_all_that_waits_is_kept() {
    let mut rig = Rig::new(vec![scheduler(0)], vec![map()], 1);
    rig.event(CLOSE, "/d/a");
    rig.event(CLOSE, "/d/b");
    rig.pass(0);
    rig.event(CLOSE, "/d/a");
    rig.tasks.drain(&mut rig.tree, Some(Tick(rig.now + DELAY)), true);
    rig.tasks.drain(&mut rig.tree, None, true);
    assert_eq!(rig.take(), [What::Kept], "/d/b");
    assert_eq!(rig.end(Outcome::Failed), [What::Kept], "and the run that was to follow");
    assert_eq!((rig.kept(), rig.tasks.active()), (vec![("/d/a".to_owned(), 0), ("/d/b".to_owned(), 0)], 0));
}

#[test]
fn a_saved_task_wins_over_the_first_scan_and_not_over_events() {
    for (from_scan, due) in [(true, 7 * DELAY), (false, DELAY + 1)] {
        let mut rig = delayed();
        let start = rig.now;
        let (dir, maps, source) = (rig.node("/d"), &[0][..], None);
        let event = Event { mask: CLOSE, dir, name: b"a", is_dir: false, below: true, maps, source, from_scan };
        rig.tasks.event(Tick(rig.now), &mut rig.tree, &event);
        for path in [&b"/d/a"[..], b"/gone/b"] {
            let due = Tick(start + 7 * DELAY);
            let saved = Saved { scheduler: 0, mask: Mask::CREATE, path: path.to_vec(), source: None, due };
            rig.tasks.restore(Tick(rig.now), &mut rig.tree, &saved);
            rig.tasks.check(&rig.tree);
        }
        assert_eq!(rig.pass(due - 1), [""; 0]);
        assert_eq!(rig.pass(1).first().map(String::as_str), Some("/d/a"));
        assert_eq!(rig.tasks.restored(), if from_scan { 2 } else { 1 });
        while !rig.running.is_empty() {
            rig.finish();
        }
        rig.pass(7 * DELAY);
        while !rig.running.is_empty() {
            rig.finish();
        }
        assert_eq!((rig.tasks.len(), rig.tasks.restored()), (0, 0));
        assert!(rig.tree.child(ROOT, b"gone").is_none());
    }
}
