//! A worker is killed at each of its system calls in turn, and the daemon with it: at every moment all stands whole in one
//! place at least, and the next start brings the work to its end. Needs the test build (feature `fault`).

use crate::common::{Scratch, comes_true, dogwatch, skip, wait_until};
use crate::{config, facts, far, scratch, temporaries, to};
use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A tree, or a file.
fn make(path: &Path) {
    if path.ends_with("f") {
        return fs::write(path, "text".repeat(10_000)).unwrap();
    }
    fs::create_dir_all(path.join("dir")).unwrap();
    fs::write(path.join("a"), "a".repeat(10_000)).unwrap();
    fs::hard_link(path.join("a"), path.join("dir/again")).unwrap();
    symlink("a", path.join("link")).unwrap();
}

/// Whatever stands whole of it: under its name, in a claim, at the destination.
fn places(scratch: &Scratch, far: &Path, name: &str) -> Vec<PathBuf> {
    let claims = temporaries(&scratch.src()).into_iter().map(|claim| claim.join(name));
    let all = claims.chain([scratch.src().join(name), far.join(name)]);
    all.filter(|path| path.symlink_metadata().is_ok()).collect()
}

/// One run with the kill at the n-th call, and one without; false if the first has come to its end before.
fn is_killed_at(n: usize, action: &str, name: &str, keys: &str) -> bool {
    let far = far().unwrap();
    let scratch = scratch();
    make(&scratch.src().join(name));
    let before = facts(&scratch.src().join(name));
    let text = config(&[&to(action, "@FAR", keys)], "", far.path()).replace("IN_MOVED_TO,", "IN_MOVED_TO, IN_CREATE,");
    let conf = scratch.config(&format!("{text}existing = yes\n"));
    let mut daemon =
        scratch.spawn(dogwatch().args(["daemon", "-c"]).arg(&conf).env("DOGWATCH_FAULT", format!("worker:{n}=kill")));
    let was_killed = || daemon.log().contains("its worker was ended by signal 9");
    wait_until("it is killed, or has come to its end", || was_killed() || daemon.log().contains(": done: "));
    let was_killed = was_killed();
    daemon.signal(Signal::KILL);
    daemon.wait();
    // Workers die with it, but not in the same moment; what somebody is at is no leftover.
    let is_held = |path: &PathBuf| {
        fs::File::open(path).is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockExclusive).is_err())
    };
    wait_until("nobody is at it", || {
        ![scratch.src(), far.path().to_owned()].iter().flat_map(|dir| temporaries(dir)).any(|path| is_held(&path))
    });
    let whole = |path: &PathBuf| facts(path) == before;
    let found = places(&scratch, far.path(), name);
    let context = format!("{action} {name} {n}: {found:?}");
    assert!(found.iter().any(whole), "it stands whole somewhere: {context}");
    let arrived = far.path().join(name);
    assert!(!arrived.exists() || whole(&arrived), "nothing is half there: {context}");
    let daemon = scratch.start_with(dogwatch().args(["daemon", "-c"]).arg(&conf));
    let is_over = || {
        let is_clean = temporaries(&scratch.src()).is_empty() && temporaries(far.path()).is_empty();
        is_clean && arrived.exists() && (action == "copy" || !scratch.src().join(name).exists())
    };
    let left = || (temporaries(&scratch.src()), temporaries(far.path()), daemon.log());
    assert!(comes_true(PATIENCE, is_over), "never over: {context} {:?}", left());
    assert_eq!(facts(&arrived), before, "{context}");
    assert_eq!(places(&scratch, far.path(), name).len(), if action == "copy" { 2 } else { 1 }, "{context}");
    daemon.stop();
    was_killed
}

fn sweep(action: &str, name: &str, keys: &str) {
    if far().is_none() {
        return skip("/dev/shm is no other file system");
    }
    let mut n = 1;
    while is_killed_at(n, action, name, keys) {
        n += 1;
    }
    println!("{action} of {name}: {n} calls");
    assert!(n > 50, "{n} calls");
}

#[test]
fn a_move_of_a_file() {
    sweep("move", "f", "");
}

#[test]
fn a_copy_of_a_file() {
    sweep("copy", "f", "");
}

#[test]
fn a_move_of_a_tree() {
    sweep("move", "tree", "override = yes");
}

#[test]
fn a_copy_of_a_tree() {
    sweep("copy", "tree", "");
}
