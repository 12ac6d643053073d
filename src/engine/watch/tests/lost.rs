//! Lost events, and what is met before all records have been read.

use super::*;

/// It has come to its path unseen, and is met there before what lies above it is listed: it is new to the watch of that,
/// too.
#[test]
fn a_configured_path_that_has_come_while_events_were_lost_is_new_to_all_watches() {
    let watches = [watch("/s", 0, true, true), watch("/s/a", 1, true, true)];
    let mut rig = Rig::unscanned(&watches);
    rig.scan_but("/s/a", Errno::ENOENT);
    rig.watches.mounted(&[b"/s".to_vec()]);
    rig.record(Wd(-1), Mask::Q_OVERFLOW, 0, "");
    let seen = rig.scan(|path| match path {
        "/s" => &["a/"],
        "/s/a" => &["f"],
        _ => &[],
    });
    let of_both = (Mask::CREATE, "/s/a/f".to_owned(), vec![0, 1]);
    assert!(seen.contains(&of_both), "{seen:?}");
}

/// The engine is told of it late, and it has gone meanwhile.
#[test]
fn what_was_watched_for_a_directory_that_is_lost_since_is_let_go() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[]);
    rig.in_dir("/s", DIR_CREATED, "d");
    let (node, scan) = rig.watches.next_scan().unwrap();
    rig.in_dir("/s", Mask::DELETE.with(Mask::ISDIR), "d");
    assert_eq!(rig.watches.watched(node, Wd(70), scan, false), None);
    rig.let_go();
    assert_eq!(rig.unwatched(), [Wd(70)]);
}

/// What was in it went by records that are lost; its own end is read while they are looked for.
#[test]
fn a_configured_path_that_goes_while_lost_events_are_looked_for_takes_its_tasks_with_it() {
    let watches = [watch("/s", 0, true, true), watch("/s/a", 1, true, true)];
    let mut rig = Rig::new(&watches, &[("/s", &["a/"])]);
    let (s, a, node) = (rig.wd("/s"), rig.wd("/s/a"), rig.node("/s/a").unwrap());
    rig.record(Wd::OVERFLOW, Mask::Q_OVERFLOW, 0, "");
    rig.record(s, Mask::DELETE.with(Mask::ISDIR), 0, "a");
    rig.record(a, Mask::DELETE_SELF, 0, "");
    rig.record(a, Mask::IGNORED, 0, "");
    rig.scan_but("/s/a", Errno::ENOENT);
    assert_eq!(rig.watches.next_aftermath(), Some(Aftermath::Lost(node, Mask::DELETE)));
}

/// The first half of an exchange may be among what was lost.
#[test]
fn a_name_that_is_left_just_after_lost_events_is_in_doubt() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &[])]);
    let (s, node) = (rig.wd("/s"), rig.node("/s").unwrap());
    rig.record(s, Mask::MOVED_FROM, 5, "f");
    assert_eq!(rig.watches.next_name_in_doubt(), None);
    rig.record(Wd::OVERFLOW, Mask::Q_OVERFLOW, 0, "");
    rig.record(s, Mask::MOVED_FROM, 6, "f");
    assert_eq!(rig.watches.next_name_in_doubt(), Some((node, b"f".to_vec())));
}

/// Moved out and in again before it was unwatched: the scan meets the old descriptor, which then stays.
#[test]
fn a_descriptor_that_is_met_again_is_not_unwatched() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/"])]);
    let (s, a) = (rig.wd("/s"), rig.wd("/s/a"));
    rig.record(s, Mask::MOVED_FROM.with(Mask::ISDIR), 5, "a");
    rig.give_up();
    rig.record(s, Mask::MOVED_TO.with(Mask::ISDIR), 6, "a");
    let (node, scan) = rig.watches.next_scan().unwrap();
    rig.watches.watched(node, a, scan, true);
    assert_eq!(rig.unwatched(), []);
    assert_eq!(rig.record(a, Mask::CLOSE_WRITE, 0, "f"), [event(Mask::CLOSE_WRITE, "/s/a/f")]);
}

#[test]
fn an_overflow_reaches_every_watch_with_its_path() {
    let watches = [watch("/s", 0, true, true), watch("/t/u", 1, false, false)];
    let mut rig = Rig::new(&watches, &[]);
    let expected = [event(Mask::Q_OVERFLOW, "/s"), (Mask::Q_OVERFLOW, "/t/u".to_owned(), vec![1])];
    assert_eq!(rig.record(Wd::OVERFLOW, Mask::Q_OVERFLOW, 0, ""), expected);
}

/// The second half is lost: the recovery meets the directory under its new name, and what lies below has come along.
#[test]
fn an_overflow_between_the_halves_of_a_rename_loses_no_directory() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/"]), ("/s/a", &["b/"])]);
    let (root, s, a, b) = (rig.wd("/"), rig.wd("/s"), rig.wd("/s/a"), rig.wd("/s/a/b"));
    rig.record(s, Mask::MOVED_FROM.with(Mask::ISDIR), 5, "a");
    rig.record(Wd::OVERFLOW, Mask::Q_OVERFLOW, 0, "");
    while let Some((node, scan)) = rig.watches.next_scan() {
        let path = String::from_utf8(rig.watches.tree().path(node, b"")).unwrap();
        let (wd, below): (Wd, &[u8]) = match path.as_str() {
            "/" => (root, b""),
            "/s" => (s, b"z"),
            "/s/z" => (a, b"b"),
            "/s/z/b" => (b, b""),
            other => panic!("{other} is scanned"),
        };
        let node = rig.watches.watched(node, wd, scan, true).unwrap();
        if !below.is_empty() {
            let found = Found { name: below, kind: Kind::Directory, written_to: false, recent: true };
            rig.watches.entry(node, scan, found, &mut |_, _| {});
        }
        rig.let_go();
    }
    assert_eq!(rig.unwatched(), [], "all that was watched is met again");
    assert_eq!(rig.record(b, Mask::CLOSE_WRITE, 0, "f"), [event(Mask::CLOSE_WRITE, "/s/z/b/f")]);
    let told = rig.record(s, Mask::MOVED_TO.with(Mask::ISDIR), 5, "y");
    assert_eq!(told, [event(Mask::MOVED_TO.with(Mask::ISDIR), "/s/y")], "a half without its other is an arrival");
}

/// It was met, was renamed, and has made room for another that is met in its new place: it may be met once more.
#[test]
fn who_has_made_room_while_lost_events_are_looked_for_is_met_again() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/", "b/"])]);
    let (s, a, b) = (rig.wd("/s"), rig.wd("/s/a"), rig.wd("/s/b"));
    let [a_node, b_node] = ["/s/a", "/s/b"].map(|path| rig.node(path).unwrap());
    rig.record(Wd::OVERFLOW, Mask::Q_OVERFLOW, 0, "");
    assert_eq!(rig.watches.watched(a_node, a, Scan::Recent, true), Some(a_node));
    rig.record(s, Mask::MOVED_FROM.with(Mask::ISDIR), 5, "a");
    rig.record(s, Mask::MOVED_TO.with(Mask::ISDIR), 5, "c");
    for expected in [None, Some(b_node)] {
        assert_eq!(rig.watches.watched(a_node, b, Scan::Watch, true), expected);
    }
    rig.record(s, DIR_CREATED, 0, "b");
    let new = rig.node("/s/b").unwrap();
    assert_eq!(rig.watches.watched(new, a, Scan::Report, true), Some(a_node));
}

/// A first look that the queue may contradict does not count until it is repeated after a read.
#[test]
fn what_is_met_while_records_are_unread_is_provisional() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &[])]);
    rig.in_dir("/s", DIR_CREATED, "a");
    let (node, scan) = rig.watches.next_scan().unwrap();
    assert_eq!(rig.watches.watched(node, Wd(60), scan, false), None);
    assert_eq!(rig.record(Wd(60), Mask::CLOSE_WRITE, 0, "f"), [], "its records are dropped, for a listing follows");
    assert_eq!(rig.watches.next_scan(), None, "not before more has been read");
    rig.watches.try_again();
    let (node, scan) = rig.watches.next_scan().unwrap();
    assert_eq!(rig.watches.watched(node, Wd(60), scan, false), Some(node));
    assert_eq!(rig.record(Wd(60), Mask::CLOSE_WRITE, 0, "f"), [event(Mask::CLOSE_WRITE, "/s/a/f")]);
}

/// Events are lost before all has been scanned for the first time: what is there already is told all the same to whoever wants
/// to know it, and nobody takes it for new.
#[test]
fn an_overflow_during_the_first_scan_hides_nothing_and_makes_nothing_new() {
    let listing = |path: &str| match path {
        "/s" => &["old", "sub/"][..],
        "/s/sub" => &["f"],
        _ => &[],
    };
    for before_all in [true, false] {
        let wants = Watch { existing: true, ..watch("/s", 0, true, false) };
        let mut rig = Rig::unscanned(&[wants, watch("/s", 1, true, true), watch("/s", 2, false, true)]);
        rig.recent = false;
        let mut seen = Seen::new();
        if !before_all {
            // Some of it has been scanned: the root, but not what is in it.
            while let Some((node, scan)) = rig.watches.next_scan() {
                let wd = Wd(rig.next_wd);
                rig.next_wd += 1;
                rig.watches.watched(node, wd, scan, true);
                if rig.watches.tree().path(node, b"") == b"/s" {
                    let found = Found { name: b"sub", kind: Kind::Directory, written_to: false, recent: false };
                    rig.watches.entry(node, scan, found, &mut note(&mut seen));
                    break;
                }
            }
        }
        seen.extend(rig.record(Wd::OVERFLOW, Mask::Q_OVERFLOW, 0, ""));
        seen.extend(rig.scan(listing));
        let told =
            |map: MapId| seen.iter().filter(move |(mask, _, maps)| !mask.any(Mask::Q_OVERFLOW) && maps.contains(&map));
        let paths: std::collections::BTreeSet<&str> = told(0).map(|(_, path, _)| path.as_str()).collect();
        assert!(paths.contains("/s/old") && paths.contains("/s/sub/f"), "{paths:?}");
        assert_eq!(told(1).chain(told(2)).count(), 0, "{seen:?}");
        let sub = rig.node("/s/sub").unwrap();
        assert_eq!(rig.watches.set_of(sub).maps, [0, 1], "without rec, what was there before does not count");
    }
}

/// The first scan is not over, and a directory's place is not certain: what happens in it then is told, by a listing.
#[test]
fn what_happens_during_the_first_scan_is_told() {
    for rec in [false, true] {
        let mut rig = Rig::unscanned(&[watch("/s", 0, rec, false)]);
        let (node, scan) = loop {
            let (node, scan) = rig.watches.next_scan().unwrap();
            if rig.node("/s") == Some(node) {
                break (node, scan);
            }
            rig.watches.watched(node, Wd(rig.next_wd), scan, true);
            rig.next_wd += 1;
        };
        assert_eq!(rig.watches.watched(node, Wd(60), scan, false), None);
        assert_eq!(rig.record(Wd(60), Mask::CLOSE_WRITE, 0, "f"), []);
        rig.watches.try_again();
        let told = [event(Mask::CREATE, "/s/f"), event(Mask::CLOSE_WRITE, "/s/f")];
        assert_eq!(rig.scan(|path| if path == "/s" { &["f"] } else { &[] }), told, "rec: {rec}");
        assert_eq!(rig.scan(|_| &["f"]), []);
    }
}
