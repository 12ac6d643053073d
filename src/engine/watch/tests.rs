//! Records and listings as no kernel needs to send them, against the tree and the events that come out.

mod lost;
mod moves;
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
    Watch { name: path.to_owned(), paths, map, rec, auto_add, existing: false, tidied: false, exclude: Vec::new() }
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

/// It is gone on disk while its records wait to be read: what happened in it is told before that is believed.
#[test]
fn a_configured_path_that_is_gone_has_its_say() {
    let mut rig = Rig::new(&[watch("/s/a", 0, false, false)], &[]);
    let (node, wd) = (rig.node("/s/a").unwrap(), rig.wd("/s/a"));
    for at in [node, rig.node("/s").unwrap()] {
        assert_eq!(rig.watches.failed(node, Scan::Watch, Errno::ENOENT, at, false), None);
        assert_eq!(rig.record(wd, Mask::DELETE, 0, "f"), [event(Mask::DELETE, "/s/a/f")]);
        rig.watches.try_again();
    }
    assert_eq!(rig.record(wd, Mask::DELETE_SELF, 0, ""), [event(Mask::DELETE_SELF, "/s/a")]);
}

/// The directory is told of by its parent too, but not to a watch that excludes it there.
#[test]
fn a_directory_that_its_parent_excludes_speaks_for_itself() {
    let exclude = vec![Pattern::new(b"/s/a").unwrap()];
    let watches = [Watch { exclude, ..watch("/s", 0, false, false) }, watch("/s/a", 0, false, false)];
    let mut rig = Rig::new(&watches, &[("/s", &["a/"])]);
    let attrib = Mask::ATTRIB.with(Mask::ISDIR);
    assert_eq!(rig.in_dir("/s", attrib, "a"), []);
    assert_eq!(rig.in_dir("/s/a", attrib, ""), [event(attrib, "/s/a")]);
}

#[test]
fn a_file_is_told_of_as_itself_where_its_directory_counts_too() {
    let mut rig = Rig::unscanned(&[watch("/s", 0, false, false), watch("/s/f", 0, false, false)]);
    rig.scan_but("/s/f", Errno::ENOTDIR);
    assert_eq!(rig.in_dir("/s", Mask::DELETE, "f"), [event(Mask::DELETE.with(Mask::DELETE_SELF), "/s/f")]);
    assert_eq!(rig.in_dir("/s", Mask::DELETE, "g"), [event(Mask::DELETE, "/s/g")]);
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
