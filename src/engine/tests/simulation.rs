//! A disk and a kernel in memory, on which the engine is driven by seeds: every interleaving of renames, reads of the
//! queue and scans can happen, and does, and each can be had again.
//!
//! The kernel's part is what inotify(7) says and Linux 6 does: which records an operation queues, in which order, and
//! that a change can be seen an instant before its records are queued.
//! In the end everything below the watched directories must be watched under its right path, nothing else must be, and
//! the pending tasks must be exactly the files that are there.

mod disk;
mod reload;
mod scanner;

use super::*;
use crate::parts::duration::Millis;
use crate::parts::log::Level;
use crate::parts::pattern::Pattern;
use crate::sys::Errno;
use crate::sys::fs::Kind;
use crate::sys::inotify::{Mask, Record, Wd};
use disk::{Disk, EXCLUDED, Op, random_ops};
use fastrand::Rng;
use reload::{Reloads, tops};
use scanner::Listing;
use std::collections::{BTreeSet, VecDeque};
use task::{Action, EventMap, Scheduler, Verb};
use watch::{Found, ROOT, Scan, Watch};

/// The daemon's loop, a step at a time.
struct World {
    disk: Disk,
    engine: Engine,
    rng: Rng,
    now: u64,
    /// What other programs are going to do. Each has a number, so that what comes between them stays when others are
    /// left out.
    ops: VecDeque<(u64, Op)>,
    /// How likely they do something between two steps of the daemon, of 256.
    pace: u8,
    /// The directories on the way that the scanner has open.
    way: Vec<(NodeId, usize)>,
    listing: Option<Listing>,
    /// What was watched from its parent, and the engine has not been told of.
    leaves: Vec<(NodeId, Wd, Scan)>,
    /// Some reads of the queue are lost, as in the test build.
    loses_reads: bool,
    /// Other configurations that come.
    reloads: Option<Reloads>,
    /// What has happened, for whoever reads a failure.
    story: Vec<String>,
}

impl World {
    fn new(seed: u64, most: usize, existing: bool, excludes: bool) -> World {
        let map = |watch: u16| {
            let mut map = EventMap::default();
            let [all, closed] = [watch, watch + 2].map(|scheduler| Action { scheduler, verb: Verb::Schedule });
            for event in [Mask::CREATE, Mask::MOVED_TO] {
                map.set(event, vec![all]);
            }
            map.set(Mask::CLOSE_WRITE, vec![all, closed]);
            let cancel = |scheduler| Action { scheduler, verb: Verb::Cancel };
            for event in [Mask::DELETE, Mask::MOVED_FROM] {
                map.set(event, vec![cancel(watch), cancel(watch + 2)]);
            }
            map
        };
        let watch = |path: &str, map| Watch {
            name: path.to_owned(),
            paths: vec![path.as_bytes().into()],
            map,
            rec: true,
            auto_add: true,
            existing,
            tidied: false,
            exclude: if excludes { vec![Pattern::new(EXCLUDED.as_bytes()).unwrap()] } else { Vec::new() },
        };
        let day = Millis(86_400_000);
        let scheduler = |dirs| Scheduler { delay: day, dirs, notes: Level::Debug, ..Scheduler::default() };
        let watches = Watches::new(&[watch("/s", 0), watch("/t", 1)], Mask::CLOSE_WRITE, 7);
        let schedulers = [true, true, false, false].map(scheduler).to_vec();
        let tasks = Tasks::new(Rules { schedulers, maps: vec![map(0), map(1)], max_jobs: 9 }, 5, Tick(0));
        World::around(Engine::new(watches, tasks, false), seed, most, excludes)
    }

    fn around(engine: Engine, seed: u64, most: usize, excludes: bool) -> World {
        World {
            disk: Disk::new(if most == 0 { usize::MAX } else { most }, excludes),
            engine,
            rng: Rng::with_seed(seed),
            now: 0,
            ops: VecDeque::new(),
            // Some daemons are slower than others.
            pace: [12, 40, 3, 120][(seed % 4) as usize],
            way: Vec::new(),
            listing: None,
            leaves: Vec::new(),
            loses_reads: most == 0,
            reloads: None,
            story: Vec::new(),
        }
    }

    /// Between any two steps of the daemon, others may do something. A change is seldom seen before its records.
    fn point(&mut self) {
        loop {
            let owes = self.disk.owes();
            if self.rng.u8(..) >= if owes { 250 } else { self.pace } || (!owes && self.ops.is_empty()) {
                return;
            }
            if owes {
                self.disk.tell();
                continue;
            }
            self.next_op();
        }
    }

    fn next_op(&mut self) {
        let Some((number, op)) = self.ops.pop_front() else { return };
        self.rng = Rng::with_seed(number);
        if let (Op::Reload(to), Some(reloads)) = (&op, &mut self.reloads) {
            reloads.asked = Some(*to);
        }
        if self.rng.u8(..) < 20 {
            self.pace = self.rng.choice([3, 12, 40, 120, 250]).unwrap();
        }
        let tops = tops(&self.disk);
        if self.disk.perform(&op).is_some() {
            self.story.push(format!("{op:?}"));
            let (disk, now) = (&self.disk, self.now);
            self.reloads.iter_mut().for_each(|reloads| reloads.note(disk, &op, now, tops));
        }
    }

    /// A signal has stopped the daemon for a while.
    fn is_stopped(&mut self) {
        for _ in 0..self.rng.usize(..4) {
            self.next_op();
            while self.disk.owes() {
                self.disk.tell();
            }
        }
    }

    /// What one turn of the loop does; the answer is whether anything was to do.
    fn turn(&mut self) -> bool {
        self.now += 1;
        let mut busy = false;
        let now = Tick(self.now);
        if self.engine.watches.deadline().is_some_and(|deadline| deadline <= now) {
            self.story.push("patience is over".to_owned());
            self.engine.feed(now, |watches, sink| watches.give_up_waiting(sink));
        }
        while let Some(wd) = self.engine.watches.next_unwatch() {
            self.point();
            self.story.push(format!("unwatch {}", wd.0));
            self.disk.unwatch(wd);
            busy = true;
        }
        let steps = self.rng.usize(1..20);
        busy |= self.scan(steps);
        self.engine.feed(now, |watches, sink| watches.all_scanned(sink));
        if !self.has_work() && self.engine.watches.is_in_doubt() && self.disk.queue.is_empty() {
            self.engine.watches.queue_is_empty(now);
        }
        self.reload_if_asked();
        self.rest();
        self.tell();
        self.point();
        busy |= !self.disk.queue.is_empty();
        self.read();
        self.tell();
        if busy || self.has_work() || self.engine.watches.deadline().is_some() || self.disk.owes() {
            return true;
        }
        let more = !self.ops.is_empty();
        self.next_op();
        more || self.disk.release(true)
    }

    fn has_work(&self) -> bool {
        self.listing.is_some() || self.engine.watches.has_work()
    }

    fn rest(&mut self) {
        self.way.clear();
        self.listing.iter_mut().for_each(|listing| listing.goes_on = true);
        self.disk.held = self.listing.iter().map(|listing| listing.inode).collect();
        self.disk.release(false);
    }

    fn tell(&mut self) {
        for effect in self.engine.take_effects() {
            if let Effect::Note(about, what) = effect {
                self.story.push(format!("    {what:?} {} {}", about.scheduler, String::from_utf8(about.path).unwrap()));
            }
        }
    }

    /// What is queued as it begins, a buffer at a time.
    fn read(&mut self) {
        let mut left = self.disk.queue.len();
        if left == 0 {
            return;
        }
        while left > 0 {
            let some = if self.rng.bool() { left } else { self.rng.usize(1..=left) };
            let mut read: Vec<_> = self.disk.queue.drain(..some).collect();
            if self.loses_reads && self.rng.u8(..) < 50 {
                self.disk.overflows += 1;
                read = vec![(-1, Mask::Q_OVERFLOW, 0, String::new())];
            }
            for (wd, mask, cookie, name) in read {
                self.story.push(format!("read {wd} {mask:?} {cookie} {name}"));
                let record = Record { wd: Wd(wd), mask, cookie, name: name.as_bytes() };
                self.engine.feed(Tick(self.now), |watches, sink| watches.record(&record, sink));
                self.tell();
            }
            left -= some;
            self.point();
        }
        self.engine.watches.try_again();
        if self.disk.queue.is_empty() {
            self.engine.watches.queue_is_empty(Tick(self.now));
        }
    }

    /// Goes on until there is nothing left to do; false if that never comes.
    fn settle(&mut self) -> bool {
        (0..3_000).any(|_| !self.turn())
    }

    /// What is wrong in the end.
    fn verdict(&mut self) -> Option<String> {
        self.engine.watches.tree().check();
        let (mut files, mut closed) = (BTreeSet::new(), BTreeSet::new());
        let mut watched: BTreeSet<i32> = [0, 1, 2].iter().filter_map(|top| self.disk.inodes[*top].wd).collect();
        for (path, inode) in ["/s", "/t"].iter().flat_map(|top| self.disk.walk(top)) {
            if self.disk.zone(&path).is_none() {
                continue;
            }
            files.insert(path.clone());
            if !self.disk.is_dir(inode) {
                closed.extend(Some(path).filter(|_| self.disk.inodes[inode].closed));
                continue;
            }
            let tree = self.engine.watches.tree();
            let mut parts = path.split('/').filter(|part| !part.is_empty());
            let node = parts.try_fold(ROOT, |node, part| tree.child(node, part.as_bytes()));
            let known = node.and_then(|node| tree.certain_wd(node)).map(|wd| wd.0);
            if known.is_none() || known != self.disk.inodes[inode].wd {
                return Some(format!("{path} has watch {:?}, and is known by {known:?}", self.disk.inodes[inode].wd));
            }
            watched.extend(known);
        }
        let extra = self.disk.inodes.iter().filter_map(|inode| inode.wd).find(|wd| !watched.contains(wd));
        if let Some(extra) = extra {
            return Some(format!("watch {extra} is left over"));
        }
        let [all, of_closed] = self.pending();
        let missing: Vec<_> = files.difference(&all).chain(closed.difference(&of_closed)).collect();
        let ghosts: Vec<_> = all.difference(&files).chain(of_closed.difference(&files)).collect();
        // Lost events are told once more, whoever knows them already.
        let told_anew = of_closed.iter().find(|path| self.disk.overflows == 0 && !self.disk.may_be_told(path));
        if let (Some(path), true) = (told_anew, ghosts.is_empty()) {
            return Some(format!("{path} is told anew for nothing"));
        }
        (!missing.is_empty() || !ghosts.is_empty()).then(|| format!("without task: {missing:?}; ghosts: {ghosts:?}"))
    }
}

impl World {
    /// The paths of all tasks, each of which is started for that: of whatever appears, and of what is closed.
    fn pending(&mut self) -> [BTreeSet<String>; 2] {
        let later = Tick(self.now + 100_000_000);
        let mut paths = [BTreeSet::new(), BTreeSet::new()];
        loop {
            self.engine.advance(later);
            let effects = self.engine.take_effects();
            if effects.is_empty() {
                return paths;
            }
            for effect in effects {
                if let Effect::Start(task, about) = effect {
                    let path = String::from_utf8(about.path).unwrap();
                    let (watch, kind) = (usize::from(about.scheduler % 2), usize::from(about.scheduler / 2));
                    let right = path.starts_with(["/s", "/t"][watch]);
                    let path = if right { path } else { format!("{path} of the other watch") };
                    if !paths[kind].insert(path.clone()) {
                        paths[kind].insert(format!("{path} once more"));
                    }
                    self.engine.finished(later, task, Outcome::Done(None));
                }
            }
        }
    }
}

/// Runs operations with a seed of their own for what comes between, and a queue of `most` records; the answer is what is wrong, and the overflows.
fn run(ops: &[(u64, Op)], seed: u64, most: usize) -> (Option<String>, World) {
    // The start is quiet in half of the runs; in the others what is there in time counts as new.
    let existing = seed / 4 % 2 == 1;
    let mut world = World::new(seed, most, existing, seed / 8 % 2 == 1);
    if !existing {
        world.settle();
        world.disk.rests();
    }
    for some in ops.split(|(_, op)| matches!(op, Op::Rest)) {
        world.ops = some.iter().cloned().collect();
        if !world.settle() {
            world.story.truncate(200);
            return (Some("it never comes to rest".to_owned()), world);
        }
        world.disk.rests();
        world.story.push("rests".to_owned());
    }
    (world.verdict(), world)
}

/// Operations, with rests of the daemon between them.
fn ops_with_rests(rng: &mut Rng) -> Vec<(u64, Op)> {
    let mut ops = random_ops(rng);
    for _ in 0..rng.usize(..6) {
        ops.insert(rng.usize(..=ops.len()), (0, Op::Rest));
    }
    ops
}

type Run = fn(&[(u64, Op)], u64, usize) -> (Option<String>, World);

fn explore(ops_of: fn(&mut Rng) -> Vec<(u64, Op)>, run: Run, most_of: impl Fn(u64) -> usize) -> usize {
    let number = |name, usual| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let (first, seeds) = (number("DOGWATCH_FIRST_SEED", 0), number("DOGWATCH_SEEDS", 10_000));
    let mut overflows = 0;
    for seed in first..first + seeds {
        let most = most_of(seed);
        let ops = ops_of(&mut Rng::with_seed(seed));
        let (wrong, world) = run(&ops, seed, most);
        overflows += world.disk.overflows;
        if wrong.is_some() {
            let (wrong, world) = shrink(ops, run, seed, most);
            panic!("seed {seed}, queue of {most}: {}\n{}", wrong.unwrap(), world.story.join("\n"));
        }
    }
    overflows
}

/// Leaves out whatever does not matter for the failure.
fn shrink(mut ops: Vec<(u64, Op)>, run: Run, seed: u64, most: usize) -> (Option<String>, World) {
    let mut at = 0;
    while at < ops.len() {
        let mut fewer = ops.clone();
        fewer.remove(at);
        if run(&fewer, seed, most).0.is_some() {
            (ops, at) = (fewer, 0);
        } else {
            at += 1;
        }
    }
    run(&ops, seed, most)
}

#[test]
fn whatever_happens_in_whatever_order_the_tree_and_the_tasks_are_right_in_the_end() {
    assert_eq!(explore(ops_with_rests, run, |_| usize::MAX), 0);
}

#[test]
fn the_same_with_a_queue_that_overflows() {
    let overflows = explore(ops_with_rests, run, |seed| if seed % 3 == 0 { 0 } else { 2 + seed as usize % 7 });
    println!("{overflows} overflows");
    assert!(overflows > 100, "only {overflows} overflows");
}
