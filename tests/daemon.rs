//! The daemon from the outside: events become tasks, and tasks commands.

mod common;

use common::{Scratch, comes_true, dogwatch, is_root, scheduled, skip, wait_until};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

/// One scheduler `run` that prints event and path, and a watch on everything below @SRC.
fn config(scheduler: &str, map: &str) -> String {
    format!(
        "[scheduler run]\nexec = /bin/echo {{maskname}} {{pathname}} {{src_pathname}}.\noutput = inherit\n{scheduler}\n[event_map map]\n{map}\n\
         [watch all]\npath = @SRC\nevent_map = map\nrec = yes\nauto_add = yes\n"
    )
}

#[test]
fn a_written_file_runs_its_command() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("", "IN_CLOSE_WRITE = run"));
    let file = scratch.src().join("f");
    fs::write(&file, "x").unwrap();
    daemon.await_out(&format!("IN_CLOSE_WRITE {} .\n", file.display()));
    daemon.await_log("f: done");
    let log = daemon.stop();
    assert!(log.contains(&format!("run: run#1 IN_CLOSE_WRITE {}: started, pid ", file.display())), "{log}");
    assert!(log.ends_with("daemon: ended\n"), "{log}");
}

/// The second file is scheduled later with the same delay: when its command has run, the first one's would have, too.
#[test]
fn an_event_cancels_a_delayed_task() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("delay = 2s", "IN_CLOSE_WRITE = run\nIN_DELETE = cancel run"));
    fs::write(scratch.src().join("draft"), "x").unwrap();
    fs::write(scratch.src().join("letter"), "x").unwrap();
    daemon.await_log("letter: scheduled, due in 2s");
    fs::remove_file(scratch.src().join("draft")).unwrap();
    daemon.await_log("draft: cancelled");
    daemon.await_out("letter");
    assert!(!daemon.out().contains("draft"));
}

#[test]
fn a_further_event_starts_the_delay_anew() {
    let scratch = Scratch::new();
    let config = scratch.config(&config("delay = 3s", "IN_CLOSE_WRITE = run"));
    let daemon = scratch.start_with(dogwatch().args(["daemon", "-d", "-c"]).arg(config));
    fs::write(scratch.src().join("again"), "x").unwrap();
    daemon.await_log("again: scheduled, due in 3s");
    fs::write(scratch.src().join("between"), "x").unwrap();
    daemon.await_log("between: scheduled");
    fs::write(scratch.src().join("again"), "y").unwrap();
    daemon.await_log("again: scheduled anew");
    daemon.await_out("again");
    daemon.await_out("between");
    assert_eq!(daemon.out().matches("again").count(), 1, "one command for both events");
    // Which of them prints first is theirs.
    let log = daemon.log();
    let started = |name: &str| log.find(&format!("{name}: started")).unwrap();
    assert!(started("between") < started("again"), "its delay began with the second event:\n{log}");
}

#[test]
fn a_rename_carries_its_source() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("", "IN_MOVED_TO = run"));
    let (old, new) = (scratch.src().join("old"), scratch.src().join("new"));
    fs::write(&old, "x").unwrap();
    fs::rename(&old, &new).unwrap();
    daemon.await_out(&format!("IN_MOVED_TO {} {}.\n", new.display(), old.display()));
}

/// Every event of inotify(7), each given rise to for real. UNMOUNT and the overflow have tests of their own.
fn do_everything(src: &Path) {
    let (file, dir) = (src.join("file"), src.join("dir"));
    fs::write(&file, "x").unwrap();
    fs::read(&file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&file, src.join("moved")).unwrap();
    fs::remove_file(src.join("moved")).unwrap();
    fs::rename(&dir, src.join("renamed")).unwrap();
    fs::remove_dir(src.join("other")).unwrap();
}

const EVERYTHING: [&str; 13] = [
    "IN_ACCESS",
    "IN_MODIFY",
    "IN_ATTRIB",
    "IN_CLOSE_WRITE",
    "IN_CLOSE_NOWRITE",
    "IN_OPEN",
    "IN_MOVED_FROM",
    "IN_MOVED_TO",
    "IN_CREATE",
    "IN_DELETE",
    "IN_DELETE_SELF",
    "IN_MOVE_SELF",
    "IN_IGNORED",
];

#[test]
fn every_event_can_be_mapped() {
    let scratch = Scratch::new();
    for dir in ["dir", "other"] {
        fs::create_dir(scratch.src().join(dir)).unwrap();
    }
    let mut config = String::from("[daemon]\nmax_jobs = 99\n");
    let mut map = String::from("[event_map map]\n");
    for event in EVERYTHING {
        config += &format!(
            "[scheduler on_{event}]\nexec = /bin/echo {{scheduler}} {{maskname}} {{pathname}}\noutput = inherit\ndirs = yes\n"
        );
        map += &format!("{event} = on_{event}\n");
    }
    config += &map;
    config += "[watch w]\npath = @SRC\nevent_map = map\nrec = yes\nauto_add = yes\n";
    let daemon = scratch.start(&config);
    do_everything(&scratch.src());
    for event in EVERYTHING {
        daemon.await_out(&format!("on_{event} {event} {}", scratch.src().display()));
    }
    let mixed = daemon
        .out()
        .lines()
        .filter(|line| !line.starts_with(&format!("on_{}", line.split(' ').nth(1).unwrap())))
        .count();
    assert_eq!(mixed, 0, "each scheduler saw its own event only:\n{}", daemon.out());
}

/// One task a path takes one event after the other, so it is the log that tells of each.
#[test]
fn default_maps_every_event() {
    let scratch = Scratch::new();
    for dir in ["dir", "other"] {
        fs::create_dir(scratch.src().join(dir)).unwrap();
    }
    let config = scratch.config(&config("dirs = yes\ndelay = 1h", "default = run"));
    let daemon = scratch.start_with(dogwatch().args(["daemon", "-d", "-c"]).arg(config));
    do_everything(&scratch.src());
    for event in EVERYTHING {
        let line =
            |line: &str| line.contains(": run#") && line.contains(&format!(" {event} ")) && line.contains("scheduled");
        let seen = comes_true(Duration::from_secs(30), || daemon.log().lines().any(line));
        assert!(seen, "{event} is not in the log:\n{}", daemon.log());
    }
}

/// Stopped, the daemon cannot read, and more events come than the queue holds.
#[test]
fn an_overflow_is_told_and_can_be_mapped() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("dirs = yes", "IN_Q_OVERFLOW = run"));
    daemon.signal(Signal::STOP);
    common::fill_the_queue(&scratch.src());
    daemon.signal(Signal::CONT);
    daemon.await_out(&format!("IN_Q_OVERFLOW {} .\n", scratch.src().display()));
    daemon.await_log("ERROR daemon: the event queue overflowed");
}

#[test]
fn an_unmount_can_be_mapped() {
    if !is_root() {
        return skip("mounting needs root");
    }
    let scratch = Scratch::new();
    let point = scratch.src().join("disk");
    fs::create_dir(&point).unwrap();
    if let Err(error) = mount("none", &point, "tmpfs", MountFlags::empty(), None) {
        return skip(&format!("tmpfs cannot be mounted: {error}"));
    }
    let daemon = scratch.start(&config("dirs = yes", "IN_UNMOUNT = run"));
    let unmounted = comes_true(Duration::from_secs(10), || unmount(&point, UnmountFlags::empty()).is_ok());
    if !unmounted {
        unmount(&point, UnmountFlags::DETACH).unwrap();
    }
    assert!(unmounted, "dogwatch keeps a file system busy");
    daemon.await_out(&format!("IN_UNMOUNT {} .\n", point.display()));
}

/// Files are created in directories that the daemon has not seen yet; each must be told of.
#[test]
fn new_directories_lose_nothing_at_full_speed() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("delay = 1h", "IN_CLOSE_WRITE = run"));
    let mut expected = BTreeSet::new();
    for n in 0..1_000 {
        let dir = scratch.src().join(format!("d{n}"));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("f"), "x").unwrap();
        expected.insert(dir.join("f").display().to_string());
    }
    for n in 0..300 {
        let deep = scratch.src().join(format!("deep{n}/b/c/d"));
        fs::create_dir_all(&deep).unwrap();
        for dir in deep.ancestors().take(4) {
            fs::write(dir.join("f"), "x").unwrap();
            expected.insert(dir.join("f").display().to_string());
        }
    }
    let mut missing = 0;
    let complete = comes_true(Duration::from_secs(60), || {
        missing = expected.difference(&scheduled(&daemon.log())).count();
        missing == 0
    });
    assert!(complete, "{missing} of {} files were lost", expected.len());
    assert_eq!(scheduled(&daemon.log()), expected, "and nothing else was told of");
}

/// The same name made and removed again and again: in the end the watch is on the directory that is there.
#[test]
fn a_directory_that_is_made_again_and_again_is_watched_in_the_end() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("delay = 1h", "IN_CLOSE_WRITE = run"));
    let dir = scratch.src().join("d");
    for n in 0..300 {
        fs::create_dir(&dir).unwrap();
        if n % 3 == 0 {
            fs::write(dir.join(format!("f{n}")), "x").unwrap();
            fs::remove_file(dir.join(format!("f{n}"))).unwrap();
        }
        fs::remove_dir(&dir).unwrap();
    }
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("first"), "x").unwrap();
    daemon.await_log("d/first");
    fs::write(dir.join("second"), "x").unwrap();
    daemon.await_log("d/second: scheduled");
}

#[test]
fn a_directory_renamed_within_the_tree_goes_on_under_its_new_path() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.src().join("a/b")).unwrap();
    let daemon = scratch.start(&config("delay = 1h", "IN_CLOSE_WRITE = run"));
    fs::rename(scratch.src().join("a"), scratch.src().join("z")).unwrap();
    let file = scratch.src().join("z/b/f");
    fs::write(&file, "x").unwrap();
    let expected = BTreeSet::from([file.display().to_string()]);
    wait_until("the file is told of", || !scheduled(&daemon.log()).is_empty());
    assert_eq!(scheduled(&daemon.log()), expected);
}

#[test]
fn a_directory_moved_out_is_not_watched_any_more() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.src().join("a/b")).unwrap();
    let daemon = scratch.start(&config("delay = 1h", "IN_CLOSE_WRITE = run"));
    fs::rename(scratch.src().join("a"), scratch.path("out-of-sight")).unwrap();
    fs::write(scratch.path("out-of-sight/b/f"), "x").unwrap();
    fs::write(scratch.src().join("sentinel"), "x").unwrap();
    daemon.await_log("sentinel: scheduled");
    assert_eq!(scheduled(&daemon.log()).len(), 1, "{}", daemon.log());
}

/// A link to a directory in the tree is a file like any other: what it points to is not watched.
#[test]
fn links_below_the_root_are_not_followed() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("elsewhere")).unwrap();
    symlink(scratch.path("elsewhere"), scratch.src().join("before")).unwrap();
    let daemon = scratch.start(&config("delay = 1h", "IN_CLOSE_WRITE = run"));
    fs::create_dir(scratch.src().join("new")).unwrap();
    symlink(scratch.path("elsewhere"), scratch.src().join("new/after")).unwrap();
    fs::write(scratch.path("elsewhere/f"), "x").unwrap();
    fs::write(scratch.src().join("new/sentinel"), "x").unwrap();
    daemon.await_log("sentinel");
    assert_eq!(scheduled(&daemon.log()), BTreeSet::from([scratch.src().join("new/sentinel").display().to_string()]));
}

/// The configured path itself may lead through links.
#[test]
fn a_configured_path_may_be_a_link() {
    let scratch = Scratch::new();
    symlink(scratch.src(), scratch.path("link")).unwrap();
    let daemon = scratch.start(&config("", "IN_CLOSE_WRITE = run").replace("path = @SRC", "path = @DIR/link"));
    fs::write(scratch.src().join("f"), "x").unwrap();
    daemon.await_out(&format!("IN_CLOSE_WRITE {} .\n", scratch.path("link/f").display()));
}

#[test]
fn a_single_file_can_be_watched() {
    let scratch = Scratch::new();
    let file = scratch.src().join("motd");
    fs::write(&file, "x").unwrap();
    let map = "IN_CLOSE_WRITE, IN_DELETE_SELF, IN_MOVE_SELF, IN_MOVED_TO = run";
    let daemon = scratch.start(&config("", map).replace("path = @SRC", "path = @SRC/motd"));
    fs::write(scratch.src().join("other"), "x").unwrap();
    fs::write(&file, "y").unwrap();
    daemon.await_out(&format!("IN_CLOSE_WRITE {} .\n", file.display()));
    fs::remove_file(&file).unwrap();
    daemon.await_out(&format!("IN_DELETE_SELF {} .\n", file.display()));
    fs::write(&file, "z").unwrap();
    fs::rename(&file, scratch.src().join("gone")).unwrap();
    daemon.await_out(&format!("IN_MOVE_SELF {} .\n", file.display()));
    fs::rename(scratch.src().join("gone"), &file).unwrap();
    daemon.await_out(&format!("IN_MOVED_TO {} ", file.display()));
    assert!(!daemon.out().contains("other"));
}

#[test]
fn a_path_that_is_missing_is_an_error_and_the_others_are_watched() {
    let scratch = Scratch::new();
    let daemon =
        scratch.start(&config("", "IN_CLOSE_WRITE = run").replace("path = @SRC", "path = @SRC\npath = @DIR/missing"));
    daemon.await_log(&format!(
        "ERROR daemon: cannot watch {}: No such file or directory; ",
        scratch.path("missing").display()
    ));
    fs::write(scratch.src().join("f"), "x").unwrap();
    daemon.await_out("f .\n");
}

/// Watches of one directory share a descriptor; an event that both maps send to one scheduler is one task.
#[test]
fn overlapping_watches_give_one_task() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.src().join("sub")).unwrap();
    let more = "[event_map second]\nIN_CLOSE_WRITE = run, also\n[scheduler also]\nexec = /bin/echo also {pathname}\noutput = inherit\n\
                [watch sub]\npath = @SRC/sub\nevent_map = second\n";
    let daemon = scratch.start(&(config("", "IN_CLOSE_WRITE = run") + more));
    fs::write(scratch.src().join("sub/f"), "x").unwrap();
    daemon.await_out("also ");
    daemon.await_out("sub/f .");
    fs::write(scratch.src().join("sentinel"), "x").unwrap();
    daemon.await_out("sentinel");
    assert_eq!(daemon.out().matches("IN_CLOSE_WRITE").count(), 2, "{}", daemon.out());
}

/// Longer than any path that a system call takes.
#[test]
fn paths_over_4096_bytes_are_watched() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("delay = 1h", "IN_CLOSE_WRITE = run"));
    let component = "x".repeat(250);
    let mut dir: OwnedFd = openat(CWD, scratch.src(), OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..40 {
        mkdirat(&dir, &component, Mode::RWXU).unwrap();
        dir = openat(&dir, &component, OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    drop(openat(&dir, "early", OFlags::CREATE | OFlags::WRONLY, Mode::RWXU).unwrap());
    daemon.await_log("/early");
    drop(openat(&dir, "late", OFlags::CREATE | OFlags::WRONLY, Mode::RWXU).unwrap());
    daemon.await_log("/late");
    assert!(scheduled(&daemon.log()).iter().all(|path| path.len() > 10_000));
}

#[test]
fn jobs_wait_their_turn() {
    let scratch = Scratch::new();
    let job = scratch.script(
        "job",
        "echo begin >>@DIR/jobs; until [ -e @DIR/go ]; do sleep 0.02; done; echo end >>@DIR/jobs"
            .replace("@DIR", scratch.path("").to_str().unwrap())
            .as_str(),
    );
    let config = format!("[daemon]\nmax_jobs = 2\n{}", config("", "IN_CLOSE_WRITE = run"))
        .replace("/bin/echo", job.to_str().unwrap());
    let daemon = scratch.start(&config);
    for n in 0..5 {
        fs::write(scratch.src().join(format!("f{n}")), "x").unwrap();
    }
    daemon.await_log("f4: scheduled");
    wait_until("two jobs run", || scratch.read("jobs").lines().count() == 2);
    assert_eq!(daemon.log().matches(": started, pid").count(), 2);
    fs::write(scratch.path("go"), "").unwrap();
    wait_until("all have run", || scratch.read("jobs").matches("end").count() == 5);
    let log = daemon.stop();
    let order: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(": started"))
        .filter_map(|line| line.split(": started").next()?.rsplit('/').next())
        .collect();
    assert_eq!(order, ["f0", "f1", "f2", "f3", "f4"], "first come, first served");
}

#[test]
fn a_change_during_its_command_runs_it_once_more() {
    let scratch = Scratch::new();
    let job = scratch.script(
        "job",
        &"echo run >>@DIR/jobs; until [ -e @DIR/go ]; do sleep 0.02; done"
            .replace("@DIR", scratch.path("").to_str().unwrap()),
    );
    let config = config("", "IN_CLOSE_WRITE = run").replace("/bin/echo", job.to_str().unwrap());
    let daemon = scratch.start(&config);
    let file = scratch.src().join("f");
    fs::write(&file, "1").unwrap();
    wait_until("it runs", || scratch.read("jobs") == "run\n");
    for n in 0..3 {
        fs::write(&file, format!("{n}")).unwrap();
    }
    fs::write(scratch.src().join("sentinel"), "").unwrap();
    daemon.await_log("sentinel: scheduled");
    fs::write(scratch.path("go"), "").unwrap();
    wait_until("all have run", || scratch.read("jobs").lines().count() == 3);
    daemon.stop();
    assert_eq!(scratch.read("jobs").lines().count(), 3, "twice for f, once for the sentinel");
}

/// What a command finds around it: its own process group, nothing blocked or ignored, no descriptor of ours.
#[test]
fn a_command_starts_in_a_clean_state() {
    let scratch = Scratch::new();
    let job = scratch.script(
        "job",
        &"exec >@DIR/found.tmp; cat /proc/self/status; pwd; readlink /proc/self/fd/0; ls /proc/$$/fd | tr '\\n' ' '; \
          echo; echo group $(cut -d' ' -f5 /proc/$$/stat) is $$; mv @DIR/found.tmp @DIR/found"
            .replace("@DIR", scratch.path("").to_str().unwrap()),
    );
    let config = scratch.config(&config("", "IN_CLOSE_WRITE = run").replace("/bin/echo", job.to_str().unwrap()));
    // Descriptors that the daemon itself was started with must not get through either.
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", "exec 7</etc/passwd 9>&2; trap '' USR1 CHLD; exec \"$0\" daemon -c \"$1\""]);
    let daemon = scratch.start_with(shell.arg(env!("CARGO_BIN_EXE_dogwatch")).arg(config));
    fs::write(scratch.src().join("f"), "x").unwrap();
    wait_until("the command has run", || scratch.path("found").exists());
    let state = scratch.read("found");
    for expected in ["SigBlk:\t0000000000000000", "\n/\n/dev/null\n"] {
        assert!(state.contains(expected), "{expected:?} is not in:\n{state}");
    }
    let ignored = state.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
    // Signals 32 and 33 are glibc's own, and its posix_spawn leaves them ignored.
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & 0x7fff_ffff, 0, "{state}");
    let group = state.lines().last().unwrap().split(' ').collect::<Vec<_>>();
    assert_eq!(group[1], group[3], "{state}");
    let fds = state.lines().rev().nth(1).unwrap().trim();
    // The shell that runs the script has it open, at 10 with dash and at 255 with bash.
    assert!(["0 1 10 2", "0 1 2 255"].contains(&fds), "{fds}");
    daemon.await_log("f: done");
}

#[test]
fn commands_that_fail_are_told_and_the_daemon_goes_on() {
    let scratch = Scratch::new();
    let schedulers = "[scheduler three]\ncmd = exit 3\n[scheduler killed]\ncmd = kill -9 $$\n[scheduler missing]\nexec = /nonexistent\n\
                      [event_map m]\nIN_CLOSE_WRITE = three, killed, missing\n[watch w]\npath = @SRC\nevent_map = m\n";
    let daemon = scratch.start(schedulers);
    fs::write(scratch.src().join("f"), "x").unwrap();
    daemon.await_log("f: failed: exit status 3");
    daemon.await_log("f: failed: ended by signal 9");
    daemon.await_log("f: failed: cannot start its command: No such file or directory");
    let log = daemon.stop();
    assert_eq!(log.matches(" ERROR ").count(), 3, "{log}");
}

#[test]
fn children_leave_no_zombie_and_no_descriptor() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("", "IN_CLOSE_WRITE = run").replace("/bin/echo", "/bin/false"));
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    let before = descriptors();
    for n in 0..200 {
        fs::write(scratch.src().join(format!("f{n}")), "x").unwrap();
    }
    wait_until("all have failed", || daemon.log().matches(": failed: exit status 1").count() == 200);
    let mut children = String::new();
    fs::File::open(format!("/proc/{0}/task/{0}/children", daemon.pid()))
        .unwrap()
        .read_to_string(&mut children)
        .unwrap();
    assert_eq!((children.as_str(), descriptors()), ("", before));
}

#[test]
fn excluded_paths_do_not_count() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.src().join(".git")).unwrap();
    let exclude = "auto_add = yes\nexclude = ^@SRC/\\.git(/|$)\nexclude = .*\\.tmp$\n";
    let daemon = scratch.start(&config("delay = 1h", "IN_CLOSE_WRITE = run").replace("auto_add = yes\n", exclude));
    assert!(daemon.log().contains("directories watched: 1\n"), "{}", daemon.log());
    for name in [".git/config", "a.tmp", ".gitignore"] {
        fs::write(scratch.src().join(name), "x").unwrap();
    }
    daemon.await_log(".gitignore: scheduled");
    assert_eq!(scheduled(&daemon.log()).len(), 1, "{}", daemon.log());
}

/// The task waits below its directory, whatever that is called when it is due.
#[test]
fn a_pending_task_moves_along_with_its_directory() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.src().join("a/b")).unwrap();
    let map = "IN_CLOSE_WRITE = run\nIN_MODIFY, IN_MOVED_FROM, IN_DELETE = cancel run";
    let daemon = scratch.start(&config("delay = 3s", map));
    fs::write(scratch.src().join("a/b/f"), "x").unwrap();
    daemon.await_log("a/b/f: scheduled");
    for (old, new) in [("a", "z"), ("z", "y"), ("y/b", "c")] {
        fs::rename(scratch.src().join(old), scratch.src().join(new)).unwrap();
    }
    daemon.await_out(&format!("IN_CLOSE_WRITE {} .\n", scratch.src().join("c/f").display()));
    assert!(!daemon.log().contains("cancelled"), "{}", daemon.log());
}

#[test]
fn a_directory_moved_out_cancels_its_tasks_if_the_map_says_so() {
    for (map, cancelled) in
        [("IN_CLOSE_WRITE = run\nIN_MOVED_FROM = cancel run", true), ("IN_CLOSE_WRITE = run", false)]
    {
        let scratch = Scratch::new();
        fs::create_dir(scratch.src().join("a")).unwrap();
        let daemon = scratch.start(&config("delay = 3s", map));
        fs::write(scratch.src().join("a/f"), "x").unwrap();
        daemon.await_log("a/f: scheduled");
        fs::rename(scratch.src().join("a"), scratch.path("outside")).unwrap();
        daemon.await_log(if cancelled { "a/f: cancelled" } else { "a/f: done" });
        assert_eq!(daemon.out().is_empty(), cancelled);
    }
}

/// renameat2(RENAME_EXCHANGE) of two watched directories: what happens below is told under the right name.
#[test]
fn exchanged_directories_keep_their_watches() {
    let scratch = Scratch::new();
    for dir in ["a/x", "b/y"] {
        fs::create_dir_all(scratch.src().join(dir)).unwrap();
    }
    let daemon = scratch.start(&config("delay = 1h", "IN_CLOSE_WRITE = run"));
    for _ in 0..101 {
        let (a, b) = (scratch.src().join("a"), scratch.src().join("b"));
        rustix::fs::renameat_with(CWD, a, CWD, b, rustix::fs::RenameFlags::EXCHANGE).unwrap();
    }
    fs::write(scratch.src().join("a/y/f"), "x").unwrap();
    fs::write(scratch.src().join("b/x/g"), "x").unwrap();
    daemon.await_log("b/x/g: scheduled");
    let expected = ["a/y/f", "b/x/g"].map(|name| scratch.src().join(name).display().to_string());
    assert_eq!(scheduled(&daemon.log()), BTreeSet::from(expected));
}

/// The cancelling event lies behind megabytes of others in the queue: it is read before anything that is due starts.
#[test]
fn a_cancel_far_behind_in_the_queue_is_in_time() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("delay = 2s", "IN_CLOSE_WRITE = run\nIN_DELETE = cancel run"));
    let victim = scratch.src().join("victim");
    fs::write(&victim, "x").unwrap();
    daemon.await_log("victim: scheduled");
    daemon.signal(Signal::STOP);
    let names = ["a", "b"].map(|name| scratch.src().join(name.repeat(200)));
    fs::write(&names[0], "").unwrap();
    for n in 0..7_000 {
        fs::rename(&names[n % 2], &names[1 - n % 2]).unwrap();
    }
    fs::remove_file(&victim).unwrap();
    // It has been due for long when the daemon goes on.
    let start = std::time::Instant::now();
    wait_until("the delay is over", || start.elapsed() > Duration::from_millis(2_500));
    daemon.signal(Signal::CONT);
    daemon.await_log("victim: cancelled");
    assert!(!daemon.log().contains("victim: started"), "{}", daemon.log());
    assert!(!daemon.log().contains("overflowed"));
}
