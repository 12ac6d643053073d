//! The configuration's form: sections, keys and values with their places. What they mean, others know.

use crate::parts::diag::{Diagnostic, Span};
use crate::parts::text::Escaped;
use std::ops::Range;

/// `[kind name]` and what stands below it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// The first word.
    pub kind: String,
    /// The rest; empty where there is none.
    pub name: String,
    /// The whole header.
    pub span: Span,
    /// Its keys, in their order.
    pub entries: Vec<Entry>,
}

/// `key = value`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The key, as written.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value without the blanks around it; any bytes.
    pub value: Vec<u8>,
    /// Where the value stands.
    pub value_span: Span,
}

impl Entry {
    /// The value as text; bytes that are no UTF-8 become U+FFFD, so that no word that is known matches them.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.value).into_owned()
    }
}

/// Reads one source; what is not understood is passed over with a complaint.
pub fn parse(source: usize, text: &[u8], complaints: &mut Vec<Diagnostic>) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut start = 0;
    for line in text.split(|byte| *byte == b'\n') {
        let end = start + line.len();
        let content = trimmed(text, start..end);
        start = end + 1;
        match text.get(content.clone()).unwrap_or_default() {
            [] | [b'#', ..] => {}
            [b'[', ..] => sections.extend(header(source, text, content, complaints)),
            _ => match (entry(source, text, content.clone(), complaints), sections.last_mut()) {
                (Some(entry), Some(section)) => section.entries.push(entry),
                (Some(entry), None) => complaints.push(
                    Diagnostic::error(entry.key_span, "a key before the first section")
                        .help("a section begins with a line such as [daemon] or [watch NAME]"),
                ),
                (None, _) => {}
            },
        }
    }
    sections
}

/// A range without the blanks at its ends.
fn trimmed(text: &[u8], range: Range<usize>) -> Range<usize> {
    let bytes = text.get(range.clone()).unwrap_or_default();
    let lead = bytes.len() - bytes.trim_ascii_start().len();
    range.start + lead..range.start + lead + bytes.trim_ascii().len()
}

fn header(source: usize, text: &[u8], line: Range<usize>, complaints: &mut Vec<Diagnostic>) -> Option<Section> {
    let span = Span::new(source, line.clone());
    let Some(inner) = text.get(line).and_then(|bytes| bytes.strip_prefix(b"[")?.strip_suffix(b"]")) else {
        let complaint = Diagnostic::error(span.clone(), "a section's line ends with ]");
        complaints.push(complaint.help("comments are lines of their own"));
        // What follows belongs to it all the same, and not to the section before.
        return Some(Section { kind: String::new(), name: String::new(), span, entries: Vec::new() });
    };
    let inner = String::from_utf8_lossy(inner);
    if inner.trim().is_empty() {
        let complaint = Diagnostic::error(span.clone(), "a section without a name");
        complaints.push(complaint.help("write [daemon], [scheduler NAME], [event_map NAME] or [watch NAME]"));
    }
    let (kind, name) = inner.trim().split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((inner.trim(), ""));
    Some(Section { kind: kind.to_owned(), name: name.trim().to_owned(), span, entries: Vec::new() })
}

fn entry(source: usize, text: &[u8], line: Range<usize>, complaints: &mut Vec<Diagnostic>) -> Option<Entry> {
    let bytes = text.get(line.clone()).unwrap_or_default();
    let span = Span::new(source, line.clone());
    let Some(equals) = bytes.iter().position(|byte| *byte == b'=') else {
        let complaint = Diagnostic::error(span, format!("neither a section nor a key: {}", Escaped(bytes)));
        complaints.push(complaint.help("write [SECTION NAME], KEY = VALUE, or a comment that begins with #"));
        return None;
    };
    let key = trimmed(text, line.start..line.start + equals);
    let value = trimmed(text, line.start + equals + 1..line.end);
    let bytes_of = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
    let entry = Entry {
        key: String::from_utf8_lossy(bytes_of(&key)).into_owned(),
        key_span: Span::new(source, key),
        value: bytes_of(&value).to_vec(),
        value_span: Span::new(source, value),
    };
    if let Some(at) = entry.value.iter().position(|byte| *byte == 0) {
        complaints.push(Diagnostic::error(entry.value_span.within(at..at + 1), "a NUL byte can stand in no value"));
        return None;
    }
    if let Some(at) = entry.value.windows(2).position(|pair| pair == b" #") {
        let rest = entry.value_span.within(at + 1..entry.value.len());
        let warning = Diagnostic::warning(rest, "this is part of the value");
        complaints.push(warning.help("comments are lines of their own"));
    }
    Some(entry)
}
