//! Bytes as text: escaped for people and logs, and mapped one to one for interfaces that take only UTF-8.
//!
//! Paths are bytes. Whoever prints one uses [`Escaped`], so that no name can forge a line or a terminal sequence.

use std::fmt::{self, Write};

/// Prints bytes on one line: what is UTF-8 and printable stands as it is; a backslash as `\\`, a newline as `\n`, and
/// every other control, stray byte, line separator or direction override as `\xHH`, byte by byte. Reversible.
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            let mut buffer = [0; 4];
            for character in chunk.valid().chars() {
                match character {
                    '\\' => f.write_str("\\\\")?,
                    '\n' => f.write_str("\\n")?,
                    _ if is_misleading(character) => hex(f, character.encode_utf8(&mut buffer).as_bytes())?,
                    _ => f.write_char(character)?,
                }
            }
            hex(f, chunk.invalid())?;
        }
        Ok(())
    }
}

/// The bytes that [`Escaped`] has printed, or `None` if it has not printed this.
pub fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, others @ ..] = rest {
        let (byte, after) = match (first, others) {
            (b'\\', [b'\\', after @ ..]) => (b'\\', after),
            (b'\\', [b'n', after @ ..]) => (b'\n', after),
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                (digit(*high)? << 4 | digit(*low)?, after)
            }
            (b'\\', _) => return None,
            (byte, after) => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    Some(bytes)
}

fn hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))
}

/// Controls, line and paragraph separators, and what changes the direction of the text around it (UAX #9, #14).
fn is_misleading(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The private-use characters that stand for stray bytes: U+10FF00 + byte.
const STRAY: u32 = 0x10_FF00;

/// Maps any bytes to text, one to one: valid UTF-8 as it is, a stray byte as one character from U+10FF00, and a valid
/// character of that range as its four bytes, each taken for a stray one.
pub fn to_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let stray = |text: &mut String, bytes: &[u8]| {
        text.extend(bytes.iter().filter_map(|byte| char::from_u32(STRAY + u32::from(*byte))));
    };
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if u32::from(character) < STRAY {
                text.push(character);
            } else {
                stray(&mut text, character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        stray(&mut text, chunk.invalid());
    }
    text
}

/// The bytes that [`to_text`] made the text from.
pub fn to_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match u32::from(character).checked_sub(STRAY).map(u8::try_from) {
            Some(Ok(byte)) => bytes.push(byte),
            _ => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// A longer word is no slip of the pen.
const MOST_COMPARED: usize = 64;

/// The word of `known` that was probably meant by `word`: the nearest by edits, if few enough are needed.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let length = word.chars().count();
    if length > MOST_COMPARED {
        return None;
    }
    let budget = (length / 3).max(1).min(length.saturating_sub(1));
    let scored = known.into_iter().map(|other| (edits(word, other), other));
    scored.filter(|(edits, _)| *edits <= budget).min_by_key(|(edits, _)| *edits).map(|(_, other)| other)
}

/// Insertions, deletions, replacements and swaps of neighbours that make `a` into `b`, without regard to case
/// (optimal string alignment distance; Damerau 1964).
fn edits(a: &str, b: &str) -> usize {
    let fold = |text: &str| text.chars().take(MOST_COMPARED).map(|c| c.to_ascii_lowercase()).collect::<Vec<_>>();
    let (a, b) = (fold(a), fold(b));
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&row, j) + usize::from(x != y)).min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
