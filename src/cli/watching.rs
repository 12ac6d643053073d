//! What `run` and `events` have in common: options that say what to watch, and the loop on a configuration made from them.

use super::daemon::{environment, failed, local_log};
use super::{USAGE, Usage, out, shown};
use crate::config::{Draft, Refused};
use crate::daemon::{self, End, Wishes};
use crate::engine::watch::events;
use crate::parts::diag::Failure;
use crate::parts::glob;
use crate::parts::text::to_bytes;
use crate::sys::fs::{self, CWD, Open};
use crate::sys::inotify::Mask;
use crate::sys::signal::{self, Signals};
use crate::sys::{Errno, fd};
use getopts::Matches;
use std::os::fd::AsFd;
use std::process::ExitCode;

/// Words for several events at once, as inotify(7) and inotifywait(1) have them.
const SEVERAL: [(&str, Mask); 3] = [
    ("close", Mask::CLOSE_WRITE.with(Mask::CLOSE_NOWRITE)),
    ("move", Mask::MOVED_FROM.with(Mask::MOVED_TO)),
    ("all", Mask(u32::MAX)),
];

/// Adds the options.
pub fn options(usage: &mut Usage) {
    usage.options.optflag("r", "recursive", "directories within as well, new ones too");
    usage.options.optmulti("e", "event", "only this event, or these with commas; may be repeated", "EVENT");
    usage.options.optmulti("x", "exclude", "leave out paths that match RE from their first / on", "RE");
}

/// The events that are asked for, as words; `usual` if none are. What is no event is among them.
pub fn asked_for(matches: &Matches, usual: Mask) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let names = |mask: Mask| events::bits(mask).map(|bit| events::first_name(bit).to_owned());
    let given = matches.opt_strs("event");
    for word in given.iter().flat_map(|list| list.split(',')).map(str::trim) {
        let several = SEVERAL.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, mask)| *mask);
        match several.or(events::by_name(word)) {
            Some(mask) => words.extend(names(mask)),
            None => words.push(word.to_owned()),
        }
    }
    if given.is_empty() {
        words.extend(names(usual));
    }
    words.sort();
    words.dedup();
    words
}

/// A draft that watches the paths for these events, each of which goes to `scheduler`.
pub fn draft(matches: &Matches, events: &[String], scheduler: &str, paths: &[String]) -> Result<Draft, ExitCode> {
    let mut draft = Draft::default();
    draft.section("daemon", "").set("log", "", b"stderr warning");
    draft.set("shutdown_timeout", "", b"0").set("on_shutdown", "", b"cancel");
    draft.section("event_map", "events");
    for event in events {
        draft.set(event, "-e", scheduler.as_bytes());
    }
    draft.section("watch", "paths").set("event_map", "", b"events");
    if matches.opt_present("recursive") {
        draft.set("rec", "-r", b"yes").set("auto_add", "-r", b"yes");
    }
    for pattern in matches.opt_strs("exclude") {
        draft.set("exclude", "-x", &to_bytes(&pattern));
    }
    for path in paths {
        draft.set("path", &shown(path), &literal(&existing(&to_bytes(path)).map_err(failed)?));
    }
    Ok(draft)
}

/// The absolute path of something that is there.
fn existing(word: &[u8]) -> Result<Vec<u8>, Failure> {
    let path = absolute(word)?;
    fs::stat(CWD, &path).map(|_| ()).map_err(|errno| Failure::on_path("watch", word, errno))?;
    Ok(path)
}

/// A path made absolute, and without `.` and `..`.
pub fn absolute(word: &[u8]) -> Result<Vec<u8>, Failure> {
    let fail = |errno| Failure::on_path("find", word, errno);
    // An empty word would name the working directory (inotifywait and others take it for a mistake too).
    let path = if word.is_empty() { Err(Errno::ENOENT) } else { fs::absolute(word) }.map_err(fail)?;
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    let up = parts.iter().rposition(|part| *part == b"..").map_or(0, |at| at + 1);
    let (above, below) = parts.split_at(up);
    // What is above `..` depends on where links lead.
    let above = if up == 0 { Vec::new() } else { real_directory(&above.join(&b'/')).map_err(fail)? };
    let names = below.iter().filter(|part| !part.is_empty() && **part != b".");
    let path = names.fold(above, |path, name| [&path[..], b"/", name].concat());
    Ok(if path.is_empty() { b"/".to_vec() } else { path })
}

/// A directory's absolute path without links, and without the slash at the end of the root.
fn real_directory(path: &[u8]) -> Result<Vec<u8>, Errno> {
    let back = fs::open(CWD, b".", Open::PlaceFollowing)?;
    fs::fchdir(fs::open(CWD, path, Open::PlaceFollowing)?.as_fd())?;
    let found = fs::absolute(b"");
    fs::fchdir(back.as_fd())?;
    // getcwd(2) ends with no slash, but for the root, to which absolute() adds a second.
    let end = |byte: &u8| *byte != b'/';
    found.map(|path| path[..path.iter().rposition(end).map_or(0, |at| at + 1)].to_vec())
}

/// A path as a pattern that matches it alone.
fn literal(path: &[u8]) -> Vec<u8> {
    path.iter().flat_map(|byte| [b'\\', *byte].into_iter().skip(usize::from(!glob::SPECIAL.contains(byte)))).collect()
}

/// What the command line says is no configuration.
pub fn refused(refused: Refused) -> ExitCode {
    out::complain(&refused.complaints.concat());
    ExitCode::from(USAGE)
}

/// Runs the loop on a draft, until Ctrl-C at the latest.
pub fn serve(draft: Draft, wishes: Wishes) -> Result<End, ExitCode> {
    let loaded = draft.load().map_err(refused)?;
    out::complain(&loaded.warnings.concat());
    fd::cloexec_inherited();
    let signals = signal::hangup_is_ignored().and_then(|ignored| Signals::new(wishes.looks_again || !ignored));
    let signals = signals.map_err(|errno| failed(Failure::of("take over signals", errno)))?;
    let log = local_log(&loaded.config).map_err(failed)?;
    daemon::run((loaded.config, None), environment(), log, signals, wishes).map_err(failed)
}
