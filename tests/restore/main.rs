//! `dogwatch backup verify`, `contents` and `restore`: what was backed up comes back, of the backup that is meant.

#[path = "../common/mod.rs"]
mod common;
mod foreign;
mod hostile;
mod now;
mod strange;
mod tree;

use common::{Scratch, dogwatch, skip};
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, UNIX_EPOCH};
use tree::{is_plain, noise, plant, survey};

/// `dogwatch backup` with these words, in a directory of the test's own.
fn backup(scratch: &Scratch, words: &[&str]) -> Output {
    dogwatch().arg("backup").args(words).current_dir(scratch.path("")).output().unwrap()
}

/// Exit status, standard output and error.
fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[track_caller]
fn done(scratch: &Scratch, words: &[&str]) -> String {
    let (status, out, err) = told(&backup(scratch, words));
    assert_eq!((status, err.as_str()), (Some(0), ""), "{words:?}: {out}");
    out
}

/// Backs a source up by the service, under this name: where the backup is.
fn back_up(scratch: &Scratch, source: &str, name: &str) -> PathBuf {
    let path = scratch.path(format!("backups/{name}.tar"));
    // Between two commands the minute may end.
    for _ in 0..5 {
        let now = UNIX_EPOCH.elapsed().unwrap().as_secs() / 60;
        done(scratch, &["create", &format!("{source};{:02}:{:02};{name}", now / 60 % 24, now % 60)]);
        done(scratch, &["start"]);
        done(scratch, &["stop"]);
        done(scratch, &["delete", "0"]);
        if path.exists() {
            return path;
        }
    }
    panic!("no backup was made: {}", scratch.read("logs/backup_service.log"));
}

/// An archive by GNU tar that holds one file, `which`, which says which archive it is.
fn archive(scratch: &Scratch, path: &str, modified: u64) {
    let path = scratch.path(path);
    let made = tempfile::tempdir().unwrap();
    fs::write(made.path().join("which"), path.file_name().unwrap().to_str().unwrap()).unwrap();
    let tar = Command::new("tar").arg("-C").arg(made.path()).arg("-czf").arg(&path).arg("which").status();
    assert!(tar.unwrap().success());
    File::options().append(true).open(&path).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(modified)).unwrap();
}

/// A new directory.
fn dir(scratch: &Scratch, name: &str) -> PathBuf {
    fs::create_dir(scratch.path(name)).unwrap();
    scratch.path(name)
}

#[test]
fn a_tree_comes_back_as_it_was() {
    let scratch = Scratch::new();
    plant(&scratch.path("tree"));
    let before = survey(&scratch.path("tree"));
    let archive = back_up(&scratch, "tree", "all");
    let members = before.len() + 1;
    let to = dir(&scratch, "to");
    let out = done(&scratch, &["restore", "all", "to"]);
    assert_eq!(out, format!("{}: {members} members restored\n", archive.display()));
    let after = survey(&to.join("tree"));
    for (path, facts) in &before {
        assert_eq!(after.get(path), Some(facts), "{path:?}");
    }
    assert_eq!(after.len(), before.len());
    // Once more: what is there stays, and directories are there to hold it.
    let others = before.values().filter(|facts| !facts.starts_with('4')).count();
    let (status, out, err) = told(&backup(&scratch, &["restore", "all", "to"]));
    assert_eq!((status, out), (Some(1), format!("{}: 0 members restored, {others} not\n", archive.display())));
    assert_eq!(err.lines().count(), others);
    assert_eq!(survey(&to.join("tree")), before);
    let blocks = fs::metadata(to.join("tree/sparse")).unwrap().blocks();
    assert!(blocks < 100, "holes are holes again: {blocks} blocks");
    assert!(done(&scratch, &["verify", "all"]).starts_with(&format!("{}: {members} members, ", archive.display())));
}

/// Member by member as GNU tar, and no name makes two lines.
#[test]
fn contents_are_listed_as_tar_lists_them() {
    let scratch = Scratch::new();
    plant(&scratch.path("tree"));
    let archive = back_up(&scratch, "tree", "all");
    let tar = Command::new("tar").args(["--numeric-owner", "-tvzf"]).arg(&archive).env("TZ", "UTC0").output().unwrap();
    let words = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| is_plain(Path::new(line)));
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    let (listed, by_tar) = (done(&scratch, &["contents", "all"]), String::from_utf8_lossy(&tar.stdout).into_owned());
    assert_eq!(words(&listed), words(&by_tar));
    assert_eq!(listed.lines().count(), survey(&scratch.path("tree")).len() + 1);
    assert!(listed.contains(" tree/\\xff\\xfe\\n'\"$(x)\\\\n name \n"), "{listed}");
    assert!(
        listed.contains("-rwsr-x--x ") && listed.contains("-rw---Sr-- ") && listed.contains("drwxrwxrwt "),
        "{listed}"
    );
}

#[test]
fn the_backup_that_is_meant_is_taken() {
    let scratch = Scratch::new();
    dir(&scratch, "backups");
    // 2024-03-01 12:00 in UTC.
    let noon = 1_709_294_400;
    for (name, modified) in [
        ("x-20240229-230000.tar", noon + 9),
        ("x-20240301-080000.tar", noon + 8),
        ("x-20240301-090000.tar", noon + 7),
        ("x.tar", noon - 60 * 60),
        ("x-y.tar", noon + 1),
        ("xy-20250101-000000.tar", noon + 2),
        ("x@2024-02-29.tar", noon + 3),
        ("y-20240229-230000.tar", noon),
        ("y.tar.tar", noon),
        ("y.tar", noon),
        ("other", noon),
    ] {
        archive(&scratch, &format!("backups/{name}"), modified);
    }
    archive(&scratch, "own.tar", noon);
    archive(&scratch, "x", noon);
    for (n, (word, which)) in [
        ("x", "x.tar"),
        ("x@2024-03-01", "x.tar"),
        ("y", "y.tar"),
        ("y@2024-02-29", "y-20240229-230000.tar"),
        // A name is more than a date, and than a file.
        ("x@2024-02-29", "x@2024-02-29.tar"),
        ("y.tar", "y.tar.tar"),
        ("x-20240301-080000.tar", "x-20240301-080000.tar"),
        ("other", "other"),
        ("own.tar", "own.tar"),
        ("./x", "x"),
        ("backups/y.tar", "y.tar"),
    ]
    .into_iter()
    .enumerate()
    {
        let to = dir(&scratch, &format!("to{n}"));
        done(&scratch, &["restore", word, to.to_str().unwrap()]);
        assert_eq!(fs::read_to_string(to.join("which")).unwrap(), which, "{word}");
    }
    // An hour before, by the zone's clocks, it is older than the last of that date.
    let to = dir(&scratch, "west");
    let mut west = dogwatch();
    west.env("TZ", "XXX3").args(["backup", "restore", "x", "west"]).current_dir(scratch.path(""));
    assert!(west.output().unwrap().status.success());
    assert_eq!(fs::read_to_string(to.join("which")).unwrap(), "x-20240301-090000.tar");
    for word in ["x@2024-03-02", "x@2024-02-30", "x@", "none", "", "backups/none", "@2024-03-01"] {
        let (status, out, err) = told(&backup(&scratch, &["restore", word, "to0"]));
        assert_eq!((status, out.as_str(), err.lines().count()), (Some(1), "", 1), "{word}: {err}");
        assert!(err.contains("No such file or directory"), "{err}");
    }
    let of_x = done(&scratch, &["verify", "x"]);
    let names: Vec<&str> = of_x.lines().map(|line| line.split([':', '/']).rev().nth(1).unwrap()).collect();
    assert_eq!(names, ["x.tar", "x-20240301-090000.tar", "x-20240301-080000.tar", "x-20240229-230000.tar"]);
    assert_eq!(done(&scratch, &["verify", "x@2024-03-01"]).lines().count(), 3);
}

/// On a machine that has nothing but the archive, and leaves nothing there.
#[test]
fn an_archive_alone_is_enough() {
    let scratch = Scratch::new();
    let elsewhere = Scratch::new();
    archive(&elsewhere, "a.tar", 0);
    let path = elsewhere.path("a.tar");
    let path = path.to_str().unwrap();
    dir(&scratch, "real");
    symlink("real", scratch.path("to")).unwrap();
    let listed = done(&scratch, &["-C", "/nonexistent", "contents", path]);
    assert!(listed.ends_with(" which\n"), "{listed}");
    assert_eq!(done(&scratch, &["verify", path]), format!("{path}: 1 members, 10240 bytes\n"));
    assert_eq!(done(&scratch, &["restore", path, "to"]), format!("{path}: 1 members restored\n"));
    assert_eq!(scratch.read("real/which"), "a.tar");
    let mut names: Vec<_> = fs::read_dir(scratch.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["real", "src", "to"]);
}

#[test]
fn paths_are_restored_alone() {
    let scratch = Scratch::new();
    plant(&scratch.path("tree"));
    back_up(&scratch, "tree", "all");
    let to = dir(&scratch, "to");
    done(&scratch, &["restore", "all", "to", "tree/dir/in", "/tree/dir/second", "./tree/empty/"]);
    let restored = survey(&to);
    let names: Vec<&str> = restored.keys().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(names, ["tree", "tree/dir", "tree/dir/in", "tree/dir/in/file", "tree/dir/second", "tree/empty"]);
    let (status, out, err) = told(&backup(&scratch, &["restore", "all", "to", "tree/nano", "tree/nan", "nano"]));
    assert!(status == Some(1) && out.ends_with(": 1 members restored, 2 not\n"), "{out}");
    let none = |path| format!("dogwatch: cannot restore {path}: nothing in the archive has this name\n");
    assert_eq!(err, none("tree/nan") + &none("nano"));
    assert!(to.join("tree/nano").exists());
    // Of a file with two names the first one has the content.
    dir(&scratch, "other");
    let (status, _, err) = told(&backup(&scratch, &["restore", "all", "other", "tree/plain"]));
    let names = "dogwatch: cannot restore tree/plain: it is another name of tree/dir/second, which is not to be had: ";
    assert!(status == Some(1) && err.starts_with(names), "{err}");
    assert_eq!(done(&scratch, &["restore", "all", "to", "tree/plain"]).lines().count(), 1);
    assert_eq!(scratch.read("to/tree/plain"), "content\n");
}

#[test]
fn nothing_is_overwritten_unasked() {
    let scratch = Scratch::new();
    archive(&scratch, "a.tar", 0);
    let to = dir(&scratch, "to");
    fs::write(to.join("which"), "old").unwrap();
    let (status, out, err) = told(&backup(&scratch, &["restore", "a.tar", "to"]));
    assert_eq!((status, out.as_str()), (Some(1), "a.tar: 0 members restored, 1 not\n"));
    assert_eq!(
        err,
        "dogwatch: cannot restore which: something has its name, which is not to be overwritten (--overwrite)\n"
    );
    assert_eq!(scratch.read("to/which"), "old");
    assert_eq!(done(&scratch, &["restore", "--overwrite", "a.tar", "to"]), "a.tar: 1 members restored\n");
    assert_eq!(scratch.read("to/which"), "a.tar");
}

#[test]
fn wrong_use_is_told() {
    let scratch = Scratch::new();
    archive(&scratch, "a.tar", 0);
    for (words, form) in [
        (&["restore"][..], "backup restore NAME[@DATE]|FILE DIR [PATH]..."),
        (&["restore", "a.tar"], "backup restore NAME[@DATE]|FILE DIR [PATH]..."),
        (&["contents"], "backup contents NAME|FILE"),
        (&["contents", "a", "b"], "backup contents NAME|FILE"),
        (&["verify", "a", "b"], "backup verify [NAME|FILE]"),
        (&["run"], "backup run NAME|all"),
        (&["rest"], "one of the commands that dogwatch help backup shows"),
        (&[], "one of the commands that dogwatch help backup shows"),
    ] {
        let (status, out, err) = told(&backup(&scratch, words));
        assert_eq!((status, out.as_str()), (Some(2), ""), "{words:?}");
        assert_eq!(err, format!("dogwatch: give {form}\nusage: dogwatch backup [-C DIR] COMMAND\n"));
    }
    for into in ["none", "a.tar"] {
        let (status, out, err) = told(&backup(&scratch, &["restore", "a.tar", into]));
        assert_eq!((status, out.as_str()), (Some(1), ""), "{into}");
        assert!(err.contains("cannot restore into ") && err.ends_with("; name a directory that is there\n"), "{err}");
    }
    let (status, out, err) = told(&backup(&scratch, &["verify"]));
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert!(err.contains(": there is none; "), "who verifies nothing is not told that all is well: {err}");
}

#[test]
fn each_backup_is_verified() {
    let scratch = Scratch::new();
    dir(&scratch, "backups");
    for name in ["a.tar", "b.tar", "c.tar"] {
        archive(&scratch, &format!("backups/{name}"), 0);
    }
    assert_eq!(done(&scratch, &["verify"]).lines().count(), 3);
    let damaged = scratch.path("backups/b.tar");
    let bytes = fs::read(&damaged).unwrap();
    fs::write(&damaged, &bytes[..bytes.len() - 9]).unwrap();
    let (status, out, err) = told(&backup(&scratch, &["verify"]));
    let path = |name: &str| scratch.path(format!("backups/{name}.tar")).display().to_string();
    let good = |name| format!("{}: 1 members, 10240 bytes\n", path(name));
    assert_eq!((status, out), (Some(1), format!("{}{}: failed\n{}", good("a"), path("b"), good("c"))));
    assert!(err.lines().count() == 1 && err.contains(&path("b")), "{err}");
    assert_eq!(told(&backup(&scratch, &["verify", "b"])).0, Some(1));
    assert_eq!(told(&backup(&scratch, &["verify", "c"])).0, Some(0));
}

#[test]
fn a_closed_output_ends_it_quietly() {
    let scratch = Scratch::new();
    dir(&scratch, "backups");
    archive(&scratch, "backups/a.tar", 0);
    let to = dir(&scratch, "to");
    let into_nowhere = |words: &[&str]| {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        drop(reader);
        let mut command = dogwatch();
        command.arg("backup").args(words).current_dir(scratch.path("")).stdout(Stdio::from(writer));
        told(&command.output().unwrap())
    };
    for words in [&["verify"][..], &["contents", "a"], &["restore", "a", "to"]] {
        let (status, _, err) = into_nowhere(words);
        assert_eq!((status, err.as_str()), (Some(0), ""), "{words:?}");
    }
    assert!(to.join("which").exists());
    // What has failed has failed, also if nobody hears of it.
    fs::write(scratch.path("backups/a.tar"), "").unwrap();
    for words in [&["verify"][..], &["contents", "a"], &["restore", "a", "to"]] {
        assert_eq!(into_nowhere(words).0, Some(1), "{words:?}");
    }
    archive(&scratch, "backups/a.tar", 0);
    if !Path::new("/dev/full").exists() {
        return skip("there is no /dev/full");
    }
    for words in [&["verify"][..], &["contents", "a"], &["restore", "--overwrite", "a", "to"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = dogwatch();
        command.arg("backup").args(words).current_dir(scratch.path("")).stdout(full);
        let (status, _, err) = told(&command.output().unwrap());
        assert_eq!((status, err.lines().count()), (Some(1), 1), "{words:?}: {err}");
    }
}
