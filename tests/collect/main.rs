//! `dogwatch collect`: files that have come into `tmp` are archived once there are enough, as the collector's document says.

#[path = "../common/mod.rs"]
mod common;
mod edges;
#[cfg(feature = "fault")]
mod fault;
mod lines;

use common::{Daemon, Scratch, await_watched, comes_true, dogwatch, is_root, name, skip, wait_until};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// A scratch directory with `tmp` in it.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("tmp")).unwrap();
    scratch
}

/// A collector in the scratch directory, once it watches `tmp`.
#[track_caller]
fn collect(scratch: &Scratch, arguments: &[&str]) -> Daemon {
    let daemon = scratch.spawn(dogwatch().arg("collect").args(arguments).current_dir(scratch.path("")));
    await_watched(daemon.pid(), &scratch.path("tmp"));
    daemon
}

/// The same when it will end at once.
fn output(scratch: &Scratch, arguments: &[&str]) -> Output {
    dogwatch().arg("collect").args(arguments).current_dir(scratch.path("")).stdin(Stdio::null()).output().unwrap()
}

fn put(scratch: &Scratch, names: impl IntoIterator<Item = impl AsRef<str>>) {
    for name in names {
        fs::write(scratch.path("tmp").join(name.as_ref()), format!("text of {}", name.as_ref())).unwrap();
    }
}

fn numbered(numbers: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    numbers.map(|n| format!("f{n:02}"))
}

/// Names in a directory, sorted.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The members of an archive with what is in them, by GNU tar.
fn members(archive: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let listed = Command::new("tar").args(["--quoting-style=literal", "-tzf"]).arg(archive).output().unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let names = listed.stdout.split(|byte| *byte == b'\n').filter(|name| !name.is_empty());
    let dir = tempfile::tempdir().unwrap();
    assert!(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(dir.path()).status().unwrap().success());
    let read = |name: &[u8]| {
        let name = OsString::from_vec(name.to_vec());
        let content = fs::read(dir.path().join(&name)).unwrap();
        (name, content)
    };
    names.map(read).collect()
}

/// The members are these, each with its text.
#[track_caller]
fn holds(archive: &Path, names: impl IntoIterator<Item = impl AsRef<str>>) {
    let wanted: BTreeMap<OsString, Vec<u8>> = names
        .into_iter()
        .map(|name| (name.as_ref().into(), format!("text of {}", name.as_ref()).into_bytes()))
        .collect();
    assert_eq!(members(archive), wanted);
}

/// It ends well, and has said what the document says.
#[track_caller]
fn ends_well(mut daemon: Daemon) {
    let status = daemon.wait();
    assert_eq!((status.code(), daemon.out().as_str()), (Some(0), "files collected\n"), "{}", daemon.log());
    assert_eq!(daemon.log(), "");
}

/// The document's own course, with files that come by every way, and what does not count.
#[test]
fn ten_files_are_archived_and_it_ends() {
    let scratch = scratch();
    put(&scratch, numbered(0..3));
    let mut daemon = collect(&scratch, &[]);
    put(&scratch, [".hidden", "a.swp", "b.swo", "c.swx"]);
    fs::create_dir(scratch.path("tmp/dir")).unwrap();
    symlink("f00", scratch.path("tmp/link")).unwrap();
    put(&scratch, numbered(3..5));
    for name in numbered(5..7) {
        fs::write(scratch.path(&name), format!("text of {name}")).unwrap();
        fs::rename(scratch.path(&name), scratch.path("tmp").join(&name)).unwrap();
    }
    fs::write(scratch.path("f07"), "text of f07").unwrap();
    fs::hard_link(scratch.path("f07"), scratch.path("tmp/f07")).unwrap();
    fs::write(scratch.path("tmp/f08"), "text").unwrap();
    let held = OpenOptions::new().append(true).open(scratch.path("tmp/f08")).unwrap();
    put(&scratch, ["f09"]);
    // One of ten is open still.
    assert!(!comes_true(Duration::from_millis(2_500), || daemon.try_wait().is_some()));
    assert_eq!(names(&scratch.path("")), ["dogwatch.conf", "f07", "log", "out", "src", "tmp"].map(String::from)[1..]);
    std::io::Write::write_all(&mut &held, b" of f08").unwrap();
    drop(held);
    ends_well(daemon);
    holds(&scratch.path("files.tar.gz"), numbered(0..10));
    assert_eq!(names(&scratch.path("tmp")), [".hidden", "a.swp", "b.swo", "c.swx", "dir", "link"]);
    assert_eq!(fs::read(scratch.path("f07")).unwrap(), b"text of f07");
}

#[test]
fn more_than_ten_that_are_there_already_are_all_taken() {
    let scratch = scratch();
    put(&scratch, numbered(0..12));
    put(&scratch, ["dump.sql", "logo.svg"]);
    ends_well(scratch.spawn(dogwatch().arg("collect").current_dir(scratch.path(""))));
    holds(&scratch.path("files.tar.gz"), numbered(0..12).chain(["dump.sql".to_owned(), "logo.svg".to_owned()]));
    assert_eq!(names(&scratch.path("tmp")), [""; 0]);
    let found = fs::metadata(scratch.path("files.tar.gz")).unwrap();
    assert_eq!(found.permissions().mode() & 0o7777, 0o644);
}

/// What one file keeps from others, the archive does.
#[test]
fn an_archive_of_private_files_is_private() {
    let scratch = scratch();
    put(&scratch, numbered(0..10));
    fs::set_permissions(scratch.path("tmp/f03"), fs::Permissions::from_mode(0o640)).unwrap();
    ends_well(scratch.spawn(dogwatch().arg("collect").current_dir(scratch.path(""))));
    let found = fs::metadata(scratch.path("files.tar.gz")).unwrap();
    assert_eq!(found.permissions().mode() & 0o7777, 0o600);
}

/// Older archives keep their bytes under a date, also of the same second; `--keep` keeps so many of them.
#[test]
fn nothing_is_overwritten_and_so_many_are_kept() {
    let scratch = scratch();
    for round in 0..4_u8 {
        put(&scratch, numbered(0..10).map(|name| format!("{name}-{round}")));
        ends_well(scratch.spawn(dogwatch().arg("collect").current_dir(scratch.path(""))));
    }
    let older =
        || -> Vec<String> { names(&scratch.path("")).into_iter().filter(|name| name.starts_with("files_")).collect() };
    assert_eq!(older().len(), 3, "{:?}", older());
    let rounds: Vec<u8> = older()
        .iter()
        .map(|name| {
            let is_date = |(at, byte): (usize, u8)| if at == 8 { byte == b'-' } else { byte.is_ascii_digit() };
            assert!(name.bytes().skip(6).take(15).enumerate().all(is_date), "{name}");
            let (first, _) = members(&scratch.path(name)).pop_first().unwrap();
            first.into_encoded_bytes().pop().unwrap() - b'0'
        })
        .collect();
    assert_eq!(rounds, [0, 1, 2]);
    put(&scratch, numbered(0..10));
    fs::write(scratch.path("files_of_mine.tar.gz"), "not an archive of its own").unwrap();
    ends_well(scratch.spawn(dogwatch().args(["collect", "--keep", "2"]).current_dir(scratch.path(""))));
    assert_eq!(older().len(), 3, "{:?}", older());
    assert!(older().contains(&"files_of_mine.tar.gz".to_owned()));
    holds(&scratch.path("files.tar.gz"), numbered(0..10));
}

#[test]
fn a_taken_name_gets_a_number() {
    let scratch = scratch();
    // All names of the next minutes.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for second in now..now + 600 {
        let date =
            Command::new("date").args(["-u", "+%Y%m%d-%H%M%S", "-d"]).arg(format!("@{second}")).output().unwrap();
        let date = String::from_utf8(date.stdout).unwrap();
        fs::write(scratch.path(format!("files_{}.tar.gz", date.trim())), "taken").unwrap();
    }
    fs::write(scratch.path("files.tar.gz"), "old").unwrap();
    put(&scratch, numbered(0..10));
    ends_well(scratch.spawn(dogwatch().arg("collect").current_dir(scratch.path(""))));
    let numbered: Vec<String> =
        names(&scratch.path("")).into_iter().filter(|name| name.ends_with("_1.tar.gz")).collect();
    assert_eq!(numbered.len(), 1);
    assert_eq!(scratch.read(&numbered[0]), "old");
}

#[test]
fn options_and_their_errors() {
    let scratch = Scratch::new();
    let error = |arguments: &[&str], status: i32, words: &str| {
        let output = output(&scratch, arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(status), 0), "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
    };
    error(&["--base-dir", "none"], 1, "none: No such file or directory");
    error(&["--base-dir", ""], 1, "No such file or directory");
    error(&["--log-level", "LOUD"], 2, "--log-level");
    error(&["--threshold", "0"], 2, "--threshold");
    error(&["--level", "10"], 2, "--level");
    error(&["--max-age", "soon"], 2, "--max-age");
    error(&["--keep", "-1"], 2, "--keep");
    error(&["tmp"], 2, "one argument too many");
    // A missing tmp is made.
    let arguments = ["collect", "--log-level", "debug", "--threshold", "2"];
    let daemon = scratch.spawn(dogwatch().args(arguments).current_dir(scratch.path("")));
    wait_until("it makes tmp", || scratch.path("tmp").exists());
    put(&scratch, numbered(0..2));
    daemon.await_out("files collected\n");
    daemon.await_log(" DEBUG ");
    assert!(!daemon.log().contains(" ERROR "), "{}", daemon.log());
    assert!(scratch.path("files.tar.gz").exists());
}

#[test]
fn a_file_that_is_old_is_enough() {
    let scratch = scratch();
    let daemon = collect(&scratch, &["--max-age", "3s"]);
    put(&scratch, ["a"]);
    ends_well(daemon);
    holds(&scratch.path("files.tar.gz"), ["a"]);
}

#[test]
fn it_goes_on_if_that_is_asked_for() {
    let scratch = scratch();
    let daemon = collect(&scratch, &["--follow", "--threshold", "2"]);
    for round in 1..=3 {
        put(&scratch, [format!("a{round}"), format!("b{round}")]);
        wait_until("it has collected", || daemon.out() == "files collected\n".repeat(round));
        holds(&scratch.path("files.tar.gz"), [format!("a{round}"), format!("b{round}")]);
    }
    assert_eq!(daemon.stop(), "");
}

#[test]
fn a_rehearsal_prints_names_and_changes_nothing() {
    let scratch = scratch();
    put(&scratch, numbered(0..9));
    let printed = || String::from_utf8(output(&scratch, &["--dry-run"]).stdout).unwrap();
    assert_eq!(printed(), "");
    fs::write(scratch.path("tmp").join(name(b"new\nline\xff")), "").unwrap();
    assert_eq!(printed(), numbered(0..9).map(|name| name + "\n").collect::<String>() + "new\\nline\\xff\n");
    assert_eq!(fs::read_dir(scratch.path("tmp")).unwrap().count(), 10);
    assert_eq!(fs::read_dir(scratch.path("")).unwrap().count(), 2);
    fs::remove_dir_all(scratch.path("tmp")).unwrap();
    assert_eq!(printed(), "");
    assert!(!scratch.path("tmp").exists());
}

/// `nohup dogwatch collect > output.log 2>&1 &`
#[test]
fn it_outlives_its_terminal() {
    let scratch = scratch();
    let log = File::create(scratch.path("output.log")).unwrap();
    let mut command = Command::new("nohup");
    command.arg(dogwatch().get_program()).arg("collect").current_dir(scratch.path(""));
    let daemon = scratch.spawn_at(&mut command, Stdio::null(), log.try_clone().unwrap().into(), log.into());
    await_watched(daemon.pid(), &scratch.path("tmp"));
    daemon.signal(Signal::HUP);
    put(&scratch, numbered(0..10));
    wait_until("it has collected", || scratch.read("output.log").ends_with("files collected\n"));
    drop(daemon);
}

/// Names of any bytes come into the archive as they are.
#[test]
fn names_are_bytes() {
    let scratch = scratch();
    let hostile: Vec<OsString> =
        [&b"-rf"[..], b"a\nb", b"\xff\xfe", b"$(touch pwned)", b"a b", b"*", b"\\", b"'", b"%s"]
            .iter()
            .map(|bytes| OsString::from_vec(bytes.to_vec()))
            .chain([OsString::from("n".repeat(255))])
            .collect();
    for name in &hostile {
        fs::write(scratch.path("tmp").join(name), "text").unwrap();
    }
    ends_well(scratch.spawn(dogwatch().arg("collect").current_dir(scratch.path(""))));
    let dir = tempfile::tempdir().unwrap();
    let archive = scratch.path("files.tar.gz");
    assert!(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(dir.path()).status().unwrap().success());
    let mut found: Vec<OsString> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let mut hostile = hostile;
    found.sort();
    hostile.sort();
    assert_eq!(found, hostile);
}

/// What a killed run has claimed is told apart by what its archive holds.
#[test]
fn what_a_killed_run_has_left_is_ended() {
    let scratch = scratch();
    put(&scratch, numbered(0..10));
    ends_well(scratch.spawn(dogwatch().arg("collect").current_dir(scratch.path(""))));
    let claims = scratch.path("tmp/.dogwatch-collect");
    fs::create_dir(&claims).unwrap();
    fs::set_permissions(&claims, fs::Permissions::from_mode(0o1700)).unwrap();
    // One is in the archive, one is a new file with the bytes of one there, one is none of it, and one's name is taken.
    let archive = scratch.path("files.tar.gz");
    let status = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&claims).arg("f00").status().unwrap();
    assert!(status.success());
    fs::write(claims.join("f01"), "text of f01").unwrap();
    fs::write(claims.join("new"), "text of new").unwrap();
    fs::write(claims.join("both"), "the first").unwrap();
    fs::write(scratch.path("tmp/both"), "the second").unwrap();
    let daemon = collect(&scratch, &[]);
    wait_until("the claims are ended", || !claims.exists());
    assert_eq!(names(&scratch.path("tmp")), ["both", "both.1", "f01", "new"]);
    assert_eq!(
        scratch.read("tmp/f01") + &scratch.read("tmp/both") + &scratch.read("tmp/both.1"),
        "text of f01the secondthe first"
    );
    daemon.signal(Signal::TERM);
}

/// Somebody else's directory of that name is no place for claims.
#[test]
fn a_planted_claim_directory_is_refused() {
    let scratch = scratch();
    let claims = scratch.path("tmp/.dogwatch-collect");
    fs::create_dir(&claims).unwrap();
    fs::set_permissions(&claims, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(claims.join("f"), "theirs").unwrap();
    put(&scratch, numbered(0..10));
    let output = output(&scratch, &[]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("/tmp/.dogwatch-collect: it is there, but not ours alone"), "{text}");
    assert_eq!(names(&scratch.path("tmp")).len(), 11);
    assert_eq!(fs::read(claims.join("f")).unwrap(), b"theirs");
}

#[test]
fn a_second_one_in_the_same_directory_is_refused() {
    let scratch = scratch();
    let daemon = collect(&scratch, &[]);
    let output = output(&scratch, &["--base-dir", "."]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("another dogwatch collect is at it"));
    // Asked to end, it has not collected: that is no success.
    let mut daemon = daemon;
    daemon.signal(Signal::TERM);
    assert_eq!((daemon.wait().code(), daemon.out().as_str()), (Some(1), ""));
}

/// The spool is not found through a link that others may have put there.
#[test]
fn a_link_is_no_spool() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("other")).unwrap();
    symlink("other", scratch.path("tmp")).unwrap();
    let output = output(&scratch, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("a symbolic link is in the way"));
}

/// Another user's collector of his own directory, in which root has put files, of which root alone may read `secret`.
fn of_another(threshold: &str, secret: Option<&str>) -> (Scratch, Daemon) {
    let scratch = scratch();
    for path in [scratch.path(""), scratch.path("tmp")] {
        chown(&path, Some(54_321), Some(54_321)).unwrap();
    }
    put(&scratch, numbered(0..2).chain(secret.map(str::to_owned)));
    if let Some(secret) = secret {
        fs::set_permissions(scratch.path("tmp").join(secret), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let binary = dogwatch();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=54321", "--regid=54321", "--clear-groups"]).arg(binary.get_program());
    command.args(["collect", "--threshold", threshold, "--log-level", "warning"]).current_dir(scratch.path(""));
    let daemon = scratch.spawn(command.env("TZ", "UTC0"));
    (scratch, daemon)
}

/// Where no lease tells who writes, a while of quiet counts.
#[test]
fn anothers_files_count_after_a_while_of_quiet() {
    if !is_root() {
        return skip("files of another user are made by root");
    }
    let (scratch, mut daemon) = of_another("2", None);
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    assert!(daemon.log().contains("of 2 files it cannot be told whether anybody writes to them"), "{}", daemon.log());
    holds(&scratch.path("files.tar.gz"), numbered(0..2));
    assert_eq!(fs::metadata(scratch.path("files.tar.gz")).unwrap().uid(), 54_321);
}

/// What cannot be read is told, stays, and does not keep the others, if they are enough.
#[test]
fn what_cannot_be_read_stays() {
    if !is_root() {
        return skip("files of another user are made by root");
    }
    for (threshold, code, collected) in [("2", 0, true), ("3", 1, false)] {
        let (scratch, mut daemon) = of_another(threshold, Some("secret"));
        assert_eq!(daemon.wait().code(), Some(code), "{}", daemon.log());
        let told = format!("cannot collect {}: it cannot be read whole", scratch.path("tmp/secret").display());
        assert!(daemon.log().contains(" ERROR ") && daemon.log().contains(&told), "{}", daemon.log());
        assert_eq!(scratch.path("files.tar.gz").exists(), collected);
        let left =
            if collected { vec!["secret".to_owned()] } else { numbered(0..2).chain(["secret".to_owned()]).collect() };
        assert_eq!(names(&scratch.path("tmp")), left);
        if collected {
            holds(&scratch.path("files.tar.gz"), numbered(0..2));
        }
    }
}

/// The daemon collects too, continuously, and hands on what it has made.
#[test]
fn the_daemon_collects_and_hands_on() {
    let scratch = scratch();
    let daemon = scratch.start(
        "[collector spool]\nbase_dir = @DIR\nthreshold = 3\nkeep = 1\nthen = ship\n\
         [scheduler ship]\nexec = /bin/echo shipped {pathname} {src_pathname}\n",
    );
    for round in 1..=3 {
        put(&scratch, numbered(0..3));
        let shipped = format!("shipped {}", scratch.path("files.tar.gz").display());
        wait_until("it is shipped", || daemon.log().matches(&shipped).count() == round);
    }
    holds(&scratch.path("files.tar.gz"), numbered(0..3));
    assert_eq!(names(&scratch.path("")).iter().filter(|name| name.starts_with("files_")).count(), 1);
    // A look that finds too few hands nothing on.
    assert_eq!(daemon.stop().matches(" prints: shipped ").count(), 3);
}

/// A collection that fails is told, loses nothing, and is tried again.
#[test]
fn the_daemon_tells_of_a_failure() {
    let scratch = scratch();
    fs::write(scratch.path("tmp/.dogwatch-collect"), "in the way").unwrap();
    put(&scratch, numbered(0..3));
    let daemon = scratch.start(
        "[collector spool]\nbase_dir = @DIR\nthreshold = 3\non_failure = alarm\n\
         [scheduler alarm]\nexec = /bin/echo alarmed {pathname}\n",
    );
    daemon.await_log(" prints: alarmed ");
    assert!(daemon.log().contains("/tmp/.dogwatch-collect: "), "{}", daemon.log());
    assert_eq!(names(&scratch.path("tmp")).len(), 4);
    fs::remove_file(scratch.path("tmp/.dogwatch-collect")).unwrap();
    put(&scratch, ["f03"]);
    wait_until("it has collected", || names(&scratch.path("tmp")).is_empty());
    daemon.stop();
}
