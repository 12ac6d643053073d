//! Oracles: published transition times written out here, a plain calendar, brute force over the
//! offsets, and the glibc of a `python3` process. Random tests print their seed when they fail;
//! `ZONE_SEED=<number>` repeats one.

mod machine;
mod strings;
mod tzif;

use super::*;
use std::path::Path;

const ZONEINFO: &str = "/usr/share/zoneinfo";

const STRINGS: [&str; 14] = [
    "UTC0",
    "<+03>-3",
    "<-0330>+3:30",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "EST5EDT,M3.2.0,M11.1.0",
    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
    "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
    "IST-1GMT0,M10.5.0,M3.5.0/1",
    "NZST-12NZDT,M9.5.0,M4.1.0/3",
    "IST-2IDT,M3.4.4/26,M10.5.0",
    "<-04>4<-03>,M9.1.6/24,M4.1.6/24",
    "AAA3BBB2:15:30,J60/2,J300/-100:30:15",
    "AAA-3BBB,59,299/12:30:15",
    "AAA-3BBB-5,J59,J334/167",
];

/// xorshift64* (Vigna), which tells its seed if the test around it panics.
struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    fn new() -> Random {
        let seed = std::env::var("ZONE_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or(0x0d06_4a7c_4d09_0001);
        Random { seed, state: seed.max(1) }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }

    fn within(&mut self, range: Range<i64>) -> i64 {
        range.start + self.below(range.end.abs_diff(range.start)) as i64
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with ZONE_SEED={}", self.seed);
        }
    }
}

impl Zone {
    /// The same within a span of Unix time, as a file has it: strings' rules take more time than a table.
    pub fn table(&self, span: Range<i64>) -> Zone {
        let next = |at: &i64| self.next_transition(*at).filter(|next| *next < span.end);
        let transitions = std::iter::successors(next(&span.start), next).map(|at| (at, self.offset_at(at)));
        Zone { initial: self.offset_at(span.start), transitions: transitions.collect(), rule: None }
    }
}

fn posix(text: &str) -> Zone {
    Zone::from_posix(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn instant(year: i64, month: u8, day: u8, seconds: i64) -> i64 {
    days_from_civil(year, month, day) * DAY_SECONDS + seconds
}

/// 20240331030000 for 2024-03-31 03:00:00, as [`ORACLE`] writes it.
fn stamp(civil: Civil) -> i64 {
    let Civil { year, month, day, hour, minute, second } = civil;
    let date = (year * 100 + i64::from(month)) * 100 + i64::from(day);
    ((date * 100 + i64::from(hour)) * 100 + i64::from(minute)) * 100 + i64::from(second)
}

/// Calls everything a caller can, at the ends and in between.
fn exercise(zone: &Zone) {
    for t in [i64::MIN, i64::MIN + 1, -1 << 59, -1, 0, 1_700_000_000, i64::MAX - 1, i64::MAX] {
        let civil = zone.civil(t);
        assert!((1..=12).contains(&civil.month) && (1..=31).contains(&civil.day), "{civil:?}");
        assert!(civil.hour < 24 && civil.minute < 60 && civil.second < 60, "{civil:?}");
        assert!(SANE_OFFSETS.contains(&zone.offset_at(t)));
    }
    for t in [i64::MIN, 1_700_000_000, i64::MAX] {
        assert!(zone.next_transition(t).is_none_or(|next| next > t));
    }
}

#[test]
fn days_and_dates_match_a_plain_calendar() {
    assert_eq!(days_from_civil(1970, 1, 1), 0);
    assert_eq!(days_from_civil(2000, 3, 1), 11_017);
    assert_eq!(civil_from_days(-719_468), (0, 3, 1));
    let mut day = days_from_civil(1600, 1, 1);
    assert_eq!(day, -135_140);
    for year in 1600..2401 {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let february = if leap { 29 } else { 28 };
        for (month, length) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
            for day_of_month in 1..=length {
                assert_eq!(civil_from_days(day), (year, month, day_of_month));
                assert_eq!(days_from_civil(year, month, day_of_month), day);
                day += 1;
            }
        }
    }
}

#[test]
fn extremes_neither_panic_nor_wrap() {
    for year in [i64::MIN, -MAX_YEAR, MAX_YEAR, i64::MAX] {
        for (month, day) in [(0, 0), (1, 1), (12, 31), (255, 255)] {
            assert_eq!(days_from_civil(year, month, day) < 0, year < 0);
        }
    }
    assert!(civil_from_days(i64::MIN).0 < -MAX_YEAR);
    assert!(civil_from_days(i64::MAX).0 > MAX_YEAR);
    assert!(year_of(i64::MIN).abs() < MAX_YEAR && year_of(i64::MAX) < MAX_YEAR);
    STRINGS.iter().for_each(|text| exercise(&posix(text)));
    exercise(&Zone::utc());
    assert_eq!(Zone::utc().civil(i64::MAX).year, 292_277_026_596);
    assert_eq!(posix("AAA-24").civil(i64::MAX), Zone::utc().civil(i64::MAX));
    assert_eq!(posix("AAA24").civil(i64::MIN), Zone::utc().civil(i64::MIN));
    assert_eq!(posix(STRINGS[3]).next_transition(i64::MAX), None);
}

/// Says why a comparison cannot be made; where CI is set, it must be.
fn unavailable(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "{reason}");
    eprintln!("SKIPPED: {reason}");
}

fn zone_file(name: &str) -> Option<Vec<u8>> {
    let path = Path::new(ZONEINFO).join(name);
    let bytes = std::fs::read(&path);
    if let Err(error) = &bytes {
        unavailable(&format!("{}: {error}", path.display()));
    }
    bytes.ok()
}
