//! Swaps within a tree, by descriptor and so wherever it is, for as long as the daemon is at work on it.

use crate::attacker::{USER, become_attacker, make_root, write_new};
use crate::common::{Daemon, Scratch, dogwatch, is_root, skip, wait_until};
use crate::treasure::{Treasure, texts};
use crate::{alone, is_whole, text_of};
use rustix::fs::{CWD, RenameFlags, renameat, renameat_with};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// At most so many trees of each kind, and what the log says where a swap has come between a look and what was done then.
/// When it has said so often enough, no more are sent.
const TREES: [(&str, usize, &[&str]); 4] = [
    ("mv", 400, &["Not a directory", "another one has its name now"]),
    ("del", 400, &["Not a directory"]),
    ("cp", 24, &[]),
    ("far", 8, &[]),
];
const ENOUGH: usize = 3;
/// So many directories are in each, and so many files in each of them.
const DIRS: usize = 2;
const FILES: usize = 3;
/// What is copied is copied again if it changes, and in the end not at all: so many copies are disturbed.
const DISTURBED: usize = 2;
/// After each so many acts of the attacker it is looked whether the daemon is done.
const ACTS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(60);

const CONFIG: &str = r"[daemon]
shutdown_timeout = 60
[rule mv]
action = move
src_re = ^@SRC/(.*\.mv)$
dst_re = @DIR/dst/\1
filemode = 0644
dirmode = 0755
user = 4711
[rule cp]
action = copy
src_re = ^@SRC/(.*\.cp)$
dst_re = @FAR/far/\1
[rule far]
action = move
src_re = ^@SRC/(.*\.far)$
dst_re = @FAR/far/\1
filemode = 0644
user = 4711
[rule del]
action = delete
src_re = ^@SRC/.*\.del$
rec = yes
[scheduler files]
rules = mv, cp, far, del
dirs = yes
[event_map m]
IN_MOVED_TO = files
[watch w]
path = @SRC
event_map = m
";

/// Both roots and the stage belong to the attacker.
struct Field {
    scratch: Scratch,
    far: tempfile::TempDir,
}

impl Field {
    /// Two file systems: first the one on which both roots are.
    fn new(near: &Path, far: &Path) -> Field {
        let (scratch, far) = (Scratch::below(near), tempfile::tempdir_in(far).unwrap());
        for dir in [scratch.path(""), far.path().to_owned()] {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o711)).unwrap();
        }
        for root in [scratch.src(), scratch.path("dst"), scratch.path("stage"), far.path().join("far")] {
            make_root(&root, |_| PathBuf::from("/nowhere"));
        }
        Field { scratch, far }
    }

    fn start(&self) -> Daemon {
        let config = self.scratch.config(&CONFIG.replace("@FAR", self.far.path().to_str().unwrap()));
        let mut command = dogwatch();
        command.arg("daemon").arg("-c").arg(config);
        if cfg!(feature = "fault") {
            command.env("DOGWATCH_FAULT", "openat2=ENOSYS");
        }
        self.scratch.start_with(&mut command)
    }

    /// Where a tree of this name goes, if that is on the other file system.
    fn end(&self, name: &str) -> PathBuf {
        self.far.path().join("far").join(name)
    }

    /// Puts a tree where the daemon sees it, and goes on with this until its task has ended.
    fn attack(&self, daemon: &Daemon, name: &str, mut act: impl FnMut()) {
        let path = self.scratch.src().join(name);
        fs::rename(self.scratch.path("stage").join(name), &path).unwrap();
        let ends = ["done", "failed"].map(|end| format!(" {}: {end}", path.display()));
        let start = Instant::now();
        while !ends.iter().any(|end| daemon.log().contains(end)) {
            assert!(start.elapsed() < PATIENCE, "{name} never has its end:\n{}", daemon.log());
            (0..ACTS).for_each(|_| act());
        }
    }
}

/// Lets the daemon and its workers, and the calling thread, run at the same time, and not in turns on one processor.
fn run_beside(daemon: &Daemon) {
    let all = sched_getaffinity(None).unwrap();
    let mut numbers = (0..CpuSet::MAX_CPU).filter(|n| all.is_set(*n));
    for pid in [Pid::from_raw(daemon.pid() as i32), None] {
        let mut one = CpuSet::new();
        if let Some(n) = numbers.next() {
            one.set(n);
            sched_setaffinity(pid, &one).unwrap();
        }
    }
}

/// Whether a directory has something in it that is dogwatch's own.
fn is_at_work(dir: &Path) -> bool {
    let mut names = fs::read_dir(dir).unwrap().flatten().map(|entry| entry.file_name());
    names.any(|name| name.to_str().unwrap().starts_with(".dogwatch-"))
}

fn file_of(tree: &str, dir: usize, n: usize) -> String {
    format!("{tree}.{dir}.{n}")
}

/// A tree of directories `inN`, beside each a link `inN.l`, and in each a link `FILE.l` beside its first file: both to the
/// treasure, where all has the same names. The answer is what to swap.
fn make(stage: &Path, tree: &str, treasure: &Treasure) -> Vec<(File, String, String)> {
    let top = stage.join(tree);
    fs::create_dir(&top).unwrap();
    let mut swapped = Vec::new();
    for dir in 0..DIRS {
        let name = format!("in{dir}");
        let path = top.join(&name);
        fs::create_dir(&path).unwrap();
        (0..FILES)
            .map(|n| file_of(tree, dir, n))
            .for_each(|file| write_new(&path.join(&file), &text_of(&file)).unwrap());
        let (first, goal) = (file_of(tree, dir, 0), treasure.path(&format!("{tree}/{name}")));
        for (dir, name, goal) in [(&path, first.clone(), goal.join(&first)), (&top, name, goal)] {
            let link = format!("{name}.l");
            symlink(goal, dir.join(&link)).unwrap();
            swapped.push((File::open(dir).unwrap(), name, link));
        }
    }
    swapped
}

fn swap(swapped: &[(File, String, String)]) {
    for (dir, name, link) in swapped {
        let _ = renameat_with(dir, name, dir, link, RenameFlags::EXCHANGE);
    }
}

#[test]
fn no_link_in_a_tree_leads_the_daemon_astray() {
    if !is_root() {
        return skip("only root has something to lose");
    }
    let _alone = alone();
    // In memory a swap takes little time.
    let field = Field::new(Path::new("/dev/shm"), &std::env::temp_dir());
    let names = |(kind, most, _): &(&'static str, usize, _)| (0..*most).map(|n| format!("t{n}.{kind}")).collect();
    let trees: Vec<Vec<String>> = TREES.iter().map(names).collect();
    let in_tree = (0..DIRS * FILES).map(|n| (n / FILES, n % FILES));
    let path_of = |tree: &String, (dir, n)| format!("{tree}/in{dir}/{}", file_of(tree, dir, n));
    let paths = trees.iter().flatten().flat_map(|tree| in_tree.clone().map(move |at| path_of(tree, at)));
    let treasure = Treasure::make(field.scratch.path("treasure"), paths);
    let daemon = field.start();
    let start = Instant::now();
    let is_between = |log: &str, kind: &str, why: &str| {
        let failed = log.lines().filter(|line| line.contains(&format!(".{kind}: failed: ")) && line.contains(why));
        failed.count() >= ENOUGH
    };
    let attack = || {
        run_beside(&daemon);
        become_attacker();
        let mut sent = Vec::new();
        for (tree, (kind, _, reasons)) in
            trees.iter().zip(TREES).flat_map(|(trees, about)| trees.iter().map(move |tree| (tree, about)))
        {
            let log = daemon.log();
            if !reasons.is_empty() && reasons.iter().all(|why| is_between(&log, kind, why)) {
                continue;
            }
            sent.push(tree);
            let swapped = make(&field.scratch.path("stage"), tree, &treasure);
            let (mut copies, mut was_copied) = (0, false);
            let is_copy = kind == "cp" || kind == "far";
            field.attack(&daemon, tree, || {
                let is_copied = is_copy && is_at_work(field.end(tree).parent().unwrap());
                copies += usize::from(is_copied && !was_copied);
                was_copied = is_copied;
                // A copy is begun only when nothing has changed for a while. When it has been published, the source goes.
                let is_published = kind == "far" && field.end(tree).exists();
                if !is_copy || is_copied && copies <= DISTURBED || is_published {
                    swap(&swapped);
                } else {
                    std::thread::yield_now();
                }
            });
        }
        sent
    };
    let sent = std::thread::scope(|scope| scope.spawn(attack).join()).unwrap();
    let log = daemon.stop();
    let took = start.elapsed();
    // What could not be removed under attack is at the next start.
    let daemon = field.start();
    wait_until("nothing temporary is left", || !is_at_work(&field.scratch.src()));
    daemon.stop();
    let harm = treasure.harm();
    assert!(harm.is_empty(), "outside the roots: {harm:#?}");
    let roots = [field.scratch.src(), field.scratch.path("dst"), field.far.path().to_owned()];
    let texts = texts(&roots.each_ref().map(PathBuf::as_path));
    for (kind, _, reasons) in TREES {
        assert!(reasons.iter().all(|why| is_between(&log, kind, why)), "no swap of {kind} came in time:\n{log}");
    }
    for tree in &sent {
        let files = in_tree.clone().map(|(dir, n)| file_of(tree, dir, n));
        files.for_each(|file| is_whole(tree, &file, texts.get(&file), &field.scratch.src()));
    }
    let count = |words: &str| log.matches(words).count();
    println!("{} trees, {} done, {} failed, in {took:?}", sent.len(), count(": done"), count(": failed: "));
}

/// Levels of a tree of which the uppermost are not open any more when the daemon is at the bottom.
const LEVELS: usize = 24;
/// So many files are there: what the daemon does with them takes longer than a rename.
const AT_BOTTOM: usize = 300;
/// At most so many trees of each kind.
const DEEP: usize = 15;

/// When the daemon is deep in a tree, a directory of that is moved into one that is for all (as /tmp): from there the way up
/// leads to that one, with what others have put there under the names that are to come next.
#[test]
fn no_way_up_leads_the_daemon_astray() {
    if !is_root() {
        return skip("only root has something to lose");
    }
    let _alone = alone();
    let field = Field::new(&std::env::temp_dir(), Path::new("/dev/shm"));
    let vault = field.scratch.path("vault");
    fs::create_dir(&vault).unwrap();
    fs::set_permissions(&vault, fs::Permissions::from_mode(0o1777)).unwrap();
    let trees: Vec<String> = (0..DEEP).flat_map(|n| ["mv", "del"].map(|kind| format!("deep{n}.{kind}"))).collect();
    let secrets: Vec<PathBuf> = trees.iter().map(|tree| vault.join(format!("{tree}.z"))).collect();
    for secret in &secrets {
        fs::write(secret, "SECRET").unwrap();
        fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let daemon = field.start();
    let attack = || {
        run_beside(&daemon);
        become_attacker();
        let mut moved = 0;
        for tree in &trees {
            if moved == 2 * ENOUGH {
                break;
            }
            let top = field.scratch.path("stage").join(tree);
            let bottom = (0..LEVELS).fold(top.join("a"), |path, _| path.join("a"));
            fs::create_dir_all(&bottom).unwrap();
            (0..AT_BOTTOM).for_each(|n| write_new(&bottom.join(format!("{n:03}")), "").unwrap());
            write_new(&top.join(format!("{tree}.z")), &text_of(tree)).unwrap();
            let [above, first, last] = [&top, &bottom.join("000"), &bottom.join(format!("{:03}", AT_BOTTOM - 1))]
                .map(|path| File::open(path).unwrap());
            let is_done = |file: &File| file.metadata().is_ok_and(|found| found.nlink() == 0 || found.uid() != USER);
            let mut is_moved = false;
            field.attack(&daemon, tree, || {
                if !is_moved && is_done(&first) {
                    is_moved = renameat(&above, "a", CWD, vault.join(format!("{tree}.a"))).is_ok() && !is_done(&last);
                    moved += usize::from(is_moved);
                }
            });
        }
        moved
    };
    let moved = std::thread::scope(|scope| scope.spawn(attack).join()).unwrap();
    daemon.stop();
    for secret in secrets {
        let found = fs::metadata(&secret).unwrap_or_else(|error| panic!("{}: {error}", secret.display()));
        assert_eq!((found.uid(), found.mode() & 0o7777), (0, 0o600), "{}", secret.display());
    }
    println!("{moved} of at most {} were moved in time", trees.len());
    assert!(moved > 0, "the attacker is too slow");
}
