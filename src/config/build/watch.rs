//! `[watch NAME]`: paths, and what of them counts.

use super::values::{a_boolean, a_number_of};
use crate::config::ini::{Entry, Section};
use crate::config::keys::Reader;
use crate::engine::watch::{MapId, NAME_MAX, Watch, WatchPath};
use crate::parts::diag::Diagnostic;
use crate::parts::glob::{self, Glob};
use crate::parts::pattern::Pattern;

pub(super) fn watch(section: &Section, maps: &[&str], complaints: &mut Vec<Diagnostic>) -> Watch {
    let mut reader = Reader::new(section, complaints);
    let title = format!("[watch {}]", section.name);
    if reader.entry("path").is_none() {
        reader.section_error(format!("{title} has no path"), "add path = /DIRECTORY");
    }
    if reader.entry("event_map").is_none() {
        reader.section_error(format!("{title} has no event map"), "add event_map = NAME");
    }
    let map: Option<MapId> = reader.value("event_map", |name| a_number_of("event_map", name, maps));
    let mut paths = Vec::new();
    for entry in reader.entries("path") {
        match watch_path(&entry.value) {
            Ok(path) => paths.push(path),
            Err(wrong) => {
                reader.complain(Diagnostic::error(entry.value_span.clone(), wrong).help("write an absolute path"));
            }
        }
    }
    let exclude = reader.entries("exclude").filter_map(|entry| pattern(entry, &mut reader)).collect();
    Watch {
        name: section.name.clone(),
        paths,
        exclude,
        existing: reader.value("existing", a_boolean).unwrap_or(false),
        tidied: false,
        map: map.unwrap_or(0),
        rec: reader.value("rec", a_boolean).unwrap_or(false),
        auto_add: reader.value("auto_add", a_boolean).unwrap_or(false),
    }
}

/// A regular expression, or what its compiler says of it.
pub(super) fn pattern(entry: &Entry, reader: &mut Reader<'_>) -> Option<Pattern> {
    match Pattern::new(&entry.value) {
        Ok(pattern) => Some(pattern),
        Err(wrong) => {
            let complaint = Diagnostic::error(entry.value_span.clone(), format!("no pattern: {}", wrong.message));
            reader.complain(match wrong.hint {
                Some(hint) => complaint.help(hint),
                None => complaint,
            });
            None
        }
    }
}

/// A path without repeated or trailing slashes, and from its first component with a wildcard on, patterns; or what is
/// wrong with it.
fn watch_path(path: &[u8]) -> Result<WatchPath, String> {
    if !path.starts_with(b"/") {
        return Err("a watch's path begins with /".to_owned());
    }
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| matches!(*part, b"." | b"..")) {
        return Err("a watch's path has no . and .. in it".to_owned());
    }
    if parts.iter().any(|part| glob::unescaped(part).len() > NAME_MAX) {
        return Err(format!("no file's name is longer than {NAME_MAX} bytes"));
    }
    let plain = parts.iter().position(|part| glob::is_pattern(part)).unwrap_or(parts.len());
    let (base, patterns) = parts.split_at(plain);
    if patterns.len() > usize::from(u8::MAX) {
        return Err("a path has at most 255 components from its first pattern on".to_owned());
    }
    let base: Vec<Vec<u8>> = base.iter().map(|part| glob::unescaped(part)).collect();
    let globs = patterns.iter().map(|part| Glob::new(part)).collect::<Result<_, _>>()?;
    Ok(WatchPath { base: [b"/", &base.join(&b'/')[..]].concat(), globs })
}
