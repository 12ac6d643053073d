//! `--dry-run`: what would be done is printed, and nothing is changed.

use crate::common::wait_until;
use crate::place::{Place, RUNS, SCHEDULES};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// All that is there: when it was changed last, and the bytes of files.
fn survey(dir: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let mut found = BTreeMap::from([(dir.to_owned(), (fs::metadata(dir).unwrap().modified().unwrap(), Vec::new()))]);
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.append(&mut survey(&entry.path()));
        } else {
            let bytes = fs::read(entry.path()).unwrap();
            found.insert(entry.path(), (entry.metadata().unwrap().modified().unwrap(), bytes));
        }
    }
    found
}

/// Whatever it prints, it changes nothing; the answer is its status, and what it prints.
#[track_caller]
fn dry(place: &Place, words: &[&str]) -> (Option<i32>, String) {
    let before = survey(&place.dir());
    let output = place.run([words, &["--dry-run"]].concat());
    assert_eq!(survey(&place.dir()), before, "{words:?} has changed something");
    let errors = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap() + &errors)
}

fn would(text: &str) -> (Option<i32>, String) {
    (Some(0), text.to_owned())
}

#[test]
fn schedules_stay_as_they_are() {
    let place = Place::new();
    assert_eq!(dry(&place, &["create", "src;12:00;b"]), would("would add the schedule src;12:00;b\n"));
    assert_eq!(dry(&place, &["delete", "0"]), (Some(1), "dogwatch: no schedule at index 0\n".to_owned()));
    assert_eq!(place.names("."), [""; 0]);
    place.write(SCHEDULES, "src;12:00;b\n");
    for (line, why) in [("src;12:00;b", "used already"), ("src;24:00;c", "24:00 is no time")] {
        let (status, said) = dry(&place, &["create", line]);
        assert!(status == Some(1) && said.contains(why), "{said}");
    }
    assert_eq!(dry(&place, &["delete", "0"]), would("would delete the schedule src;12:00;b\n"));
    assert_eq!(dry(&place, &["list"]), would("0: src;12:00;b\n"));
    assert_eq!(dry(&place, &["backups"]), would(""));
}

#[test]
fn no_backup_is_made_or_removed() {
    let place = Place::new();
    place.write("src/f", "text");
    place.write(SCHEDULES, "src;12:00;b\nnone;12:00;n\nsrc;12:00;k;keep=1\n");
    assert_eq!(dry(&place, &["run", "b"]), would("would back up src in backups/b.tar\n"));
    let (status, said) = dry(&place, &["run", "n"]);
    assert!(status == Some(1) && said.contains("cannot back up none: No such file or directory"), "{said}");
    assert_eq!(dry(&place, &["run", "x"]).0, Some(1));
    for name in ["b.tar", "k-20200101-120000.tar", "k-20200102-120000.tar", "k.incomplete.tar"] {
        place.write(&format!("backups/{name}"), "older");
    }
    let (status, said) = dry(&place, &["run", "all"]);
    let lines: Vec<&str> = said.lines().collect();
    let [b, k, incomplete, second, first, none] = lines[..] else { panic!("{lines:#?}") };
    assert_eq!((status, b), (Some(1), "would back up src in backups/b.tar"));
    assert!(k.starts_with("would back up src in backups/k-2") && k.contains("-1200") && k.ends_with(".tar"), "{k}");
    assert_eq!(incomplete, "would remove backups/k.incomplete.tar");
    assert_eq!([second, first], ["2", "1"].map(|n| format!("would remove backups/k-2020010{n}-120000.tar")));
    assert!(none.contains("cannot back up none"));
}

#[test]
fn the_service_is_neither_started_nor_stopped() {
    let place = Place::new();
    assert_eq!(dry(&place, &["start"]), would("would start the service\n"));
    assert_eq!(dry(&place, &["stop"]), (Some(1), "dogwatch: backup_service not running\n".to_owned()));
    place.prints(&["start"], "");
    let pid = place.pid().unwrap();
    wait_until("it has looked", || place.read(RUNS).contains("last "));
    assert_eq!(dry(&place, &["stop"]), would(&format!("would stop the service (pid {pid})\n")));
    let (status, said) = dry(&place, &["start"]);
    assert!(status == Some(1) && said.contains(&format!("already running (pid {pid}, since")), "{said}");
    place.prints(&["stop"], "");
}

#[test]
fn what_cannot_be_rehearsed_is_refused() {
    let place = Place::new();
    for words in [&["service"][..], &["restore", "b", "."]] {
        assert_eq!(dry(&place, words).0, Some(2), "{words:?}");
    }
}
