//! `log`, `log.NAME`, `loglevel.NAME` and `log_max_size` of `[daemon]`: which lines go where.

use super::values::{a_level, a_size};
use crate::config::ini::{Entry, Section};
use crate::config::keys::{Reader, expected};
use crate::parts::diag::{Diagnostic, Span};
use crate::parts::log::{Level, Route, Routes, SYSLOG_ADDRESS, Target};
use crate::sys::socket::LONGEST_PATH;

/// A log that is renamed every few lines is none.
const LEAST_SIZE: u64 = 4096;

/// What the sections have said so far.
#[derive(Default)]
pub(super) struct Logs {
    /// Each with the source that it stands in.
    routes: Vec<(usize, Route)>,
    levels: Vec<(String, Level)>,
    max_size: Option<u64>,
    /// Where lognames stand.
    names: Vec<(String, Span)>,
}

impl Logs {
    pub(super) fn read(&mut self, section: &Section, reader: &mut Reader<'_>) {
        for entry in &section.entries {
            match entry.key.split_once('.') {
                None if entry.key == "log" => self.route(None, entry, reader),
                Some(("log", name)) if !name.is_empty() => {
                    self.route(Some(name.to_owned()), entry, reader);
                    self.names.push((name.to_owned(), entry.key_span.clone()));
                }
                Some(("loglevel", name)) if !name.is_empty() => {
                    let level = reader.checked(entry, a_level(&entry.text()));
                    self.levels.extend(level.map(|level| (name.to_owned(), level)));
                    self.names.push((name.to_owned(), entry.key_span.clone()));
                }
                _ => {}
            }
        }
        self.max_size = reader.value("log_max_size", a_log_size).or(self.max_size);
    }

    /// Lines of one file add up; those of an earlier one are replaced.
    fn route(&mut self, logname: Option<String>, entry: &Entry, reader: &mut Reader<'_>) {
        let source = entry.key_span.source;
        let Some((target, level)) = reader.checked(entry, a_target(&entry.value)) else { return };
        self.routes.retain(|(other, route)| *other == source || route.logname != logname);
        if self.routes.iter().any(|(_, route)| route.logname == logname && route.target == target) {
            let complaint = Diagnostic::error(entry.value_span.clone(), "this target stands here a second time");
            reader.complain(complaint.help("one level only; remove one of them"));
        }
        self.routes.push((source, Route { logname, target, level }));
    }

    /// All of it, to standard error if nothing else is said.
    pub(super) fn routes(&self) -> Routes {
        let mut routes: Vec<Route> = self.routes.iter().map(|(_, route)| route.clone()).collect();
        if routes.iter().all(|route| route.logname.is_some()) {
            routes.extend(Routes::default().routes);
        }
        Routes { routes, levels: self.levels.clone(), max_size: self.max_size }
    }

    /// Warns of names under which nobody logs.
    pub(super) fn check_names(&self, known: &[&str], reader: &mut Vec<Diagnostic>) {
        for (name, span) in self.names.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            let warning = Diagnostic::warning(span.clone(), format!("nothing is logged under the name \"{name}\""));
            reader.push(warning.help(expected(name, known)));
        }
    }
}

fn a_log_size(text: &str) -> Result<u64, String> {
    let least = format!("at least {LEAST_SIZE}: a few lines have to fit");
    a_size(text).and_then(|size| if size < LEAST_SIZE { Err(least) } else { Ok(size) })
}

/// `stderr`, `syslog`, `syslog:ADDRESS` or `file:PATH`, and a level.
fn a_target(value: &[u8]) -> Result<(Target, Option<Level>), String> {
    let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let (target, level, more) = (words.next().unwrap_or_default(), words.next(), words.next());
    if more.is_some() {
        return Err("write a target and a level; a path cannot have blanks here".to_owned());
    }
    let level = level.map(|level| a_level(&String::from_utf8_lossy(level))).transpose()?;
    let target = match (target, target.strip_prefix(b"syslog:"), target.strip_prefix(b"file:")) {
        (b"stderr", ..) => Target::Stderr,
        (b"syslog", ..) => Target::Syslog(SYSLOG_ADDRESS.to_vec()),
        (_, Some(address), _) => Target::Syslog(an_address(address)?),
        (_, _, Some(path)) if path.starts_with(b"/") => Target::File(path.to_vec()),
        (_, _, Some(_)) => return Err("a log file's path begins with /".to_owned()),
        _ => return Err("write stderr, syslog, syslog:ADDRESS or file:PATH, and a level if it is not INFO".to_owned()),
    };
    Ok((target, level))
}

fn an_address(address: &[u8]) -> Result<Vec<u8>, String> {
    match address {
        [b'/', ..] if address.len() <= LONGEST_PATH => Ok(address.to_vec()),
        [b'/', ..] => Err(format!("a socket's path has at most {LONGEST_PATH} bytes (unix(7))")),
        _ => Err("write the path of a socket, as in syslog:/dev/log: dogwatch has no network socket".to_owned()),
    }
}
