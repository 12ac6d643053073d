//! What is run as clocks go, stop, and jump: a service that looks when it is told to.

use super::*;

/// A service with its schedules, its records and the zone.
struct Service {
    zone: Zone,
    plans: Vec<Plan>,
    records: Vec<Record>,
    last: i64,
}

impl Service {
    /// One that has looked for the first time then.
    fn new(plans: &[Plan], first: &str) -> Service {
        Service { zone: Zone::utc(), plans: plans.to_vec(), records: Vec::new(), last: utc(first) }
    }

    fn findings(&mut self, now: &str, starting: bool) -> Vec<Finding> {
        let plans: Vec<&Plan> = self.plans.iter().collect();
        let look = Look { now: utc(now), last: self.last, zone: &self.zone, starting };
        let findings = look.findings(&plans, &self.records);
        self.last = look.now;
        for finding in &findings {
            if let Finding::Run(at, date) = *finding {
                self.records.push(Record { key: self.plans[at].key.clone(), date, finished: true });
            }
        }
        findings
    }

    fn look(&mut self, now: &str) -> Vec<Finding> {
        self.findings(now, false)
    }
}

fn run(day: &str) -> Vec<Finding> {
    vec![Finding::Run(0, date(day))]
}

fn missed(day: &str) -> Vec<Finding> {
    vec![Finding::Missed(0, date(day))]
}

fn lenient(at: &str, hours: u64) -> Plan {
    Plan { catchup: Millis(hours * 3_600_000), ..plan(at) }
}

#[test]
fn it_is_due_throughout_its_minute_and_once() {
    for second in ["00", "01", "30", "59"] {
        // Nothing was looked at before: the schedule or the service is new.
        let mut service = Service::new(&[plan("16:07")], &format!("2026-11-21 16:07:{second}"));
        assert_eq!(service.look(&format!("2026-11-21 16:07:{second}")), run("2026-11-21"), "{second}");
        assert_eq!(service.look("2026-11-21 16:07:59"), [], "{second}");
        assert_eq!(service.look("2026-11-21 16:08:00"), [], "{second}");
        assert_eq!(service.look("2026-11-22 16:06:59"), [], "{second}");
        assert_eq!(service.look("2026-11-22 16:07:00"), run("2026-11-22"), "{second}");
    }
    let mut late = Service::new(&[plan("16:07")], "2026-11-21 16:08:00");
    assert_eq!(late.look("2026-11-21 16:08:00"), []);
}

#[test]
fn schedules_are_the_same_by_path_time_and_name() {
    let mut service = Service::new(&[plan("16:07")], "2026-11-21 16:00");
    assert_eq!(service.look("2026-11-21 16:07:10"), run("2026-11-21"));
    service.plans[0].catchup = Millis(1);
    assert_eq!(service.look("2026-11-21 16:07:20"), []);
    service.plans[0].key.name = b"other".to_vec();
    assert_eq!(service.look("2026-11-21 16:07:30"), run("2026-11-21"));
    service.plans[0].key.path = b"/other".to_vec();
    assert_eq!(service.look("2026-11-21 16:07:40"), run("2026-11-21"));
    service.plans[0].key.time = time("16:08");
    assert_eq!(service.look("2026-11-21 16:08:00"), run("2026-11-21"));
    // Others' runs count for nobody.
    service.plans.push(plan("16:08"));
    assert_eq!(service.look("2026-11-21 16:08:01"), [Finding::Run(1, date("2026-11-21"))]);
}

#[test]
fn a_missed_run_is_left_out_and_told_once() {
    let mut service = Service::new(&[plan("08:00")], "2026-11-20 12:00");
    assert_eq!(service.look("2026-11-21 08:01:00"), missed("2026-11-21"));
    assert_eq!(service.look("2026-11-21 08:01:01"), []);
    assert_eq!(service.look("2026-11-22 08:00:00"), run("2026-11-22"));
}

#[test]
fn a_missed_run_is_made_up_within_its_time() {
    let before = || Service::new(&[lenient("08:00", 2)], "2026-11-21 07:00");
    assert_eq!(before().look("2026-11-21 10:00:00"), run("2026-11-21"));
    assert_eq!(before().look("2026-11-21 10:00:01"), missed("2026-11-21"));
    // What was due before the last look was somebody else's, or a schedule's that was not there yet.
    let mut service = Service::new(&[lenient("08:00", 2)], "2026-11-21 08:00");
    assert_eq!(service.look("2026-11-21 09:00:00"), []);
    // Over midnight, it counts for the date that it was missed on.
    let mut service = Service::new(&[lenient("23:30", 2)], "2026-11-21 12:00");
    assert_eq!(service.look("2026-11-22 01:00:00"), run("2026-11-21"));
    assert_eq!(service.look("2026-11-22 23:30:00"), run("2026-11-22"));
}

#[test]
fn of_several_dates_that_were_missed_one_is_made_up() {
    let mut service = Service::new(&[lenient("08:00", 24 * 7)], "2026-11-10 12:00");
    assert_eq!(service.look("2026-11-14 07:00"), run("2026-11-13"));
    assert_eq!(service.look("2026-11-14 07:01"), []);
    assert_eq!(service.look("2026-11-14 08:00"), run("2026-11-14"));
}

#[test]
fn other_days_have_no_run() {
    // A Monday and a Thursday.
    let plan = Plan { days: Days::parse("mon,thu").unwrap(), ..lenient("08:00", 24) };
    let mut service = Service::new(&[plan], "2026-11-15 12:00");
    let mut runs = Vec::new();
    for day in 16..30 {
        for finding in service.look(&format!("2026-11-{day} 08:00:05")) {
            assert!(matches!(finding, Finding::Run(0, _)));
            runs.push(day);
        }
    }
    assert_eq!(runs, [16, 19, 23, 26]);
    // Missed on a Thursday, made up on a Friday.
    assert_eq!(service.look("2026-12-02 12:00"), missed("2026-11-30"));
    assert_eq!(service.look("2026-12-04 07:00"), run("2026-12-03"));
    // The date, not the day on which somebody looks.
    assert_eq!(service.look("2026-12-08 09:00"), missed("2026-12-07"));
}

#[test]
fn a_restart_runs_nothing_again() {
    let mut service = Service::new(&[lenient("08:00", 24)], "2026-11-21 07:00");
    assert_eq!(service.look("2026-11-21 08:00:00"), run("2026-11-21"));
    assert_eq!(service.findings("2026-11-21 08:00:10", true), []);
    // Also if it has died before it could say when it looked.
    service.last = utc("2026-11-21 07:00");
    assert_eq!(service.findings("2026-11-21 08:30:00", true), []);
}

#[test]
fn what_was_cut_off_has_failed_and_waits_for_the_next_date() {
    let mut service = Service::new(&[lenient("08:00", 24)], "2026-11-21 07:00");
    assert_eq!(service.look("2026-11-21 08:00:00"), run("2026-11-21"));
    service.records[0].finished = false;
    // As long as the service goes on, it runs.
    assert_eq!(service.look("2026-11-21 08:00:10"), []);
    assert_eq!(service.findings("2026-11-21 08:00:20", true), [Finding::Failed(0)]);
    service.records[0].finished = true;
    assert_eq!(service.findings("2026-11-21 08:00:30", true), []);
    assert_eq!(service.look("2026-11-22 08:00:00"), run("2026-11-22"));
}

#[test]
fn a_clock_that_is_set_back_runs_nothing_again() {
    let mut service = Service::new(&[lenient("08:00", 24)], "2026-11-20 12:00");
    assert_eq!(service.look("2026-11-21 08:00:00"), run("2026-11-21"));
    assert_eq!(service.look("2026-11-21 07:59:00"), []);
    assert_eq!(service.look("2026-11-21 08:00:00"), []);
    // Over a night, and on.
    assert_eq!(service.look("2026-11-20 07:00:00"), []);
    assert_eq!(service.look("2026-11-20 08:00:00"), run("2026-11-20"));
    assert_eq!(service.look("2026-11-21 08:00:00"), []);
    assert_eq!(service.look("2026-11-22 08:00:00"), run("2026-11-22"));
}

#[test]
fn a_clock_that_is_set_forward_follows_catchup() {
    let mut service = Service::new(&[plan("08:00")], "2026-11-21 07:00");
    assert_eq!(service.look("2026-11-21 09:00"), missed("2026-11-21"));
    // Set right again, the date has not had its run.
    assert_eq!(service.look("2026-11-21 07:10"), []);
    assert_eq!(service.look("2026-11-21 08:00"), run("2026-11-21"));

    let mut service = Service::new(&[lenient("08:00", 2)], "2026-11-21 07:00");
    assert_eq!(service.look("2026-11-21 09:00"), run("2026-11-21"));
    assert_eq!(service.look("2026-11-21 07:10"), []);
    assert_eq!(service.look("2026-11-21 08:00"), []);

    // A machine without a clock of its own: it is 1970 until somebody tells it the time.
    let mut service = Service::new(&[lenient("08:00", 2)], "2026-11-20 12:00");
    assert_eq!(service.findings("1970-01-01 00:00:20", true), []);
    assert_eq!(service.look("2026-11-21 08:45"), run("2026-11-21"));
    let mut service = Service::new(&[lenient("08:00", 2)], "2026-11-20 12:00");
    assert_eq!(service.findings("1970-01-01 00:00:20", true), []);
    assert_eq!(service.look("2026-11-21 11:45"), missed("2026-11-21"));
}

#[test]
fn a_suspend_runs_nothing_twice() {
    let mut service = Service::new(&[lenient("08:00", 2), plan("08:30")], "2026-11-21 07:50");
    let both = [Finding::Run(0, date("2026-11-21")), Finding::Missed(1, date("2026-11-21"))];
    assert_eq!(service.look("2026-11-21 09:00"), both);
    assert_eq!(service.look("2026-11-21 09:00:30"), []);
    // In the minute: no matter since when.
    assert_eq!(
        service.look("2026-11-23 08:30:40"),
        [Finding::Run(0, date("2026-11-23")), Finding::Run(1, date("2026-11-23"))]
    );
}

#[test]
fn what_a_wrong_clock_has_dated_is_dropped() {
    let mut service = Service::new(&[plan("08:00")], "2026-11-21 07:00");
    assert_eq!(service.look("2026-11-24 08:00:00"), run("2026-11-24"));
    // 48 hours ahead it may be right, a second more and it is not.
    assert_eq!(service.look("2026-11-22 08:00:00"), run("2026-11-22"));
    assert_eq!(service.look("2026-11-22 07:59:59"), [Finding::Ahead(0)]);
    service.records.remove(0);
    assert_eq!(service.look("2026-11-24 08:00:00"), run("2026-11-24"));
    // Of a run that was cut off both is told, and the right date has its own.
    let mut service = Service::new(&[plan("08:00")], "2106-02-07 07:00");
    assert_eq!(service.look("2106-02-07 08:00:00"), run("2106-02-07"));
    service.records[0].finished = false;
    assert_eq!(
        service.findings("2026-11-21 08:00:00", true),
        [Finding::Failed(0), Finding::Ahead(0), Finding::Run(0, date("2026-11-21"))]
    );
}

#[test]
fn a_clock_that_was_wrong_for_a_while_does_not_make_the_right_dates_forgotten() {
    let mut service = Service::new(&[plan("08:00")], "2026-11-21 07:00");
    assert_eq!(service.look("2026-11-21 08:00:00"), run("2026-11-21"));
    assert_eq!(service.look("2106-02-07 08:00:00"), run("2106-02-07"));
    assert_eq!(service.look("2026-11-21 08:00:30"), [Finding::Ahead(1)]);
}

#[test]
fn records_that_nobody_will_ask_for_go() {
    let mut service = Service::new(&[plan("08:00")], "2026-11-01 07:00");
    for day in 1..=12 {
        let found = service.look(&format!("2026-11-{day:02} 08:00:00"));
        assert!(found.contains(&Finding::Run(0, date(&format!("2026-11-{day:02}")))), "{found:?}");
        let old = found.iter().filter(|finding| matches!(finding, Finding::Old(_))).count();
        assert_eq!(old, usize::try_from(day - 1_i32 - 8).unwrap_or(0).min(4), "{day}");
    }
    // Those of a schedule that is deleted go later: it may come again.
    service.records.drain(..11);
    service.plans.clear();
    assert_eq!(service.look("2026-11-14 08:00:00"), []);
    assert_eq!(service.look("2026-11-14 08:00:01"), [Finding::Old(0)]);
}

#[test]
fn runs_of_others_make_no_record_old() {
    let mut other = plan("08:00");
    other.key.name = b"other".to_vec();
    let mut service = Service::new(&[plan("08:00"), other], "2026-11-20 12:00");
    assert_eq!(service.look("2026-11-20 08:00:00").len(), 2);
    let first = service.records[0].clone();
    service.records = (0..20).map(|_| Record { date: date("2026-11-21"), ..service.records[1].clone() }).collect();
    service.records.push(first);
    assert_eq!(service.look("2026-11-21 07:00:00"), []);
}

#[test]
fn in_another_zone_a_date_has_no_second_run() {
    let (berlin, new_york) = (posix("CET-1CEST,M3.5.0,M10.5.0/3"), posix("EST5EDT,M3.2.0,M11.1.0"));
    let mut service = Service::new(&[plan("08:00")], "2026-11-20 23:00");
    service.zone = berlin.clone();
    assert_eq!(service.look("2026-11-21 07:00"), run("2026-11-21"));
    service.zone = new_york;
    assert_eq!(service.look("2026-11-21 09:00"), []);
    assert_eq!(service.look("2026-11-21 13:00"), []);
    assert_eq!(service.look("2026-11-22 13:00"), run("2026-11-22"));
    // Back east on the evening of the 22nd, and at 02:00 of the 23rd: the next one comes early, but comes.
    service.zone = berlin.clone();
    assert_eq!(service.look("2026-11-23 01:00"), []);
    assert_eq!(service.look("2026-11-23 07:00"), run("2026-11-23"));
    // To a zone in which it is past the time already: missed.
    service.zone = posix("<+13>-13");
    assert_eq!(service.look("2026-11-23 20:00"), missed("2026-11-24"));
}

#[test]
fn what_was_missed_before_clocks_went_back_over_midnight_is_made_up() {
    // At 00:15 of the 25th it is 23:15 of the 24th again.
    let zone = posix("EST5EDT,M4.1.0/0:15,M10.5.0/0:15");
    let mut service = Service { zone, ..Service::new(&[lenient("00:10", 1)], "2026-10-25 04:05") };
    assert_eq!(service.look("2026-10-25 04:20"), run("2026-10-25"));
    assert_eq!(service.look("2026-10-25 05:10"), []);
}

/// Clocks jump at random by up to two days, services are restarted, and schedules are looked at when their time has come and at
/// random: no date has two runs.
#[test]
fn whatever_clocks_do_no_date_has_two_runs() {
    let mut random = fastrand::Rng::with_seed(20_261_121);
    let zones = ["UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "AAA12BBB-12,J100/0,J200/0"];
    let mut runs = 0;
    for round in 0..300 {
        let zone = posix(zones[round % zones.len()]);
        let minute = random.u16(0..1_440);
        let plan = Plan { catchup: Millis(random.u64(0..2) * 7_200_000), ..plan(&Time(minute).to_string()) };
        let (mut records, mut furthest): (Vec<Record>, i64) = (Vec::new(), 0);
        let mut now = utc("2026-01-01 00:00") + random.i64(0..365 * DAY);
        let mut last = now;
        let mut ever = std::collections::BTreeSet::new();
        for _ in 0..60 {
            now = match random.u8(0..5) {
                // Not so far back in all that a date's record is dropped.
                0 => now.max(furthest) - random.i64(0..20 * 3600),
                1 => now + random.i64(0..2 * DAY),
                2 => now + random.i64(0..120),
                _ => plan.next_due(&zone, now).unwrap().1 + random.i64(0..70),
            };
            furthest = furthest.max(now);
            let look = Look { now, last, zone: &zone, starting: random.bool() };
            last = if random.u8(0..4) == 0 { last } else { now };
            let mut goes = Vec::new();
            for finding in look.findings(&[&plan], &records) {
                match finding {
                    Finding::Run(_, date) => {
                        assert!(ever.insert(date), "{date} {} {}", plan.key.time, zones[round % zones.len()]);
                        records.push(Record { key: plan.key.clone(), date, finished: random.bool() });
                        runs += 1;
                    }
                    Finding::Failed(at) => records[at].finished = true,
                    Finding::Old(at) => goes.push(at),
                    Finding::Ahead(at) => panic!("{at}"),
                    Finding::Missed(..) => {}
                }
            }
            goes.iter().rev().for_each(|at| drop(records.remove(*at)));
        }
    }
    assert!(runs > 5_000, "{runs}");
}

/// Who creates a schedule between the two passes, or in the second, finds its time past; its own minute is that of the first pass.
#[test]
fn what_comes_twice_is_due_in_the_first_pass_only() {
    let berlin = posix("CET-1CEST,M3.5.0,M10.5.0/3");
    // 02:30 is at 00:30 and at 01:30 UTC.
    let created = |when: &str| {
        let mut service = Service { zone: berlin.clone(), ..Service::new(&[plan("02:30")], when) };
        (service.look(when), plan("02:30").next_due(&berlin, utc(when)))
    };
    let (today, tomorrow) =
        ((date("2026-10-25"), utc("2026-10-25 00:30")), (date("2026-10-26"), utc("2026-10-26 01:30")));
    assert_eq!(created("2026-10-25 00:29:59"), (vec![], Some(today)));
    for in_its_minute in ["2026-10-25 00:30:00", "2026-10-25 00:30:59"] {
        assert_eq!(created(in_its_minute), (run("2026-10-25"), Some(tomorrow)), "{in_its_minute}");
    }
    // Between, and before, in and after the minute of the second pass.
    for late in ["00:31:00", "01:10:00", "01:29:59", "01:30:00", "01:30:59", "01:31:00"] {
        assert_eq!(created(&format!("2026-10-25 {late}")), (vec![], Some(tomorrow)), "{late}");
    }
    // Whoever was there in the first has no second run.
    let mut service = Service { zone: berlin, ..Service::new(&[plan("02:30")], "2026-10-25 00:00") };
    assert_eq!(service.look("2026-10-25 00:30"), run("2026-10-25"));
    assert_eq!(service.look("2026-10-25 01:30"), []);
    assert_eq!(service.look("2026-10-26 01:30"), run("2026-10-26"));
}
