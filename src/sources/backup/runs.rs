//! What is remembered of runs, as text: when was looked last, and a line for each run: its date, whether it has come to its
//! end, and its schedule.
//!
//! A line that cannot be read is forgotten: at the worst a date has a second run.

use crate::engine::due::{Date, Key, Record, Time};

const DONE: &[u8] = b"done";
const BEGUN: &[u8] = b"begun";
const LAST: &[u8] = b"last";

/// Runs, and when was looked last (Unix time in seconds), if ever.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Runs {
    /// See above.
    pub last: Option<i64>,
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
                (Some(LAST), Some(instant), None) => runs.last = word(instant).and_then(|text| text.parse().ok()),
                (Some(date), Some(state), Some(schedule)) => runs.records.extend(record(date, state, schedule)),
                _ => {}
            }
        }
        runs
    }

    /// The text of it.
    pub fn text(&self) -> Vec<u8> {
        let mut text = self.last.map(|last| format!("last {last}\n").into_bytes()).unwrap_or_default();
        for Record { key: Key { path, time, name }, date, finished } in &self.records {
            let state = if *finished { DONE } else { BEGUN };
            text.extend_from_slice(format!("{date} ").as_bytes());
            text.extend([state, b" ", path, format!(";{time};").as_bytes(), name, b"\n"].concat());
        }
        text
    }
}

fn record(date: &[u8], state: &[u8], schedule: &[u8]) -> Option<Record> {
    let mut fields = schedule.split(|byte| *byte == b';');
    let (path, time, name) = (fields.next()?.to_vec(), Time::parse(word(fields.next()?)?)?, fields.next()?.to_vec());
    let finished = match state {
        DONE => true,
        BEGUN => false,
        _ => return None,
    };
    Some(Record { key: Key { path, time, name }, date: Date::parse(word(date)?)?, finished })
}

fn word(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
