//! Moves and copies to another file system.

use crate::common::{Scratch, comes_true, skip};
use crate::{await_end, config, facts, far, is_empty, scratch, send, send_file, temporaries, to};
use rustix::fs::{CWD, FileType, mknodat};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::time::Duration;

const NO_OTHER: &str = "/dev/shm is no other file system";

/// From the disk to memory, and from there to the disk.
#[test]
fn files_trees_and_links_arrive_equal() {
    let Some(far) = far() else { return skip(NO_OTHER) };
    for (action, is_back) in [("move", false), ("copy", false), ("move", true), ("copy", true)] {
        let scratch = scratch();
        let far = tempfile::tempdir_in(far.path()).unwrap();
        let near = scratch.path("near");
        let (from, to_dir) = if is_back { (far.path(), near.as_path()) } else { (near.as_path(), far.path()) };
        let (src, stage) = (from.join("src"), from.join("stage"));
        [&src, &stage].iter().for_each(|dir| fs::create_dir_all(dir).unwrap());
        let text = config(&[&to(action, &format!("@FAR/{action}"), "auto_create = yes")], "", to_dir);
        let daemon = scratch.start(&text.replace("@SRC", src.to_str().unwrap()));
        crate::tree::make(&stage.join("tree"));
        crate::tree::sparse(&stage.join("sparse"));
        symlink("/nowhere", stage.join("link")).unwrap();
        fs::copy(stage.join("tree/a/file"), stage.join("f")).unwrap();
        crate::tree::dress(&stage.join("f"));
        for name in ["tree", "link", "sparse", "f"] {
            let before = facts(&stage.join(name));
            let path = src.join(name);
            fs::rename(stage.join(name), &path).unwrap();
            let read = atimes(&path);
            let arrived = to_dir.join(action).join(name);
            await_end(&daemon, &path, &format!("done: {}", arrived.display()));
            assert_eq!(atimes(&arrived), read, "{action} {is_back}");
            assert_eq!(facts(&arrived), before, "{action} {is_back}");
            assert_eq!(path.symlink_metadata().is_ok(), action == "copy");
        }
        let arrived = facts(&to_dir.join(action).join("tree")).join("\n");
        for what in ["user.test=", "user.dir=", "system.posix_acl_access=", "system.posix_acl_default=", " holes "] {
            if !arrived.contains(what) {
                skip(&format!("{what} is not kept on both file systems"));
            }
        }
        assert!(arrived.contains(" links 2 is ") && arrived.contains("1000000000.123456789"), "{arrived}");
        assert_eq!(temporaries(&to_dir.join(action)), [] as [&Path; 0]);
        assert_eq!(temporaries(&src), [] as [&Path; 0]);
        assert!(daemon.stop().contains("started, worker"));
    }
}

/// When what is in a tree was read for the last time; directories are read by looking at them.
fn atimes(path: &Path) -> Vec<(i64, i64)> {
    let found = path.symlink_metadata().unwrap();
    if !found.is_dir() {
        return vec![(found.atime(), found.atime_nsec())];
    }
    let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names.iter().flat_map(|path| atimes(path)).collect()
}

#[test]
fn what_has_no_bytes_is_refused_before_anything_is_published() {
    let Some(far) = far() else { return skip(NO_OTHER) };
    for action in ["move", "copy"] {
        let scratch = scratch();
        let daemon = scratch.start(&config(&[&to(action, "@FAR", "")], "", far.path()));
        fs::create_dir(scratch.path("stage/tree")).unwrap();
        fs::write(scratch.path("stage/tree/a"), "x").unwrap();
        mknodat(CWD, scratch.path("stage/tree/fifo"), FileType::Fifo, 0o640.into(), 0).unwrap();
        mknodat(CWD, scratch.path("stage/fifo"), FileType::Fifo, 0o640.into(), 0).unwrap();
        for (name, said) in [("tree", "tree/fifo"), ("fifo", "fifo")] {
            let path = send(&scratch, name);
            await_end(
                &daemon,
                &path,
                &format!("failed: cannot copy {said}: it is a FIFO, which stays on its file system"),
            );
            assert!(path.exists() && is_empty(far.path()));
        }
    }
}

#[test]
fn what_is_there_is_replaced_only_on_demand() {
    let Some(far) = far() else { return skip(NO_OTHER) };
    for action in ["move", "copy"] {
        for replaces in ["no", "yes"] {
            let scratch = scratch();
            let daemon =
                scratch.start(&config(&[&to(action, "@FAR", &format!("override = {replaces}"))], "", far.path()));
            for name in ["dir", "f"] {
                fs::create_dir_all(scratch.path("stage/dir")).unwrap();
                fs::write(scratch.path("stage/dir/new"), "new").unwrap();
                fs::write(scratch.path("stage/f"), "new").unwrap();
                fs::create_dir_all(far.path().join("dir/old")).unwrap();
                fs::write(far.path().join("f"), "old").unwrap();
                let (old, new) = (facts(&far.path().join(name)), facts(&scratch.path("stage").join(name)));
                let path = send(&scratch, name);
                if replaces == "yes" {
                    await_end(&daemon, &path, "done: ");
                    assert_eq!(facts(&far.path().join(name)), new);
                } else {
                    await_end(&daemon, &path, &format!("failed: cannot {action} to "));
                    assert_eq!((facts(&far.path().join(name)), facts(&path)), (old, new));
                }
            }
            assert_eq!(temporaries(far.path()), [] as [&Path; 0]);
        }
    }
}

/// A kill after the copy had got its name: the next run knows it for a copy, and ends the move.
#[test]
fn a_move_that_is_all_but_done_is_ended() {
    let Some(far) = far() else { return skip(NO_OTHER) };
    let scratch = scratch();
    crate::tree::make(&scratch.path("stage/tree"));
    fs::write(scratch.path("stage/f"), "text").unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([scratch.path("stage/tree"), scratch.path("stage/f")])
        .arg(far.path())
        .status();
    assert!(copied.unwrap().success());
    fs::write(far.path().join("g"), "text").unwrap();
    let daemon = scratch.start(&config(&[&to("move", "@FAR", "")], "", far.path()));
    for name in ["tree", "f"] {
        let path = send(&scratch, name);
        await_end(&daemon, &path, "done: ");
        assert!(!path.exists());
    }
    // Only its time is another one.
    let path = send_file(&scratch, "g", "text");
    await_end(&daemon, &path, "failed: cannot move to ");
    assert!(path.exists() && temporaries(&scratch.src()).is_empty());
}

/// Long work tells how far it has come. It may be over before the status is written: then there is another try.
#[test]
fn progress_is_in_the_status() {
    const BYTES: usize = 200 << 20;
    let Some(far) = far() else { return skip(NO_OTHER) };
    let scratch: Scratch = scratch();
    let daemon = scratch.start(&config(&[&to("copy", "@FAR", "override = yes")], "", far.path()));
    fs::write(scratch.path("stage/f"), vec![1; BYTES]).unwrap();
    let is_told = || {
        daemon.signal(rustix::process::Signal::USR1);
        scratch.read("run.d/status").contains(&format!(" of {BYTES} bytes"))
    };
    let seen = (1..=20).any(|round| {
        let path = send(&scratch, "f");
        let mut told = false;
        let is_over = comes_true(Duration::from_secs(30), || {
            told |= is_told();
            assert!(!daemon.log().contains("failed: "), "{}", daemon.log());
            daemon.log().matches(": done: ").count() == round
        });
        assert!(is_over, "round {round}: {}", daemon.log());
        fs::rename(path, scratch.path("stage/f")).unwrap();
        told
    });
    assert!(seen);
}

/// A move takes the file from its path, which would cancel the task, were it not running: nobody is warned of that.
#[test]
fn a_move_does_not_warn_of_itself() {
    let Some(far) = far() else { return skip(NO_OTHER) };
    let scratch = scratch();
    let text = config(&[&to("move", "@FAR", "")], "", far.path());
    let daemon = scratch.start(&text.replace("[watch w]", "IN_MOVED_FROM = cancel files\n[watch w]"));
    // The event may come when the job is done already: then there is another try.
    let seen = (0..1_000).any(|round| {
        let path = send_file(&scratch, &format!("f{round}"), "text");
        await_end(&daemon, &path, "done: ");
        daemon.log().contains("not cancelled: it is running")
    });
    assert!(seen);
    assert!(!daemon.stop().contains(" WARNING "));
}
