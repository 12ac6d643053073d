//! Other configurations while the disk changes: watches come, go and say something else, schedulers change their numbers.
//!
//! What is to be expected is kept for each file and each watch apart: `must` if a watch covered it, without a gap, since
//! something happened to it that counts (or was to tell what is there); `may` if a task for it can be explained. What
//! DESIGN.md leaves open (what changed while no watch covered it, or while the configuration did) is neither.

use super::*;
use std::collections::BTreeMap;

/// All watches that there may be: two of them of one path, and one below another's.
const TOPS: [&str; 4] = ["/s", "/t", "/s", "/s/a"];
/// Half a turn of doubt: what changed so shortly before a new configuration may be told to whoever is new in it.
const SHORTLY: u64 = 3;

/// What a configuration says of one of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Spec {
    rec: bool,
    auto_add: bool,
    excludes: bool,
    existing: bool,
}

impl Spec {
    fn random(rng: &mut Rng) -> Spec {
        let (rec, auto_add) =
            rng.choice([(true, true), (true, true), (false, false), (true, false), (false, true)]).unwrap();
        Spec { rec, auto_add, excludes: rng.bool(), existing: rng.bool() }
    }

    fn is_another(self, before: Option<Spec>) -> bool {
        before.is_none_or(|before| Spec { existing: self.existing, ..before } != self)
    }
}

#[derive(Clone, Debug)]
struct Configuration {
    watches: [Option<Spec>; 4],
    /// For which watch, and whether for what is closed alone.
    schedulers: Vec<(usize, bool)>,
}

/// Whether what happens at a path counts for a watch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cover {
    No,
    May,
    Must,
}

impl Configuration {
    fn random(rng: &mut Rng, like: Option<&Configuration>) -> Configuration {
        let watches = std::array::from_fn(|at| match like {
            Some(like) if rng.u8(..) < 140 => like.watches[at],
            _ => (rng.u8(..) < 180).then(|| Spec::random(rng)),
        });
        let mut schedulers: Vec<(usize, bool)> = Vec::new();
        for (at, watch) in watches.iter().enumerate() {
            if watch.is_some() || rng.bool() {
                schedulers.extend([(at, false), (at, true)]);
            }
        }
        rng.shuffle(&mut schedulers);
        Configuration { watches, schedulers }
    }

    fn cover(&self, watch: usize, path: &str) -> Cover {
        let Some(spec) = self.watches[watch] else { return Cover::No };
        let Some(below) = path.strip_prefix(TOPS[watch]).filter(|below| below.is_empty() || below.starts_with('/'))
        else {
            return Cover::No;
        };
        let slashed = format!("{path}/");
        let excluded = path.starts_with("/s/") && (slashed.contains("/b/") || slashed.contains("/a/c/"));
        match below.matches('/').count() {
            // A configured path that is a file counts itself.
            0 if TOPS[watch] == "/s/a" => Cover::May,
            0 => Cover::No,
            _ if spec.excludes && excluded => Cover::No,
            1 => Cover::Must,
            _ => match (spec.rec, spec.auto_add) {
                (true, true) => Cover::Must,
                (false, false) => Cover::No,
                _ => Cover::May,
            },
        }
    }

    fn watches(&self) -> Vec<Watch> {
        let present = (0_u16..).zip(self.watches).filter_map(|(at, spec)| Some((at, spec?)));
        let watch = |(at, spec): (u16, Spec)| Watch {
            name: at.to_string(),
            paths: vec![TOPS[usize::from(at)].as_bytes().into()],
            map: at,
            rec: spec.rec,
            auto_add: spec.auto_add,
            existing: spec.existing,
            tidied: false,
            exclude: if spec.excludes { vec![Pattern::new(EXCLUDED.as_bytes()).unwrap()] } else { Vec::new() },
        };
        present.map(watch).collect()
    }

    fn number(&self, scheduler: (usize, bool)) -> Option<SchedulerId> {
        self.schedulers.iter().position(|known| *known == scheduler).map(|at| at as SchedulerId)
    }

    fn rules(&self) -> Rules {
        let day = Millis(86_400_000);
        let scheduler =
            |closed: bool| Scheduler { delay: day, dirs: !closed, notes: Level::Debug, ..Scheduler::default() };
        let map = |watch: usize| {
            let mut map = EventMap::default();
            let both = [false, true].map(|closed| self.number((watch, closed)));
            let [Some(all), Some(closed)] = both else { return map };
            let to = |verb| move |scheduler| Action { scheduler, verb };
            for event in [Mask::CREATE, Mask::MOVED_TO] {
                map.set(event, vec![to(Verb::Schedule)(all)]);
            }
            map.set(Mask::CLOSE_WRITE, [all, closed].map(to(Verb::Schedule)).to_vec());
            for event in [Mask::DELETE, Mask::MOVED_FROM] {
                map.set(event, [all, closed].map(to(Verb::Cancel)).to_vec());
            }
            map
        };
        let schedulers = self.schedulers.iter().map(|(_, closed)| scheduler(*closed)).collect();
        Rules { schedulers, maps: (0..TOPS.len()).map(map).collect(), max_jobs: 9 }
    }
}

/// What is expected of an inode, by watch.
#[derive(Clone, Default)]
struct Mark {
    path: String,
    /// In whose directory, and by what name.
    entry: (usize, String),
    all: [bool; 4],
    closed: [bool; 4],
    may: [bool; 4],
    /// When its ctime changed, and when its path did.
    touched: u64,
    moved: u64,
}

pub struct Reloads {
    configurations: Vec<Configuration>,
    current: usize,
    pub asked: Option<usize>,
    /// These are new, and have not seen all yet.
    fresh: [bool; 4],
    marks: BTreeMap<usize, Mark>,
    /// What has gone or got another path, and when.
    left: Vec<(u64, String)>,
    /// Tasks that may be left of what went unseen.
    ghosts: BTreeSet<(usize, String)>,
    /// When all that had happened had been read last.
    read_at: u64,
    /// When each configured path came back last: what comes into it before it is met, has come with it as far as is known.
    returned: [u64; 4],
    /// What has changed since counts as recent.
    pub since: u64,
}

impl Reloads {
    fn new(configurations: Vec<Configuration>) -> Reloads {
        Reloads {
            configurations,
            current: 0,
            asked: None,
            fresh: [false; 4],
            marks: BTreeMap::new(),
            left: Vec::new(),
            ghosts: BTreeSet::new(),
            read_at: 0,
            returned: [0; 4],
            since: 0,
        }
    }

    fn now(&self) -> &Configuration {
        &self.configurations[self.current]
    }

    pub fn is_recent(&self, inode: usize) -> bool {
        self.marks.get(&inode).is_none_or(|mark| mark.touched + SHORTLY >= self.since)
    }

    /// Something has been done: to whom does it count?
    pub fn note(&mut self, disk: &Disk, op: &Op, now: u64, before: [Option<usize>; 4]) {
        let config = self.configurations[self.current].clone();
        let after = TOPS.map(|top| disk.find(top));
        let written = if let Op::Write(path) = op { disk.find(path) } else { None };
        for watch in (0..TOPS.len()).filter(|watch| before[*watch] != after[*watch]) {
            self.returned[watch] = now;
        }
        let mut old = std::mem::take(&mut self.marks);
        for (path, entry, inode) in places(disk) {
            let mut mark = old.remove(&inode).unwrap_or_default();
            let itself = mark.entry != entry;
            let moved = mark.path != path;
            let from = std::mem::replace(&mut mark.path, path.clone());
            mark.entry = entry;
            if itself || written == Some(inode) {
                mark.touched = now;
            }
            if moved {
                mark.moved = now;
            }
            for watch in 0..TOPS.len() {
                let (was, is) = (config.cover(watch, &from), config.cover(watch, &path));
                let existing = config.watches[watch].is_some_and(|spec| spec.existing);
                mark.may[watch] |= is != Cover::No && (moved || itself || written == Some(inode));
                let must = is == Cover::Must;
                if written == Some(inode) {
                    (mark.all[watch], mark.closed[watch]) = (must, must);
                } else if before[watch] != after[watch] && is != Cover::No {
                    // It is below a configured path that has come back.
                    let told = must && existing && !self.fresh[watch];
                    (mark.all[watch], mark.closed[watch]) = (told, told);
                } else if itself {
                    // Nobody hears that a path has another directory as long as the one before is open somewhere.
                    let told = existing || self.returned[watch] < self.read_at || !disk.has_late();
                    (mark.all[watch], mark.closed[watch]) = (must && told, false);
                } else if moved && was != Cover::Must {
                    let told = must && !self.fresh[watch] && (existing || self.returned[watch] < self.read_at);
                    (mark.all[watch], mark.closed[watch]) = (told, told);
                } else if moved && !must {
                    (mark.all[watch], mark.closed[watch]) = (false, false);
                }
                if moved && !from.is_empty() {
                    self.ghosts.extend((was != Cover::Must || self.fresh[watch]).then(|| (watch, from.clone())));
                }
            }
            if moved && !from.is_empty() {
                // What is left there moves along.
                let below = |(watch, ghost): &(usize, String)| {
                    let rest = ghost.strip_prefix(&from).filter(|rest| rest.starts_with('/'))?;
                    Some((*watch, path.clone() + rest))
                };
                let along: Vec<_> = self.ghosts.iter().filter_map(below).collect();
                self.ghosts.extend(along);
                self.left.push((now, from));
            }
            self.marks.insert(inode, mark);
        }
        for gone in old.into_values() {
            let fresh = self.fresh;
            let uncovered =
                (0..TOPS.len()).filter(|watch| config.cover(*watch, &gone.path) != Cover::Must || fresh[*watch]);
            self.ghosts.extend(uncovered.map(|watch| (watch, gone.path.clone())));
            self.left.push((now, gone.path));
        }
    }

    /// Another configuration holds.
    fn switch(&mut self, to: usize, now: u64) {
        let (old, new) = (self.now().clone(), self.configurations[to].clone());
        self.current = to;
        self.since = now;
        for watch in 0..TOPS.len() {
            let has_schedulers = new.number((watch, false)).is_some();
            let is_new = new.watches[watch].is_some_and(|spec| spec.is_another(old.watches[watch]));
            let existing = new.watches[watch].is_some_and(|spec| spec.existing);
            let existed = old.watches[watch].is_some_and(|spec| spec.existing);
            self.fresh[watch] = is_new;
            if !has_schedulers {
                self.ghosts.retain(|(of, _)| *of != watch);
            }
            for mark in self.marks.values_mut() {
                let is = new.cover(watch, &mark.path);
                if !has_schedulers {
                    mark.may[watch] = false;
                }
                // What has come with a configured path, and is not read yet, is met by the new one's word.
                let came = mark.moved > mark.touched && mark.moved + SHORTLY >= self.read_at.min(now);
                if is != Cover::Must || (came && existed && !existing) {
                    (mark.all[watch], mark.closed[watch]) = (false, false);
                }
                if is_new && is != Cover::No {
                    let shortly = mark.touched.max(mark.moved) + SHORTLY >= self.read_at.min(now);
                    mark.may[watch] |= existing || shortly;
                    if existing && is == Cover::Must {
                        (mark.all[watch], mark.closed[watch]) = (true, true);
                    }
                }
            }
            for (at, path) in &self.left {
                if *at + SHORTLY >= self.read_at && (is_new || new.cover(watch, path) != Cover::Must) {
                    self.ghosts.insert((watch, path.clone()));
                }
            }
        }
    }
}

/// All that is on the disk: path, directory and name, inode.
fn places(disk: &Disk) -> Vec<(String, (usize, String), usize)> {
    let place = |(path, inode): (String, usize)| {
        let path = path.replacen("//", "/", 1);
        let (dir, name) = path.rsplit_once('/').unwrap();
        let entry = (disk.find(dir).unwrap(), name.to_owned());
        (path, entry, inode)
    };
    disk.walk("/").into_iter().map(place).collect()
}

pub fn tops(disk: &Disk) -> [Option<usize>; 4] {
    TOPS.map(|top| disk.find(top))
}

impl World {
    /// What `Daemon::reload_if_asked` does.
    pub fn reload_if_asked(&mut self) {
        let calm = !self.has_work() && !self.engine.watches.is_in_doubt();
        let Some(reloads) = self.reloads.as_mut().filter(|_| calm) else { return };
        reloads.fresh = [false; 4];
        if self.disk.queue.is_empty() && !self.disk.owes() && !self.disk.has_late() {
            reloads.read_at = self.now;
        }
        let Some(to) = reloads.asked.take() else { return };
        self.story.push(format!("another configuration: {:?}", reloads.configurations[to]));
        let (old, new) = (reloads.now().clone(), reloads.configurations[to].clone());
        reloads.switch(to, self.now);
        let number = |scheduler: SchedulerId| new.number(*old.schedulers.get(usize::from(scheduler))?);
        self.engine.reconfigure(&new.watches(), new.rules(), &number, false);
        self.engine.watches.tree().check();
        self.engine.tasks.check(self.engine.watches.tree());
        self.tell();
    }

    fn with_reloads(seed: u64, most: usize) -> World {
        let mut rng = Rng::with_seed(seed ^ 0x5EED);
        let first = Configuration::random(&mut rng, None);
        let mut configurations = vec![first.clone()];
        configurations.extend((0..3).map(|_| Configuration::random(&mut rng, Some(&first))));
        let watches = Watches::new(&first.watches(), Mask::CLOSE_WRITE, 7);
        let tasks = Tasks::new(first.rules(), 5, Tick(0));
        let mut world = World::around(Engine::new(watches, tasks, false), seed, most, false);
        world.story.push(format!("{first:?}"));
        let mut reloads = Reloads::new(configurations);
        for (path, entry, inode) in places(&world.disk) {
            reloads.marks.insert(inode, Mark { path, entry, ..Mark::default() });
        }
        world.reloads = Some(reloads);
        world
    }

    /// The paths of all tasks, by watch, and whether of what is closed alone.
    fn tasks_by_watch(&mut self) -> Vec<((usize, bool), String)> {
        let schedulers = self.reloads.as_ref().unwrap().now().schedulers.clone();
        let mut found = Vec::new();
        self.now += 100_000_000;
        loop {
            self.engine.advance(Tick(self.now));
            let effects = self.engine.take_effects();
            if effects.is_empty() {
                return found;
            }
            for effect in effects {
                if let Effect::Start(task, about) = effect {
                    let path = String::from_utf8(about.path).unwrap();
                    found.push((schedulers[usize::from(about.scheduler)], path));
                    self.engine.finished(Tick(self.now), task, Outcome::Done(None));
                }
            }
        }
    }

    fn wrong_tasks(&mut self) -> Option<String> {
        self.engine.tasks.check(self.engine.watches.tree());
        let overflows = self.disk.overflows;
        let tasks = self.tasks_by_watch();
        let reloads = self.reloads.as_ref().unwrap();
        let met: BTreeSet<_> = tasks.iter().cloned().collect();
        let is_again = |at: &usize| {
            let ((watch, _), path) = &tasks[*at];
            tasks[..*at].contains(&tasks[*at]) && !reloads.ghosts.contains(&(*watch, path.clone()))
        };
        if let Some(at) = (0..tasks.len()).find(is_again) {
            return Some(format!("twice: {:?}", tasks[at]));
        }
        for (inode, mark) in &reloads.marks {
            for watch in 0..TOPS.len() {
                let closed = mark.closed[watch] && !self.disk.is_dir(*inode);
                for (must, kind) in [(mark.all[watch], false), (closed, true)] {
                    if must && !met.contains(&((watch, kind), mark.path.clone())) {
                        return Some(format!("without task of {watch}, {kind}: {}", mark.path));
                    }
                }
            }
        }
        for ((watch, kind), path) in met {
            let at = self.disk.find(&path).and_then(|inode| reloads.marks.get(&inode));
            let told = at.is_some_and(|mark| mark.may[watch] || overflows > 0);
            if !told && !reloads.ghosts.contains(&(watch, path.clone())) {
                return Some(format!("task of {watch}, {kind} for nothing: {path}"));
            }
        }
        None
    }

    fn wrong_watches(&mut self) -> Option<String> {
        let config = self.reloads.as_ref().unwrap().now();
        let tree = self.engine.watches.tree();
        let present: Vec<usize> = (0..TOPS.len()).filter(|watch| config.watches[*watch].is_some()).collect();
        let mut nodes = BTreeSet::from([String::new()]);
        for watch in &present {
            let mut way = TOPS[*watch];
            while let Some((above, _)) = way.rsplit_once('/') {
                nodes.insert(way.to_owned());
                way = above;
            }
        }
        let anchors = nodes.clone();
        for (path, _, inode) in places(&self.disk).into_iter().filter(|(.., inode)| self.disk.is_dir(*inode)) {
            let recursive = |watch: &&usize| config.watches[**watch].is_some_and(|spec| spec.rec || spec.auto_add);
            let covers = present.iter().filter(recursive).map(|watch| config.cover(*watch, &path));
            let cover = covers.fold(Cover::No, |most, cover| match (most, cover) {
                (Cover::Must, _) | (_, Cover::No) => most,
                (_, cover) => cover,
            });
            let both = present.iter().any(|watch| {
                config.watches[*watch].is_some_and(|spec| spec.rec && spec.auto_add)
                    && config.cover(*watch, &path) == Cover::Must
            });
            let must = both || anchors.contains(&path);
            let mut parts = path.split('/').filter(|part| !part.is_empty());
            let node = parts.try_fold(ROOT, |node, part| tree.child(node, part.as_bytes()));
            let known = node.and_then(|node| tree.certain_wd(node)).map(|wd| wd.0);
            let wd = self.disk.inodes[inode].wd;
            let may = must || cover != Cover::No;
            if known != wd || (must && wd.is_none()) || (!may && wd.is_some()) {
                return Some(format!("{path} has watch {wd:?}, and is known by {known:?}"));
            }
            nodes.extend(wd.map(|_| path));
        }
        let lost = self.disk.inodes.iter().filter_map(|inode| inode.wd).count();
        if lost != tree.watched() {
            return Some(format!("{lost} watches, and {} are known", tree.watched()));
        }
        // No task holds any now.
        (tree.len() > nodes.len()).then(|| format!("{} nodes instead of {}: {nodes:?}", tree.len(), nodes.len()))
    }

    /// What is wrong after other configurations, and after one with nothing in it.
    fn wrong_after_reloads(&mut self) -> Option<String> {
        self.engine.watches.tree().check();
        let wrong = self.wrong_tasks().or_else(|| self.wrong_watches());
        if wrong.is_some() {
            return wrong;
        }
        let nothing = Configuration { watches: [None; 4], schedulers: Vec::new() };
        let reloads = self.reloads.as_mut().unwrap();
        reloads.configurations.push(nothing);
        reloads.asked = Some(reloads.configurations.len() - 1);
        if !self.settle() {
            return Some("it never comes to rest without watches".to_owned());
        }
        let tree = self.engine.watches.tree();
        tree.check();
        let watches = self.disk.inodes.iter().skip(1).filter_map(|inode| inode.wd).count();
        (tree.len() > 1 || watches > 0).then(|| format!("{} nodes and {watches} watches are left", tree.len()))
    }
}

/// Operations as ever, with other configurations between them.
fn ops_with_reloads(rng: &mut Rng) -> Vec<(u64, Op)> {
    let mut ops = random_ops(rng);
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(..=ops.len());
        ops.insert(at, (rng.u64(..), Op::Reload(rng.usize(..4))));
    }
    ops
}

fn run_with_reloads(ops: &[(u64, Op)], seed: u64, most: usize) -> (Option<String>, World) {
    let mut world = World::with_reloads(seed, most);
    world.settle();
    world.ops = ops.iter().cloned().collect();
    if !world.settle() {
        world.story.truncate(200);
        return (Some("it never comes to rest".to_owned()), world);
    }
    (world.wrong_after_reloads(), world)
}

#[test]
fn whatever_happens_while_the_configuration_changes() {
    assert_eq!(explore(ops_with_reloads, run_with_reloads, |_| usize::MAX), 0);
}

#[test]
fn the_same_while_the_queue_overflows() {
    let overflows =
        explore(ops_with_reloads, run_with_reloads, |seed| if seed % 3 == 0 { 0 } else { 2 + seed as usize % 7 });
    assert!(overflows > 100, "only {overflows} overflows");
}
