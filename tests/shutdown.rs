//! The end of the daemon: what is due in time runs, what is not is cancelled and told, and nothing is left running.

mod common;

use common::{Scratch, comes_true, dogwatch, is_gone, is_root, pid_in, skip, wait_until};
use rustix::process::{Pid, Signal};
use std::fs;
use std::time::Duration;

fn config(daemon: &str, scheduler: &str, map: &str) -> String {
    format!(
        "[daemon]\n{daemon}\n[scheduler run]\n{scheduler}\n[event_map m]\n{map}\n[watch w]\npath = @SRC\nevent_map = m\nrec = yes\n"
    )
}

const MAP: &str = "IN_CLOSE_WRITE = run\nIN_MODIFY = cancel run";

#[test]
fn tasks_that_are_due_in_time_still_run() {
    for signal in [Signal::TERM, Signal::INT] {
        let scratch = Scratch::new();
        let job = "cmd = echo {name} >>@DIR/ran\ndelay = 300ms";
        let mut daemon = scratch.start(&config("shutdown_timeout = 1m", job, MAP));
        fs::write(scratch.src().join("f"), "x").unwrap();
        daemon.await_log("f: scheduled");
        daemon.signal(signal);
        assert_eq!(daemon.wait().code(), Some(0));
        assert_eq!(scratch.read("ran"), "f\n");
    }
}

#[test]
fn tasks_that_are_due_later_are_cancelled_and_told() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config(
        "shutdown_timeout = 100ms\non_shutdown = cancel",
        "cmd = echo {name} >>@DIR/ran\ndelay = 1h",
        MAP,
    ));
    fs::write(scratch.src().join("f"), "x").unwrap();
    daemon.await_log("f: scheduled");
    let log = daemon.stop();
    assert!(log.contains("WARNING run: run#1 "), "{log}");
    assert!(log.contains("f: cancelled: dogwatch ends before it is due"), "{log}");
    assert_eq!(scratch.read("ran"), "");
}

/// A file that is being written to must not be acted on, however near the end is.
#[test]
fn while_draining_an_event_still_cancels_and_none_schedules() {
    let scratch = Scratch::new();
    let job = "cmd = echo {name} >>@DIR/ran\ndelay = 5s";
    let mut daemon = scratch.start(&config("shutdown_timeout = 1m", job, MAP));
    fs::write(scratch.src().join("quiet"), "x").unwrap();
    fs::write(scratch.src().join("busy"), "x").unwrap();
    daemon.await_log("busy: scheduled");
    daemon.signal(Signal::TERM);
    daemon.await_log("SIGTERM: ends");
    fs::write(scratch.src().join("new"), "x").unwrap();
    let mut busy = fs::File::options().append(true).open(scratch.src().join("busy")).unwrap();
    std::io::Write::write_all(&mut busy, b"more").unwrap();
    daemon.await_log("busy: cancelled");
    assert_eq!(daemon.wait().code(), Some(0));
    assert_eq!(scratch.read("ran"), "quiet\n");
}

#[test]
fn a_command_that_runs_over_gets_sigterm_with_its_group() {
    let scratch = Scratch::new();
    // The shell's own child is of the same group, and goes too.
    let job = "cmd = echo $$ >@DIR/shell; sleep 1000 & echo $! >@DIR/child; wait";
    let daemon = scratch.start(&config("shutdown_timeout = 100ms", job, MAP));
    fs::write(scratch.src().join("f"), "x").unwrap();
    let (shell, child) = (pid_in(&scratch, "shell"), pid_in(&scratch, "child"));
    let log = daemon.stop();
    assert!(log.contains("time is over: 1 commands still run and get SIGTERM"), "{log}");
    assert!(log.contains("f: failed: ended by signal 15"), "{log}");
    wait_until("both are gone", || is_gone(shell) && is_gone(child));
}

#[test]
fn a_command_that_ignores_sigterm_is_killed() {
    let scratch = Scratch::new();
    let job = "cmd = trap '' TERM; echo $$ >@DIR/shell; while :; do sleep 0.1; done";
    let daemon = scratch.start(&config("shutdown_timeout = 0", job, MAP));
    fs::write(scratch.src().join("f"), "x").unwrap();
    let shell = pid_in(&scratch, "shell");
    let log = daemon.stop();
    assert!(log.contains("f: gets SIGKILL"), "{log}");
    assert!(log.contains("f: failed: ended by signal 9"), "{log}");
    assert!(is_gone(shell));
}

#[test]
fn a_second_signal_ends_at_once() {
    let scratch = Scratch::new();
    let mut daemon = scratch.start(&config("shutdown_timeout = 1h", "cmd = :\ndelay = 10m", MAP));
    fs::write(scratch.src().join("f"), "x").unwrap();
    daemon.await_log("f: scheduled");
    daemon.signal(Signal::TERM);
    daemon.await_log("SIGTERM: ends, with at most 1h for 1 pending tasks");
    daemon.signal(Signal::INT);
    assert_eq!(daemon.wait().code(), Some(1));
    assert!(daemon.log().contains("SIGINT again: ends at once, with 1 tasks left"));
}

/// A command ends in the very moment of the second signal: the next one in the queue must not be started any more.
#[test]
fn nothing_is_started_after_the_second_signal() {
    let scratch = Scratch::new();
    let job = "cmd = echo $$ >@DIR/pid.{name}; exec sleep 1000";
    let mut daemon = scratch.start(&config("shutdown_timeout = 1h\nmax_jobs = 1", job, MAP));
    for name in ["a", "b"] {
        fs::write(scratch.src().join(name), "x").unwrap();
    }
    daemon.await_log("b: scheduled");
    let pid = pid_in(&scratch, "pid.a");
    daemon.signal(Signal::TERM);
    daemon.await_log("SIGTERM: ends");
    daemon.signal(Signal::STOP);
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    wait_until("the first command has ended", || is_gone(pid));
    daemon.signal(Signal::TERM);
    daemon.signal(Signal::CONT);
    assert_eq!(daemon.wait().code(), Some(1));
    assert!(!daemon.log().contains("b: started"), "{}", daemon.log());
}

/// A run that was promised is not dropped without a word.
#[test]
fn a_run_that_was_to_come_is_told_when_it_is_dropped() {
    let scratch = Scratch::new();
    let job = "cmd = until [ -e @DIR/go ]; do sleep 0.02; done\ndelay = 1s";
    let daemon = scratch.start(&config("shutdown_timeout = 500ms\non_shutdown = cancel", job, "IN_CLOSE_WRITE = run"));
    fs::write(scratch.src().join("f"), "x").unwrap();
    daemon.await_log("f: started");
    fs::write(scratch.src().join("f"), "y").unwrap();
    fs::write(scratch.src().join("sentinel"), "y").unwrap();
    daemon.await_log("sentinel: scheduled");
    fs::write(scratch.path("go"), "").unwrap();
    let log = daemon.stop();
    assert!(log.contains("f: cancelled: dogwatch ends before it is due"), "{log}");
}

/// With SIGCHLD ignored, the kernel would reap children itself, and no end would ever be told.
#[test]
fn an_inherited_ignored_sigchld_does_no_harm() {
    let scratch = Scratch::new();
    let config = scratch.config(&config("", "cmd = exit 3", MAP));
    let mut shell = std::process::Command::new("/bin/bash");
    if !std::path::Path::new("/bin/bash").exists() {
        return common::skip("bash is missing, whose trap ignores SIGCHLD for what it execs");
    }
    shell.args(["-c", "trap '' CHLD; exec \"$0\" daemon -c \"$1\""]).arg(env!("CARGO_BIN_EXE_dogwatch")).arg(config);
    let daemon = scratch.start_with(&mut shell);
    fs::write(scratch.src().join("f"), "x").unwrap();
    daemon.await_log("f: failed: exit status 3");
}

#[test]
fn a_grandchild_that_lives_on_does_not_hold_the_task_up() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("", "cmd = sleep 1000 & echo $! >@DIR/pid", MAP));
    fs::write(scratch.src().join("f"), "x").unwrap();
    daemon.await_log("f: done");
    let grandchild = pid_in(&scratch, "pid");
    assert!(!is_gone(grandchild));
    rustix::process::kill_process(Pid::from_raw(grandchild).unwrap(), Signal::KILL).unwrap();
    daemon.stop();
}

/// Nothing keeps a process of ours after -9, but a command runs to its end.
#[test]
fn a_killed_daemon_leaves_a_running_command_alone() {
    let scratch = Scratch::new();
    let job = "cmd = until [ -e @DIR/go ]; do sleep 0.02; done; echo end >@DIR/ran";
    let mut daemon = scratch.start(&config("", job, MAP));
    fs::write(scratch.src().join("f"), "x").unwrap();
    daemon.await_log("f: started");
    daemon.signal(Signal::KILL);
    daemon.wait();
    fs::write(scratch.path("go"), "").unwrap();
    wait_until("the command ends by itself", || scratch.read("ran") == "end\n");
}

#[test]
fn the_daemon_ends_when_nothing_is_pending() {
    let scratch = Scratch::new();
    let config = scratch.config(&config("shutdown_timeout = 1h", "cmd = :", MAP));
    let mut daemon = scratch.start_with(dogwatch().arg("daemon").arg("-c").arg(config));
    daemon.signal(Signal::TERM);
    assert!(comes_true(Duration::from_secs(30), || daemon.log().ends_with("daemon: ended\n")));
    assert_eq!(daemon.wait().code(), Some(0));
}

/// The first process of a pid namespace: what commands leave behind is its child then, and must not stay a zombie.
#[test]
fn as_pid_1_it_reaps_whoever_it_inherits() {
    if !is_root() {
        return skip("only root can make a pid namespace");
    }
    let scratch = Scratch::new();
    let job = "cmd = (sleep 0.2; echo x >>@DIR/orphans) & :";
    let config = scratch.config(&config("", job, "IN_CLOSE_WRITE = run"));
    let mut unshare = std::process::Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(env!("CARGO_BIN_EXE_dogwatch"));
    let daemon = scratch.start_with(unshare.arg("daemon").arg("-c").arg(config));
    for n in 0..20 {
        fs::write(scratch.src().join(format!("f{n}")), "x").unwrap();
    }
    wait_until("all orphans have ended", || scratch.read("orphans").lines().count() == 20);
    let child = || {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", daemon.pid())).unwrap();
        children.split_ascii_whitespace().next().map(str::to_owned)
    };
    let pid = child().expect("the daemon in its namespace");
    let left = || fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    assert!(comes_true(Duration::from_secs(20), || left().trim().is_empty()), "zombies: {}", left());
    wait_until("all have been told", || daemon.log().matches(": done").count() == 20);
    let inner = Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(inner, Signal::TERM).unwrap();
    daemon.await_log("ended");
}
