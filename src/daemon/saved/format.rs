//! The file of saved tasks, as text: pure.
//!
//!  A first line with the version, a line with the time, a line for each task, a checksum, and `end`. Fields
//! are separated by tabs, and paths escaped, so that they hold none. What is not whole to the last byte is set aside, for
//! half a file could be half a path.

use crate::engine::watch::events;
use crate::parts::duration::Millis;
use crate::parts::fnv;
use crate::parts::text::{Escaped, unescaped};
use crate::sys::fs::{Kind, Stat};
use crate::sys::inotify::Mask;
use std::fmt::Write;

/// The file in the state directory.
pub const PENDING: &[u8] = b"pending";
/// What is added to its name if it cannot be understood, and kept.
pub const BROKEN: &[u8] = b".broken";

const VERSION: &str = "dogwatch-pending 1";
const DIRECTORY: &str = "|IN_ISDIR";

/// A task in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its scheduler's name.
    pub scheduler: String,
    /// The event, with IN_ISDIR for a directory.
    pub mask: Mask,
    /// The path.
    pub path: Vec<u8>,
    /// The path before a rename.
    pub source: Option<Vec<u8>>,
    /// How long it still had to wait.
    pub wait: Millis,
    /// What was at the path.
    pub file: Was,
}

/// What was found at a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Was {
    /// Nothing.
    Nothing,
    /// This file.
    This(Identity),
    /// It could not be looked at when it was saved.
    Unknown,
}

/// What makes a file the same. Device numbers may change when the machine starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    ino: u64,
    /// Of a directory neither of these counts: they change with what is in it.
    size: u64,
    mtime: (i64, u32),
}

impl Identity {
    /// Of what is on disk.
    pub fn of(found: &Stat) -> Identity {
        let counts = found.kind != Kind::Directory;
        let (size, mtime) = if counts { (found.size, found.mtime) } else { (0, (0, 0)) };
        Identity { ino: found.ino, size, mtime }
    }
}

/// The text of these tasks, at this wall time (seconds since 1970).
pub fn encode(entries: impl Iterator<Item = Entry>, now: i64) -> Vec<u8> {
    let mut text = format!("{VERSION}\nat {now}\n");
    for Entry { scheduler, mask, path, source, wait, file } in entries {
        let (event, dir) = (events::first_name(mask), if mask.any(Mask::ISDIR) { DIRECTORY } else { "" });
        let file = match file {
            Was::This(Identity { ino, size, mtime: (seconds, nanoseconds) }) => {
                format!("{ino} {size} {seconds} {nanoseconds}")
            }
            Was::Nothing => "-".to_owned(),
            Was::Unknown => "?".to_owned(),
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "{}\t{scheduler}\t{event}{dir}\t{file}\t{}", wait.0, Escaped(&path));
        let _ = source.map(|source| write!(text, "\t{}", Escaped(&source)));
        text.push('\n');
    }
    let sum = fnv::with(fnv::EMPTY, text.as_bytes());
    let _ = write!(text, "sum {sum:016x}\nend\n");
    text.into_bytes()
}

/// A file that is whole.
pub struct Pending {
    text: Vec<u8>,
    /// When it was written.
    pub at: i64,
    /// Where the first task begins, and the last one ends.
    tasks: std::ops::Range<usize>,
}

impl Pending {
    /// Looks a text over; the error is what is wrong with it.
    pub fn check(text: Vec<u8>) -> Result<Pending, &'static str> {
        let Some(body) = text.strip_suffix(b"\nend\n") else { return Err("its end is missing") };
        let sum_at = body.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (told, sum) = (body.get(sum_at..), fnv::with(fnv::EMPTY, body.get(..sum_at).unwrap_or_default()));
        if told != Some(format!("sum {sum:016x}").as_bytes()) {
            return Err("it has been changed");
        }
        let mut lines = body.splitn(3, |byte| *byte == b'\n');
        if lines.next() != Some(VERSION.as_bytes()) {
            return Err("it is of another version");
        }
        let at_line = lines.next().unwrap_or_default();
        let at = number(at_line.strip_prefix(b"at ").unwrap_or_default()).ok_or("its time is missing")?;
        let tasks = VERSION.len() + at_line.len() + 2..sum_at;
        let pending = Pending { text, at, tasks };
        if pending.lines().any(|line| entry(line).is_none()) {
            return Err("a line is no task");
        }
        Ok(pending)
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let tasks = self.text.get(self.tasks.clone()).unwrap_or_default();
        tasks.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
    }

    /// The tasks.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.lines().filter_map(entry)
    }
}

fn entry(line: &[u8]) -> Option<Entry> {
    let mut fields = line.split(|byte| *byte == b'\t');
    let wait = Millis(number(fields.next()?)?);
    let scheduler = String::from_utf8(fields.next()?.to_vec()).ok()?;
    let event = std::str::from_utf8(fields.next()?).ok()?;
    let (name, is_dir) = event.strip_suffix(DIRECTORY).map_or((event, false), |name| (name, true));
    let mask = events::by_name(name)?;
    let mask = if is_dir { mask.with(Mask::ISDIR) } else { mask };
    let file = match fields.next()? {
        b"-" => Was::Nothing,
        b"?" => Was::Unknown,
        words => Was::This(identity(words)?),
    };
    let path = unescaped(fields.next()?).filter(|path| path.starts_with(b"/"))?;
    let source = match fields.next() {
        None => None,
        Some(source) => Some(unescaped(source)?),
    };
    fields.next().is_none().then_some(Entry { scheduler, mask, path, source, wait, file })
}

fn identity(words: &[u8]) -> Option<Identity> {
    let words: Vec<&[u8]> = words.split(|byte| *byte == b' ').collect();
    let [ino, size, seconds, nanoseconds] = words[..] else { return None };
    Some(Identity { ino: number(ino)?, size: number(size)?, mtime: (number(seconds)?, number(nanoseconds)?) })
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
