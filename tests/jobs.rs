//! What a scheduler says of its jobs: limits, timeouts, users, output, what comes after, and a busy task.

mod common;

use common::{Scratch, dogwatch, is_gone, is_root, pid_in, skip, wait_until};
use rustix::process::{Pid, Signal};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A scheduler `run` with these keys and further sections, for files that were written to.
fn config(scheduler: &str, more: &str) -> String {
    format!(
        "[daemon]\nshutdown_timeout = 0\nloglevel.run = debug\n[scheduler run]\n{scheduler}\n{more}\n\
         [event_map m]\nIN_CLOSE_WRITE = run\n[watch w]\npath = @SRC\nevent_map = m\n"
    )
}

fn write(path: &Path) {
    fs::write(path, "x").unwrap();
}

#[test]
fn a_command_that_takes_too_long_is_ended_with_its_children() {
    let scratch = Scratch::new();
    let job = "cmd = sh -c 'echo $$ >@DIR/child; exec sleep 1000' & echo $$ >@DIR/shell; wait\ntimeout = 500ms\non_failure = alarm";
    let alarm = "[scheduler alarm]\ncmd = echo {maskname} {pathname} >>@DIR/alarm";
    let daemon = scratch.start(&config(job, alarm));
    write(&scratch.src().join("f"));
    let (child, shell) = (pid_in(&scratch, "child"), pid_in(&scratch, "shell"));
    daemon.await_log("f: runs for 500ms now and gets SIGTERM");
    daemon.await_log("f: failed: ended by signal 15");
    wait_until("both are gone", || is_gone(child) && is_gone(shell));
    let expected = format!("IN_CLOSE_WRITE {}\n", scratch.src().join("f").display());
    wait_until("the failure is handed on", || scratch.read("alarm") == expected);
}

/// SIGTERM is ignored by the command, and by what it has started: five seconds later the whole group is killed.
#[test]
fn who_ignores_sigterm_is_killed() {
    for leader in ["trap '' TERM; ", ""] {
        let scratch = Scratch::new();
        let job = format!(
            "cmd = {leader}sh -c 'trap \"\" TERM; echo $$ >@DIR/child; while :; do sleep 0.05; done' & wait; wait\ntimeout = 300ms"
        );
        let daemon = scratch.start(&config(&job, ""));
        write(&scratch.src().join("f"));
        let child = pid_in(&scratch, "child");
        daemon.await_log(if leader.is_empty() { "ended by signal 15" } else { "ended by signal 9" });
        wait_until("who is left of its group is gone", || is_gone(child));
    }
}

#[test]
fn a_newer_event_restarts_a_running_command() {
    let scratch = Scratch::new();
    let job = "cmd = if [ -e @DIR/go ]; then touch @DIR/again; else touch @DIR/waits; sleep 1000; fi\non_busy = restart\non_failure = alarm";
    let daemon = scratch.start(&config(job, "[scheduler alarm]\ncmd = touch @DIR/alarm"));
    write(&scratch.src().join("f"));
    wait_until("it runs", || scratch.path("waits").exists());
    write(&scratch.path("go"));
    write(&scratch.src().join("f"));
    daemon.await_log("f: is running, gets SIGTERM, and begins anew");
    daemon.await_log("f: done");
    assert!(scratch.path("again").exists());
    assert!(
        daemon.log().contains("f: ended for a newer event") && !daemon.log().contains("failed"),
        "{}",
        daemon.log()
    );
    daemon.stop();
    assert!(!scratch.path("alarm").exists(), "it has not failed");
}

/// A change during a running task is not lost; a scheduler that skips says that it is.
#[test]
fn a_change_during_a_running_task_is_acted_on_after_it_or_told() {
    for (on_busy, runs) in [("rerun", 2), ("skip", 1)] {
        let scratch = Scratch::new();
        let job =
            "cmd = cat {pathname} >>@DIR/seen; until [ -e @DIR/go ]; do sleep 0.02; done; echo >>@DIR/runs\non_busy = ";
        let daemon = scratch.start(&config(&format!("{job}{on_busy}"), ""));
        fs::write(scratch.src().join("f"), "old ").unwrap();
        wait_until("it has read the old text", || scratch.read("seen") == "old ");
        fs::write(scratch.src().join("f"), "new ").unwrap();
        daemon.await_log(if runs == 2 { "f: is running, and will run once more" } else { "f: skipped: it is running" });
        write(&scratch.path("go"));
        wait_until("all have run", || daemon.log().matches("f: done").count() == runs);
        daemon.stop();
        assert_eq!(scratch.read("seen"), if runs == 2 { "old new " } else { "old " });
    }
}

#[test]
fn a_file_that_never_rests_is_acted_on_after_max_wait() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("cmd = echo ran >>@DIR/ran\ndelay = 10s\nmax_wait = 11s", ""));
    let mut writes = 0;
    wait_until("it is acted on all the same", || {
        write(&scratch.src().join("f"));
        writes += 1;
        !scratch.read("ran").is_empty()
    });
    assert!(writes > 20, "it was scheduled anew all the time");
    assert!(daemon.log().contains("scheduled anew"));
}

#[test]
fn a_scheduler_has_a_limit_of_its_own() {
    let scratch = Scratch::new();
    let job = "cmd = echo {name} >>@DIR/started; until [ -e @DIR/go ]; do sleep 0.02; done\nmax_jobs = 1";
    let other = "[scheduler other]\ncmd = echo {name} >>@DIR/other";
    let text = config(job, other).replace("IN_CLOSE_WRITE = run", "IN_CLOSE_WRITE = run, other");
    let daemon = scratch.start(&text);
    for name in ["a", "b", "c"] {
        write(&scratch.src().join(name));
    }
    wait_until("the others are not held up", || scratch.read("other").lines().count() == 3);
    wait_until("the first one runs", || scratch.read("started") == "a\n");
    write(&scratch.path("go"));
    wait_until("one after the other", || scratch.read("started") == "a\nb\nc\n");
    daemon.stop();
}

#[test]
fn what_is_done_is_handed_on_with_its_event() {
    let scratch = Scratch::new();
    let next = "[scheduler next]\ncmd = echo {scheduler} {maskname} {name} >>@DIR/next\ndelay = 200ms\nthen = last\n\
                [scheduler last]\nexec = /bin/sh -c 'echo $DOGWATCH_SCHEDULER $DOGWATCH_NAME >>@DIR/next'";
    let daemon = scratch.start(&config("cmd = [ {name} != bad ]\nthen = next\non_failure = last", next));
    for name in ["good", "bad"] {
        write(&scratch.src().join(name));
    }
    let expected = BTreeSet::from(["last bad", "next IN_CLOSE_WRITE good", "last good"]);
    wait_until("each came to its end", || scratch.read("next").lines().collect::<BTreeSet<_>>() == expected);
    daemon.stop();
}

#[test]
fn what_a_command_prints_is_in_the_log_and_cannot_forge_a_line() {
    let scratch = Scratch::new();
    let job = "cmd = echo one; echo two >&2; printf 'no end'; printf '\\n\\033[2J\\n'";
    let daemon = scratch.start(&config(job, ""));
    write(&scratch.src().join("f"));
    daemon.await_log("f: done");
    let log = daemon.stop();
    let printed: Vec<&str> =
        log.lines().filter_map(|line| line.split_once("run: run#1 prints: ")).map(|p| p.1).collect();
    assert_eq!(printed, ["one", "two", "no end", "\\x1b[2J"], "{log}");
    let (done, last) = (log.find("f: done").unwrap(), log.rfind("prints:").unwrap());
    assert!(last < done, "what it prints stands before its end");
}

#[test]
fn output_can_be_inherited_or_dropped() {
    for (output, expected) in [("inherit", "one\n"), ("null", "")] {
        let scratch = Scratch::new();
        let daemon = scratch.start(&config(&format!("cmd = echo one; echo two >&2\noutput = {output}"), ""));
        write(&scratch.src().join("f"));
        daemon.await_log("f: done");
        assert_eq!(daemon.out(), expected);
        let log = daemon.stop();
        assert_eq!(log.contains("\ntwo\n"), output == "inherit", "{log}");
        assert!(!log.contains("prints"), "{log}");
    }
}

/// The child has ended, and so has the task, though somebody still holds its pipe; what that one prints is logged too.
#[test]
fn a_grandchild_that_holds_the_pipe_does_not_keep_the_task() {
    let scratch = Scratch::new();
    let job = "cmd = sh -c 'echo $$ >@DIR/pid; until [ -e @DIR/go ]; do sleep 0.02; done; echo late; touch @DIR/printed' & echo early";
    let daemon = scratch.start(&config(job, ""));
    write(&scratch.src().join("f"));
    daemon.await_log("f: done");
    let pid = pid_in(&scratch, "pid");
    assert!(!is_gone(pid), "it is not killed for it");
    write(&scratch.path("go"));
    daemon.await_log("run#1 prints: late");
    wait_until("it was not killed by SIGPIPE", || scratch.path("printed").exists());
    daemon.stop();
}

/// More than that many are not waited for: the oldest pipe is closed, and that is told.
#[test]
fn pipes_that_are_left_behind_do_not_pile_up() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("cmd = sleep 1000 & echo $! >>@DIR/pids", ""));
    let mut pids = Vec::new();
    for n in 0..80 {
        write(&scratch.src().join(format!("f{n}")));
    }
    wait_until("all have run", || daemon.log().matches(": done").count() == 80);
    daemon.await_log("prints still, and is not listened to any more");
    pids.extend(scratch.read("pids").lines().map(|line| line.parse::<i32>().unwrap()));
    let open = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    for pid in pids {
        rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }
    assert!(open < 80 + 5, "{open} descriptors are open");
    daemon.stop();
}

#[test]
fn ten_thousand_failing_commands_leave_nothing_behind() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("cmd = exit 1", "").replace("[scheduler run]", "max_jobs = 8\n[scheduler run]"));
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    let children = || fs::read_to_string(format!("/proc/{0}/task/{0}/children", daemon.pid())).unwrap();
    let before = descriptors();
    for n in 0..10_000 {
        write(&scratch.src().join(format!("f{n}")));
    }
    let ended = || daemon.log().matches("failed: exit status 1").count();
    let mut last = 0;
    while ended() < 10_000 {
        // As long as it gets on, it may take its time.
        wait_until("more have ended", || ended() > last);
        last = ended();
    }
    wait_until("no child is left, nor a zombie", || children().trim().is_empty());
    wait_until("no descriptor is left", || descriptors() == before);
    daemon.stop();
}

#[test]
fn a_command_runs_as_the_user_that_it_is_told() {
    if !is_root() {
        return skip("only root can become another user");
    }
    let scratch = Scratch::new();
    fs::set_permissions(scratch.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let job = "cmd = id -u; id -g; echo groups $(id -G); echo $USER $HOME; echo $DOGWATCH_PATHNAME; id -ru; cat /proc/self/status\nuser = ";
    for (user, uid, gid) in [("nobody", "65534", "65534"), ("4711", "4711", "4711")] {
        let daemon = scratch.start(&config(&format!("{job}{user}"), ""));
        write(&scratch.src().join("f"));
        daemon.await_log("f: done");
        let log = daemon.stop();
        let printed: Vec<&str> = log.lines().filter_map(|line| Some(line.split_once(" prints: ")?.1)).collect();
        assert_eq!(printed[..2], [uid, gid], "{log}");
        assert_eq!(printed[2], format!("groups {gid}"), "root's own groups are not kept: {log}");
        assert_eq!(printed[3].starts_with("nobody /"), user == "nobody", "{log}");
        assert_eq!(printed[4], scratch.src().join("f").to_str().unwrap());
        assert_eq!(printed[5], uid, "for good: {log}");
        assert!(printed.contains(&"SigBlk:\\x090000000000000000"), "{log}");
    }
    // What cannot be run says so, and is a failure.
    let daemon = scratch.start(&config("exec = /nonexistent/x\nuser = nobody", ""));
    write(&scratch.src().join("f"));
    daemon.await_log("run#1 prints: dogwatch: cannot run /nonexistent/x: No such file or directory");
    daemon.await_log("f: failed: exit status 127");
}

#[test]
fn another_user_needs_root_and_an_unknown_one_is_an_error() {
    let scratch = Scratch::new();
    let path = scratch.config(&config("cmd = :\nuser = no-such-user", ""));
    let output = dogwatch().arg("check").arg("-c").arg(path).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("\"no-such-user\" cannot be the value of \"user\""), "{text}");
    if !is_root() {
        return skip("only root can start a daemon as another user");
    }
    fs::set_permissions(scratch.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = scratch.config(&config("cmd = :\nuser = daemon", ""));
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(env!("CARGO_BIN_EXE_dogwatch"));
    let output = command.arg("daemon").arg("-c").arg(path).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected =
        "cannot run the commands of [scheduler run] as another user: Operation not permitted; start dogwatch as root";
    assert!(output.status.code() == Some(1) && text.contains(expected), "{text}");
}
