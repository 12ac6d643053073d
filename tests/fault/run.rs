//! A run that does all that a daemon does in its life, in a second: it takes up a saved task of an earlier run, runs a delayed
//! command, keeps another task pending, is given another configuration, and ends.

use crate::common::{Daemon, Scratch, comes_true};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

/// What closes after writing runs at once; what is moved in is due in an hour.
const BEFORE: &str = "[daemon]\nshutdown_timeout = 10\nlog = stderr\nlog = file:@DIR/daemon.log\n\
    [scheduler run]\ncmd = echo {name} >>@DIR/ran; echo printed\ndelay = 20ms\n\
    [scheduler later]\ncmd = :\ndelay = 1h\n\
    [event_map m]\nIN_CLOSE_WRITE = run\nIN_MOVED_TO = later\nIN_DELETE = cancel run, cancel later\n\
    [watch w]\npath = @SRC\nevent_map = m\nrec = yes\nauto_add = yes\n";
/// One more watch, and another command.
const MORE: &str = "[watch more]\npath = @DIR/more\nevent_map = m\nexisting = yes\n";
/// After the run, for whoever takes up what it has saved.
const AFTER: &str = "[scheduler later]\ncmd = :\ndelay = 1h\n[event_map m]\nIN_MOVED_TO = later\n\
    [watch w]\npath = @SRC\nevent_map = m\n";

/// The task that was saved before the run, and the one that comes in it.
const EARLY: &str = "early";
const LONG: &str = "long";

/// How long a step that has gone wrong, and of which the log tells, may still come to its end.
const GRACE: Duration = Duration::from_millis(300);
/// A step takes milliseconds. What is repeated every ten seconds may come to its help.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a run came to.
pub struct Run {
    scratch: Scratch,
    /// Exit status; none if a signal ended it.
    pub code: Option<i32>,
    /// A step that it never came to the end of.
    pub stuck: Option<String>,
    /// What it has said on standard error.
    pub log: String,
    /// The call at each point that was passed.
    pub points: Vec<String>,
    /// The saved tasks as they were before.
    older: String,
}

/// One run; `command` has the daemon's program, to which its arguments are added.
pub fn run(mut command: Command, fault: &str) -> Run {
    let scratch = Scratch::new();
    for dir in ["src/old", "src/old/deep", "more", "state.d", "run.d"] {
        fs::create_dir(scratch.path(dir)).unwrap();
    }
    for file in ["src/early", "src/old/file", "more/there"] {
        make(&scratch, file);
    }
    let older = saved_earlier(&scratch);
    fs::write(scratch.path("state.d/pending"), &older).unwrap();
    let config = scratch.config(BEFORE);
    command.args(["daemon", "-c"]).arg(config).env("DOGWATCH_FAULT", fault);
    let daemon = scratch.spawn(command.env("DOGWATCH_FAULT_LOG", scratch.path("points")));
    let mut steps = Steps { scratch: &scratch, daemon, ended: None, stuck: None };
    let code = steps.all();
    let (log, stuck) = (steps.daemon.log(), steps.stuck.take());
    drop(steps);
    let points = scratch.read("points");
    let points = points.lines().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
    Run { code, stuck, log, points, older, scratch }
}

/// A run on its way.
struct Steps<'a> {
    scratch: &'a Scratch,
    daemon: Daemon,
    /// Its exit status, once it has one.
    ended: Option<Option<i32>>,
    stuck: Option<String>,
}

impl Steps<'_> {
    fn all(&mut self) -> Option<i32> {
        let scratch = self.scratch;
        self.reach("it is ready", || true, "ready, ");
        fs::create_dir(scratch.path("new")).unwrap();
        make(scratch, "new/f");
        fs::rename(scratch.path("new"), scratch.src().join("new")).unwrap();
        self.reach("the command runs", || scratch.read("ran") == "f\n", "new/f (found by a scan): done");
        make(scratch, LONG);
        fs::rename(scratch.path(LONG), scratch.src().join(LONG)).unwrap();
        self.reach("a task is pending", || true, "src/long: scheduled");
        scratch.config(&(BEFORE.replace("/ran;", "/ran.new;") + MORE));
        self.daemon.signal_if_there(Signal::HUP);
        let is_ready_again = |log: &str| log.matches("ready, ").count() == 2;
        let ran = || scratch.read("ran.new") == "there\n" && is_ready_again(&scratch.read("log"));
        self.reach("the new configuration serves", ran, "more/there (found by a scan): done");
        self.reach_no_zombie();
        self.daemon.signal_if_there(Signal::TERM);
        self.reach_end()
    }

    /// Waits for a condition and for words in the log; or for the daemon's end; or, if the log tells of an error, for as long as
    /// the rest may take.
    fn reach(&mut self, what: &str, condition: impl Fn() -> bool, words: &str) {
        let (start, daemon, ended) = (Instant::now(), &mut self.daemon, &mut self.ended);
        let reached = comes_true(PATIENCE, || {
            if ended.is_none() {
                *ended = daemon.try_wait();
            }
            let log = daemon.log();
            let is_told = || log.contains(" ERROR ") || log.contains(" WARNING ");
            ended.is_some() || (log.contains(words) && condition()) || (is_told() && start.elapsed() > GRACE)
        });
        self.note(what, reached);
    }

    fn reach_end(&mut self) -> Option<i32> {
        let (daemon, ended) = (&mut self.daemon, &mut self.ended);
        let reached = comes_true(PATIENCE, || {
            *ended = ended.take().or_else(|| daemon.try_wait());
            ended.is_some()
        });
        self.note("it ends", reached);
        self.ended.flatten()
    }

    fn reach_no_zombie(&mut self) {
        let (pid, daemon) = (self.daemon.pid(), &mut self.daemon);
        let reached = comes_true(PATIENCE, || !has_zombie(pid) || daemon.try_wait().is_some());
        self.note("no zombie is left", reached);
    }

    fn note(&mut self, what: &str, reached: bool) {
        if !reached {
            self.stuck.get_or_insert(format!("never: {what}"));
        }
    }
}

fn has_zombie(pid: u32) -> bool {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children
        .split(' ')
        .filter(|child| !child.is_empty())
        .any(|child| fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| stat.contains(") Z ")))
}

/// A file that nobody has open: another thread's child would close it only when it becomes another program, and that is an event.
fn make(scratch: &Scratch, name: &str) {
    mknodat(CWD, scratch.path(name), FileType::RegularFile, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// A file of saved tasks as a daemon has left it a while ago.
fn saved_earlier(scratch: &Scratch) -> String {
    let path = scratch.src().join(EARLY);
    let found = fs::metadata(&path).unwrap();
    let file = format!("{} {} {} {}", found.ino(), found.len(), found.mtime(), found.mtime_nsec());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let text = format!("dogwatch-pending 1\nat {now}\n3600000\tlater\tIN_MOVED_TO\t{file}\t{}\n", path.display());
    format!("{text}sum {:016x}\nend\n", fnv(&text))
}

/// FNV-1a, 64 bits.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

impl Run {
    /// The file of saved tasks.
    pub fn saved(&self) -> String {
        self.scratch.read("state.d/pending")
    }

    /// The log file.
    pub fn file(&self) -> String {
        self.scratch.read("daemon.log")
    }

    fn has_said(&self, words: &str) -> bool {
        self.log.contains(words) || self.file().contains(words)
    }

    /// One of the logs, without what differs from run to run.
    pub fn story(&self, log: &str) -> Vec<String> {
        let dir = self.scratch.path("");
        let dir = dir.to_str().unwrap().trim_end_matches('/');
        let mut lines: Vec<String> = log.lines().map(|line| line.replace(dir, "@DIR")).map(without_numbers).collect();
        lines.sort();
        lines
    }

    /// What is wrong with what is saved, whatever has happened to the daemon: it must be the older file or a whole newer one,
    /// with every task that was ever said to be in it.
    pub fn saved_wrongly(&self) -> Option<String> {
        let saved = self.saved();
        let is_pending = self.has_said("src/long: scheduled");
        if saved == self.older {
            // What fails when it is asked to end is tried again when it does; a state directory that fails at the start is told.
            let tried_twice = self.code == Some(0) && is_pending && !self.has_said("tasks cannot be saved");
            let newer = tried_twice || self.has_said("tasks for the next start");
            return newer.then(|| "the older file stands".to_owned());
        }
        let (early, long) = (tasks(&saved, EARLY), tasks(&saved, LONG));
        match saved.rsplit_once("sum ") {
            None => Some("no whole file of saved tasks is there".to_owned()),
            Some((text, sum)) if sum != format!("{:016x}\nend\n", fnv(text)) => Some("it is half a file".to_owned()),
            Some(_) if early != 1 => Some("the task of the earlier run is lost".to_owned()),
            Some(_) if is_pending && long != 1 => Some("the task of this run is lost".to_owned()),
            Some(_) => None,
        }
    }

    /// What is wrong with what a daemon without faults makes of it: it must take up all that is saved, and save the same again.
    pub fn taken_up_wrongly(&self) -> Option<String> {
        let saved = self.saved();
        let count = tasks(&saved, EARLY) + tasks(&saved, LONG);
        let daemon = self.scratch.start(AFTER);
        daemon.await_log("saved tasks taken up");
        let log = daemon.stop();
        let again = self.saved();
        let names = fs::read_dir(self.scratch.path("state.d")).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        let all = format!("{count} saved tasks taken up; not so: 0 whose file has changed, 0 without scheduler");
        let same = (tasks(&again, EARLY), tasks(&again, LONG)) == (tasks(&saved, EARLY), tasks(&saved, LONG));
        let right = log.contains(&all) && same && names == ["pending"];
        (!right).then(|| format!("the next start: {names:?}\n{again}{log}"))
    }
}

/// How many tasks there are for a file in `src`.
fn tasks(saved: &str, name: &str) -> usize {
    saved.lines().filter(|line| line.ends_with(&format!("/src/{name}"))).count()
}

/// A line without its date, and without a process id or a duration at its end.
fn without_numbers(line: String) -> String {
    let line = line.get("2026-01-02 03:04:05 ".len()..).unwrap_or_default();
    let end = [", pid ", ", due in "].iter().find_map(|words| line.rfind(words));
    end.and_then(|end| line.get(..end)).unwrap_or(line).to_owned()
}
