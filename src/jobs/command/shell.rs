//! A shell line's placeholders, rewritten to quoted variables.
//!
//! `"$DOGWATCH_PATHNAME"` is one word whatever the value is, but only where the shell is not inside quotes already:
//! in `'{pathname}'` it would stay as it is, in `"{pathname}"` it would end the quotes. So the line is read as a shell
//! reads it (POSIX.1 XCU 2.2, 2.6), as far as quotes and arithmetic go, and a placeholder inside any is an error with its
//! place. What this reader gets wrong can only cost a word its quotes: values are never part of the text. (A line that
//! itself hands a variable to `eval` or to a comparison of numbers is its author's.)

use crate::parts::template::braces;
use std::ops::Range;

/// A placeholder where no variable can stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Misplaced {
    /// Where it is, in bytes of the line.
    pub span: Range<usize>,
    /// What it is inside of.
    pub inside: &'static str,
}

/// What the reader is inside of, innermost last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Quote {
    Single,
    Double,
    Back,
    /// `$(…)` or `(…)`, where quoting begins anew.
    Paren,
    /// `$((…))`, `((…))` or `$[…]`: a number is calculated, and some shells run what a variable holds for that.
    Arithmetic,
}

/// Whether the line ends inside quotes, which no shell will run.
pub fn is_unfinished(line: &[u8]) -> bool {
    let mut reader = Reader::default();
    line.iter().for_each(|byte| reader.take(*byte));
    reader.quotes.iter().any(|quote| matches!(quote, Quote::Single | Quote::Double | Quote::Back))
}

/// The line with every placeholder as a quoted variable, or all placeholders that stand where none may.
pub fn rewrite(line: &[u8]) -> Result<Vec<u8>, Vec<Misplaced>> {
    let mut text = Vec::with_capacity(line.len() + 32);
    let mut wrong = Vec::new();
    let mut reader = Reader::default();
    let mut from = 0;
    for brace in braces(line) {
        let Some(placeholder) = brace.placeholder else { continue };
        let before = line.get(from..brace.span.start).unwrap_or_default();
        before.iter().for_each(|byte| reader.take(*byte));
        text.extend_from_slice(before);
        if let Some(inside) = reader.inside() {
            wrong.push(Misplaced { span: brace.span.clone(), inside });
        }
        text.extend_from_slice(format!("\"${}\"", placeholder.variable()).as_bytes());
        // An escaped brace would have been the end of the escape.
        reader.escaped = false;
        from = brace.span.end;
    }
    text.extend_from_slice(line.get(from..).unwrap_or_default());
    if wrong.is_empty() { Ok(text) } else { Err(wrong) }
}

#[derive(Default)]
struct Reader {
    quotes: Vec<Quote>,
    escaped: bool,
    last: u8,
    here_document: bool,
}

impl Reader {
    fn take(&mut self, byte: u8) {
        let last = std::mem::replace(&mut self.last, byte);
        let innermost = self.quotes.last().copied();
        if std::mem::take(&mut self.escaped) {
            return;
        }
        match (innermost, byte) {
            (Some(Quote::Single), b'\'') => drop(self.quotes.pop()),
            (Some(Quote::Single), _) => {}
            (_, b'\\') => self.escaped = true,
            (Some(Quote::Double), b'"') | (Some(Quote::Back), b'`') => drop(self.quotes.pop()),
            (_, b'`') => self.quotes.push(Quote::Back),
            (_, b'"') => self.quotes.push(Quote::Double),
            (_, b'[') if last == b'$' => self.quotes.push(Quote::Arithmetic),
            (Some(Quote::Paren), b'(') if last == b'(' => self.quotes.push(Quote::Arithmetic),
            (Some(Quote::Double), b'(') if last == b'$' => self.quotes.push(Quote::Paren),
            (Some(Quote::Double), _) => {}
            (_, b'\'') => self.quotes.push(Quote::Single),
            (_, b'(') => self.quotes.push(Quote::Paren),
            (Some(Quote::Paren | Quote::Arithmetic), b')') | (Some(Quote::Arithmetic), b']') => drop(self.quotes.pop()),
            (Some(Quote::Arithmetic), _) => {}
            (_, b'<') if last == b'<' => self.here_document = true,
            _ => {}
        }
    }

    fn inside(&self) -> Option<&'static str> {
        let quote = self.quotes.iter().find(|quote| **quote != Quote::Paren);
        match quote {
            Some(Quote::Single) => Some("single quotes"),
            Some(Quote::Double) => Some("double quotes"),
            Some(Quote::Back) => Some("backquotes"),
            Some(Quote::Arithmetic) => Some("an arithmetic expression"),
            Some(Quote::Paren) | None if self.escaped => Some("an escape (it follows a backslash)"),
            Some(Quote::Paren) | None if self.here_document => Some("a here-document"),
            Some(Quote::Paren) | None => None,
        }
    }
}
