//! One run: a daemon of its own, the operations of a plan, and the comparison of what it says in the end with the model.

use crate::common::{Daemon, Scratch, comes_true, dogwatch};
use crate::disk::{Disk, STARTING};
use crate::expect::{Model, Task};
use crate::limit;
use crate::plan::{Op, Place, Plan, ROOTS, Setting, Step};
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// What a run came to.
#[derive(Default)]
pub struct Outcome {
    pub operations: usize,
    pub events: usize,
    pub tasks: usize,
    pub overflows: usize,
    /// What is wrong, with the end of the log.
    pub failure: Option<String>,
}

/// No turn of the daemon takes as long, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

const DONE: &str = ": cancelled: dogwatch ends before it is due";
const SCHEDULERS: [&str; 2] = ["all", "closed"];

fn config(setting: Setting) -> String {
    let mut text = "[daemon]\nshutdown_timeout = 0\non_shutdown = cancel\nlog = stderr debug\n".to_owned();
    for (root, name) in ROOTS.iter().enumerate().take(2) {
        text += &format!(
            "[scheduler all{root}]\nexec = /bin/true\ndelay = 1h\ndirs = yes\n\
             [scheduler closed{root}]\nexec = /bin/true\ndelay = 1h\ndirs = no\n\
             [event_map map{root}]\nIN_CREATE, IN_MOVED_TO = all{root}\nIN_CLOSE_WRITE = all{root}, closed{root}\n\
             IN_DELETE, IN_MOVED_FROM = cancel all{root}, cancel closed{root}\n\
             [watch watch{root}]\npath = @DIR/{name}\nevent_map = map{root}\nrec = yes\nauto_add = yes\nexisting = {}\n",
            if setting.existing { "yes" } else { "no" }
        );
        if setting.exclude[root] {
            text += &format!("exclude = ^@DIR/{name}/(.*/)?no[^/]*(/|$)\n");
        }
    }
    text
}

/// Runs a plan.
pub fn run(plan: &Plan) -> Outcome {
    let scratch = Scratch::new();
    let disk = Disk::new(&scratch.path(""));
    // The daemon's own log is opened for writing only when it starts, and emptied then.
    File::create(scratch.path("log")).unwrap();
    let log = Follower { file: File::open(scratch.path("log")).unwrap(), line: String::new() };
    let (model, outcome) = (Model::new(plan.setting), Outcome::default());
    let mut run = Run { scratch, disk, model, daemon: None, log, sentinels: 0, outcome };
    let result = run.steps(plan).and_then(|()| run.finish(plan.setting));
    if let Err(what) = result {
        let log = run.daemon.as_ref().map(Daemon::log).unwrap_or_default();
        if let Some(path) = std::env::var_os("DOGWATCH_MODEL_LOG") {
            fs::write(path, &log).unwrap();
        }
        let last = log.lines().count().saturating_sub(60);
        let tail: Vec<&str> = log.lines().skip(last).collect();
        run.outcome.failure = Some(format!("{what}\nthe end of the log:\n{}", tail.join("\n")));
    }
    run.outcome
}

struct Run {
    scratch: Scratch,
    disk: Disk,
    model: Model,
    daemon: Option<Daemon>,
    log: Follower,
    sentinels: usize,
    outcome: Outcome,
}

/// Reads a log as it grows.
struct Follower {
    file: File,
    /// The last line, which may grow still.
    line: String,
}

impl Follower {
    /// Whether a line that has come since contains this, or the last one does.
    fn has(&mut self, words: &str) -> bool {
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes).unwrap();
        self.line += &String::from_utf8_lossy(&bytes);
        let found = self.line.contains(words);
        if let Some(end) = self.line.rfind('\n') {
            self.line.drain(..=end);
        }
        found
    }
}

impl Run {
    fn steps(&mut self, plan: &Plan) -> Result<(), String> {
        let mut rest = &plan.steps[..];
        while !rest.is_empty() {
            let burst = rest.iter().position(|step| step.op.is_barrier()).unwrap_or(rest.len());
            self.burst(&rest[..burst])?;
            if let Some(barrier) = rest.get(burst) {
                self.barrier(&barrier.op, plan.setting)?;
            }
            rest = rest.get(burst + 1..).unwrap_or_default();
        }
        Ok(())
    }

    /// Each lane's operations by a thread of its own; lanes stay in different directories.
    fn burst(&mut self, steps: &[Step]) -> Result<(), String> {
        let lane = |lane: usize| {
            steps.iter().filter(move |step| step.lane == lane).filter_map(|step| self.disk.perform(&step.op))
        };
        let done: Vec<Op> = if steps.iter().any(|step| step.lane == 1) {
            std::thread::scope(|scope| {
                let second = scope.spawn(|| lane(1).collect::<Vec<_>>());
                let first: Vec<Op> = lane(0).collect();
                first.into_iter().chain(second.join().unwrap()).collect()
            })
        } else {
            lane(0).collect()
        };
        self.outcome.operations += done.len();
        let refused = done.iter().find(|op| !self.model.apply(op));
        refused.map_or(Ok(()), |op| Err(format!("the model is wrong: it has no {op:?}")))
    }

    fn barrier(&mut self, op: &Op, setting: Setting) -> Result<(), String> {
        match (op, &self.daemon) {
            (Op::Start, _) => {
                self.model.apply(op);
                return self.start(setting);
            }
            (Op::Settle, Some(daemon)) => {
                daemon.signal_if_there(Signal::CONT);
                self.settle()?;
            }
            (Op::Stop, Some(daemon)) => stop(daemon)?,
            (Op::Continue, Some(daemon)) => daemon.signal_if_there(Signal::CONT),
            (_, _) => {}
        }
        self.model.apply(op);
        Ok(())
    }

    fn start(&mut self, setting: Setting) -> Result<(), String> {
        let path = self.scratch.config(&config(setting));
        let mut command = dogwatch();
        command.args(["daemon", "-c"]).arg(path);
        if let Some(n) = setting.lost_read {
            command.env("DOGWATCH_FAULT", format!("overflow={n}"));
        }
        let limit = limit::hold(setting.queue);
        let none_writes = STARTING.write().unwrap();
        let daemon = self.daemon.insert(self.scratch.spawn(&mut command));
        drop(none_writes);
        let ready = comes_true(PATIENCE, || daemon.log().contains("ready, directories watched"));
        drop(limit);
        if ready { self.settle() } else { Err("it is never ready".to_owned()) }
    }

    /// Waits until the daemon has met a directory that is made now, and with it all that came before in its queue, and
    /// until nothing is left for it to do.
    fn settle(&mut self) -> Result<(), String> {
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        self.sentinels += 1;
        let sentinel = Place::root(0).join(format!("sentinel{}", self.sentinels).as_bytes());
        let op = Op::Mkdir(sentinel.clone());
        if self.disk.perform(&op).is_none() || !self.model.apply(&op) {
            return Err("no sentinel can be made".to_owned());
        }
        let path = self.scratch.path(OsStr::from_bytes(&sentinel.bytes()));
        let line = format!("event IN_CREATE|IN_ISDIR {}", path.display());
        let (mut ended, mut met, mut looks) = (false, false, 0);
        comes_true(PATIENCE, || {
            ended = daemon.try_wait().is_some();
            met = met || self.log.has(&line);
            // Twice, for it may have been on its way from one wait to the next.
            looks = if met && is_idle(daemon.pid()) { looks + 1 } else { 0 };
            ended || looks == 2
        });
        match (ended, looks == 2) {
            (true, _) => Err("it has ended by itself".to_owned()),
            (false, false) => Err(format!("it {}", if met { "is never idle" } else { "has not met the sentinel" })),
            (false, true) => Ok(()),
        }
    }

    /// Compares what is pending, and what was told, with the model.
    fn finish(&mut self, setting: Setting) -> Result<(), String> {
        let Some(daemon) = &self.daemon else { return Ok(()) };
        daemon.signal_if_there(Signal::CONT);
        self.settle()?;
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        daemon.signal_if_there(Signal::TERM);
        let mut status = None;
        comes_true(PATIENCE, || {
            status = daemon.try_wait();
            status.is_some()
        });
        if status != Some(Some(0)) {
            return Err(format!("at SIGTERM it ends with {status:?}"));
        }
        let log = daemon.log();
        let scratch = self.scratch.path("").as_os_str().as_bytes().to_vec();
        let events = events(&log, &scratch);
        self.outcome.events = events.len();
        self.outcome.overflows = log.matches("the event queue overflowed").count();
        let mut wrong = self.compare_disk();
        if wrong.is_empty() {
            wrong = self.compare_tasks(&log, &scratch, setting);
            if !setting.overflows() {
                wrong.extend(
                    events
                        .iter()
                        .filter(|path| self.model.ever_had(path) == Some(false))
                        .map(|path| format!("an event names {}, which never was there", path.escape_ascii())),
                );
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }

    fn compare_disk(&self) -> Vec<String> {
        let there = self.disk.walk();
        let roots = (0..ROOTS.len()).flat_map(|root| self.model.walk(&Place::root(root)));
        let is_dir = |kind| matches!(kind, crate::expect::Kind::Dir(_));
        let expected = roots.map(|(place, _, entry)| (place.bytes(), is_dir(entry.kind))).collect();
        let not_in = |one: &BTreeMap<Vec<u8>, bool>, other: &BTreeMap<Vec<u8>, bool>| {
            one.iter()
                .find(|(path, is_dir)| other.get(*path) != Some(is_dir))
                .map(|(path, _)| path.escape_ascii().to_string())
        };
        match (not_in(&there, &expected), not_in(&expected, &there)) {
            (None, None) => Vec::new(),
            (surplus, missing) => vec![format!("the model is wrong: on disk {surplus:?}, in the model {missing:?}")],
        }
    }

    fn compare_tasks(&mut self, log: &str, scratch: &[u8], setting: Setting) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut pending = BTreeSet::new();
        for (scheduler, path) in pending_tasks(log, scratch) {
            if !pending.insert((scheduler.clone(), path.clone())) {
                wrong.push(format!("two tasks of {scheduler}: {}", path.escape_ascii()));
            }
        }
        self.outcome.tasks = pending.len();
        for root in 0..ROOTS.len() {
            for (place, zone, entry) in self.model.walk(&Place::root(root)) {
                let Some(watch) = zone else { continue };
                for (scheduler, expected) in SCHEDULERS.iter().zip(entry.tasks) {
                    let known = pending.remove(&(format!("{scheduler}{watch}"), place.bytes()));
                    match expected {
                        Task::Yes if !known => wrong.push(format!("no task of {scheduler}: {place:?}")),
                        // What is reported once more after lost events is not news to everybody.
                        Task::No if known && !setting.overflows() => {
                            wrong.push(format!("a task of {scheduler} that nothing has scheduled: {place:?}"));
                        }
                        Task::Yes | Task::Maybe | Task::No => {}
                    }
                }
            }
        }
        let ghosts = pending.iter();
        wrong.extend(ghosts.map(|(scheduler, path)| format!("a ghost's task of {scheduler}: {}", path.escape_ascii())));
        wrong
    }
}

/// Stops the daemon where it holds no lease, for who writes to that file would have to wait until it goes on.
fn stop(daemon: &Daemon) -> Result<(), String> {
    let pid = daemon.pid();
    let stopped = comes_true(PATIENCE, || {
        daemon.signal_if_there(Signal::STOP);
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if !stat.contains(") T ") {
            return false;
        }
        let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
        let own = |line: &&str| line.contains(" LEASE ") && line.split_whitespace().any(|word| word == pid.to_string());
        let free = locks.lines().find(own).is_none();
        if !free {
            daemon.signal_if_there(Signal::CONT);
        }
        free
    });
    if stopped { Ok(()) } else { Err("it cannot be stopped".to_owned()) }
}

/// Scheduler and path of each task that was cancelled because the daemon ended.
fn pending_tasks(log: &str, scratch: &[u8]) -> Vec<(String, Vec<u8>)> {
    let lines = log.lines().filter_map(|line| line.strip_suffix(DONE)?.split_once(" WARNING ")?.1.split_once(": "));
    lines
        .filter_map(|(scheduler, rest)| Some((scheduler.to_owned(), below(rest.split(' ').nth(2)?, scratch)?)))
        .collect()
}

/// The path of each event that the kernel told, below the roots.
fn events(log: &str, scratch: &[u8]) -> Vec<Vec<u8>> {
    let lines = log.lines().filter_map(|line| line.split_once(" DEBUG daemon: event ")).map(|(_, rest)| rest);
    let told = lines.filter(|rest| !rest.ends_with(" (found by a scan)"));
    // That something goes is told by its directory's path of now, which may be another one since: by the kernel, which tells
    // of a deleted directory's end when nobody has it open any more, and where records were kept back during a rename.
    const GOES: [&str; 4] = ["IN_DELETE_SELF", "IN_IGNORED", "IN_DELETE", "IN_MOVED_FROM"];
    let goes = |rest: &&str| GOES.iter().any(|event| rest.split([' ', '|']).next() == Some(event));
    let told = told.filter(|rest| !goes(rest));
    let paths = told.filter_map(|rest| below(rest.split(' ').nth(1)?, scratch));
    paths.filter(|path| path.contains(&b'/')).collect()
}

fn below(escaped: &str, scratch: &[u8]) -> Option<Vec<u8>> {
    unescape(escaped).strip_prefix(scratch).map(<[u8]>::to_vec)
}

/// The bytes that the log has printed as this (parts/text.rs, `Escaped`).
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let (byte, used) = match (first, after) {
            (b'\\', [b'n', ..]) => (b'\n', 1),
            (b'\\', [b'x', high, low, ..]) => {
                let digits = [*high, *low];
                (u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap(), 3)
            }
            (b'\\', _) => (b'\\', 1),
            (byte, _) => (*byte, 0),
        };
        bytes.push(byte);
        rest = &after[used..];
    }
    bytes
}

/// Whether the process waits without a timeout, so that nothing is on its list, and its timer is not about to go off for
/// a rename that is waited for. For a moment after it was woken it still seems to wait: what has woken it must be known
/// to have come.
fn is_idle(pid: u32) -> bool {
    let before = switches(pid);
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let fields: Vec<&str> = call.split(' ').collect();
    // Number of the call, then its arguments: the third of ppoll(2) is the timeout. 32-bit systems have another one for
    // 64-bit times.
    let number = fields[0].parse::<libc::c_long>().ok();
    let waits = [libc::SYS_ppoll, 414].map(Some).contains(&number) && fields.get(3) == Some(&"0x0");
    waits && !timer_is_near(pid) && before.is_some() && switches(pid) == before
}

fn timer_is_near(pid: u32) -> bool {
    let infos = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    let mut texts = infos.filter_map(|info| fs::read_to_string(info.path()).ok());
    texts.any(|text| {
        let field = |name| text.lines().find_map(|line| line.strip_prefix(name));
        let unread = field("ticks: ").is_some_and(|ticks| ticks.trim() != "0");
        unread || field("it_value: (0, ").is_some_and(|rest| rest != "0)")
    })
}

fn switches(pid: u32) -> Option<Vec<String>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(status.lines().filter(|line| line.contains("ctxt_switches")).map(str::to_owned).collect())
}
