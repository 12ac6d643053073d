//! File rules against a user without rights who owns the watched tree and the destinations, and swaps directories in both for
//! links to what is none of theirs. Here the attack on a daemon, and on a mover that looks before it renames, which loses.
//!
//! Run with the errno gate too (feature `fault`), on a machine that has no openat2(2).

mod attacker;
#[path = "../common/mod.rs"]
mod common;
mod naive;
mod planted;
mod treasure;
mod trees;

use attacker::{DIRS, Stop, become_attacker, exchange, in_dir, make_root, swap, write_new};
use common::{Scratch, dogwatch, is_root, skip, wait_until};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use treasure::{Treasure, texts, walk};

/// So many files in all.
const FILES: usize = 10_000;
/// What is done with them, one after the other.
const KINDS: [&str; 20] = [
    "mv", "del", "mv", "cp", "mv", "del", "mv", "mv", "del", "mk", "mv", "del", "mv", "far", "mv", "del", "mv", "mv",
    "del", "mv",
];
/// Each so many files there comes a tree of four.
const TREES: usize = 100;
const IN_TREE: usize = 4;
/// So many files come at once; then the daemon is waited for.
const BATCH: usize = 100;
/// So often the watched root is swapped meanwhile: four events each, and the queue holds 16,384.
const BUDGET: i32 = 500;

const CONFIG: &str = r"[daemon]
shutdown_timeout = 60
log = stderr debug
[rule mv]
action = move
src_re = ^@SRC/(.*\.mv)$
dst_re = @DIR/dst/\1
filemode = 0640
dirmode = 0750
user = 4711
[rule mk]
action = move
src_re = ^@SRC/(.*)/([^/]*\.mk)$
dst_re = @DIR/dst/\1/new/\2
auto_create = yes
override = yes
dirmode = 0755
user = 4711
[rule cp]
action = copy
src_re = ^@SRC/(.*\.cp)$
dst_re = @DIR/dst/\1
override = yes
[rule far]
action = move
src_re = ^@SRC/(.*\.far)$
dst_re = @FAR/far/\1
[rule del]
action = delete
src_re = ^@SRC/.*\.del$
rec = yes
[scheduler files]
rules = mv, mk, cp, far, del
dirs = yes
[event_map m]
IN_CLOSE_WRITE, IN_MOVED_TO = files
[watch w]
path = @SRC
event_map = m
rec = yes
auto_add = yes
";

/// A file's or a tree's name, the directory that it comes into, and whether it is a tree.
fn plan() -> Vec<(String, usize, bool)> {
    let mut plan = Vec::new();
    let (mut files, mut n) = (0, 0);
    while files < FILES {
        let is_tree = n % TREES == TREES - 1;
        let kind = if is_tree { ["mv", "del", "cp", "far"][n / TREES % 4] } else { KINDS[n % KINDS.len()] };
        plan.push((format!("{}{n}.{kind}", if is_tree { 't' } else { 'f' }), n / KINDS.len() % DIRS, is_tree));
        files += if is_tree { IN_TREE } else { 1 };
        n += 1;
    }
    plan
}

fn files_of(tree: &str) -> impl Iterator<Item = String> {
    (0..IN_TREE).map(move |n| format!("{tree}.{n}"))
}

fn text_of(name: &str) -> String {
    format!("text of {name}\n")
}

/// The treasure of a scratch directory, into which the attacker can look, and both roots below it.
fn scratch(plan: &[(String, usize, bool)]) -> (Scratch, Treasure) {
    let scratch = Scratch::new();
    fs::set_permissions(scratch.path(""), fs::Permissions::from_mode(0o711)).unwrap();
    let names = plan.iter().flat_map(|(name, dir, is_tree)| {
        let in_tree = files_of(name).map(move |file| format!("{name}/{file}")).take(if *is_tree { IN_TREE } else { 0 });
        in_tree.chain((!is_tree).then(|| format!("d{dir}/{name}")))
    });
    let treasure = Treasure::make(scratch.path("treasure"), names);
    make_root(&scratch.src(), |n| treasure.path(&format!("d{n}")));
    make_root(&scratch.path("dst"), |n| goal(&treasure, n));
    make_root(&scratch.path("stage"), |_| PathBuf::from("/nowhere"));
    (scratch, treasure)
}

/// Where a destination's link leads: to where the name is taken, or to where it is free.
fn goal(treasure: &Treasure, n: usize) -> PathBuf {
    treasure.path(&if n % 2 == 0 { format!("d{n}") } else { "empty".to_owned() })
}

/// What the attacker does for one name: a file comes, some swapped for a link at once; or a tree, in which the same is done.
fn put(scratch: &Scratch, treasure: &Treasure, (name, dir, is_tree): &(String, usize, bool)) {
    let link = format!("{name}.l");
    if *is_tree {
        let stage = scratch.path("stage").join(name);
        fs::create_dir_all(stage.join("in")).unwrap();
        for file in files_of(name) {
            write_new(&stage.join("in").join(&file), &text_of(&file)).unwrap();
        }
        symlink(treasure.path(name), stage.join("in.x")).unwrap();
        let tree = fs::File::open(&stage).unwrap();
        in_dir(&scratch.src(), *dir, |dir| fs::rename(&stage, dir.join(name)));
        // By descriptor, wherever it is by now; `trees` does that for as long as the daemon is at work.
        for _ in 0..200 {
            let _ = rustix::fs::renameat_with(&tree, "in", &tree, "in.x", rustix::fs::RenameFlags::EXCHANGE);
        }
    } else {
        let is_swapped = name.len() % 2 == 0 && name.contains('7');
        if is_swapped {
            let goal = treasure.path(&format!("d{dir}/{name}"));
            in_dir(&scratch.src(), *dir, |dir| symlink(&goal, dir.join(&link)));
        }
        in_dir(&scratch.src(), *dir, |dir| {
            write_new(&dir.join(name), &text_of(name))?;
            if is_swapped {
                exchange(&dir.join(name), &dir.join(&link));
            }
            Ok(())
        });
    }
}

/// One attack at a time: each keeps a core busy.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn no_link_leads_the_daemon_astray() {
    if !is_root() {
        return skip("only root has something to lose");
    }
    let _alone = alone();
    let plan = plan();
    let (scratch, treasure) = scratch(&plan);
    let far = tempfile::tempdir_in("/dev/shm").unwrap();
    fs::set_permissions(far.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let (src, dst, far_dst) = (scratch.src(), scratch.path("dst"), far.path().join("far"));
    make_root(&far_dst, |n| goal(&treasure, n));

    let config = scratch.config(&CONFIG.replace("@FAR", far.path().to_str().unwrap()));
    let mut command = dogwatch();
    command.arg("daemon").arg("-c").arg(config);
    let resolver = if cfg!(feature = "fault") { "O_NOFOLLOW steps" } else { "openat2" };
    if cfg!(feature = "fault") {
        command.env("DOGWATCH_FAULT", "openat2=ENOSYS");
    }
    let daemon = scratch.start_with(&mut command);
    daemon.await_log(&format!("paths below a root are resolved by {resolver}"));

    let (budget, stop) = (AtomicI32::new(0), AtomicBool::new(false));
    let start = Instant::now();
    let (swaps, log) = std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        let swapper = scope.spawn(|| swap(&src, &[&dst, &far_dst], &budget, &stop));
        let feeder = scope.spawn(|| {
            become_attacker();
            for (n, batch) in plan.chunks(BATCH).enumerate() {
                budget.store(BUDGET, Ordering::Relaxed);
                batch.iter().for_each(|one| put(&scratch, &treasure, one));
                // When this one is gone, the daemon has come by all before it.
                let last = src.join(format!("last{n}.mv"));
                write_new(&last, "").unwrap();
                wait_until("the daemon has kept up", || !last.exists());
            }
        });
        feeder.join().unwrap();
        // It ends when all of its workers have.
        let log = daemon.stop();
        stop.store(true, Ordering::Relaxed);
        (swapper.join().unwrap(), log)
    });
    let took = start.elapsed();
    if let Some(path) = std::env::var_os("DOGWATCH_ATTACK_LOG") {
        fs::write(path, &log).unwrap();
    }
    let harm = treasure.harm();
    assert!(harm.is_empty(), "outside the roots, by {resolver}: {harm:#?}");
    let texts = texts(&[&src, &dst, far.path()]);
    for (name, _, is_tree) in &plan {
        let files: Vec<String> = if *is_tree { files_of(name).collect() } else { vec![name.clone()] };
        files.iter().for_each(|file| is_whole(name, file, texts.get(file), &src));
    }
    for root in [&src, &dst, far.path()] {
        let is_own = |path: &Path| path.file_name().unwrap().to_str().unwrap().starts_with(".dogwatch-");
        walk(root, &mut |path, _| assert!(!is_own(path), "{} was left", path.display()));
    }
    let count = |words| log.matches(words).count();
    let (done, refused) = (count(": done"), count("a symbolic link is in the way"));
    println!(
        "by {resolver}: {FILES} files, {swaps} swaps, {done} done, {} failed, {refused} for a link, in {took:?}",
        count(": failed: ")
    );
    assert!(done > FILES / 10 && refused > FILES / 100, "the one and the other have little to do");

    println!("{}", naive::loses());
}

/// What each kind of job may make of a file.
#[track_caller]
fn is_whole(name: &str, file: &str, found: Option<&Vec<(PathBuf, String)>>, src: &Path) {
    let found = found.map(Vec::as_slice).unwrap_or_default();
    for (path, text) in found {
        assert_eq!(*text, text_of(file), "{}", path.display());
    }
    let at_source = found.iter().filter(|(path, _)| path.starts_with(src)).count();
    let expected = match name.rsplit('.').next().unwrap() {
        "del" => found.len() <= 1,
        "cp" => at_source == 1 && found.len() <= 2,
        _ => found.len() == 1,
    };
    assert!(expected, "{file} is at {found:?}");
}
