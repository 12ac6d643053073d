//! The disk and the kernel: what an operation changes, and which records it queues, one at a time.

use crate::sys::inotify::{Mask, Wd};
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const ISDIR: Mask = Mask::ISDIR;
/// In half of the runs, what has a path of this kind below /s, or lies below it, does not count.
pub const EXCLUDED: &str = "/s/(.*/)?(b|a/c)(/|$)";

#[derive(Default)]
pub struct Inode {
    /// Names in it, if it is a directory.
    pub names: Option<BTreeMap<String, usize>>,
    pub wd: Option<i32>,
    /// What its watch asks for.
    asked: Mask,
    /// Somebody has it open for writing.
    pub open: bool,
    /// It was closed where a watch is, and not renamed itself since; or it came to where one is with its directory.
    pub closed: bool,
    /// It is a directory that has come since the daemon last rested: a scan tells what is in it, sooner or later.
    fresh: bool,
    /// Names in it that may have been told as closed: by a record, or by such a scan.
    told: BTreeSet<String>,
}

/// What an operation has still to tell.
enum Due {
    Record {
        of: usize,
        mask: Mask,
        cookie: u32,
        name: String,
    },
    Closed {
        of: usize,
    },
    /// The inode's last name is gone.
    Gone {
        of: usize,
    },
}

pub struct Disk {
    pub inodes: Vec<Inode>,
    pub queue: VecDeque<(i32, Mask, u32, String)>,
    due: VecDeque<Due>,
    /// Inodes that the scanner has open.
    pub held: BTreeSet<usize>,
    /// What was deleted, but somebody has open: nobody is told of that before.
    late: Vec<usize>,
    /// The queue's limit.
    most: usize,
    pub overflows: usize,
    excludes: bool,
    last_wd: i32,
    last_cookie: u32,
}

/// What a program does.
#[derive(Clone, Debug)]
pub enum Op {
    MakeDir(String),
    Write(String),
    Remove(String),
    Rename(String, String),
    Exchange(String, String),
    /// Asks the daemon to take the configuration of this number.
    Reload(usize),
    /// Waits until the daemon has nothing left to do.
    Rest,
}

impl Disk {
    pub fn new(most: usize, excludes: bool) -> Disk {
        let mut disk = Disk {
            inodes: Vec::new(),
            queue: VecDeque::new(),
            due: VecDeque::new(),
            held: BTreeSet::new(),
            late: Vec::new(),
            most,
            overflows: 0,
            excludes,
            last_wd: 0,
            last_cookie: 0,
        };
        disk.inodes.push(Inode { names: Some(BTreeMap::new()), ..Inode::default() });
        for top in ["s", "t", "out"] {
            disk.make(0, top, true);
        }
        disk
    }

    pub fn find(&self, path: &str) -> Option<usize> {
        path.split('/').filter(|part| !part.is_empty()).try_fold(0, |at, name| self.child(at, name))
    }

    pub fn child(&self, dir: usize, name: &str) -> Option<usize> {
        self.inodes[dir].names.as_ref()?.get(name).copied()
    }

    pub fn is_dir(&self, inode: usize) -> bool {
        self.inodes[inode].names.is_some()
    }

    /// The watch that serves a path.
    pub fn zone(&self, path: &str) -> Option<usize> {
        let slashed = format!("{path}/");
        match (slashed.starts_with("/s/"), slashed.starts_with("/t/")) {
            (true, _) if self.excludes && (slashed.contains("/b/") || slashed.contains("/a/c/")) => None,
            (true, _) => Some(0),
            (_, true) => Some(1),
            (false, false) => None,
        }
    }

    fn put(&mut self, wd: Option<i32>, mask: Mask, cookie: u32, name: &str) {
        let Some(wd) = wd else { return };
        let record = (wd, mask, cookie, name.to_owned());
        if self.queue.len() < self.most {
            // The kernel drops what equals the last one, whatever the cookies (inotify_fsnotify.c, event_compare).
            let without_cookie = |record: &(i32, Mask, u32, String)| (record.0, record.1, record.3.clone());
            if self.queue.back().map(without_cookie) != Some(without_cookie(&record)) {
                self.queue.push_back(record);
            }
        } else if self.queue.back().is_some_and(|last| last.0 != -1) {
            self.overflows += 1;
            self.queue.push_back((-1, Mask::Q_OVERFLOW, 0, String::new()));
        }
    }

    fn make(&mut self, dir: usize, name: &str, is_dir: bool) -> usize {
        self.inodes.push(Inode { names: is_dir.then(BTreeMap::new), fresh: true, ..Inode::default() });
        let inode = self.inodes.len() - 1;
        self.link(dir, name, inode);
        inode
    }

    fn link(&mut self, dir: usize, name: &str, inode: usize) {
        self.inodes[dir].names.as_mut().unwrap().insert(name.to_owned(), inode);
    }

    fn unlink(&mut self, dir: usize, name: &str) {
        self.inodes[dir].names.as_mut().unwrap().remove(name);
    }

    /// Like `Inotify::watch`: what a watch asks for is added to, or replaced if it may be narrowed.
    pub fn watch(&mut self, inode: usize, mask: Mask, may_narrow: bool) -> Wd {
        let last = &mut self.last_wd;
        let inode = &mut self.inodes[inode];
        let is_new = inode.wd.is_none();
        let wd = *inode.wd.get_or_insert_with(|| {
            *last += 1;
            *last
        });
        inode.asked = if is_new || may_narrow { mask } else { inode.asked.with(mask) };
        Wd(wd)
    }

    pub fn unwatch(&mut self, wd: Wd) {
        if let Some(at) = self.inodes.iter().position(|inode| inode.wd == Some(wd.0)) {
            self.inodes[at].wd = None;
            self.put(Some(wd.0), Mask::IGNORED, 0, "");
        }
    }

    /// All paths below a directory, with their inodes.
    pub fn walk(&self, path: &str) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        let mut todo: Vec<(String, usize)> = self.find(path).map(|top| (path.to_owned(), top)).into_iter().collect();
        while let Some((path, at)) = todo.pop() {
            for (name, inode) in self.inodes[at].names.iter().flatten() {
                found.push((format!("{path}/{name}"), *inode));
                if self.is_dir(*inode) {
                    todo.push((format!("{path}/{name}"), *inode));
                }
            }
        }
        found
    }

    fn owe(&mut self, of: usize, mask: Mask, cookie: u32, name: &str) {
        self.due.push_back(Due::Record { of, mask, cookie, name: name.to_owned() });
    }

    /// Whether something has changed of which not all records are queued.
    pub fn owes(&self) -> bool {
        !self.due.is_empty()
    }

    /// Queues the next of the records that are due. A file counts as open for an instant after its IN_CLOSE_WRITE, which
    /// no scan is fast enough to fall into.
    pub fn tell(&mut self) {
        match self.due.pop_front() {
            Some(Due::Record { of, mask, cookie, name }) => {
                let asks = self.inodes[of].asked.any(Mask(mask.0 & !ISDIR.0));
                self.put(self.inodes[of].wd.filter(|_| asks), mask, cookie, &name);
                if matches!(self.due.front(), Some(Due::Closed { .. })) {
                    self.tell();
                }
            }
            Some(Due::Closed { of }) => self.inodes[of].open = false,
            // Some are open elsewhere.
            Some(Due::Gone { of }) if of % 8 == 0 || self.held.contains(&of) => self.late.push(of),
            Some(Due::Gone { of }) => self.forget(of),
            None => {}
        }
    }

    fn forget(&mut self, inode: usize) {
        let wd = self.inodes[inode].wd.take();
        self.put(wd, Mask::DELETE_SELF, 0, "");
        self.put(wd, Mask::IGNORED, 0, "");
    }

    /// Whether something that was deleted is open.
    pub fn has_late(&self) -> bool {
        !self.late.is_empty()
    }

    /// What was deleted and is not open any more is told of; in the end, all is. False if that was nothing.
    pub fn release(&mut self, all: bool) -> bool {
        let held = &self.held;
        let is_free = |inode: &usize| all || (*inode % 8 != 0 && !held.contains(inode));
        let (free, late): (Vec<usize>, Vec<usize>) = std::mem::take(&mut self.late).into_iter().partition(is_free);
        self.late = late;
        free.iter().for_each(|inode| self.forget(*inode));
        !free.is_empty()
    }

    /// Changes the disk; what is to be told of it is due.
    pub fn perform(&mut self, op: &Op) -> Option<()> {
        let split = |path: &str| path.rsplit_once('/').map(|(dir, name)| (dir.to_owned(), name.to_owned())).unwrap();
        match op {
            Op::MakeDir(path) => {
                let (dir, name) = split(path);
                let dir = self.find(&dir).filter(|dir| self.is_dir(*dir))?;
                if self.child(dir, &name).is_none() {
                    self.make(dir, &name, true);
                    self.owe(dir, Mask::CREATE.with(ISDIR), 0, &name);
                }
            }
            Op::Write(path) => {
                let (dir, name) = split(path);
                let dir = self.find(&dir).filter(|dir| self.is_dir(*dir))?;
                let file = match self.child(dir, &name) {
                    Some(known) if self.is_dir(known) => return None,
                    Some(known) => known,
                    None => {
                        self.owe(dir, Mask::CREATE, 0, &name);
                        self.make(dir, &name, false)
                    }
                };
                self.owe(dir, Mask::CLOSE_WRITE, 0, &name);
                self.inodes[dir].told.insert(name);
                self.due.push_back(Due::Closed { of: file });
                (self.inodes[file].open, self.inodes[file].closed) = (true, true);
            }
            Op::Remove(path) => {
                let (dir, name) = split(path);
                let dir = self.find(&dir)?;
                let inode = self.child(dir, &name)?;
                if self.inodes[inode].names.as_ref().is_some_and(|names| !names.is_empty()) {
                    return None;
                }
                self.unlink(dir, &name);
                self.inodes[dir].told.remove(&name);
                let mask = if self.is_dir(inode) { Mask::DELETE.with(ISDIR) } else { Mask::DELETE };
                self.owe(dir, mask, 0, &name);
                self.due.push_back(Due::Gone { of: inode });
            }
            Op::Reload(_) | Op::Rest => {}
            Op::Rename(from, to) => self.rename((from, to), split(from), split(to), false)?,
            Op::Exchange(from, to) => self.rename((from, to), split(from), split(to), true)?,
        }
        Some(())
    }

    fn rename(
        &mut self,
        (from, to): (&str, &str),
        (old_dir, old): (String, String),
        (new_dir, new): (String, String),
        exchange: bool,
    ) -> Option<()> {
        let below = |path: &str, top: &str| path == top || path.starts_with(&format!("{top}/"));
        let (old_at, new_at) = (self.find(&old_dir)?, self.find(&new_dir)?);
        let inode = self.child(old_at, &old).filter(|_| self.is_dir(new_at))?;
        let target = self.child(new_at, &new);
        if below(to, from) || (exchange && below(from, to)) || (exchange && target.is_none()) {
            return None;
        }
        if let Some(target) = target.filter(|_| !exchange) {
            let empty = self.inodes[target].names.as_ref().is_none_or(BTreeMap::is_empty);
            if self.is_dir(target) != self.is_dir(inode) || !empty || target == inode {
                return None;
            }
        }
        self.carry(inode, (from, to), new_at);
        target.into_iter().filter(|_| exchange).for_each(|target| self.carry(target, (to, from), old_at));
        self.inodes[old_at].told.remove(&old);
        if exchange {
            self.inodes[new_at].told.remove(&new);
        }
        self.unlink(old_at, &old);
        self.link(new_at, &new, inode);
        if let Some(target) = target.filter(|_| exchange) {
            self.link(old_at, &old, target);
        }
        for (dir, name) in [(old_at, &old), (new_at, &new)] {
            if self.inodes[dir].fresh && self.child(dir, name).is_some() {
                self.inodes[dir].told.insert(name.clone());
            }
        }
        self.owe_rename((old_at, &old), (new_at, &new), inode);
        match target {
            Some(target) if exchange => self.owe_rename((new_at, &new), (old_at, &old), target),
            Some(target) => self.due.push_back(Due::Gone { of: target }),
            None => {}
        }
        Some(())
    }

    /// What is closed where a watch is, for certain; and what may be told, for a directory has come there with it, or a scan
    /// may meet it before its rename is read.
    fn carry(&mut self, inode: usize, (from, to): (&str, &str), into: usize) {
        let fresh = self.inodes[into].fresh;
        let is_new = |disk: &Disk, path: &str| disk.zone(path) != disk.zone(&path.replacen(from, to, 1));
        self.inodes[inode].closed = false;
        self.inodes[inode].fresh |= fresh || is_new(self, from);
        for (path, inode) in self.walk(from) {
            let is_new = is_new(self, &path);
            let new = path.replacen(from, to, 1);
            self.inodes[inode].closed |= self.zone(&new).is_some() && is_new;
            self.inodes[inode].fresh |= fresh || is_new;
            let (dir, name) = path.rsplit_once('/').unwrap();
            if let Some(dir) = self.find(dir).filter(|_| fresh || is_new) {
                self.inodes[dir].told.insert(name.to_owned());
            }
        }
    }

    /// The daemon has nothing left to do.
    pub fn rests(&mut self) {
        self.inodes.iter_mut().for_each(|inode| inode.fresh = false);
    }

    /// Whether what is at this path may have been told as closed.
    pub fn may_be_told(&self, path: &str) -> bool {
        path.rsplit_once('/')
            .is_some_and(|(dir, name)| self.find(dir).is_some_and(|dir| self.inodes[dir].told.contains(name)))
    }

    fn owe_rename(&mut self, from: (usize, &str), to: (usize, &str), inode: usize) {
        self.last_cookie += 1;
        let cookie = self.last_cookie;
        let dir = if self.is_dir(inode) { ISDIR } else { Mask::default() };
        self.owe(from.0, Mask::MOVED_FROM.with(dir), cookie, from.1);
        self.owe(to.0, Mask::MOVED_TO.with(dir), cookie, to.1);
        self.owe(inode, Mask::MOVE_SELF, 0, "");
    }
}

const TOPS: [&str; 5] = ["/s", "/s", "/s", "/t", "/out"];

fn random_path(rng: &mut Rng, deep: usize) -> String {
    let mut path = rng.choice(TOPS).unwrap().to_owned();
    for _ in 0..rng.usize(1..=deep) {
        path += rng.choice(["/a", "/b", "/c"]).unwrap();
    }
    path
}

/// What operations are about: any path or, in half of the seeds, mostly one that is there by then. The former meet each
/// other on few paths, the latter are seldom refused.
struct Paths {
    deep: usize,
    /// The operations so far have been done here.
    disk: Option<Disk>,
}

impl Paths {
    fn present(&self, rng: &mut Rng, is_dir: bool) -> Option<String> {
        let disk = self.disk.as_ref().filter(|_| rng.u8(..) < 200)?;
        let mut found = disk.walk(rng.choice(TOPS)?);
        found.retain(|(_, inode)| disk.is_dir(*inode) == is_dir);
        rng.choice(found).map(|(path, _)| path)
    }

    fn dir(&self, rng: &mut Rng) -> String {
        self.present(rng, true).unwrap_or_else(|| random_path(rng, self.deep))
    }

    fn file(&self, rng: &mut Rng) -> String {
        self.present(rng, false).unwrap_or_else(|| self.new_file(rng))
    }

    fn new_file(&self, rng: &mut Rng) -> String {
        self.dir(rng) + rng.choice(["/f", "/g"]).unwrap()
    }

    fn new_dir(&self, rng: &mut Rng) -> String {
        match self.present(rng, true) {
            Some(above) => above + rng.choice(["/a", "/b", "/c"]).unwrap(),
            None => random_path(rng, self.deep),
        }
    }
}

/// Operations with numbers of their own. Some seeds do some things often and others not at all: what many do evenly,
/// nobody does long enough.
pub fn random_ops(rng: &mut Rng) -> Vec<(u64, Op)> {
    let (len, deep) = (rng.usize(5..120), rng.usize(2..5));
    let mut paths = Paths { deep, disk: rng.bool().then(|| Disk::new(usize::MAX, false)) };
    let weights = [30, 3, 15, 10, 10, 20, 8, 7, 3].map(|weight| weight * [0, 1, 1, 2, 5][rng.usize(..5)]);
    let mut op = |rng: &mut Rng| {
        let mut at = rng.u32(..weights.iter().sum::<u32>().max(1));
        let chosen = weights.iter().position(|weight| {
            let here = at < *weight;
            at = at.saturating_sub(*weight);
            here
        });
        let op = match chosen.unwrap_or(0) {
            0 => Op::MakeDir(paths.new_dir(rng)),
            1 => Op::Write(random_path(rng, deep)),
            2 => Op::Write(paths.new_file(rng)),
            3 => Op::Remove(paths.dir(rng)),
            4 => Op::Remove(paths.file(rng)),
            5 => Op::Rename(paths.dir(rng), paths.new_dir(rng)),
            6 => Op::Rename(paths.file(rng), paths.new_file(rng)),
            7 => Op::Exchange(paths.dir(rng), paths.dir(rng)),
            _ => Op::Exchange(paths.file(rng), paths.file(rng)),
        };
        paths.disk.iter_mut().for_each(|disk| _ = disk.perform(&op));
        op
    };
    (0..len).map(|_| (rng.u64(..), op(rng))).collect()
}
