//! Values of single keys: each parser's error says what would be right.

use crate::config::keys::{self, expected};
use crate::parts::duration::{self, Millis};
use crate::parts::log::{self, LEVELS, Level};

pub(super) fn a_duration(text: &str) -> Result<Millis, String> {
    duration::parse(text)
        .ok_or_else(|| "a duration is one integer with ms, s, m, h or d; without it, seconds".to_owned())
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

/// One of some words.
pub(super) fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| expected(text, &known))
}

pub(super) fn a_level(text: &str) -> Result<Level, String> {
    log::level(text).ok_or_else(|| expected(text, &LEVELS.map(|(_, name, _)| name)))
}

pub(super) fn a_log(text: &str) -> Result<Level, String> {
    match text.split_ascii_whitespace().collect::<Vec<_>>()[..] {
        ["stderr", level] => a_level(level),
        ["stderr"] => Ok(Level::Info),
        _ => Err("write stderr, and a level if it is not INFO".to_owned()),
    }
}

pub(super) fn a_word(text: &str) -> Result<String, String> {
    if keys::is_name(text) { Ok(text.to_owned()) } else { Err("a name has letters, digits, _, - and .".to_owned()) }
}
