//! Each system call of a backup in turn, of the service and of its worker, is the last, fails, or is short. Needs the test
//! build (feature `fault`).

use crate::common::{self, NoCall, comes_true, wait_until};
use crate::place::{Place, RUNS, SCHEDULES};
use rustix::process::Signal;
use std::fs;

const OLD: &str = "the old backup, which is none";
const LINE: &str = "src;12:00;b\n";
/// Runs at once: most of a run is waiting.
const AT_ONCE: usize = 4;
const BYTES: usize = 200_000;

/// A service with this fault in it or in its workers, killed once it has told what came of its backup.
struct Run {
    place: Place,
    /// What the service said, and what the process with the fault called.
    log: String,
    calls: Vec<String>,
    lives: bool,
}

/// Where: in the service, `main`, or in its workers, `worker`.
fn run(process: &str, fault: &str) -> Run {
    let place = Place::new();
    place.write("src/f", vec![1; BYTES]);
    place.write("backups/b.tar", OLD);
    place.write(SCHEDULES, LINE);
    let points = place.scratch.path("points");
    let mut daemon = place.service(&[("DOGWATCH_FAULT", fault.as_ref()), ("DOGWATCH_FAULT_LOG", points.as_os_str())]);
    let has_told = || !place.log("service").is_empty() && place.read(RUNS).contains(" done ");
    let told =
        comes_true(crate::PATIENCE, || has_told() || tells_of_error(&daemon.log()) || daemon.try_wait().is_some());
    let lives = told && daemon.try_wait().is_none();
    daemon.signal_if_there(Signal::KILL);
    daemon.wait();
    let called = format!("dogwatch: worker\0{}\0", daemon.pid());
    wait_until("its workers have died with it", || !is_anybody_called(called.as_bytes()));
    let log = daemon.log();
    let points = place.scratch.read("points");
    let prefix = format!("{process}:");
    let calls = points.lines().filter_map(|line| line.strip_prefix(&prefix)?.split(' ').nth(1)).map(str::to_owned);
    Run { log, calls: calls.collect(), lives, place }
}

/// Whether a process has this command line.
fn is_anybody_called(words: &[u8]) -> bool {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.into_iter().any(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|found| found == words))
}

impl Run {
    /// What is wrong with what is there, whatever has happened.
    fn wrong(&self, may_end: bool) -> Option<String> {
        let place = &self.place;
        if !self.lives && !may_end {
            return Some("the service has ended, or tells nothing".to_owned());
        }
        if self.log.contains("panicked") {
            return Some("it panicked".to_owned());
        }
        if place.read(SCHEDULES) != LINE {
            return Some("the schedules are others".to_owned());
        }
        let mut finals = place.names("backups");
        finals.retain(|name| !name.starts_with('.') && name != "b.incomplete.tar");
        if finals != ["b.tar"] {
            return Some(format!("the backups are {finals:?}"));
        }
        half(place)
    }

    /// Whether its log says how the backup has ended.
    fn is_clear(&self) -> Option<String> {
        let log = self.place.log("service").join("\n");
        let clear = log.contains("Backup done for src") || log.contains("Backup failed for src: ");
        (!clear && !tells_of_error(&self.log)).then(|| format!("it is not clear what it did: {log}"))
    }

    /// What is wrong after a new start: a run that was begun is told as failed, and is no second time; else it is made up.
    fn is_left(&self) -> Option<String> {
        let place = &self.place;
        let (before, runs) = (place.log("service").len(), place.read(RUNS));
        let (done, begun) = (runs.contains(" done "), runs.contains(" begun "));
        let had = fs::read(place.path("backups/b.tar")).unwrap();
        place.prints(&["start"], "");
        place.prints(&["stop"], "");
        let new = place.log("service")[before..].join("\n");
        let right = match (done, begun) {
            (true, _) => new.is_empty() && fs::read(place.path("backups/b.tar")).unwrap() == had,
            (_, true) => {
                new == "Backup failed for src: it was cut off" && fs::read(place.path("backups/b.tar")).unwrap() == had
            }
            // What has its name had its run.
            _ => new == "Backup done for src in backups/b.tar" && had == OLD.as_bytes(),
        };
        if !right {
            return Some(format!("after {runs:?} the next start says {new:?}"));
        }
        // As if it were the next date.
        fs::remove_file(place.path(RUNS)).unwrap();
        place.prints(&["start"], "");
        place.prints(&["stop"], "");
        let (names, top) = (place.names("backups"), place.names("."));
        if names != ["b.tar"]
            || top != [RUNS, SCHEDULES, "backups", "logs", "src"]
            || place.read("backups/b.tar") == OLD
        {
            return Some(format!("after the next run there are {names:?}, {top:?}"));
        }
        half(place)
    }
}

/// That the system has no /etc/TZ to be watched is none.
fn tells_of_error(log: &str) -> bool {
    log.lines().any(|line| line.contains(" ERROR ") && !line.contains("cannot watch /etc/"))
}

fn half(place: &Place) -> Option<String> {
    if place.read("backups/b.tar") == OLD {
        return None;
    }
    match place.try_members("b.tar") {
        Ok(members) => {
            let is_whole = members.get("src/f").map(Vec::len) == Some(BYTES) && members.contains_key("src/");
            (!is_whole).then(|| format!("it has {:?}", members.keys()))
        }
        Err(wrong) => Some(wrong),
    }
}

/// Runs once for each call of a backup that this process makes, with this fault there.
fn sweep(process: &str, fault: &str, judge: impl Fn(&Run) -> Option<String> + Sync) {
    let may_end = (process, fault) == ("main", "kill");
    let clean = run(process, "");
    assert_eq!(clean.wrong(false).or_else(|| clean.is_clear()).or_else(|| clean.is_left()), None, "{}", clean.log);
    let met = common::sweep(AT_ONCE, clean.calls.len(), |n| {
        let run = run(process, &format!("{process}:{n}={fault}"));
        let call = run.calls.get(n - 1).ok_or(NoCall)?;
        let wrong = judge(&run).or_else(|| run.wrong(may_end)).or_else(|| run.is_left());
        let (log, logged) = (&run.log, run.place.read("logs/backup_service.log"));
        let at = format!("{call} ({process}:{n}={fault})");
        Ok(wrong.map(|wrong| format!("{at}: {wrong}; it says:\n{log}\nlogs:\n{logged}")))
    });
    println!("{fault} at each of {met} calls of {process} at a backup");
}

#[test]
fn a_kill_at_each_call_leaves_nothing_half() {
    sweep("worker", "kill", |_| None);
}

#[test]
fn a_kill_at_each_call_of_the_service_leaves_nothing_half() {
    sweep("main", "kill", |_| None);
}

#[test]
fn no_room_at_any_call_is_told() {
    sweep("worker", "ENOSPC", Run::is_clear);
}

#[test]
fn an_error_at_any_call_is_told() {
    sweep("worker", "EIO", Run::is_clear);
}

#[test]
fn a_short_count_at_any_call_is_made_good() {
    sweep("worker", "short", Run::is_clear);
}

/// The clock is set while the timer of the wall clock is armed: it looks again at once, and arms it again.
#[test]
fn a_clock_that_is_set_has_it_look_again() {
    let mut at = 0;
    wait_until("the call in which it is armed is hit, and the other timer is armed next", || {
        let place = Place::new();
        place.write(SCHEDULES, "none\nsrc;14:00;c\n");
        let log = place.scratch.path("points");
        let fault = if at == 0 { String::new() } else { format!("main:{at}=ECANCELED") };
        let daemon = place.service(&[("DOGWATCH_FAULT", fault.as_ref()), ("DOGWATCH_FAULT_LOG", log.as_os_str())]);
        let is_armed = || place.armed(daemon.pid()).is_some_and(|left| left > 7_000);
        if !comes_true(crate::PATIENCE / 10, is_armed) {
            // Another call was hit, after whose failure it waits. It is to be armed for 14:00, in about two hours.
            return false;
        }
        let text = place.scratch.read("points");
        let calls =
            text.lines().filter_map(|line| line.strip_prefix("main:")?.split(' ').nth(1)).collect::<Vec<&str>>();
        // Which call that is differs by a few from run to run; it comes right after that timer has been made.
        let hit = std::mem::replace(&mut at, calls.iter().rposition(|name| *name == "timerfd_create").unwrap() + 2);
        if at != hit {
            return false;
        }
        let told = || place.log("service").iter().filter(|line| line.starts_with("Error: malformed")).count();
        wait_until("it has looked twice", || told() == 2);
        // Nothing else has to wake it for that, unless the job that asked for the time has not come to its end.
        calls[at] == "timerfd_settime"
    });
}

/// A worker that is killed before it says when it wants to look again is not the last one.
#[test]
fn a_lost_worker_is_followed_by_another() {
    let place = Place::new();
    place.write("src/f", "text");
    place.write(SCHEDULES, LINE);
    let daemon = place.service(&[("DOGWATCH_FAULT", "worker:5=kill".as_ref())]);
    let killed = || daemon.log().matches("failed: its worker").count();
    wait_until("a second one is killed", || killed() == 2);
    daemon.stop();
}
