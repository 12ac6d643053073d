//! What is wrong is told and logged, nothing is lost by it, and the service lives on.

use crate::common::{dogwatch, is_root, skip, wait_until};
use crate::place::{Place, RUNS, SCHEDULES};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

/// Lines that are no schedules, and a word of what is said about each.
const BAD: [(&str, &str); 18] = [
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
    ("test;12:00;name;more", "more is no key=value"),
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

#[test]
fn a_file_that_cannot_be_read_is_told() {
    if !is_root() {
        return skip("another user is one that root becomes");
    }
    let place = Place::new();
    place.write("src/secret", "text");
    place.write("src/open", "text");
    fs::set_permissions(place.path("src/secret"), fs::Permissions::from_mode(0o600)).unwrap();
    place.write(SCHEDULES, "src;12:00;b\n");
    for path in [place.scratch.path(""), place.dir(), place.path(SCHEDULES)] {
        std::os::unix::fs::chown(&path, Some(54_321), Some(54_321)).unwrap();
    }
    let manager = place.command(["service"]);
    let mut command = Command::new("setpriv");
    command.args(["--reuid=54321", "--regid=54321", "--clear-groups"]).arg(manager.get_program());
    command.args(manager.get_args()).envs(manager.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let daemon = place.scratch.spawn(&mut command);
    wait_until("it has ended", || !place.log("service").is_empty());
    let log = place.log("service").join("\n");
    assert!(log.contains("src/secret: Permission denied"), "{log}\n{}", daemon.log());
    daemon.stop();
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
