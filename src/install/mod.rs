//! Service files and the default configuration: written below a root, and taken away again.
//!
//! Nothing that is there already is overwritten, and what is not byte for byte what this program would write is not taken
//! away: there is no other record of what was installed. Below a root that is another system's, no link leads out of it.

mod services;

pub use services::{CONFIGURATION, Entry, INITS, Init, What};

use crate::parts::beneath::{Refused, Root};
use crate::parts::diag::Failure;
use crate::parts::publish::{Draft, Over, Target};
use crate::sys::change::{self, Owner};
use crate::sys::fs::{self, CWD, Kind, Open};
use crate::sys::{Errno, Fd, fd};
use std::os::fd::AsFd;

/// The program's path in the texts.
const BINARY: &str = "/usr/bin/dogwatch";
/// A longer file is none of those that are read here.
const MOST_BYTES: usize = 1 << 20;

/// What stands where an entry belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// What belongs there.
    Same,
    /// Anything else.
    Other,
}

/// The system that is worked on.
#[derive(Debug)]
pub struct System {
    root: Root,
    path: Vec<u8>,
    /// Where the program is in it.
    binary: String,
    /// Whether it is the one that runs.
    pub is_running: bool,
}

impl System {
    /// Opens the system below the directory of this absolute path.
    pub fn open(path: &[u8]) -> Result<System, Failure> {
        let fail = |reason: Refused| Failure::on_path("use the root", path, reason);
        let root = Root::open(path).map_err(fail)?;
        let place = root.dir(b"", Open::Place).map_err(fail)?;
        let id = |at, path| fs::stat(at, path).map(|found| found.id()).map_err(|errno| fail(errno.into()));
        let is_running = id(place.as_fd(), b"")? == id(CWD, b"/")?;
        let prefix = if is_running { b"" } else { path.strip_suffix(b"/").unwrap_or(path) };
        Ok(System { root, path: prefix.to_vec(), binary: binary(prefix)?, is_running })
    }

    /// An entry's path as people see it.
    pub fn path(&self, entry: &Entry) -> Vec<u8> {
        self.shown(entry.path)
    }

    fn shown(&self, relative: &str) -> Vec<u8> {
        [&self.path[..], b"/", relative.as_bytes()].concat()
    }

    /// A text as it is written in this system.
    pub fn text(&self, text: &str) -> String {
        text.replace(BINARY, &self.binary)
    }

    /// What stands where an entry belongs.
    pub fn find(&self, entry: &Entry) -> Result<Found, Failure> {
        let fail = |errno| Failure::on_path("look at", &self.path(entry), errno);
        let Some((dir, name)) = self.look(entry.path)? else { return Ok(Found::Nothing) };
        let found = match fs::stat(dir.as_fd(), name) {
            Err(Errno::ENOENT) => return Ok(Found::Nothing),
            found => found.map_err(fail)?,
        };
        let read = || fs::read(dir.as_fd(), name, Open::Read, MOST_BYTES).map_err(fail);
        let is_same = match (entry.what, found.kind) {
            (What::Directory, Kind::Directory) => true,
            (What::Link(to), Kind::Symlink) => fs::read_link(dir.as_fd(), name).map_err(fail)? == to.as_bytes(),
            (What::File(text, _), Kind::File) => {
                let text = self.text(text);
                found.size == text.len() as u64 && read()? == text.as_bytes()
            }
            (What::Lines(text), Kind::File) => match position(&read()?, self.text(text).as_bytes()) {
                Some(_) => true,
                None => return Ok(Found::Nothing),
            },
            _ => false,
        };
        Ok(if is_same { Found::Same } else { Found::Other })
    }

    /// Makes an entry where nothing stands, with the directories that are missing on the way.
    pub fn make(&self, entry: &Entry) -> Result<(), Failure> {
        let dir = if matches!(entry.what, What::Directory) { entry.path } else { above(entry.path) };
        let fail = |reason| Failure::on_path("make", &self.path(entry), reason);
        self.root.make_dirs(dir.as_bytes(), Some(0o755), Owner::default()).map_err(fail)?;
        let (dir, name) = self.parent(entry.path)?;
        let dir_path = self.shown(above(entry.path));
        let target = Target { dir: dir.as_fd(), dir_path: &dir_path, name, patient: false };
        match entry.what {
            What::Directory => Ok(()),
            What::File(text, mode) => write(target, mode, self.text(text).as_bytes(), Over::Nothing),
            What::Link(to) => Draft::link(target, to.as_bytes())?.finish_over(Over::Nothing),
            What::Lines(text) => change_lines(target, |old| {
                let gap: &[u8] = if old.is_empty() || old.ends_with(b"\n") { b"" } else { b"\n" };
                [old, gap, self.text(text).as_bytes()].concat()
            }),
        }
    }

    /// Takes an entry away; a directory only if nothing is in it.
    pub fn remove(&self, entry: &Entry) -> Result<(), Failure> {
        let (dir, name) = self.parent(entry.path)?;
        let done = match entry.what {
            What::Directory => match change::remove_dir(dir.as_fd(), name) {
                Err(Errno::ENOTEMPTY | Errno::EEXIST) => Ok(()),
                done => done,
            },
            What::File(..) | What::Link(_) => change::unlink(dir.as_fd(), name),
            What::Lines(text) => {
                let dir_path = self.shown(above(entry.path));
                let target = Target { dir: dir.as_fd(), dir_path: &dir_path, name, patient: false };
                return change_lines(target, |old| without(old, self.text(text).as_bytes()));
            }
        };
        done.map_err(|errno| Failure::on_path("remove", &self.path(entry), errno))
    }

    /// What a path stands in, if that is there, and its name in it.
    fn look<'a>(&self, relative: &'a str) -> Result<Option<(Fd, &'a [u8])>, Failure> {
        match self.root.parent(relative.as_bytes(), Open::DirectoryNoFollow) {
            Err(Refused::Missing) => Ok(None),
            opened => opened.map(Some).map_err(|why| Failure::on_path("open", &self.shown(above(relative)), why)),
        }
    }

    fn parent<'a>(&self, relative: &'a str) -> Result<(Fd, &'a [u8]), Failure> {
        let missing = || Failure::on_path("open", &self.shown(above(relative)), Errno::ENOENT);
        self.look(relative)?.ok_or_else(missing)
    }
}

/// The init system that runs, if it is one of those that are known.
pub fn running() -> Option<&'static Init> {
    let is_there = |path: &[u8]| fs::stat(CWD, path).is_ok();
    let program = fs::read_link(CWD, b"/proc/1/exe").unwrap_or_default();
    // So it is called once an upgrade has replaced it (proc(5)).
    let program = program.strip_suffix(b" (deleted)").unwrap_or(&program);
    let called = fs::read(CWD, b"/proc/1/comm", Open::Read, 64).unwrap_or_default();
    let name = match program.rsplit(|byte| *byte == b'/').next().unwrap_or_default() {
        // As sd_booted(3) asks, and OpenRC's own scripts; that may have another program's init before it.
        _ if is_there(b"/run/systemd/system") => "systemd",
        _ if is_there(b"/run/openrc") => "openrc",
        // In a container it may be anything else, a shell for one.
        b"busybox" if matches!(called.trim_ascii_end(), b"init" | b"linuxrc") => "busybox",
        b"init" if is_there(b"/etc/inittab") => "sysvinit",
        b"s6-svscan" => "s6",
        b"runit" => "runit",
        b"dinit" => "dinit",
        _ => return None,
    };
    named(name)
}

/// The init system of this name.
pub fn named(name: &str) -> Option<&'static Init> {
    INITS.iter().find(|init| init.name == name)
}

/// Publishes a file with these permission bits.
fn write(target: Target<'_>, mode: u32, text: &[u8], over: Over) -> Result<(), Failure> {
    let draft = Draft::begin(target)?;
    let written = fd::write_all(draft.file(), text).and_then(|()| change::set_mode(draft.file(), mode));
    written.map_err(|errno| target.failure(errno))?;
    draft.finish_over(over)
}

/// Publishes a file that is there with another text.
fn change_lines(target: Target<'_>, change: impl FnOnce(&[u8]) -> Vec<u8>) -> Result<(), Failure> {
    let hint = "without it BusyBox has lines of its own, which it would do without then";
    let fail = |errno| match errno {
        Errno::ENOENT => target.failure(errno).hint(hint),
        errno => target.failure(errno),
    };
    let old = fs::open(target.dir, target.name, Open::Read).map_err(fail)?;
    let mode = fs::stat(old.as_fd(), b"").map_err(fail)?.mode;
    write(target, mode, &change(&fd::read_all(old.as_fd(), MOST_BYTES).map_err(fail)?), Over::File)
}

/// A text without the lines that are in it.
fn without(text: &[u8], lines: &[u8]) -> Vec<u8> {
    let (before, rest) = text.split_at(position(text, lines).unwrap_or(text.len()));
    [before, rest.get(lines.len()..).unwrap_or_default()].concat()
}

/// Where lines begin in a text.
fn position(text: &[u8], lines: &[u8]) -> Option<usize> {
    let begins = |at: usize| at == 0 || text.get(at - 1) == Some(&b'\n');
    (0..text.len()).find(|at| begins(*at) && text.get(*at..).is_some_and(|rest| rest.starts_with(lines)))
}

/// The path of what an entry stands in.
fn above(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(above, _)| above)
}

/// Where the program that runs is in the system below `prefix`: a program that is not in it will be at the usual place.
fn binary(prefix: &[u8]) -> Result<String, Failure> {
    let own =
        fs::read_link(CWD, b"/proc/self/exe").map_err(|errno| Failure::of("find the program's own path", errno))?;
    let Some(path) = own.strip_prefix(prefix).filter(|path| path.starts_with(b"/")) else {
        return Ok(BINARY.to_owned());
    };
    // Each of the texts has its own way of quoting.
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._+-".contains(byte);
    match std::str::from_utf8(path) {
        Ok(path) if path.bytes().all(|byte| is_plain(&byte)) => Ok(path.to_owned()),
        _ => Err(Failure::on_path("use the program", path, "its path cannot stand in service files as it is")
            .hint("copy it to /usr/bin/dogwatch")),
    }
}

#[cfg(test)]
mod tests;
