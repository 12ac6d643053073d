//! Moves and copies to another file system.

use crate::common::{Scratch, skip, wait_until};
use crate::{await_end, config, facts, far, is_empty, scratch, send, send_file, temporaries, to};
use rustix::fs::{CWD, FileType, mknodat};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

const NO_OTHER: &str = "/dev/shm is no other file system";

#[test]
fn files_trees_and_links_arrive_equal() {
    let Some(far) = far() else { return skip(NO_OTHER) };
    for action in ["move", "copy"] {
        let scratch = scratch();
        let daemon =
            scratch.start(&config(&[&to(action, &format!("@FAR/{action}"), "auto_create = yes")], "", far.path()));
        crate::tree::make(&scratch.path("stage/tree"));
        symlink("/nowhere", scratch.path("stage/link")).unwrap();
        fs::write(scratch.path("stage/f"), "text").unwrap();
        for name in ["tree", "link", "f"] {
            let before = facts(&scratch.path("stage").join(name));
            let path = send(&scratch, name);
            let arrived = far.path().join(action).join(name);
            await_end(&daemon, &path, &format!("done: {}", arrived.display()));
            assert_eq!(facts(&arrived), before, "{action}");
            assert_eq!(path.symlink_metadata().is_ok(), action == "copy");
        }
        let sparse = fs::metadata(far.path().join(action).join("tree/sparse")).unwrap();
        assert!(sparse.blocks() * 512 < 1 << 20, "{} blocks", sparse.blocks());
        assert_eq!(temporaries(&far.path().join(action)), [] as [&Path; 0]);
        assert_eq!(temporaries(&scratch.src()), [] as [&Path; 0]);
        assert!(daemon.stop().contains("started, worker"));
    }
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
        wait_until("it is over", || {
            told |= is_told();
            daemon.log().matches("f: done: ").count() == round
        });
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
    let path = send_file(&scratch, "f", "text");
    await_end(&daemon, &path, "done: ");
    daemon.await_log("not cancelled: it is running");
    assert!(!daemon.stop().contains(" WARNING "));
}
