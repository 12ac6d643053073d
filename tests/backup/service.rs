//! The service: when it wakes, what it archives, and what it keeps.

use crate::common::{await_watched, comes_true, dogwatch, skip, wait_until};
use crate::place::{Place, RUNS, SCHEDULES};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn a_changed_schedules_file_is_seen_at_once() {
    let place = Place::new();
    place.write("src/f", "text");
    let daemon = place.idle_service();
    place.prints(&["create", "src;12:00;first"], "");
    place.await_log("Backup done for src in backups/first.tar");
    // As an editor writes it, and as a shell does.
    place.write("new", "src;12:00;first\nsrc;12:00;second\n");
    fs::rename(place.path("new"), place.path(SCHEDULES)).unwrap();
    place.await_log("Backup done for src in backups/second.tar");
    place.write(SCHEDULES, "src;12:00;first\nsrc;12:00;third");
    place.await_log("Backup done for src in backups/third.tar");
    // Each once: no date has two runs.
    assert_eq!(place.log("service").len(), 3, "{:?}", place.log("service"));
    daemon.stop();
}

/// SIGHUP, of a closed terminal or of an administrator, is no end, nor is it lost where it was ignored at the start (nohup):
/// the schedules are looked at again.
#[test]
fn a_hangup_has_it_look_again() {
    let place = Place::new();
    place.write(SCHEDULES, "none\n");
    let told = || place.log("service").iter().filter(|line| line.starts_with("Error: malformed schedule")).count();
    let mut expected = 0;
    let mut hang_up = |pid: i32| {
        for _ in 0..3 {
            expected += 1;
            wait_until("it has looked", || told() == expected);
            kill_process(Pid::from_raw(pid).unwrap(), Signal::HUP).unwrap();
        }
        expected += 1;
        wait_until("it has looked", || told() == expected);
    };
    for line in ["exec \"$@\"", "trap '' HUP; exec \"$@\""] {
        let daemon = place.scratch.spawn(&mut place.by_shell(line, &["service"]));
        hang_up(daemon.pid().try_into().unwrap());
        daemon.stop();
    }
    place.prints(&["start"], "");
    hang_up(place.pid().unwrap());
    place.prints(&["stop"], "");
}

/// `[backup]` in a daemon: its workers make the backups one after the other, and each is handed on, or its failure is.
#[test]
fn a_daemon_hands_each_backup_on() {
    let place = Place::new();
    place.write("src/f", "text");
    place.write(SCHEDULES, "src;12:00;a\nnone;12:00;n\nsrc;12:00;k;keep=1\n");
    let config = place.scratch.config(
        "[daemon]\nlog = stderr info\n[backup]\ndir = @DIR/b\nthen = ship\non_failure = alarm\n\
         [scheduler ship]\nexec = /bin/echo shipped {pathname} of {src_pathname}\n[scheduler alarm]\nexec = /bin/echo no {pathname}\n",
    );
    let mut command = dogwatch();
    command.arg("daemon").arg("-c").arg(config).env("TZ", &place.zone);
    let mut daemon = place.scratch.start_with(&mut command);
    let dir = place.dir().display().to_string();
    daemon.await_log(&format!("shipped {dir}/backups/a.tar of {dir}"));
    daemon.await_log(&format!("no {dir}"));
    daemon.await_log(&format!("shipped {dir}/backups/k-2"));
    let log = daemon.log();
    assert_eq!((log.matches("shipped /").count(), log.matches(&format!("no {dir}")).count()), (2, 1), "{log}");
    // One service a directory, and this one is not stopped from here.
    let pid = daemon.pid();
    place.refuses(&["start"], &format!("already running (pid {pid}, since"));
    place.refuses(&["stop"], "part of the daemon");
    place.write(SCHEDULES, "src;12:00;a\nsrc;12:00;new\n");
    daemon.await_log(&format!("shipped {dir}/backups/new.tar"));
    daemon.signal(Signal::HUP);
    daemon.await_log("the new configuration is taken");
    // Whoever is killed blocks nobody.
    daemon.signal(Signal::KILL);
    daemon.wait();
    place.prints(&["start"], "");
    place.prints(&["stop"], "");
    assert_eq!(place.log("service").len(), 4, "no date has two runs: {:?}", place.log("service"));
}

/// What becomes due in three seconds is met in time, also over midnight, and not before.
#[test]
fn what_becomes_due_is_met() {
    for (seconds, time) in [(12 * 3600 - 4, "12:00"), (24 * 3600 - 4, "00:00")] {
        let begin = Instant::now();
        let place = Place::at(seconds);
        place.write("src/f", "text");
        place.write(SCHEDULES, format!("src;{time};b\n"));
        let daemon = place.idle_service();
        place.await_log("Backup done for src in backups/b.tar");
        let took = begin.elapsed();
        assert!(took > Duration::from_secs(3) && took < Duration::from_secs(8), "{took:?}");
        assert!(place.read("logs/backup_service.log").contains(&format!(" {time}] Backup done")));
        daemon.stop();
    }
}

/// A schedule that was added to a service whose last look is long past has missed nothing.
#[test]
fn what_is_new_has_missed_nothing() {
    let place = Place::new();
    place.write("src/f", "text");
    place.write(SCHEDULES, "src;10:00;old\n");
    let mut daemon = place.idle_service();
    daemon.signal(Signal::KILL);
    daemon.wait();
    // Its last look was yesterday at noon, and it knew of one schedule.
    let last = place.read(RUNS).lines().find_map(|line| line.strip_prefix("last ")?.parse::<i64>().ok()).unwrap();
    place.write(RUNS, place.read(RUNS).replace(&format!("last {last}"), &format!("last {}", last - 86_400)));
    place.write(SCHEDULES, "src;10:00;old\nsrc;11:00;new\nsrc;11:00;newer;catchup=1d\nsrc;12:00;now\n");
    let daemon = place.service(&[]);
    place.await_log("Backup done for src in backups/now.tar");
    wait_until("it has looked", || !place.has_worker(&daemon));
    let log = place.log("service");
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[0].starts_with("Error: backup missed for src on "), "{log:?}");
    daemon.stop();
}

/// What becomes due while another backup is made, for longer than its minute, is made after it.
#[test]
fn a_long_backup_makes_no_other_one_miss_its_minute() {
    let place = Place::at(12 * 3600 + 50);
    place.write("src/f", vec![1; 40 << 20]);
    place.write(SCHEDULES, "src;12:00;long\nsrc;12:00;queued\nsrc;12:01;meanwhile\n");
    let daemon = place.service(&[]);
    let children = format!("/proc/{0}/task/{0}/children", daemon.pid());
    let worker = || fs::read_to_string(&children).unwrap_or_default().trim().parse::<i32>().ok();
    wait_until("it has begun", || place.read(RUNS).contains(" begun "));
    let worker = rustix::process::Pid::from_raw(worker().unwrap()).unwrap();
    rustix::process::kill_process(worker, Signal::STOP).unwrap();
    assert!(place.log("service").is_empty());
    // Over 12:02:00, when the minutes of all three are over.
    comes_true(Duration::from_secs(73), || false);
    rustix::process::kill_process(worker, Signal::CONT).unwrap();
    for name in ["long", "queued", "meanwhile"] {
        place.await_log(&format!("Backup done for src in backups/{name}.tar"));
    }
    assert_eq!(place.log("service").len(), 3, "{:?}", place.log("service"));
    daemon.stop();
}

/// A service with nothing due sleeps: no call in five seconds; and with nothing scheduled its clock is not armed.
#[test]
fn an_idle_service_makes_no_system_call() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skip("the package strace is missing");
    }
    let place = Place::new();
    place.write("src/f", "text");
    place.write(SCHEDULES, "src;12:00;b\nsrc;14:00;c\n");
    let service = place.command(["service"]);
    // A mount somewhere on the machine is something that happens.
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private"]).arg(service.get_program()).args(service.get_args());
    command.envs(service.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let is_root = crate::common::is_root();
    let daemon = if is_root { place.scratch.spawn(&mut command) } else { place.service(&[]) };
    place.await_log("Backup done for src in backups/b.tar");
    wait_until("its worker has ended", || !place.has_worker(&daemon));
    let trace = place.scratch.path("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-tt", "-p", &daemon.pid().to_string(), "-o"]).arg(&trace).stderr(Stdio::null());
    let mut strace = strace.spawn().unwrap();
    let seen = || fs::read_to_string(&trace).unwrap_or_default();
    wait_until("strace has attached", || seen().contains("ppoll") || !matches!(strace.try_wait(), Ok(None)));
    if !matches!(strace.try_wait(), Ok(None)) {
        return skip("strace cannot attach here (ptrace is not allowed)");
    }
    let first = seen();
    let is_idle = (0..10).any(|_| {
        let before = seen();
        let woke = comes_true(Duration::from_secs(5), || seen() != before);
        // What is unmounted elsewhere may be so here (rmdir(2) of where it was): that is something that happens, too.
        let is_mount = || seen().split_at(before.len()).1.contains("/proc/self/mountinfo");
        assert!(!woke || comes_true(Duration::from_secs(1), is_mount), "the idle service woke up:\n{}", seen());
        !woke
    });
    strace.kill().unwrap();
    strace.wait().unwrap();
    assert!(is_idle, "mounts come and go without end:\n{}", seen());
    assert!(first.contains(", NULL, NULL, 8"), "the wait has no timeout: {first}");
    // It is armed for 14:00, on the wall clock (0).
    let left = place.armed(daemon.pid()).unwrap();
    assert!((7_000..=7_200).contains(&left), "{left}");
    daemon.stop();
}

#[test]
fn dated_backups_are_kept_as_asked() {
    let place = Place::new();
    place.write("src/f", "text");
    let old = ["b-20200101-120000.tar", "b-20200102-120000.tar", "b-20200103-120000.tar"];
    let others = ["b-2020.tar", "b.tar", "bb-20200101-120000.tar", "c-20200101-120000.tar"];
    for name in old.iter().chain(&others) {
        place.write(&format!("backups/{name}"), "older");
    }
    // A run that fails removes nothing.
    place.write(SCHEDULES, "src;12:00;b;keep=2\nnone;12:00;c;keep=1\n");
    let daemon = place.service(&[]);
    place.await_words("Backup failed for none: ");
    wait_until("it has looked", || !place.has_worker(&daemon));
    let names = place.names("backups");
    let (made, rest): (Vec<&String>, Vec<&String>) =
        names.iter().partition(|name| name.starts_with("b-202") && name.as_str() > "b-2021");
    let [made] = made[..] else { panic!("{names:?}") };
    let digits: String = made.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(digits, "b-00000000-000000.tar");
    assert!(made.contains("-1200"), "{made}");
    let mut wanted: Vec<&str> = others.to_vec();
    wanted.push(old[2]);
    wanted.sort_unstable();
    assert_eq!(rest, wanted);
    assert!(place.members(made).contains_key("src/f"));
    place.await_log(&format!("Backup done for src in backups/{made}"));
    daemon.stop();
}

/// How sources may be written, and what their members are called then: as GNU tar does it, without what leads out.
#[test]
fn sources_and_their_members() {
    let place = Place::new();
    place.write("a/b/f", "text");
    place.write("a/g", "text");
    fs::create_dir(place.scratch.path("outer")).unwrap();
    fs::write(place.scratch.path("outer/h"), "text").unwrap();
    let absolute = place.scratch.path("outer");
    let absolute = absolute.to_str().unwrap().trim_end_matches('/');
    let plain = absolute.trim_start_matches('/');
    let cases = [
        ("a", vec!["a/", "a/b/", "a/b/f", "a/g"]),
        ("./a/", vec!["a/", "a/b/", "a/b/f", "a/g"]),
        ("a//b", vec!["a/b/", "a/b/f"]),
        ("./a/./b/.", vec!["a/b/", "a/b/f"]),
        ("a/b/f", vec!["a/b/f"]),
        ("../outer", vec!["outer/", "outer/h"]),
        ("a/../a/b", vec!["a/b/", "a/b/f"]),
        ("a/b/..", vec!["./", "./b/", "./b/f", "./g"]),
        ("@", vec!["@/", "@/h"]),
        ("@/", vec!["@/", "@/h"]),
    ];
    let spelt = |text: &str, by: &str| text.replace('@', by);
    let lines = cases.iter().enumerate().map(|(n, (path, _))| format!("{};12:00;n{n}\n", spelt(path, absolute)));
    place.write(SCHEDULES, lines.collect::<String>());
    let daemon = place.service(&[]);
    for (n, (path, members)) in cases.iter().enumerate() {
        place.await_log(&format!("Backup done for {} in backups/n{n}.tar", spelt(path, absolute)));
        let found: Vec<String> = place.members(&format!("n{n}.tar")).into_keys().collect();
        let wanted: Vec<String> = members.iter().map(|member| spelt(member, plain)).collect();
        assert_eq!(found, wanted, "{path}");
    }
    daemon.stop();
}

#[test]
fn excludes_and_the_backups_themselves_are_left_out() {
    let place = Place::new();
    for name in ["keep", "a.tmp", "sub/b.tmp", "sub/keep", "cache/x"] {
        place.write(name, "text");
    }
    place.write("backups/older.tar", "older");
    place.write(SCHEDULES, ".;12:00;dot;exclude=*.tmp;exclude=cache\n..;12:00;up\n");
    let daemon = place.service(&[]);
    place.await_log("Backup done for . in backups/dot.tar");
    place.await_log("Backup done for .. in backups/up.tar");
    let found: Vec<String> =
        place.members("dot.tar").into_keys().filter(|name| !name.contains("/.") && !name.contains("logs")).collect();
    assert_eq!(found, ["./", "./backup_schedules.txt", "./keep", "./sub/", "./sub/keep"]);
    let up = place.members("up.tar");
    assert!(up.contains_key("./b/sub/b.tmp") && !up.keys().any(|name| name.contains("backups/")), "{:?}", up.keys());
    daemon.stop();
}

/// A schedules file that cannot be read is told, and waited for.
#[test]
fn the_schedules_file_may_vanish_and_come_back() {
    let place = Place::new();
    place.write("src/f", "text");
    let daemon = place.idle_service();
    await_watched(daemon.pid(), &place.dir());
    // It is too long to be one.
    fs::File::create(place.path(SCHEDULES)).unwrap().set_len(20 << 20).unwrap();
    place.await_words("Error: cannot read ");
    fs::remove_file(place.path(SCHEDULES)).unwrap();
    place.write(SCHEDULES, "src;12:00;b\n");
    place.await_log("Backup done for src in backups/b.tar");
    fs::remove_file(place.path(SCHEDULES)).unwrap();
    place.write(SCHEDULES, "src;12:00;b\nsrc;12:00;c\n");
    place.await_log("Backup done for src in backups/c.tar");
    assert_eq!(place.log("service").iter().filter(|line| line.contains("b.tar")).count(), 1);
    daemon.stop();
}
