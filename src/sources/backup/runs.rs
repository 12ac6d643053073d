//! What is remembered of runs, as text: when was looked last, and which schedules there were; when backups were made last; and a
//! line for each run: its date, whether it has come to its end, and its schedule.
//!
//! A line that cannot be read is forgotten: at the worst a date has a second run.

use crate::engine::due::{Date, Key, Record, Time};

const DONE: &[u8] = b"done";
const BEGUN: &[u8] = b"begun";
const LAST: &[u8] = b"last";
const KNOWN: &[u8] = b"known";
const BUSY: &[u8] = b"busy";

/// Runs, and what was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Runs {
    /// When was looked last and all that was due had begun (Unix time in seconds), if ever.
    pub last: Option<i64>,
    /// The schedules of then. Another one is new: it has missed nothing.
    pub known: Vec<Key>,
    /// From when to when backups were made last, one after the other (Unix times in seconds).
    pub busy: Option<(i64, i64)>,
    /// In the order in which they began.
    pub records: Vec<Record>,
}

impl Runs {
    /// Reads it.
    pub fn read(text: &[u8]) -> Runs {
        let mut runs = Runs::default();
        for line in text.split(|byte| *byte == b'\n') {
            let mut words = line.splitn(3, |byte| *byte == b' ');
            match (words.next(), words.next(), words.next()) {
                (Some(LAST), Some(instant), None) => runs.last = number(instant),
                (Some(BUSY), Some(from), Some(until)) => runs.busy = number(from).zip(number(until)),
                (Some(KNOWN), Some(_), Some(schedule)) => runs.known.extend(key(schedule)),
                (Some(date), Some(state), Some(schedule)) => runs.records.extend(record(date, state, schedule)),
                _ => {}
            }
        }
        runs
    }

    /// The text of it.
    pub fn text(&self) -> Vec<u8> {
        let mut text = self.last.map(|last| format!("last {last}\n")).unwrap_or_default().into_bytes();
        text.extend(self.busy.iter().flat_map(|(from, until)| format!("busy {from} {until}\n").into_bytes()));
        let mut add = |first: &[u8], second: &[u8], Key { path, time, name }: &Key| {
            text.extend([first, b" ", second, b" ", path, format!(";{time};").as_bytes(), name, b"\n"].concat());
        };
        self.known.iter().for_each(|key| add(KNOWN, b"-", key));
        for Record { key, date, finished } in &self.records {
            add(date.to_string().as_bytes(), if *finished { DONE } else { BEGUN }, key);
        }
        text
    }
}

fn record(date: &[u8], state: &[u8], schedule: &[u8]) -> Option<Record> {
    let finished = match state {
        DONE => true,
        BEGUN => false,
        _ => return None,
    };
    Some(Record { key: key(schedule)?, date: Date::parse(word(date)?)?, finished })
}

fn key(schedule: &[u8]) -> Option<Key> {
    let fields: Vec<&[u8]> = schedule.split(|byte| *byte == b';').collect();
    let [path, time, name] = fields[..] else { return None };
    Some(Key { path: path.to_vec(), time: Time::parse(word(time)?)?, name: name.to_vec() })
}

fn number(bytes: &[u8]) -> Option<i64> {
    word(bytes)?.parse().ok()
}

fn word(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
