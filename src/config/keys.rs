//! The words of the configuration: which sections there are and which keys they know.

use super::ini::{Entry, Section};
use crate::parts::diag::Diagnostic;
use crate::parts::text::nearest;

/// A kind of section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `[daemon]`.
    Daemon,
    /// `[rule NAME]`.
    Rule,
    /// `[scheduler NAME]`.
    Scheduler,
    /// `[event_map NAME]`.
    EventMap,
    /// `[watch NAME]`.
    Watch,
    /// `[collector NAME]`.
    Collector,
    /// `[backup]`.
    Backup,
}

/// A kind's word and keys; a key that may stand several times ends with `*`, one that goes on with a name with `.`.
/// The keys of an event map are event names, read elsewhere.
pub const SECTIONS: [(Kind, &str, &[&str]); 7] = [
    (
        Kind::Daemon,
        "daemon",
        &[
            "log*",
            "log.*",
            "log_max_size",
            "loglevel.",
            "max_jobs",
            "on_shutdown",
            "run_dir",
            "shutdown_timeout",
            "state_dir",
        ],
    ),
    (
        Kind::Rule,
        "rule",
        &[
            "action",
            "auto_create",
            "dirmode",
            "dst_re",
            "filemode",
            "group",
            "hardlinks",
            "override",
            "rec",
            "src_re",
            "user",
        ],
    ),
    (
        Kind::Scheduler,
        "scheduler",
        &[
            "archive",
            "cmd",
            "delay",
            "dirs",
            "exec",
            "files",
            "job",
            "level",
            "logname",
            "max_jobs",
            "max_wait",
            "on_busy",
            "on_failure",
            "output",
            "rules",
            "singlejob",
            "then",
            "timeout",
            "user",
        ],
    ),
    (Kind::EventMap, "event_map", &[]),
    (Kind::Watch, "watch", &["auto_add", "event_map", "exclude*", "existing", "path*", "rec"]),
    (Kind::Backup, "backup", &["dir", "on_failure", "then"]),
    (Kind::Collector, "collector", &["base_dir", "keep", "level", "max_age", "on_failure", "then", "threshold"]),
];

/// What stands where a scheduler's name could, and so cannot be one.
pub const RESERVED: [&str; 2] = ["none", "cancel"];

/// Tells a section's kind, or complains.
pub fn kind_of(section: &Section, complaints: &mut Vec<Diagnostic>) -> Option<Kind> {
    if section.kind.is_empty() && section.name.is_empty() {
        // The header itself was complained of.
        return None;
    }
    let words = SECTIONS.map(|(_, word, _)| word);
    let Some((kind, word, _)) = SECTIONS.iter().find(|(_, word, _)| *word == section.kind) else {
        let complaint = Diagnostic::error(section.span.clone(), format!("unknown section [{}]", section.kind));
        complaints.push(complaint.help(expected(&section.kind, &words)));
        return None;
    };
    match (kind, section.name.as_str()) {
        (Kind::Daemon | Kind::Backup, "") => {}
        (Kind::Daemon | Kind::Backup, _) => {
            complaints.push(Diagnostic::error(section.span.clone(), format!("[{word}] has no name")));
        }
        (Kind::Rule | Kind::Scheduler | Kind::EventMap | Kind::Watch | Kind::Collector, name) if !is_name(name) => {
            let complaint = Diagnostic::error(section.span.clone(), format!("[{word}] needs a name"));
            complaints.push(complaint.help(format!("write [{word} NAME]; a name has letters, digits, _, - and .")));
        }
        (Kind::Scheduler, name) if RESERVED.contains(&name) => {
            complaints
                .push(Diagnostic::error(section.span.clone(), format!("\"{name}\" cannot be a scheduler's name")));
        }
        (Kind::Rule | Kind::Scheduler | Kind::EventMap | Kind::Watch | Kind::Collector, _) => {}
    }
    Some(*kind)
}

/// Whether a word can be a section's name, or a logname.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
}

/// Complains of every key that the section does not know, and of one that stands twice and may not.
pub fn check_keys(kind: Kind, section: &Section, complaints: &mut Vec<Diagnostic>) {
    let known = SECTIONS.iter().find(|(known, ..)| *known == kind).map_or(&[][..], |(.., keys)| keys);
    let bare = |key: &&'static str| key.trim_end_matches('*');
    for (at, entry) in section.entries.iter().enumerate() {
        let word = known.iter().find(|key| match bare(key) {
            prefix if prefix.ends_with('.') => entry.key.starts_with(prefix) && entry.key.len() > prefix.len(),
            word => entry.key == word,
        });
        let Some(word) = word else {
            let message = format!("unknown key \"{}\" in [{}]", entry.key, section.kind);
            let named = |key: &&'static str| if key.ends_with('.') { format!("{key}NAME") } else { (*key).to_owned() };
            let shown: Vec<String> = known.iter().map(|key| named(&bare(key))).collect();
            let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
            complaints.push(Diagnostic::error(entry.key_span.clone(), message).help(expected(&entry.key, &shown)));
            continue;
        };
        let earlier = section.entries.iter().take(at).any(|other| other.key == entry.key);
        if earlier && !word.ends_with('*') {
            let message = format!("\"{}\" stands here a second time", entry.key);
            complaints
                .push(Diagnostic::error(entry.key_span.clone(), message).help("one value only; remove one of them"));
        }
    }
}

/// `did you mean …?` where one is near, and what there is.
pub fn expected(word: &str, known: &[&str]) -> String {
    let all =
        if known.is_empty() { "none is defined".to_owned() } else { format!("expected one of: {}", known.join(", ")) };
    match nearest(word, known.iter().copied()) {
        Some(meant) => format!("did you mean \"{meant}\"? {all}"),
        None => all,
    }
}

/// Reads typed values of one section's keys, with complaints.
pub struct Reader<'a> {
    section: &'a Section,
    complaints: &'a mut Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    /// A reader of `section`.
    pub fn new(section: &'a Section, complaints: &'a mut Vec<Diagnostic>) -> Reader<'a> {
        Reader { section, complaints }
    }

    /// The key's entry, if it stands there.
    pub fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.section.entries.iter().find(|entry| entry.key == key)
    }

    /// All of a repeatable key's entries.
    pub fn entries(&self, key: &str) -> impl Iterator<Item = &'a Entry> + use<'a> {
        let key = key.to_owned();
        self.section.entries.iter().filter(move |entry| entry.key == key)
    }

    /// The key's value by `parse`, whose error says what would be right.
    pub fn value<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let entry = self.entry(key)?;
        self.checked(entry, parse(&entry.text()))
    }

    /// What an entry's value was parsed to; an error says what would be right.
    pub fn checked<T>(&mut self, entry: &Entry, parsed: Result<T, String>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(right) => {
                let message = format!("\"{}\" cannot be the value of \"{}\"", entry.text(), entry.key);
                self.complain(Diagnostic::error(entry.value_span.clone(), message).help(right));
                None
            }
        }
    }

    /// The key's value as an absolute path.
    pub fn path(&mut self, key: &str) -> Option<Vec<u8>> {
        let entry = self.entry(key)?;
        if entry.value.starts_with(b"/") {
            return Some(entry.value.clone());
        }
        let message = format!("\"{key}\" is no absolute path");
        self.complain(Diagnostic::error(entry.value_span.clone(), message).help("write a path that begins with /"));
        None
    }

    /// Adds a complaint.
    pub fn complain(&mut self, complaint: Diagnostic) {
        self.complaints.push(complaint);
    }

    /// An error about the section as a whole.
    pub fn section_error(&mut self, message: impl Into<String>, help: &str) {
        self.complain(Diagnostic::error(self.section.span.clone(), message).help(help));
    }
}
