//! What the daemon does at its limits: directories that it must not enter, watches and descriptors that are used up, and
//! trees so large that the queue could overflow meanwhile.

mod common;

use common::{Daemon, Scratch, await_task, await_watch, comes_true, copy_program, dogwatch, is_root, skip, wait_until};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use std::fs::{self, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::{Duration, Instant};

const NOBODY: u32 = 65_534;

fn config(watch: &str) -> String {
    format!(
        "[scheduler run]\nexec = /bin/echo {{pathname}}\ndelay = 1h\n[event_map map]\nIN_CLOSE_WRITE = run\n\
         [watch all]\nevent_map = map\nrec = yes\nauto_add = yes\n{watch}\n"
    )
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A daemon that is not root, whoever runs the test.
fn start_unprivileged(scratch: &Scratch, text: &str) -> Daemon {
    let config = scratch.config(text);
    set_mode(&scratch.path(""), 0o755);
    // Where the tests are built, others may not be able to look.
    let program = scratch.path("dogwatch");
    copy_program(&program);
    let mut command = std::process::Command::new(program);
    command.env_remove("JOURNAL_STREAM").env("TZ", "UTC0").args(["daemon", "-c"]).arg(config);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
        for own in ["run.d", "state.d"] {
            fs::create_dir(scratch.path(own)).unwrap();
            chown(scratch.path(own), Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    scratch.start_with(&mut command)
}

/// A directory that must not be read, or not be entered, is watched as soon as that changes; so is one below a way that
/// must not be passed. Each is told of once.
#[test]
fn directories_that_open_up_later_are_entered_then() {
    let scratch = Scratch::new();
    let (shut, unlisted, way) = (scratch.src().join("shut"), scratch.src().join("unlisted"), scratch.path("way"));
    for dir in [shut.join("deep"), unlisted.clone(), way.join("to/here")] {
        fs::create_dir_all(dir).unwrap();
    }
    for (dir, mode) in [(&shut, 0o000), (&unlisted, 0o311), (&way, 0o600)] {
        if is_root() {
            chown(dir, Some(NOBODY), None).unwrap();
        }
        set_mode(dir, mode);
    }
    let daemon = start_unprivileged(&scratch, &config("path = @SRC\npath = @DIR/way/to/here\n"));
    for dir in [&shut, &unlisted, &way.join("to/here")] {
        daemon.await_log(&format!("cannot watch {}: Permission denied; its events are missed until", dir.display()));
    }
    // One that appears so, with something in it by the time it opens.
    let late = scratch.src().join("late");
    fs::DirBuilder::new().mode(0o700).create(&late).unwrap();
    if is_root() {
        set_mode(&late, 0o000);
        chown(&late, Some(NOBODY), None).unwrap();
    }
    for dir in [&shut, &unlisted, &way] {
        set_mode(dir, 0o755);
    }
    for dir in [&shut, &shut.join("deep"), &unlisted, &way.join("to/here")] {
        await_watch(&daemon, dir);
    }
    if is_root() {
        daemon.await_log(&format!("cannot watch {}: Permission denied", late.display()));
        fs::write(late.join("inside"), "x").unwrap();
        set_mode(&late, 0o755);
        await_task(&daemon, &late.join("inside"));
    }
    let denials = daemon.log().matches("Permission denied").count();
    assert_eq!(denials, if is_root() { 4 } else { 3 }, "{}", daemon.log());
    assert!(!daemon.log().contains("panicked"));
}

/// Without a descriptor to spare, what cannot be watched is told of once, and watched when there are some again.
#[test]
fn want_of_descriptors_is_told_and_tried_again() {
    let scratch = Scratch::new();
    let deep = scratch.src().join("a/b/c/d/e/f/g/h");
    fs::create_dir_all(&deep).unwrap();
    let path = scratch.config(&config("path = @SRC\n"));
    let limited = |limit: u32| {
        let mut shell = std::process::Command::new("sh");
        let script = format!("ulimit -Sn {limit} && exec \"$0\" daemon -c \"$1\"");
        shell.args(["-c", &script]).arg(env!("CARGO_BIN_EXE_dogwatch")).arg(&path).env("TZ", "UTC0");
        shell.env_remove("JOURNAL_STREAM");
        scratch.start_with(&mut shell)
    };
    // Few are enough, however deep it goes.
    let daemon = limited(11);
    await_watch(&daemon, &deep);
    assert!(!daemon.log().contains("ERROR"), "{}", daemon.log());
    daemon.stop();
    let daemon = limited(9);
    daemon.await_log("no file descriptor is left: events in ");
    let limit = Rlimit { current: Some(100), maximum: getrlimit(Resource::Nofile).maximum };
    prlimit(Pid::from_raw(daemon.pid() as i32), Resource::Nofile, limit).unwrap();
    daemon.await_log("all directories are watched again");
    await_watch(&daemon, &deep);
    assert_eq!(daemon.log().matches("no file descriptor is left").count(), 1, "{}", daemon.log());
}

/// In a user namespace with few watches: what can be watched is, the rest is told of once, and watched when it can be.
#[test]
fn watches_that_are_used_up_are_told_and_tried_again() {
    let scratch = Scratch::new();
    for n in 0..20 {
        fs::create_dir(scratch.src().join(format!("d{n}"))).unwrap();
    }
    let path = scratch.config(&config("path = @SRC\n"));
    let mut unshare = std::process::Command::new("unshare");
    let script = "echo 15 >/proc/sys/user/max_inotify_watches || exit 99; \
                  (until [ -e \"$2\" ] || [ ! -e \"$1\" ]; do sleep 0.1; done; echo 1000 >/proc/sys/user/max_inotify_watches) & \
                  exec \"$0\" daemon -c \"$1\"";
    unshare.args(["--user", "--map-root-user", "sh", "-c", script]).arg(env!("CARGO_BIN_EXE_dogwatch"));
    let mut daemon = scratch.spawn(unshare.env("TZ", "UTC0").arg(&path).arg(scratch.path("more")));
    let ready = comes_true(Duration::from_secs(20), || daemon.log().contains("ready") || daemon.try_wait().is_some());
    if daemon.try_wait().is_some() || !ready {
        return skip(&format!("user namespaces are not allowed here: {}", daemon.log()));
    }
    daemon.await_log("no inotify watch is left: events in ");
    let log = daemon.log();
    assert!(log.contains("raise the sysctl user.max_inotify_watches, which is 15: "), "{log}");
    assert_eq!(log.matches(" ERROR ").count(), 1, "{log}");
    let degraded = || {
        let output = scratch.places(dogwatch().args(["status", "-c"]).arg(&path)).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().find_map(|line| line.strip_prefix("degraded: ")).unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    assert!(degraded().starts_with("no inotify watch is left: events in "), "{}", degraded());
    fs::write(scratch.src().join("f"), "x").unwrap();
    await_task(&daemon, &scratch.src().join("f"));
    // Written while it is not watched: told of as soon as it is.
    for n in 0..20 {
        fs::write(scratch.src().join(format!("d{n}/missed")), "x").unwrap();
    }
    fs::write(scratch.path("more"), "").unwrap();
    daemon.await_log("all directories are watched again");
    assert_eq!(degraded(), "no");
    for n in 0..20 {
        await_task(&daemon, &scratch.src().join(format!("d{n}/missed")));
        await_watch(&daemon, &scratch.src().join(format!("d{n}")));
    }
}

/// How many watches the kernel keeps for a process (proc(5), /proc/PID/fdinfo).
fn watches_of(daemon: &Daemon) -> usize {
    let infos = fs::read_dir(format!("/proc/{}/fdinfo", daemon.pid())).unwrap();
    let texts = infos.filter_map(|info| fs::read_to_string(info.unwrap().path()).ok());
    texts.map(|text| text.lines().filter(|line| line.starts_with("inotify ")).count()).sum()
}

/// 20,000 watches that end at once would queue 20,000 IN_IGNORED, which is more than the queue holds.
#[test]
fn twenty_thousand_directories_that_leave_do_not_overflow_the_queue() {
    let scratch = Scratch::new();
    for n in 0..20_000 {
        fs::create_dir_all(scratch.src().join(format!("d/{}/{n}", n / 200))).unwrap();
    }
    let daemon = scratch.start(&config("path = @SRC\n"));
    let before = watches_of(&daemon);
    assert!(before > 20_000, "{before}");
    fs::rename(scratch.src().join("d"), scratch.path("outside")).unwrap();
    wait_until("the watches have ended", || watches_of(&daemon) < 100);
    fs::write(scratch.src().join("last"), "x").unwrap();
    await_task(&daemon, &scratch.src().join("last"));
    assert!(!daemon.log().contains("overflowed"), "{}", daemon.log());
}

/// While a large tree is scanned, events are served between slices.
#[test]
fn events_are_served_while_fifty_thousand_directories_are_scanned() {
    let scratch = Scratch::new();
    for n in 0..50_000 {
        fs::create_dir_all(scratch.src().join(format!("d/{}/{n}", n / 100))).unwrap();
    }
    let path = scratch.config(&config("path = @SRC\n"));
    let start = Instant::now();
    let daemon = scratch.spawn(dogwatch().args(["daemon", "-d", "-c"]).arg(path));
    let mut written = 0;
    wait_until("it is ready", || {
        fs::write(scratch.src().join(format!("f{written}")), "x").unwrap();
        written += 1;
        daemon.log().contains("ready, directories watched")
    });
    let took = start.elapsed();
    let log = daemon.log();
    let before_ready = log.split(": ready, ").next().unwrap();
    let slices: Vec<&str> = before_ready.split(" steps, and there is more").collect();
    let steps = |slice: &&str| slice.rsplit_once("scanned: ").and_then(|(_, steps)| steps.parse::<usize>().ok());
    let most = slices.iter().filter_map(steps).max().unwrap_or(usize::MAX);
    let with_events = slices.iter().filter(|slice| slice.contains("event IN_CLOSE_WRITE")).count();
    println!(
        "scanned in {took:?}, {} slices of at most {most} steps, between {with_events} of which events were served; \
         {written} files were written meanwhile",
        slices.len()
    );
    assert!(slices.len() > 3 && most < 25_000, "{} slices, at most {most} steps", slices.len());
    assert!(with_events >= 2, "events were served between {with_events} of {} slices", slices.len());
    assert!(!log.contains("overflowed"));
}
