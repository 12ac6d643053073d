//! What a path that matches is rewritten to (`dst_re`), in the language of Python's `re.sub`: `\1`, `\g<1>`, `\g<name>`,
//! `\g<0>` for all that has matched, and `\\` for a backslash.

use super::Pattern;
use crate::parts::text::{to_bytes, to_text};
use std::ops::Range;

/// A text with references to a pattern's groups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replacement {
    pieces: Vec<Piece>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(Vec<u8>),
    Group(usize),
}

/// A backslash that refers to nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unknown {
    /// Where it stands, in bytes of the text.
    pub span: Range<usize>,
    /// What would be right.
    pub help: String,
}

impl Replacement {
    /// Reads a text whose references are to the groups of `pattern`; or all references that are wrong.
    pub fn new(pattern: &Pattern, source: &[u8]) -> Result<Replacement, Vec<Unknown>> {
        let names: Vec<Option<&str>> = pattern.regex.capture_names().collect();
        let (mut pieces, mut wrong, mut text) = (Vec::new(), Vec::new(), Vec::new());
        let mut at = 0;
        while let Some(byte) = source.get(at) {
            let rest = source.get(at + 1..).unwrap_or_default();
            let length = match (byte, reference(rest)) {
                (b'\\', Some((length, word))) => {
                    match group(word, &names) {
                        Ok(group) => {
                            pieces.extend((!text.is_empty()).then(|| Piece::Text(std::mem::take(&mut text))));
                            pieces.push(Piece::Group(group));
                        }
                        Err(help) => wrong.push(Unknown { span: at..at + 1 + length, help }),
                    }
                    1 + length
                }
                (b'\\', None) if rest.first() == Some(&b'\\') => {
                    text.push(b'\\');
                    2
                }
                (b'\\', None) => {
                    let help = r"write \1 or \g<name> for a group, \\ for a backslash".to_owned();
                    wrong.push(Unknown { span: at..at + 1, help });
                    1
                }
                (byte, _) => {
                    text.push(*byte);
                    1
                }
            };
            at += length;
        }
        pieces.extend((!text.is_empty()).then_some(Piece::Text(text)));
        if wrong.is_empty() { Ok(Replacement { pieces }) } else { Err(wrong) }
    }

    /// What every result begins with.
    pub fn literal(&self) -> &[u8] {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text,
            Some(Piece::Group(_)) | None => b"",
        }
    }
}

/// What stands behind a backslash as a reference: its length, and the group's number or name.
fn reference(rest: &[u8]) -> Option<(usize, &str)> {
    let text = |bytes| std::str::from_utf8(bytes).ok();
    if let Some(named) = rest.strip_prefix(b"g<") {
        let end = named.iter().position(|byte| *byte == b'>')?;
        return Some((end + 3, text(named.get(..end)?)?));
    }
    let digits = rest.iter().take(2).take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then(|| text(rest.get(..digits)?).map(|digits| (digits.len(), digits)))?
}

fn group(word: &str, names: &[Option<&str>]) -> Result<usize, String> {
    let number = match word.parse::<usize>() {
        Ok(number) => Some(number).filter(|number| *number < names.len()),
        Err(_) => names.iter().position(|name| *name == Some(word)),
    };
    number.ok_or_else(|| {
        let known: Vec<&str> = names.iter().copied().flatten().collect();
        let known = if known.is_empty() { String::new() } else { format!(", by name: {}", known.join(", ")) };
        format!("src_re has {} groups{known}", names.len() - 1)
    })
}

impl Pattern {
    /// A path with what has matched replaced, and what stands behind that kept, as Python's `re.sub` does; `None` where it does
    /// not match. A group that has not taken part is empty.
    pub fn rewrite(&self, path: &[u8], replacement: &Replacement) -> Option<Vec<u8>> {
        let text = to_text(path);
        let captures = self.literals.may_match(path).then(|| self.regex.captures(&text)).flatten()?;
        let mut result = Vec::new();
        for piece in &replacement.pieces {
            match piece {
                Piece::Text(literal) => result.extend_from_slice(literal),
                Piece::Group(group) => {
                    result.extend(captures.get(*group).map(|found| to_bytes(found.as_str())).unwrap_or_default());
                }
            }
        }
        let end = captures.get(0).map_or(0, |whole| whole.end());
        result.extend(to_bytes(text.get(end..).unwrap_or_default()));
        Some(result)
    }

    /// What the groups of a path that matches hold: number, name, text.
    pub fn groups(&self, path: &[u8]) -> Vec<(usize, Option<&str>, Vec<u8>)> {
        let text = to_text(path);
        let Some(captures) = self.regex.captures(&text) else { return Vec::new() };
        let named = self.regex.capture_names().enumerate().skip(1);
        named.filter_map(|(at, name)| Some((at, name, to_bytes(captures.get(at)?.as_str())))).collect()
    }
}
