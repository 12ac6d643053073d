//! Another configuration, and what else its simulation has brought to light.

use super::*;

impl Rig {
    fn overflow(&mut self) {
        self.record(Wd::OVERFLOW, Mask::Q_OVERFLOW, 0, "");
    }
}

fn new_names(mask: Mask, path: &str, map: MapId) -> (Mask, String, Vec<MapId>) {
    (mask, path.to_owned(), vec![map])
}

#[test]
fn all_watches_may_go_and_others_come() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/"])]);
    rig.watches.reconfigure(&[], Mask::default());
    assert_eq!(rig.watches.tree().presence(ROOT), Presence::Anchor, "it is never free for another");
    rig.scan(|_| &[]);
    assert_eq!((rig.unwatched().len(), rig.watches.tree().len()), (2, 1));
    rig.watches.reconfigure(&[watch("/t", 0, true, true)], Mask::default());
    rig.scan(|path| if path == "/t" { &["b/"] } else { &[] });
    assert!(rig.node("/t/b").is_some() && rig.node("/s").is_none());
}

/// Of two that say the same of one path, only the one that is new is told what is there.
#[test]
fn a_watch_is_known_again_by_its_name() {
    let named = |name: &str, map, rec| Watch { name: name.to_owned(), ..watch("/s", map, rec, rec) };
    let mut rig = Rig::new(&[named("one", 0, true), named("two", 1, false)], &[]);
    rig.recent = false;
    let two = Watch { existing: true, ..named("two", 0, true) };
    rig.watches.reconfigure(&[two, named("one", 1, true)], Mask::CLOSE_WRITE);
    let seen = rig.scan(|path| if path == "/s" { &["f"] } else { &[] });
    assert_eq!(seen, [new_names(Mask::CREATE, "/s/f", 0), new_names(Mask::CLOSE_WRITE, "/s/f", 0)]);
}

/// That it is not new does not mean that all below has been seen.
#[test]
fn a_path_that_comes_while_another_configuration_begins_is_entered() {
    for (rec, auto_add) in [(true, false), (false, true)] {
        let mut rig = Rig::unscanned(&[watch("/s/a", 0, rec, auto_add)]);
        rig.scan_but("/s/a", Errno::ENOENT);
        rig.watches.reconfigure(&[watch("/s/a", 0, rec, auto_add), watch("/t", 1, true, true)], Mask::CLOSE_WRITE);
        rig.scan(|path| if path == "/s/a" { &["b/"] } else { &[] });
        assert_ne!(rig.wd("/s/a/b"), Wd(-7), "rec {rec}");
    }
}

/// In a watch that only wants what appears, only a second look after it tells what has appeared.
#[test]
fn an_overflow_while_another_configuration_begins_hides_nothing() {
    let mut rig = Rig::new(&[watch("/s", 0, false, true)], &[]);
    rig.watches.reconfigure(&[watch("/s", 0, false, true), watch("/t", 1, true, true)], Mask::CLOSE_WRITE);
    rig.overflow();
    rig.scan(|path| if path == "/s" { &["new/"] } else { &[] });
    assert!(rig.watches.has_work());
    rig.scan(|path| if path == "/s" { &["new/"] } else { &[] });
    assert_ne!(rig.wd("/s/new"), Wd(-7));
}

#[test]
fn what_is_in_the_tree_for_a_task_alone_is_not_watched_after_an_overflow() {
    let mut rig = Rig::new(&[watch("/s", 0, false, false)], &[]);
    rig.watches.tree_mut().way_to(b"/s/x");
    rig.overflow();
    rig.scan(|path| if path == "/s" { &["x/"] } else { &[] });
    assert_eq!(rig.wd("/s/x"), Wd(-7));
    assert!(rig.node("/s/x").is_some(), "nor is it lost");
}

/// And one that is wanted is as good as unknown.
#[test]
fn what_was_in_the_tree_for_a_task_alone_is_new_when_it_is_met() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[]);
    rig.watches.tree_mut().way_to(b"/s/x");
    rig.overflow();
    rig.scan(|path| if path == "/s" { &["x/"] } else { &[] });
    assert_ne!(rig.wd("/s/x"), Wd(-7));
    let node = rig.node("/s/x").unwrap();
    assert_eq!(rig.watches.maps_at(node, b"f", false), [0]);
}

#[test]
fn a_deleted_directory_whose_last_record_is_lost_goes_all_the_same() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/"])]);
    let wd = rig.wd("/s/a");
    rig.in_dir("/s", Mask::DELETE.with(Mask::ISDIR), "a");
    let nodes = rig.watches.tree().len();
    rig.overflow();
    rig.scan(|_| &[]);
    assert_eq!(rig.unwatched(), [wd]);
    assert_eq!(rig.watches.tree().len(), nodes - 1);
}

/// It cannot be waited for: that has been lost.
#[test]
fn who_has_lost_its_second_half_may_be_met_at_a_configured_path() {
    let watches = [watch("/s", 0, true, true), watch("/s/a", 1, true, true)];
    let mut rig = Rig::new(&watches, &[("/s", &["a/", "c/"])]);
    let (from, wd) = (rig.wd("/s"), rig.wd("/s/c"));
    rig.record(from, Mask::MOVED_FROM.with(Mask::ISDIR), 5, "c");
    rig.overflow();
    let a = rig.node("/s/a").unwrap();
    assert_eq!(rig.watches.watched(a, wd, Scan::Recent, true), None);
    assert_eq!(rig.watches.watched(a, wd, Scan::Recent, true), Some(a), "met twice, that is certain");
}

/// It is served by its parent by then, and was served for its parent's sake as well.
#[test]
fn what_is_lost_at_a_configured_path_concerns_all_whom_it_concerned() {
    let watches = [watch("/s", 0, true, true), watch("/s/a", 1, false, false)];
    let mut rig = Rig::new(&watches, &[("/s", &["a/"])]);
    let node = rig.node("/s/a").unwrap();
    rig.watches.failed(node, Scan::Watch, Errno::ENOENT, node, true);
    assert!(matches!(rig.watches.next_aftermath(), Some(Aftermath::Lost(lost, _)) if lost == node));
    let mut maps = rig.watches.maps_at(node, b"f", false);
    maps.sort_unstable();
    assert_eq!(maps, [0, 1]);
}

#[test]
fn a_directory_met_where_nobody_wants_it_is_unwatched() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true), watch("/t", 1, true, false)], &[("/s", &["a/"])]);
    let (s, t, wd) = (rig.wd("/s"), rig.node("/t").unwrap(), rig.wd("/s/a"));
    rig.record(s, Mask::MOVED_FROM.with(Mask::ISDIR), 5, "a");
    rig.watches.directory_found(t, b"x", Scan::First);
    let x = rig.node("/t/x").unwrap();
    rig.watches.watched(x, wd, Scan::First, true);
    rig.let_go();
    rig.give_up();
    assert_eq!(rig.unwatched(), [wd]);
    assert_eq!(rig.watches.tree().by_wd(wd).count(), 0);
}

#[test]
fn a_file_is_told_to_a_new_watch() {
    let mut rig = Rig::new(&[watch("/s", 0, false, false)], &[]);
    rig.recent = false;
    let file = Watch { existing: true, ..watch("/s/f", 1, false, false) };
    rig.watches.reconfigure(&[watch("/s", 0, false, false), file], Mask::CLOSE_WRITE);
    let f = rig.node("/s/f").unwrap();
    rig.watches.failed(f, Scan::Return, Errno::ENOTDIR, f, true);
    rig.watches.tree_mut().set_scan(f, Scan::None);
    let seen = rig.scan(|path| if path == "/s" { &["f", "g"] } else { &[] });
    assert_eq!(seen, [new_names(Mask::CREATE, "/s/f", 1), new_names(Mask::CLOSE_WRITE, "/s/f", 1)]);
}

#[test]
fn a_path_that_is_waited_for_already_may_be_a_new_watchs_too() {
    let mut rig = Rig::unscanned(&[watch("/s/a", 0, true, true)]);
    rig.scan_but("/s/a", Errno::ENOENT);
    let other = Watch { name: "other".to_owned(), ..watch("/s/a", 1, true, true) };
    rig.watches.reconfigure(&[watch("/s/a", 0, true, true), other], Mask::CLOSE_WRITE);
    rig.scan_but("/s/a", Errno::ENOENT);
    let seen = rig.in_dir("/s", Mask::CREATE, "a");
    assert_eq!(seen, [(Mask::CREATE, "/s/a".to_owned(), vec![0, 1])]);
}

/// A listing for a changed watch has met it at its new place before the records of that were read.
#[test]
fn a_directory_that_arrives_where_it_was_met_is_looked_at_for_changed_watches() {
    let before = Watch { exclude: vec![Pattern::new(b"/s/z").unwrap()], ..watch("/s", 0, true, true) };
    let mut rig = Rig::new(&[before], &[("/s", &["a/"])]);
    rig.watches.reconfigure(&[watch("/s", 0, true, true)], Mask::CLOSE_WRITE);
    let (s, a) = (rig.node("/s").unwrap(), rig.node("/s/a").unwrap());
    let wd = rig.wd("/s");
    while rig.watches.next_scan().is_some_and(|(node, _)| node != s) {}
    rig.watches.watched(s, wd, Scan::Return, false);
    let found = Found { name: b"b", kind: Kind::Directory, written_to: false, recent: false };
    rig.watches.entry(s, Scan::Return, found, &mut |_, _| {});
    rig.record(wd, Mask::MOVED_FROM.with(Mask::ISDIR), 5, "a");
    rig.record(wd, Mask::MOVED_TO.with(Mask::ISDIR), 5, "b");
    assert_eq!(rig.node("/s/b"), Some(a));
    assert_eq!(rig.watches.tree().scan(a), Scan::Return);
}

/// It may have changed after the new configuration began and before its directory was watched for that.
#[test]
fn what_changed_just_now_is_told_to_new_watches_only() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[]);
    let two = Watch { name: "two".to_owned(), ..watch("/s", 1, true, true) };
    rig.watches.reconfigure(&[watch("/s", 0, true, true), two], Mask::CLOSE_WRITE);
    let seen = rig.scan(|path| if path == "/s" { &["f"] } else { &[] });
    assert_eq!(seen, [new_names(Mask::CREATE, "/s/f", 1), new_names(Mask::CLOSE_WRITE, "/s/f", 1)]);
}
