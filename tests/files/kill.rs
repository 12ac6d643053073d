//! A worker is killed at each of its system calls in turn, and the daemon with it: at every moment all stands whole in one
//! place at least, and the next start brings the work to its end. Needs the test build (feature `fault`).

use crate::common::{Scratch, comes_true, dogwatch, skip, wait_until};
use crate::{config, facts, far, scratch, temporaries, to};
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

/// What is done, how often it has to be killed at least, and whether a directory stands at the destination already, which may
/// be on the same file system.
#[derive(Clone, Copy)]
struct Case {
    action: &'static str,
    name: &'static str,
    keys: &'static str,
    is_near: bool,
    is_over: bool,
}

/// What a directory that is replaced has in it: one name that the new one has too, and one that it has not.
fn make_old(path: &Path) {
    fs::create_dir_all(path.join("dir")).unwrap();
    fs::write(path.join("a"), "old").unwrap();
    fs::write(path.join("dir/old"), "old").unwrap();
}

/// One run with the kill at the n-th call, and one without; false if the first has come to its end before.
fn is_killed_at(n: usize, case: Case) -> bool {
    let Case { action, name, keys, is_near, is_over } = case;
    let far = far().unwrap();
    let scratch = scratch();
    let dst = if is_near { scratch.path("dst") } else { far.path().to_owned() };
    make(&scratch.src().join(name));
    let before = facts(&scratch.src().join(name));
    let arrived = dst.join(name);
    if is_over {
        make_old(&arrived);
    }
    let old = is_over.then(|| facts(&arrived));
    let text = config(&[&to(action, "@FAR", keys)], "", &dst).replace("IN_MOVED_TO,", "IN_MOVED_TO, IN_CREATE,");
    let conf = scratch.config(&format!("{text}existing = yes\n"));
    let mut daemon =
        scratch.spawn(dogwatch().args(["daemon", "-c"]).arg(&conf).env("DOGWATCH_FAULT", format!("worker:{n}=kill")));
    let was_killed = || daemon.log().contains("its worker was ended by signal 9");
    wait_until("it is killed, or has come to its end", || was_killed() || daemon.log().contains(": done: "));
    let was_killed = was_killed();
    crate::kill_all(&mut daemon);
    let whole = |path: &PathBuf| facts(path) == before;
    let found = places(&scratch, &dst, name);
    let context = format!("{action} {name} {n}: {found:?}");
    assert!(found.iter().any(whole), "it stands whole somewhere: {context}");
    let is_old = |path: &PathBuf| Some(facts(path)) == old;
    assert!(!arrived.exists() || whole(&arrived) || is_old(&arrived), "nothing is half there: {context}");
    let aside =
        || [scratch.src(), dst.clone()].iter().flat_map(|dir| temporaries(dir)).any(|dir| dir.join(name).exists());
    assert!(old.is_none() || arrived.exists() || aside(), "the old one is not there: {context}");
    let daemon = scratch.start_with(dogwatch().args(["daemon", "-c"]).arg(&conf));
    let is_over = || {
        // In this order: what stands there after its source has gone, and is in no claim, stays; so does what was copied.
        let log = daemon.log();
        let has_come = match action {
            "copy" => [": done: ", ": failed: "].iter().any(|end| log.contains(end)),
            _ => !scratch.src().join(name).exists(),
        };
        let is_clean = || temporaries(&scratch.src()).is_empty() && temporaries(&dst).is_empty();
        has_come && is_clean() && arrived.exists() && whole(&arrived)
    };
    let left = || (temporaries(&scratch.src()), temporaries(&dst), daemon.log());
    assert!(comes_true(PATIENCE, is_over), "never over: {context} {:?}", left());
    assert_eq!(places(&scratch, &dst, name).len(), if action == "copy" { 2 } else { 1 }, "{context}");
    daemon.stop();
    was_killed
}

fn sweep(case: Case, least: usize) {
    if far().is_none() {
        return skip("/dev/shm is no other file system");
    }
    let mut n = 1;
    while is_killed_at(n, case) {
        n += 1;
    }
    println!("{} of {}: {n} calls", case.action, case.name);
    assert!(n > least, "{n} calls");
}

#[test]
fn a_move_of_a_file() {
    sweep(Case { action: "move", name: "f", keys: "", is_near: false, is_over: false }, 50);
}

#[test]
fn a_copy_of_a_file() {
    sweep(Case { action: "copy", name: "f", keys: "", is_near: false, is_over: false }, 50);
}

#[test]
fn a_move_of_a_tree() {
    sweep(Case { action: "move", name: "tree", keys: "override = yes", is_near: false, is_over: false }, 50);
}

#[test]
fn a_copy_of_a_tree() {
    sweep(Case { action: "copy", name: "tree", keys: "", is_near: false, is_over: false }, 50);
}

fn sweep_over_a_tree(action: &'static str, is_near: bool) {
    sweep(Case { action, name: "tree", keys: "override = yes", is_near, is_over: true }, 30);
}

#[test]
fn a_move_over_a_tree() {
    sweep_over_a_tree("move", true);
}

#[test]
fn a_move_over_a_tree_on_another_file_system() {
    sweep_over_a_tree("move", false);
}

#[test]
fn a_copy_over_a_tree() {
    sweep_over_a_tree("copy", true);
}

#[test]
fn a_copy_over_a_tree_on_another_file_system() {
    sweep_over_a_tree("copy", false);
}

/// That a file was closed is told before the kernel counts it as closed: who seems to write for a moment is waited for.
#[test]
fn what_has_just_been_closed_is_moved() {
    let mut outlived = 0;
    for n in 1..120 {
        let Some(far) = far() else { return skip("a second file system is mounted by root") };
        let scratch = scratch();
        let points = scratch.path("points");
        let conf = scratch.config(&config(&[&to("move", "@FAR", "")], "", far.path()));
        let mut command = dogwatch();
        command.args(["daemon", "-c"]).arg(conf).env("DOGWATCH_FAULT", format!("worker:{n}=EAGAIN"));
        let daemon = scratch.start_with(command.env("DOGWATCH_FAULT_LOG", &points));
        make(&scratch.path("f"));
        fs::rename(scratch.path("f"), scratch.src().join("f")).unwrap();
        let ended = || [": done: ", ": failed: "].iter().any(|end| daemon.log().contains(end));
        wait_until("it has come to its end", ended);
        assert!(!daemon.log().contains("somebody writes"), "{n}: {}", daemon.log());
        let failed = fs::read_to_string(&points).unwrap().lines().any(|line| line == format!("worker:{n} fcntl"));
        outlived += u32::from(failed && daemon.log().contains(": done: "));
    }
    assert!(outlived >= 3, "leases that were refused for a moment: {outlived}");
}
