//! Nothing is lost: somebody appends numbered lines to files that are being collected, opening and closing them each time.

use super::{collect, names};
use crate::common::{Scratch, wait_until};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// In how many files the lines go, one after the other.
const FILES: usize = 20;

fn lines() -> usize {
    std::env::var("DOGWATCH_LINES").map_or(30_000, |text| text.parse().unwrap())
}

/// Appends lines to files in a directory, each opened and closed anew.
fn append(dir: &Path, count: usize) {
    for n in 0..count {
        let path = dir.join(format!("file{}", n % FILES));
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(format!("{n}\n").as_bytes()).unwrap();
    }
}

/// How often each line is found in the archives and the files of a directory.
fn found(dir: &Path) -> BTreeMap<usize, usize> {
    let mut all = String::new();
    for name in names(dir).iter().filter(|name| name.ends_with(".tar.gz")) {
        let output = Command::new("tar").arg("-xOzf").arg(dir.join(name)).output().unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
        all += std::str::from_utf8(&output.stdout).unwrap();
    }
    for name in names(&dir.join("tmp")).iter().filter(|name| name.starts_with("file")) {
        fs::File::open(dir.join("tmp").join(name)).unwrap().read_to_string(&mut all).unwrap();
    }
    let mut found = BTreeMap::new();
    for line in all.lines() {
        *found.entry(line.parse().unwrap()).or_default() += 1;
    }
    found
}

#[test]
fn every_line_is_found_once() {
    let count = lines();
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("tmp")).unwrap();
    let daemon = collect(&scratch, &["--follow", "--threshold", "5", "--log-level", "info"]);
    // As long as it takes for several collections.
    let mut appended = 0;
    wait_until("there were several collections", || {
        let tmp = scratch.path("tmp");
        for n in appended..appended + 500 {
            let mut file =
                OpenOptions::new().append(true).create(true).open(tmp.join(format!("file{}", n % FILES))).unwrap();
            file.write_all(format!("{n}\n").as_bytes()).unwrap();
        }
        appended += 500;
        appended >= count && daemon.out().lines().count() >= 3
    });
    let log = daemon.stop();
    let found = found(&scratch.path(""));
    let (lost, doubled) = (appended - found.len(), found.values().filter(|times| **times > 1).count());
    assert_eq!((lost, doubled), (0, 0), "of {appended} lines; {log}");
    println!(
        "{appended} lines, {} archives: none lost, none doubled",
        fs::read_dir(scratch.path("")).unwrap().count() - 4
    );
    println!("tar --remove-files on the same: {} of {count} lines lost", lost_by_tar(count));
}

/// The same with what people write in a crontab.
fn lost_by_tar(count: usize) -> usize {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("tmp")).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0.. {
                let script =
                    format!("cd tmp && ls | xargs -r tar -czf ../files{round}.tar.gz --remove-files -- 2>/dev/null");
                let _ = Command::new("sh").args(["-c", &script]).current_dir(scratch.path("")).status().unwrap();
                if over.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        append(&scratch.path("tmp"), count);
        over.store(true, Ordering::Relaxed);
    });
    count - found(&scratch.path("")).len()
}
