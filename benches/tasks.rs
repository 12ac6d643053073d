//! Pending tasks: what a million of them take in memory, and how long a hundred thousand saved ones take at a start.
//!
//! Memory: the engine's own tasks, scheduled as the daemon schedules them, counted by an allocator. Time: the release
//! binary, from before it is spawned until it says that all are taken up, against the same start without them.

mod counting;

// Whole floors, for what tasks need is spread over them; most of the rest is not used here.
#[allow(dead_code, unused_imports)]
#[path = "../src/engine/mod.rs"]
mod engine;
#[allow(dead_code, unused_imports)]
#[path = "../src/parts/mod.rs"]
mod parts;
#[allow(dead_code, unused_imports)]
#[path = "../src/sys/mod.rs"]
mod sys;

use engine::task::{Action, EventMap, Outcome, Rules, Scheduler, Tasks, Verb};
use engine::watch::{Event, NodeId, Tree};
use parts::duration::Millis;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use sys::clock::Tick;
use sys::inotify::Mask;

const MILLION: usize = 1_000_000;
const A_DIRECTORY: usize = 1_000;
const MEMORY_GOAL: f64 = 160.0;
const SAVED: usize = 100_000;
const TIME_GOAL: f64 = 1.0;
const ROUNDS: usize = 5;

fn main() {
    // Cargo builds the program as it builds this one.
    if cfg!(debug_assertions) {
        println!("not measured, for dogwatch is not built optimised here: cargo bench does that");
        return;
    }
    memory();
    println!();
    time();
}

fn verdict(value: f64, goal: f64) -> &'static str {
    if value <= goal { "met" } else { "missed" }
}

/// Directories with paths of 27 bytes, so that with a name of 12 and a slash a path has 40.
fn directories(tree: &mut Tree) -> Vec<NodeId> {
    let path = |n: usize| format!("/srv/spool/incoming/dir{n:04}");
    (0..MILLION / A_DIRECTORY).map(|n| *tree.way_to(path(n).as_bytes()).unwrap().last().unwrap()).collect()
}

fn memory() {
    let mut map = EventMap::default();
    map.set(Mask::CLOSE_WRITE, vec![Action { scheduler: 0, verb: Verb::Schedule }]);
    let hour = Scheduler { delay: Millis(3_600_000), ..Scheduler::default() };
    let rules = Rules { schedulers: vec![hour], maps: vec![map], max_jobs: 4 };
    let mut tree = Tree::new(7);
    let dirs = directories(&mut tree);
    let before = counting::live();
    counting::forget_peak();
    let mut tasks = Tasks::new(rules, 7, Tick(0));
    let start = Instant::now();
    for n in 0..MILLION {
        let name = format!("upload{n:06}");
        let event = Event {
            mask: Mask::CLOSE_WRITE,
            dir: dirs[n / A_DIRECTORY],
            name: name.as_bytes(),
            is_dir: false,
            below: true,
            maps: &[0],
            source: None,
            from_scan: false,
        };
        tasks.event(Tick(n as u64 / 100), &mut tree, &event);
        tasks.effects.clear();
    }
    let ns = start.elapsed().as_nanos() / MILLION as u128;
    let each = |bytes: usize| (bytes - before) as f64 / MILLION as f64;
    let (live, peak) = (each(counting::live()), each(counting::peak()));
    println!(
        "a million pending tasks with paths of 40 bytes: {live:.1} bytes each, {peak:.1} at the most; {ns} ns to schedule"
    );
    println!("goal {MEMORY_GOAL} bytes: {}", verdict(peak, MEMORY_GOAL));
    // All of them are due, run and end.
    let mut now = 3_700_000;
    while tasks.len() > 0 {
        tasks.advance(Tick(now), &mut tree);
        for effect in std::mem::take(&mut tasks.effects) {
            if let engine::task::Effect::Start(task, _) = effect {
                tasks.finished(Tick(now), &mut tree, task, Outcome::Done(None));
            }
        }
        now += 1;
    }
    tasks.effects = Vec::new();
    println!("when they are gone: {:.2} bytes of each are left", each(counting::live().max(before)));
}

/// Milliseconds from the start until the log says these words: by the clock, and of the processors.
fn started(dir: &Path, words: &str) -> [f64; 2] {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dogwatch"));
    command.args(["daemon", "-c"]).arg(dir.join("dogwatch.conf")).env_remove("JOURNAL_STREAM");
    let start = Instant::now();
    let mut daemon = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(daemon.stderr.take().unwrap()).lines();
    let seen = lines.by_ref().any(|line| line.unwrap().contains(words));
    let ms = start.elapsed().as_secs_f64() * 1e3;
    let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.id())).unwrap();
    // Fields 14 and 15, counted from behind the name (proc_pid_stat(5)).
    let fields = stat.rsplit(')').next().unwrap().split(' ').skip(12).take(2);
    let ticks: f64 = fields.map(|field| field.parse::<f64>().unwrap()).sum();
    let cpu = ticks * 1e3 / rustix::param::clock_ticks_per_second() as f64;
    // Killed, so that the file of saved tasks stays as it is.
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert!(seen, "the daemon never said {words:?}");
    [ms, cpu]
}

fn medians(values: Vec<[f64; 2]>) -> [f64; 2] {
    [0, 1].map(|which| {
        let mut values: Vec<f64> = values.iter().map(|pair| pair[which]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    })
}

fn time() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    let text = format!(
        "[daemon]\nstate_dir = {0}/state\nrun_dir = {0}/run\nshutdown_timeout = 0\nlog = stderr info\nloglevel.run = error\n\
         [scheduler run]\ncmd = :\ndelay = 1d\n[event_map m]\nIN_CLOSE_WRITE = run\n\
         [watch w]\npath = {0}/src\nevent_map = m\nrec = yes\nexisting = yes\n",
        dir.display()
    );
    fs::write(dir.join("dogwatch.conf"), &text).unwrap();
    for n in 0..SAVED / A_DIRECTORY {
        let sub = dir.join(format!("src/dir{n:04}"));
        fs::create_dir_all(&sub).unwrap();
        for file in 0..A_DIRECTORY {
            fs::write(sub.join(format!("upload{file:06}")), "").unwrap();
        }
    }
    // Existing files become tasks, which are saved at its end.
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_dogwatch"));
    daemon.args(["daemon", "-c"]).arg(dir.join("dogwatch.conf")).env_remove("JOURNAL_STREAM");
    let mut daemon = daemon.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(daemon.stderr.take().unwrap()).lines();
    assert!(lines.by_ref().any(|line| line.unwrap().contains("ready, ")));
    let pid = rustix::process::Pid::from_child(&daemon);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(lines.by_ref().any(|line| line.unwrap().contains(&format!("saved {SAVED} tasks"))));
    lines.for_each(drop);
    daemon.wait().unwrap();
    fs::write(dir.join("dogwatch.conf"), text.replace("existing = yes", "existing = no")).unwrap();
    let pending = dir.join("state/pending");
    let mut taken = Vec::new();
    let mut without = Vec::new();
    for _ in 0..ROUNDS {
        taken.push(started(dir, &format!("{SAVED} saved tasks taken up")));
        fs::rename(&pending, dir.join("aside")).unwrap();
        without.push(started(dir, "ready, "));
        fs::rename(dir.join("aside"), &pending).unwrap();
    }
    let ([taken, taken_cpu], [without, without_cpu]) = (medians(taken), medians(without));
    println!(
        "a start with {SAVED} saved tasks: {taken:.0} ms, {taken_cpu:.0} of the processors; without: {without:.0} and {without_cpu:.0}"
    );
    println!(
        "goal {TIME_GOAL} s for reading them back: {} (medians of {ROUNDS})",
        verdict((taken - without) / 1e3, TIME_GOAL)
    );
}
