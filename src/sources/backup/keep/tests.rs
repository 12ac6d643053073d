use super::*;
use crate::parts::zone::civil_from_days;

const DAY: i64 = 86_400;

fn stamp(text: &str) -> Stamp {
    Stamp::parse(text.as_bytes()).unwrap()
}

fn stamps(texts: &[&str]) -> Vec<Stamp> {
    texts.iter().map(|text| stamp(text)).collect()
}

#[test]
fn only_dated_names_are_backups() {
    let of = |file: &str| Stamp::of_file(file.as_bytes(), b"srv");
    assert_eq!(of("srv-20260102-030405.tar"), Some(Stamp(Date::parse("2026-01-02").unwrap().shown() + 11_045)));
    assert_eq!(of("srv-20260102-030405.tar").unwrap().date(), Date::parse("2026-01-02").unwrap());
    for file in [
        "srv.tar",
        "srv-.tar",
        "srv-20260102-030405",
        "srv-20260102-030405.tar.gz",
        "srv20260102-030405.tar",
        "srv-x-20260102-030405.tar",
        "srv-20260102-0304.tar",
        "srv-2026012-030405.tar",
        "srv-202601022-030405.tar",
        "srv-20260102-0304055.tar",
        "srv-20260230-030405.tar",
        "srv-20260102-240000.tar",
        "srv-20260102-006000.tar",
        "srv-20260102-000060.tar",
        "srv-+0260102-030405.tar",
        "other-20260102-030405.tar",
    ] {
        assert_eq!(of(file), None, "{file}");
    }
}

#[test]
fn the_newest_stay() {
    let backups = stamps(&["20260103-000000", "20260101-000000", "20260104-000000", "20260102-000000"]);
    let keep = Keep { newest: Some(2), ..Keep::default() };
    assert_eq!(keep.superfluous(&backups, backups[2]), [3, 1]);
    assert_eq!(Keep::default().superfluous(&backups, backups[2]), []);
    assert!(keep.is_dated() && !Keep::default().is_dated());
}

#[test]
fn the_newest_of_weeks_and_months_stay() {
    let backups = stamps(&[
        "20241230-010000", // A Monday, of the first week of 2025
        "20250105-010000", // its Sunday
        "20250106-010000",
        "20250112-010000",
        "20250112-020000",
        "20250131-010000", // weeks later
        "20250201-010000",
    ]);
    let keep = |weekly, monthly| Keep { newest: None, weekly, monthly }.superfluous(&backups, backups[6]);
    assert_eq!(keep(Some(2), None), [5, 3, 2, 1, 0]);
    assert_eq!(keep(Some(3), None), [5, 3, 2, 0]);
    assert_eq!(keep(None, Some(2)), [4, 3, 2, 1, 0]);
    assert_eq!(keep(None, Some(3)), [4, 3, 2, 1]);
    assert_eq!(keep(Some(3), Some(3)), [3, 2]);
}

#[test]
fn a_wrong_clock_costs_no_backup() {
    let keep = Keep { newest: Some(1), weekly: Some(1), monthly: None };
    // Made by a clock that was ahead: they stay, and those of the right one count.
    let backups = stamps(&["21060207-000000", "20260101-000000", "20260102-000000", "20260103-000000"]);
    assert_eq!(keep.superfluous(&backups, backups[3]), [2, 1]);
    assert_eq!(Keep { newest: Some(2), ..keep }.superfluous(&backups, backups[3]), [1]);
    // Made by one that was behind: no other goes for it, and it goes first.
    let backups = stamps(&["19700101-000000", "20260101-000000"]);
    assert_eq!(keep.superfluous(&backups, backups[0]), []);
    assert_eq!(keep.superfluous(&backups, backups[1]), [0]);
    // Clocks set back by an hour: what was just made stays.
    let backups = stamps(&["20260102-020000", "20260102-023000"]);
    assert_eq!(keep.superfluous(&backups, backups[0]), []);
    let backups = stamps(&["20260104-000000", "20260102-000000"]);
    assert_eq!(keep.superfluous(&backups[..1], backups[1]), []);
    assert_eq!(keep.superfluous(&stamps(&["20260104-000000", "20260102-000000", "20260101-000000"]), backups[1]), [2]);
    assert_eq!(keep.superfluous(&stamps(&["20260104-000001", "20260102-000000", "20260101-000000"]), backups[1]), [2]);
}

/// Which of these stay, told the long way: a backup stays if fewer than so many newer ones, weeks or months have one.
fn naive(keep: Keep, backups: &[Stamp], made: Stamp) -> Vec<usize> {
    let counted: Vec<Stamp> = backups.iter().copied().filter(|stamp| stamp.0 <= made.0 + 2 * DAY).collect();
    // Weeks by their Mondays, found by going back day by day from the date; 2001-01-01 was one.
    let monday = |stamp: Stamp| {
        let monday = |day: i64| (day - Date::parse("2001-01-01").unwrap().shown() / DAY) % 7 == 0;
        (0..7).map(|back| stamp.0.div_euclid(DAY) - back).find(|day| monday(*day)).unwrap()
    };
    let month = |stamp: Stamp| {
        let (year, month, _) = civil_from_days(stamp.0.div_euclid(DAY));
        year * 12 + i64::from(month)
    };
    let stays = |stamp: Stamp| {
        let among = |most: Option<usize>, span: &dyn Fn(Stamp) -> i64| {
            let newer = counted.iter().filter(|other| **other > stamp);
            let spans: std::collections::BTreeSet<i64> = newer.map(|other| span(*other)).collect();
            !spans.contains(&span(stamp)) && most.is_some_and(|most| spans.len() < most)
        };
        let newest = among(keep.newest, &|stamp: Stamp| stamp.0);
        !counted.contains(&stamp)
            || stamp == made
            || newest
            || among(keep.weekly, &monday)
            || among(keep.monthly, &month)
    };
    (0..backups.len()).filter(|at| keep.is_dated() && !stays(backups[*at])).collect()
}

#[test]
fn retention_is_that_of_a_naive_model() {
    let mut random = fastrand::Rng::with_seed(7);
    let (mut gone, mut stayed) = (0, 0);
    for _ in 0..1_500 {
        // Some close together, some far apart; no two at once.
        let span = random.i64(10..800) * DAY;
        let begin = Date::parse("2024-12-01").unwrap().shown();
        let made: std::collections::BTreeSet<i64> =
            (0..random.usize(1..60)).map(|_| begin + random.i64(0..span)).collect();
        let mut backups: Vec<Stamp> = made.into_iter().map(Stamp).collect();
        random.shuffle(&mut backups);
        let mut count = || random.bool().then(|| random.usize(1..9));
        let keep = Keep { newest: count(), weekly: count(), monthly: count() };
        let newest = random.bool().then(|| *backups.iter().max().unwrap());
        let made = newest.unwrap_or_else(|| random.choice(backups.iter().copied()).unwrap());
        let mut found = keep.superfluous(&backups, made);
        found.sort_unstable();
        assert_eq!(found, naive(keep, &backups, made), "{keep:?} {backups:?} {made:?}");
        assert!(found.iter().all(|at| backups[*at] != made));
        gone += found.len();
        stayed += backups.len() - found.len();
    }
    assert!(gone > 5_000 && stayed > 5_000, "{gone} {stayed}");
}
