//! The model: which paths there are, and what the rules say about the tasks of each.
//!
//! Two schedulers serve each watch. `all` is scheduled by whatever makes a name appear, or closes it; `closed` by
//! IN_CLOSE_WRITE alone; both are cancelled by what makes it go. So `all` has a task for each name below the watch, and
//! `closed` for a part of them that tells whether a task has followed its own file.

use crate::plan::{AWAY, EXCLUDED, Op, Place, ROOTS, Setting};
use std::collections::{BTreeMap, BTreeSet};

/// Whether there is a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Task {
    No,
    /// It depends on whether a scan was faster than a record, and the rules allow either.
    Maybe,
    Yes,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Dir(usize),
    /// A regular file, with the number of its inode: two names of one cannot be renamed onto each other.
    File(u32),
    /// Any other.
    Special(u32),
}

#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub kind: Kind,
    /// Of the schedulers `all` and `closed`.
    pub tasks: [Task; 2],
    /// Those of the watch that it was in before, since the daemon was last idle. Whoever has not seen it elsewhere meanwhile has
    /// seen it go from one place of that watch to another, and its tasks with it.
    kept: Option<(usize, [Task; 2])>,
}

#[derive(Clone, Default)]
struct Dir {
    entries: BTreeMap<Vec<u8>, Entry>,
    /// It has come since the daemon was last idle: a scan reports what is in it, sooner or later.
    fresh: bool,
}

impl Dir {
    fn settle(&mut self) {
        self.fresh = false;
        self.entries.values_mut().for_each(|entry| entry.kept = None);
    }
}

/// Which watch serves a path: the number of its root.
type Zone = Option<usize>;

#[derive(Clone)]
pub struct Model {
    setting: Setting,
    dirs: Vec<Dir>,
    inodes: u32,
    running: bool,
    /// All paths that anything watched ever had.
    ever: BTreeSet<Vec<u8>>,
    /// A directory came in from where nobody watches, or went to where nobody may have watched yet. What happened in it on
    /// the way may be told at its new path, if it was away for no longer than a rename's second half is waited for.
    returned: bool,
}

/// An entry's directory as a number, the zone of the name in it, and the name.
struct At<'p> {
    dir: usize,
    zone: Zone,
    name: &'p [u8],
}

impl Model {
    pub fn new(setting: Setting) -> Model {
        let dirs = vec![Dir::default(); ROOTS.len()];
        Model { setting, dirs, inodes: 0, running: false, ever: BTreeSet::new(), returned: false }
    }

    fn zone_of_root(root: usize) -> Zone {
        Some(root).filter(|root| *root != AWAY)
    }

    fn zone_below(&self, zone: Zone, name: &[u8]) -> Zone {
        zone.filter(|watch| !(self.setting.exclude[*watch] && name.starts_with(EXCLUDED)))
    }

    /// The directory of this place and its zone.
    fn directory(&self, root: usize, parts: &[Vec<u8>]) -> Option<(usize, Zone)> {
        let mut at = (root, Model::zone_of_root(root));
        for part in parts {
            match self.dirs[at.0].entries.get(part)?.kind {
                Kind::Dir(dir) => at = (dir, self.zone_below(at.1, part)),
                Kind::File(_) | Kind::Special(_) => return None,
            }
        }
        Some(at)
    }

    fn at<'p>(&self, place: &'p Place) -> Option<At<'p>> {
        let (name, above) = place.parts.split_last()?;
        let (dir, zone) = self.directory(place.root, above)?;
        Some(At { dir, zone: self.zone_below(zone, name), name })
    }

    fn get(&self, at: &At<'_>) -> Option<Entry> {
        self.dirs[at.dir].entries.get(at.name).copied()
    }

    /// What is at this place.
    pub fn entry(&self, place: &Place) -> Option<Entry> {
        self.get(&self.at(place)?)
    }

    /// What becomes of an operation; false if the kernel refuses it.
    pub fn apply(&mut self, op: &Op) -> bool {
        self.try_apply(op).is_some()
    }

    fn try_apply(&mut self, op: &Op) -> Option<()> {
        match op {
            Op::Mkdir(place) => {
                let at = self.free(place)?;
                self.dirs.push(Dir { entries: BTreeMap::new(), fresh: true });
                let kind = Kind::Dir(self.dirs.len() - 1);
                self.put(place, &at, kind, Task::No);
            }
            Op::Fifo(place) | Op::Symlink(place) => {
                let at = self.free(place)?;
                self.inodes += 1;
                self.put(place, &at, Kind::Special(self.inodes), Task::No);
            }
            Op::Link(from, to) => {
                let kind = self.get(&self.at(from)?).filter(|entry| !matches!(entry.kind, Kind::Dir(_)))?.kind;
                let at = self.free(to)?;
                let closed = if matches!(kind, Kind::File(_)) { self.if_scanned(&at) } else { Task::No };
                self.put(to, &at, kind, closed);
            }
            Op::Write(place) => {
                let at = self.at(place)?;
                if self.get(&at).is_none() {
                    self.inodes += 1;
                    self.put(place, &at, Kind::File(self.inodes), Task::No);
                }
                self.closed(&at)?;
            }
            Op::Append(place) => self.closed(&self.at(place)?)?,
            Op::WriteRenamed(from, to) => {
                let source = self.get(&self.at(from)?).filter(|entry| matches!(entry.kind, Kind::File(_)))?;
                self.rename(from, to)?;
                let moved = self.get(&self.at(from)?).is_none_or(|entry| entry.kind != source.kind);
                self.closed(&self.at(if moved { to } else { from })?)?;
            }
            Op::Unlink(place) => {
                let at = self.at(place)?;
                self.get(&at).filter(|entry| !matches!(entry.kind, Kind::Dir(_)))?;
                self.dirs[at.dir].entries.remove(at.name);
            }
            Op::Rmdir(place) => {
                let at = self.at(place)?;
                self.get(&at).filter(|entry| self.is_empty_dir(entry))?;
                self.dirs[at.dir].entries.remove(at.name);
            }
            Op::Rename(from, to) => self.rename(from, to)?,
            Op::Exchange(one, other) => self.exchange(one, other)?,
            Op::Chmod(place) => drop(self.get(&self.at(place)?)?),
            Op::Start => self.start(),
            Op::Settle => self.dirs.iter_mut().for_each(Dir::settle),
            Op::Stop | Op::Continue => {}
        }
        Some(())
    }

    fn free<'p>(&self, place: &'p Place) -> Option<At<'p>> {
        self.at(place).filter(|at| self.get(at).is_none())
    }

    fn is_empty_dir(&self, entry: &Entry) -> bool {
        matches!(entry.kind, Kind::Dir(dir) if self.dirs[dir].entries.is_empty())
    }

    /// A regular file that was not closed under this name: a scan takes it for one that was.
    fn if_scanned(&self, at: &At<'_>) -> Task {
        if self.dirs[at.dir].fresh { Task::Maybe } else { Task::No }
    }

    /// A name appears: IN_CREATE or IN_MOVED_TO.
    fn put(&mut self, place: &Place, at: &At<'_>, kind: Kind, closed: Task) {
        let tasks = if at.zone.is_some() { [Task::Yes, closed] } else { [Task::No; 2] };
        self.dirs[at.dir].entries.insert(at.name.to_vec(), Entry { kind, tasks, kept: None });
        if at.zone.is_some() {
            self.ever.insert(place.bytes());
        }
    }

    fn closed(&mut self, at: &At<'_>) -> Option<()> {
        let entry = self.dirs[at.dir].entries.get_mut(at.name)?;
        if !matches!(entry.kind, Kind::File(_)) {
            return None;
        }
        if at.zone.is_some() {
            entry.tasks = [Task::Yes; 2];
        }
        Some(())
    }

    fn rename(&mut self, from: &Place, to: &Place) -> Option<()> {
        let (source, target) = (self.at(from)?, self.at(to)?);
        let (entry, before) = (self.get(&source)?, self.get(&target));
        if before.is_some_and(|before| before.kind == entry.kind) || from == to {
            return Some(());
        }
        let is_dir = matches!(entry.kind, Kind::Dir(_));
        let fits = before.is_none_or(|before| match is_dir {
            true => self.is_empty_dir(&before),
            false => !matches!(before.kind, Kind::Dir(_)),
        });
        if !fits || (is_dir && to.is_within(from)) {
            return None;
        }
        // A task of `closed` that the overwritten file had is the path's, and stays. But that it was closed may be among what
        // was lost, and what is no regular file is not reported as closed.
        let is_file = |entry: &Entry| matches!(entry.kind, Kind::File(_));
        let had = match before.map_or(Task::No, |before| before.tasks[1]) {
            Task::Yes if self.setting.overflows() && !is_file(&entry) => Task::Maybe,
            had @ (Task::No | Task::Maybe | Task::Yes) => had,
        };
        let closed = match (self.dirs[target.dir].fresh, had) {
            (false, had) => had,
            (true, Task::Yes) if is_file(&entry) => Task::Yes,
            (true, Task::No) if !is_file(&entry) => Task::No,
            (true, _) => Task::Maybe,
        };
        self.dirs[source.dir].entries.remove(source.name);
        self.put(to, &target, entry.kind, closed);
        self.carry(to, entry.kind, source.zone, target.zone, self.dirs[target.dir].fresh);
        Some(())
    }

    /// The records are FROM one, TO other, FROM other, TO one. So the last that is heard of `other` is that it went,
    /// and nothing in them tells this from two renames one after the other: it may be without a task.
    fn exchange(&mut self, one: &Place, other: &Place) -> Option<()> {
        let (first, second) = (self.at(one)?, self.at(other)?);
        let (a, b) = (self.get(&first)?, self.get(&second)?);
        if a.kind == b.kind {
            return Some(());
        }
        if one.is_within(other) || other.is_within(one) {
            return None;
        }
        let files = [a, b].iter().any(|entry| matches!(entry.kind, Kind::File(_)));
        for (place, at, kind) in [(one, &first, b.kind), (other, &second, a.kind)] {
            let closed = if files { self.if_scanned(at) } else { Task::No };
            self.put(place, at, kind, closed);
        }
        if second.zone.is_some() {
            self.dirs[second.dir].entries.get_mut(second.name)?.tasks[0] = Task::Maybe;
        }
        self.carry(one, b.kind, second.zone, first.zone, self.dirs[first.dir].fresh);
        self.carry(other, a.kind, first.zone, second.zone, self.dirs[second.dir].fresh);
        Some(())
    }

    /// What lies below a directory goes with it. Where it changes hands, it is new. In a directory that is `fresh`, the
    /// scan may meet it before its rename is read, and report it as new too.
    fn carry(&mut self, place: &Place, kind: Kind, from: Zone, to: Zone, fresh: bool) {
        let Kind::Dir(dir) = kind else { return };
        self.dirs[dir].fresh |= fresh || from != to;
        self.returned |= (from.is_none() || fresh) && to.is_some() && self.running;
        for (name, mut entry) in self.dirs[dir].entries.clone() {
            let (before, after) = (self.zone_below(from, &name), self.zone_below(to, &name));
            let is_file = matches!(entry.kind, Kind::File(_));
            if from != to {
                let left = before.map(|watch| (watch, entry.tasks));
                entry.tasks = [after.is_some(), after.is_some() && is_file].map(yes_if);
                let kept =
                    entry.kept.filter(|(watch, _)| after == Some(*watch)).map_or([Task::No; 2], |(_, kept)| kept);
                let is_back = |(task, kept): (&mut Task, Task)| {
                    if *task == Task::No && kept != Task::No {
                        *task = Task::Maybe;
                    }
                };
                entry.tasks.iter_mut().zip(kept).for_each(is_back);
                entry.kept = left.or(entry.kept);
            } else if fresh && after.is_some() {
                let may_be = |task: &mut Task| *task = if *task == Task::Yes { Task::Yes } else { Task::Maybe };
                entry.tasks.iter_mut().take(if is_file { 2 } else { 1 }).for_each(may_be);
            }
            let below = place.join(&name);
            if after.is_some() {
                self.ever.insert(below.bytes());
            }
            self.dirs[dir].entries.insert(name, entry);
            self.carry(&below, entry.kind, before, after, fresh);
        }
    }

    /// What was there before counts if `existing` says so.
    fn start(&mut self) {
        fn visit(model: &mut Model, dir: usize, zone: Zone) {
            model.dirs[dir].fresh = false;
            for (name, mut entry) in model.dirs[dir].entries.clone() {
                let below = model.zone_below(zone, &name);
                let told = below.is_some() && model.setting.existing;
                entry.tasks = [told, told && matches!(entry.kind, Kind::File(_))].map(yes_if);
                model.dirs[dir].entries.insert(name, entry);
                if let Kind::Dir(dir) = entry.kind {
                    visit(model, dir, below);
                }
            }
        }
        self.running = true;
        for root in 0..ROOTS.len() {
            visit(self, root, Model::zone_of_root(root));
        }
    }

    /// All places below this one with their kind, the zone's watch and the tasks.
    pub fn walk(&self, base: &Place) -> Vec<(Place, Zone, Entry)> {
        let mut found = Vec::new();
        let mut todo: Vec<_> =
            self.directory(base.root, &base.parts).map(|(dir, zone)| (base.clone(), dir, zone)).into_iter().collect();
        while let Some((place, dir, zone)) = todo.pop() {
            for (name, entry) in &self.dirs[dir].entries {
                let (below, zone) = (place.join(name), self.zone_below(zone, name));
                if let Kind::Dir(dir) = entry.kind {
                    todo.push((below.clone(), dir, zone));
                }
                found.push((below, zone, *entry));
            }
        }
        found
    }

    /// The directory and all below it.
    pub fn directories(&self, base: &Place) -> Vec<Place> {
        let mut found = vec![base.clone()];
        found.extend(self.entries(base, |kind| matches!(kind, Kind::Dir(_))));
        found
    }

    pub fn entries(&self, base: &Place, is_it: impl Fn(&Kind) -> bool) -> Vec<Place> {
        self.walk(base).into_iter().filter(|(.., entry)| is_it(&entry.kind)).map(|(place, ..)| place).collect()
    }

    /// The names in a directory, and whether each is a directory.
    pub fn list(&self, place: &Place) -> Vec<(Vec<u8>, bool)> {
        let dir = self.directory(place.root, &place.parts).map(|(dir, _)| &self.dirs[dir]);
        let entries = dir.into_iter().flat_map(|dir| &dir.entries);
        entries.map(|(name, entry)| (name.clone(), matches!(entry.kind, Kind::Dir(_)))).collect()
    }

    /// Whether anything watched ever had this path; `None` if that cannot be told.
    pub fn ever_had(&self, path: &[u8]) -> Option<bool> {
        (!self.returned).then(|| self.ever.contains(path))
    }
}

fn yes_if(condition: bool) -> Task {
    if condition { Task::Yes } else { Task::No }
}
