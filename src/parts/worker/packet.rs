//! What a worker and whoever started it say to each other, as packets of bytes.
//!
//! A header (kind, length, task number) and a body. Both ends are the same program on the same machine, so numbers stand
//! as the machine has them. Whatever does not decode is refused whole.

use crate::parts::duration::Millis;
use crate::parts::log::{LEVELS, Level};
use crate::sys::Errno;
use std::fmt;

/// The length of the longest packet, header included.
pub const MOST_BYTES: usize = 64 * 1024;

/// How many characters wide a whole is shown.
const BAR: usize = 40;

/// Kind, three zero bytes, length of the whole, task number.
const HEADER: usize = 16;

/// How far a job has come, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// So many are done.
    pub done: u64,
    /// Of so many, as far as that is known; else 0.
    pub total: u64,
}

impl Progress {
    /// For people who look on.
    pub(crate) fn bar(self) -> String {
        let percent = u128::from(self.done.min(self.total)) * 100 / u128::from(self.total.max(1));
        let marks = usize::try_from(percent).unwrap_or_default() * BAR / 100;
        match self.total {
            0 => self.to_string(),
            _ => format!("[{:<BAR$}] {percent:>3} %", "#".repeat(marks)),
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.total {
            0 => write!(f, "{} bytes", self.done),
            total => write!(f, "{} of {total} bytes", self.done),
        }
    }
}

/// One thing that is said about a task. Texts are one line without control characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// To the worker: do this.
    Job {
        /// What kind of work it is.
        kind: &'a str,
        /// Its values, in that kind's byte form.
        value: &'a [u8],
    },
    /// From the worker: for the log.
    Log(Level, &'a str),
    /// From the worker: so far it has come.
    Progress(Progress),
    /// From the worker: once this job is done, the same is to be done again after so many milliseconds.
    Again(Millis),
    /// From the worker: the same at that wall time (Unix time in seconds), and whenever the clock is set.
    At(i64),
    /// From the worker: it is done, without a result.
    Done,
    /// From the worker: it is done, and this is the path of what it made.
    Made(&'a [u8]),
    /// From the worker: it has failed, and why.
    Failed(&'a str),
}

impl Message<'_> {
    /// The packet. EMSGSIZE where it would be too long.
    pub fn encode(&self, task: u64) -> Result<Vec<u8>, Errno> {
        let (kind, body) = match self {
            Message::Job { kind, value } => (1, [kind.as_bytes(), b"\0", value].concat()),
            Message::Log(level, text) => (2, [&[priority(*level)], text.as_bytes()].concat()),
            Message::Progress(Progress { done, total }) => (3, [done.to_ne_bytes(), total.to_ne_bytes()].concat()),
            Message::Done => (4, Vec::new()),
            Message::Made(path) => (5, path.to_vec()),
            Message::Failed(text) => (6, text.as_bytes().to_vec()),
            Message::Again(after) => (7, after.0.to_ne_bytes().to_vec()),
            Message::At(instant) => (8, instant.to_ne_bytes().to_vec()),
        };
        let length = HEADER + body.len();
        let fits = u32::try_from(length).ok().filter(|_| length <= MOST_BYTES).ok_or(Errno::EMSGSIZE)?;
        Ok([&[kind, 0, 0, 0], &fits.to_ne_bytes()[..], &task.to_ne_bytes(), &body].concat())
    }
}

/// The task number and the message of a packet; `None` for what is none.
pub fn decode(packet: &[u8]) -> Option<(u64, Message<'_>)> {
    let ([kind, 0, 0, 0], rest) = packet.split_first_chunk::<4>()? else { return None };
    let (length, rest) = rest.split_first_chunk()?;
    let (task, body) = rest.split_first_chunk()?;
    if usize::try_from(u32::from_ne_bytes(*length)) != Ok(packet.len()) || packet.len() > MOST_BYTES {
        return None;
    }
    let message = match kind {
        1 => {
            let end = body.iter().position(|byte| *byte == 0)?;
            let (kind, value) = (body.get(..end)?, body.get(end + 1..)?);
            Message::Job { kind: line(kind)?, value }
        }
        2 => {
            let (first, text) = body.split_first()?;
            let (level, ..) = LEVELS.iter().find(|(.., priority)| priority == first)?;
            Message::Log(*level, line(text)?)
        }
        3 => {
            let (done, total) = body.split_first_chunk()?;
            let (done, total) = (u64::from_ne_bytes(*done), u64::from_ne_bytes(total.try_into().ok()?));
            Message::Progress(Progress { done, total })
        }
        4 if body.is_empty() => Message::Done,
        5 => Message::Made(body),
        6 => Message::Failed(line(body)?),
        7 => Message::Again(Millis(u64::from_ne_bytes(body.try_into().ok()?))),
        8 => Message::At(i64::from_ne_bytes(body.try_into().ok()?)),
        _ => return None,
    };
    Some((u64::from_ne_bytes(*task), message))
}

fn priority(level: Level) -> u8 {
    LEVELS.iter().find(|(known, ..)| *known == level).map_or(0, |(.., priority)| *priority)
}

fn line(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests;
