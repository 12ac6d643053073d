//! Values of single keys: each parser's error says what would be right.

use crate::config::keys::{self, expected};
use crate::parts::diag::Span;
use crate::parts::duration::{self, Millis};
use crate::parts::log::{self, LEVELS, Level};

pub(super) fn a_duration(text: &str) -> Result<Millis, String> {
    duration::parse(text)
        .ok_or_else(|| "a duration is one integer with ms, s, m, h or d; without it, seconds".to_owned())
}

/// Tasks keep the 32 low bits of the tick at which they were scheduled first: 49 days.
pub(super) fn a_wait(text: &str) -> Result<Millis, String> {
    const MOST: Millis = Millis(40 * 86_400_000);
    let wait = a_duration(text)?;
    if wait <= MOST { Ok(wait) } else { Err(format!("it is {MOST} at the most")) }
}

pub(super) fn a_boolean(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("write yes or no".to_owned()),
    }
}

pub(super) fn a_count(text: &str) -> Result<usize, String> {
    let number = text.parse::<u16>().ok().filter(|number| *number > 0);
    number.map(usize::from).ok_or_else(|| "a number from 1 to 65535".to_owned())
}

pub(super) fn a_level_of_compression(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|level| (1..=9).contains(level))
        .ok_or_else(|| "a number from 1 (fast) to 9 (small)".to_owned())
}

/// One of some words.
pub(super) fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| expected(text, &known))
}

/// The number of a section of this kind, by its name; the place of a name is its section's number.
pub(super) fn a_number_of<N: TryFrom<usize>>(kind: &str, name: &str, names: &[&str]) -> Result<N, String> {
    let number = names.iter().position(|known| *known == name).and_then(|at| N::try_from(at).ok());
    number.ok_or_else(|| format!("there is no [{kind} {name}]; {}", expected(name, names)))
}

pub(super) fn a_level(text: &str) -> Result<Level, String> {
    log::level(text).ok_or_else(|| expected(text, &LEVELS.map(|(_, name, _)| name)))
}

pub(super) fn a_size(text: &str) -> Result<u64, String> {
    let units = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)];
    let unit = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (digits, factor) = unit.unwrap_or((text, 1));
    let number = digits.parse::<u64>().ok().filter(|_| !digits.starts_with('+'));
    number
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| "a size is one integer with K, M or G; without it, bytes".to_owned())
}

pub(super) fn a_word(text: &str) -> Result<String, String> {
    if keys::is_name(text) { Ok(text.to_owned()) } else { Err("a name has letters, digits, _, - and .".to_owned()) }
}

/// The words of a comma-separated list with their places.
pub(super) fn list(bytes: &[u8], span: &Span) -> Vec<(String, Span)> {
    let mut start = 0;
    let mut words = Vec::new();
    for part in bytes.split(|byte| *byte == b',') {
        let lead = part.len() - part.trim_ascii_start().len();
        let word = part.trim_ascii();
        let place = span.within(start + lead..start + lead + word.len().max(1));
        words.push((String::from_utf8_lossy(word).into_owned(), place));
        start += part.len() + 1;
    }
    words
}
