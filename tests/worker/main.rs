//! Jobs that workers do: what they get and give, and that each ends once, whatever becomes of its worker.

#[path = "../common/mod.rs"]
mod common;

use common::{Daemon, Scratch, comes_true, skip, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A program of `examples/` or of this test: cargo builds them with the tests.
fn program(name: &str) -> Command {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(program.exists(), "it is not built yet: cargo build --examples");
    let mut command = Command::new(program);
    command.env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET").env("TZ", "UTC0");
    command
}

/// The rest of a configuration around schedulers, the first of which is `run`.
fn with(schedulers: &str) -> String {
    format!(
        "[scheduler run]\n{schedulers}\n[event_map m]\nIN_CLOSE_WRITE, IN_MOVED_TO = run\n\
         [watch w]\npath = @SRC\nevent_map = m\n"
    )
}

/// A daemon that knows the jobs of `jobs.rs`.
fn start(scratch: &Scratch, config: &str) -> Daemon {
    let config = scratch.config(config);
    scratch.start_with(program("test-jobs").args(["daemon", "-c"]).arg(config))
}

fn write(scratch: &Scratch, name: &str) -> PathBuf {
    let path = scratch.src().join(name);
    fs::write(&path, "a\nb\n").unwrap();
    path
}

/// The processes with this word at the beginning of their command line, by the kernel's word.
fn processes(words: &[&str]) -> Vec<i32> {
    let wanted = words.join("\0");
    let entries = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let is_it =
        |pid: &i32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(wanted.as_bytes()));
    entries.filter(is_it).collect()
}

/// Workers of a daemon. One that has ended and is not reaped has no command line.
fn workers(daemon: u32) -> Vec<i32> {
    processes(&["dogwatch: worker", &daemon.to_string(), ""])
}

/// The pids of all workers that a log tells of.
fn pids(log: &str) -> BTreeSet<i32> {
    let lines = log.lines().filter_map(|line| line.split_once(": started, worker "));
    lines.map(|(_, pid)| pid.parse().unwrap()).collect()
}

fn end(pid: i32) {
    // It may have ended by itself.
    let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
}

#[test]
fn the_example_counts_lines_and_hands_on_the_result() {
    let scratch = Scratch::new();
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/custom.rs")).unwrap();
    let doc: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("//!")).map(str::trim).collect();
    let config = doc.join("\n").split("```ini").nth(1).unwrap().split("```").next().unwrap().to_owned();
    assert!(config.contains("delay = 2s") && config.contains("/srv/inbox"));
    let config = scratch.config(&config.replace("/srv/inbox", "@SRC").replace("delay = 2s", "delay = 10ms"));
    let daemon = scratch.start_with(program("custom").args(["daemon", "-c"]).arg(config));
    let path = write(&scratch, "a b");
    daemon.await_log(&format!("prints: {} has 2 lines\n", path.display()));
    let log = daemon.log();
    assert!(
        log.contains(&format!("INFO count: count#1 IN_CLOSE_WRITE {}: 2 lines, 4 bytes\n", path.display())),
        "{log}"
    );
    assert!(log.contains(&format!("{0}: done: {0}.count\n", path.display())), "{log}");
    assert_eq!(scratch.read("src/a b.count"), "2\n");
    daemon.stop();
}

#[test]
fn a_job_gets_what_it_is_called_for_and_nothing_besides() {
    let scratch = Scratch::new();
    let daemon = start(&scratch, &with("job = show\nlogname = shown\ndirs = yes"));
    let path = write(&scratch, "f");
    daemon.await_log("f: done\n");
    let subject = format!("WARNING shown: run#1 IN_CLOSE_WRITE {}: ", path.display());
    let log = daemon.log();
    let said: Vec<&str> = log.lines().filter_map(|line| line.split_once(&subject).map(|(_, said)| said)).collect();
    let task = format!(
        "lines, one with \\x1b and \\\\ in it: Task {{ event: \"IN_CLOSE_WRITE\", path: \"{}\", source: None, is_dir: \
         false, id: 1, scheduler: \"run\" }}",
        path.display()
    );
    assert_eq!(said, ["two", &task], "{log}");
    for words in ["leads its group: true", "NoNewPrivs: 1", "SigBlk: 0000000000000000"] {
        assert!(
            log.contains(&format!("INFO shown: run#1 IN_CLOSE_WRITE {}: {words}\n", path.display())),
            "{words}: {log}"
        );
    }
    let log_file = scratch.path("log");
    let (out, err) = (scratch.path("out"), log_file.to_str().unwrap());
    let fds = format!("in /: 0=/dev/null 1={} 2={err} 3=socket\n", out.display());
    assert!(log.contains(&fds), "{fds}: {log}");
    fs::create_dir(scratch.path("dir")).unwrap();
    fs::rename(scratch.path("dir"), scratch.src().join("dir")).unwrap();
    daemon.await_log("dir: done");
    assert!(daemon.log().contains("is_dir: true"), "{}", daemon.log());
    fs::rename(&path, scratch.src().join("g")).unwrap();
    daemon.await_log(&format!("g (from {}): done", path.display()));
    assert!(daemon.log().contains(&format!("source: Some(\"{}\")", path.display())), "{}", daemon.log());
    daemon.stop();
}

#[test]
fn results_and_failures_are_handed_on() {
    let scratch = Scratch::new();
    let daemon = start(
        &scratch,
        &with(
            "job = obey\nthen = made\non_failure = alarm\n[scheduler made]\ncmd = echo made {pathname} {src_pathname}\n\
             [scheduler alarm]\ncmd = echo alarm {pathname}",
        ),
    );
    let path = write(&scratch, "good");
    daemon.await_log(&format!("prints: made {0}.made {0}\n", path.display()));
    let mut pids_before = pids(&daemon.log()).len();
    for (name, why, dies) in [
        ("fail", "as it\\nwas told", false),
        ("relative", "the path of its result is not absolute, or has .. in it: some/where", false),
        ("up", "the path of its result is not absolute, or has .. in it: /some/../where", false),
        ("long", "the path of its result is too long to be told", false),
        ("explain", "it gives a reason that is too long to be told", false),
        ("panic", "its worker ended with exit status 101", true),
        ("exit", "its worker ended with exit status 7", true),
    ] {
        let path = write(&scratch, name);
        daemon.await_log(&format!("prints: alarm {}\n", path.display()));
        daemon.await_log(&format!("{}: failed: {why}\n", path.display()));
        let path = write(&scratch, &format!("next-{name}"));
        daemon.await_log(&format!("prints: made {0}.made {0}\n", path.display()));
        let pids = pids(&daemon.log()).len();
        assert!(!dies || pids == pids_before + 1, "{name}: the next job gets a new worker\n{}", daemon.log());
        pids_before = pids;
    }
    let log = daemon.log();
    assert!(
        log.contains("panic: panicked at tests/worker/jobs.rs:") && log.contains("panic: as it was told\n"),
        "{log}"
    );
    daemon.stop();
}

#[test]
fn a_job_that_talks_much_is_logged_whole() {
    let scratch = Scratch::new();
    let daemon = start(&scratch, &with("job = obey"));
    let path = write(&scratch, "talk");
    daemon.await_log("talk: done\n");
    let log = daemon.log();
    let said: Vec<&str> =
        log.lines().filter_map(|line| line.split_once(&format!("{}: ", path.display()))?.1.into()).collect();
    assert_eq!(said.iter().filter(|line| line.starts_with("word ")).count(), 2_000);
    let long: usize = said.iter().filter(|line| line.starts_with("yy")).map(|line| line.len()).sum();
    assert_eq!(long, 70_000);
    daemon.stop();
}

/// A worker that has run for too long gets SIGTERM, one that does not heed it SIGKILL, with all of its group; the next job
/// gets a new worker.
#[test]
fn a_job_that_takes_too_long_is_ended_with_its_worker() {
    let scratch = Scratch::new();
    let daemon = start(
        &scratch,
        &with("job = obey\ntimeout = 1s\non_failure = alarm\n[scheduler alarm]\nexec = echo alarm {name}"),
    );
    write(&scratch, "sleep");
    daemon.await_log("alarm sleep");
    let log = daemon.log();
    assert!(log.contains("sleep: runs for 1s now and gets SIGTERM"), "{log}");
    assert!(log.contains("sleep: failed: its worker was ended by signal 15"), "{log}");
    write(&scratch, "deaf");
    daemon.await_log("alarm deaf");
    let log = daemon.log();
    assert!(log.contains("deaf: gets SIGKILL"), "{log}");
    assert!(log.contains("deaf: failed: its worker was ended by signal 9"), "{log}");
    write(&scratch, "next");
    daemon.await_log("next: done");
    assert_eq!(pids(&daemon.log()).len(), 3, "{}", daemon.log());
    wait_until("nobody is left", || workers(daemon.pid()).is_empty());
    daemon.stop();
}

#[test]
fn a_newer_event_restarts_a_job() {
    let scratch = Scratch::new();
    let daemon = start(&scratch, &with("job = obey\non_busy = restart"));
    write(&scratch, "sleep");
    daemon.await_log("sleep: sleeps");
    write(&scratch, "sleep");
    wait_until("it sleeps again", || daemon.log().matches("sleep: sleeps").count() == 2);
    assert_eq!(pids(&daemon.log()).len(), 2, "{}", daemon.log());
    daemon.signal(Signal::TERM);
    daemon.signal(Signal::TERM);
}

/// Shown while it runs; and the end of the daemon is the end of it.
#[test]
fn progress_is_shown_and_no_worker_outlives_the_daemon() {
    let scratch = Scratch::new();
    let daemon = start(&scratch, &format!("[daemon]\nshutdown_timeout = 0\n{}", with("job = obey")));
    let path = write(&scratch, "sleep");
    daemon.await_log("sleep: sleeps");
    let mut status = program("test-jobs");
    let output = scratch.places(status.args(["status", "-c"]).arg(scratch.path("dogwatch.conf"))).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line =
        text.lines().find(|line| line.contains("pid ") && line.contains("  for ")).unwrap_or_else(|| panic!("{text}"));
    let worker = workers(daemon.pid())[0];
    assert!(line.starts_with(&format!("  pid {worker}  for ")), "{text}");
    assert!(line.ends_with(&format!("  3 of 1000 bytes  run#1  IN_CLOSE_WRITE  {}", path.display())), "{text}");
    let pid = daemon.pid();
    let log = daemon.stop();
    assert!(log.contains("sleep: failed: its worker was ended by signal 15"), "{log}");
    assert_eq!(workers(pid), [0; 0]);
}

#[test]
fn a_killed_daemon_leaves_no_worker() {
    let scratch = Scratch::new();
    let mut daemon = start(&scratch, &with("job = obey"));
    for name in ["wait-1", "wait-2", "next"] {
        write(&scratch, name);
    }
    daemon.await_log("next: done");
    daemon.await_log("wait-1: waits");
    daemon.await_log("wait-2: waits");
    // Two at work, one that is free.
    assert_eq!(pids(&daemon.log()).len(), 3);
    daemon.signal(Signal::KILL);
    daemon.wait();
    let gone = comes_true(Duration::from_secs(5), || workers(daemon.pid()).is_empty());
    let left = workers(daemon.pid());
    left.iter().for_each(|pid| end(*pid));
    assert!(gone, "left: {left:?}");
}

#[test]
fn ten_thousand_tiny_jobs_need_few_programs() {
    let scratch = Scratch::new();
    let daemon = start(&scratch, &with("job = obey"));
    let begun = Instant::now();
    for n in 0..10_000 {
        fs::write(scratch.src().join(format!("{n}")), "").unwrap();
    }
    let done = |log: &str| log.matches(": done: ").count();
    wait_until("all are done", || done(&daemon.log()) == 10_000);
    let log = daemon.log();
    let programs = pids(&log).len();
    println!("10,000 jobs in {:?}, by {programs} programs", begun.elapsed());
    assert!(programs <= 20, "{programs}");
    assert!(!log.contains(" ERROR "));
    wait_until("none is kept for nothing", || workers(daemon.pid()).is_empty());
    daemon.stop();
}

/// Whenever a worker is killed, its job has failed, or was done before that; and each job ends once.
#[test]
fn a_worker_that_is_killed_takes_one_job_with_it() {
    const JOBS: usize = 3_000;
    let scratch = Scratch::new();
    let config =
        with("job = obey\nthen = made\non_failure = lost\n[scheduler made]\njob = obey\n[scheduler lost]\njob = obey");
    let daemon = start(&scratch, &config);
    let mut random = fastrand::Rng::with_seed(1);
    let mut killed = 0;
    for n in 0..JOBS {
        fs::write(scratch.src().join(format!("{n}")), "").unwrap();
        if n % 20 == 0 {
            // Between the start of a worker and its end, anywhere.
            let begun = Instant::now();
            let wait = Duration::from_micros(random.u64(..3_000));
            while begun.elapsed() < wait {
                std::hint::spin_loop();
            }
            if let Some(worker) = random.choice(workers(daemon.pid())) {
                end(worker);
                killed += 1;
            }
        }
    }
    let ends = |log: &str, scheduler: &str| {
        let mut ends: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let ended = |line: &str| {
            let (about, how) = line.split_once(&format!(" {scheduler}: "))?.1.split_once(": ")?;
            let how = ["done", "failed"].into_iter().find(|word| how.starts_with(word))?;
            Some((about.rsplit('/').next()?.split(' ').next()?.to_owned(), how.to_owned()))
        };
        log.lines().filter_map(ended).for_each(|(name, how)| ends.entry(name).or_default().push(how));
        ends
    };
    wait_until("all have ended", || {
        let log = daemon.log();
        let first = ends(&log, "run");
        let handed_on = ends(&log, "made").len() + ends(&log, "lost").len();
        first.len() == JOBS && handed_on == JOBS
    });
    let log = daemon.log();
    for scheduler in ["run", "made", "lost"] {
        for (name, how) in ends(&log, scheduler) {
            assert_eq!(how.len(), 1, "{scheduler} {name}: {how:?}");
        }
    }
    let failed = log.matches("failed: its worker was ended by signal 9\n").count();
    assert_eq!(log.matches(" ERROR ").count(), failed, "{log}");
    println!("{JOBS} jobs and what follows them; {killed} workers killed, {failed} jobs with them");
    assert!(killed > 50 && failed > 0 && failed <= killed, "{killed} killed, {failed} failed");
    write(&scratch, "last");
    daemon.await_log("last: done");
    daemon.stop();
}

/// Neither for a command nor for a worker is the daemon's memory copied.
#[test]
fn nothing_is_started_by_a_fork() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skip("the package strace is missing");
    }
    let scratch = Scratch::new();
    let trace = scratch.path("trace");
    let config = scratch.config(&with("job = obey\nthen = made\n[scheduler made]\nexec = echo made {name}"));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-e", "trace=process", "-o"]).arg(&trace).arg(program("test-jobs").get_program());
    let mut daemon = scratch.spawn(strace.args(["daemon", "-c"]).arg(config).stdin(Stdio::null()).env("TZ", "UTC0"));
    let ready = comes_true(Duration::from_secs(30), || daemon.log().contains("ready, ") || daemon.try_wait().is_some());
    if !ready || daemon.try_wait().is_some() {
        return skip("strace cannot trace here (ptrace is not allowed)");
    }
    write(&scratch, "f");
    daemon.await_log("prints: made f.made");
    let text = scratch.read("trace");
    let pid = text.split(' ').next().unwrap();
    // The daemon itself, not strace.
    kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::TERM).unwrap();
    daemon.wait();
    let starts: Vec<&str> = text
        .lines()
        .filter(|line| line.split_whitespace().next() == Some(pid))
        .filter(|line| ["clone", "fork"].iter().any(|call| line.contains(call)) && line.contains('('))
        .collect();
    assert_eq!(starts.len(), 2, "{text}");
    for line in starts {
        assert!(line.contains("CLONE_VM|CLONE_VFORK") || line.contains(" vfork("), "{line}");
    }
}

#[test]
fn a_program_knows_its_own_jobs_only() {
    let scratch = Scratch::new();
    let config = scratch.config(&with("job = count"));
    let complaints = |mut program: Command| {
        let output = program.args(["check", "-c"]).arg(&config).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let (some, none) = (complaints(program("test-jobs")), complaints(common::dogwatch()));
    assert!(some.contains("expected one of: show, obey"), "{some}");
    assert!(none.contains("this program has no jobs of its own"), "{none}");
}

/// Whoever calls it so by hand gets an end, and no worker.
#[test]
fn a_worker_without_its_daemon_ends() {
    use std::os::unix::process::CommandExt;
    for parent in ["1", &std::process::id().to_string(), "x", ""] {
        let output = common::dogwatch().arg0("dogwatch: worker").arg(parent).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{parent}: {output:?}");
    }
}

/// It lives as long as its socket is open, under its own parent and no other.
#[test]
fn a_worker_lives_under_its_parent_only() {
    let scratch = Scratch::new();
    symlink(env!("CARGO_BIN_EXE_dogwatch"), scratch.path("dogwatch: worker")).unwrap();
    let start = |parent: u32| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "exec 'dogwatch: worker' \"$0\" 3<&0 </dev/null", &parent.to_string()]);
        (ours, shell.env("PATH", scratch.path("")).stdin(OwnedFd::from(theirs)).spawn().unwrap())
    };
    let (_socket, mut orphan) = start(1);
    let ended = comes_true(Duration::from_secs(10), || orphan.try_wait().unwrap().is_some());
    orphan.kill().unwrap();
    assert!(ended && orphan.wait().unwrap().code() == Some(1), "another's worker lives on");
    let (socket, mut own) = start(std::process::id());
    drop(socket);
    assert_eq!(own.wait().unwrap().code(), Some(0));
}

/// Whichever call of a worker fails, or is its last: its job ends once, and the daemon goes on.
#[cfg(feature = "fault")]
#[test]
fn a_fault_at_any_point_of_a_worker_ends_its_job_once() {
    let run = |fault: &str| {
        let scratch = Scratch::new();
        let config = scratch.config(&with("job = obey"));
        let mut command = program("test-jobs");
        command.env("DOGWATCH_FAULT", fault).env("DOGWATCH_FAULT_LOG", scratch.path("points"));
        let daemon = scratch.start_with(command.args(["daemon", "-c"]).arg(config));
        let path = write(&scratch, "f");
        let ends =
            |log: &str| ["done", "failed"].map(|how| log.matches(&format!("{}: {how}: ", path.display())).count());
        wait_until(&format!("{fault}: the job ends"), || ends(&daemon.log()) != [0, 0]);
        let gone = || workers(daemon.pid()).is_empty();
        wait_until(&format!("{fault}: so does the worker"), gone);
        let points: Vec<String> =
            scratch.read("points").lines().filter(|line| line.starts_with("worker:")).map(str::to_owned).collect();
        (ends(&daemon.stop()), points)
    };
    let (clean, points) = run("");
    assert_eq!(clean, [1, 0]);
    println!("{points:?}");
    assert!(points.len() >= 6, "{points:?}");
    for n in 1..=points.len() {
        for (fault, may_fail) in [("EINTR", false), ("ENOMEM", true), ("kill", true)] {
            let (ends, _) = run(&format!("worker:{n}={fault}"));
            assert!(ends == [1, 0] || (may_fail && ends == [0, 1]), "{}={fault}: {ends:?}", points[n - 1]);
        }
    }
}
