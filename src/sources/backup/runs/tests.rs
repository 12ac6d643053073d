use super::*;
use crate::sys::random;

/// Bytes that a schedule's field may have, those with a meaning here among them.
fn field(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut byte = || match random.u8(..) {
        b'\n' | b';' | 0 => b' ',
        byte => [byte, b' ', b'-', b'k', b'1'][usize::from(byte) % 5],
    };
    (0..usize::from(byte() % 9) + 1).map(|_| byte()).collect()
}

fn a_key(random: &mut fastrand::Rng) -> Key {
    let time = format!("{:02}:{:02}", random.u8(..24), random.u8(..60));
    Key { path: field(random), time: Time::parse(&time).unwrap(), name: field(random) }
}

fn some(random: &mut fastrand::Rng) -> Runs {
    let record = |random: &mut fastrand::Rng| Record {
        key: a_key(random),
        date: Date::of_shown(random.i64(0..250_000_000_000)),
        finished: random.bool(),
    };
    Runs {
        last: random.bool().then(|| random.i64(..)),
        known: (0..random.u8(..4)).map(|_| a_key(random)).collect(),
        busy: random.bool().then(|| (random.i64(..), random.i64(..))),
        records: (0..random.u8(..5)).map(|_| record(random)).collect(),
    }
}

#[test]
fn what_is_written_is_read() {
    let mut random = fastrand::Rng::with_seed(random::seed());
    for _ in 0..5_000 {
        let runs = some(&mut random);
        assert_eq!(Runs::read(&runs.text()), runs, "{}", String::from_utf8_lossy(&runs.text()));
    }
}

/// Whatever is in the file, the lines that are whole count, and the others are forgotten.
#[test]
fn bad_lines_are_forgotten() {
    let bad: [&[u8]; 16] = [
        b"",
        b"last",
        b"last x",
        b"last 1 2",
        b"busy 1",
        b"busy 1 x",
        b"known",
        b"known - a;b",
        b"known - a;24:00;b",
        b"2026-02-30 done a;12:00;b",
        b"2026-01-02 gone a;12:00;b",
        b"2026-01-02 done a;12:00",
        b"2026-01-02 done a;12:00;b;c",
        b"2026-01-02 done",
        b"\xff\xfe\0 done a;12:00;b",
        b"2026-1-2 done a;12:00;b",
    ];
    let mut random = fastrand::Rng::with_seed(random::seed());
    for _ in 0..2_000 {
        let runs = some(&mut random);
        let text = runs.text();
        let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        for _ in 0..random.u8(1..6) {
            // What is read last counts, so that bad ones come before.
            let at = random.usize(..lines.len()).min(usize::from(runs.last.is_none() && runs.busy.is_none()) * 99);
            lines.insert(at, bad[random.usize(..bad.len())]);
        }
        assert_eq!(Runs::read(&lines.join(&b'\n')), runs);
    }
}

/// A line that a power cut has shortened is none, or another number; what is before it stands.
#[test]
fn any_bytes_are_read() {
    let mut random = fastrand::Rng::with_seed(random::seed());
    for _ in 0..2_000 {
        let runs = some(&mut random);
        let mut text = runs.text();
        text.truncate(random.usize(..=text.len()));
        let read = Runs::read(&text);
        assert!(read.records.len() <= runs.records.len());
        let whole = read.records.len().saturating_sub(1);
        assert_eq!(read.records[..whole], runs.records[..whole]);
    }
}
