//! What fails, is in the way, or was left behind.

use crate::common::{Daemon, Scratch, comes_true, dogwatch, is_root, skip, wait_until};
use crate::{collect, ends_well, holds, names, numbered, put, scratch};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A claim directory as a killed run leaves it.
fn make_claims(claims: &Path) {
    fs::create_dir(claims).unwrap();
    fs::set_permissions(claims, fs::Permissions::from_mode(0o1700)).unwrap();
}

/// It takes a while to be compressed.
fn noise() -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..64 << 20).map(|_| next()).collect()
}

/// The first worker that is told of.
fn worker(daemon: &Daemon) -> Pid {
    let log = daemon.log();
    let number = log.split(" started, worker ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
    Pid::from_raw(number.unwrap()).unwrap()
}

/// Files, of which one has two names, are in the archive and are claims still; the answer is the directory of those.
fn archived_and_still_claimed(scratch: &Scratch) -> PathBuf {
    put(scratch, numbered(0..9));
    fs::hard_link(scratch.path("tmp/f03"), scratch.path("tmp/linked")).unwrap();
    ends_well(scratch.spawn(dogwatch().arg("collect").current_dir(scratch.path(""))));
    let claims = scratch.path("tmp/.dogwatch-collect");
    make_claims(&claims);
    let archive = scratch.path("files.tar.gz");
    assert!(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&claims).status().unwrap().success());
    claims
}

/// Several names of one file are one member with bytes and links to it: a kill before they are removed doubles none.
#[test]
fn all_names_of_a_file_are_known_as_archived() {
    let scratch = scratch();
    let claims = archived_and_still_claimed(&scratch);
    // This one has the name of a link, and is another file.
    fs::remove_file(claims.join("linked")).unwrap();
    fs::hard_link(claims.join("f03"), claims.join("f03.again")).unwrap();
    fs::write(claims.join("linked"), "text of f03").unwrap();
    let daemon = collect(&scratch, &[]);
    wait_until("the claims are ended", || !claims.exists());
    assert_eq!(names(&scratch.path("tmp")), ["f03.again", "linked"]);
    daemon.signal(Signal::TERM);
}

#[test]
fn the_second_name_of_a_file_goes_with_the_first() {
    let scratch = scratch();
    let claims = archived_and_still_claimed(&scratch);
    let daemon = collect(&scratch, &[]);
    wait_until("the claims are ended", || !claims.exists());
    assert_eq!(names(&scratch.path("tmp")), [""; 0]);
    daemon.signal(Signal::TERM);
}

/// A name that has no room for a number loses its end.
#[test]
fn a_long_name_that_is_taken_goes_back() {
    let scratch = scratch();
    let long = "n".repeat(255);
    let claims = scratch.path("tmp/.dogwatch-collect");
    make_claims(&claims);
    fs::write(claims.join(&long), "the first").unwrap();
    fs::write(claims.join("z"), "beside it").unwrap();
    fs::write(scratch.path("tmp").join(&long), "the second").unwrap();
    let daemon = collect(&scratch, &[]);
    wait_until("the claims are ended", || !claims.exists());
    let given = "n".repeat(253) + ".1";
    let mut wanted = vec![given.clone(), long.clone(), "z".to_owned()];
    wanted.sort();
    assert_eq!(names(&scratch.path("tmp")), wanted);
    assert_eq!(scratch.read(&format!("tmp/{given}")) + &scratch.read(&format!("tmp/{long}")), "the firstthe second");
    daemon.signal(Signal::TERM);
}

/// What fails once all is archived is an error, and makes nothing of the collection undone.
#[test]
fn an_older_archive_that_cannot_be_removed_is_told() {
    let scratch = scratch();
    put(&scratch, numbered(0..10));
    fs::write(scratch.path("files.tar.gz"), "old").unwrap();
    fs::create_dir(scratch.path("files_20000101-000000.tar.gz")).unwrap();
    let mut daemon = scratch.spawn(dogwatch().args(["collect", "--keep", "1"]).current_dir(scratch.path("")));
    assert_eq!((daemon.wait().code(), daemon.out().as_str()), (Some(0), "files collected\n"), "{}", daemon.log());
    assert!(daemon.log().contains(" ERROR "), "{}", daemon.log());
    assert!(daemon.log().contains("files_20000101-000000.tar.gz: Is a directory"), "{}", daemon.log());
    holds(&scratch.path("files.tar.gz"), numbered(0..10));
    assert_eq!(names(&scratch.path("tmp")), [""; 0]);
}

/// A collector of the daemon whose worker is killed begins again by itself, and ends what that has begun.
#[test]
fn a_killed_worker_is_followed_by_another() {
    let scratch = scratch();
    fs::write(scratch.path("tmp/big"), noise()).unwrap();
    let daemon = scratch.start("[collector spool]\nbase_dir = @DIR\nthreshold = 1\nlevel = 9\n");
    wait_until("it is claimed", || scratch.path("tmp/.dogwatch-collect/big").exists());
    kill_process(worker(&daemon), Signal::KILL).unwrap();
    daemon.await_log(" failed: ");
    wait_until("another one collects", || scratch.path("files.tar.gz").exists());
    wait_until("nothing is left", || names(&scratch.path("tmp")).is_empty());
    daemon.stop();
}

/// Another threshold counts at once, though no event follows.
#[test]
fn a_reload_has_every_collector_look() {
    let scratch = scratch();
    put(&scratch, numbered(0..3));
    let config = |threshold: u32| format!("[collector spool]\nbase_dir = @DIR\nthreshold = {threshold}\n");
    let daemon = scratch.start(&config(10));
    daemon.await_log(": started, worker ");
    scratch.config(&config(3));
    daemon.signal(Signal::HUP);
    wait_until("it has collected", || names(&scratch.path("tmp")).is_empty());
    holds(&scratch.path("files.tar.gz"), numbered(0..3));
    // One that is gone collects no more.
    scratch.config("[scheduler other]\nexec = /bin/true\n");
    let taken = daemon.log().matches("the new configuration is taken").count();
    daemon.signal(Signal::HUP);
    wait_until("it is taken", || daemon.log().matches("the new configuration is taken").count() > taken);
    put(&scratch, numbered(0..3));
    assert!(!comes_true(Duration::from_secs(3), || names(&scratch.path("tmp")).is_empty()));
    daemon.stop();
}

/// Where anybody may make links to others' files, such a file does not count, and is no reason to claim the others again and
/// again; here that sysctl is said to be 0.
#[test]
fn planted_hard_links_do_not_count() {
    if !is_root() {
        return skip("only root's files are planted");
    }
    let scratch = scratch();
    fs::write(scratch.path("zero"), "0\n").unwrap();
    fs::write(scratch.path("secret"), "secret").unwrap();
    fs::hard_link(scratch.path("secret"), scratch.path("tmp/planted")).unwrap();
    put(&scratch, numbered(0..2));
    let conf = scratch.config("[collector spool]\nbase_dir = @DIR\nthreshold = 3\n");
    let script = "mount --bind \"$0\" /proc/sys/fs/protected_hardlinks && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script]).arg(scratch.path("zero")).arg(dogwatch().get_program());
    let daemon = scratch.start_with(command.args(["daemon", "-c"]).arg(conf).env("TZ", "UTC0"));
    daemon.await_log("tmp/planted: it has several names");
    let looks = || daemon.log().matches(" started, worker ").count();
    assert!(!comes_true(Duration::from_secs(4), || looks() > 3), "{}", daemon.log());
    put(&scratch, ["f02"]);
    wait_until("it has collected", || names(&scratch.path("tmp")) == ["planted"]);
    holds(&scratch.path("files.tar.gz"), numbered(0..3));
    daemon.stop();
}

/// What has come during the one collection is due when that ends. It stays where it is.
#[test]
fn nothing_is_begun_after_the_one_collection() {
    let scratch = scratch();
    fs::write(scratch.path("tmp/big"), noise()).unwrap();
    let arguments = ["collect", "--threshold", "1", "--level", "9", "--log-level", "info"];
    let mut daemon = scratch.spawn(dogwatch().args(arguments).current_dir(scratch.path("")));
    wait_until("it is claimed", || scratch.path("tmp/.dogwatch-collect/big").exists());
    kill_process(worker(&daemon), Signal::STOP).unwrap();
    fs::write(scratch.path("tmp/second"), "text of second").unwrap();
    assert!(!comes_true(Duration::from_millis(1_500), || daemon.try_wait().is_some()));
    kill_process(worker(&daemon), Signal::CONT).unwrap();
    assert_eq!((daemon.wait().code(), daemon.out().as_str()), (Some(0), "files collected\n"), "{}", daemon.log());
    assert_eq!(names(&scratch.path("tmp")), ["second"]);
    assert_eq!(daemon.log().matches(" started, worker ").count(), 1, "{}", daemon.log());
}
