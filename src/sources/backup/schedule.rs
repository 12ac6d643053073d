//! Lines of the schedules file: `path;hh:mm;name[;key=value…]`.
//!
//! People edit it by hand, so a line stays as it was written, and a bad one keeps no other from being read.

use super::keep::{INCOMPLETE, Keep, Stamp};
use crate::engine::due::{Days, Key, Plan, Time};
use crate::jobs::archive::USUAL_LEVEL;
use crate::parts::duration::{self, Millis};
use crate::parts::glob::Glob;
use crate::parts::text::{Escaped, nearest};

const FORM: &str = "a schedule is path;hh:mm;name[;key=value...]";
/// What may stand several times.
const EXCLUDE: &str = "exclude";
const KEYS: [&str; 8] = ["keep", "keep-weekly", "keep-monthly", EXCLUDE, "days", "level", "one-file-system", "catchup"];
/// `-YYYYmmdd-HHMMSS`
const DATE_LENGTH: usize = 16;

/// A schedule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// As it was written.
    pub line: Vec<u8>,
    /// What is backed up under which name, and when.
    pub plan: Plan,
    /// Which backups are kept.
    pub keep: Keep,
    /// What is left out.
    pub excludes: Vec<Glob>,
    /// Gzip's, 1 to 9.
    pub level: u32,
    /// What is mounted in the tree is left out.
    pub one_file_system: bool,
}

impl Schedule {
    /// Reads a line without its newline; the error says what is wrong with it.
    pub fn parse(line: &[u8]) -> Result<Schedule, String> {
        if line.iter().any(|byte| matches!(byte, b'\n' | 0)) {
            return Err("a schedule is one line of text".to_owned());
        }
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b';').collect();
        let [path, time, name, options @ ..] = &fields[..] else {
            return Err(format!("{} of the three fields that are needed: {FORM}", fields.len()));
        };
        if let Some(at) = fields.iter().position(|field| field.is_empty()) {
            return Err(format!("field {} is empty: {FORM}", at + 1));
        }
        let (path, time, name) = (path.to_vec(), time_of(time)?, name_of(name)?);
        let plan = Plan { key: Key { path, time, name }, days: Days::ALL, catchup: Millis(0) };
        let (line, keep) = (line.to_vec(), Keep::default());
        let mut schedule =
            Schedule { line, plan, keep, excludes: Vec::new(), level: USUAL_LEVEL, one_file_system: false };
        let mut known = Vec::new();
        for field in options {
            let key = schedule.set(field)?;
            if key != EXCLUDE && known.contains(&key) {
                return Err(format!("{key} stands twice"));
            }
            known.push(key);
        }
        Ok(schedule)
    }

    /// Takes in a `key=value`, and says which key that was.
    fn set(&mut self, field: &[u8]) -> Result<&'static str, String> {
        let at = field.iter().position(|byte| *byte == b'=').ok_or_else(|| no_option(field))?;
        let (key, value) = (field.get(..at).unwrap_or_default(), field.get(at + 1..).unwrap_or_default());
        let key = KEYS.into_iter().find(|known| known.as_bytes() == key).ok_or_else(|| unknown(key))?;
        // No value that is not UTF-8 is any of these.
        let text = std::str::from_utf8(value).unwrap_or_default();
        let wrong = |expected: &str| format!("{}: expected {expected}", Escaped(field));
        let count = || {
            let number = text.parse().ok().filter(|number| *number > 0 && !text.starts_with('+'));
            number.map(Some).ok_or_else(|| wrong("a number from 1"))
        };
        match key {
            "keep" => self.keep.newest = count()?,
            "keep-weekly" => self.keep.weekly = count()?,
            "keep-monthly" => self.keep.monthly = count()?,
            "days" => {
                let expected = "some of mon,tue,wed,thu,fri,sat,sun, with commas between them";
                self.plan.days = Days::parse(text).ok_or_else(|| wrong(expected))?;
            }
            "level" => match value {
                [digit @ b'1'..=b'9'] => self.level = u32::from(digit - b'0'),
                _ => return Err(wrong("a number from 1, fast, to 9, small")),
            },
            "one-file-system" => match text {
                "yes" => self.one_file_system = true,
                "no" => self.one_file_system = false,
                _ => return Err(wrong("yes or no")),
            },
            "catchup" => {
                let expected = "a duration: a whole number with ms, s, m, h or d";
                self.plan.catchup = duration::parse(text).ok_or_else(|| wrong(expected))?;
            }
            _ if value.is_empty() => return Err(wrong("a pattern")),
            _ => {
                let glob = Glob::new(value).map_err(|reason| format!("{}: {reason}", Escaped(field)))?;
                self.excludes.push(glob);
            }
        }
        Ok(key)
    }
}

fn time_of(field: &[u8]) -> Result<Time, String> {
    let time = std::str::from_utf8(field).ok().and_then(Time::parse);
    time.ok_or_else(|| format!("{} is no time hh:mm, from 00:00 to 23:59", Escaped(field)))
}

fn name_of(field: &[u8]) -> Result<Vec<u8>, String> {
    let ends_in_date = field.len().checked_sub(DATE_LENGTH).and_then(|at| field.get(at..)?.strip_prefix(b"-"));
    let wrong = if field.contains(&b'/') {
        "has a / in it, but is the name of a file"
    } else if field.starts_with(b".") {
        "begins with a dot: it would be hidden"
    } else if field.iter().any(u8::is_ascii_control) {
        "has a control character in it"
    } else if field.ends_with(INCOMPLETE) {
        "ends in .incomplete: it would be taken for what there is of another schedule's backup"
    } else if ends_in_date.and_then(Stamp::parse).is_some() {
        "ends in a date: it would be taken for an older backup of another schedule"
    } else {
        return Ok(field.to_vec());
    };
    Err(format!("the name {} {wrong}", Escaped(field)))
}

fn no_option(field: &[u8]) -> String {
    format!("{} is no key=value: {FORM}", Escaped(field))
}

fn unknown(key: &[u8]) -> String {
    let meant = std::str::from_utf8(key).ok().and_then(|key| nearest(key, KEYS));
    let hint = meant.map_or_else(|| format!("the keys are {}", KEYS.join(", ")), |key| format!("did you mean {key}?"));
    format!("{} is no key: {hint}", Escaped(key))
}

/// What a schedules file has in it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Listing {
    /// Schedules with their indices: those of their lines, from 0.
    pub good: Vec<(usize, Schedule)>,
    /// What is wrong with the other lines, and their indices. An empty line is neither.
    pub bad: Vec<(usize, String)>,
}

impl Listing {
    /// Reads a file. Of lines with the same name the first counts.
    pub fn read(file: &[u8]) -> Listing {
        let mut listing = Listing::default();
        let lines = file.split(|byte| *byte == b'\n').enumerate();
        for (index, line) in lines.filter(|(_, line)| !line.is_empty()) {
            match Schedule::parse(line).and_then(|schedule| listing.with_new_name(schedule)) {
                Ok(schedule) => listing.good.push((index, schedule)),
                Err(reason) => listing.bad.push((index, reason)),
            }
        }
        listing
    }

    /// This schedule, unless another has its name already.
    pub fn with_new_name(&self, schedule: Schedule) -> Result<Schedule, String> {
        let name = &schedule.plan.key.name;
        match self.good.iter().find(|(_, other)| other.plan.key.name == *name) {
            Some((index, _)) => Err(format!("the name {} is used already, by schedule {index}", Escaped(name))),
            None => Ok(schedule),
        }
    }
}

#[cfg(test)]
mod tests;
