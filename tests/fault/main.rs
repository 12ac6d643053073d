//! The errno gate: each system call of a run of the daemon fails in turn, or is its last. It goes on, or exits with a clear
//! error, and saved tasks are whole; never a panic, a hang or a zombie. Needs the test build (feature `fault`; `make test`
//! builds it). Here are the gate itself and what is published; the sweeps have rooms of their own.

#[path = "../common/mod.rs"]
mod common;
mod mounts;
mod run;
mod sweep;
mod trace;

use common::{Scratch, dogwatch, wait_until};
use rustix::process::Signal;
use std::fs;

const CONFIG: &str = "[daemon]\nshutdown_timeout = 10\nlog = stderr\nlog = file:@DIR/daemon.log\n[scheduler run]\ncmd = echo {name} >@DIR/ran\ndelay = 20ms\n\
                      [event_map m]\nIN_CLOSE_WRITE = run\nIN_DELETE = cancel run\n\
                      [watch w]\npath = @SRC\nevent_map = m\nrec = yes\nauto_add = yes\n";

/// The temporary name of `status` (FNV-1a).
const TEMPORARY: &str = "run.d/.dogwatch-c4d5696d6cc12c2f";
const OLD: &str = "old";

/// A daemon that has nothing to do is asked for its status, where there is an old one, and a temporary file that a killed
/// one has left. The answer is the scratch directory, the points before it was asked and those after that, and the log.
fn publish(n: usize, fault: &str) -> (Scratch, Vec<String>, Vec<String>, String) {
    let fault = if fault.is_empty() { String::new() } else { format!("main:{n}={fault}") };
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("run.d")).unwrap();
    for name in ["run.d/status", TEMPORARY] {
        fs::write(scratch.path(name), OLD).unwrap();
    }
    let config = scratch.config(CONFIG);
    let mut command = dogwatch();
    command.args(["daemon", "-c"]).arg(config).env("DOGWATCH_FAULT", &fault);
    let mut daemon = scratch.spawn(command.env("DOGWATCH_FAULT_LOG", scratch.path("points")));
    let mut points = Vec::new();
    let mut wait = |past: usize, daemon: &mut common::Daemon| {
        wait_until(&format!("{fault}: it waits for the next event"), || {
            points = scratch.read("points").lines().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
            daemon.try_wait().is_some() || (points.len() > past && points.last().is_some_and(|last| last == "ppoll"))
        });
        points.clone()
    };
    wait_until("it is ready", || daemon.log().contains("ready, ") || daemon.try_wait().is_some());
    let before = wait(0, &mut daemon);
    daemon.signal_if_there(Signal::USR1);
    if fault.is_empty() {
        wait_until("it has answered", || is_new(&scratch.read("run.d/status")));
    }
    let after = wait(n.max(before.len()), &mut daemon).split_off(before.len());
    let log = daemon.log();
    if daemon.try_wait().is_none() {
        daemon.stop();
    }
    (scratch, before, after, log)
}

fn is_new(status: &str) -> bool {
    status.starts_with("version: ") && status.ends_with("pending:\n")
}

/// Whoever looks sees the old file or the new one, whole, whichever call fails or is the last.
#[test]
fn a_published_file_is_the_old_one_or_the_new_one() {
    let expected =
        "openat openat openat flock close unlinkat openat flock statx write fchmod fsync renameat fsync close close";
    let expected: Vec<&str> = expected.split(' ').collect();
    let clean = || {
        let (scratch, before, after, log) = publish(0, "");
        assert!(is_new(&scratch.read("run.d/status")) && !scratch.path(TEMPORARY).exists(), "{log}");
        let from = after.windows(expected.len()).position(|calls| calls == expected);
        before.len() + from.unwrap_or_else(|| panic!("{after:?}")) + 1
    };
    // What happens elsewhere on the machine, in /tmp for one, adds points to a run.
    let from = (0..5).map(|_| clean()).min().unwrap();
    for fault in ["ENOSPC", "EIO", "short", "kill"] {
        for (n, name) in (from..).zip(&expected) {
            let (scratch, log) = publish_with_fault(n, name, fault);
            let (status, left) = (scratch.read("run.d/status"), scratch.read(TEMPORARY));
            let case = format!("{name}={fault}: status {status:?}, left {left:?}, log:\n{log}");
            assert!(status == OLD || is_new(&status), "{case}");
            if fault != "kill" {
                assert!(!scratch.path(TEMPORARY).exists() || left == OLD, "{case}");
                assert!(is_new(&status) || log.contains(" ERROR daemon: cannot "), "{case}");
                assert!(fault != "short" || is_new(&status), "{case}");
            }
            // The next one takes away what has been left.
            let daemon = scratch.start(CONFIG);
            daemon.signal(Signal::USR1);
            wait_until(&case, || is_new(&scratch.read("run.d/status")) && !scratch.path(TEMPORARY).exists());
            daemon.stop();
        }
    }
}

/// A run in which this call of the publishing met its fault, with as many points before it as in a run on a quiet machine.
fn publish_with_fault(n: usize, name: &str, fault: &str) -> (Scratch, String) {
    for _ in 0..200 {
        let (scratch, before, _, log) = publish(n, fault);
        if before.len() < n && scratch.read("points").lines().any(|line| line == format!("main:{n} {name}")) {
            return (scratch, log);
        }
    }
    panic!("point {n} is never {name}");
}

/// A kill point is the end of the process: what comes before it is done, and nothing after.
#[test]
fn a_kill_point_ends_the_process() {
    let scratch = Scratch::new();
    let config = scratch.config(CONFIG);
    let mut command = dogwatch();
    command.args(["daemon", "-c"]).arg(config).env("DOGWATCH_FAULT", "main:20=kill");
    let mut daemon = scratch.spawn(command.env("DOGWATCH_FAULT_LOG", scratch.path("points")));
    let status = daemon.wait();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    assert_eq!(scratch.read("points").lines().count(), 20);
}

/// A word that the gate does not know must not pass for a run without faults.
#[test]
fn a_misspelt_fault_is_no_run() {
    let status = dogwatch().arg("version").env("DOGWATCH_FAULT", "main:1=ENOMEMORY").output().unwrap().status;
    assert!(!status.success());
}

/// A call that a kernel lacks fails each time, and only it.
#[test]
fn a_call_can_be_missing() {
    let scratch = Scratch::new();
    let config = scratch.config(CONFIG);
    let check = |fault: &str| {
        let mut command = dogwatch();
        command.args(["check", "-c"]).arg(&config).env("DOGWATCH_FAULT", fault);
        command.env("DOGWATCH_FAULT_LOG", scratch.path("points")).output().unwrap()
    };
    assert!(check("statx=ENOSYS").status.success(), "there is an older call");
    let points = scratch.read("points");
    let names: Vec<&str> = points.lines().map(|line| line.split(' ').nth(1).unwrap()).collect();
    let follows = |at: usize| names.get(at + 1) == Some(&"newfstatat");
    assert!(names.contains(&"statx") && (0..names.len()).all(|at| (names[at] == "statx") == follows(at)), "{names:?}");
    let refused = check("openat=EPERM,statx=ENOSYS");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Operation not permitted"), "{refused:?}");
}
