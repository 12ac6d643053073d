//! The gate misses nothing: what it counts is what strace(1) sees.
//!
//! Each point appends a line to the gate's log before its call is made. The first and the last of these writes are the markers
//! between which the daemon's system calls are counted, and the lines themselves are left out of the count.

use crate::common::{Scratch, skip, wait_until};
use crate::run::{Run, run};
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

/// What the gate's header says that no point stands for, but for [`SPAWN`], and the clocks where no vDSO answers.
const NO_POINT: [&str; 10] = [
    "brk",
    "mmap",
    "munmap",
    "mremap",
    "madvise",
    "prlimit64",
    "getpid",
    "geteuid",
    "clock_gettime",
    "clock_gettime64",
];
/// The calls of posix_spawn(3), at the point of that name.
const SPAWN: [&str; 5] = ["clone3", "clone", "vfork", "rt_sigprocmask", "mprotect"];
/// The standard library's getrandom(2), for hash tables, has this flag.
const FOR_HASHES: &str = "GRND_INSECURE";

#[test]
fn the_gate_counts_what_strace_counts() {
    let version = Command::new("strace").arg("-V").output();
    if !version.is_ok_and(|version| version.status.success()) {
        return skip("the package strace is missing");
    }
    let scratch = Scratch::new();
    let trace = scratch.path("trace");
    // strace as a grandchild: the daemon stays the test's own child.
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-q", "-s", "64", "-o"]).arg(&trace).arg(env!("CARGO_BIN_EXE_dogwatch"));
    command.env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET").env("TZ", "UTC0");
    if !Command::new("strace").args(["-D", "-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success()) {
        return skip("strace cannot trace here (ptrace is not allowed)");
    }
    let Run { code, log, points, .. } = run(command, "");
    assert_eq!(code, Some(0), "{log}");
    let text = || fs::read_to_string(&trace).unwrap_or_default();
    let is_whole = || text().lines().last().is_some_and(|line| line.contains("+++ exited"));
    wait_until("the trace is whole", is_whole);
    let mut gate = Calls::new();
    points.iter().for_each(|name| count(&mut gate, name));
    let (strace, besides) = between_markers(&text(), points.len());
    println!("{} points, as many by strace: {gate:?}; besides, without a point: {besides:?}", points.len());
    assert_eq!(strace, gate, "strace's count and the gate's");
}

/// How often each call was made.
type Calls = BTreeMap<String, usize>;

fn count(calls: &mut Calls, name: &str) {
    *calls.entry(name.to_owned()).or_default() += 1;
}

/// The calls of the first process of a trace: those that a point must stand for, and the others.
fn between_markers(trace: &str, last: usize) -> (Calls, Calls) {
    let daemon = trace.split(' ').next().unwrap();
    let lines = trace.lines().filter_map(|line| line.split_once(' ')).filter(|(pid, _)| *pid == daemon);
    let calls = lines.filter_map(|(_, line)| line.trim_start().split_once('('));
    let (mut gated, mut besides) = (Calls::new(), Calls::new());
    let (mut points, mut spawns, mut is_made) = (0, false, true);
    // The end of a call that somebody else's interrupted has no bracket behind its name.
    for (call, text) in calls.filter(|(call, _)| !call.contains([' ', '<'])) {
        if let Some((_, marker)) = text.split_once("\"main:").filter(|_| call == "write") {
            points += 1;
            spawns = marker.contains(" posix_spawn\\n");
            is_made = spawns;
            if spawns {
                count(&mut gated, "posix_spawn");
            }
        } else if points == 0 || (points == last && is_made) {
            // Before the first marker, or behind the call of the last.
        } else if NO_POINT.contains(&call) || (spawns && SPAWN.contains(&call)) || text.contains(FOR_HASHES) {
            count(&mut besides, call);
        } else {
            is_made = true;
            count(&mut gated, call);
        }
    }
    (gated, besides)
}
