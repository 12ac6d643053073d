//! Patterns in a watch's path: what matches at the start, what comes to match, and what does not count.

mod common;

use common::{Daemon, Scratch, scheduled};
use std::collections::BTreeSet;
use std::fs;

fn config(paths: &[&str], more: &str) -> String {
    let paths: String = paths.iter().map(|path| format!("path = {path}\n")).collect();
    format!(
        "[daemon]\nlog = stderr debug\n[scheduler run]\ncmd = :\ndelay = 1h\n[event_map m]\n\
         IN_CREATE, IN_CLOSE_WRITE = run\n[watch w]\nevent_map = m\n{paths}{more}\n"
    )
}

/// The paths of all tasks, without the watched directory's.
fn tasks(scratch: &Scratch, daemon: &Daemon) -> BTreeSet<String> {
    let src = format!("{}/", scratch.src().display());
    scheduled(&daemon.log()).iter().filter_map(|path| path.strip_prefix(&src).map(str::to_owned)).collect()
}

fn write(scratch: &Scratch, path: &str) {
    let path = scratch.src().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "x").unwrap();
}

#[test]
fn directories_that_match_are_watched_and_others_are_not() {
    let scratch = Scratch::new();
    for dir in ["a/inbox", "a/other", ".hidden/inbox", "b"] {
        fs::create_dir_all(scratch.src().join(dir)).unwrap();
    }
    let daemon = scratch.start(&config(&["@SRC/*/inbo[x]"], "rec = yes"));
    // The match, and the two in which a file of that name would match.
    assert!(daemon.log().contains("directories watched: 3"), "{}", daemon.log());
    for path in ["a/inbox/1", "a/other/1", "a/1", ".hidden/inbox/1", "1", "b/inbox/deep/1", "c/inbox/1"] {
        write(&scratch, path);
    }
    fs::create_dir_all(scratch.path("away/inbox")).unwrap();
    fs::write(scratch.path("away/inbox/1"), "x").unwrap();
    fs::rename(scratch.path("away"), scratch.src().join("d")).unwrap();
    write(&scratch, "a/inbox/2");
    for path in ["b/inbox/deep", "c/inbox/1", "d/inbox/1", "a/inbox/2"] {
        daemon.await_log(path);
    }
    write(&scratch, "d/inbox/last");
    daemon.await_log("d/inbox/last: scheduled");
    // Without auto_add, a directory that appears below a match is told of, and not watched.
    let expected = ["a/inbox/1", "a/inbox/2", "c/inbox/1", "d/inbox/1", "d/inbox/last"].map(str::to_owned);
    assert_eq!(tasks(&scratch, &daemon), BTreeSet::from(expected));
}

/// What comes to match, goes, comes back, or is renamed so that it matches no more.
#[test]
fn matches_come_and_go() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config(&["@SRC/*/in"], "auto_add = yes"));
    for round in 0..20 {
        write(&scratch, &format!("x/in/{round}"));
        daemon.await_log(&format!("IN_CLOSE_WRITE {}", scratch.src().join(format!("x/in/{round}")).display()));
        match round % 2 {
            0 => fs::remove_dir_all(scratch.src().join("x")).unwrap(),
            _ => fs::rename(scratch.src().join("x"), scratch.path(format!("away{round}"))).unwrap(),
        }
    }
    write(&scratch, "y/in/1");
    daemon.await_log("y/in/1");
    fs::rename(scratch.src().join("y/in"), scratch.src().join("y/out")).unwrap();
    write(&scratch, "y/out/2");
    fs::rename(scratch.src().join("y/out"), scratch.src().join("y/in")).unwrap();
    daemon.await_log("y/in/2");
    assert!(!daemon.log().contains("y/out"), "{}", daemon.log());
    let seen = tasks(&scratch, &daemon);
    assert!((0..20).all(|round| seen.contains(&format!("x/in/{round}"))), "{seen:?}");
}

#[test]
fn the_last_component_may_match_files() {
    let scratch = Scratch::new();
    write(&scratch, "logs/old.log");
    write(&scratch, "logs/old.txt");
    let daemon = scratch.start(&config(&["@SRC/l*s/*.log"], "existing = yes"));
    for path in ["logs/a.log", "logs/a.txt", "logs/.b.log", "lots/c.log", "more/d.log", "logs/e.log"] {
        write(&scratch, path);
    }
    daemon.await_log("logs/e.log: scheduled");
    daemon.await_log("lots/c.log");
    let expected = ["logs/old.log", "logs/a.log", "lots/c.log", "logs/e.log"].map(str::to_owned);
    assert_eq!(tasks(&scratch, &daemon), BTreeSet::from(expected));
}

/// The base of a pattern is waited for as any path is; a link below it is not followed.
#[test]
fn the_base_may_be_missing_and_links_below_it_are_not_followed() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config(&["@SRC/base/*"], "rec = yes"));
    assert!(daemon.log().contains("it is waited for"), "{}", daemon.log());
    write(&scratch, "real/1");
    write(&scratch, "base/a/1");
    daemon.await_log("base/a/1");
    std::os::unix::fs::symlink("../real", scratch.src().join("base/link")).unwrap();
    write(&scratch, "real/2");
    write(&scratch, "base/a/2");
    daemon.await_log("base/a/2: scheduled");
    let seen = tasks(&scratch, &daemon);
    assert!(!seen.iter().any(|path| path.starts_with("real") || path.starts_with("base/link/")), "{seen:?}");
    assert!(seen.contains("base/link"), "as a name it is one of those that match: {seen:?}");
}

/// A single file can be there already, as a directory can.
#[test]
fn existing_counts_for_a_path_that_is_a_file() {
    let scratch = Scratch::new();
    write(&scratch, "file");
    write(&scratch, "neighbour");
    let daemon = scratch.start(&config(&["@SRC/file"], "existing = yes"));
    daemon.await_log("src/file (found by a scan): scheduled");
    assert_eq!(tasks(&scratch, &daemon), BTreeSet::from(["file".to_owned()]));
}
