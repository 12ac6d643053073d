//! The log never blocks the daemon, whoever reads it or does not: here standard error, in the other files the other targets.

#[path = "../common/mod.rs"]
mod common;
mod file;
mod syslog;

use common::{Daemon, Scratch, comes_true, dogwatch, wait_until};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A daemon whose standard error the test holds, killed in the end.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const CONFIG: &str = "[scheduler run]\ncmd = echo {name} >>@DIR/ran\n[event_map m]\nIN_CLOSE_WRITE = run\n\
                      [watch w]\npath = @SRC\nevent_map = m\n";

/// Starts a debugging daemon that logs to `stderr`.
fn start(scratch: &Scratch, stderr: impl Into<Stdio>) -> Guard {
    let config = scratch.config(CONFIG);
    let mut command = dogwatch();
    command.args(["daemon", "-d", "-c"]).arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    let daemon = Guard(scratch.places(&mut command).spawn().unwrap());
    await_commands(scratch);
    daemon
}

/// The directory is watched once a first file has had its command.
fn await_commands(scratch: &Scratch) {
    let mut n = 0;
    wait_until("the daemon runs commands", || {
        n += 1;
        fs::write(scratch.src().join(format!("first{n}")), "x").unwrap();
        scratch.path("ran").exists()
    });
}

/// The same with the routes in `[daemon]`; standard error goes to the scratch directory's file `log`.
fn start_with_logs(scratch: &Scratch, logs: &str) -> Daemon {
    let config = scratch.config(&format!("[daemon]\n{logs}\n{CONFIG}"));
    let daemon = scratch.spawn(dogwatch().args(["daemon", "-c"]).arg(config));
    await_commands(scratch);
    daemon
}

/// The time that it has had, and how often it has waited, do not change: nothing keeps it busy.
fn await_rest(daemon: &Daemon) {
    let look = || {
        let read = |name| fs::read_to_string(format!("/proc/{}/{name}", daemon.pid())).unwrap();
        let times = read("stat").rsplit(')').next().unwrap().split(' ').skip(12).take(2).collect::<String>();
        let status = read("status");
        times + &status.lines().filter(|line| line.contains("ctxt_switches")).collect::<String>()
    };
    let (mut before, mut since) = (look(), Instant::now());
    wait_until("it rests", || {
        let now = look();
        if now != before {
            (before, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(500)
    });
}

/// More lines than any pipe and buffer holds, then a command that must run all the same.
fn flood(scratch: &Scratch) {
    let long = "x".repeat(200);
    for n in 0..800 {
        let (a, b) = (scratch.src().join(format!("{long}{n}")), scratch.src().join(format!("{n}{long}")));
        fs::create_dir(&a).unwrap();
        fs::rename(&a, &b).unwrap();
        fs::remove_dir(&b).unwrap();
    }
    fs::write(scratch.src().join("last"), "x").unwrap();
    wait_until("the last command has run", || scratch.read("ran").ends_with("last\n"));
}

/// Reads on until the line that counts the lost ones; every line before is whole.
fn read_until_lost_lines_are_told(mut reader: impl Read) {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    let told = comes_true(Duration::from_secs(30), || {
        let n = reader.read(&mut buffer).unwrap();
        text.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
        text.contains(" lines were lost: they could not be written\n")
    });
    assert!(told, "{text}");
    let lost = text.lines().find(|line| line.contains("lines were lost")).unwrap();
    let count: u64 = lost.split(' ').find_map(|word| word.parse().ok()).unwrap_or(0);
    assert!(count > 100, "{lost}");
    assert!(
        text.lines()
            .all(|line| line.starts_with("20")
                && (line.contains(" daemon: ") || line.contains(" run: ") || line == lost))
    );
}

#[test]
fn a_pipe_that_nobody_reads_does_not_block() {
    let scratch = Scratch::new();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let _daemon = start(&scratch, writer);
    flood(&scratch);
    read_until_lost_lines_are_told(File::from(reader));
}

/// The pipe is shared with others, who rely on its blocking: only our own open file description is made non-blocking.
#[test]
fn a_shared_pipe_stays_blocking_for_others() {
    let scratch = Scratch::new();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let ours = writer.try_clone().unwrap();
    let _daemon = start(&scratch, writer);
    assert!(!rustix::fs::fcntl_getfl(&ours).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
    drop(reader);
}

#[test]
fn a_socket_that_nobody_reads_does_not_block() {
    let scratch = Scratch::new();
    let (reader, writer) = UnixStream::pair().unwrap();
    let _daemon = start(&scratch, OwnedFd::from(writer));
    flood(&scratch);
    read_until_lost_lines_are_told(reader);
}

#[test]
fn a_fifo_that_nobody_reads_does_not_block() {
    let scratch = Scratch::new();
    let fifo = scratch.path("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let both = File::options().read(true).write(true).open(&fifo).unwrap();
    let _daemon = start(&scratch, both.try_clone().unwrap());
    flood(&scratch);
    read_until_lost_lines_are_told(both);
}

#[test]
fn a_reader_that_goes_away_does_not_end_the_daemon() {
    let scratch = Scratch::new();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    drop(reader);
    let _daemon = start(&scratch, writer);
    flood(&scratch);
}

#[test]
fn a_full_disk_does_not_end_the_daemon() {
    let scratch = Scratch::new();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let _daemon = start(&scratch, full);
    flood(&scratch);
}

/// The disk is full for a while: the lost lines are counted right, and no line runs into another.
#[test]
fn a_disk_that_was_full_shows_whole_lines_and_the_right_count() {
    fill_a_disk(|scratch, log| start(scratch, File::options().append(true).create(true).open(log).unwrap()));
}

/// Has `start` start a daemon with a log on a small disk, which is full for a while.
fn fill_a_disk<D>(start: impl FnOnce(&Scratch, &Path) -> D) {
    if !common::is_root() {
        return common::skip("mounting a small tmpfs needs root");
    }
    let scratch = Scratch::new();
    let disk = scratch.path("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = rustix::mount::mount("none", &disk, "tmpfs", rustix::mount::MountFlags::empty(), Some(c"size=64k"));
    if let Err(error) = mounted {
        return common::skip(&format!("tmpfs cannot be mounted: {error}"));
    }
    let log = disk.join("log");
    let text = || fs::read_to_string(&log).unwrap_or_default();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _daemon = start(&scratch, &log);
        flood(&scratch);
        let full = text();
        File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
        wait_until("the lost lines are told", || {
            fs::write(scratch.src().join("again"), "x").unwrap();
            text().contains("lines were lost")
        });
        (full, text())
    }));
    rustix::mount::unmount(&disk, rustix::mount::UnmountFlags::DETACH).unwrap();
    let (full, text) = outcome.unwrap_or_else(|failure| std::panic::resume_unwind(failure));
    assert!(full.len() > 60_000, "the disk was full");
    // The line that was cut by the full disk is ended first.
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert!(lines.iter().all(|line| line.starts_with("20") && line.matches(" daemon: ").count() <= 1), "{text}");
    let told: Vec<&&str> = lines.iter().filter(|line| line.contains("lines were lost")).collect();
    let count: u64 = told[0].split(' ').find_map(|word| word.parse().ok()).unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(count > 1_000, "{}", told[0]);
}

/// Closed standard descriptors: no file of the daemon's takes the number 2, to be written log lines to.
#[test]
fn closed_standard_descriptors_do_no_harm() {
    let scratch = Scratch::new();
    let config = scratch.config(CONFIG);
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "exec \"$0\" daemon -d -c \"$1\" <&- >&- 2>&-"]).arg(env!("CARGO_BIN_EXE_dogwatch")).arg(config);
    let daemon = Guard(scratch.places(&mut shell).spawn().unwrap());
    await_commands(&scratch);
    for fd in 0..3 {
        let target = fs::read_link(format!("/proc/{}/fd/{fd}", daemon.0.id())).unwrap();
        assert_eq!(target.to_str(), Some("/dev/null"));
    }
}

#[test]
fn lines_for_the_journal_carry_their_priority() {
    let scratch = Scratch::new();
    let config = scratch.config(&CONFIG.replace("cmd = ", "cmd = exit 3; "));
    let log = File::create(scratch.path("log")).unwrap();
    let stream = {
        let found = log.metadata().unwrap();
        format!("{}:{}", found.dev(), found.ino())
    };
    // `spawn` makes the same file anew, which keeps its inode.
    let daemon = scratch.spawn(dogwatch().args(["daemon", "-d", "-c"]).arg(&config).env("JOURNAL_STREAM", &stream));
    wait_until("it is ready", || daemon.log().contains("<6>daemon: ready, directories watched: 1\n"));
    fs::write(scratch.src().join("f"), "x").unwrap();
    daemon.await_log("f: failed: exit status 3\n");
    let log = daemon.stop();
    assert!(log.contains("<3>run: run#1 "), "{log}");
    assert!(log.contains("<7>daemon: event IN_CLOSE_WRITE "), "{log}");
    assert!(log.lines().all(|line| line.starts_with('<')), "{log}");
    // Another stream's numbers: we were redirected, and the lines are for people.
    let other = Scratch::new();
    let config = other.config(CONFIG);
    let daemon = other.start_with(dogwatch().args(["daemon", "-c"]).arg(config).env("JOURNAL_STREAM", "1:2"));
    assert!(daemon.stop().lines().all(|line| line.starts_with("20")));
}

#[test]
fn levels_are_obeyed_by_name() {
    let scratch = Scratch::new();
    let config = "[daemon]\nlog = stderr warning\nloglevel.loud = debug\n[scheduler quiet]\ncmd = :\n\
                  [scheduler other]\ncmd = echo x >@DIR/ran\nlogname = loud\n[event_map m]\nIN_CLOSE_WRITE = quiet, other\n\
                  [watch w]\npath = @SRC\nevent_map = m\n";
    let config = scratch.config(config);
    let daemon = scratch.spawn(dogwatch().args(["daemon", "-c"]).arg(config));
    wait_until("the commands run", || {
        fs::write(scratch.src().join("f"), "x").unwrap();
        scratch.path("ran").exists()
    });
    daemon.await_log(": done");
    let log = daemon.stop();
    assert!(log.contains(" INFO loud: other#"), "{log}");
    assert!(!log.contains("quiet") && !log.contains("daemon:"), "{log}");
}

/// The time is the zone's, which a static binary has to know by itself.
#[test]
fn lines_carry_the_local_time() {
    let scratch = Scratch::new();
    let config = scratch.config(CONFIG);
    let hour = |zone: &str| {
        let daemon = scratch.start_with(dogwatch().args(["daemon", "-c"]).arg(&config).env("TZ", zone));
        let log = daemon.stop();
        log.get(11..13).unwrap().parse::<u32>().unwrap()
    };
    let (utc, east) = (hour("UTC0"), hour("XXX-5"));
    // The hour may have turned between the two.
    assert!([5, 6].contains(&((east + 24 - utc) % 24)), "{utc} {east}");
}
