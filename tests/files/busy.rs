//! Files that are written to while they are moved, and destinations that several events have.

use crate::common::{skip, wait_until};
use crate::left::claim;
use crate::{await_end, config, far, scratch, send_file, temporaries, to};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

const LINES: u32 = 30_000;

/// Somebody appends to a file, opening it anew for each line, while it is moved away to another file system all the time.
#[test]
fn no_line_is_lost_or_doubled_that_is_appended_meanwhile() {
    let Some(far) = far() else { return skip("/dev/shm is no other file system") };
    let scratch = scratch();
    let daemon = scratch.start(&config(&[&to("move", "@FAR", "")], "", far.path()));
    let (log, arrived) = (scratch.src().join("log"), far.path().join("log"));
    let done = AtomicBool::new(false);
    let mut parts = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..LINES {
                let mut file = OpenOptions::new().create(true).append(true).open(&log).unwrap();
                writeln!(file, "{n}").unwrap();
                drop(file);
                if n % 100 == 0 {
                    // A line of each hundred is left to rest for a while, so that moves have a chance.
                    std::thread::park_timeout(std::time::Duration::from_millis(30));
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        // What has arrived makes room for the next.
        while !done.load(Ordering::Relaxed) {
            if fs::rename(&arrived, far.path().join(format!("part{parts}"))).is_ok() {
                parts += 1;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(1));
        }
    });
    let is_idle = || {
        let log = daemon.log();
        let mut running = std::collections::BTreeSet::new();
        for line in log.lines() {
            let Some(id) = line.split(' ').find(|word| word.starts_with("files#")) else { continue };
            if line.contains(": started, worker") {
                running.insert(id);
            } else if line.contains(": done: ") || line.contains(": failed: ") {
                running.remove(id);
            }
        }
        running.is_empty()
    };
    wait_until("all have ended", is_idle);
    daemon.stop();
    let mut seen: BTreeMap<u32, u32> = BTreeMap::new();
    for dir in [far.path().to_owned(), scratch.src()] {
        for entry in fs::read_dir(dir).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            text.lines().for_each(|line| *seen.entry(line.parse().unwrap()).or_default() += 1);
        }
    }
    assert!(parts > 5, "it was moved {parts} times");
    let wrong: Vec<_> = (0..LINES).filter(|n| seen.get(n) != Some(&1)).collect();
    assert!(wrong.is_empty(), "{} lines are not there once: {:?}", wrong.len(), &wrong[..wrong.len().min(20)]);
}

/// Somebody opens the file in the moment between the last look for writers and the claim, and writes to it after that.
#[test]
fn who_has_opened_it_at_the_last_moment_is_waited_for() {
    let Some(far) = far() else { return skip("/dev/shm is no other file system") };
    let scratch = scratch();
    let daemon = scratch.start(&config(&[&to("move", "@FAR", "")], "", far.path()));
    let mut opened = 0;
    let mut round = 0;
    while opened < 3 {
        round += 1;
        assert!(round < 2_000, "it was opened in time {opened} times only");
        let name = format!("f{round}");
        let claim = scratch.src().join(claim(&name));
        let path = send_file(&scratch, &name, "one ");
        let arrived = far.path().join(&name);
        // Without a pause: the moment is short.
        while !arrived.exists() {
            if fs::symlink_metadata(&claim).is_err() {
                continue;
            }
            let Ok(mut file) = OpenOptions::new().append(true).open(&path) else { break };
            std::thread::park_timeout(std::time::Duration::from_millis(100));
            file.write_all(b"two").unwrap();
            drop(file);
            wait_until("it has arrived", || arrived.exists());
            assert_eq!(fs::read_to_string(&arrived).unwrap(), "one two");
            opened += 1;
        }
        await_end(&daemon, &path, "done: ");
    }
}

#[test]
fn a_file_that_is_open_for_writing_waits_for_its_close() {
    let Some(far) = far() else { return skip("/dev/shm is no other file system") };
    let scratch = scratch();
    let daemon = scratch.start(&config(&[&to("move", "@FAR", "")], "", far.path()));
    fs::write(scratch.path("stage/f"), "one ").unwrap();
    let mut file = OpenOptions::new().append(true).open(scratch.path("stage/f")).unwrap();
    let path = crate::send(&scratch, "f");
    // At once, and without having taken it from its path.
    await_end(&daemon, &path, &format!("failed: cannot move {}: somebody writes to f", path.display()));
    file.write_all(b"two").unwrap();
    drop(file);
    await_end(&daemon, &path, "done: ");
    assert_eq!(fs::read_to_string(far.path().join("f")).unwrap(), "one two");
}

/// Two events with the same destination: one wins whole, the other is told, or replaces it whole.
#[test]
fn two_with_the_same_destination_do_not_mix() {
    let Some(far) = far() else { return skip("/dev/shm is no other file system") };
    for (round, replaces) in ["no", "yes", "no", "yes"].into_iter().enumerate() {
        let scratch = scratch();
        let target = far.path().join(format!("f{round}"));
        let rule = format!("action = copy\nsrc_re = ^@SRC/.*$\ndst_re = {}\noverride = {replaces}", target.display());
        let daemon = scratch.start(&config(&[&rule], "", far.path()));
        let texts = ["a", "b"].map(|letter| letter.repeat(20 << 20));
        for (name, text) in ["a", "b"].into_iter().zip(&texts) {
            fs::write(scratch.path("stage").join(name), text).unwrap();
        }
        let paths = ["a", "b"].map(|name| crate::send(&scratch, name));
        wait_until("both have ended", || {
            paths.iter().all(|path| {
                let log = daemon.log();
                ["done", "failed"].iter().any(|end| log.contains(&format!("{}: {end}", path.display())))
            })
        });
        let log = daemon.stop();
        let text = fs::read_to_string(&target).unwrap();
        assert!(texts.contains(&text), "a mixture");
        let done = log.matches(": done: ").count();
        assert_eq!(done, if replaces == "yes" { 2 } else { 1 }, "{log}");
        assert!(temporaries(far.path()).is_empty());
        assert!(paths.iter().all(|path| Path::exists(path)));
    }
}
