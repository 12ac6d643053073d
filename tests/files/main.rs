//! What rules do with files and directories, within a file system and across; here what the tests share.

mod across;
mod busy;
#[path = "../common/mod.rs"]
mod common;
mod fat;
mod full;
#[cfg(feature = "fault")]
mod kill;
mod left;
#[cfg(feature = "fault")]
mod plain;
mod random;
mod tree;
mod within;

use common::{Daemon, Scratch, is_gone, wait_until};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Rules for what is renamed into the watched directory, or written there. `@FAR` stands for `far`.
fn config(rules: &[&str], scheduler: &str, far: &Path) -> String {
    let names: Vec<String> = (0..rules.len()).map(|n| format!("r{n}")).collect();
    let sections: String = rules.iter().zip(&names).map(|(rule, name)| format!("[rule {name}]\n{rule}\n")).collect();
    let names = names.join(", ");
    let text = format!(
        "[daemon]\nshutdown_timeout = 0\nloglevel.files = debug\n{sections}[scheduler files]\nrules = {names}\n\
         dirs = yes\n{scheduler}\n[event_map m]\nIN_MOVED_TO, IN_CLOSE_WRITE = files\n[watch w]\npath = @SRC\nevent_map = m\n"
    );
    text.replace("@FAR", far.to_str().unwrap())
}

/// A rule that lets everything in the watched directory go on to a directory.
fn to(action: &str, dir: &str, keys: &str) -> String {
    format!("action = {action}\nsrc_re = ^@SRC/(.*)$\ndst_re = {dir}/\\1\n{keys}")
}

/// A scratch directory with another one beside the watched one, `dst`.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    for name in ["dst", "stage"] {
        fs::create_dir(scratch.path(name)).unwrap();
    }
    scratch
}

/// A directory on another file system.
fn far() -> Option<tempfile::TempDir> {
    let dir = tempfile::tempdir_in("/dev/shm").ok()?;
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    (device(dir.path()) != device(&std::env::temp_dir())).then_some(dir)
}

/// Puts what was made at `stage/NAME` where the daemon sees it.
fn send(scratch: &Scratch, name: &str) -> PathBuf {
    let path = scratch.src().join(name);
    fs::rename(scratch.path("stage").join(name), &path).unwrap();
    path
}

/// Makes a file at `stage/NAME`, and puts it where the daemon sees it.
fn send_file(scratch: &Scratch, name: &str, text: &str) -> PathBuf {
    fs::write(scratch.path("stage").join(name), text).unwrap();
    send(scratch, name)
}

/// Waits until a path's task has ended well, or badly for this reason.
#[track_caller]
fn await_end(daemon: &Daemon, path: &Path, end: &str) {
    // What the kernel tells and a scan finds are one task, which has the event that came last.
    let ends = ["", " (found by a scan)"].map(|found| format!("{}{found}: {end}", path.display()));
    wait_until(&format!("{} ends by {end}", path.display()), || ends.iter().any(|end| daemon.log().contains(end)));
}

fn children(pid: u32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// Kills a daemon, and waits until its workers have ended with it. It is stopped first, so that it starts none meanwhile.
#[track_caller]
fn kill_all(daemon: &mut Daemon) {
    daemon.signal(Signal::STOP);
    let workers = children(daemon.pid());
    daemon.signal(Signal::KILL);
    daemon.wait();
    wait_until("its workers end with it", || workers.iter().all(|pid| is_gone(*pid)));
}

/// Everything in a directory is gone, dogwatch's own names too.
#[track_caller]
fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}

/// Names of dogwatch's own that are left in a directory.
fn temporaries(dir: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.file_name().unwrap().to_str().is_some_and(|name| name.starts_with(".dogwatch-"))).collect()
}

/// All there is to know of a tree, an entry a line. Of a directory's size and links, and of inode numbers, nothing is told.
fn facts(top: &Path) -> Vec<String> {
    let mut facts = Vec::new();
    let mut first: Vec<(u64, String)> = Vec::new();
    collect(top, "", &mut first, &mut facts);
    facts
}

fn collect(path: &Path, shown: &str, first: &mut Vec<(u64, String)>, facts: &mut Vec<String>) {
    let found = fs::symlink_metadata(path).unwrap();
    let kind = found.file_type();
    let mut fact =
        format!("{shown} {:o} {}:{} {}.{}", found.mode(), found.uid(), found.gid(), found.mtime(), found.mtime_nsec());
    if kind.is_symlink() {
        fact += &format!(" -> {}", fs::read_link(path).unwrap().display());
    }
    if kind.is_file() {
        let bytes = fs::read(path).unwrap();
        let sum = bytes.chunks(8).fold(0_u64, |sum, chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            sum.wrapping_mul(31).wrapping_add(u64::from_le_bytes(word))
        });
        fact += &format!(" {} bytes {sum:x} links {}", bytes.len(), found.nlink());
        let holes = holes(path, bytes.len() as u64);
        if !holes.is_empty() {
            fact += &format!(" holes {holes:?}");
        }
        match first.iter().find(|(ino, _)| *ino == found.ino()) {
            Some((_, name)) => fact += &format!(" is {name}"),
            None => first.push((found.ino(), shown.to_owned())),
        }
    }
    for (name, value) in attributes(path) {
        fact += &format!(" {name}={value:x?}");
    }
    facts.push(fact);
    if kind.is_dir() {
        let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        for name in names {
            collect(&path.join(&name), &format!("{shown}/{}", name.to_str().unwrap()), first, facts);
        }
    }
}

/// Where a file has no bytes, from and to.
fn holes(path: &Path, len: u64) -> Vec<(u64, u64)> {
    let file = fs::File::open(path).unwrap();
    let (mut holes, mut at) = (Vec::new(), 0);
    while at < len {
        let start = rustix::fs::seek(&file, rustix::fs::SeekFrom::Hole(at)).unwrap();
        at = rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(start)).unwrap_or(len);
        holes.extend((start < len).then_some((start, at)));
    }
    holes
}

/// Extended attributes by name, but for those of the machine's own security modules.
fn attributes(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names = vec![0_u8; 65_536];
    let Ok(len) = rustix::fs::llistxattr(path, &mut names[..]) else { return Vec::new() };
    let names = names[..len].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    for name in names.map(|name| std::str::from_utf8(name).unwrap()).filter(|name| !name.starts_with("security.")) {
        let mut value = vec![0_u8; 65_536];
        let len = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
        value.truncate(len);
        all.push((name.to_owned(), value));
    }
    all.sort();
    all
}

/// Waits until nothing is left of workers' doings: what they began has come to an end.
#[track_caller]
fn await_gone(path: &Path) {
    wait_until(&format!("{} is gone", path.display()), || fs::symlink_metadata(path).is_err());
}
