//! Looking at what is pending.

use super::super::pending::Pending;
use super::*;

/// Paths and due times, as they are shown.
fn shown(rig: &Rig, most: usize) -> Vec<(String, Option<u64>)> {
    let pending = rig.tasks.pending(&rig.tree, most);
    let line = |Pending { due, about }: Pending| (String::from_utf8(about.path).unwrap(), due.map(|due| due.0));
    pending.into_iter().map(line).collect()
}

#[test]
fn what_waits_for_its_turn_comes_first_then_what_is_due_next() {
    let mut map = EventMap::default();
    for (scheduler, event) in [(0, CLOSE), (1, Mask::CREATE), (2, Mask::MODIFY)] {
        map.set(event, vec![Action { scheduler, verb: Verb::Schedule }]);
    }
    let mut rig = Rig::new(vec![scheduler(0), scheduler(20), scheduler(10)], vec![map], 1);
    for (event, path) in [(CLOSE, "/d/run"), (CLOSE, "/d/b"), (Mask::CREATE, "/d/z"), (CLOSE, "/d/a")] {
        rig.event(event, path);
        rig.pass(0);
    }
    rig.event(Mask::MODIFY, "/d/e/y");
    let all = [("/d/b", None), ("/d/a", None), ("/d/e/y", Some(61)), ("/d/z", Some(71))];
    let all = all.map(|(path, due)| (path.to_owned(), due));
    for most in 0..=5 {
        assert_eq!(shown(&rig, most), all[..most.min(4)]);
    }
    assert_eq!(rig.tasks.counts(), (2, 2, 1));
}

#[test]
fn the_next_ones_are_picked_out_of_many() {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut rig = Rig::new(vec![scheduler(DELAY)], vec![map()], 1);
    for _ in 0..5_000 {
        rig.now += rng.u64(0..2);
        let event = if rng.u8(0..4) == 0 { Mask::DELETE } else { CLOSE };
        let name = rng.u32(0..2_000).to_string();
        let event = Event { mask: event, ..file(rig.node("/d"), &name) };
        rig.tasks.event(Tick(rig.now), &mut rig.tree, &event);
    }
    let mut all: Vec<(u64, u64)> = rig
        .tasks
        .slab
        .all()
        .filter_map(|(_, task)| match task.state {
            State::Delayed(timer) => Some((rig.tasks.wheel.expiry(timer)?, task.id)),
            State::New | State::Queued(_) | State::Parked(_) | State::Running { .. } => None,
        })
        .collect();
    all.sort_unstable();
    assert!(all.len() > 1_000, "{}", all.len());
    for most in [0, 1, 100, all.len() - 1, all.len(), all.len() + 1] {
        let found = rig.tasks.pending(&rig.tree, most);
        let found: Vec<_> = found.iter().map(|pending| (pending.due.unwrap().0, pending.about.id)).collect();
        assert_eq!(found, all[..most.min(all.len())]);
    }
}

#[test]
fn what_is_cancelled_before_it_starts_is_counted() {
    let mut rig = delayed();
    for path in ["/d/a", "/d/b"] {
        rig.event(CLOSE, path);
    }
    rig.event(Mask::DELETE, "/d/a");
    rig.event(Mask::DELETE, "/d/none");
    rig.pass(DELAY + 1);
    assert_eq!(rig.event(Mask::DELETE, "/d/b"), [What::TooLate]);
    assert_eq!(rig.tasks.cancelled, 1);
}

fn file(dir: NodeId, name: &str) -> Event<'_> {
    let name = name.as_bytes();
    Event { mask: CLOSE, dir, name, is_dir: false, below: true, maps: &[0], source: None, from_scan: false }
}
