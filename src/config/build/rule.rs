//! `[rule NAME]`: what becomes of files.

use super::values::{a_boolean, one_of};
use super::watch::pattern;
use crate::config::ini::{Entry, Section};
use crate::config::keys::Reader;
use crate::engine::rule::{Access, Action, Destination, Rule};
use crate::parts::accounts::Accounts;
use crate::parts::diag::Diagnostic;
use crate::parts::pattern::Pattern;
use crate::parts::pattern::rewrite::Replacement;

/// The words of `action`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Move,
    Copy,
    Delete,
    None,
}

const ACTIONS: [(&str, Verb); 4] =
    [("move", Verb::Move), ("copy", Verb::Copy), ("delete", Verb::Delete), ("none", Verb::None)];
/// Keys that say something of a destination only.
const OF_DESTINATIONS: [&str; 8] =
    ["dst_re", "auto_create", "override", "hardlinks", "filemode", "dirmode", "user", "group"];

/// The rule that a section describes; `None` if that is not known for what is wrong with it.
pub(super) fn rule(section: &Section, accounts: &Accounts, complaints: &mut Vec<Diagnostic>) -> Option<Rule> {
    let mut reader = Reader::new(section, complaints);
    for (key, help) in [("action", "add action = move, copy, delete or none"), ("src_re", "add src_re = ^/PATH/.*$")] {
        if reader.entry(key).is_none() {
            reader.section_error(format!("[rule {}] has no {key}", section.name), help);
        }
    }
    let verb = reader.value("action", |word| one_of(word, &ACTIONS));
    let src = reader.entry("src_re").and_then(|entry| pattern(entry, &mut reader));
    let (verb, src) = (verb?, src?);
    let goes = matches!(verb, Verb::Move | Verb::Copy);
    refuse_others(verb, &mut reader);
    let rec = reader.value("rec", a_boolean).unwrap_or(false);
    let destination = if goes { destination(section, &src, accounts, &mut reader) } else { None };
    let action = match (verb, destination) {
        (Verb::Move, destination) => Action::Move(destination?),
        (Verb::Copy, destination) => Action::Copy(destination?),
        (Verb::Delete, _) => Action::Delete { rec },
        (Verb::None, _) => Action::Nothing,
    };
    Some(Rule { name: section.name.clone(), src, action })
}

/// Complains of keys that mean nothing for this action.
fn refuse_others(verb: Verb, reader: &mut Reader<'_>) {
    let moves = matches!(verb, Verb::Move | Verb::Copy);
    let useless = OF_DESTINATIONS.iter().filter(|_| !moves).chain((verb != Verb::Delete).then_some(&"rec"));
    for entry in useless.filter_map(|key| reader.entry(key)).collect::<Vec<_>>() {
        let of = if entry.key == "rec" { "delete" } else { "move and copy" };
        let complaint = Diagnostic::error(entry.key_span.clone(), format!("{} is for action = {of}", entry.key));
        reader.complain(complaint.help("remove it, or change the action"));
    }
}

fn destination(section: &Section, src: &Pattern, accounts: &Accounts, reader: &mut Reader<'_>) -> Option<Destination> {
    let Some(entry) = reader.entry("dst_re") else {
        let help = r"add dst_re = /PATH/\1, with the groups of src_re";
        reader.section_error(format!("[rule {}] has no dst_re", section.name), help);
        return None;
    };
    let to = replacement(src, entry, reader);
    warn_of_open_end(entry, reader);
    let group = |word: &str| accounts.group(word).ok_or_else(|| "a number, or a name in /etc/group".to_owned());
    let user = |word: &str| accounts.user(word).ok_or_else(|| "a number, or a name in /etc/passwd".to_owned());
    let access = Access {
        filemode: reader.value("filemode", a_mode),
        dirmode: reader.value("dirmode", a_mode),
        uid: reader.value("user", user).map(|account| account.uid),
        gid: reader.value("group", group),
    };
    Some(Destination {
        to: to?,
        auto_create: reader.value("auto_create", a_boolean).unwrap_or(false),
        replace: reader.value("override", a_boolean).unwrap_or(false),
        hardlinks: reader.value("hardlinks", a_boolean).unwrap_or(false),
        access,
    })
}

fn replacement(src: &Pattern, entry: &Entry, reader: &mut Reader<'_>) -> Option<Replacement> {
    match Replacement::new(src, &entry.value) {
        // One that begins with a group is looked at when its path is known.
        Ok(to) if to.literal().is_empty() || to.literal().starts_with(b"/") => Some(to),
        Ok(_) => {
            let complaint = Diagnostic::error(entry.value_span.clone(), "a destination's path begins with /");
            reader.complain(complaint.help(r"write an absolute path, as in /PATH/\1"));
            None
        }
        Err(unknown) => {
            for wrong in unknown {
                let span = entry.value_span.within(wrong.span);
                reader.complain(Diagnostic::error(span, "this refers to no group of src_re").help(wrong.help));
            }
            None
        }
    }
}

/// What stands behind the match stays at the end of the path, which surprises.
fn warn_of_open_end(dst: &Entry, reader: &mut Reader<'_>) {
    let Some(src) = reader.entry("src_re") else { return };
    let ends = [&b"$"[..], br"\z"].iter().any(|end| src.value.ends_with(end) && !src.value.ends_with(br"\$"));
    if !ends {
        let warning = Diagnostic::warning(src.value_span.clone(), "src_re may match only the beginning of a path");
        let rest = format!("what it leaves over is put behind \"{}\"; end it with $", dst.text());
        reader.complain(warning.help(rest));
    }
}

/// Permission bits, in octal digits.
fn a_mode(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o7777 && !digits.starts_with('+'));
    mode.ok_or_else(|| "permission bits in octal, as 0644".to_owned())
}
