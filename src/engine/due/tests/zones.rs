//! Every date of ten years against the definition, which is taken literally: all minutes that a date has, in their order.

use super::*;
use std::collections::BTreeMap;

const MINUTES: usize = 1_440;
/// The zones here change their clocks at such instants only.
const STEP: i64 = 900;
const NEAR: i64 = 3 * 3600;
/// Far from changes of the clocks, every so many minutes are looked at.
const FAR: usize = 7;

/// For each date that the zone has: for each minute of the day, when it or a later one is shown first, as far as there is one.
fn scanned(zone: &Zone, from: i64, to: i64) -> BTreeMap<Date, Vec<i64>> {
    let mut dates: BTreeMap<Date, Vec<i64>> = BTreeMap::new();
    for quarter in (from..to).step_by(STEP as usize) {
        let shown = quarter + i64::from(zone.offset_at(quarter));
        let firsts = dates.entry(Date(shown.div_euclid(DAY))).or_default();
        let minute = shown.rem_euclid(DAY) as usize / 60;
        for at in firsts.len()..minute + STEP as usize / 60 {
            firsts.push(quarter + at.saturating_sub(minute) as i64 * 60);
        }
    }
    dates
}

fn changes(zone: &Zone, from: i64, to: i64) -> Vec<i64> {
    let next = |at: &i64| zone.next_transition(*at).filter(|next| *next < to);
    let changes: Vec<i64> = std::iter::successors(next(&from), next).collect();
    assert!(changes.iter().all(|at| at % STEP == 0));
    changes
}

fn minute(at: usize) -> Time {
    Time(at as u16)
}

/// The zone changes its clocks so often in these years, and leaves these dates out.
fn check(zone: &Zone, years: (i64, i64), least_changes: usize, missing: &[&str]) {
    let (from, to) = (Date::new(years.0, 1, 1).unwrap(), Date::new(years.1, 1, 1).unwrap());
    // Dates at both ends are whole, and have a next one.
    let (begin, end) = (from.shown() - 3 * DAY, to.shown() + 3 * DAY);
    let (dates, changes) = (scanned(zone, begin, end), changes(zone, begin, end));
    let table = zone.table(begin - 3 * DAY..end + 3 * DAY);
    assert!(changes.len() >= least_changes, "{changes:?}");
    let mut none = Vec::new();
    let mut checked = 0;
    for day in (from.0..to.0).map(Date) {
        let Some(firsts) = dates.get(&day) else {
            none.push(day.to_string());
            assert!((0..MINUTES).all(|at| due_of_date(zone, day, minute(at)).is_none()), "{day}");
            continue;
        };
        let first_of_next = dates.range(Date(day.0 + 1)..).next().map(|(_, firsts)| firsts[0]).unwrap();
        // Of most dates no minute is near.
        let near: Vec<i64> = changes.iter().copied().filter(|at| (at - firsts[0]).abs() < NEAR + 2 * DAY).collect();
        for at in 0..MINUTES {
            let expected = firsts.get(at).copied().unwrap_or(first_of_next);
            let is_near = near.iter().any(|change| (change - expected).abs() <= NEAR);
            if is_near || at % FAR == 0 {
                let due = due_of_date(if is_near { zone } else { &table }, day, minute(at));
                assert_eq!(due, Some(expected), "{day} {}", minute(at));
                checked += 1;
            }
        }
    }
    assert_eq!(none, missing);
    assert!(checked > 3_600 * MINUTES / FAR, "{checked}");
    one_after_the_other(zone, &dates, (from, to));
    changes.iter().filter(|at| **at > begin + 2 * DAY).take(2).for_each(|at| look_all_the_time(zone, *at));
}

/// From one due instant to the next, every date is met once.
fn one_after_the_other(zone: &Zone, dates: &BTreeMap<Date, Vec<i64>>, (from, to): (Date, Date)) {
    for at in ["00:00", "02:30", "23:45"] {
        let plan = plan(at);
        let mut now = plan.next_due(zone, dates.range(from..).next().unwrap().1[0] - 1).unwrap().1 - 1;
        let mut met = Vec::new();
        loop {
            let (day, due) = plan.next_due(zone, now).unwrap();
            if day >= to {
                break;
            }
            met.push(day);
            now = due;
        }
        // The run of the day before may have been due in the first instant.
        met.retain(|day| *day >= from);
        assert!(met.iter().eq(dates.range(from..to).map(|(day, _)| day)), "{at}");
    }
}

/// Whoever looks every 40 seconds, around a change of the clocks, runs each date once.
fn look_all_the_time(zone: &Zone, change: i64) {
    let plans = ["00:00", "00:10", "02:30", "23:30"].map(plan);
    let plans: Vec<&Plan> = plans.iter().collect();
    let mut records: Vec<Record> = Vec::new();
    let (begin, end) = (change - DAY / 2, change + DAY / 2);
    for now in (begin..end).step_by(40) {
        for finding in (Look { now, last: now - 40, zone, starting: false }).findings(&plans, &records) {
            let Finding::Run(at, date) = finding else { panic!("{finding:?}") };
            records.push(Record { key: plans[at].key.clone(), date, finished: true });
        }
    }
    for plan in plans {
        let mut expected = Vec::new();
        let mut now = begin - MINUTE;
        while let Some((day, due)) = plan.next_due(zone, now).filter(|(_, due)| *due < end) {
            expected.push(day);
            now = due;
        }
        let run: Vec<Date> = records.iter().filter(|run| run.key == plan.key).map(|run| run.date).collect();
        assert_eq!(run, expected, "{}", plan.key.time);
    }
}

fn check_named(name: &str, years: (i64, i64), least_changes: usize, missing: &[&str]) {
    if let Some(zone) = zone(name) {
        check(&zone, years, least_changes, missing);
    }
}

#[test]
fn europe_berlin() {
    check_named("Europe/Berlin", (2016, 2026), 20, &[]);
}

#[test]
fn america_new_york() {
    check_named("America/New_York", (2000, 2010), 20, &[]);
}

#[test]
fn australia_lord_howe() {
    check_named("Australia/Lord_Howe", (2016, 2026), 20, &[]);
}

#[test]
fn pacific_apia() {
    check_named("Pacific/Apia", (2006, 2016), 8, &["2011-12-30"]);
}

#[test]
fn africa_casablanca() {
    check_named("Africa/Casablanca", (2010, 2020), 30, &[]);
}

#[test]
fn america_nuuk() {
    check_named("America/Nuuk", (2016, 2026), 18, &[]);
}

#[test]
fn america_sao_paulo_at_midnight() {
    check_named("America/Sao_Paulo", (2009, 2019), 18, &[]);
}

#[test]
fn utc_and_fixed_offsets() {
    check_named("UTC", (2020, 2030), 0, &[]);
    check(&posix("<+0545>-5:45"), (2020, 2030), 0, &[]);
}

#[test]
fn a_rule_north_of_the_equator() {
    check(&posix("CET-1CEST,M3.5.0,M10.5.0/3"), (2026, 2036), 20, &[]);
}

#[test]
fn a_rule_south_of_the_equator_by_half_hours() {
    check(&posix("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"), (2026, 2036), 20, &[]);
}

#[test]
fn a_rule_that_skips_the_end_of_a_date() {
    check(&posix("<-02>2<-01>,M3.5.0/-1,M10.5.0/0"), (2026, 2036), 20, &[]);
}

/// The day after is shown for an hour, and then the day again: its dates are met in the first pass.
#[test]
fn a_rule_that_goes_back_over_midnight() {
    check(&posix("EST5EDT,M4.1.0/0:15,M10.5.0/0:15"), (2026, 2036), 20, &[]);
}

/// From 12 hours behind UTC to 12 ahead and back: a date is left out, and one comes twice, every year.
#[test]
fn a_rule_across_the_date_line() {
    let missing: Vec<String> = (2026..2036).map(|year| format!("{year}-04-10")).collect();
    let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
    check(&posix("AAA12BBB-12,J100/0,J200/0"), (2026, 2036), 20, &missing);
}

#[test]
fn what_is_told_of_these_zones_holds() {
    let due = |zone: &Zone, day: &str, at: &str| due_of_date(zone, date(day), time(at));
    if let Some(berlin) = zone("Europe/Berlin") {
        // 02:00 to 03:00 is left out.
        assert_eq!(due(&berlin, "2024-03-31", "01:59"), Some(utc("2024-03-31 00:59")));
        assert_eq!(due(&berlin, "2024-03-31", "02:00"), Some(utc("2024-03-31 01:00")));
        assert_eq!(due(&berlin, "2024-03-31", "02:30"), Some(utc("2024-03-31 01:00")));
        assert_eq!(due(&berlin, "2024-03-31", "03:01"), Some(utc("2024-03-31 01:01")));
        // 02:00 to 03:00 comes twice.
        assert_eq!(due(&berlin, "2024-10-27", "02:30"), Some(utc("2024-10-27 00:30")));
        assert_eq!(due(&berlin, "2024-10-27", "03:00"), Some(utc("2024-10-27 02:00")));
    }
    if let Some(nuuk) = zone("America/Nuuk") {
        assert_eq!(due(&nuuk, "2024-03-30", "22:59"), Some(utc("2024-03-31 00:59")));
        assert_eq!(due(&nuuk, "2024-03-30", "23:30"), Some(utc("2024-03-31 01:00")));
        assert_eq!(due(&nuuk, "2024-03-31", "00:00"), Some(utc("2024-03-31 01:00")));
    }
    if let Some(apia) = zone("Pacific/Apia") {
        assert_eq!(due(&apia, "2011-12-29", "23:59"), Some(utc("2011-12-30 09:59")));
        assert_eq!(due(&apia, "2011-12-30", "12:00"), None);
        assert_eq!(due(&apia, "2011-12-31", "00:00"), Some(utc("2011-12-30 10:00")));
        // A schedule of that weekday, too, comes again.
        let fridays = Plan { days: Days::parse("fri").unwrap(), ..plan("12:00") };
        let next = fridays.next_due(&apia, utc("2011-12-25 00:00"));
        assert_eq!(next, Some((date("2012-01-06"), utc("2012-01-05 22:00"))));
    }
}
