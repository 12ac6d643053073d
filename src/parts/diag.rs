//! Errors as values with context: a failed attempt with the system's reason, and a complaint about a place in a text,
//! shown with its line and a caret.

use super::text::Escaped;
use crate::sys::Errno;
use std::fmt;
use std::ops::Range;

/// Something that was tried and did not work: what, on which path, the system's reason, what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure(String);

impl Failure {
    /// `cannot WHAT PATH: REASON`.
    pub fn on_path(what: &str, path: &[u8], reason: impl fmt::Display) -> Failure {
        Failure(format!("cannot {what} {}: {reason}", Escaped(path)))
    }

    /// `cannot WHAT: REASON`, for a system facility without a path.
    pub fn of(what: &str, reason: Errno) -> Failure {
        Failure(format!("cannot {what}: {reason}"))
    }

    /// The same with what the reader can do, or what happens next.
    pub fn hint(self, what_to_do: &str) -> Failure {
        Failure(format!("{}; {what_to_do}", self.0))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A file's text, for the lines of its complaints.
#[derive(Clone, Debug)]
pub struct Source {
    /// As the user named it.
    pub path: Vec<u8>,
    /// All of it.
    pub text: Vec<u8>,
}

/// A stretch of bytes of one of the sources.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Span {
    /// Which source, by its place in the list.
    pub source: usize,
    /// First byte.
    pub start: usize,
    /// First byte after it.
    pub end: usize,
}

impl Span {
    /// A stretch of `source`.
    pub fn new(source: usize, bytes: Range<usize>) -> Span {
        Span { source, start: bytes.start, end: bytes.end }
    }

    /// A stretch within this one, counted from its start.
    pub fn within(&self, part: Range<usize>) -> Span {
        Span::new(self.source, self.start + part.start..self.start + part.end)
    }
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// Nothing can start with it.
    Error,
    /// It can, but probably something else was meant.
    Warning,
}

/// A complaint about a place in a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What was expected, or what to write instead.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Error, span, message: message.into(), help: None }
    }

    /// A warning at `span`.
    pub fn warning(span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, span, message: message.into(), help: None }
    }

    /// The same with a line of advice.
    pub fn help(mut self, advice: impl Into<String>) -> Diagnostic {
        self.help = Some(advice.into());
        self
    }

    /// `FILE:LINE:COLUMN: error: MESSAGE`, the line, a caret below it, and the advice. Lines and columns count from 1,
    /// columns in characters.
    pub fn render(&self, sources: &[Source]) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let Some(source) = sources.get(self.span.source) else { return format!("{severity}: {}\n", self.message) };
        let place = Place::find(&source.text, &self.span);
        let path = Escaped(&source.path);
        let message = Escaped(self.message.as_bytes());
        let mut text = format!("{path}:{}:{}: {severity}: {message}\n", place.line, place.column);
        let number = place.line.to_string();
        text += &format!(" {number} | {}{}{}\n", place.before, place.marked, place.after);
        let indent = " ".repeat(number.len() + 1);
        let lead = " ".repeat(place.before.chars().count());
        let caret = format!("^{}", "~".repeat(place.marked.chars().count().saturating_sub(1)));
        text += &format!("{indent} | {lead}{caret}\n");
        if let Some(help) = &self.help {
            text += &format!("{indent} = {}\n", Escaped(help.as_bytes()));
        }
        text
    }
}

/// A span's line, split around it, as it is printed.
struct Place {
    line: usize,
    column: usize,
    before: String,
    marked: String,
    after: String,
}

impl Place {
    fn find(text: &[u8], span: &Span) -> Place {
        let start = span.start.min(text.len());
        let (head, tail) = text.split_at(start);
        let line_start = head.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let line_end = tail.iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| start + at);
        let end = span.end.clamp(start, line_end);
        let part = |range: Range<usize>| text.get(range).unwrap_or_default();
        let blanks =
            |range| part(range).iter().map(|byte| if *byte == b'\t' { b' ' } else { *byte }).collect::<Vec<_>>();
        let shown = |range: Range<usize>| Escaped(&blanks(range)).to_string();
        Place {
            line: head.iter().filter(|byte| **byte == b'\n').count() + 1,
            column: String::from_utf8_lossy(part(line_start..start)).chars().count() + 1,
            before: shown(line_start..start),
            marked: shown(start..end),
            after: shown(end..line_end),
        }
    }
}

#[cfg(test)]
mod tests;
