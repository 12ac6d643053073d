//! What is planted where files are published: links, hard links, files that come and go, bits that come and go.

use crate::attacker::{Stop, USER, become_attacker, write_new};
use crate::common::{Daemon, Scratch, is_root, skip, wait_until};
use crate::treasure::{Treasure, texts};
use crate::{alone, scratch, text_of};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

/// Files that are moved and copied within the file system and to another one.
const KINDS: [&str; 3] = ["mv", "cp", "far"];

/// So many files are fought for, and so often each.
const NAMES: usize = 150;
const MOST_TURNS: usize = 3_000;

/// A daemon that publishes files of these kinds, with these keys in each rule.
fn start(scratch: &Scratch, far: &Path, keys: &str) -> Daemon {
    let rule = |kind: &str, action: &str, to: &str| {
        format!("[rule {kind}]\naction = {action}\nsrc_re = ^@SRC/(.*\\.{kind})$\ndst_re = {to}/\\1\n{keys}\n")
    };
    let rules = [rule("mv", "move", "@DIR/dst"), rule("cp", "copy", "@DIR/dst"), rule("far", "move", "@FAR")].concat();
    let rest = "[scheduler files]\nrules = mv, cp, far\n[event_map m]\n\
        IN_CREATE, IN_MOVED_TO, IN_CLOSE_WRITE = files\n[watch w]\npath = @SRC\nevent_map = m\n";
    let text = format!("[daemon]\nshutdown_timeout = 60\n{rules}{rest}");
    scratch.start(&text.replace("@FAR", far.to_str().unwrap()))
}

/// A treasure with a file of each kind, both roots, and a directory on another file system.
fn place() -> (Scratch, Treasure, tempfile::TempDir) {
    let plan: Vec<_> = KINDS.iter().map(|kind| (format!("p.{kind}"), 0, false)).collect();
    let (scratch, treasure) = scratch(&plan);
    (scratch, treasure, tempfile::tempdir_in("/dev/shm").unwrap())
}

/// Waits until the task for each of these paths has come to its end.
fn await_ends(daemon: &Daemon, paths: &[PathBuf]) {
    for path in paths {
        let is_end = |line: &str| {
            line.contains(&format!(" {}: ", path.display())) && (line.contains(": done") || line.contains(": failed: "))
        };
        wait_until(&format!("{} has its end", path.display()), || daemon.log().lines().any(is_end));
    }
}

fn as_attacker<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let attacker = || {
            become_attacker();
            act()
        };
        scope.spawn(attacker).join().unwrap()
    })
}

#[test]
fn nothing_is_published_through_a_planted_link() {
    if !is_root() {
        return skip("only root has something to lose");
    }
    let _alone = alone();
    let (scratch, treasure, far) = place();
    let daemon = start(&scratch, far.path(), "filemode = 0644\nuser = 4711\noverride = yes");
    let paths = KINDS.map(|kind| scratch.src().join(format!("p.{kind}")));
    let ends = [scratch.path("dst/p.mv"), scratch.path("dst/p.cp"), far.path().join("p.far")];
    as_attacker(|| {
        // At a destination, where it is replaced itself; then at the sources.
        symlink(treasure.path("d0/p.mv"), &ends[0]).unwrap();
        for (path, kind) in paths.iter().zip(KINDS) {
            symlink(treasure.path(&format!("d0/p.{kind}")), path).unwrap();
        }
    });
    await_ends(&daemon, &paths);
    daemon.stop();
    for end in &ends {
        assert!(end.is_symlink(), "{}", end.display());
        assert_eq!(fs::symlink_metadata(end).unwrap().uid(), 4711);
    }
    assert_eq!(treasure.harm(), [] as [&str; 0]);
    texts(&[&scratch.src(), &scratch.path("dst"), far.path()]);
}

#[test]
fn nothing_is_published_by_a_planted_hard_link() {
    if !is_root() {
        return skip("only root has something to lose");
    }
    let _alone = alone();
    let (scratch, treasure, far) = place();
    let Some(_unprotected) = Unprotected::begin() else { return skip("fs.protected_hardlinks cannot be written to") };
    // Links are only within a file system, and to where the attacker can reach: a root file in a directory for all.
    let vault = scratch.path("vault");
    fs::create_dir(&vault).unwrap();
    let secrets = KINDS.map(|kind| vault.join(format!("p.{kind}")));
    let facts = || {
        secrets.each_ref().map(|path| {
            let found = fs::metadata(path).unwrap();
            (found.mode(), found.uid(), found.mtime(), found.nlink(), fs::read_to_string(path).unwrap())
        })
    };
    for secret in &secrets {
        fs::write(secret, "SECRET of root").unwrap();
        fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let daemon = start(&scratch, far.path(), "filemode = 0644\nuser = 4711\noverride = yes");
    let paths = KINDS.map(|kind| scratch.src().join(format!("p.{kind}")));
    as_attacker(|| secrets.iter().zip(&paths).for_each(|(secret, path)| fs::hard_link(secret, path).unwrap()));
    let before = facts();
    await_ends(&daemon, &paths);
    let log = daemon.stop();
    assert_eq!(log.matches("it has several names, and anybody may have made them").count(), KINDS.len(), "{log}");
    assert_eq!(facts(), before);
    texts(&[&scratch.path("dst"), far.path()]);
    assert_eq!(treasure.harm(), [] as [&str; 0]);
}

/// Somebody makes the destination and takes it away again all the time.
#[test]
fn a_destination_that_comes_and_goes_is_not_overwritten() {
    if !is_root() {
        return skip("only root has another user to play");
    }
    let _alone = alone();
    let (scratch, _treasure, far) = place();
    fs::set_permissions(far.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let daemon = start(&scratch, far.path(), "");
    let mut paths = Vec::new();
    for n in 0..NAMES {
        let name = format!("c{n}.{}", KINDS[n % KINDS.len()]);
        let to = if name.ends_with("far") { far.path().join(&name) } else { scratch.path("dst").join(&name) };
        let path = scratch.src().join(&name);
        as_attacker(|| {
            write_new(&path, &text_of(&name)).unwrap();
            for _ in 0..MOST_TURNS {
                let Ok(mine) = fs::File::create_new(&to) else { break };
                assert_eq!(mine.metadata().unwrap().nlink(), 1, "{} was overwritten", to.display());
                std::hint::spin_loop();
                assert_eq!(mine.metadata().unwrap().nlink(), 1, "{} was overwritten", to.display());
                fs::remove_file(&to).unwrap();
            }
        });
        paths.push(path);
    }
    await_ends(&daemon, &paths);
    let log = daemon.stop();
    let texts = texts(&[&scratch.src(), &scratch.path("dst"), far.path()]);
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        crate::is_whole(name, name, texts.get(name), &scratch.src());
    }
    let refused = log.matches("exists").count();
    println!("{NAMES} destinations, {refused} in the way, {} not", log.matches(": done").count());
    assert!(refused > 0 && log.contains(": done"), "{log}");
}

/// Somebody sets both bits again and again on what gets another owner.
#[test]
fn no_setuid_bit_goes_to_another_owner() {
    if !is_root() {
        return skip("only root gives files away");
    }
    let _alone = alone();
    let (scratch, _treasure, far) = place();
    let daemon = start(&scratch, far.path(), "user = 4711");
    let names: Vec<String> = (0..NAMES).map(|n| format!("s{n}.{}", KINDS[n % KINDS.len()])).collect();
    let paths: Vec<PathBuf> = names.iter().map(|name| scratch.src().join(name)).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            become_attacker();
            for (path, name) in paths.iter().zip(&names) {
                let stage = scratch.path("stage").join(name);
                write_new(&stage, &text_of(name)).unwrap();
                // Through a descriptor, wherever it is by now; not any more when it belongs to somebody else.
                let file = fs::File::open(&stage).unwrap();
                fs::rename(&stage, path).unwrap();
                let bits = || file.set_permissions(fs::Permissions::from_mode(0o6755));
                let _ = (0..MOST_TURNS).take_while(|_| !stop.load(Ordering::Relaxed) && bits().is_ok()).count();
            }
        });
        await_ends(&daemon, &paths);
    });
    let log = daemon.stop();
    let mut given = 0;
    for dir in [scratch.path("dst"), far.path().to_owned(), scratch.src()] {
        for entry in fs::read_dir(dir).unwrap() {
            let found = entry.unwrap().metadata().unwrap();
            if found.is_file() && found.uid() != USER {
                assert_eq!((found.uid(), found.mode() & 0o6000), (4711, 0));
                given += 1;
            }
        }
    }
    println!("{given} of {NAMES} were given away");
    assert!(given > NAMES / 10, "{log}");
}

const LIMIT: &str = "/proc/sys/fs/protected_hardlinks";

/// While it lives, everybody may make hard links to everything. A guard process ends that whatever becomes of the test.
struct Unprotected {
    guard: Child,
    input: Option<ChildStdin>,
    before: String,
}

impl Unprotected {
    fn begin() -> Option<Unprotected> {
        let before = fs::read_to_string(LIMIT).ok()?;
        fs::write(LIMIT, &before).ok()?;
        // It waits for the end of its input, which comes when this process has closed it or is gone.
        let script = format!("trap '' HUP INT TERM; echo; cat; echo \"$0\" >{LIMIT}");
        let mut guard = Command::new("sh");
        guard.args(["-c", &script, before.trim()]).process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut guard = guard.spawn().unwrap();
        // Only when it watches is anything changed.
        guard.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        let input = guard.stdin.take();
        fs::File::options().write(true).open(LIMIT).unwrap().write_all(b"0").unwrap();
        Some(Unprotected { guard, input, before })
    }
}

impl Drop for Unprotected {
    fn drop(&mut self) {
        drop(self.input.take());
        let status = self.guard.wait();
        let restored = fs::read_to_string(LIMIT).is_ok_and(|now| now == self.before);
        // To panic while another panic is on its way would hide that one.
        if !restored && !std::thread::panicking() {
            panic!("the guard has not restored {LIMIT}: {status:?}");
        }
    }
}
