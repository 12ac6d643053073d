//! Placeholders: the words in braces that a configured text may hold, and what they stand for.
//!
//! Another word in braces is left as it is ([`Brace::near`] tells of one that was probably meant to be a placeholder).

use super::text::nearest;
use std::borrow::Cow;
use std::ops::Range;

/// What a task knows about its event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placeholder {
    /// The event's name, the first flag, without `|IN_ISDIR`.
    Maskname,
    /// The path that the event is about.
    Pathname,
    /// The path before a rename; empty where there is none.
    SrcPathname,
    /// The path's last component.
    Name,
    /// The path without its last component.
    Dir,
    /// The task's number.
    TaskId,
    /// The scheduler's name.
    Scheduler,
    /// The local time at which the task started, YYYYmmdd-HHMMSS.
    Date,
}

/// Every placeholder with its word; commands find the value in the variable `DOGWATCH_` + the word in capitals.
pub const PLACEHOLDERS: [(Placeholder, &str); 8] = [
    (Placeholder::Maskname, "maskname"),
    (Placeholder::Pathname, "pathname"),
    (Placeholder::SrcPathname, "src_pathname"),
    (Placeholder::Name, "name"),
    (Placeholder::Dir, "dir"),
    (Placeholder::TaskId, "task_id"),
    (Placeholder::Scheduler, "scheduler"),
    (Placeholder::Date, "date"),
];

impl Placeholder {
    /// The variable that carries the value into a command's environment.
    pub fn variable(self) -> String {
        let word = PLACEHOLDERS.iter().find(|(placeholder, _)| *placeholder == self).map_or("", |(_, word)| word);
        format!("DOGWATCH_{}", word.to_ascii_uppercase())
    }
}

/// The values of one task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Values<'a> {
    /// The event's name.
    pub maskname: &'a str,
    /// Absolute path.
    pub pathname: &'a [u8],
    /// Absolute path, or empty.
    pub src_pathname: &'a [u8],
    /// The task's number.
    pub task_id: u64,
    /// The scheduler's name.
    pub scheduler: &'a str,
    /// YYYYmmdd-HHMMSS.
    pub date: &'a str,
}

impl Values<'_> {
    /// What a placeholder stands for.
    pub fn get(&self, placeholder: Placeholder) -> Cow<'_, [u8]> {
        let slash = self.pathname.iter().rposition(|byte| *byte == b'/');
        Cow::Borrowed(match placeholder {
            Placeholder::Maskname => self.maskname.as_bytes(),
            Placeholder::Pathname => self.pathname,
            Placeholder::SrcPathname => self.src_pathname,
            Placeholder::Name => slash.and_then(|at| self.pathname.get(at + 1..)).unwrap_or(self.pathname),
            Placeholder::Dir => match slash {
                Some(0) => b"/",
                Some(at) => self.pathname.get(..at).unwrap_or_default(),
                None => b"",
            },
            Placeholder::TaskId => return Cow::Owned(self.task_id.to_string().into_bytes()),
            Placeholder::Scheduler => self.scheduler.as_bytes(),
            Placeholder::Date => self.date.as_bytes(),
        })
    }
}

/// A word in braces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Brace {
    /// Where it stands, braces included, in bytes.
    pub span: Range<usize>,
    /// The placeholder that it is, if it is one.
    pub placeholder: Option<Placeholder>,
    /// The placeholder's word that is near to it, if it is none itself.
    pub near: Option<&'static str>,
}

/// Finds every `{word}` of letters and underscores that no `$` stands before.
pub fn braces(text: &[u8]) -> Vec<Brace> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = find(text, at, |byte| byte == b'{') {
        at = open + 1;
        let Some(end) = find(text, at, |byte| !(byte.is_ascii_alphabetic() || byte == b'_')) else { break };
        let word = text.get(at..end).map(String::from_utf8_lossy).unwrap_or_default();
        if text.get(end) == Some(&b'}') && !word.is_empty() {
            at = end + 1;
            // `${name}` is the shell's own.
            if open > 0 && text.get(open - 1) == Some(&b'$') {
                continue;
            }
            let exact = PLACEHOLDERS.iter().find(|(_, known)| *known == word).map(|(placeholder, _)| *placeholder);
            let near = if exact.is_none() { nearest(&word, PLACEHOLDERS.map(|(_, known)| known)) } else { None };
            found.push(Brace { span: open..end + 1, placeholder: exact, near });
        }
    }
    found
}

fn find(text: &[u8], from: usize, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    text.get(from..)?.iter().position(|byte| wanted(*byte)).map(|at| from + at)
}

/// A text with its placeholders found once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(Vec<u8>),
    Value(Placeholder),
}

impl Template {
    /// Splits a text at its placeholders.
    pub fn new(text: &[u8]) -> Template {
        let mut template = Template::default();
        let mut from = 0;
        for brace in braces(text) {
            if let Some(placeholder) = brace.placeholder {
                template.push(text.get(from..brace.span.start).unwrap_or_default());
                template.pieces.push(Piece::Value(placeholder));
                from = brace.span.end;
            }
        }
        template.push(text.get(from..).unwrap_or_default());
        template
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The text before the first placeholder.
    pub fn literal(&self) -> &[u8] {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text,
            Some(Piece::Value(_)) | None => b"",
        }
    }

    /// Adds literal text at the end.
    fn push(&mut self, text: &[u8]) {
        if !text.is_empty() {
            self.pieces.push(Piece::Text(text.to_vec()));
        }
    }

    /// The text with the values in place of the placeholders.
    pub fn expand(&self, values: &Values<'_>) -> Vec<u8> {
        let mut text = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(literal) => text.extend_from_slice(literal),
                Piece::Value(placeholder) => text.extend_from_slice(&values.get(*placeholder)),
            }
        }
        text
    }
}

#[cfg(test)]
mod tests;
