//! Renames: within the tree, out of it, into it and onto each other.

use super::*;

#[test]
fn a_directory_that_moves_out_is_unwatched_with_all_below_and_has_no_path() {
    let tree: &[(&str, &[&str])] = &[("/s", &["a/"]), ("/s/a", &["b/"])];
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], tree);
    let (a, b) = (rig.wd("/s/a"), rig.wd("/s/a/b"));
    let from = Mask::MOVED_FROM.with(Mask::ISDIR);
    assert_eq!(rig.in_dir("/s", from, "a"), [], "it waits for its second half");
    assert_eq!(rig.record(b, Mask::CLOSE_WRITE, 0, "f"), [], "and what comes from below waits with it");
    assert_eq!(rig.watches.deadline(), None);
    rig.watches.queue_is_empty(Tick(100));
    assert_eq!(rig.watches.deadline(), Some(Tick(121)));
    assert_eq!(rig.give_up(), [event(from, "/s/a")]);
    assert_eq!(rig.record(b, Mask::CLOSE_WRITE, 0, "f"), [], "its path is not known");
    let mut gone = rig.unwatched();
    gone.sort();
    assert_eq!(gone, [a, b]);
    assert_eq!(rig.record(a, Mask::IGNORED, 0, ""), [], "we removed it ourselves");
    assert_eq!(rig.record(b, Mask::IGNORED, 0, ""), []);
    assert_eq!(rig.watches.tree().len(), 2);
}

/// A rename within the tree is one change: descriptors stay, and nothing is scanned.
#[test]
fn a_directory_renamed_within_the_tree_keeps_its_watches() {
    let tree: &[(&str, &[&str])] = &[("/s", &["a/", "c/"]), ("/s/a", &["b/"])];
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], tree);
    let (s, a, b, c) = (rig.wd("/s"), rig.wd("/s/a"), rig.wd("/s/a/b"), rig.wd("/s/c"));
    let (from, to) = (Mask::MOVED_FROM.with(Mask::ISDIR), Mask::MOVED_TO.with(Mask::ISDIR));
    rig.record(s, from, 5, "a");
    assert_eq!(rig.record(b, Mask::CLOSE_WRITE, 0, "early"), [], "its new path is not known yet");
    let seen = rig.record(c, to, 5, "z");
    assert_eq!(seen, [event(from, "/s/a"), event(to, "/s/c/z"), event(Mask::CLOSE_WRITE, "/s/c/z/b/early")]);
    assert_eq!((rig.give_up(), rig.watches.deadline()), (vec![], None));
    assert_eq!(rig.watches.next_scan(), Some((rig.node("/s/c/z").unwrap(), Scan::Watch)), "it is verified");
    assert_eq!((rig.watches.next_scan(), rig.unwatched()), (None, vec![]));
    assert_eq!(rig.record(a, Mask::MOVE_SELF, 0, ""), [event(Mask::MOVE_SELF, "/s/c/z")]);
    assert_eq!(rig.record(b, Mask::CLOSE_WRITE, 0, "f"), [event(Mask::CLOSE_WRITE, "/s/c/z/b/f")]);
}

/// _[tried]_: the records are FROM a, TO b, FROM b, TO a; both subtrees stay, each under the other's name.
#[test]
fn an_exchange_keeps_both_subtrees() {
    let tree: &[(&str, &[&str])] = &[("/s", &["a/", "b/"]), ("/s/a", &["x/"]), ("/s/b", &["y/"])];
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], tree);
    let (s, x, y) = (rig.wd("/s"), rig.wd("/s/a/x"), rig.wd("/s/b/y"));
    let (a, b) = (rig.wd("/s/a"), rig.wd("/s/b"));
    let (from, to) = (Mask::MOVED_FROM.with(Mask::ISDIR), Mask::MOVED_TO.with(Mask::ISDIR));
    let mut seen = Seen::new();
    for (mask, cookie, name) in [(from, 5, "a"), (to, 5, "b"), (from, 6, "b"), (to, 6, "a")] {
        seen.extend(rig.record(s, mask, cookie, name));
        if mask == to {
            rig.record(if cookie == 5 { a } else { b }, Mask::MOVE_SELF, 0, "");
        }
    }
    assert_eq!(seen, [event(from, "/s/a"), event(to, "/s/b"), event(from, "/s/b"), event(to, "/s/a")]);
    assert_eq!((rig.give_up(), rig.scan(|_| &[]), rig.unwatched()), (vec![], vec![], vec![]));
    assert_eq!(rig.record(x, Mask::CLOSE_WRITE, 0, "f"), [event(Mask::CLOSE_WRITE, "/s/b/x/f")]);
    assert_eq!(rig.record(y, Mask::CLOSE_WRITE, 0, "f"), [event(Mask::CLOSE_WRITE, "/s/a/y/f")]);
    assert_eq!(rig.watches.tree().len(), 6);
}

/// A directory is renamed onto another that nobody watches yet, and back: the halves are those of an exchange, but it is
/// itself that says twice that it was renamed.
#[test]
fn a_directory_that_was_renamed_onto_another_goes_back() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/"])]);
    let (s, a) = (rig.wd("/s"), rig.wd("/s/a"));
    rig.record(s, DIR_CREATED, 0, "b");
    for (cookie, old, new) in [(5, "a", "b"), (6, "b", "a")] {
        rig.record(s, Mask::MOVED_FROM.with(Mask::ISDIR), cookie, old);
        rig.record(s, Mask::MOVED_TO.with(Mask::ISDIR), cookie, new);
        rig.record(a, Mask::MOVE_SELF, 0, "");
    }
    assert_eq!(rig.record(a, Mask::CLOSE_WRITE, 0, "f"), [event(Mask::CLOSE_WRITE, "/s/a/f")]);
    assert!(rig.node("/s/b").is_none());
}

/// Half of an exchange that nobody watched then says nothing of it itself. The other half leaves with the directory that
/// it has come to, and goes on from there: that it was renamed once more is not said of the exchange.
#[test]
fn what_becomes_of_one_half_of_an_exchange_later_is_not_the_others_end() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/", "d/"])]);
    let (s, a, d) = (rig.wd("/s"), rig.wd("/s/a"), rig.wd("/s/d"));
    let (from, to) = (Mask::MOVED_FROM.with(Mask::ISDIR), Mask::MOVED_TO.with(Mask::ISDIR));
    rig.record(d, DIR_CREATED, 0, "x");
    for (wd, mask, cookie, name) in
        [(s, from, 5, "a"), (d, to, 5, "x"), (a, Mask::MOVE_SELF, 0, ""), (d, from, 6, "x"), (s, to, 6, "a")]
    {
        rig.record(wd, mask, cookie, name);
    }
    rig.scan(|_| &[]);
    let other = rig.wd("/s/a");
    assert_eq!((rig.wd("/s/d/x"), rig.unwatched()), (a, vec![]));
    rig.record(s, from, 50, "d");
    rig.record(d, from, 51, "x");
    rig.record(a, Mask::MOVE_SELF, 0, "");
    rig.give_up();
    assert_eq!((rig.wd("/s/a"), rig.unwatched()), (other, vec![a, d]));
    assert_eq!(rig.record(other, Mask::CLOSE_WRITE, 0, "f"), [event(Mask::CLOSE_WRITE, "/s/a/f")]);
}

/// The directory that it has left is deleted before the second half is read.
#[test]
fn a_lost_directory_goes_with_the_last_that_leaves_it() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/"]), ("/s/a", &["b/"])]);
    let (s, a) = (rig.wd("/s"), rig.wd("/s/a"));
    rig.record(a, Mask::MOVED_FROM.with(Mask::ISDIR), 5, "b");
    rig.record(s, Mask::DELETE.with(Mask::ISDIR), 0, "a");
    rig.record(a, Mask::IGNORED, 0, "");
    rig.record(s, Mask::MOVED_TO.with(Mask::ISDIR), 5, "b");
    assert_eq!((rig.unwatched(), rig.watches.tree().len()), (vec![], 3));
}

/// A directory is exchanged with one in another directory, which is listed between the two halves: what was met there is
/// not what leaves it with the second half.
#[test]
fn an_exchange_of_which_half_is_not_read_may_have_left_something_at_the_name() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/"])]);
    let (s, d) = (rig.wd("/s"), Wd(70));
    let (from, to) = (Mask::MOVED_FROM.with(Mask::ISDIR), Mask::MOVED_TO.with(Mask::ISDIR));
    rig.record(s, DIR_CREATED, 0, "d");
    let (node, scan) = rig.watches.next_scan().unwrap();
    assert_eq!(rig.watches.watched(node, d, scan, false), None);
    rig.record(s, from, 5, "a");
    assert_eq!(rig.record(d, to, 5, "x"), [], "a listing is to come");
    rig.watches.try_again();
    rig.watches.next_scan();
    assert_eq!(rig.watches.watched(node, d, scan, false), Some(node));
    let found = Found { name: b"x", kind: Kind::Directory, written_to: false, recent: true };
    rig.watches.entry(node, scan, found, &mut |_, _| {});
    rig.record(d, from, 6, "x");
    rig.record(s, to, 6, "a");
    assert_eq!(rig.watches.next_name_in_doubt(), Some((node, b"x".to_vec())));
}

/// It leaves and comes back, and meanwhile another half of an exchange, that it was not, has gone into it: that it was renamed
/// says nothing of that one.
#[test]
fn who_has_come_to_a_name_since_was_not_exchanged_with_what_was_there() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["c/"]), ("/s/c", &["c/"])]);
    let (s, c, node) = (rig.wd("/s"), rig.wd("/s/c"), rig.node("/s/c").unwrap());
    let (from, to) = (Mask::MOVED_FROM.with(Mask::ISDIR), Mask::MOVED_TO.with(Mask::ISDIR));
    rig.record(s, from, 1, "c");
    rig.record(s, to, 2, "c");
    // The directory that has come is exchanged with the one in the first.
    for (wd, mask, cookie) in [(c, from, 3), (s, to, 3), (s, from, 4), (c, to, 4)] {
        rig.record(wd, mask, cookie, "c");
    }
    // The first is exchanged with what is there now, and is met.
    rig.record(s, to, 5, "c");
    rig.record(c, Mask::MOVE_SELF, 0, "");
    rig.record(s, from, 6, "c");
    let (place, scan) = rig.watches.next_scan().unwrap();
    assert_eq!(rig.watches.watched(place, c, scan, true), Some(node));
    rig.watches.catch_up(&mut |_, _| {});
    rig.let_go();
    assert_eq!((rig.node("/s/c"), rig.wd("/s/c")), (Some(node), c));
}

/// A directory is renamed onto another, and many renames later it leaves: that is not the other half of an exchange.
#[test]
fn a_rename_long_after_another_onto_its_place_is_no_exchange() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/"])]);
    let (s, a) = (rig.wd("/s"), rig.wd("/s/a"));
    rig.record(s, DIR_CREATED, 0, "b");
    rig.record(s, Mask::MOVED_FROM.with(Mask::ISDIR), 5, "a");
    rig.record(s, Mask::MOVED_TO.with(Mask::ISDIR), 5, "b");
    rig.record(s, Mask::MOVED_FROM.with(Mask::ISDIR), 50, "b");
    rig.give_up();
    assert_eq!((rig.unwatched(), rig.node("/s/b")), (vec![a], None));
}

/// It is on its way, and the directory that it has left is deleted; a scan meets it. What is kept back of it is older
/// than its listing there.
#[test]
fn what_was_kept_back_is_not_told_after_a_listing() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/"]), ("/s/a", &["b/"])]);
    let (s, a, b) = (rig.wd("/s"), rig.wd("/s/a"), rig.wd("/s/a/b"));
    let from = Mask::MOVED_FROM.with(Mask::ISDIR);
    rig.record(a, from, 5, "b");
    rig.record(b, Mask::MOVED_FROM, 6, "f");
    rig.record(b, Mask::MOVED_TO, 7, "f");
    rig.record(s, Mask::DELETE.with(Mask::ISDIR), 0, "a");
    rig.record(s, DIR_CREATED, 0, "b");
    let (node, scan) = rig.watches.next_scan().unwrap();
    assert_eq!((rig.watches.watched(node, b, scan, true), scan), (Some(node), Scan::Report));
    assert_eq!(rig.give_up(), [event(from, "/s/a/b")]);
    assert_eq!(rig.record(b, Mask::DELETE, 0, "f"), [event(Mask::DELETE, "/s/b/f")]);
}

/// A name that is to be looked at is looked at where its directory has gone to.
#[test]
fn a_name_in_doubt_goes_with_its_directory() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/"])]);
    let (s, a) = (rig.wd("/s"), rig.node("/s/a").unwrap());
    rig.in_dir("/s/a", Mask::MOVED_TO, "f");
    rig.record(rig.wd("/s/a"), Mask::MOVED_FROM, 1, "f");
    rig.record(s, Mask::MOVED_FROM.with(Mask::ISDIR), 5, "a");
    assert_eq!(rig.watches.next_name_in_doubt(), None, "it has no path");
    rig.record(s, Mask::MOVED_TO.with(Mask::ISDIR), 5, "z");
    rig.watches.try_again();
    assert_eq!(rig.watches.next_name_in_doubt(), Some((a, b"f".to_vec())));
}

/// The kernel does not compare cookies: what came to a name long ago may have come there once more, if nothing was told
/// in between.
#[test]
fn a_name_that_is_left_may_have_been_come_to_again() {
    for (between, in_doubt) in [(None, true), (Some("g"), false)] {
        let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &[])]);
        let (s, node) = (rig.wd("/s"), rig.node("/s").unwrap());
        rig.record(s, Mask::MOVED_TO, 5, "f");
        between.into_iter().for_each(|name| drop(rig.record(s, Mask::MOVED_TO, 6, name)));
        rig.record(s, Mask::MOVED_FROM, 50, "f");
        let expected = in_doubt.then(|| (node, b"f".to_vec()));
        assert_eq!(rig.watches.next_name_in_doubt(), expected);
    }
}

/// rename(2) over an empty directory: the one that stood there says itself that it is gone.
#[test]
fn a_directory_that_is_renamed_onto_is_gone() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/", "b/"])]);
    let (s, a, b) = (rig.wd("/s"), rig.wd("/s/a"), rig.wd("/s/b"));
    rig.record(s, Mask::MOVED_FROM.with(Mask::ISDIR), 5, "a");
    rig.record(s, Mask::MOVED_TO.with(Mask::ISDIR), 5, "b");
    assert_eq!(rig.record(b, Mask::DELETE_SELF, 0, ""), [event(Mask::DELETE_SELF, "/s/b")]);
    assert_eq!(rig.record(b, Mask::IGNORED, 0, ""), [event(Mask::IGNORED, "/s/b")]);
    // The new one can be renamed again, and is not taken for the old one.
    rig.record(s, Mask::MOVED_FROM.with(Mask::ISDIR), 6, "b");
    rig.record(s, Mask::MOVED_TO.with(Mask::ISDIR), 6, "c");
    assert_eq!(rig.record(a, Mask::CLOSE_WRITE, 0, "f"), [event(Mask::CLOSE_WRITE, "/s/c/f")]);
    assert_eq!((rig.give_up(), rig.watches.tree().len()), (vec![], 3));
}

/// A name that was moved out is made anew before the 20 ms are over: the new directory is another.
#[test]
fn a_name_is_free_while_its_directory_is_on_its_way() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/"])]);
    let (s, a) = (rig.wd("/s"), rig.wd("/s/a"));
    let from = Mask::MOVED_FROM.with(Mask::ISDIR);
    rig.record(s, from, 5, "a");
    let both = [event(from, "/s/a"), event(DIR_CREATED, "/s/a")];
    assert_eq!(rig.record(s, DIR_CREATED, 0, "a"), both, "the name is free before it is taken");
    rig.scan(|_| &[]);
    assert_eq!(rig.in_dir("/s/a", Mask::CLOSE_WRITE, "f"), [event(Mask::CLOSE_WRITE, "/s/a/f")]);
    assert_eq!(rig.give_up(), [], "it is told once");
    assert_eq!(rig.unwatched(), [a]);
    assert_eq!(rig.in_dir("/s/a", Mask::CLOSE_WRITE, "f"), [event(Mask::CLOSE_WRITE, "/s/a/f")]);
}

/// From one watch to another: the subtree changes hands without a new watch, and its new owner is told what is there.
#[test]
fn a_directory_renamed_into_another_watch_is_that_ones_from_now_on() {
    let tree: &[(&str, &[&str])] = &[("/s", &["a/"]), ("/s/a", &["b/"])];
    let mut rig = Rig::new(&[watch("/s", 0, true, true), watch("/t", 1, true, true)], tree);
    let (s, t, b) = (rig.wd("/s"), rig.wd("/t"), rig.wd("/s/a/b"));
    rig.record(s, Mask::MOVED_FROM.with(Mask::ISDIR), 5, "a");
    rig.record(t, Mask::MOVED_TO.with(Mask::ISDIR), 5, "a");
    assert_eq!(rig.record(b, Mask::CLOSE_WRITE, 0, "f"), [(Mask::CLOSE_WRITE, "/t/a/b/f".to_owned(), vec![1])]);
    let (node, scan) = rig.watches.next_scan().unwrap();
    assert_eq!((Some(node), scan), (rig.node("/t/a"), Scan::Report));
    assert_eq!(rig.unwatched(), []);
}

/// Its second half has another cookie: it went out, and what arrived is new.
#[test]
fn a_rename_whose_second_half_never_comes_is_a_loss() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/"])]);
    let (s, a) = (rig.wd("/s"), rig.wd("/s/a"));
    rig.record(s, Mask::MOVED_FROM.with(Mask::ISDIR), 5, "a");
    rig.record(s, Mask::MOVED_TO.with(Mask::ISDIR), 6, "z");
    rig.give_up();
    assert_eq!(rig.unwatched(), [a]);
    assert_eq!(rig.scan(|_| &["f"]), [event(Mask::CREATE, "/s/z/f"), event(Mask::CLOSE_WRITE, "/s/z/f")]);
}

#[test]
fn a_rename_carries_its_source() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/"])]);
    let source = |rig: &mut Rig, wd, cookie| {
        let mut source = None;
        let record = Record { wd, mask: Mask::MOVED_TO, cookie, name: b"new" };
        rig.watches.record(&record, &mut |_, event| source = event.source.map(<[u8]>::to_vec));
        source
    };
    let (s, a) = (rig.wd("/s"), rig.wd("/s/a"));
    rig.record(s, Mask::MOVED_FROM, 5, "old");
    assert_eq!(source(&mut rig, a, 5).as_deref(), Some(&b"/s/old"[..]));
    assert_eq!(source(&mut rig, a, 5), None, "it is used once");
    rig.record(s, Mask::MOVED_FROM, 6, "old");
    assert_eq!(source(&mut rig, a, 7), None, "a cookie that does not match");
}

/// A directory that no watch wants is renamed: its second half has its source too, and first halves do not pile up.
#[test]
fn a_rename_of_a_directory_that_is_not_watched_carries_its_source() {
    let mut rig = Rig::new(&[watch("/s", 0, false, false)], &[]);
    let s = rig.wd("/s");
    for cookie in 1..100 {
        rig.record(s, Mask::MOVED_FROM.with(Mask::ISDIR), cookie, "old");
        let mut source = None;
        if cookie % 2 == 0 {
            let record = Record { wd: s, mask: Mask::MOVED_TO.with(Mask::ISDIR), cookie, name: b"new" };
            rig.watches.record(&record, &mut |_, event| source = event.source.map(<[u8]>::to_vec));
            assert_eq!(source.as_deref(), Some(&b"/s/old"[..]));
        }
    }
    assert!(rig.watches.first_halves() <= 16);
}

/// A directory's listing and the record of its arrival both make it known: it is one directory, and told of once.
#[test]
fn a_directory_that_moves_into_a_new_one_while_that_is_listed_is_known_once() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["x/"]), ("/s/x", &["sub/"])]);
    let (s, x, sub) = (rig.wd("/s"), rig.wd("/s/x"), rig.wd("/s/x/sub"));
    rig.in_dir("/s", DIR_CREATED, "new");
    // The scan of /s/new finds x, which was renamed meanwhile; its watch is the one that x has.
    let (new, scan) = rig.watches.next_scan().unwrap();
    rig.watches.watched(new, Wd(50), scan, true);
    let found = Found { name: b"x", kind: Kind::Directory, written_to: false, recent: false };
    rig.watches.entry(new, scan, found, &mut |_, _| {});
    let (node, scan) = rig.watches.next_scan().unwrap();
    assert_eq!(rig.watches.watched(node, x, scan, false), None, "the records of the rename are not read");
    rig.record(s, Mask::MOVED_FROM.with(Mask::ISDIR), 5, "x");
    rig.record(Wd(50), Mask::MOVED_TO.with(Mask::ISDIR), 5, "x");
    rig.watches.try_again();
    assert_eq!(rig.scan(|_| &[]), []);
    assert_eq!(rig.record(x, Mask::CLOSE_WRITE, 0, "f"), [event(Mask::CLOSE_WRITE, "/s/new/x/f")]);
    assert_eq!(rig.record(sub, Mask::CLOSE_WRITE, 0, "f"), [event(Mask::CLOSE_WRITE, "/s/new/x/sub/f")]);
    assert_eq!(rig.unwatched(), [], "what is met again stays watched");
}

/// One directory is renamed onto an empty one, and is exchanged at once with one that comes from outside: the first half
/// that follows means it, and not the one that was overwritten.
#[test]
fn what_was_overwritten_before_is_not_what_is_exchanged() {
    let tree: &[(&str, &[&str])] = &[("/s", &["a/", "b/"])];
    let mut rig = Rig::new(&[watch("/s", 0, true, true), watch("/t", 0, true, true)], tree);
    let (s, t, a) = (rig.wd("/s"), rig.wd("/t"), rig.wd("/s/a"));
    let (from, to) = (Mask::MOVED_FROM.with(Mask::ISDIR), Mask::MOVED_TO.with(Mask::ISDIR));
    rig.record(s, from, 1, "a");
    rig.record(s, to, 1, "b");
    rig.record(s, to, 2, "b");
    rig.record(s, from, 3, "b");
    rig.record(t, to, 3, "x");
    assert_eq!(rig.record(a, Mask::CLOSE_WRITE, 0, "f"), [event(Mask::CLOSE_WRITE, "/t/x/f")]);
}
