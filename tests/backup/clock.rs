//! Clocks and zones that change, as far as a test can have them do so: by the zone's file, and by what is remembered of runs.

use crate::common::wait_until;
use crate::place::{Place, RUNS, SCHEDULES};
use rustix::process::Signal;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// A TZif file of version 1 (RFC 9636), of a zone in which it is so many seconds past midnight.
fn zone_at(seconds: i64) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let east = (seconds - i64::try_from(now).unwrap()).rem_euclid(86_400);
    let east = i32::try_from(if east > 43_200 { east - 86_400 } else { east }).unwrap();
    let mut file = b"TZif".to_vec();
    file.extend([0; 16]);
    for count in [0_u32, 0, 0, 0, 1, 4] {
        file.extend(count.to_be_bytes());
    }
    file.extend(east.to_be_bytes());
    file.extend(b"\0\0TST\0");
    file
}

/// It is noticed at once that the zone's file is another one, and no date has two runs for that.
#[test]
fn a_changed_zone_is_seen_at_once() {
    let place = Place::new();
    place.write("src/f", "text");
    place.write(SCHEDULES, "src;12:00;b\n");
    let file = place.scratch.path("zone");
    let set = |seconds: i64| {
        fs::write(place.scratch.path("new"), zone_at(seconds)).unwrap();
        fs::rename(place.scratch.path("new"), &file).unwrap();
    };
    set(10 * 3600);
    let daemon = place.scratch.spawn(place.command(["service"]).env("TZ", &file));
    let looked = || place.read(RUNS).lines().find_map(|line| line.strip_prefix("last ")?.parse::<u64>().ok());
    wait_until("it has looked", || looked().is_some());
    crate::common::await_watched(daemon.pid(), &place.scratch.path(""));
    assert_eq!(place.log("service"), [""; 0]);
    set(12 * 3600 + 1);
    place.await_log("Backup done for src in backups/b.tar");
    assert!(place.read("logs/backup_service.log").contains(" 12:00] Backup done"));
    // Back, and there again, also by a file that is written to: it looks, and that is all.
    for seconds in [10 * 3600, 12 * 3600 + 20] {
        let before = looked();
        // A second later, so that the instant of the look tells.
        wait_until("a second is over", || {
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() > before.unwrap()
        });
        fs::write(&file, zone_at(seconds)).unwrap();
        wait_until("it has looked again", || looked() > before);
    }
    assert_eq!(place.log("service").len(), 1, "{:?}", place.log("service"));
    daemon.stop();
}

/// What is remembered decides what is made, made up, told and forgotten; -9 and a new start change nothing about it.
#[test]
fn what_is_remembered_decides() {
    let place = Place::new();
    place.write("src/f", "text");
    let schedules =
        ["12:00;done", "12:00;begun", "12:00;ahead", "11:00;missed", "11:00;late;catchup=2h", "10:00;later;catchup=1h"];
    place.write(SCHEDULES, schedules.map(|schedule| format!("src;{schedule}\n")).concat());
    let yesterday = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - 86_400;
    let known =
        schedules.map(|schedule| format!("known - src;{}\n", schedule.split(";catchup").next().unwrap())).concat();
    let (today, far) = (place.date(0), place.date(4));
    place.write(
        RUNS,
        format!("last {yesterday}\n{known}{today} done src;12:00;done\n{today} begun src;12:00;begun\n{far} done src;12:00;ahead\n"),
    );
    for _ in 0..2 {
        let mut daemon = place.service(&[]);
        place.await_log("Backup done for src in backups/late.tar");
        place.await_log("Backup done for src in backups/ahead.tar");
        wait_until("it has looked", || !place.has_worker(&daemon));
        let mut log = place.log("service");
        log.sort();
        assert_eq!(
            log,
            [
                "Backup done for src in backups/ahead.tar".to_owned(),
                "Backup done for src in backups/late.tar".to_owned(),
                "Backup failed for src: it was cut off".to_owned(),
                format!("Error: backup missed for src on {today}"),
                format!("Error: backup missed for src on {today}"),
                "Error: the clock was wrong: a run for src is dated ahead, and forgotten".to_owned(),
            ]
        );
        assert!(!place.read(RUNS).contains(&far) && !place.read(RUNS).contains("begun src"), "{}", place.read(RUNS));
        daemon.signal(Signal::KILL);
        daemon.wait();
    }
}
