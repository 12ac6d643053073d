//! What is wrong is told and logged, nothing is lost by it, and the service lives on.

use crate::common::{dogwatch, is_root, skip, wait_until};
use crate::place::{Place, RUNS, SCHEDULES};
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::RecvTimeoutError;

/// Lines that are no schedules, and a word of what is said about each.
const BAD: [(&str, &str); 20] = [
    ("", "three fields"),
    ("test", "three fields"),
    ("test;12:00", "three fields"),
    ("test;", "three fields"),
    (";12:00;name", "field 1 is empty"),
    ("test;;name", "field 2 is empty"),
    ("test;12:00;", "field 3 is empty"),
    ("test;12:00;name;", "field 4 is empty"),
    ("test;24:00;name", "24:00 is no time"),
    ("test;7:5;name", "7:5 is no time"),
    ("test;12:60;name", "12:60 is no time"),
    ("test;+1:00;name", "+1:00 is no time"),
    ("test;noon;name", "noon is no time"),
    ("test;12:00;a/b", "/ in it"),
    ("test;12:00;.name", "begins with a dot"),
    ("test;12:00;..", "begins with a dot"),
    ("test;12:00;b.incomplete", "ends in .incomplete"),
    ("test;12:00;name;more", "more is no key=value"),
    ("test;12:00;name;kep=1", "did you mean keep?"),
    ("test;12:00;used", "used already"),
];

#[test]
fn create_refuses_what_is_no_schedule() {
    let place = Place::new();
    place.prints(&["create", "src;13:00;used"], "");
    for (line, reason) in BAD {
        place.refuses(&["create", line], reason);
        assert_eq!(place.log("manager").last().unwrap(), &format!("Error: malformed schedule: {line}"));
    }
    place.refuses(&["create", "two\nlines;12:00;x"], "one line");
    assert_eq!(place.log("manager").last().unwrap(), "Error: malformed schedule: two\\nlines;12:00;x");
    place.refuses(&["create", "src;12:00;x\nsrc;12:00;y"], "one line");
    assert_eq!(place.read(SCHEDULES), "src;13:00;used\n");
    // Bytes are bytes, and a path may have any but a semicolon and a newline.
    let hostile = OsString::from_vec(b"$(x) \xff\t'\";12:00;n\xfe-rf".to_vec());
    assert!(place.run([OsString::from("create"), hostile.clone()]).status.success());
    assert_eq!(
        fs::read(place.path(SCHEDULES)).unwrap(),
        [b"src;13:00;used\n", hostile.as_encoded_bytes(), b"\n"].concat()
    );
    place.prints(&["list"], "0: src;13:00;used\n1: $(x) \\xff\\x09'\";12:00;n\\xfe-rf\n");
}

#[test]
fn delete_refuses_what_is_no_index() {
    let place = Place::new();
    place.refuses(&["delete", "0"], "no schedule at index 0");
    assert!(!place.path(SCHEDULES).exists());
    place.write(SCHEDULES, "a;13:00;a\n\nb;13:00;b\n");
    // An empty line is no schedule either.
    for index in ["1", "3", "4", "x", "", "+0", "0x0", "99999999999999999999999"] {
        place.refuses(&["delete", index], "no schedule at index");
        assert_eq!(place.log("manager").last().unwrap(), &format!("Error: no schedule at index {index}"));
    }
    assert_eq!(place.run(["delete", "-1"]).status.code(), Some(2));
    assert_eq!(place.read(SCHEDULES), "a;13:00;a\n\nb;13:00;b\n");
    place.prints(&["delete", "2"], "");
    assert_eq!(place.log("manager").last().unwrap(), "Schedule deleted: b;13:00;b");
    place.prints(&["list"], "0: a;13:00;a\n");
}

/// A schedules file that is none, as far as the system is concerned.
#[test]
fn what_cannot_be_changed_is_told_and_logged() {
    let place = Place::new();
    fs::create_dir(place.path(SCHEDULES)).unwrap();
    for words in [&["create", "src;12:00;b"][..], &["delete", "0"]] {
        place.refuses(words, "Is a directory");
        assert!(place.log("manager").last().unwrap().starts_with("Error: cannot read "), "{:?}", place.log("manager"));
    }
    for words in [&["list"][..], &["run", "all"], &["status"], &["next"]] {
        place.refuses(words, "Is a directory");
    }
}

/// What a hand has written wrongly is reported with its number, and stays where it is.
#[test]
fn bad_lines_are_reported_and_left_alone() {
    let place = Place::new();
    let lines: Vec<&str> = BAD.iter().map(|(line, _)| *line).filter(|line| !line.is_empty()).collect();
    // There is no newline at its end.
    let text = format!("src;12:00;used\n{}\nsrc;12:00;last", lines.join("\n"));
    place.write("src/f", "text");
    place.write(SCHEDULES, &text);
    let output = place.run(["list"]);
    let numbered: String = text.lines().enumerate().map(|(n, line)| format!("{n}: {line}\n")).collect();
    assert_eq!((output.status.code(), String::from_utf8(output.stdout).unwrap()), (Some(0), numbered));
    let errors = String::from_utf8(output.stderr).unwrap();
    for (n, (_, reason)) in BAD[1..].iter().enumerate() {
        let told = |line: &&str| line.contains(&format!("schedule {} ", n + 1)) && line.contains(reason);
        assert_eq!(errors.lines().filter(told).count(), 1, "{n} {reason}: {errors}");
    }
    let daemon = place.service(&[]);
    place.await_log("Backup done for src in backups/used.tar");
    place.await_log("Backup done for src in backups/last.tar");
    let log = place.log("service");
    for (n, (_, reason)) in BAD[1..].iter().enumerate() {
        let told = |line: &&String| {
            line.starts_with(&format!("Error: malformed schedule at index {}: ", n + 1)) && line.contains(reason)
        };
        assert_eq!(log.iter().filter(told).count(), 1, "{n} {reason}: {log:#?}");
    }
    place.prints(&["create", "src;13:00;new"], "");
    assert_eq!(place.read(SCHEDULES), format!("{text}\nsrc;13:00;new\n"));
    place.prints(&["delete", "3"], "");
    place.prints(&["delete", "0"], "");
    let left =
        lines.iter().enumerate().filter(|(n, _)| *n != 2).map(|(_, line)| format!("{line}\n")).collect::<String>();
    assert_eq!(place.read(SCHEDULES), format!("{left}src;12:00;last\nsrc;13:00;new\n"));
    daemon.stop();
    assert_eq!(place.names("backups"), ["last.tar", "used.tar"]);
}

/// A source that is missing, is a link, or that nobody may read.
#[test]
fn a_source_that_cannot_be_read_is_told_and_the_old_backup_stays() {
    let place = Place::new();
    place.write("src/f", "text");
    symlink("src", place.path("link")).unwrap();
    place.write("backups/gone.tar", "the old backup");
    place.write(SCHEDULES, "gone;12:00;gone\nno/where;12:00;deep\nlink;12:00;link\nsrc;12:00;src\n");
    let daemon = place.service(&[]);
    place.await_log("Backup done for src in backups/src.tar");
    let log = place.log("service").join("\n");
    for words in [
        "Backup failed for gone: cannot back up gone: No such file or directory",
        "Backup failed for no/where: cannot back up no/where: No such file or directory",
        "Backup failed for link: cannot back up link: it is a symbolic link",
    ] {
        assert_eq!(log.matches(words).count(), 1, "{words}: {log}");
    }
    daemon.stop();
    assert_eq!(place.names("backups"), ["gone.tar", "src.tar"]);
    assert_eq!(place.read("backups/gone.tar"), "the old backup");
    assert_eq!(place.read(RUNS).matches(" done ").count(), 4);
}

/// Part of a source cannot be read: that is a failure. What can be is kept beside what was backed up whole before, of which
/// nothing goes, until all of it is backed up again.
#[test]
fn a_part_that_cannot_be_read_replaces_nothing() {
    if !is_root() {
        return skip("another user is one that root becomes");
    }
    let place = Place::new();
    place.write("src/secret", "text");
    place.write("src/open", "text");
    fs::set_permissions(place.path("src/secret"), fs::Permissions::from_mode(0o600)).unwrap();
    place.write("backups/b.tar", "the old backup");
    place.write("backups/k-20200101-120000.tar", "an older one");
    place.write(SCHEDULES, "src;12:00;b\nsrc;12:00;k;keep=1\n");
    let own = ["", "backups", "backups/b.tar", "backups/k-20200101-120000.tar", SCHEDULES].map(|name| place.path(name));
    for path in own.iter().chain([&place.scratch.path("")]) {
        std::os::unix::fs::chown(path, Some(54_321), Some(54_321)).unwrap();
    }
    let line = "exec setpriv --reuid=54321 --regid=54321 --clear-groups \"$@\"";
    let daemon = place.scratch.spawn(&mut place.by_shell(line, &["service"]));
    for name in ["b", "k"] {
        place.await_log(&format!(
            "Backup failed for src: cannot back up src: cannot archive src/secret: Permission denied; \
             all that could be read is in backups/{name}.incomplete.tar"
        ));
        let found = place.members(&format!("{name}.incomplete.tar"));
        assert_eq!(found.keys().collect::<Vec<_>>(), ["src/", "src/open"]);
    }
    daemon.stop();
    let names = ["b.incomplete.tar", "b.tar", "k-20200101-120000.tar", "k.incomplete.tar"];
    assert_eq!(place.names("backups"), names);
    assert_eq!(place.read("backups/b.tar"), "the old backup");
    assert_eq!(place.read(RUNS).matches(" done ").count(), 2, "the date has had its run");
    // Root may read it.
    assert!(place.run(["run", "all"]).status.success());
    let names = place.names("backups");
    assert!(names.len() == 2 && names[0] == "b.tar" && names[1].starts_with("k-2"), "{names:?}");
    assert!(!names[1].contains("k-20200101"));
    for name in &names {
        assert_eq!(place.members(name).get("src/secret").unwrap(), b"text");
    }
}

/// What changes while it is read is in the backup as it was found, and told; or nobody could back up what is in use.
#[test]
fn a_file_that_changes_meanwhile_is_told() {
    let place = Place::new();
    place.write("src/log", vec![1; 8 << 20]);
    place.write("backups/b.tar", "the old backup");
    place.write(SCHEDULES, "src;12:00;b;level=9\n");
    let path = place.path("src/log");
    std::thread::scope(|scope| {
        let (sender, ended) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            let mut file = fs::File::options().append(true).open(path).unwrap();
            while ended
                .recv_timeout(std::time::Duration::from_millis(1))
                .is_err_and(|wrong| wrong == RecvTimeoutError::Timeout)
            {
                file.write_all(b"line\n").unwrap();
            }
        });
        let daemon = place.service(&[]);
        place.await_words(
            "Error: not all of src is in its backup as it was: cannot archive all of src/log: it became longer",
        );
        drop(sender);
        daemon.stop();
    });
    assert_eq!(place.log("service")[0], "Backup done for src in backups/b.tar");
    assert_eq!(place.names("backups"), ["b.tar"]);
    assert!(place.members("b.tar").get("src/log").unwrap().len() >= 8 << 20);
}

/// The disk is full: that is told as well as can be, the old backup stands, and once there is room the next run is good.
#[test]
fn a_full_disk_is_told_and_nothing_is_lost() {
    if !is_root() {
        return skip("only root mounts file systems");
    }
    let place = Place::new();
    place.write("src", "");
    fs::remove_file(place.path("src")).unwrap();
    let source = place.scratch.path("src");
    let random: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(3 << 20).collect();
    fs::write(source.join("f"), &random).unwrap();
    let script = "mount -t tmpfs -o size=4m tmpfs \"$0\" && mkdir \"$0/backups\" && echo old > \"$0/backups/b.tar\" && \
        echo \"$1;12:00;b\" > \"$0/backup_schedules.txt\" && head -c $((3 << 20)) /dev/zero > \"$0/ballast\" && shift && exec \"$@\"";
    let service = place.command(["service"]);
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script]).arg(place.dir()).arg(&source).arg(dogwatch().get_program());
    command.args(service.get_args()).envs(service.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let daemon = place.scratch.spawn(&mut command);
    let inside = PathBuf::from(format!("/proc/{}/root{}", daemon.pid(), place.dir().display()));
    let read = |name: &str| String::from_utf8_lossy(&fs::read(inside.join(name)).unwrap_or_default()).into_owned();
    wait_until("the failure is told", || read("logs/backup_service.log").contains("No space left on device"));
    assert_eq!(read("backups/b.tar"), "old\n");
    assert!(read(SCHEDULES).ends_with(";12:00;b\n"));
    assert_eq!(fs::read_dir(inside.join("backups")).unwrap().count(), 1);
    // Full to the last byte: neither a record nor a line finds room.
    fs::remove_file(inside.join(RUNS)).unwrap();
    let fill = |name: &str| {
        let mut file = fs::File::create(inside.join(name)).unwrap();
        while std::io::Write::write(&mut file, &[1; 4096]).is_ok_and(|wrote| wrote > 0) {}
    };
    fill("more");
    let before = daemon.log().matches("No space left on device").count();
    fs::write(inside.join(".touch"), "").unwrap();
    fs::rename(inside.join(".touch"), inside.join("touched")).unwrap();
    // The schedules file is moved away and back: the service looks.
    fs::rename(inside.join(SCHEDULES), inside.join("away")).unwrap();
    fs::rename(inside.join("away"), inside.join(SCHEDULES)).unwrap();
    wait_until("it is told", || daemon.log().matches("No space left on device").count() > before);
    // Nor does another schedule, which takes none of those away that are there.
    let schedules = read(SCHEDULES);
    let output = dogwatch().args(["backup", "create", "x;13:00;x", "-C"]).arg(&inside).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && errors.contains("No space left on device"), "{errors}");
    assert_eq!(read(SCHEDULES), schedules);
    assert_eq!(read("backups/b.tar"), "old\n");
    for ballast in ["more", "ballast"] {
        fs::remove_file(inside.join(ballast)).unwrap();
    }
    // Nobody tells the service: it tries again by itself, while it is due.
    wait_until("it is made once there is room", || read("logs/backup_service.log").contains("Backup done for "));
    let members = Command::new("tar").arg("-xOzf").arg(inside.join("backups/b.tar")).output().unwrap();
    assert!(members.status.success() && members.stdout == random);
    daemon.stop();
}
