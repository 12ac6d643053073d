mod clocks;
mod zones;

use super::*;

/// A zone of this machine's; where CI is set, there must be one.
fn zone(name: &str) -> Option<Zone> {
    let path = format!("/usr/share/zoneinfo/{name}");
    match std::fs::read(&path) {
        Ok(bytes) => Some(Zone::from_tzif(&bytes).unwrap()),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{path}: {error}");
            eprintln!("SKIPPED: {path}: {error}");
            None
        }
    }
}

fn posix(text: &str) -> Zone {
    Zone::from_posix(text.as_bytes()).unwrap()
}

fn date(text: &str) -> Date {
    Date::parse(text).unwrap()
}

fn time(text: &str) -> Time {
    Time::parse(text).unwrap()
}

/// `2026-01-02 03:04:05` or `2026-01-02 03:04` of clocks that show UTC.
fn utc(text: &str) -> i64 {
    let (day, clock) = text.split_once(' ').unwrap();
    let (clock, second) = clock.split_at(5);
    date(day).shown() + time(clock).seconds() + second.strip_prefix(':').map_or(0, |second| second.parse().unwrap())
}

fn plan(at: &str) -> Plan {
    let key = Key { path: b"/srv".to_vec(), time: time(at), name: b"srv".to_vec() };
    Plan { key, days: Days::ALL, catchup: Millis(0) }
}

#[test]
fn dates_and_times_are_read_as_they_are_written() {
    for text in ["1970-01-01", "2024-02-29", "2026-12-31", "0000-03-01", "9999-12-31"] {
        assert_eq!(date(text).to_string(), text);
    }
    for text in ["", "2026-1-02", "2026-01-2", "26-01-02", "2026-02-29", "2026-00-01", "2026-13-01", "2026-01-00"] {
        assert_eq!(Date::parse(text), None, "{text}");
    }
    for text in ["2026-01-02-", "2026-01", "+026-01-02", "2026-+1-02", "2026-01-02 ", "20260102"] {
        assert_eq!(Date::parse(text), None, "{text}");
    }
    for text in ["00:00", "09:05", "23:59"] {
        assert_eq!(time(text).to_string(), text);
    }
    for text in ["", ":", "24:00", "23:60", "9:05", "09:5", "009:05", "+9:05", "09:05:00", "09.05", "-1:00", " 9:05"] {
        assert_eq!(Time::parse(text), None, "{text}");
    }
}

#[test]
fn days_are_those_of_the_calendar() {
    // 2026-11-16 was a Monday.
    let monday = date("2026-11-16");
    for (at, name) in (0..).zip(WEEKDAYS) {
        let days = Days::parse(name).unwrap();
        let hits: Vec<i64> = (0..14).filter(|day| days.contain(Date(monday.0 + day))).collect();
        assert_eq!(hits, [at, at + 7], "{name}");
    }
    assert_eq!(Days::parse(&WEEKDAYS.join(",")), Some(Days::ALL));
    assert_eq!(Days::parse("sun,mon,sun"), Days::parse("mon,sun"));
    for text in ["", ",", "mon,", "monday", "Mon", "mon, tue", "mon tue"] {
        assert_eq!(Days::parse(text), None, "{text}");
    }
}

#[test]
fn weeks_and_months_begin_where_they_should() {
    let weeks = |a: &str, b: &str| date(b).week() - date(a).week();
    assert_eq!(weeks("2026-11-15", "2026-11-16"), 1);
    assert_eq!(weeks("2026-11-16", "2026-11-22"), 0);
    // 2024-12-30 is in the first week of 2025.
    assert_eq!(weeks("2024-12-30", "2025-01-05"), 0);
    assert_eq!(weeks("1969-12-28", "1970-01-01"), 1);
    assert_eq!(date("2024-02-29").month(), (2024, 2));
}

#[test]
fn the_ends_of_time_neither_panic_nor_wrap() {
    let mut plan = plan("23:59");
    plan.catchup = Millis(u64::MAX);
    let records = [i64::MIN, 0, i64::MAX].map(|day| Record { key: plan.key.clone(), date: Date(day), finished: false });
    for zone in [Zone::utc(), posix("AAA-24BBB,J1,J300"), posix("AAA24BBB23,J1,J300")] {
        for day in [i64::MIN, i64::MIN / DAY, i64::MAX / DAY, i64::MAX] {
            due_of_date(&zone, Date(day), time("12:00"));
        }
        for now in [i64::MIN, i64::MIN + 1, 0, i64::MAX - 1, i64::MAX] {
            plan.next_due(&zone, now);
            for last in [i64::MIN, i64::MAX] {
                Look { now, last, zone: &zone, starting: true }.findings(&[&plan], &records);
            }
        }
    }
}
