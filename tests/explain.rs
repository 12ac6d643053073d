//! `dogwatch explain` says what the daemon would do: checked against what it does, with random watches.

mod common;

use common::{Scratch, dogwatch, wait_until};
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// What `explain` prints for an event of a configuration in the scratch directory, and its exit status.
fn explain(scratch: &Scratch, event: &str, path: &Path) -> (String, Option<i32>) {
    let config = scratch.path("dogwatch.conf");
    let output = dogwatch().args(["explain", "-c"]).arg(config).arg(event).arg(path).output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

const DIRS: [&str; 8] = ["a", "a/b", "a/b/c", "a/.git", "a/.git/d", "x1", "x1/b", "x2"];

/// A watch as it might be written; `@SRC` is the tree.
fn random_watch(random: &mut fastrand::Rng, number: usize) -> String {
    let paths = [
        "@SRC",
        "@SRC/a",
        "@SRC/a/b",
        "@SRC/a/file",
        "@SRC/*",
        "@SRC/x*/b",
        "@SRC/*/file",
        "@SRC/missing",
        "@SRC/a/.git",
    ];
    let excludes = ["", r"exclude = .*/\.git(/|$)", r"exclude = .*/file$", r"exclude = @SRC/a/b"];
    let word = |yes| if yes { "yes" } else { "no" };
    let (rec, auto_add) = (word(random.bool()), word(random.bool()));
    let mut text = format!("[watch w{number}]\nevent_map = m\nrec = {rec}\nauto_add = {auto_add}\n");
    for _ in 0..random.usize(1..3) {
        text += &format!("path = {}\n", random.choice(paths).unwrap());
    }
    text + random.choice(excludes).unwrap() + "\n"
}

fn make_tree(src: &Path) -> Vec<(PathBuf, bool)> {
    let mut paths = vec![(src.join("file"), false)];
    for dir in DIRS.map(|dir| src.join(dir)) {
        fs::create_dir(&dir).unwrap();
        paths.extend([(dir.clone(), true), (dir.join("file"), false)]);
    }
    for (path, _) in paths.iter().filter(|(_, is_dir)| !is_dir) {
        fs::write(path, "x").unwrap();
    }
    paths.reverse();
    paths
}

/// Compares what is explained with what happens for a seed's watches: how many events happen, and how many do not.
fn compare(seed: u64) -> Option<(usize, usize)> {
    let mut untold = 0;
    let scratch = Scratch::new();
    let mut random = fastrand::Rng::with_seed(seed);
    let paths = make_tree(&scratch.src());
    fs::create_dir(scratch.path("marker")).unwrap();
    let watches: String = (0..random.usize(1..4)).map(|number| random_watch(&mut random, number)).collect();
    let config = format!(
        "[daemon]\nlog = stderr debug\n[scheduler s]\nexec = /bin/true\ndelay = 1h\ndirs = yes\n\
         [event_map m]\nIN_MODIFY, IN_ATTRIB, IN_CLOSE_WRITE, IN_DELETE, IN_DELETE_SELF = s\n{watches}\
         [watch marker]\npath = @DIR/marker\nevent_map = m\n"
    );
    scratch.config(&config);
    let mut explained = BTreeSet::new();
    for (path, is_dir) in &paths {
        let events: &[&str] = match is_dir {
            true => &["IN_ATTRIB", "IN_DELETE", "IN_DELETE_SELF", "IN_CLOSE_WRITE"],
            false => &["IN_ATTRIB", "IN_DELETE", "IN_DELETE_SELF", "IN_CLOSE_WRITE", "IN_MODIFY"],
        };
        for event in events {
            match explain(&scratch, event, path) {
                (_, Some(0)) => drop(explained.insert((event.to_string(), path.clone()))),
                (text, status) => {
                    untold += 1;
                    assert_eq!(status, Some(1), "{text}");
                }
            }
        }
    }
    let daemon = scratch.start(&config);
    for (path, is_dir) in &paths {
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        if *is_dir {
            fs::remove_dir(path).unwrap();
        } else {
            OpenOptions::new().append(true).open(path).unwrap().write_all(b"y").unwrap();
            fs::remove_file(path).unwrap();
        }
    }
    let marker = scratch.path("marker/end");
    fs::write(&marker, "x").unwrap();
    let mut happened = BTreeSet::new();
    wait_until("the daemon has heard of all", || {
        let log = daemon.log();
        let lines = log.lines().filter_map(|line| line.split_once(": event ")?.1.split_once(' '));
        let events = lines.flat_map(|(names, path)| {
            names.split('|').filter(|name| *name != "IN_ISDIR").map(move |name| (name.to_owned(), PathBuf::from(path)))
        });
        happened = events.collect();
        happened.contains(&("IN_CLOSE_WRITE".to_owned(), marker.clone()))
    });
    happened.retain(|(name, path)| {
        let named =
            ["IN_MODIFY", "IN_ATTRIB", "IN_CLOSE_WRITE", "IN_DELETE", "IN_DELETE_SELF"].contains(&name.as_str());
        named && paths.iter().any(|(known, _)| known == path)
    });
    // Another test program may have lowered the queue's limit, which is the whole machine's: what is lost is not told.
    if daemon.log().contains("overflowed") {
        return None;
    }
    assert_eq!(explained, happened, "seed {seed}:\n{config}");
    Some((explained.len(), untold))
}

#[test]
fn what_is_explained_is_what_happens() {
    let compared = |seed| (0..100).find_map(|_| compare(seed)).expect("the queue overflows for ever");
    let (told, untold) = (0..40).map(compared).fold((0, 0), |sums, found| (sums.0 + found.0, sums.1 + found.1));
    println!("{told} events explained that happen, {untold} that do not");
    assert!(told > 1_000 && untold > 1_000);
}

/// Everything that it knows, and the reasons why not.
#[test]
fn an_explanation_says_what_and_why_not() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.src().join("sub/.git")).unwrap();
    fs::write(scratch.src().join("file"), "").unwrap();
    symlink("sub", scratch.src().join("link")).unwrap();
    scratch.config(
        "[scheduler settled]\ncmd = import {pathname}\ndelay = 60\nmax_wait = 10m\nthen = ship\n\
         [scheduler ship]\nexec = ship '{name} x' {maskname}\nfiles = no\ndirs = yes\nsinglejob = yes\n\
         [event_map settle]\nIN_CLOSE_WRITE, IN_MOVED_TO = settled, ship\nIN_MODIFY = cancel settled\n\
         [watch src]\npath = @SRC\nevent_map = settle\nexclude = .*/\\.git(/|$)\n",
    );
    let check = |event: &str, path: &str, status: i32, words: &[&str]| {
        let (text, found) = explain(&scratch, event, &scratch.src().join(path));
        assert_eq!(found, Some(status), "{event} {path}: {text}");
        words.iter().for_each(|words| assert!(text.contains(words), "{event} {path}: no {words:?} in\n{text}"));
    };
    let file = format!("DOGWATCH_PATHNAME={}", scratch.src().join("file").display());
    check(
        "IN_CLOSE_WRITE",
        "file",
        0,
        &[
            "[watch src]: yes; [event_map settle] says settled, ship\n",
            "[scheduler settled]: runs 1m after the last event that schedules it, at the latest 10m after the first\n",
            "/bin/sh -c: import \"$DOGWATCH_PATHNAME\"\n",
            &file,
            "then = ship\n",
            "[scheduler ship]: no: files = no\n",
        ],
    );
    check(
        "moved_to|IN_ISDIR",
        "sub/../new",
        0,
        &[
            "/src/new: a directory\n",
            "[scheduler settled]: no: dirs = no\n",
            "[scheduler ship]: runs at once; one task for all paths\n",
            "exec = \"ship\" \"new x\" \"IN_MOVED_TO\"\n",
        ],
    );
    check("modify", "file", 0, &["its task for this path is cancelled, if there is one that has not started\n"]);
    check("IN_CREATE", "file", 1, &["[event_map settle] has nothing for IN_CREATE\n"]);
    check(
        "IN_CLOSE_WRITE",
        "sub/file",
        1,
        &["(nothing is there now)", "no: rec = no: directories within do not count\n"],
    );
    check("IN_MODIFY", ".git", 1, &["no: exclude leaves out ", "/src/.git\n"]);
    check("IN_CLOSE_WRITE", "sub", 1, &["no: that does not happen to directories\n"]);
    check("IN_MOVED_TO", "", 1, &["no: the path is its own: only what happens to that itself is told of\n"]);
    check("IN_DELETE_SELF", "file", 1, &["no: that is told of directories only\n"]);
    check(
        "IN_CLOSE_WRITE",
        "link/file",
        1,
        &["/src/link is a symbolic link: below a watch's path they are not followed\n"],
    );
    check("IN_CLOSE_WRITE", ".dogwatch-x", 1, &["no: names that begin with .dogwatch- are dogwatch's own\n"]);
    check("IN_CLOSE_WRITE", "../elsewhere", 1, &["no: none of its paths leads there\n"]);
    for (arguments, words) in [
        (&["IN_NONSENSE", "/"][..], "\"IN_NONSENSE\" is no event"),
        (&["IN_CREATE"], "give an event, as IN_CLOSE_WRITE, and a path"),
    ] {
        let output = dogwatch().arg("explain").args(arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(words), "{text}");
    }
}

/// What `check` would warn of is said as well, and a configuration that does not hold explains nothing.
#[test]
fn the_configuration_is_checked_too() {
    let scratch = Scratch::new();
    let run = |config: &str| {
        let config = scratch.config(config);
        dogwatch().args(["explain", "-c"]).arg(config).args(["IN_OPEN", "/x"]).output().unwrap()
    };
    let output = run("[scheduler s]\nexec = true\n[event_map m]\ndefault = s\n[watch w]\npath = /\nevent_map = m\n");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stderr).unwrap().contains("warning: with default, mere reading counts"));
    let output = run("[scheduler s]\n");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
}
