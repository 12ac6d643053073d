//! What a run does: operations, and how a seed makes them. A plan depends on its seed alone, and any part of its steps
//! can be run: a step whose source is missing is left out.

use crate::expect::{Kind, Model};
use fastrand::Rng;
use std::fmt;

/// The watched directories and one that nobody watches.
pub const ROOTS: [&str; 3] = ["A", "B", "away"];
/// The last of [`ROOTS`].
pub const AWAY: usize = 2;
/// Names that begin like this are excluded where a watch excludes at all.
pub const EXCLUDED: &[u8] = b"no";

/// A path below one of [`ROOTS`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub root: usize,
    pub parts: Vec<Vec<u8>>,
}

impl Place {
    pub fn root(root: usize) -> Place {
        Place { root, parts: Vec::new() }
    }

    pub fn join(&self, name: &[u8]) -> Place {
        let mut parts = self.parts.clone();
        parts.push(name.to_vec());
        Place { root: self.root, parts }
    }

    /// Without the scratch directory before it.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = ROOTS[self.root].as_bytes().to_vec();
        for part in &self.parts {
            bytes.push(b'/');
            bytes.extend_from_slice(part);
        }
        bytes
    }

    pub fn is_within(&self, other: &Place) -> bool {
        self.root == other.root && self.parts.starts_with(&other.parts)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.bytes().escape_ascii().to_string();
        // The longest name is printed short.
        f.write_str(&text.replace(&String::from_utf8(long_name()).unwrap(), "LLL"))
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    Mkdir(Place),
    /// Open with O_CREAT and O_TRUNC, write, close.
    Write(Place),
    Append(Place),
    /// Open for writing, rename, write, close.
    WriteRenamed(Place, Place),
    Fifo(Place),
    Symlink(Place),
    Link(Place, Place),
    Unlink(Place),
    Rmdir(Place),
    Rename(Place, Place),
    Exchange(Place, Place),
    Chmod(Place),
    /// Starts the daemon; what comes before is there when it starts.
    Start,
    /// Stops it by SIGSTOP, so that everything is in the queue at once.
    Stop,
    Continue,
    /// Waits until it has nothing left to do.
    Settle,
}

impl Op {
    /// Whether all lanes have to be done with what comes before.
    pub fn is_barrier(&self) -> bool {
        matches!(self, Op::Start | Op::Stop | Op::Continue | Op::Settle)
    }
}

/// An operation, and which of two threads does it.
#[derive(Clone, PartialEq, Eq)]
pub struct Step {
    pub lane: usize,
    pub op: Op,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", if self.lane == 1 { "(2nd thread) " } else { "" }, self.op)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setting {
    /// Whether each watch excludes [`EXCLUDED`].
    pub exclude: [bool; 2],
    pub existing: bool,
    /// Every so manieth read of the queue is lost (test build).
    pub lost_read: Option<u32>,
    /// The queue has room for so many records.
    pub queue: Option<u32>,
}

impl Setting {
    /// Whether events may be lost.
    pub fn overflows(&self) -> bool {
        self.lost_read.is_some() || self.queue.is_some()
    }
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub setting: Setting,
    pub steps: Vec<Step>,
}

/// How events get lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    None,
    Forced,
    Real,
}

fn long_name() -> Vec<u8> {
    vec![b'L'; 255]
}

/// Names that are hard on programs.
fn odd_names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = ["new\nline", "q'\"$(x)`", "back\\slash\\n", "\u{202e}rtl", "-rf", "ü"]
        .map(|name| name.as_bytes().to_vec())
        .into();
    names.extend([b"\xff\xfe".to_vec(), b"\xc3".to_vec(), long_name(), b"no1".to_vec(), b"no2".to_vec()]);
    names
}

/// What a seed can do, in the order of [`Seed::weights`].
#[derive(Clone, Copy)]
enum Deed {
    Mkdir,
    Write,
    Append,
    WriteRenamed,
    Special,
    Link,
    Unlink,
    Rmdir,
    RemoveAll,
    RenameFile,
    RenameDir,
    MoveRoot,
    Exchange,
    Chmod,
    Deep,
    Wide,
}

const DEEDS: [(Deed, u32); 16] = [
    (Deed::Mkdir, 10),
    (Deed::Write, 10),
    (Deed::Append, 4),
    (Deed::WriteRenamed, 3),
    (Deed::Special, 2),
    (Deed::Link, 3),
    (Deed::Unlink, 5),
    (Deed::Rmdir, 3),
    (Deed::RemoveAll, 2),
    (Deed::RenameFile, 8),
    (Deed::RenameDir, 10),
    (Deed::MoveRoot, 3),
    (Deed::Exchange, 4),
    (Deed::Chmod, 1),
    (Deed::Deep, 1),
    (Deed::Wide, 1),
];

struct Seed {
    rng: Rng,
    model: Model,
    names: Vec<Vec<u8>>,
    weights: Vec<u32>,
    /// Where the lane's operations stay within: its own directory in each root, or the roots themselves.
    bases: [Place; 3],
    lane: usize,
    /// The daemon is left alone before and after each rename of a directory, so that none of them races with a scan; and
    /// none are exchanged.
    calm: bool,
    steps: Vec<Step>,
}

/// The plan of a seed.
pub fn plan(seed: u64, loss: Loss) -> Plan {
    let mut rng = Rng::with_seed(seed);
    let exclude = [rng.u8(..3) == 0, rng.u8(..3) == 0];
    let existing = rng.bool();
    let lost_read = (loss == Loss::Forced).then(|| rng.u32(1..8));
    let queue = (loss == Loss::Real).then(|| rng.u32(16..64));
    let setting = Setting { exclude, existing, lost_read, queue };
    let mut names: Vec<Vec<u8>> = (b'a'..b'a' + rng.u8(3..9)).map(|c| vec![c]).collect();
    let odd = odd_names();
    names.extend((0..rng.usize(..4)).map(|_| odd[rng.usize(..odd.len())].clone()));
    if exclude != [false; 2] {
        names.push(b"no1".to_vec());
    }
    // Some seeds do some things often and others not at all: what many do evenly, nobody does long enough.
    let weights = DEEDS.iter().map(|(_, weight)| weight * [0, 1, 1, 2, 5][rng.usize(..5)]).collect();
    let bases = [Place::root(0), Place::root(1), Place::root(AWAY)];
    let model = Model::new(setting);
    let calm = std::env::var_os("DOGWATCH_WILD").is_none();
    Seed { rng, model, names, weights, bases, lane: 0, calm, steps: Vec::new() }.plan(setting)
}

impl Seed {
    fn plan(mut self, setting: Setting) -> Plan {
        let lanes = if self.rng.u8(..4) == 0 { 2 } else { 1 };
        if lanes == 2 {
            for root in 0..ROOTS.len() {
                for lane in [&b"l0"[..], b"l1"] {
                    self.push(Op::Mkdir(Place::root(root).join(lane)));
                }
            }
        }
        let before = if self.rng.bool() { self.rng.usize(10..80) } else { 0 };
        self.burst(before, lanes);
        self.push(Op::Start);
        for _ in 0..self.rng.usize(1..5) {
            let burst = self.rng.usize(10..120);
            match self.rng.u8(..4) {
                0 => {
                    self.push(Op::Stop);
                    self.burst(burst, lanes);
                    self.push(Op::Continue);
                }
                1 => {
                    self.burst(burst, lanes);
                    self.push(Op::Stop);
                    self.burst(burst / 2, lanes);
                    self.push(Op::Continue);
                    self.burst(burst / 4, lanes);
                }
                _ => self.burst(burst, lanes),
            }
            if self.rng.u8(..3) > 0 {
                self.push(Op::Settle);
            }
        }
        Plan { setting, steps: self.steps }
    }

    /// Tries an operation in the plan's own model, and takes it in if it can be done.
    fn push(&mut self, op: Op) -> bool {
        if matches!(&op, Op::Rename(a, b) | Op::Exchange(a, b) | Op::WriteRenamed(a, b) if a == b) {
            return false;
        }
        let moves_dir = matches!(&op, Op::Rename(from, to) | Op::Exchange(from, to)
            if [from, to].into_iter().any(|place| self.is_dir(place)));
        if self.calm && moves_dir && matches!(op, Op::Exchange(..)) {
            return false;
        }
        let done = self.model.apply(&op);
        if done && self.calm && moves_dir {
            let op = [Op::Settle, op, Op::Settle];
            self.steps.extend(op.into_iter().map(|op| Step { lane: self.lane, op }));
        } else if done {
            self.steps.push(Step { lane: self.lane, op });
        }
        done
    }

    fn burst(&mut self, deeds: usize, lanes: usize) {
        for _ in 0..deeds {
            if lanes == 2 {
                self.lane = self.rng.usize(..2);
                let name = format!("l{}", self.lane);
                self.bases = [0, 1, AWAY].map(|root| Place::root(root).join(name.as_bytes()));
            }
            self.deed();
        }
        self.lane = 0;
    }

    fn deed(&mut self) {
        let mut at = self.rng.u32(..self.weights.iter().sum::<u32>().max(1));
        let chosen = self.weights.iter().position(|weight| {
            let here = at < *weight;
            at = at.saturating_sub(*weight);
            here
        });
        let is_dir = |kind: &Kind| matches!(kind, Kind::Dir(_));
        let is_file = |kind: &Kind| matches!(kind, Kind::File(_));
        let (new, dir, file) = (self.new_place(), self.entry(is_dir), self.entry(is_file));
        let leaf = self.entry(|kind| !is_dir(kind));
        match (DEEDS[chosen.unwrap_or(0)].0, dir, file) {
            (Deed::Mkdir, ..) => drop(self.push(Op::Mkdir(new))),
            (Deed::Write, ..) => drop(self.push(Op::Write(new))),
            (Deed::Append, _, Some(file)) => drop(self.push(Op::Append(file))),
            (Deed::WriteRenamed, _, Some(file)) => drop(self.push(Op::WriteRenamed(file, new))),
            (Deed::Special, ..) if self.rng.bool() => drop(self.push(Op::Fifo(new))),
            (Deed::Special, ..) => drop(self.push(Op::Symlink(new))),
            (Deed::Link, _, Some(file)) => drop(self.push(Op::Link(file, new))),
            (Deed::Unlink, ..) => drop(leaf.map(|leaf| self.push(Op::Unlink(leaf)))),
            (Deed::Rmdir, Some(dir), _) => drop(self.push(Op::Rmdir(dir))),
            (Deed::RemoveAll, Some(dir), _) => self.remove_all(&dir),
            (Deed::RenameFile, ..) => drop(leaf.map(|leaf| self.push(Op::Rename(leaf, new)))),
            (Deed::RenameDir, Some(dir), _) => drop(self.push(Op::Rename(dir, new))),
            // The same place in another tree, and back: where a path differs in its root alone.
            (Deed::MoveRoot, Some(dir), _) => {
                let mut there = dir.clone();
                there.root = self.rng.usize(..ROOTS.len());
                if self.push(Op::Rename(dir.clone(), there.clone())) && self.rng.bool() {
                    self.push(Op::Rename(there, dir));
                }
            }
            (Deed::Exchange, dir, _) => {
                let kind = self.rng.u8(..3);
                let pick = |seed: &mut Seed| seed.entry(|found| kind == 0 || is_dir(found) == (kind == 1));
                if let (Some(one), Some(other)) = (dir.filter(|_| kind == 1).or_else(|| pick(self)), pick(self)) {
                    self.push(Op::Exchange(one, other));
                }
            }
            (Deed::Chmod, dir, _) => drop(leaf.or(dir).map(|any| self.push(Op::Chmod(any)))),
            (Deed::Deep, ..) => self.deep(new),
            (Deed::Wide, ..) => self.wide(&new),
            (_, _, _) => {}
        }
    }

    fn deep(&mut self, mut place: Place) {
        // 20 names of 255 bytes are more than a path may have; 40 levels more than descriptors are kept.
        let (name, levels) = if self.rng.u8(..4) == 0 { (long_name(), 20) } else { (b"deep".to_vec(), 40) };
        let levels = if self.rng.bool() { 6 } else { levels };
        for _ in 0..self.rng.usize(2..levels) {
            if !self.push(Op::Mkdir(place.clone())) {
                return;
            }
            place = place.join(&name);
        }
        self.push(Op::Write(place));
    }

    fn wide(&mut self, place: &Place) {
        self.push(Op::Mkdir(place.clone()));
        for n in 0..self.rng.usize(2..60) {
            let place = place.join(format!("w{n}").as_bytes());
            self.push(if n % 4 == 3 { Op::Mkdir(place) } else { Op::Write(place) });
        }
    }

    fn remove_all(&mut self, place: &Place) {
        for (name, is_dir) in self.model.list(place) {
            let below = place.join(&name);
            match is_dir {
                true => self.remove_all(&below),
                false => drop(self.push(Op::Unlink(below))),
            }
        }
        self.push(Op::Rmdir(place.clone()));
    }

    fn is_dir(&self, place: &Place) -> bool {
        self.model.entry(place).is_some_and(|entry| matches!(entry.kind, Kind::Dir(_)))
    }

    fn base(&mut self) -> Place {
        let root = [0, 0, 0, 1, 1, AWAY][self.rng.usize(..6)];
        self.bases[root].clone()
    }

    fn directory(&mut self) -> Place {
        let base = self.base();
        let dirs = self.model.directories(&base);
        dirs[self.rng.usize(..dirs.len())].clone()
    }

    /// A name from the few there are, in any directory: it may be taken.
    fn new_place(&mut self) -> Place {
        let dir = self.directory();
        let name = self.names[self.rng.usize(..self.names.len())].clone();
        dir.join(&name)
    }

    fn entry(&mut self, is_it: impl Fn(&Kind) -> bool) -> Option<Place> {
        let base = self.base();
        let found = self.model.entries(&base, is_it);
        (!found.is_empty()).then(|| found[self.rng.usize(..found.len())].clone())
    }
}
