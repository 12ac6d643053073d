//! Tasks that are not due when the daemon ends are saved, and taken up at its next start.

mod common;

use common::{Daemon, Scratch, wait_until};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

fn config(daemon: &str, scheduler: &str) -> String {
    format!(
        "[daemon]\nshutdown_timeout = 0\nloglevel.run = debug\n{daemon}\n[scheduler run]\ncmd = echo {{maskname}} {{name}} >>@DIR/ran\n\
         {scheduler}\n[event_map m]\nIN_CLOSE_WRITE, IN_MOVED_TO, IN_DELETE = run\nIN_MODIFY = cancel run\n\
         [watch w]\npath = @SRC\nevent_map = m\nrec = yes\n"
    )
}

/// The same with commands that last until there is a file `go`, or no scratch directory any more.
fn holding(daemon: &str, scheduler: &str) -> String {
    let hold = "@DIR/ran; while [ -d @DIR ] && [ ! -e @DIR/go ]; do sleep 0.02; done";
    config(daemon, scheduler).replace("@DIR/ran", hold)
}

fn pending(scratch: &Scratch) -> String {
    scratch.read("state.d/pending")
}

/// Ends a daemon with one task pending for `f`; the answer is its log.
fn ended_with_one(scratch: &Scratch, daemon: &str, scheduler: &str) -> String {
    let daemon = scratch.start(&config(daemon, scheduler));
    fs::write(scratch.src().join("f"), "x").unwrap();
    daemon.await_log("f: scheduled");
    daemon.stop()
}

#[test]
fn a_pending_task_outlives_the_daemon_and_keeps_its_time() {
    let scratch = Scratch::new();
    let log = ended_with_one(&scratch, "", "delay = 4s");
    assert!(log.contains("f: is not due before dogwatch ends: it is kept for the next start"), "{log}");
    assert!(log.contains("saved 1 tasks for the next start"), "{log}");
    let mode = fs::metadata(scratch.path("state.d/pending")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let daemon = scratch.start(&config("", "delay = 1h"));
    daemon.await_log("1 saved tasks taken up");
    wait_until("it runs when it was due", || scratch.read("ran") == "IN_CLOSE_WRITE f\n");
    wait_until("nothing is left", || !scratch.path("state.d/pending").exists());
    daemon.stop();
    assert!(!scratch.path("state.d/pending").exists(), "nor saved again");
}

/// What waited for its turn when the daemon ended needs no event to start at its next start.
#[test]
fn a_task_that_is_due_already_starts_at_once() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&holding("max_jobs = 1", ""));
    fs::write(scratch.src().join("f"), "x").unwrap();
    wait_until("it runs", || scratch.read("ran") == "IN_CLOSE_WRITE f\n");
    fs::write(scratch.src().join("g"), "x").unwrap();
    daemon.await_log("g: scheduled");
    daemon.stop();
    let daemon = scratch.start(&config("", ""));
    daemon.await_log("1 saved tasks taken up");
    wait_until("the other runs", || scratch.read("ran") == "IN_CLOSE_WRITE f\nIN_CLOSE_WRITE g\n");
}

/// Until it has run, whatever happens to the daemon, the next start finds it; and a second orderly end saves it again.
#[test]
fn a_task_that_was_taken_up_survives_a_kill() {
    let scratch = Scratch::new();
    ended_with_one(&scratch, "", "delay = 1h");
    let saved = pending(&scratch);
    let mut daemon = scratch.start(&config("", "delay = 1h"));
    daemon.await_log("1 saved tasks taken up");
    daemon.signal(Signal::KILL);
    daemon.wait();
    assert_eq!(pending(&scratch), saved);
    let daemon = scratch.start(&config("", "delay = 1h"));
    daemon.await_log("1 saved tasks taken up");
    daemon.stop();
    assert_eq!(pending(&scratch).lines().count(), 5);
    // Cancelled by an event at last.
    let daemon = scratch.start(&config("", "delay = 1h"));
    daemon.await_log("1 saved tasks taken up");
    fs::write(scratch.src().join("g"), "y").unwrap();
    let file = fs::OpenOptions::new().write(true).open(scratch.src().join("f")).unwrap();
    std::io::Write::write_all(&mut &file, b"more").unwrap();
    daemon.await_log("f: cancelled");
    drop(file);
    daemon.await_log("f: scheduled");
    wait_until("the file is gone with its last task", || !scratch.path("state.d/pending").exists());
}

/// Nor is one lost that runs when the daemon is asked to end, whether others are saved then or not.
#[test]
fn a_task_that_was_taken_up_survives_a_kill_at_the_end() {
    for others in [0, 1] {
        let scratch = Scratch::new();
        ended_with_one(&scratch, "", "delay = 3s");
        let text = holding("", "delay = 1h").replace("shutdown_timeout = 0", "shutdown_timeout = 1m");
        let mut daemon = scratch.start(&text);
        wait_until("it runs", || scratch.read("ran") == "IN_CLOSE_WRITE f\n");
        if others > 0 {
            fs::write(scratch.src().join("g"), "x").unwrap();
            daemon.await_log("g: scheduled");
        }
        daemon.signal(Signal::TERM);
        daemon.await_log(&format!("for {} pending tasks", 1 + others));
        daemon.signal(Signal::KILL);
        daemon.wait();
        fs::write(scratch.path("go"), "").unwrap();
        let daemon = scratch.start(&text);
        daemon.await_log(&format!("{} saved tasks taken up", 1 + others));
        wait_until("it runs again", || scratch.read("ran") == "IN_CLOSE_WRITE f\n".repeat(2));
        daemon.await_log("f: done");
        daemon.stop();
        assert_eq!(pending(&scratch).matches("/src/").count(), others, "what is done is saved no more");
    }
}

#[test]
fn a_file_that_has_changed_meanwhile_is_not_acted_on() {
    for change in ["write", "replace", "remove", "touch nothing"] {
        let scratch = Scratch::new();
        ended_with_one(&scratch, "", "delay = 3s");
        let file = scratch.src().join("f");
        match change {
            "write" => fs::write(&file, "y").unwrap(),
            "replace" => {
                fs::write(scratch.path("other"), "x").unwrap();
                fs::rename(scratch.path("other"), &file).unwrap();
            }
            "remove" => fs::remove_file(&file).unwrap(),
            _ => {}
        }
        let daemon = scratch.start(&config("", "delay = 1h"));
        if change == "touch nothing" {
            wait_until("it runs", || scratch.read("ran") == "IN_CLOSE_WRITE f\n");
        } else {
            daemon.await_log("the file has changed: a saved task of run is not taken up: IN_CLOSE_WRITE");
            daemon.stop();
            assert_eq!(scratch.read("ran"), "", "{change}");
        }
    }
}

/// Renamed while it was pending, with a name that would break any line; and one for a file that is gone.
#[test]
fn events_and_paths_of_any_kind_come_back() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("", "delay = 1h"));
    let (old, new) = (scratch.src().join("old"), scratch.src().join("tab\tline\nend\nback\\\u{1b}"));
    fs::write(&old, "x").unwrap();
    fs::rename(&old, &new).unwrap();
    fs::write(scratch.src().join("gone"), "x").unwrap();
    fs::remove_file(scratch.src().join("gone")).unwrap();
    daemon.await_log("IN_DELETE");
    daemon.stop();
    let saved = pending(&scratch);
    assert!(saved.contains("tab\\x09line\\nend\\nback\\\\\\x1b\t") && saved.contains("\tIN_DELETE\t-\t"), "{saved}");
    let daemon = scratch.start(&config("", "delay = 1h"));
    daemon.await_log("saved tasks taken up");
    let log = daemon.stop();
    assert_eq!(pending(&scratch).lines().count(), saved.lines().count(), "{log}");
    assert!(pending(&scratch).contains("tab\\x09line\\nend\\nback\\\\\\x1b\t"));
}

#[test]
fn a_broken_file_is_set_aside_and_the_start_goes_on() {
    for (what, break_it) in [
        ("its end is missing", (|text| text.strip_suffix("nd\n").unwrap().to_owned()) as fn(&str) -> String),
        ("its end is missing", |_| String::new()),
        ("it has been changed", |text| text.replace("/src/f", "/src/g")),
        ("it has been changed", |text| text.replace("run\t", "rum\t")),
    ] {
        let scratch = Scratch::new();
        ended_with_one(&scratch, "", "delay = 1h");
        let broken = break_it(&pending(&scratch));
        fs::write(scratch.path("state.d/pending"), &broken).unwrap();
        let daemon = scratch.start(&config("", "delay = 0"));
        daemon.await_log(what);
        daemon.await_log("it is kept as pending.broken");
        assert_eq!(scratch.read("state.d/pending.broken"), broken);
        fs::write(scratch.src().join("h"), "x").unwrap();
        wait_until("the rest works", || scratch.read("ran") == "IN_CLOSE_WRITE h\n");
        daemon.stop();
        assert!(!scratch.path("state.d/pending").exists());
    }
}

/// A link is not followed, here, and so stands for what cannot be read: it may be readable next time.
#[test]
fn a_file_that_cannot_be_read_is_not_written_over() {
    let scratch = Scratch::new();
    ended_with_one(&scratch, "", "delay = 1h");
    let saved = pending(&scratch);
    fs::rename(scratch.path("state.d/pending"), scratch.path("elsewhere")).unwrap();
    symlink(scratch.path("elsewhere"), scratch.path("state.d/pending")).unwrap();
    fs::remove_file(scratch.src().join("f")).unwrap();
    let log = ended_with_one(&scratch, "", "delay = 1h");
    assert!(
        log.contains("pending: Too many levels of symbolic links; saved tasks are not taken up, and tried again"),
        "{log}"
    );
    assert!(log.contains("it could not be read since the start; it is kept as pending.broken"), "{log}");
    assert!(log.contains("saved 1 tasks for the next start"), "{log}");
    assert_eq!(scratch.read("state.d/pending.broken"), saved);
    assert!(!fs::symlink_metadata(scratch.path("state.d/pending")).unwrap().is_symlink());
}

#[test]
fn a_task_whose_scheduler_is_gone_is_told() {
    let scratch = Scratch::new();
    ended_with_one(&scratch, "", "delay = 1h");
    let other = config("", "delay = 1h").replace("[scheduler run]", "[scheduler other]").replace("= run", "= other");
    let daemon = scratch.start(&other.replace("cancel run", "cancel other"));
    daemon.await_log("no scheduler run: a saved task of run is not taken up: IN_CLOSE_WRITE");
    wait_until("it is forgotten", || !scratch.path("state.d/pending").exists());
    daemon.stop();
}

/// Files that are there already would begin their delay anew: the saved task wins.
#[test]
fn a_saved_task_wins_over_existing() {
    let scratch = Scratch::new();
    ended_with_one(&scratch, "", "delay = 2s");
    let daemon = scratch.start(&config("", "delay = 1h").replace("rec = yes", "existing = yes"));
    daemon.await_log("f (found by a scan): scheduled, due in 1h");
    wait_until("it runs when it was due", || scratch.read("ran") == "IN_CLOSE_WRITE f\n");
}

/// While draining, a file that is written to is not acted on, though its task was saved already.
#[test]
fn what_was_saved_at_the_signal_can_still_be_cancelled() {
    let scratch = Scratch::new();
    let hold = "[scheduler hold]\ncmd = until [ -e @DIR/go ]; do sleep 0.02; done\n";
    let text = config("", "delay = 1h")
        .replace("shutdown_timeout = 0", "shutdown_timeout = 1m")
        .replace("[event_map m]\n", &format!("{hold}[event_map m]\nIN_ATTRIB = hold\n"));
    let mut daemon = scratch.start(&text);
    for name in ["f", "g"] {
        fs::write(scratch.src().join(name), "x").unwrap();
    }
    daemon.await_log("g: scheduled");
    fs::set_permissions(scratch.src().join("g"), PermissionsExt::from_mode(0o600)).unwrap();
    daemon.await_log("started");
    daemon.signal(Signal::TERM);
    daemon.await_log("saved 2 tasks");
    assert_eq!(pending(&scratch).matches("\trun\t").count(), 2);
    fs::write(scratch.src().join("f"), "more").unwrap();
    daemon.await_log("f: cancelled");
    fs::write(scratch.path("go"), "").unwrap();
    assert_eq!(daemon.wait().code(), Some(0));
    let left = pending(&scratch);
    assert!(left.matches("\trun\t").count() == 1 && left.contains("/src/g"), "{left}\n{}", daemon.log());
}

/// A second signal ends at once, and saves what it can.
#[test]
fn a_second_signal_saves_all_that_has_not_started() {
    let scratch = Scratch::new();
    let mut daemon = scratch.start(&config("", "delay = 20s").replace("shutdown_timeout = 0", "shutdown_timeout = 1m"));
    fs::write(scratch.src().join("f"), "x").unwrap();
    daemon.await_log("f: scheduled");
    daemon.signal(Signal::TERM);
    daemon.await_log("for 1 pending tasks");
    assert!(!scratch.path("state.d/pending").exists(), "it is due in time");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait().code(), Some(1));
    assert!(pending(&scratch).contains("/src/f"), "{}", daemon.log());
}

#[test]
fn cancel_means_that_nothing_is_saved() {
    let scratch = Scratch::new();
    let log = ended_with_one(&scratch, "on_shutdown = cancel", "delay = 1h");
    assert!(log.contains("f: cancelled: dogwatch ends before it is due"), "{log}");
    assert!(!scratch.path("state.d/pending").exists());
}

/// The end comes before all is watched: what was saved before is saved still.
#[test]
fn an_end_during_the_start_loses_no_saved_task() {
    let scratch = Scratch::new();
    ended_with_one(&scratch, "", "delay = 1h");
    for n in 0..3_000 {
        fs::create_dir_all(scratch.src().join(format!("{}/{n}", n % 10))).unwrap();
    }
    for _ in 0..3 {
        let path = scratch.config(&config("", "delay = 1h"));
        let mut command = common::dogwatch();
        let mut daemon: Daemon = scratch.spawn(command.arg("daemon").arg("-c").arg(path));
        wait_until("signals are served", || {
            let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap_or_default();
            let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
            blocked.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & (1 << 14) != 0))
        });
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
        assert_eq!(pending(&scratch).matches("\trun\t").count(), 1, "{}", daemon.log());
    }
}
