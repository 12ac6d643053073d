use super::*;

fn berlin() -> Zone {
    Zone::from_posix(b"CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

/// The next lines for these schedules, after so many seconds of that date by UTC.
fn shown_after((year, month, day): (i64, u8, u8), seconds: i64, lines: &str, count: usize) -> String {
    let now = Date::new(year, month, day).unwrap().shown() + seconds;
    next(&Listing::read(lines.as_bytes()), &berlin(), now, count)
}

#[test]
fn it_is_explained_why_clocks_show_another_time() {
    // 02:00 to 03:00 of the 29th is left out.
    assert_eq!(
        shown_after((2026, 3, 28), 0, "a;02:30;n\n", 3),
        "2026-03-28 02:30 +0100  n\n\
         2026-03-29 03:00 +0200  n (the clocks are set forward over 02:30 on 2026-03-29)\n\
         2026-03-30 02:30 +0200  n\n"
    );
    assert_eq!(
        shown_after((2026, 3, 29), 0, "a;01:59;before\nb;03:00;after\n", 2),
        "2026-03-29 01:59 +0100  before\n2026-03-29 03:00 +0200  after\n"
    );
}

#[test]
fn it_is_explained_which_of_two_is_meant() {
    // 02:00 to 03:00 of the 25th comes twice.
    assert_eq!(
        shown_after((2026, 10, 24), 0, "a;02:30;n\n", 3),
        "2026-10-24 02:30 +0200  n\n\
         2026-10-25 02:30 +0200  n (the first of two 02:30: the clocks are set back)\n\
         2026-10-26 02:30 +0100  n\n"
    );
    assert_eq!(
        shown_after((2026, 10, 24), 43_200, "a;01:59;before\nb;03:00;after\n", 2),
        "2026-10-25 01:59 +0200  before\n2026-10-25 03:00 +0100  after\n"
    );
    // Between the passes, or in the second, it is the next date's.
    for minutes in [31, 89, 90, 91] {
        assert_eq!(shown_after((2026, 10, 25), minutes * 60, "a;02:30;n\n", 1), "2026-10-26 02:30 +0100  n\n");
    }
}

#[test]
fn other_days_and_schedules_are_left_out() {
    // The 21st was a Saturday.
    assert_eq!(
        shown_after((2026, 11, 21), 0, "a;02:30;week;days=mon\nb;02:30;other\n\nnone\n", 3),
        "2026-11-21 02:30 +0100  other\n2026-11-22 02:30 +0100  other\n2026-11-23 02:30 +0100  other\n"
    );
    assert!(shown_after((2026, 11, 22), 0, "a;02:30;week;days=mon\n", 1).starts_with("2026-11-23 02:30"));
    assert_eq!(shown_after((2026, 11, 22), 0, "", 10), "");
}
