//! Nothing happens when nothing happens.

mod common;

use common::{Scratch, skip, wait_until};
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long nothing may happen.
const QUIET: Duration = Duration::from_secs(20);

/// strace shows the call that it finds the daemon in, which is ppoll without a timeout, and no other in 20 s.
#[test]
fn an_idle_daemon_makes_no_system_call() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skip("the package strace is missing");
    }
    let scratch = Scratch::new();
    let config = scratch.config(
        "[scheduler run]\ncmd = :\ndelay = 50ms\n[event_map m]\nIN_CLOSE_WRITE = run\n\
         [watch w]\npath = @SRC\nevent_map = m\nrec = yes\nauto_add = yes\n",
    );
    // A mount somewhere on the machine is something that happens: where it can be, the daemon is out of its sight.
    let private = ["--mount", "--propagation", "private"];
    let mut command = common::dogwatch();
    if Command::new("unshare").args(private).arg("true").status().is_ok_and(|status| status.success()) {
        command = Command::new("unshare");
        command.args(private).arg(env!("CARGO_BIN_EXE_dogwatch"));
    }
    let daemon = scratch.start_with(command.args(["daemon", "-c"]).arg(config).env_remove("JOURNAL_STREAM"));
    // Timers and children have been there, and have left nothing behind that would wake.
    fs::write(scratch.src().join("f"), "x").unwrap();
    daemon.await_log("f: done");
    let trace = scratch.path("trace");
    let mut strace = Command::new("strace")
        .args(["-f", "-tt", "-p", &daemon.pid().to_string(), "-o"])
        .arg(&trace)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let seen = || fs::read_to_string(&trace).unwrap_or_default();
    let attached = common::comes_true(Duration::from_secs(20), || {
        seen().contains("ppoll") || !matches!(strace.try_wait(), Ok(None))
    });
    if !matches!(strace.try_wait(), Ok(None)) {
        return skip("strace cannot attach here (ptrace is not allowed)");
    }
    assert!(attached, "strace shows nothing");
    let (start, before) = (Instant::now(), seen());
    let mut changed = false;
    wait_until("twenty seconds are over", || {
        changed = seen() != before;
        changed || start.elapsed() >= QUIET
    });
    strace.kill().unwrap();
    strace.wait().unwrap();
    assert!(!changed, "the idle daemon woke up:\n{}", seen());
    let calls: Vec<&str> = before.lines().filter(|line| !line.contains("[ Process")).collect();
    assert_eq!(calls.len(), 1, "{before}");
    assert!(before.contains("], 4, NULL, NULL, 8"), "the wait has no timeout: {before}");
    // And it is alive.
    fs::write(scratch.src().join("g"), "x").unwrap();
    daemon.await_log("g: done");
}

/// Delays go on while the machine is suspended: the one timer is on CLOCK_BOOTTIME (7), not on CLOCK_MONOTONIC (1), and
/// nothing else is waited for by time (ppoll has no timeout, as the trace above shows).
#[test]
fn delays_are_on_the_boot_clock() {
    let scratch = Scratch::new();
    let daemon = scratch.start(
        "[scheduler run]\ncmd = :\ndelay = 1h\n[event_map m]\nIN_CLOSE_WRITE = run\n[watch w]\npath = @SRC\nevent_map = m\n",
    );
    fs::write(scratch.src().join("f"), "x").unwrap();
    daemon.await_log("f: scheduled");
    let infos = fs::read_dir(format!("/proc/{}/fdinfo", daemon.pid())).unwrap();
    let infos: Vec<String> = infos.filter_map(|info| fs::read_to_string(info.unwrap().path()).ok()).collect();
    let timers: Vec<&String> = infos.iter().filter(|info| info.contains("clockid:")).collect();
    let [timer] = timers[..] else { panic!("one timer: {timers:?}") };
    assert!(timer.contains("clockid: 7\n"), "{timer}");
    let left = timer.lines().find_map(|line| line.strip_prefix("it_value: (")).unwrap();
    let seconds: u64 = left.split(',').next().unwrap().parse().unwrap();
    assert!((3_500..=3_600).contains(&seconds), "it is armed for the task: {timer}");
}
