//! A scratch directory with a daemon in it, which is gone at the end of the test however that ends.
#![allow(dead_code, reason = "each test program uses its part of it")]

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What a condition may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits for a condition, and fails loudly if it never comes true.
#[track_caller]
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(comes_true(DEADLINE, condition), "never: {what}");
}

/// Whether a condition comes true in time.
pub fn comes_true(within: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + within;
    while !condition() {
        if Instant::now() > end {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    true
}

/// Says why a test does not run here; in CI that is a failure.
#[track_caller]
pub fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "cannot run here, and in CI nothing is skipped: {reason}");
    println!("SKIPPED: {reason}");
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The program under test.
pub fn dogwatch() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dogwatch"));
    command.env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET").env("TZ", "UTC0");
    command
}

/// A copy of it. This process does not make it: what another test starts meanwhile would have it open for writing, and nobody
/// could execute it (execve(2), ETXTBSY).
pub fn copy_program(to: &Path) {
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_dogwatch")).arg(to).status().unwrap().success());
}

/// Does a run with a fault at each system call, some at once: `wrong` does that for the n-th, from 1, and says what is wrong
/// after it, if anything. Nothing may be wrong, and nearly as many calls be met as a run without a fault has made, `calls`. The
/// answer is how many.
pub fn sweep(at_once: usize, calls: usize, wrong: impl Fn(usize) -> Result<Option<String>, NoCall> + Sync) -> usize {
    let (next, met, wrongs) = (AtomicUsize::new(1), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Ok(wrong) = wrong(next.fetch_add(1, Ordering::Relaxed)) {
                    met.fetch_add(1, Ordering::Relaxed);
                    wrongs.lock().unwrap().extend(wrong);
                }
            });
        }
    });
    let (wrongs, met) = (wrongs.into_inner().unwrap(), met.into_inner());
    assert!(wrongs.is_empty(), "{} are wrong:\n{}", wrongs.len(), wrongs.join("\n"));
    assert!(met + 20 > calls && met > 50, "only {met} of {calls} calls");
    met
}

/// A run has made fewer calls than that.
pub struct NoCall;

/// A directory of the test's own, with `src` in it to be watched.
pub struct Scratch {
    dir: tempfile::TempDir,
}

impl Scratch {
    /// A fresh one, which only its owner can write to, as the daemon wants it.
    pub fn new() -> Scratch {
        Scratch::below(&std::env::temp_dir())
    }

    /// The same in this directory.
    pub fn below(dir: &Path) -> Scratch {
        let scratch = Scratch { dir: tempfile::tempdir_in(dir).unwrap() };
        fs::create_dir(scratch.src()).unwrap();
        scratch
    }

    /// A path in it.
    pub fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.dir.path().join(name.as_ref())
    }

    /// The directory to be watched.
    pub fn src(&self) -> PathBuf {
        self.path("src")
    }

    /// A file's text, empty while it is not there.
    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    /// Writes an executable script.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Writes a configuration in which `@SRC` and `@DIR` stand for the watched and the scratch directory.
    pub fn config(&self, text: &str) -> PathBuf {
        let path = self.path("dogwatch.conf");
        let text =
            text.replace("@SRC", self.src().to_str().unwrap()).replace("@DIR", self.dir.path().to_str().unwrap());
        fs::write(&path, text).unwrap();
        path
    }

    /// Starts a daemon and waits until it is ready.
    pub fn start(&self, config: &str) -> Daemon {
        let config = self.config(config);
        self.start_with(dogwatch().arg("daemon").arg("-c").arg(config))
    }

    /// Starts a daemon by this command, its log and its commands' output in files, and waits until it is ready.
    pub fn start_with(&self, command: &mut Command) -> Daemon {
        let daemon = self.spawn(command);
        wait_until("the daemon is ready", || daemon.log().contains("ready, directories watched"));
        daemon
    }

    /// The daemon's own directories are the test's, and not the machine's, unless the test says otherwise.
    pub fn places<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        for (variable, name) in [("RUNTIME_DIRECTORY", "run.d"), ("STATE_DIRECTORY", "state.d")] {
            if !command.get_envs().any(|(known, _)| known == variable) {
                command.env(variable, self.path(name));
            }
        }
        command
    }

    /// The same without waiting.
    pub fn spawn(&self, command: &mut Command) -> Daemon {
        let file = |name| Stdio::from(File::create(self.path(name)).unwrap());
        self.spawn_at(command, Stdio::null(), file("out"), file("log"))
    }

    /// The same with these as standard input, output and error.
    pub fn spawn_at(&self, command: &mut Command, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> Daemon {
        let child = self.places(command).stdin(stdin).stdout(stdout).stderr(stderr).spawn().unwrap();
        Daemon { child, log: self.path("log"), out: self.path("out") }
    }
}

/// A daemon that runs.
pub struct Daemon {
    child: Child,
    log: PathBuf,
    out: PathBuf,
}

impl Daemon {
    /// What it has logged so far.
    pub fn log(&self) -> String {
        text(&self.log)
    }

    /// What its commands have printed so far.
    pub fn out(&self) -> String {
        text(&self.out)
    }

    /// Waits for words in the log.
    #[track_caller]
    pub fn await_log(&self, words: &str) {
        let seen = comes_true(DEADLINE, || self.log().contains(words));
        assert!(seen, "the log never said {words:?}:\n{}", self.log());
    }

    /// Waits for words in what its commands print.
    #[track_caller]
    pub fn await_out(&self, words: &str) {
        let seen = comes_true(DEADLINE, || self.out().contains(words));
        assert!(seen, "no command printed {words:?}:\n{}\n{}", self.out(), self.log());
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The same, where it may have ended already.
    pub fn signal_if_there(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Its exit status if it has ended: `Some(None)` if by a signal.
    pub fn try_wait(&mut self) -> Option<Option<i32>> {
        self.child.try_wait().unwrap().map(|status| status.code())
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        let ended = comes_true(DEADLINE, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(ended, "the daemon does not end:\n{}", self.log());
        status.unwrap()
    }

    /// Asks it to end, and checks that it does so in good order.
    #[track_caller]
    pub fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{}", self.log());
        self.log()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// A name from bytes.
pub fn name(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

/// Paths of all tasks that a log tells of, each once.
pub fn scheduled(log: &str) -> BTreeSet<String> {
    let lines = log.lines().filter(|line| line.contains(": scheduled"));
    let paths = lines.filter_map(|line| line.split_once("#")?.1.split(' ').nth(2));
    paths.map(|path| path.trim_end_matches(':').to_owned()).collect()
}

/// More events in `dir` than the queue of a daemon that is stopped can hold.
pub fn fill_the_queue(dir: &Path) {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let names = [dir.join("noise1"), dir.join("noise2")];
    fs::write(&names[0], "").unwrap();
    for n in 0..limit.trim().parse::<usize>().unwrap() / 2 + 10 {
        fs::rename(&names[n % 2], &names[1 - n % 2]).unwrap();
    }
}

/// Waits for a task for this path.
#[track_caller]
pub fn await_task(daemon: &Daemon, path: &Path) {
    let seen = comes_true(DEADLINE, || scheduled(&daemon.log()).contains(path.to_str().unwrap()));
    assert!(seen, "no task for {}:\n{}", path.display(), daemon.log());
}

/// Writes new files until one is seen: the watch is there, or there again.
#[track_caller]
pub fn await_watch(daemon: &Daemon, dir: &Path) {
    let mut n = 0;
    let seen = comes_true(DEADLINE, || {
        n += 1;
        let file = dir.join(format!("probe{n}"));
        fs::write(&file, "x").unwrap();
        scheduled(&daemon.log()).iter().any(|path| path.starts_with(dir.join("probe").to_str().unwrap()))
    });
    assert!(seen, "{} is not watched:\n{}", dir.display(), daemon.log());
}

/// Whether a process is gone, or a zombie that its new parent has not reaped yet.
pub fn is_gone(pid: i32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.is_empty() || state.contains(") Z ") || test_kill_process(Pid::from_raw(pid).unwrap()).is_err()
}

/// Waits until a process watches a directory with inotify, by the inode that proc(5) tells of.
#[track_caller]
pub fn await_watched(pid: u32, dir: &Path) {
    let wanted = format!(" ino:{:x} ", fs::metadata(dir).unwrap().ino());
    wait_until(&format!("{} is watched", dir.display()), || {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
        let texts = descriptors.map(|entry| fs::read_to_string(entry.path()).unwrap_or_default());
        texts.into_iter().any(|text| text.lines().any(|line| line.starts_with("inotify ") && line.contains(&wanted)))
    });
}

/// The number that a process writes into a file of the scratch directory.
#[track_caller]
pub fn pid_in(scratch: &Scratch, file: &str) -> i32 {
    wait_until("the command has written its pid", || scratch.read(file).ends_with('\n'));
    scratch.read(file).trim().parse().unwrap()
}
