//! Records and listings as no kernel needs to send them, against the tree and the events that come out.

mod reload;

use super::*;
use crate::sys::clock::Tick;
use crate::sys::inotify::Record;

/// Watches with one map each, answered as a disk would.
struct Rig {
    watches: Watches,
    next_wd: i32,
    /// Whether what is found has changed just now.
    recent: bool,
}

fn watch(path: &str, map: MapId, rec: bool, auto_add: bool) -> Watch {
    let paths = vec![path.as_bytes().into()];
    Watch { name: path.to_owned(), paths, map, rec, auto_add, existing: false, exclude: Vec::new() }
}

type Seen = Vec<(Mask, String, Vec<MapId>)>;

impl Rig {
    /// Every root is a directory; `tree` lists the directories below that are there at the start.
    fn new(watches: &[Watch], tree: &[(&str, &[&str])]) -> Rig {
        let mut rig = Rig::unscanned(watches);
        let seen = rig.scan(|path| tree.iter().find(|(dir, _)| *dir == path).map_or(&[][..], |(_, names)| names));
        assert_eq!(seen, [], "nothing is reported at the start");
        rig
    }

    fn unscanned(watches: &[Watch]) -> Rig {
        Rig { watches: Watches::new(watches, Mask::CLOSE_WRITE, 7), next_wd: 1, recent: true }
    }

    /// Performs all scans; names that end with `/` are directories.
    fn scan<'t>(&mut self, listing: impl Fn(&str) -> &'t [&'t str]) -> Seen {
        let mut seen = Vec::new();
        while let Some((node, scan)) = self.watches.next_scan() {
            let path = String::from_utf8(self.watches.tree().path(node, b"")).unwrap();
            let wd = self.watches.tree().wd(node).unwrap_or(Wd(self.next_wd));
            self.next_wd += 1;
            let bound = self.watches.watched(node, wd, scan, true).is_some();
            if bound && scan != Scan::Watch {
                for name in listing(&path) {
                    let kind = if name.ends_with('/') { Kind::Directory } else { Kind::File };
                    let name = name.trim_end_matches('/').as_bytes();
                    let found = Found { name, kind, written_to: false, recent: self.recent };
                    self.watches.entry(node, scan, found, &mut note(&mut seen));
                }
            }
            self.let_go();
        }
        seen
    }

    /// Performs all scans; opening this one path fails.
    fn scan_but(&mut self, failing: &str, errno: Errno) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        while let Some((node, scan)) = self.watches.next_scan() {
            let path = String::from_utf8(self.watches.tree().path(node, b"")).unwrap();
            if path == failing {
                troubles.extend(self.watches.failed(node, scan, errno, node, true));
            } else {
                let wd = self.watches.tree().wd(node).unwrap_or(Wd(self.next_wd));
                self.next_wd += 1;
                self.watches.watched(node, wd, scan, true);
            }
            self.let_go();
        }
        troubles
    }

    fn wd(&self, path: &str) -> Wd {
        self.node(path).and_then(|node| self.watches.tree().wd(node)).unwrap_or(Wd(-7))
    }

    fn node(&self, path: &str) -> Option<NodeId> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        parts.try_fold(ROOT, |node, part| self.watches.tree().child(node, part.as_bytes()))
    }

    fn record(&mut self, wd: Wd, mask: Mask, cookie: u32, name: &str) -> Seen {
        let mut seen = Vec::new();
        let record = Record { wd, mask, cookie, name: name.as_bytes() };
        self.watches.record(&record, &mut note(&mut seen));
        self.let_go();
        seen
    }

    /// No task hangs on the tree: what is lost goes.
    fn let_go(&mut self) {
        while let Some(aftermath) = self.watches.next_aftermath() {
            if let Aftermath::Lost(top, _) = aftermath {
                self.watches.tree_mut().release(top);
            }
        }
        self.watches.tree().check();
    }

    /// The 20 ms are over.
    fn give_up(&mut self) -> Seen {
        let mut seen = Vec::new();
        self.watches.give_up_waiting(&mut note(&mut seen));
        self.let_go();
        seen
    }

    fn in_dir(&mut self, dir: &str, mask: Mask, name: &str) -> Seen {
        self.record(self.wd(dir), mask, 0, name)
    }

    fn unwatched(&mut self) -> Vec<Wd> {
        std::iter::from_fn(|| self.watches.next_unwatch()).collect()
    }
}

fn note(seen: &mut Seen) -> impl FnMut(&mut Tree, &Event<'_>) {
    |tree, event| {
        let path = String::from_utf8_lossy(&tree.path(event.dir, event.name)).into_owned();
        seen.push((event.mask, path, event.maps.to_vec()));
    }
}

fn event(mask: Mask, path: &str) -> (Mask, String, Vec<MapId>) {
    (mask, path.to_owned(), vec![0])
}

const DIR_CREATED: Mask = Mask::CREATE.with(Mask::ISDIR);

#[test]
fn a_recursive_watch_covers_what_is_there() {
    let tree: &[(&str, &[&str])] = &[("/s", &["a/", "f"]), ("/s/a", &["b/"]), ("/s/a/b", &["g"])];
    let mut rig = Rig::new(&[watch("/s", 0, true, false)], tree);
    assert_eq!(rig.watches.watched_directories(), 3);
    assert_eq!(rig.in_dir("/s/a/b", Mask::CLOSE_WRITE, "g"), [event(Mask::CLOSE_WRITE, "/s/a/b/g")]);
    assert_eq!(rig.in_dir("/s/a", DIR_CREATED, "new"), [event(DIR_CREATED, "/s/a/new")]);
    assert_eq!(rig.watches.next_scan(), None, "without auto_add a new directory is not watched");
}

#[test]
fn a_flat_watch_stays_flat() {
    let mut rig = Rig::new(&[watch("/s", 0, false, false)], &[("/s", &["a/"])]);
    assert_eq!(rig.watches.watched_directories(), 1);
    rig.in_dir("/s", DIR_CREATED, "new");
    assert_eq!(rig.watches.next_scan(), None);
}

/// auto_add without rec: what is there is not watched, what appears is, at any depth.
#[test]
fn new_directories_are_watched_and_what_is_in_them_is_reported() {
    let mut rig = Rig::new(&[watch("/s", 0, false, true)], &[("/s", &["old/"])]);
    assert_eq!(rig.in_dir("/s", DIR_CREATED, "new"), [event(DIR_CREATED, "/s/new")]);
    let seen = rig.scan(|path| match path {
        "/s/new" => &["f", "deep/"],
        "/s/new/deep" => &["g"],
        _ => &[],
    });
    // In the kernel's order: where IN_CREATE cancels and IN_CLOSE_WRITE schedules, the file is acted on.
    let expected = [
        event(Mask::CREATE, "/s/new/f"),
        event(Mask::CLOSE_WRITE, "/s/new/f"),
        event(DIR_CREATED, "/s/new/deep"),
        event(Mask::CREATE, "/s/new/deep/g"),
        event(Mask::CLOSE_WRITE, "/s/new/deep/g"),
    ];
    assert_eq!(seen, expected);
    assert_eq!(rig.in_dir("/s/new/deep", Mask::CLOSE_WRITE, "g"), [event(Mask::CLOSE_WRITE, "/s/new/deep/g")]);
    assert!(rig.node("/s/old").is_none());
}

/// The kernel's record and the listing both tell of a directory: it is listed again, and nothing is lost.
#[test]
fn a_directory_that_is_found_twice_is_listed_again() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/"])]);
    let wd = rig.wd("/s/a");
    rig.in_dir("/s", DIR_CREATED, "a");
    let (node, scan) = rig.watches.next_scan().unwrap();
    assert_eq!((Some(node), scan), (rig.node("/s/a"), Scan::Report));
    rig.watches.watched(node, wd, Scan::Report, true);
    rig.watches.tree().check();
    assert_eq!(rig.watches.watched_directories(), 2);
}

/// rmdir and mkdir faster than they are read: the first record's scan meets the second directory.
#[test]
fn a_directory_made_anew_under_its_name_keeps_its_watch() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[]);
    rig.in_dir("/s", DIR_CREATED, "d");
    rig.scan(|_| &[]);
    let wd = rig.wd("/s/d");
    // The watch is on the second d already when the first one's end is read.
    rig.in_dir("/s", Mask::DELETE.with(Mask::ISDIR), "d");
    assert_eq!(rig.unwatched(), [], "it is not unwatched: the descriptor may be the new one's");
    rig.in_dir("/s", DIR_CREATED, "d");
    let (node, scan) = rig.watches.next_scan().unwrap();
    rig.watches.watched(node, wd, scan, true);
    assert_eq!(rig.record(wd, Mask::CLOSE_WRITE, 0, "f"), [event(Mask::CLOSE_WRITE, "/s/d/f")]);
    assert_eq!(rig.watches.tree().len(), 3, "the first one's node is gone");
}

/// IN_IGNORED after the parent's IN_DELETE: what comes in between still has its path.
#[test]
fn a_descriptor_lives_until_it_is_ignored() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["d/"])]);
    let wd = rig.wd("/s/d");
    rig.in_dir("/s", Mask::DELETE.with(Mask::ISDIR), "d");
    assert_eq!(rig.record(wd, Mask::DELETE, 0, "f"), [event(Mask::DELETE, "/s/d/f")]);
    assert_eq!(rig.record(wd, Mask::DELETE_SELF, 0, ""), [event(Mask::DELETE_SELF, "/s/d")]);
    assert_eq!(rig.record(wd, Mask::IGNORED, 0, ""), [event(Mask::IGNORED, "/s/d")]);
    assert_eq!(rig.record(wd, Mask::DELETE, 0, "f"), [], "nobody's any more");
    assert_eq!(rig.watches.tree().len(), 2);
}

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

/// The same, and many renames later it leaves: that is not the other half of an exchange.
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

#[test]
fn overlapping_watches_share_a_descriptor_and_an_event_goes_to_each_map_once() {
    let watches = [watch("/s", 0, true, true), watch("/s/a", 1, false, false), watch("/s/a", 0, false, false)];
    let mut rig = Rig::new(&watches, &[("/s", &["a/"])]);
    assert_eq!(rig.watches.watched_directories(), 2);
    let mut seen = rig.in_dir("/s/a", Mask::CLOSE_WRITE, "f");
    seen[0].2.sort();
    assert_eq!(seen, [(Mask::CLOSE_WRITE, "/s/a/f".to_owned(), vec![0, 1])]);
    assert_eq!(rig.in_dir("/s", Mask::CLOSE_WRITE, "f"), [event(Mask::CLOSE_WRITE, "/s/f")]);
}

/// A bind mount shows the same inode, and so the same descriptor, at two paths.
#[test]
fn one_descriptor_can_stand_for_two_paths() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/", "b/"])]);
    let (node, wd) = (rig.node("/s/b").unwrap(), rig.wd("/s/a"));
    for look in [None, Some(node)] {
        assert_eq!(rig.watches.watched(node, wd, Scan::Report, true), look, "it is believed at the second look");
    }
    let mut seen = rig.record(wd, Mask::CLOSE_WRITE, 0, "f");
    seen.sort_by(|a, b| a.1.cmp(&b.1));
    assert_eq!(seen, [event(Mask::CLOSE_WRITE, "/s/a/f"), event(Mask::CLOSE_WRITE, "/s/b/f")]);
}

#[test]
fn excluded_directories_are_not_entered_and_excluded_files_do_not_count() {
    let exclude = vec![Pattern::new(b"^/s/\\.git(/|$)").unwrap(), Pattern::new(b".*\\.tmp$").unwrap()];
    let watches = [Watch { exclude, ..watch("/s", 0, true, true) }, watch("/s/a", 1, false, false)];
    let mut rig = Rig::new(&watches, &[("/s", &[".git/", ".gitignore", "a/"])]);
    assert!(rig.node("/s/.git").is_none());
    assert_eq!(rig.in_dir("/s", Mask::CLOSE_WRITE, "f.tmp"), []);
    assert_eq!(rig.in_dir("/s", Mask::CLOSE_WRITE, ".gitignore"), [event(Mask::CLOSE_WRITE, "/s/.gitignore")]);
    rig.in_dir("/s", DIR_CREATED, "b.tmp");
    assert_eq!(rig.watches.next_scan(), None);
    let other = [(Mask::CLOSE_WRITE, "/s/a/f.tmp".to_owned(), vec![1])];
    assert_eq!(
        rig.in_dir("/s/a", Mask::CLOSE_WRITE, "f.tmp"),
        other,
        "another watch of the same directory has its own"
    );
}

#[test]
fn a_file_is_served_by_its_directory() {
    let mut rig = Rig {
        watches: Watches::new(&[watch("/etc/motd", 0, false, false)], Mask::default(), 1),
        next_wd: 1,
        recent: true,
    };
    rig.scan_but("/etc/motd", Errno::ENOTDIR);
    assert_eq!(rig.in_dir("/etc", Mask::CLOSE_WRITE, "motd"), [event(Mask::CLOSE_WRITE, "/etc/motd")]);
    assert_eq!(rig.in_dir("/etc", Mask::CLOSE_WRITE, "passwd"), []);
    assert_eq!(rig.in_dir("/etc", Mask::DELETE, "motd"), [event(Mask::DELETE.with(Mask::DELETE_SELF), "/etc/motd")]);
    let moved = Mask::MOVED_FROM.with(Mask::MOVE_SELF);
    assert_eq!(rig.in_dir("/etc", Mask::MOVED_FROM, "motd"), [event(moved, "/etc/motd")]);
    assert_eq!(rig.in_dir("/etc", DIR_CREATED, "conf.d"), []);
    assert_eq!(rig.watches.next_scan(), None);
}

/// A directory's IN_ATTRIB comes from its own watch and from its parent's.
#[test]
fn what_is_told_twice_is_reported_once() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/"])]);
    let attrib = Mask::ATTRIB.with(Mask::ISDIR);
    assert_eq!(rig.in_dir("/s", attrib, "a"), [event(attrib, "/s/a")]);
    assert_eq!(rig.in_dir("/s/a", attrib, ""), []);
    assert_eq!(rig.in_dir("/s", attrib, ""), [event(attrib, "/s")], "the root's own is told once");
    assert_eq!(rig.in_dir("/s/a", Mask::DELETE_SELF, ""), [event(Mask::DELETE_SELF, "/s/a")]);
}

#[test]
fn an_overflow_reaches_every_watch_with_its_path() {
    let watches = [watch("/s", 0, true, true), watch("/t/u", 1, false, false)];
    let mut rig = Rig::new(&watches, &[]);
    let expected = [event(Mask::Q_OVERFLOW, "/s"), (Mask::Q_OVERFLOW, "/t/u".to_owned(), vec![1])];
    assert_eq!(rig.record(Wd::OVERFLOW, Mask::Q_OVERFLOW, 0, ""), expected);
}

#[test]
fn the_root_directory_can_be_watched() {
    let mut rig = Rig::new(&[watch("/", 0, false, true)], &[]);
    assert_eq!(rig.in_dir("/", DIR_CREATED, "new"), [event(DIR_CREATED, "/new")]);
    rig.scan(|_| &[]);
    assert_eq!(rig.in_dir("/new", Mask::CLOSE_WRITE, "f"), [event(Mask::CLOSE_WRITE, "/new/f")]);
    assert_eq!(rig.in_dir("/", Mask::ATTRIB, ""), [event(Mask::ATTRIB, "/")]);
}

#[test]
fn unknown_bits_and_unknown_descriptors_do_no_harm() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[]);
    let odd = Mask(0x0080_0000 | Mask::CLOSE_WRITE.0);
    assert_eq!(rig.in_dir("/s", odd, "f"), [event(odd, "/s/f")]);
    assert_eq!(rig.record(Wd(99), Mask::CLOSE_WRITE, 0, "f"), []);
}

/// Random trees of directories, made, lost and moved out: links, indexes and memory stay right.
#[test]
fn the_tree_survives_random_operations() {
    for seed in 0..30 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut tree = Tree::new(seed);
        let mut nodes = vec![ROOT];
        let mut wd = 0;
        for step in 0..600 {
            let node = nodes[random.usize(..nodes.len())];
            match random.u8(..6) {
                0..3 => {
                    let name = vec![random.u8(b'a'..b'g'); random.usize(1..200)];
                    nodes.push(tree.child_or_new(node, &name).unwrap());
                }
                3 => {
                    wd += 1;
                    tree.set_wd(node, Some(Wd(wd)));
                }
                4 => {
                    tree.set_wd(node, None);
                    tree.release(node);
                }
                _ => {
                    tree.lose(node, Presence::Deleted);
                    tree.release(node);
                }
            }
            nodes.retain(|node| matches!(tree.presence(*node), Presence::Anchor | Presence::Here));
            nodes.sort();
            nodes.dedup();
            if step % 20 == 0 {
                tree.check();
            }
        }
    }
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

/// Renaming gives the memory of old names back.
#[test]
fn ten_thousand_renames_need_no_more_memory_than_one() {
    let mut tree = Tree::new(0);
    let node = tree.child_or_new(ROOT, b"x").unwrap();
    for n in 0..10_000 {
        let name = [&[b'a' + (n % 26) as u8; 200][..], n.to_string().as_bytes()].concat();
        assert!(tree.rename(node, ROOT, &name));
    }
    assert!(tree.memory_of_names() < 64 * 1024, "{}", tree.memory_of_names());
    tree.check();
}

/// The cost of a record must not grow with the number of directories: candidates of a descriptor are few.
#[test]
fn consecutive_descriptors_do_not_lie_in_one_run() {
    let mut tree = Tree::new(0);
    for n in 0..20_000 {
        let node = tree.child_or_new(ROOT, format!("d{n}").as_bytes()).unwrap();
        tree.set_wd(node, Some(Wd(n + 1)));
    }
    let probes: usize = (1..=20_000).map(|wd| tree.probes_of(Wd(wd))).sum();
    assert!(probes < 20_000 * 16, "{} probes a descriptor", probes / 20_000);
}

#[test]
fn names_that_cannot_be_are_refused() {
    let mut tree = Tree::new(0);
    assert!(tree.child_or_new(ROOT, &[b'x'; NAME_MAX]).is_some());
    assert!(tree.child_or_new(ROOT, &[b'x'; NAME_MAX + 1]).is_none());
}

#[test]
fn events_are_known_by_all_their_names() {
    for name in ["IN_CLOSE_WRITE", "close_write", "In_Close_Write", "CLOSE_WRITE"] {
        assert_eq!(events::by_name(name), Some(Mask::CLOSE_WRITE), "{name}");
    }
    for name in ["", "IN_", "IN_IN_CREATE", "IN_WRITE_CLOSE", "IN_ISDIR"] {
        assert_eq!(events::by_name(name), None, "{name}");
    }
}

/// The kernel hands descriptors out cyclically: after two billion of them, one comes again.
#[test]
fn a_descriptor_that_is_handed_out_again_is_the_new_directorys() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/"])]);
    let (s, a) = (rig.wd("/s"), rig.wd("/s/a"));
    rig.record(s, Mask::DELETE.with(Mask::ISDIR), 0, "a");
    rig.record(a, Mask::IGNORED, 0, "");
    rig.record(s, DIR_CREATED, 0, "b");
    let (node, scan) = rig.watches.next_scan().unwrap();
    rig.watches.watched(node, a, scan, true);
    assert_eq!(rig.record(a, Mask::CLOSE_WRITE, 0, "f"), [event(Mask::CLOSE_WRITE, "/s/b/f")]);
    assert_eq!(rig.watches.watch_descriptors(), 3);
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

/// What waits for permission is told of once, and looked at again when its permissions change, and only then.
#[test]
fn a_denied_directory_waits_for_its_permissions() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &[])]);
    rig.in_dir("/s", DIR_CREATED, "shut");
    let told = rig.scan_but("/s/shut", Errno::EACCES);
    assert_eq!(told, [Trouble::Unwatched(Errno::EACCES)], "and at the second look no more");
    let s = rig.node("/s").unwrap();
    assert!(rig.watches.mask(s).any(Mask::ATTRIB), "its parent hears of it");
    let changed = Mask::ATTRIB.with(Mask::ISDIR);
    rig.in_dir("/s", changed, "other");
    assert_eq!(rig.watches.next_scan(), None);
    rig.in_dir("/s", changed, "shut");
    let seen = rig.scan(|path| if path == "/s/shut" { &["f"] } else { &[] });
    assert_eq!(seen.len(), 2, "what is in it is new: {seen:?}");
    rig.in_dir("/s", changed, "shut");
    assert_eq!(rig.watches.next_scan(), None, "it is open");
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

/// A directory's listing goes on, whatever else is watched meanwhile: what leaves it before the listing comes to it takes
/// along what was still to be done for it.
#[test]
fn a_listing_is_not_over_because_another_directory_is_watched() {
    let mut rig = Rig::new(&[watch("/s", 0, true, true)], &[("/s", &["a/", "c/"]), ("/s/a", &["b/"])]);
    let (s, a) = (rig.wd("/s"), rig.wd("/s/a"));
    let (node, leaf) = (rig.node("/s/a").unwrap(), rig.node("/s/c").unwrap());
    rig.watches.begins_to_list(node, Scan::Report);
    assert_eq!(rig.watches.watched(leaf, rig.wd("/s/c"), Scan::Watch, true), Some(leaf));
    rig.record(a, Mask::MOVED_FROM.with(Mask::ISDIR), 5, "b");
    rig.record(s, Mask::MOVED_TO.with(Mask::ISDIR), 5, "b");
    let found = rig.node("/s/b").unwrap();
    assert!(std::iter::from_fn(|| rig.watches.next_scan()).any(|next| next == (found, Scan::Report)));
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
        assert_eq!(rig.watches.maps(sub), [0, 1], "without rec, what was there before does not count");
    }
}
