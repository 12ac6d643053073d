//! A service whose clock, zone, file of schedules and life are a test's: what it remembers goes through the file's text.

use super::*;
use std::collections::BTreeSet;

const DAY: i64 = 86_400;

struct Service {
    zone: Zone,
    lines: &'static str,
    /// Of `.backup_runs`.
    file: Vec<u8>,
    /// How long a backup takes, in seconds.
    takes: i64,
}

/// `2026-01-02 03:04:05` or `2026-01-02 03:04`, of clocks that show UTC.
fn utc(text: &str) -> i64 {
    let (day, clock) = text.split_once(' ').unwrap();
    let parts = clock.split(':').map(|part| part.parse::<i64>().unwrap());
    Date::parse(day).unwrap().shown() + parts.zip([3600, 60, 1]).map(|(part, seconds)| part * seconds).sum::<i64>()
}

fn posix(text: &str) -> Zone {
    Zone::from_posix(text.as_bytes()).unwrap()
}

/// Names and dates of what a look has run, in this order.
type Ran = Vec<(String, String)>;

impl Service {
    fn new(lines: &'static str) -> Service {
        Service { zone: Zone::utc(), lines, file: Vec::new(), takes: 0 }
    }

    /// One that has looked for the first time then, when nothing was due.
    fn since(first: &str, lines: &'static str) -> Service {
        let mut service = Service::new(lines);
        assert_eq!(service.look(first), (vec![], vec![]));
        service
    }

    /// What is told and run from then on, until nothing is left to be done.
    fn look(&mut self, now: &str) -> (Vec<String>, Ran) {
        let (mut now, mut told, mut ran) = (utc(now), Vec::new(), Vec::new());
        while let Some((name, date)) = self.step(&mut now, &mut told, true) {
            ran.push((name, date.to_string()));
        }
        (told, ran)
    }

    /// One look, with the backup that it asks for; that may be cut off.
    fn step(&mut self, now: &mut i64, told: &mut Vec<String>, ends: bool) -> Option<(String, Date)> {
        let (listing, mut runs) = (Listing::read(self.lines.as_bytes()), Runs::read(&self.file));
        let agenda = Agenda::new(*now, &self.zone, &listing, &mut runs);
        told.extend(agenda.told);
        let first = agenda.to_run.first().map(|(at, date)| (listing.good[*at].1.plan.key.clone(), *date));
        if let Some((key, date)) = &first {
            runs.records.push(Record { key: key.clone(), date: *date, finished: ends });
            *now += self.takes;
            runs.busy = ends.then_some((agenda.since, *now));
        }
        self.file = runs.text();
        first.map(|(key, date)| (String::from_utf8(key.name).unwrap(), date))
    }
}

fn ran(name: &str, date: &str) -> (Vec<String>, Ran) {
    (vec![], vec![(name.to_owned(), date.to_owned())])
}

fn told(text: &str) -> (Vec<String>, Ran) {
    (vec![text.to_owned()], vec![])
}

fn nothing() -> (Vec<String>, Ran) {
    (vec![], vec![])
}

#[test]
fn a_clock_that_is_set_forward_follows_catchup() {
    let mut service = Service::since("2026-11-21 07:00", "a;08:00;strict\nb;08:00;kind;catchup=2h\n");
    let missed = "Error: backup missed for a on 2026-11-21";
    assert_eq!(service.look("2026-11-21 10:00"), (vec![missed.to_owned()], ran("kind", "2026-11-21").1));
    assert_eq!(service.look("2026-11-21 10:00:10"), nothing());
    // It is set right: the one that was missed has its run, the other one had it.
    assert_eq!(service.look("2026-11-21 07:10"), nothing());
    assert_eq!(service.look("2026-11-21 08:00"), ran("strict", "2026-11-21"));
    // Over several dates one run is made up, and only within its time.
    let mut service = Service::since("2026-11-21 07:00", "b;08:00;kind;catchup=2h\n");
    assert_eq!(service.look("2026-11-25 09:59"), ran("kind", "2026-11-25"));
    assert_eq!(service.look("2026-11-26 10:01"), told("Error: backup missed for b on 2026-11-26"));
}

#[test]
fn a_clock_that_is_set_back_runs_nothing_again() {
    let mut service = Service::since("2026-11-20 12:00", "a;08:00;n;catchup=1d\n");
    assert_eq!(service.look("2026-11-21 08:00"), ran("n", "2026-11-21"));
    for again in ["2026-11-21 07:59:59", "2026-11-21 08:00", "2026-11-21 08:00:59", "2026-11-21 09:00"] {
        assert_eq!(service.look(again), nothing(), "{again}");
    }
    // As far back as the day before, which has had no run.
    assert_eq!(service.look("2026-11-20 08:00"), ran("n", "2026-11-20"));
    assert_eq!(service.look("2026-11-21 08:00"), nothing());
    assert_eq!(service.look("2026-11-22 08:00"), ran("n", "2026-11-22"));
}

/// A machine without a clock of its own starts in 1970, until somebody tells it the time.
#[test]
fn a_clock_that_begins_at_nothing_loses_no_run() {
    for (found, expected) in [
        ("2026-11-21 08:45", ran("n", "2026-11-21")),
        ("2026-11-21 11:00", told("Error: backup missed for a on 2026-11-21")),
    ] {
        let mut service = Service::since("2026-11-20 12:00", "a;08:00;n;catchup=2h\n");
        assert_eq!(service.look("1970-01-01 00:00:20"), nothing());
        assert_eq!(service.look(found), expected);
        assert_eq!(service.look("2026-11-22 08:00"), ran("n", "2026-11-22"));
    }
}

#[test]
fn a_suspend_is_a_look_that_comes_late() {
    let mut service = Service::since("2026-11-21 07:50", "a;08:00;n\n");
    assert_eq!(service.look("2026-11-21 08:00:59"), ran("n", "2026-11-21"));
    assert_eq!(service.look("2026-11-22 08:01"), told("Error: backup missed for a on 2026-11-22"));
    assert_eq!(service.look("2026-11-22 08:01:01"), nothing());
}

#[test]
fn in_another_zone_a_date_has_no_second_run() {
    let mut service = Service::since("2026-11-20 23:00", "a;08:00;n\n");
    service.zone = posix("CET-1CEST,M3.5.0,M10.5.0/3");
    assert_eq!(service.look("2026-11-21 07:00"), ran("n", "2026-11-21"));
    service.zone = posix("EST5EDT,M3.2.0,M11.1.0");
    assert_eq!(service.look("2026-11-21 09:00"), nothing());
    assert_eq!(service.look("2026-11-21 13:00"), nothing());
    assert_eq!(service.look("2026-11-22 13:00"), ran("n", "2026-11-22"));
    // It is 08:00 there already, and past that.
    service.zone = posix("<+13>-13");
    assert_eq!(service.look("2026-11-22 20:00"), told("Error: backup missed for a on 2026-11-23"));
}

#[test]
fn what_was_dated_by_a_wrong_clock_is_told_and_forgotten() {
    let mut service = Service::new("a;08:00;n\n");
    service.file =
        b"last 1795564800\nknown - a;08:00;n\n2026-11-24 done a;08:00;n\n2106-02-07 done a;08:00;n\n".to_vec();
    let wrong = "Error: the clock was wrong: a run for a is dated ahead, and forgotten";
    // Until 48 hours ahead it may be right.
    assert_eq!(service.look("2026-11-22 08:00"), (vec![wrong.to_owned()], ran("n", "2026-11-22").1));
    assert!(!String::from_utf8(service.file.clone()).unwrap().contains("2106"));
    assert_eq!(service.look("2026-11-22 07:59:59"), told(wrong));
    assert_eq!(service.look("2026-11-24 08:00"), ran("n", "2026-11-24"));
}

#[test]
fn what_was_cut_off_has_failed_and_waits_for_the_next_date() {
    let mut service = Service::since("2026-11-21 07:00", "a;08:00;n;catchup=1d\n");
    let mut now = utc("2026-11-21 08:00");
    assert!(service.step(&mut now, &mut Vec::new(), false).is_some());
    assert_eq!(service.look("2026-11-21 08:00:20"), told("Backup failed for a: it was cut off"));
    assert_eq!(service.look("2026-11-21 08:00:30"), nothing());
    assert_eq!(service.look("2026-11-22 08:00"), ran("n", "2026-11-22"));
}

#[test]
fn what_becomes_due_while_another_one_is_made_is_not_missed() {
    let mut service =
        Service::since("2026-11-21 07:00", "a;08:00;long\nb;08:00;queued\nc;09:30;meanwhile\nd;13:00;later\n");
    service.takes = 2 * 3600;
    // The third one ends at 14:00.
    let all = ["long", "queued", "meanwhile", "later"].map(|name| (name.to_owned(), "2026-11-21".to_owned())).to_vec();
    assert_eq!(service.look("2026-11-21 08:00"), (vec![], all));
    // Nor was one that was in its minute when the first look of all came.
    let mut service = Service::new("a;08:00;long\nb;08:00;queued\n");
    service.takes = 2 * 3600;
    let both = ["long", "queued"].map(|name| (name.to_owned(), "2026-11-21".to_owned())).to_vec();
    assert_eq!(service.look("2026-11-21 08:00:30"), (vec![], both));
    // A pause of a minute, and it was missed.
    let mut service = Service::since("2026-11-21 07:00", "a;08:00;long\nc;09:30;meanwhile\n");
    service.takes = 2 * 3600;
    let mut now = utc("2026-11-21 08:00");
    assert!(service.step(&mut now, &mut Vec::new(), true).is_some());
    assert_eq!(service.look("2026-11-21 10:01"), told("Error: backup missed for c on 2026-11-21"));
}

#[test]
fn what_is_new_has_missed_nothing() {
    let mut service = Service::since("2026-11-20 12:00", "a;08:00;old\n");
    service.lines = "a;08:00;old\nb;08:00;new;catchup=1d\nc;09:00;now\n";
    let missed = "Error: backup missed for a on 2026-11-21".to_owned();
    assert_eq!(service.look("2026-11-21 09:00:59"), (vec![missed], ran("now", "2026-11-21").1));
    assert_eq!(
        service.look("2026-11-22 08:30"),
        (vec!["Error: backup missed for a on 2026-11-22".to_owned()], ran("new", "2026-11-22").1)
    );
}

#[test]
fn bad_lines_are_told_by_number_and_keep_no_other_from_its_run() {
    let mut service = Service::new("a;24:00;n\n\na;08:00;n\nb;08:00;n\nc;08:00;m\n");
    let (told, ran) = service.look("2026-11-21 08:00");
    assert!(told.len() == 2 && told[0].starts_with("Error: malformed schedule at index 0: "), "{told:?}");
    assert!(told[1].starts_with("Error: malformed schedule at index 3: the name n is used already"), "{told:?}");
    assert_eq!(ran.len(), 2);
}

/// Clocks jump, zones change, and the service is killed before, in and after its backups: no date of a schedule has two runs.
#[test]
fn whatever_happens_no_date_has_two_runs() {
    let mut random = fastrand::Rng::with_seed(16);
    let zones = ["UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "<+13>-13", "EST5EDT,M3.2.0,M11.1.0"].map(posix);
    let mut runs = 0;
    for _ in 0..200 {
        let mut service = Service::new("a;02:30;a;catchup=1d\nb;08:00;b\nc;23:59;c;catchup=2h\n");
        service.takes = random.i64(0..7200);
        let (mut now, mut furthest) = (utc("2026-01-01 00:00") + random.i64(0..365 * DAY), 0);
        let mut ever = BTreeSet::new();
        for _ in 0..60 {
            service.zone = zones[random.usize(0..zones.len())].clone();
            now = match random.u8(0..4) {
                // Not so far back in all, by the clock and by zones, that a date's record is dropped.
                0 => now.max(furthest) - random.i64(0..12 * 3600),
                1 => now + random.i64(0..2 * DAY),
                _ => now + random.i64(0..8 * 3600),
            };
            let before = service.file.clone();
            let mut told = Vec::new();
            let Some((name, date)) = service.step(&mut now, &mut told, random.bool()) else { continue };
            furthest = furthest.max(now);
            if random.u8(0..8) == 0 {
                // Killed before the record was written: the backup was not begun either.
                service.file = before;
                continue;
            }
            assert!(ever.insert((name.clone(), date)), "{name} {date}");
            runs += 1;
        }
    }
    assert!(runs > 2_000, "{runs}");
}
