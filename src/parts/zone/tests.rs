//! Oracles: published transition times written out here, a plain calendar, brute force over the
//! offsets, and the glibc of a `python3` process. Random tests print their seed when they fail;
//! `ZONE_SEED=<number>` repeats one.

use super::*;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const ZONEINFO: &str = "/usr/share/zoneinfo";

const NAMED: [&str; 8] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/Nuuk",
    "Europe/Dublin",
    "UTC",
];

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

// ---- calendar

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

// ---- TZ strings

#[test]
fn strings_give_the_published_transitions() {
    // TZ string, a transition in UTC, offset before, offset from then on
    let cases = [
        (STRINGS[3], instant(2024, 3, 31, 3600), 3600, 7200),
        (STRINGS[3], instant(2024, 10, 27, 3600), 7200, 3600),
        (STRINGS[4], instant(2026, 3, 8, 7 * 3600), -18_000, -14_400),
        (STRINGS[4], instant(2026, 11, 1, 6 * 3600), -14_400, -18_000),
        (STRINGS[5], instant(2025, 4, 5, 15 * 3600), 39_600, 37_800),
        (STRINGS[5], instant(2025, 10, 4, 15 * 3600 + 1800), 37_800, 39_600),
        (STRINGS[6], instant(2025, 3, 30, 3600), -7200, -3600),
        (STRINGS[7], instant(2025, 3, 30, 3600), 0, 3600),
        (STRINGS[7], instant(2025, 10, 26, 3600), 3600, 0),
        (STRINGS[9], instant(2025, 3, 28, 0), 7200, 10_800),
        // Jn: 1 March in a leap year and in another; n: 29 February and 1 March
        ("AAA0BBB,J60/0,J300", instant(2024, 3, 1, 0), 0, 3600),
        ("AAA0BBB,J60/0,J300", instant(2025, 3, 1, 0), 0, 3600),
        ("AAA0BBB,J59/0,J300", instant(2024, 2, 28, 0), 0, 3600),
        ("AAA0BBB,59/0,J300", instant(2024, 2, 29, 0), 0, 3600),
        ("AAA0BBB,59/0,J300", instant(2025, 3, 1, 0), 0, 3600),
        // a week before the first and after the last day of a year
        ("AAA0BBB,J1/-167,J100", instant(2024, 12, 25, 3600), 0, 3600),
        ("AAA0BBB,J200,J365/167", instant(2025, 1, 6, 22 * 3600), 3600, 0),
        // and both: summer time but for three days in January
        ("AAA0BBB,J365/167,J365/100", instant(2025, 1, 4, 3 * 3600), 3600, 0),
        ("AAA0BBB,J365/167,J365/100", instant(2025, 1, 6, 23 * 3600), 0, 3600),
    ];
    for (text, at, before, after) in cases {
        let zone = posix(text);
        assert_eq!((zone.offset_at(at - 1), zone.offset_at(at)), (before, after), "{text} {at}");
        assert_eq!(zone.next_transition(at - 1), Some(at), "{text}");
        assert_eq!(zone.next_transition(at - 86_400), Some(at), "{text}");
        assert_ne!(zone.next_transition(at), Some(at), "{text}");
    }
    assert_eq!(stamp(posix(STRINGS[3]).civil(1_711_846_799)), 20_240_331_015_959);
    assert_eq!(stamp(posix(STRINGS[3]).civil(1_711_846_800)), 20_240_331_030_000);
    assert_eq!(posix("<-0330>+3:30:15").offset_at(0), -12_615);
    assert_eq!(posix("<+03>-3").next_transition(0), None);
    assert_eq!(posix("UTC0"), Zone::utc());
}

#[test]
fn daylight_saving_all_year_never_ends() {
    // The first two as in RFC 9636 section 3.3.1, then with an end later than the next start.
    for text in ["XXX3EDT4,0/0,J365/23", "EST5EDT,0/0,J365/25", "EST5EDT,0/0,J365/26"] {
        let zone = posix(text);
        let year = instant(2023, 12, 20, 0)..instant(2025, 1, 10, 0);
        assert!(year.step_by(900).all(|t| zone.offset_at(t) == -14_400), "{text}");
        assert_eq!(zone.next_transition(0), None, "{text}");
    }
    // without any length it never begins
    let never = posix("AAA0BBB,J100/2,J100/3");
    assert!((0..DAY_SECONDS * 400).step_by(900).all(|t| never.offset_at(t) == 0));
    assert_eq!(never.next_transition(0), None);
}

#[test]
fn next_transition_finds_what_stepping_finds() {
    let mut random = Random::new();
    for _ in 0..60 {
        let text = random_string(&mut random);
        let zone = posix(&text);
        let start = random.within(0..4_000_000_000);
        let (mut t, mut offset) = (start, zone.offset_at(start));
        for _ in 0..6 {
            // Between transitions nothing changes, at each something does.
            let next = zone.next_transition(t);
            let end = next.unwrap_or(t + 1500 * DAY_SECONDS);
            for step in (t..end).step_by(4 * 3600).chain([end - 1]) {
                assert_eq!(zone.offset_at(step), offset, "{text} at {step} after {t}");
            }
            let Some(next) = next else { break };
            assert!(next > t && zone.offset_at(next) != offset, "{text} at {next} after {t}");
            (t, offset) = (next, zone.offset_at(next));
        }
    }
}

/// A valid TZ string, often an odd one.
fn random_string(random: &mut Random) -> String {
    let mut change = || {
        let day = match random.below(4) {
            0 => format!("J{}", random.pick(&[1, 2, 59, 60, 61, 200, 364, 365])),
            1 => format!("{}", random.pick(&[0, 1, 58, 59, 60, 200, 364, 365])),
            _ => format!("M{}.{}.{}", 1 + random.below(12), 1 + random.below(5), random.below(7)),
        };
        match random.below(3) {
            0 => day,
            1 => format!("{day}/{}", random.within(-3..28)),
            _ => format!("{day}/{}:{:02}", random.within(-167..168), random.below(60)),
        }
    };
    let (start, end) = (change(), change());
    let (standard, daylight) = (random.within(-14..13), random.within(-14..13));
    format!("<+AA>{standard}BBB{daylight}:30,{start},{end}")
}

#[test]
fn malformed_strings_are_refused_with_the_reason() {
    let name = "a name of three or more letters";
    let offset = "an offset with hours from 0 to 24";
    let comma = "a comma and when daylight saving time starts or ends";
    let sixty = "minutes or seconds from 0 to 59";
    let day = "M, J or a day from 0 to 365";
    let time = "a time with hours from -167 to 167";
    let cases = [
        ("", name),
        (":Europe/Berlin", name),
        ("Europe/Berlin", offset),
        ("CE-1", name),
        ("C3T-1", name),
        ("<+3>-3", name),
        ("<>3", name),
        ("<+03-3", "> after a name with <"),
        ("<+03", "> after a name with <"),
        ("<a_b>3", name),
        ("CET", offset),
        ("CET ", offset),
        ("CET--1", offset),
        ("CET25", offset),
        ("CET-25", offset),
        ("CET99999999999999999999", offset),
        ("CET1:", sixty),
        ("CET1:60", sixty),
        ("CET1:00:60", sixty),
        ("CET1:00:00:00", name),
        ("CET-1 ", name),
        ("CET-1\n", name),
        ("CET-1\0", name),
        ("CET-1CEST", comma),
        ("CET-1CEST-2", comma),
        ("CET-1CEST-25", offset),
        ("CET-1CEST+,", offset),
        ("CET-1CEST,", day),
        ("CET-1CEST,M3.5.0", comma),
        ("CET-1CEST,M3.5.0,", day),
        ("CET-1CEST,M3.5.0,M10.5.0/3 ", "nothing more after the rules"),
        ("CET-1CEST,M3.5.0,M10.5.0,M1.1.1", "nothing more after the rules"),
        ("CET-1CEST,m3.5.0,M10.5.0", day),
        ("CET-1CEST,M0.5.0,M10.5.0", "a month from 1 to 12"),
        ("CET-1CEST,M13.5.0,M10.5.0", "a month from 1 to 12"),
        ("CET-1CEST,M3,M10.5.0", "a dot between month and week"),
        ("CET-1CEST,M3.0.0,M10.5.0", "a week from 1 to 5"),
        ("CET-1CEST,M3.6.0,M10.5.0", "a week from 1 to 5"),
        ("CET-1CEST,M3.5,M10.5.0", "a dot between week and weekday"),
        ("CET-1CEST,M3.5.7,M10.5.0", "a weekday from 0 to 6"),
        ("CET-1CEST,M3.5.-1,M10.5.0", "a weekday from 0 to 6"),
        ("CET-1CEST,J0,J300", "a day from 1 to 365"),
        ("CET-1CEST,J366,J300", "a day from 1 to 365"),
        ("CET-1CEST,366,J300", day),
        ("CET-1CEST,-1,J300", day),
        ("CET-1CEST,4294967297,J300", day),
        ("CET-1CEST,M3.5.0/,M10.5.0", time),
        ("CET-1CEST,M3.5.0/168,M10.5.0", time),
        ("CET-1CEST,M3.5.0/-168,M10.5.0", time),
        ("CET-1CEST,M3.5.0/-+2,M10.5.0", time),
        ("CET-1CEST,M3.5.0/2:60,M10.5.0", sixty),
        ("CET-1CEST,M3.5.0/2:,M10.5.0", sixty),
    ];
    for (text, expected) in cases {
        assert_eq!(Zone::from_posix(text.as_bytes()), Err(Posix(expected)), "{text:?}");
    }
    assert_eq!(Posix(day).to_string(), "TZ string: expected M, J or a day from 0 to 365");
    let valid = "CET-1CEST,M3.5.0,M10.5.0/3";
    for end in (0..valid.len()).filter(|&end| ![5, 24].contains(&end)) {
        assert!(Zone::from_posix(&valid.as_bytes()[..end]).is_err(), "{end} bytes of {valid}");
    }
}

// ---- TZif

/// A TZif file to be spoilt. Types are offset, is-daylight-saving and index of the name.
#[derive(Clone)]
struct File {
    version: u8,
    transitions: Vec<(i64, u8)>,
    types: Vec<(i32, u8, u8)>,
    leaps: u32,
    flags: [usize; 2],
    footer: &'static str,
}

/// Central European Time from 1980 to 1981, with daylight saving time as type 0.
fn sample(version: u8) -> File {
    File {
        version,
        transitions: vec![(323_830_800, 0), (338_950_800, 1), (354_675_600, 0)],
        types: vec![(7200, 1, 4), (3600, 0, 0)],
        leaps: 0,
        flags: [2, 2],
        footer: "\nCET-1CEST,M3.5.0,M9.5.0/3\n",
    }
}

impl File {
    fn block(&self, version: u8, wide: bool) -> Vec<u8> {
        let mut bytes = b"TZif".to_vec();
        bytes.push(version);
        bytes.extend([0; 15]);
        let [utc, standard] = self.flags.map(|count| count as u32);
        let (transitions, types) = (self.transitions.len() as u32, self.types.len() as u32);
        for count in [utc, standard, self.leaps, transitions, types, 9] {
            bytes.extend(count.to_be_bytes());
        }
        for &(at, _) in &self.transitions {
            match wide {
                true => bytes.extend(at.to_be_bytes()),
                false => bytes.extend((at as i32).to_be_bytes()),
            }
        }
        bytes.extend(self.transitions.iter().map(|&(_, index)| index));
        for &(offset, daylight, name) in &self.types {
            bytes.extend(offset.to_be_bytes());
            bytes.extend([daylight, name]);
        }
        bytes.extend(b"CET\0CEST\0");
        bytes.extend(vec![0; self.leaps as usize * if wide { 12 } else { 8 }]);
        bytes.extend(vec![0; self.flags.iter().sum()]);
        bytes
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.block(self.version, false);
        if self.version != 0 {
            bytes.extend(self.block(self.version, true));
            bytes.extend(self.footer.bytes());
        }
        bytes
    }

    fn read(&self) -> Result<Zone, ZoneError> {
        Zone::from_tzif(&self.bytes())
    }
}

#[test]
fn all_versions_are_read() {
    for version in [0, b'2', b'3', b'4'] {
        let zone = sample(version).read().unwrap();
        // before the table the first type that is not daylight saving time, though it is type 1
        assert_eq!(zone.offset_at(i64::MIN), 3600);
        assert_eq!(zone.offset_at(323_830_799), 3600);
        assert_eq!(zone.offset_at(323_830_800), 7200);
        assert_eq!(zone.offset_at(338_950_800), 3600);
        assert_eq!(zone.offset_at(354_675_600), 7200);
        assert_eq!(zone.next_transition(i64::MIN), Some(323_830_800));
        assert_eq!(zone.next_transition(323_830_800), Some(338_950_800));
        // after the table: version 1 stays, the others follow the footer
        let next = (version != 0).then(|| instant(1981, 9, 27, 3600));
        assert_eq!(zone.next_transition(354_675_600), next);
        let winter = if version == 0 { 7200 } else { 3600 };
        assert_eq!(zone.offset_at(instant(2050, 1, 1, 0)), winter);
    }
}

#[test]
fn without_transitions_the_footer_holds_always() {
    let mut file = sample(b'2');
    file.transitions.clear();
    let zone = file.read().unwrap();
    assert_eq!(zone, posix("CET-1CEST,M3.5.0,M9.5.0/3"));
    file.footer = "\nXXX-5\n";
    assert_eq!(file.read().unwrap(), posix("XXX-5"));
    file.footer = "\n\n";
    assert_eq!(file.read().unwrap(), posix("CET-1"));
    file.types = vec![(7200, 1, 4)];
    file.flags = [0, 1];
    assert_eq!(file.read().unwrap().offset_at(0), 7200, "only daylight saving time");
}

#[test]
fn footers_hold_for_any_distance() {
    let rule = posix("CET-1CEST,M3.5.0,M9.5.0/3");
    let mut file = sample(b'2');
    let late = instant(3000, 1, 1, 0);
    assert_eq!(file.read().unwrap().next_transition(late), rule.next_transition(late));
    assert!(rule.next_transition(late).is_some_and(|next| next < late + 100 * DAY_SECONDS));
    // a table which changes nothing: the first change is that of the footer after it
    file.transitions = vec![(0, 1)];
    let first = file.read().unwrap().next_transition(i64::MIN);
    assert_eq!(first, Some(instant(1970, 3, 29, 3600)));
}

#[test]
fn transitions_without_a_new_offset_are_passed_over() {
    let mut file = sample(0);
    file.types.push((3600, 1, 0));
    file.flags = [0, 0];
    file.transitions = vec![(0, 1), (10, 2), (20, 0), (30, 0), (40, 2)];
    let zone = file.read().unwrap();
    assert_eq!(zone.next_transition(-5), Some(20));
    assert_eq!(zone.next_transition(20), Some(40));
    assert_eq!(zone.next_transition(40), None);
}

#[test]
fn invalid_files_are_refused_with_the_reason() {
    let tzif = |change: fn(&mut File)| {
        let mut file = sample(b'2');
        change(&mut file);
        file.read().unwrap_err()
    };
    assert_eq!(tzif(|file| file.leaps = 1), LeapSeconds);
    assert_eq!(tzif(|file| file.version = 1), Tzif("has an unknown version"));
    assert_eq!(tzif(|file| file.version = b'5'), Tzif("has an unknown version"));
    assert_eq!(tzif(|file| file.leaps = 1 << 17), TooLarge);
    assert_eq!(tzif(|file| file.flags = [1, 0]), Tzif("has contradictory counts"));
    assert_eq!(tzif(|file| file.flags = [0, 3]), Tzif("has contradictory counts"));
    let lost_types = |file: &mut File| (file.types.clear(), file.flags = [0, 0]).1;
    assert_eq!(tzif(lost_types), Tzif("has contradictory counts"));
    let bad_type = Tzif("has an invalid local time type");
    assert_eq!(tzif(|file| file.types[0].0 = 93_600), bad_type);
    assert_eq!(tzif(|file| file.types[0].0 = -90_000), bad_type);
    assert_eq!(tzif(|file| file.types[0].0 = i32::MIN), bad_type);
    assert_eq!(tzif(|file| file.types[0].1 = 2), bad_type);
    assert_eq!(tzif(|file| file.types[0].2 = 9), bad_type);
    assert_eq!(tzif(|file| file.transitions[2].1 = 2), Tzif("lacks a local time type"));
    let order = Tzif("has transitions out of order");
    assert_eq!(tzif(|file| file.transitions[1].0 = 0), order);
    assert_eq!(tzif(|file| file.transitions[1].0 = 323_830_800), order);
    let footer = Tzif("has no complete footer at its end");
    assert_eq!(tzif(|file| file.footer = ""), footer);
    assert_eq!(tzif(|file| file.footer = "\n"), footer);
    assert_eq!(tzif(|file| file.footer = "\nCET-1"), footer);
    assert_eq!(tzif(|file| file.footer = "CET-1\n"), footer);
    let expected = Posix("an offset with hours from 0 to 24");
    assert_eq!(tzif(|file| file.footer = "\nCET\n"), expected);
    let odds = Tzif("has a footer at odds with its end");
    assert_eq!(tzif(|file| file.footer = "\nCET-1\n"), odds);
    assert_eq!(tzif(|file| file.footer = "\nCET-1CEST-3,M3.5.0,M9.5.0/3\n"), odds);

    let mut bytes = sample(0).bytes();
    bytes.push(0);
    assert_eq!(Zone::from_tzif(&bytes), Err(Tzif("has bytes left over at its end")));
    let file = sample(b'2');
    let headers = [file.block(b'2', false), file.block(b'3', true), b"\n\n".to_vec()].concat();
    assert_eq!(Zone::from_tzif(&headers), Err(Tzif("has headers of two versions")));
    let mut bytes = file.bytes();
    bytes[32..36].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(Zone::from_tzif(&bytes), Err(Tzif("has an absurd count")));
    assert_eq!(Zone::from_tzif(b"CET-1"), Err(Tzif("does not begin as one")));
    assert_eq!(Zone::from_tzif(b""), Err(Tzif("is cut short")));
    bytes.resize(MAX_TZIF + 1, b'\n');
    assert_eq!(Zone::from_tzif(&bytes), Err(TooLarge));
    assert_eq!(order.to_string(), "time zone file: has transitions out of order");
}

#[test]
fn damaged_files_never_panic() {
    let mut files = vec![sample(0).bytes(), sample(b'3').bytes()];
    files.extend(zone_file("America/Nuuk"));
    for file in files {
        assert!(Zone::from_tzif(&file).is_ok());
        for end in 0..file.len() {
            assert!(Zone::from_tzif(&file[..end]).is_err(), "cut to {end} bytes");
        }
        let mut spoilt = file.clone();
        for (index, &byte) in file.iter().enumerate() {
            for mask in [0x01, 0x80, 0xff] {
                spoilt[index] = byte ^ mask;
                if let Ok(zone) = Zone::from_tzif(&spoilt) {
                    zone.offset_at(i64::MAX);
                    zone.civil(i64::MIN);
                }
            }
            spoilt[index] = byte;
        }
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut random = Random::new();
    let sample = sample(b'2').bytes();
    let mut accepted = [0; 2];
    for _ in 0..20_000 {
        // a sample with a few bytes replaced: small numbers get furthest
        let mut file = sample.clone();
        for _ in 0..random.below(4) {
            let index = random.below(file.len() as u64) as usize;
            file[index] = random.next() as u8 >> random.below(8);
        }
        file.truncate(sample.len() - random.pick(&[0, 0, 0, 1, 50]));
        if let Ok(zone) = Zone::from_tzif(&file) {
            accepted[0] += 1;
            zone.next_transition(random.next() as i64);
            zone.civil(random.next() as i64);
        }
        let alphabet = b"AAAAbz<>+-0123456789,,,..//::MMJ\n\0\xff";
        let length = random.below(12);
        let noise: Vec<u8> = (0..length).map(|_| random.pick(alphabet)).collect();
        let mut text = random.pick(&STRINGS).as_bytes().to_vec();
        let index = random.below(text.len() as u64) as usize;
        text.splice(index..(index + random.below(3) as usize).min(text.len()), noise);
        if let Ok(zone) = Zone::from_posix(&text) {
            accepted[1] += 1;
            zone.civil(random.next() as i64);
        }
        let bytes: Vec<u8> = (0..random.below(80)).map(|_| random.next() as u8).collect();
        assert!(Zone::from_tzif(&bytes).is_err());
        assert!(Zone::from_posix(&bytes).is_err());
    }
    assert!(accepted.iter().all(|&count| count > 1000), "too few survive: {accepted:?}");
}

// ---- this machine's zone files and glibc

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

/// The zones to compare, as glibc takes them in TZ and as read by us; empty if files are missing.
fn zones() -> Vec<(&'static str, Zone)> {
    let files: Option<Vec<_>> = NAMED.iter().map(|name| Some((*name, zone_file(name)?))).collect();
    let read = |(name, bytes): (_, Vec<u8>)| match Zone::from_tzif(&bytes) {
        Ok(zone) => (name, zone),
        Err(error) => panic!("{name}: {error}"),
    };
    let named = files.unwrap_or_default().into_iter().map(read);
    named.chain(STRINGS.map(|text| (text, posix(text)))).collect()
}

/// Runs `script` with the zones as arguments. Both ways go 64-bit integers in native order.
fn python(script: &str, zones: &[(&str, Zone)], input: &[i64]) -> Option<Vec<i64>> {
    let child = Command::new("python3")
        .env_remove("TZDIR")
        .args(["-I", "-c", script])
        .args(zones.iter().map(|(name, _)| name))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            unavailable(&format!("python3: {error}"));
            return None;
        }
    };
    let mut bytes = Vec::with_capacity(8 * input.len());
    for number in input {
        bytes.extend_from_slice(&number.to_ne_bytes());
    }
    // The scripts read everything before they write anything, so that neither side can block.
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let mut output = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    assert!(child.wait().unwrap().success());
    let numbers = output.chunks_exact(8).map(|chunk| i64::from_ne_bytes(chunk.try_into().unwrap()));
    Some(numbers.collect())
}

/// For every zone: the offsets at its instants, then the local times at one in [`SPARSE`] of them
/// as in [`stamp`].
const ORACLE: &str = "
import array, os, sys, time
times = array.array('q', sys.stdin.buffer.read())
count = len(times) // (len(sys.argv) - 1)
localtime = time.localtime
def stamp(t):
    y, m, d, h, i, s, _, _, _ = localtime(t)
    return ((((y * 100 + m) * 100 + d) * 100 + h) * 100 + i) * 100 + s
for index, os.environ['TZ'] in enumerate(sys.argv[1:]):
    time.tzset()
    own = times[index * count:(index + 1) * count]
    sys.stdout.buffer.write(array.array('q', [localtime(t).tm_gmtoff for t in own]))
    sys.stdout.buffer.write(array.array('q', [stamp(t) for t in own[::16]]))
";
const SPARSE: usize = 16;

#[test]
fn a_million_random_instants_agree_with_glibc() {
    let mut random = Random::new();
    let zones = zones();
    let each = 1_000_000 / zones.len() + 1;
    let end = instant(2100, 1, 1, 0);
    let times: Vec<i64> = (0..each * zones.len()).map(|_| random.within(0..end)).collect();
    let Some(found) = python(ORACLE, &zones, &times) else {
        return;
    };
    let mut found = found.into_iter();
    for ((name, zone), times) in zones.iter().zip(times.chunks(each)) {
        for &t in times {
            assert_eq!(Some(i64::from(zone.offset_at(t))), found.next(), "{name} at {t}");
        }
        for &t in times.iter().step_by(SPARSE) {
            assert_eq!(Some(stamp(zone.civil(t))), found.next(), "{name} at {t}");
        }
    }
    assert_eq!(found.next(), None);
}

/// For every zone: number of transitions from 2000 to 2040, then each, its offset before and from
/// then on. Looks at every day and bisects those on which the offset changes.
const TRANSITIONS: &str = "
import array, os, sys, time
sys.stdin.buffer.read()
offset = lambda t: time.localtime(t).tm_gmtoff
for os.environ['TZ'] in sys.argv[1:]:
    time.tzset()
    found = array.array('q')
    after = offset(946684800)
    for low in range(946684800, 2208988800, 86400):
        high = low + 86400
        before, after = after, offset(high)
        if before != after:
            while high - low > 1:
                middle = (low + high) // 2
                if offset(middle) == before: low = middle
                else: high = middle
            found.extend((high, before, after))
    sys.stdout.buffer.write(array.array('q', [len(found) // 3]) + found)
";

#[test]
fn both_sides_of_every_transition_agree_with_glibc() {
    let zones = zones();
    let Some(found) = python(TRANSITIONS, &zones, &[]) else {
        return;
    };
    let mut found = found.into_iter();
    let mut total = 0;
    for (name, zone) in &zones {
        let mut t = instant(2000, 1, 1, 0);
        for _ in 0..found.next().unwrap() {
            let [at, before, after] = [(); 3].map(|()| found.next().unwrap());
            assert_eq!(zone.next_transition(t), Some(at), "{name} after {t}");
            assert_eq!(i64::from(zone.offset_at(at - 1)), before, "{name} before {at}");
            assert_eq!(i64::from(zone.offset_at(at)), after, "{name} at {at}");
            t = at;
            total += 1;
        }
        let end = instant(2040, 1, 1, 0);
        assert!(zone.next_transition(t).is_none_or(|next| next > end), "{name} after {t}");
    }
    assert_eq!(found.next(), None);
    assert!(total > 1000, "{total}");
}

#[test]
fn every_installed_zone_is_accepted() {
    let mut folders = vec![Path::new(ZONEINFO).to_path_buf()];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            return unavailable(&format!("{} cannot be listed", folder.display()));
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            if bytes.starts_with(b"TZif") {
                let leaps = path.starts_with(Path::new(ZONEINFO).join("right"));
                let error = Zone::from_tzif(&bytes).err();
                assert_eq!(error, leaps.then_some(LeapSeconds), "{}", path.display());
                read += 1;
            }
        }
    }
    eprintln!("{read} zone files read");
}

/// TZ as a file's name, as a path, as a TZ string, empty, wrong; unset, with each of the two system files.
#[test]
fn the_local_zone_is_found_as_tzset_finds_it() {
    let tzif = std::fs::read("/usr/share/zoneinfo/Asia/Tokyo");
    let Ok(tzif) = tzif else {
        assert!(std::env::var_os("CI").is_none(), "/usr/share/zoneinfo is missing");
        return eprintln!("SKIPPED: /usr/share/zoneinfo is missing");
    };
    let offset = |variable: Option<&str>, files: &[(&str, &[u8])]| {
        let read =
            |path: &[u8]| files.iter().find(|(name, _)| name.as_bytes() == path).map(|(_, bytes)| bytes.to_vec());
        Zone::local(variable.map(str::as_bytes), read).offset_at(0)
    };
    let tokyo: &[(&str, &[u8])] = &[("/usr/share/zoneinfo/Asia/Tokyo", &tzif), ("/etc/localtime", &tzif)];
    assert_eq!(offset(Some("Asia/Tokyo"), tokyo), 9 * 3600);
    assert_eq!(offset(Some(":Asia/Tokyo"), tokyo), 9 * 3600);
    assert_eq!(offset(Some("/etc/localtime"), tokyo), 9 * 3600);
    assert_eq!(offset(Some("EST5"), tokyo), -5 * 3600);
    assert_eq!(offset(Some(""), tokyo), 0);
    assert_eq!(offset(Some("Nowhere/At_all"), tokyo), 0);
    assert_eq!(offset(None, tokyo), 9 * 3600);
    assert_eq!(offset(None, &[("/etc/TZ", b"CET-1\n")]), 3600);
    assert_eq!(offset(None, &[("/etc/localtime", b"TZif"), ("/etc/TZ", b"CET-1\n")]), 3600);
    assert_eq!(offset(None, &[]), 0);
}
