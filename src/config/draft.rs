//! A configuration made on the command line: its sections are written here and not in a file, and hold to the same rules.
//! What is wrong with a value is shown under the name of the option that it came from.

use super::ini::{Entry, Section};
use super::{Loaded, Refused, conclude};
use crate::parts::accounts::Accounts;
use crate::parts::diag::{Source, Span};

/// Sections with their keys.
#[derive(Debug, Default)]
pub struct Draft {
    sources: Vec<Source>,
    sections: Vec<Section>,
}

impl Draft {
    /// Begins a section.
    pub fn section(&mut self, kind: &str, name: &str) -> &mut Draft {
        let span = self.source("command line", name.as_bytes());
        self.sections.push(Section { kind: kind.to_owned(), name: name.to_owned(), span, entries: Vec::new() });
        self
    }

    /// Adds `key = value` to the section that was begun last; `origin` is what the user calls the value.
    pub fn set(&mut self, key: &str, origin: &str, value: &[u8]) -> &mut Draft {
        let key_span = self.source(origin, key.as_bytes());
        let value_span = self.source(origin, value);
        let entry = Entry { key: key.to_owned(), key_span, value: value.to_vec(), value_span };
        self.sections.last_mut().into_iter().for_each(|section| section.entries.push(entry.clone()));
        self
    }

    /// The values, as from a file.
    pub fn load(self) -> Result<Loaded, Refused> {
        conclude(&self.sources, self.sections, Vec::new(), (&Accounts::default(), &[]))
    }

    fn source(&mut self, origin: &str, text: &[u8]) -> Span {
        self.sources.push(Source { path: origin.as_bytes().to_vec(), text: text.to_vec() });
        Span::new(self.sources.len() - 1, 0..text.len())
    }
}
