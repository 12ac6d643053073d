//! An `exec` value, split into arguments once, when the configuration is read.
//!
//! Words are separated by blanks. `'…'` and `"…"` keep blanks together, a backslash outside `'…'` takes the next
//! character as it is; nothing else is special. Placeholders may stand anywhere and never split a word.

use crate::parts::template::Template;
use std::ops::Range;

/// A quote or escape that has no end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unclosed {
    /// Where it begins, in bytes of the value.
    pub span: Range<usize>,
    /// What it is, in words.
    pub what: &'static str,
}

/// The arguments of a value; none if it is blank.
pub fn split(value: &[u8]) -> Result<Vec<Template>, Unclosed> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote: Option<(u8, usize)> = None;
    let mut bytes = value.iter().copied().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match (quote, byte) {
            (Some((end, _)), _) if byte == end => quote = None,
            (Some((b'"', _)) | None, b'\\') => match bytes.next() {
                Some((_, next)) => word.get_or_insert_default().push(next),
                None => return Err(Unclosed { span: at..at + 1, what: "a backslash with nothing after it" }),
            },
            (Some(_), _) => word.get_or_insert_default().push(byte),
            (None, b'\'' | b'"') => {
                quote = Some((byte, at));
                word.get_or_insert_default();
            }
            (None, b' ' | b'\t') => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(byte),
        }
    }
    if let Some((_, at)) = quote {
        return Err(Unclosed { span: at..value.len(), what: "a quote without an end" });
    }
    words.extend(word);
    Ok(words.iter().map(|word| Template::new(word)).collect())
}
