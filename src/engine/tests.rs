//! Watches and tasks together: what becomes of pending tasks when directories move and go.

mod simulation;

use super::*;
use crate::parts::duration::Millis;
use crate::parts::log::Level;
use crate::parts::pattern::Pattern;
use crate::sys::fs::Kind;
use crate::sys::inotify::{Mask, Record, Wd};
use task::{Action, EventMap, Scheduler, Verb, What};
use watch::{Found, Scan, Watch};

/// /s (map 0) and /t (map 1), each with the directories a and a/b below; tasks of both maps are due after a second.
struct Rig {
    engine: Engine,
}

const NOW: Tick = Tick(1_000);
const DIR_FROM: Mask = Mask::MOVED_FROM.with(Mask::ISDIR);
const DIR_TO: Mask = Mask::MOVED_TO.with(Mask::ISDIR);

impl Rig {
    /// `maps` are pairs of an event and what it does to scheduler 0, for /s and for /t.
    fn new(maps: [&[(Mask, Verb)]; 2], exclude: Option<&str>) -> Rig {
        let map = |pairs: &[(Mask, Verb)]| {
            let mut map = EventMap::default();
            pairs.iter().for_each(|(event, verb)| map.set(*event, vec![Action { scheduler: 0, verb: *verb }]));
            map
        };
        let exclude: Vec<Pattern> = exclude.iter().map(|text| Pattern::new(text.as_bytes()).unwrap()).collect();
        let watch = |path: &[u8], map| Watch {
            name: String::new(),
            paths: vec![path.into()],
            map,
            rec: true,
            auto_add: true,
            existing: false,
            tidied: false,
            exclude: exclude.clone(),
        };
        let scheduler = Scheduler { delay: Millis(1_000), notes: Level::Debug, ..Scheduler::default() };
        let maps = maps.map(map).to_vec();
        let watches = Watches::new(&[watch(b"/s", 0), watch(b"/t", 1)], Mask::default(), 3);
        let tasks = Tasks::new(Rules { schedulers: vec![scheduler], maps, max_jobs: 9 }, 4, NOW);
        let mut rig = Rig { engine: Engine::new(watches, tasks, false) };
        let mut wd = 0;
        while let Some((node, scan)) = rig.engine.watches.next_scan() {
            wd += 1;
            rig.engine.watches.watched(node, Wd(wd), scan, true);
            let path = rig.engine.watches.tree().path(node, b"");
            let below: &[u8] = match &path[..] {
                b"/s" | b"/t" => b"a",
                b"/s/a" | b"/t/a" => b"b",
                _ => continue,
            };
            assert_eq!(scan, Scan::First);
            let found = Found { name: below, kind: Kind::Directory, written_to: false, recent: false };
            rig.engine.watches.entry(node, scan, found, &mut |_, _| {});
        }
        rig
    }

    fn node(&self, path: &str) -> NodeId {
        let tree = self.engine.watches.tree();
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        parts.try_fold(watch::ROOT, |node, part| tree.child(node, part.as_bytes())).unwrap()
    }

    fn wd(&self, path: &str) -> Wd {
        self.engine.watches.tree().wd(self.node(path)).unwrap()
    }

    /// Feeds a record; the answer is what was noted, with paths.
    fn record(&mut self, dir: &str, mask: Mask, cookie: u32, name: &str) -> Vec<(What, String)> {
        let record = Record { wd: self.wd(dir), mask, cookie, name: name.as_bytes() };
        self.engine.feed(NOW, |watches, sink| watches.record(&record, sink));
        self.told()
    }

    fn give_up(&mut self) -> Vec<(What, String)> {
        self.engine.feed(NOW, |watches, sink| watches.give_up_waiting(sink));
        self.told()
    }

    fn told(&mut self) -> Vec<(What, String)> {
        self.engine.watches.tree().check();
        self.engine.tasks.check(self.engine.watches.tree());
        let notes = self.engine.take_effects().into_iter().filter_map(|effect| match effect {
            Effect::Note(about, what) => Some((what, String::from_utf8(about.path).unwrap())),
            Effect::Start(..) | Effect::Stop(_) | Effect::Seen { .. } => None,
        });
        notes.collect()
    }

    /// The paths of all tasks, as they would be started.
    fn pending(&mut self) -> Vec<String> {
        self.engine.advance(Tick(NOW.0 + 2_000));
        let paths = self.engine.take_effects().into_iter().filter_map(|effect| match effect {
            Effect::Start(_, about) => Some(String::from_utf8(about.path).unwrap()),
            Effect::Note(..) | Effect::Stop(_) | Effect::Seen { .. } => None,
        });
        let mut paths: Vec<String> = paths.collect();
        paths.sort();
        paths
    }
}

const SCHEDULES: (Mask, Verb) = (Mask::CLOSE_WRITE, Verb::Schedule);

#[test]
fn tasks_below_a_renamed_directory_move_along() {
    // Both halves would cancel what lies below, were the directory not merely renamed.
    let map = [SCHEDULES, (Mask::MOVED_FROM, Verb::Cancel), (Mask::MOVED_TO, Verb::Cancel)];
    let mut rig = Rig::new([&map, &[]], None);
    rig.record("/s/a", Mask::CLOSE_WRITE, 0, "f");
    rig.record("/s/a/b", Mask::CLOSE_WRITE, 0, "g");
    assert_eq!(rig.record("/s", DIR_FROM, 5, "a"), []);
    assert_eq!(rig.record("/s", DIR_TO, 5, "z").len(), 0);
    assert_eq!(rig.pending(), ["/s/z/b/g", "/s/z/f"]);
}

/// It is due in the very 20 ms in which its path is not known: it waits for it.
#[test]
fn a_task_that_is_due_while_its_directory_is_on_its_way_waits() {
    let mut rig = Rig::new([&[SCHEDULES], &[]], None);
    rig.record("/s/a", Mask::CLOSE_WRITE, 0, "f");
    rig.record("/s", DIR_FROM, 5, "a");
    assert_eq!(rig.pending(), [""; 0]);
    rig.record("/s", DIR_TO, 5, "z");
    rig.engine.advance(Tick(NOW.0 + 2_100));
    let effects = rig.engine.take_effects();
    assert!(matches!(&effects[..], [Effect::Start(_, about)] if about.path == b"/s/z/f"));
}

#[test]
fn a_task_that_moves_into_another_watch_is_matched_again() {
    for (other, expected) in [(&[SCHEDULES][..], vec!["/t/z/f"]), (&[(Mask::MODIFY, Verb::Schedule)], vec![])] {
        let mut rig = Rig::new([&[SCHEDULES], other], None);
        rig.record("/s/a", Mask::CLOSE_WRITE, 0, "f");
        rig.record("/s", DIR_FROM, 5, "a");
        let notes = rig.record("/t", DIR_TO, 5, "z");
        let cancelled = notes.contains(&(What::NotMatched, "/t/z/f".to_owned()));
        assert_eq!(cancelled, expected.is_empty(), "{notes:?}");
        assert_eq!(rig.pending(), expected);
    }
}

/// All of this is told at once, when the path of the last of them is known: /s/a goes to /t/a/d, and its b on to /t/a/e.
#[test]
fn a_task_that_leaves_what_has_moved_into_another_watch_is_matched_again() {
    let mut rig = Rig::new([&[SCHEDULES], &[(Mask::MODIFY, Verb::Schedule)]], None);
    rig.record("/s/a/b", Mask::CLOSE_WRITE, 0, "f");
    let [a, other] = ["/s/a", "/t/a"].map(|path| rig.wd(path));
    rig.record("/s", DIR_FROM, 5, "a");
    rig.record("/t", DIR_FROM, 6, "a");
    for (wd, mask, cookie, name) in [(other, DIR_TO, 5, &b"d"[..]), (a, DIR_FROM, 7, b"b"), (other, DIR_TO, 7, b"e")] {
        let record = Record { wd, mask, cookie, name };
        rig.engine.feed(NOW, |watches, sink| watches.record(&record, sink));
    }
    assert_eq!(rig.record("/t", DIR_TO, 6, "z"), [(What::NotMatched, "/t/z/e/f".to_owned())]);
    assert_eq!(rig.pending(), [""; 0]);
}

#[test]
fn a_task_whose_new_path_is_excluded_is_cancelled() {
    let mut rig = Rig::new([&[SCHEDULES], &[]], Some("/s/z/.*[.]tmp$"));
    rig.record("/s/a", Mask::CLOSE_WRITE, 0, "f.tmp");
    rig.record("/s/a", Mask::CLOSE_WRITE, 0, "g");
    rig.record("/s", DIR_FROM, 5, "a");
    let notes = rig.record("/s", DIR_TO, 5, "z");
    assert_eq!(notes, [(What::NotMatched, "/s/z/f.tmp".to_owned())]);
    assert_eq!(rig.pending(), ["/s/z/g"]);
}

/// Neither a deletion nor a move out cancels by itself: the map says what to do, for each task below.
#[test]
fn tasks_below_a_lost_directory_get_its_event() {
    let dir_gone = Mask::DELETE.with(Mask::ISDIR);
    for (event, cancels) in
        [(Mask::DELETE, true), (Mask::DELETE, false), (Mask::MOVED_FROM, true), (Mask::MOVED_FROM, false)]
    {
        let map = [SCHEDULES, (event, Verb::Cancel)];
        let mut rig = Rig::new([if cancels { &map } else { &map[..1] }, &[]], None);
        rig.record("/s/a", Mask::CLOSE_WRITE, 0, "f");
        rig.record("/s/a/b", Mask::CLOSE_WRITE, 0, "g");
        let mut notes = Vec::new();
        if event == Mask::DELETE {
            notes.extend(rig.record("/s/a", dir_gone, 0, "b"));
            notes.extend(rig.record("/s", dir_gone, 0, "a"));
        } else {
            rig.record("/s", DIR_FROM, 5, "a");
            notes.extend(rig.give_up());
        }
        let of = |path: &str| (What::Cancelled, path.to_owned());
        if cancels {
            notes.sort_by(|a, b| a.1.cmp(&b.1));
            assert_eq!(notes, [of("/s/a/b/g"), of("/s/a/f")]);
            assert_eq!(rig.pending(), [""; 0]);
        } else {
            assert_eq!(notes, []);
            assert_eq!(rig.pending(), ["/s/a/b/g", "/s/a/f"], "they keep the path that they had");
        }
    }
}

#[test]
fn a_task_that_a_deletion_schedules_outlives_its_directory() {
    let mut rig = Rig::new([&[(Mask::DELETE, Verb::Schedule)], &[]], None);
    rig.record("/s/a/b", Mask::DELETE, 0, "f");
    rig.record("/s/a", Mask::DELETE.with(Mask::ISDIR), 0, "b");
    let nodes = rig.engine.watches.tree().len();
    assert_eq!(rig.pending(), ["/s/a/b/f"]);
    let wd = rig.engine.watches.tree().by_wd(Wd(99)).next();
    assert!(wd.is_none() && nodes > 6, "the lost directory is held by its task");
}
