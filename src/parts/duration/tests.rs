//! What is a duration and what is not.

use super::*;

#[test]
fn durations_are_read_and_printed() {
    for (text, millis, printed) in [
        ("0", 0, "0s"),
        ("60", 60_000, "1m"),
        ("500ms", 500, "500ms"),
        ("10s", 10_000, "10s"),
        ("90", 90_000, "90s"),
        ("5m", 300_000, "5m"),
        ("2h", 7_200_000, "2h"),
        ("1d", 86_400_000, "1d"),
        ("1500ms", 1_500, "1500ms"),
    ] {
        assert_eq!(parse(text), Some(Millis(millis)), "{text}");
        assert_eq!(Millis(millis).to_string(), printed);
    }
}

#[test]
fn what_is_no_duration_is_refused() {
    for text in [
        "",
        "s",
        "-1",
        "+1",
        "1.5s",
        "1 s",
        "10S",
        "1w",
        "5min",
        "1h30m",
        "99999999999999999999",
        "9999999999d",
        "\u{b2}s",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
}

#[test]
fn what_is_due_is_never_early_and_now_is_not_late() {
    assert_eq!([0, 1, u64::MAX].map(|wait| Millis(wait).after(Tick(5))), [Tick(5), Tick(7), Tick(u64::MAX)]);
    assert_eq!([0, 1, 1_000, 1_001].map(|wait| Millis(wait).whole_seconds().0), [0, 1_000, 1_000, 2_000]);
}
