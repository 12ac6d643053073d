//! A mount table that cannot be read is read again: nothing counts as unmounted meanwhile, and no mount is overlooked.

use crate::common::{Scratch, comes_true, skip};
use std::fs;
use std::process::Command;
use std::time::Duration;

/// A file whose mode is changed makes the daemon mount something over a directory that it watches, in its own namespace.
const CONFIG: &str = "[scheduler later]\ncmd = :\ndelay = 1h\n[scheduler seen]\ncmd = :\n\
    [scheduler mount]\ncmd = mount -t tmpfs none @SRC/over && touch @SRC/over/new\n\
    [event_map m]\nIN_MOVED_TO = later\nIN_ATTRIB = mount\nIN_CLOSE_WRITE = seen\nIN_UNMOUNT = cancel later\n\
    [watch w]\npath = @SRC\nevent_map = m\nrec = yes\n";

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    if !crate::common::is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "--propagation", "private"]);
    command
}

/// The points of a run, and what its log says.
fn run(fault: &str) -> (Vec<String>, String) {
    let scratch = Scratch::new();
    fs::create_dir(scratch.src().join("over")).unwrap();
    for name in ["long", "src/trigger"] {
        fs::write(scratch.path(name), "").unwrap();
    }
    let config = scratch.config(CONFIG);
    let mut command = unshare();
    command.arg(env!("CARGO_BIN_EXE_dogwatch")).args(["daemon", "-c"]).arg(config).env_remove("JOURNAL_STREAM");
    let points = scratch.path("points");
    let daemon = scratch.start_with(command.env("DOGWATCH_FAULT", fault).env("DOGWATCH_FAULT_LOG", points));
    fs::rename(scratch.path("long"), scratch.src().join("long")).unwrap();
    daemon.await_log("src/long: scheduled");
    let trigger = scratch.src().join("trigger");
    fs::set_permissions(&trigger, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    // Where what fails is something else, that is told.
    let told = || ["cannot watch ", "cannot list "].iter().any(|words| daemon.log().contains(words));
    let seen = comes_true(Duration::from_secs(30), || daemon.log().contains("src/over/new") || told());
    assert!(seen, "{fault}: what is on the new file system is not seen:\n{}", daemon.log());
    let log = daemon.stop();
    let points = scratch.read("points");
    (points.lines().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect(), log)
}

#[test]
fn a_mount_table_that_cannot_be_read_is_read_again() {
    if !unshare().arg("true").status().is_ok_and(|status| status.success()) {
        return skip("no mount namespace can be made");
    }
    let (points, log) = run("");
    assert!(!log.contains("cancelled"), "{log}");
    let spawn = points.iter().position(|name| name == "posix_spawn").unwrap();
    let mut told = 0;
    for n in (spawn + 2..points.len()).filter(|n| ["openat", "read"].contains(&points[n - 1].as_str())) {
        let (_, log) = run(&format!("main:{n}=EIO"));
        assert!(!log.contains("long: cancelled"), "{n}: {log}");
        told += usize::from(log.contains("cannot read /proc/self/mountinfo: Input/output error; trying again"));
    }
    assert!(told >= 2, "opening and reading it have failed: {told}");
}
