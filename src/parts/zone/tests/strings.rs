//! TZ strings.

use super::*;

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
        assert_eq!(Zone::from_posix(text.as_bytes()), Err(expected), "{text:?}");
    }
    let valid = "CET-1CEST,M3.5.0,M10.5.0/3";
    for end in (0..valid.len()).filter(|&end| ![5, 24].contains(&end)) {
        assert!(Zone::from_posix(&valid.as_bytes()[..end]).is_err(), "{end} bytes of {valid}");
    }
}
