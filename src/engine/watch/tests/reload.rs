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
    // No record of it has come, so it has to be missed twice.
    for _ in 0..2 {
        assert_eq!(rig.watches.next_aftermath(), None);
        rig.watches.failed(node, Scan::Watch, Errno::ENOENT, node, true);
    }
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

/// It has come or gone between the first look and the change of what its directory's watch asks for.
#[test]
fn what_is_missing_is_looked_for_again_once_its_directory_is_watched_for_it() {
    for is_wanted_already in [false, true] {
        let mut rig = Rig::new(&[watch("/s/a", 0, true, true)], &[]);
        let s = rig.node("/s").unwrap();
        if is_wanted_already {
            rig.watches.want(s, Scan::Watch);
        }
        let wd = rig.wd("/s/a");
        rig.record(wd, Mask::DELETE_SELF, 0, "");
        rig.record(wd, Mask::IGNORED, 0, "");
        let mut looks = Vec::new();
        while let Some((node, scan)) = rig.watches.next_scan() {
            looks.push((rig.watches.tree().path(node, b""), rig.watches.mask(node).any(Mask::CREATE)));
            if let Some(wd) = rig.watches.tree().wd(node).filter(|_| node == s) {
                rig.watches.watched(node, wd, scan, true);
            } else if node != ROOT {
                rig.watches.failed(node, scan, Errno::ENOENT, node, true);
            }
        }
        let asked = looks.iter().position(|look| *look == (b"/s".to_vec(), true)).unwrap();
        assert!(looks[asked..].iter().any(|(path, _)| path == b"/s/a"), "{looks:?}");
        assert!(rig.watches.missing.iter().all(|missing| missing.told), "and then its user is told");
    }
}

#[test]
fn what_was_met_at_a_path_that_is_gone_is_not_kept_for_it() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true), watch("/t/a", 1, true, true)], &[("/s", &["c/"])]);
    let (a, c) = (rig.node("/t/a").unwrap(), rig.wd("/s/c"));
    assert_eq!(rig.watches.watched(a, c, Scan::Watch, true), None, "it is known elsewhere");
    rig.watches.failed(a, Scan::Watch, Errno::ENOENT, a, true);
    rig.in_dir("/s", Mask::MOVED_FROM.with(Mask::ISDIR), "c");
    rig.give_up();
    assert!(rig.unwatched().contains(&c));
}

/// While it was configured, what its parent said of it did not count.
#[test]
fn a_directory_that_ends_when_it_is_not_configured_any_more_goes() {
    let both = [watch("/s", 0, true, true), watch("/s/a", 1, true, true)];
    let mut rig = Rig::new(&both, &[("/s", &["a/"])]);
    let wd = rig.wd("/s/a");
    rig.in_dir("/s", Mask::DELETE.with(Mask::ISDIR), "a");
    rig.watches.reconfigure(&both[..1], Mask::CLOSE_WRITE);
    rig.scan(|_| &[]);
    rig.record(wd, Mask::DELETE_SELF, 0, "");
    rig.record(wd, Mask::IGNORED, 0, "");
    rig.scan_but("/s/a", Errno::ENOENT);
    assert!(rig.node("/s/a").is_none());
}

/// A configured path was renamed, and has come back: what is below it waits for records that wait for what is below it.
#[test]
fn what_is_kept_back_is_not_waited_for_for_ever() {
    let mut rig = Rig::new(&[watch("/s/a", 0, true, true)], &[]);
    let (a, wd) = (rig.node("/s/a").unwrap(), rig.wd("/s/a"));
    rig.record(wd, Mask::MOVE_SELF, 0, "");
    assert_eq!(rig.record(wd, DIR_CREATED, 0, "x"), []);
    let mut seen = Vec::new();
    rig.watches.all_scanned(&mut note(&mut seen));
    assert_eq!(seen, [], "it has not been looked at");
    rig.watches.directory_found(a, b"x", Scan::Return);
    rig.scan(|_| &[]);
    assert!(rig.watches.is_in_doubt());
    rig.watches.all_scanned(&mut note(&mut seen));
    assert_eq!(seen, [event(DIR_CREATED, "/s/a/x")]);
    rig.watches.try_again();
    rig.scan(|_| &[]);
    assert_ne!(rig.wd("/s/a/x"), Wd(-7));
}

/// Also a directory that another watch did not exclude, and so is known already; and whatever else it is listed for.
#[test]
fn what_is_excluded_no_more_is_new_to_whom_it_was_excluded_for() {
    for also in [Scan::List, Scan::First, Scan::Return, Scan::Recent] {
        let picky = Watch { exclude: vec![Pattern::new(b"/s/a/c").unwrap()], ..watch("/s", 1, true, true) };
        let tree: &[(&str, &[&str])] = &[("/s", &["a/"]), ("/s/a", &["c/"])];
        let mut rig = Rig::new(&[watch("/s", 0, true, true), picky], tree);
        let s = rig.wd("/s");
        rig.record(s, Mask::MOVED_FROM.with(Mask::ISDIR), 5, "a");
        rig.record(s, Mask::MOVED_TO.with(Mask::ISDIR), 5, "b");
        let b = rig.node("/s/b").unwrap();
        rig.watches.want(b, also);
        rig.recent = false;
        assert!(rig.watches.reports_files(b, also), "who has it open matters: {also:?}");
        let seen = rig.scan(|path| match path {
            "/s/b" => &["c/"],
            "/s/b/c" => &["f"],
            _ => &[],
        });
        let told: Vec<&str> = seen.iter().filter(|seen| seen.2.contains(&1)).map(|seen| seen.1.as_str()).collect();
        assert_eq!(told, ["/s/b/c", "/s/b/c/f", "/s/b/c/f"], "{also:?}");
    }
}

/// That it is looked at twice for two reasons says nothing of what is unread.
#[test]
fn a_second_look_before_anything_is_read_is_no_better_than_the_first() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &[])]);
    rig.in_dir("/s", DIR_CREATED, "a");
    for _ in 0..2 {
        let (node, scan) = rig.watches.next_scan().unwrap();
        assert_eq!(rig.watches.watched(node, Wd(60), scan, false), None);
        rig.watches.want(node, Scan::Report);
    }
    rig.watches.try_again();
    let (node, scan) = rig.watches.next_scan().unwrap();
    assert_eq!(rig.watches.watched(node, Wd(60), scan, false), Some(node));
}

/// Records of a descriptor that a deleted directory was thought to have, and that is another's, as a look tells.
#[test]
fn what_came_below_a_deleted_directory_goes_with_it() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/"])]);
    let wd = rig.wd("/s/a");
    rig.in_dir("/s", Mask::DELETE.with(Mask::ISDIR), "a");
    rig.record(wd, DIR_CREATED, 0, "x");
    rig.watches.directory_found(rig.node("/s").unwrap(), b"b", Scan::Report);
    let b = rig.node("/s/b").unwrap();
    assert_eq!(rig.watches.watched(b, wd, Scan::Report, true), Some(b));
    rig.let_go();
    assert_eq!(rig.unwatched(), []);
    assert_eq!(rig.watches.tree().len(), 3);
}

/// All in it is new, though the watch is not.
#[test]
fn a_file_that_becomes_a_directory_while_another_configuration_begins_has_come() {
    let watches = [Watch { existing: true, ..watch("/s/f", 0, true, true) }];
    let mut rig = Rig::unscanned(&watches);
    rig.recent = false;
    rig.scan_but("/s/f", Errno::ENOTDIR);
    rig.watches.reconfigure(&watches, Mask::CLOSE_WRITE);
    rig.in_dir("/s", DIR_CREATED, "f");
    let seen = rig.scan(|path| if path == "/s/f" { &["g"] } else { &[] });
    assert_eq!(seen, [event(Mask::CREATE, "/s/f/g"), event(Mask::CLOSE_WRITE, "/s/f/g")]);
}

#[test]
fn a_file_beside_a_path_that_is_missing_is_looked_at_once() {
    let mut rig = Rig::unscanned(&[watch("/s/file", 0, true, true), watch("/s/gone", 1, true, true)]);
    let mut looks = 0;
    while let Some((node, scan)) = rig.watches.next_scan() {
        looks += 1;
        assert!(looks < 20, "it goes on for ever");
        match rig.watches.tree().path(node, b"").as_slice() {
            b"/s/file" => drop(rig.watches.failed(node, scan, Errno::ENOTDIR, node, true)),
            b"/s/gone" => drop(rig.watches.failed(node, scan, Errno::ENOENT, node, true)),
            path => drop(rig.watches.watched(node, Wd(path.len() as i32), scan, true)),
        }
    }
}

/// Its records are kept back until it is known, and are of another path then.
#[test]
fn what_happens_below_a_configured_path_that_was_exchanged_is_not_told_for_it() {
    let tree: &[(&str, &[&str])] = &[("/s/a", &["b/"])];
    let mut rig = Rig::new(&[watch("/s/a", 0, true, true)], tree);
    let (a, wd, b) = (rig.node("/s/a").unwrap(), rig.wd("/s/a"), rig.wd("/s/a/b"));
    rig.record(wd, Mask::MOVE_SELF, 0, "");
    assert_eq!(rig.record(b, Mask::CLOSE_WRITE, 0, "f"), []);
    while rig.watches.next_scan().is_some() {}
    assert_eq!(rig.watches.watched(a, Wd(60), Scan::Watch, true), None);
    rig.watches.try_again();
    assert_eq!(rig.watches.watched(a, Wd(60), Scan::Watch, true), Some(a), "met twice, that is certain");
    let mut seen = Vec::new();
    while rig.watches.next_scan().is_some() {}
    rig.watches.all_scanned(&mut note(&mut seen));
    assert_eq!(seen, []);
}

#[test]
fn what_is_in_the_tree_for_a_task_alone_is_not_watched_with_what_is_new() {
    let picky = Watch { exclude: vec![Pattern::new(b"/s/a/x").unwrap()], ..watch("/s", 0, true, true) };
    let mut rig = Rig::new(&[picky], &[]);
    rig.in_dir("/s", DIR_CREATED, "a");
    rig.watches.tree_mut().way_to(b"/s/a/x");
    rig.scan(|_| &[]);
    assert_eq!(rig.wd("/s/a/x"), Wd(-7));
}

/// What is in it has come, though the watch is not new.
#[test]
fn another_directory_at_a_configured_path_while_another_configuration_begins_has_come() {
    let watches = [Watch { existing: true, ..watch("/s", 0, true, true) }];
    let mut rig = Rig::new(&watches, &[]);
    rig.recent = false;
    rig.watches.reconfigure(&watches, Mask::CLOSE_WRITE);
    let s = rig.node("/s").unwrap();
    assert_eq!(rig.watches.watched(s, Wd(60), Scan::Watch, true), None);
    assert_eq!(rig.watches.watched(s, Wd(60), Scan::Watch, true), Some(s));
    let seen = rig.scan(|path| if path == "/s" { &["f"] } else { &[] });
    assert_eq!(seen, [event(Mask::CREATE, "/s/f"), event(Mask::CLOSE_WRITE, "/s/f")]);
}

/// What is told in them waits for just that.
#[test]
fn configured_paths_do_not_wait_for_what_is_kept_back() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true), watch("/s/a", 1, true, true)], &[]);
    let (s, a) = (rig.wd("/s"), rig.node("/s/a").unwrap());
    rig.record(s, Mask::MOVE_SELF, 0, "");
    assert_eq!(rig.record(s, DIR_CREATED, 0, "q"), []);
    assert_eq!(rig.watches.watched(a, Wd(60), Scan::Watch, true), None);
    assert_eq!(rig.watches.watched(a, Wd(60), Scan::Watch, true), Some(a));
}
