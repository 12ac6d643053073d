//! SIGHUP: another configuration takes the place of the old one without a gap, and pending tasks stay.

mod common;

use common::{Daemon, Scratch, await_watch, comes_true, scheduled, wait_until};
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

const WATCH: &str = "[watch w]\npath = @SRC\nevent_map = m\nrec = yes\nauto_add = yes\n";

/// A scheduler `run` with these keys, CLOSE_WRITE for it, and the usual watch.
fn config(keys: &str) -> String {
    format!(
        "[daemon]\nloglevel.run = debug\n[scheduler run]\ncmd = echo {{name}} >>@DIR/ran\n{keys}\n[event_map m]\nIN_CLOSE_WRITE = run\n{WATCH}"
    )
}

/// Writes another configuration, and waits until it is taken and all that it asks for is watched.
#[track_caller]
fn reload(scratch: &Scratch, daemon: &Daemon, text: &str) {
    scratch.config(text);
    let ready = || daemon.log().matches(": ready, ").count();
    let before = ready();
    daemon.signal(Signal::HUP);
    assert!(comes_true(Duration::from_secs(30), || ready() > before), "{}", daemon.log());
}

/// The watch descriptors of a daemon with the inodes that they are for.
fn watched(daemon: &Daemon) -> BTreeMap<String, String> {
    let infos = fs::read_dir(format!("/proc/{}/fdinfo", daemon.pid())).unwrap();
    let text: String = infos.filter_map(|info| fs::read_to_string(info.unwrap().path()).ok()).collect();
    let lines = text.lines().filter_map(|line| line.strip_prefix("inotify wd:"));
    lines
        .map(|line| line.split_once(" sdev:").map(|(left, _)| left.split_once(" ino:").unwrap()).unwrap())
        .map(|(wd, ino)| (wd.to_owned(), ino.to_owned()))
        .collect()
}

fn write(path: &Path) {
    fs::write(path, "x").unwrap();
}

#[test]
fn pending_tasks_survive_two_reloads_and_keep_their_delay() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("delay = 3s"));
    write(&scratch.src().join("f"));
    daemon.await_log("f: scheduled, due in 3s");
    let watches = watched(&daemon);
    reload(&scratch, &daemon, &config("delay = 1h\nfiles = yes"));
    reload(&scratch, &daemon, &format!("[scheduler first]\ncmd = :\n{}", config("delay = 2h")));
    assert_eq!(watched(&daemon), watches, "what has not changed keeps its watches");
    wait_until("it ran when it was due by the first one", || scratch.read("ran") == "f\n");
    daemon.await_log("run#1");
    assert!(!daemon.log().contains("cancelled"), "{}", daemon.log());
    write(&scratch.src().join("g"));
    daemon.await_log("g: scheduled, due in 2h");
}

#[test]
fn a_bad_configuration_is_told_and_the_old_one_goes_on() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("delay = 100ms"));
    write(&scratch.src().join("f"));
    scratch.config(&config("dealy = 2s"));
    daemon.signal(Signal::HUP);
    daemon.await_log("the new configuration is not taken: the old one goes on");
    let log = daemon.log();
    assert!(log.contains("5:1: error: unknown key \"dealy\" in [scheduler]"), "{log}");
    assert!(log.contains("did you mean \"delay\"?"), "{log}");
    write(&scratch.src().join("g"));
    wait_until("both ran", || scratch.read("ran").lines().collect::<BTreeSet<_>>() == BTreeSet::from(["f", "g"]));
    fs::remove_file(scratch.path("dogwatch.conf")).unwrap();
    daemon.signal(Signal::HUP);
    wait_until("a missing one is told too", || daemon.log().matches("is not taken").count() == 2);
    reload(&scratch, &daemon, &config("delay = 1h"));
    write(&scratch.src().join("h"));
    daemon.await_log("h: scheduled, due in 1h");
}

#[test]
fn tasks_of_a_scheduler_that_is_gone_are_cancelled_and_told() {
    let scratch = Scratch::new();
    let two = "[scheduler gone]\ncmd = echo gone >>@DIR/ran\ndelay = 1s\n[scheduler run]\ncmd = echo run >>@DIR/ran\ndelay = 1s\n\
               [event_map m]\nIN_CLOSE_WRITE = gone, run\n";
    let daemon = scratch.start(&format!("{two}{WATCH}"));
    write(&scratch.src().join("f"));
    daemon.await_log("gone#1");
    reload(&scratch, &daemon, &config("delay = 1s"));
    let log = daemon.log();
    assert!(log.contains("gone#1 IN_CLOSE_WRITE") && log.contains("no scheduler for it any more"), "{log}");
    wait_until("the other ran", || !scratch.read("ran").is_empty());
    assert_eq!(scratch.read("ran"), "f\n", "it is the new command of the same name");
}

/// What runs while its scheduler goes, runs to its end, and is told of under its old name.
#[test]
fn a_running_command_outlives_its_scheduler() {
    let scratch = Scratch::new();
    let slow =
        "[scheduler slow]\ncmd = until [ -e @DIR/go ]; do sleep 0.02; done\n[event_map m]\nIN_CLOSE_WRITE = slow\n";
    let daemon = scratch.start(&format!("{slow}{WATCH}"));
    write(&scratch.src().join("f"));
    daemon.await_log("f: started");
    reload(&scratch, &daemon, &config(""));
    write(&scratch.path("go"));
    daemon.await_log("slow: slow#1 IN_CLOSE_WRITE");
    daemon.await_log("f: done");
    write(&scratch.src().join("g"));
    wait_until("the new one runs", || scratch.read("ran") == "g\n");
}

/// Files are written without a pause while the configuration changes back and forth: none is missed.
#[test]
fn there_is_no_gap() {
    let scratch = Scratch::new();
    let first = config("delay = 1h");
    // Another map, other events, and one more watch over the same tree.
    let more =
        "[watch also]\npath = @SRC/d1\nevent_map = other\nrec = yes\n[event_map other]\nIN_CREATE, IN_ATTRIB = run\n";
    // The watch itself is another one too: its descriptors stay all the same.
    let second = format!("{}exclude = @SRC/nothing\n{more}", config("delay = 2h\non_busy = skip"));
    for n in 0..20 {
        fs::create_dir(scratch.src().join(format!("d{n}"))).unwrap();
    }
    let daemon = scratch.start(&first);
    let src = scratch.src();
    let writer = std::thread::spawn(move || {
        let mut written = BTreeSet::new();
        for n in 0..20_000 {
            let path = src.join(format!("d{}/f{n}", n % 20));
            fs::write(&path, "x").unwrap();
            written.insert(path.to_str().unwrap().to_owned());
            if n % 100 == 0 {
                let dir = src.join(format!("new{n}"));
                fs::create_dir(&dir).unwrap();
                fs::write(dir.join("f"), "x").unwrap();
                written.insert(dir.join("f").to_str().unwrap().to_owned());
            }
        }
        written
    });
    let mut reloads = 0;
    while !writer.is_finished() {
        reload(&scratch, &daemon, [&second, &first][reloads % 2]);
        reloads += 1;
    }
    let written = writer.join().unwrap();
    let complete = comes_true(Duration::from_secs(30), || scheduled(&daemon.log()).is_superset(&written));
    let met = scheduled(&daemon.log());
    // An overflow loses no file either.
    let overflows = daemon.log().matches("overflowed").count();
    println!("{} files while the configuration changed {reloads} times, {overflows} overflows", written.len());
    assert!(complete, "missed: {:?}", written.difference(&met).take(5).collect::<Vec<_>>());
    assert!(reloads >= 2, "{reloads}");
}

#[test]
fn what_is_there_is_told_to_new_watches_only() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.src().join("sub")).unwrap();
    write(&scratch.src().join("sub/old"));
    let first = "[daemon]\nlog = stderr debug\n[scheduler one]\ncmd = :\ndelay = 1h\n[event_map m]\nIN_CLOSE_WRITE = one\n[watch w]\npath = @SRC\nevent_map = m\n\
                 rec = yes\nexisting = yes\n";
    let daemon = scratch.start(first);
    daemon.await_log("INFO one: one#1 IN_CLOSE_WRITE");
    let more = "[scheduler two]\ncmd = :\ndelay = 1h\n[event_map n]\nIN_CLOSE_WRITE = two\n[watch v]\npath = @SRC/sub\nevent_map = n\n\
                existing = yes\n";
    reload(&scratch, &daemon, &format!("{more}{first}"));
    daemon.await_log("INFO two: two#");
    let log = daemon.log();
    let told = |name: &str| log.matches(&format!(" {name}: {name}#")).count();
    assert_eq!((told("one"), told("two")), (1, 1), "not once more to the first: {log}");
    write(&scratch.src().join("sub/new"));
    wait_until("both hear of it", || daemon.log().matches("sub/new: scheduled").count() == 2);
    // One whose path comes back is told of again.
    fs::rename(scratch.src().join("sub"), scratch.path("away")).unwrap();
    reload(&scratch, &daemon, &format!("{more}{first}"));
    fs::rename(scratch.path("away"), scratch.src().join("sub")).unwrap();
    let again = || daemon.log().lines().filter(|line| line.contains("two: two#") && line.contains("sub/old")).count();
    wait_until("the old file is told again", || again() >= 2);
}

#[test]
fn a_watch_that_is_gone_is_unwatched_and_the_way_to_it_too() {
    let scratch = Scratch::new();
    for dir in ["src/a/b", "other/c/d"] {
        fs::create_dir_all(scratch.path(dir)).unwrap();
    }
    let other = "[watch v]\npath = @DIR/other/c\nevent_map = m\nrec = yes\nauto_add = yes\n";
    let daemon = scratch.start(&config("delay = 1h"));
    let only = watched(&daemon);
    reload(&scratch, &daemon, &format!("{}{other}", config("delay = 1h")));
    assert_eq!(watched(&daemon).len(), only.len() + 3, "other, c and d");
    await_watch(&daemon, &scratch.path("other/c/d"));
    write(&scratch.path("other/c/d/pending"));
    daemon.await_log("d/pending: scheduled");
    reload(&scratch, &daemon, &config("delay = 1h"));
    wait_until("it is unwatched", || watched(&daemon) == only);
    write(&scratch.path("other/c/d/late"));
    await_watch(&daemon, &scratch.src().join("a/b"));
    assert!(!daemon.log().contains("d/late"));
    assert!(!daemon.log().contains("d/pending: cancelled"), "its scheduler is still there");
    // And back: the path's task is the same one.
    reload(&scratch, &daemon, &format!("{}{other}", config("delay = 1h")));
    write(&scratch.path("other/c/d/pending"));
    daemon.await_log("d/pending: scheduled anew");
}

#[test]
fn what_a_watch_says_may_change() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.src().join("sub/deep")).unwrap();
    let watch = |keys: &str| {
        format!(
            "[daemon]\nloglevel.run = debug\n[scheduler run]\ncmd = :\ndelay = 1h\n[event_map m]\nIN_CLOSE_WRITE = run\n[watch w]\npath = @SRC\nevent_map = m\n{keys}\n"
        )
    };
    let daemon = scratch.start(&watch(""));
    let flat = watched(&daemon).len();
    reload(&scratch, &daemon, &watch("auto_add = yes"));
    assert_eq!(watched(&daemon).len(), flat, "what is there already has not appeared");
    reload(&scratch, &daemon, &watch("rec = yes"));
    assert_eq!(watched(&daemon).len(), flat + 2);
    await_watch(&daemon, &scratch.src().join("sub/deep"));
    let all = watched(&daemon);
    reload(&scratch, &daemon, &watch("rec = yes\nexclude = @SRC/sub/deep"));
    wait_until("what is excluded is unwatched", || watched(&daemon).len() == flat + 1);
    assert!(watched(&daemon).iter().all(|watch| all.contains_key(watch.0)), "the others keep their watches: {all:?}");
    write(&scratch.src().join("sub/deep/no"));
    reload(&scratch, &daemon, &watch(""));
    wait_until("and what lies below", || watched(&daemon).len() == flat);
    await_watch(&daemon, &scratch.src());
    assert!(!daemon.log().contains("deep/no"));
    // Further events for the same watches: their masks change.
    let with_map = |map: &str| watch("").replace("IN_CLOSE_WRITE = run", map);
    reload(&scratch, &daemon, &with_map("IN_CLOSE_WRITE, IN_ATTRIB = run"));
    write(&scratch.src().join("mode"));
    daemon.await_log("IN_CLOSE_WRITE ");
    fs::set_permissions(scratch.src().join("mode"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    daemon.await_log("mode: scheduled anew");
    assert!(daemon.log().contains("IN_ATTRIB"));
}

/// A path that is missing, a file, a pattern and a link: each comes and goes with the configuration.
#[test]
fn all_kinds_of_paths_come_and_go() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.path("real/in")).unwrap();
    fs::create_dir_all(scratch.path("globs/x1")).unwrap();
    write(&scratch.path("file"));
    std::os::unix::fs::symlink(scratch.path("real"), scratch.path("link")).unwrap();
    let paths = "path = @DIR/missing/deep\npath = @DIR/file\npath = @DIR/globs/x*\npath = @DIR/link/in\n";
    let all = config("delay = 1h").replace("path = @SRC\n", paths);
    let daemon = scratch.start(&config("delay = 1h"));
    let before = watched(&daemon);
    for round in 0..3 {
        reload(&scratch, &daemon, &all);
        fs::create_dir_all(scratch.path("missing/deep")).unwrap();
        for dir in ["missing/deep", "globs/x1", "link/in"] {
            await_watch(&daemon, &scratch.path(dir));
        }
        write(&scratch.path("file"));
        let file = format!("{}: scheduled", scratch.path("file").display());
        wait_until("the file counts", || daemon.log().matches(&file).count() > round);
        fs::remove_dir_all(scratch.path("missing")).unwrap();
        reload(&scratch, &daemon, &config("delay = 1h"));
        let inodes = || watched(&daemon).into_values().collect::<BTreeSet<_>>();
        let before = before.values().cloned().collect();
        assert!(
            comes_true(Duration::from_secs(9), || inodes() == before),
            "{before:?} {:?}\n{}",
            inodes(),
            daemon.log()
        );
    }
    await_watch(&daemon, &scratch.src());
}

/// Whether every event is logged follows the configuration, in either direction.
#[test]
fn the_log_level_follows() {
    let scratch = Scratch::new();
    let with = |level: &str| config("delay = 1h").replace("[daemon]\n", &format!("[daemon]\nlog = stderr {level}\n"));
    let daemon = scratch.start(&with("info"));
    let task = |name: &str| {
        write(&scratch.src().join(name));
        daemon.await_log(&format!("{name}: scheduled"));
        daemon
            .log()
            .matches(&format!("DEBUG daemon: event IN_CLOSE_WRITE {}", scratch.src().join(name).display()))
            .count()
    };
    assert_eq!(task("a"), 0);
    reload(&scratch, &daemon, &with("debug"));
    assert_eq!(task("b"), 1, "{}", daemon.log());
    reload(&scratch, &daemon, &with("info"));
    assert_eq!(task("c"), 0);
}

/// A file is told to a new watch that wants to know what is there, and to no other.
#[test]
fn a_file_that_is_there_is_told_to_a_new_watch() {
    let scratch = Scratch::new();
    write(&scratch.path("file"));
    let daemon = scratch.start(&config("delay = 1h"));
    let file = |existing: &str| {
        format!("{}[watch f]\npath = @DIR/file\nevent_map = m\nexisting = {existing}\n", config("delay = 1h"))
    };
    reload(&scratch, &daemon, &file("yes"));
    common::await_task(&daemon, &scratch.path("file"));
    reload(&scratch, &daemon, &file("yes"));
    reload(&scratch, &daemon, &file("no"));
    await_watch(&daemon, &scratch.src());
    let told = || daemon.log().matches(&format!("{}: scheduled", scratch.path("file").display())).count();
    let before = told();
    write(&scratch.path("file"));
    wait_until("it is watched", || told() > before);
    assert!(
        before <= 2,
        "IN_CREATE is not mapped, and what was written just before may be told twice: {}",
        daemon.log()
    );
}

/// All watches may go, and others come.
#[test]
fn all_watches_may_go() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("other")).unwrap();
    let daemon = scratch.start(&config("delay = 1h"));
    let none = config("delay = 1h").replace(WATCH, "");
    reload(&scratch, &daemon, &none);
    wait_until("what was watched is not", || watched(&daemon).len() <= 1);
    let other = config("delay = 1h").replace("@SRC", "@DIR/other");
    reload(&scratch, &daemon, &other);
    await_watch(&daemon, &scratch.path("other"));
}
