//! Each system call of a collection in turn is its last, fails, or is short: every byte stands in the spool, in a claim or in a
//! whole archive, and a rerun ends the work. Needs the test build (feature `fault`).

use crate::common::{self, NoCall, Scratch, comes_true, dogwatch};
use crate::{ends_well, names, numbered, put, scratch};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const FILES: [&str; 3] = ["a", "b", "c"];
const OLD: &str = "the old archive, which is none";
const PATIENCE: Duration = Duration::from_secs(30);
/// Runs at once: most of a run is waiting.
const AT_ONCE: usize = 4;

/// A collection with this fault in its worker, and what has come of it.
struct Run {
    scratch: Scratch,
    code: Option<i32>,
    out: String,
    log: String,
    /// What the worker has called.
    calls: Vec<String>,
}

fn run(fault: &str) -> Run {
    let scratch = scratch();
    put(&scratch, FILES);
    fs::write(scratch.path("files.tar.gz"), OLD).unwrap();
    let mut command = dogwatch();
    command.args(["collect", "--threshold", "3"]).current_dir(scratch.path(""));
    command.env("DOGWATCH_FAULT", fault).env("DOGWATCH_FAULT_LOG", scratch.path("src/points"));
    let mut daemon = scratch.spawn(&mut command);
    let code = daemon.wait().code();
    let points = scratch.read("src/points");
    let calls = points.lines().filter_map(|line| line.strip_prefix("worker:")?.split(' ').nth(1)).map(str::to_owned);
    Run { code, out: daemon.out(), log: daemon.log(), calls: calls.collect(), scratch }
}

/// What each archive of the directory holds; the old one is none.
fn archives(dir: &Path) -> Result<BTreeMap<String, Vec<String>>, String> {
    let mut archives = BTreeMap::new();
    for name in names(dir).into_iter().filter(|name| name.ends_with(".tar.gz")) {
        if fs::read(dir.join(&name)).unwrap() == OLD.as_bytes() {
            archives.insert(name, vec![OLD.to_owned()]);
            continue;
        }
        let output = Command::new("tar").arg("-xOzf").arg(dir.join(&name)).output().unwrap();
        if !output.status.success() {
            return Err(format!("{name} is half an archive: {output:?}"));
        }
        let text = String::from_utf8(output.stdout).unwrap();
        archives
            .insert(name, FILES.iter().filter(|file| text.contains(&content(file))).map(|f| (*f).to_owned()).collect());
    }
    Ok(archives)
}

fn content(name: &str) -> String {
    format!("text of {name}")
}

/// What is wrong with the files after a run, whatever has happened in it.
fn is_lost(scratch: &Scratch) -> Option<String> {
    let archives = match archives(&scratch.path("")) {
        Ok(archives) => archives,
        Err(wrong) => return Some(wrong),
    };
    if !archives.values().any(|members| members == &[OLD]) {
        return Some("the old archive is gone".to_owned());
    }
    let stands = |name: &&str| {
        let places = [format!("tmp/{name}"), format!("tmp/.dogwatch-collect/{name}")];
        places.iter().any(|place| scratch.read(place) == content(name))
            || archives.values().any(|members| members.iter().any(|member| member == name))
    };
    let lost: Vec<&str> = FILES.into_iter().filter(|name| !stands(name)).collect();
    (!lost.is_empty()).then(|| format!("{lost:?} are lost"))
}

/// What is wrong after a second run, which must have brought all to its end.
fn is_left(scratch: &Scratch) -> Option<String> {
    let mut daemon = scratch.spawn(dogwatch().args(["collect", "--threshold", "3"]).current_dir(scratch.path("")));
    let is_over = || daemon.try_wait().is_some() || names(&scratch.path("tmp")).is_empty();
    if !comes_true(PATIENCE, is_over) {
        return Some(format!("the rerun does not end: {:?}", names(&scratch.path("tmp"))));
    }
    drop(daemon);
    let archives = match archives(&scratch.path("")) {
        Ok(archives) => archives,
        Err(wrong) => return Some(wrong),
    };
    let of = |wanted: &str| archives.values().flatten().filter(|member| *member == wanted).count();
    let counts: Vec<usize> = [OLD].iter().chain(&FILES).map(|name| of(name)).collect();
    if counts != [1; 4] || !names(&scratch.path("tmp")).is_empty() {
        return Some(format!("not each once: {archives:?}, {:?}", names(&scratch.path("tmp"))));
    }
    let temporary: Vec<String> = names(&scratch.path("")).into_iter().filter(|name| name.starts_with('.')).collect();
    (!temporary.is_empty()).then(|| format!("{temporary:?} are left"))
}

/// Runs once for each call of a collection with this fault there.
fn sweep(fault: &str, judge: impl Fn(&Run) -> Option<String> + Sync) {
    let clean = run("");
    assert_eq!(
        (clean.code, clean.out.as_str(), is_lost(&clean.scratch)),
        (Some(0), "files collected\n", None),
        "{}",
        clean.log
    );
    let met = common::sweep(AT_ONCE, clean.calls.len(), |n| {
        let run = run(&format!("worker:{n}={fault}"));
        let call = run.calls.get(n - 1).ok_or(NoCall)?;
        let wrong = judge(&run).or_else(|| is_lost(&run.scratch)).or_else(|| is_left(&run.scratch));
        let (code, log) = (run.code, &run.log);
        Ok(wrong.map(|wrong| format!("{call} (worker:{n}={fault}): {wrong}; exit status {code:?}, log:\n{log}")))
    });
    println!("{fault} at each of {met} calls of a collection");
}

/// What an archive holds is not found in the spool after a power cut, nor claimed, however little of the rest is on disk.
#[test]
fn claims_are_on_disk_before_the_archive_and_their_end_after_it() {
    let calls = run("").calls;
    let places = |call: &str| -> Vec<usize> { (0..calls.len()).filter(|at| calls[*at].starts_with(call)).collect() };
    let (syncs, renames, unlinks) = (places("fsync"), places("renameat"), places("unlinkat"));
    let [.., claimed, _] = renames[..] else { panic!("{calls:?}") };
    // The last claim is looked at; then its directory and the spool are synced.
    assert_eq!(
        (renames.len(), &calls[claimed + 2..claimed + 4]),
        (FILES.len() + 1, &["fsync"; 2].map(String::from)[..])
    );
    // The last one removes the directory.
    let [.., last, directory] = unlinks[..] else { panic!("{calls:?}") };
    assert!(syncs.iter().any(|at| (last..directory).contains(at)), "{calls:?}");
}

/// Of very many small files, most of the time goes into these.
#[test]
fn a_file_more_costs_few_calls() {
    let calls = |files: usize| {
        let scratch = scratch();
        put(&scratch, numbered(0..files));
        let mut command = dogwatch();
        command.args(["collect", "--threshold", &files.to_string()]).current_dir(scratch.path(""));
        ends_well(scratch.spawn(command.env("DOGWATCH_FAULT_LOG", scratch.path("src/points"))));
        scratch.read("src/points").lines().filter(|line| line.starts_with("worker:")).count()
    };
    // A look at it and for writers, the claim and both again, what archives it, twice what has changed and for writers, its end.
    assert_eq!((calls(40) - calls(10)) / 30, 4 + 3 + 3 + 7 + 2 * 4 + 1);
}

/// As long as there are too few names, no file is looked at.
#[test]
fn too_few_files_are_not_looked_at() {
    let leases = |threshold: &str| {
        let scratch = scratch();
        put(&scratch, FILES);
        let mut command = dogwatch();
        command.args(["collect", "--dry-run", "--threshold", threshold]).current_dir(scratch.path(""));
        let output = command.env("DOGWATCH_FAULT_LOG", scratch.path("points")).output().unwrap();
        assert!(output.status.success());
        scratch.read("points").lines().filter(|line| line.contains(" fcntl")).count()
    };
    assert_eq!((leases("3") - leases("4"), leases("4")), (FILES.len(), leases("5")));
}

#[test]
fn a_kill_at_each_call_loses_nothing() {
    sweep("kill", |run| {
        (!run.out.is_empty() && run.code != Some(0)).then(|| "it says more than it has done".to_owned())
    });
}

/// It has collected, or says why not, with exit status 1.
fn is_clear(run: &Run) -> Option<String> {
    let has_collected = run.out == "files collected\n" && run.code == Some(0);
    let has_failed = run.out.is_empty() && run.code == Some(1) && run.log.contains(" ERROR ");
    let panicked = run.log.contains("panicked");
    (panicked || !has_collected && !has_failed).then(|| format!("it is not clear what it did: {:?}", run.out))
}

#[test]
fn no_room_at_any_call_loses_nothing() {
    sweep("ENOSPC", is_clear);
}

#[test]
fn an_error_at_any_call_loses_nothing() {
    sweep("EIO", is_clear);
}

#[test]
fn a_short_count_at_any_call_loses_nothing() {
    sweep("short", is_clear);
}
