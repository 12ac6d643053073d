//! Moves, copies and deletes within a file system.

use crate::common::{dogwatch, is_root, skip, wait_until};
use crate::{await_end, await_gone, config, facts, is_empty, scratch, send, send_file, temporaries, to};
use rustix::fs::{CWD, FileType, mknodat};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

/// The daemon does itself what is one short call.
#[test]
fn a_file_is_moved_or_deleted_at_once() {
    let scratch = scratch();
    let rules = ["action = delete\nsrc_re = ^@SRC/.*\\.del$".to_owned(), to("move", "@DIR/dst", "")];
    let daemon = scratch.start(&config(&[&rules[0], &rules[1]], "", Path::new("")));
    let moved = send_file(&scratch, "f", "text");
    await_end(&daemon, &moved, &format!("done: {}", scratch.path("dst/f").display()));
    let deleted = send_file(&scratch, "f.del", "text");
    await_end(&daemon, &deleted, "done");
    assert_eq!(scratch.read("dst/f"), "text");
    assert!(is_empty(&scratch.src()));
    let log = daemon.stop();
    assert!(!log.contains("worker"), "{log}");
}

#[test]
fn every_kind_is_moved_as_it_is() {
    let scratch = scratch();
    let daemon = scratch.start(&config(&[&to("move", "@DIR/dst", "")], "", Path::new("")));
    let stage = scratch.path("stage");
    fs::create_dir_all(stage.join("dir/inner")).unwrap();
    fs::write(stage.join("dir/inner/f"), "x").unwrap();
    symlink("/nowhere", stage.join("link")).unwrap();
    mknodat(CWD, stage.join("fifo"), FileType::Fifo, 0o640.into(), 0).unwrap();
    drop(UnixListener::bind(stage.join("socket")).unwrap());
    for name in ["dir", "link", "fifo", "socket"] {
        let before = facts(&stage.join(name));
        let path = send(&scratch, name);
        await_end(&daemon, &path, "done: ");
        assert_eq!(facts(&scratch.path("dst").join(name)), before);
    }
    assert!(is_empty(&scratch.src()));
}

#[test]
fn copies_are_equal_and_the_original_stays() {
    let scratch = scratch();
    let daemon = scratch.start(&config(&[&to("copy", "@DIR/dst", "")], "", Path::new("")));
    crate::tree::make(&scratch.path("stage/tree"));
    symlink("/nowhere", scratch.path("stage/link")).unwrap();
    fs::write(scratch.path("stage/f"), "text").unwrap();
    for name in ["tree", "link", "f"] {
        let before = facts(&scratch.path("stage").join(name));
        let path = send(&scratch, name);
        await_end(&daemon, &path, "done: ");
        assert_eq!(facts(&path), before);
        assert_eq!(facts(&scratch.path("dst").join(name)), before);
    }
    assert_eq!(temporaries(&scratch.path("dst")), [] as [&Path; 0]);
}

/// Modes and owners are those of the rule on the whole tree, whether it is moved or copied.
#[test]
fn modes_and_owners_are_set_on_all_of_it() {
    for action in ["move", "copy"] {
        let scratch = scratch();
        let owner = if is_root() { "user = 4711\ngroup = 4712" } else { "" };
        let keys = format!("filemode = 0640\ndirmode = 0750\nauto_create = yes\n{owner}");
        let daemon = scratch.start(&config(&[&to(action, "@DIR/dst/new", &keys)], "", Path::new("")));
        fs::create_dir_all(scratch.path("stage/tree/inner")).unwrap();
        fs::write(scratch.path("stage/tree/inner/f"), "x").unwrap();
        let setuid = fs::Permissions::from_mode(0o4755);
        fs::set_permissions(scratch.path("stage/tree/inner/f"), setuid.clone()).unwrap();
        symlink("f", scratch.path("stage/tree/inner/link")).unwrap();
        let path = send(&scratch, "tree");
        await_end(&daemon, &path, "done: ");
        let wanted = if is_root() {
            (4711, 4712)
        } else {
            (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
        };
        for (name, mode) in [("", 0o40750), ("/tree", 0o40750), ("/tree/inner", 0o40750), ("/tree/inner/f", 0o100640)] {
            let found = fs::symlink_metadata(scratch.path(format!("dst/new{name}"))).unwrap();
            assert_eq!((found.mode(), (found.uid(), found.gid())), (mode, wanted), "{action} {name}");
        }
        let link = fs::symlink_metadata(scratch.path("dst/new/tree/inner/link")).unwrap();
        assert_eq!((link.uid(), link.gid()), wanted);
    }
}

/// An owner change never leaves a setuid bit.
#[test]
fn another_owner_takes_setuid_away() {
    if !is_root() {
        return skip("only root gives files away");
    }
    for action in ["move", "copy"] {
        let scratch = scratch();
        let daemon = scratch.start(&config(&[&to(action, "@DIR/dst", "user = 4711")], "", Path::new("")));
        fs::write(scratch.path("stage/f"), "x").unwrap();
        fs::set_permissions(scratch.path("stage/f"), fs::Permissions::from_mode(0o6755)).unwrap();
        let path = send(&scratch, "f");
        await_end(&daemon, &path, "done: ");
        let found = fs::metadata(scratch.path("dst/f")).unwrap();
        assert_eq!((found.mode(), found.uid()), (0o100755, 4711), "{action}");
    }
}

#[test]
fn missing_directories_are_made_or_told() {
    let scratch = scratch();
    let rules = [
        r"action = move
src_re = ^@SRC/(.*)\.yes$
dst_re = @DIR/root/made/\1/f
auto_create = yes",
        r"action = move
src_re = ^@SRC/(.*)\.no$
dst_re = @DIR/missing/\1",
    ];
    let daemon = scratch.start(&config(&rules, "", Path::new("")));
    let path = send_file(&scratch, "a.yes", "x");
    await_end(&daemon, &path, "done: ");
    assert_eq!(scratch.read("root/made/a/f"), "x");
    let path = send_file(&scratch, "b.no", "x");
    await_end(&daemon, &path, "failed: cannot reach ");
    assert!(daemon.log().contains("missing directories are not made (auto_create = no)"));
    assert!(path.exists() && !scratch.path("missing").exists());
}

#[test]
fn what_is_there_is_replaced_only_on_demand() {
    for action in ["move", "copy"] {
        let scratch = scratch();
        let daemon = scratch.start(&config(&[&to(action, "@DIR/dst", "")], "", Path::new("")));
        fs::create_dir(scratch.path("dst/dir")).unwrap();
        fs::write(scratch.path("dst/f"), "old").unwrap();
        fs::create_dir(scratch.path("stage/dir")).unwrap();
        for path in [send(&scratch, "dir"), send_file(&scratch, "f", "new")] {
            let end = format!(
                "failed: cannot {action} to {}: the destination exists already (override = no)",
                scratch.path("dst").join(path.file_name().unwrap()).display()
            );
            await_end(&daemon, &path, &end);
            assert!(path.exists());
        }
        assert_eq!(scratch.read("dst/f"), "old");
    }
}

/// A directory is replaced as a whole; so is a file by a directory, and a directory by a file.
#[test]
fn override_replaces_whatever_is_there() {
    for action in ["move", "copy"] {
        let scratch = scratch();
        let daemon = scratch.start(&config(&[&to(action, "@DIR/dst", "override = yes")], "", Path::new("")));
        for (name, old_is_dir, new_is_dir) in
            [("a", true, true), ("b", true, false), ("c", false, true), ("d", false, false)]
        {
            for (dir, is_dir) in [("dst", old_is_dir), ("stage", new_is_dir)] {
                let path = scratch.path(dir).join(name);
                if is_dir {
                    fs::create_dir(&path).unwrap();
                    fs::write(path.join(format!("of-{dir}")), dir).unwrap();
                } else {
                    fs::write(path, dir).unwrap();
                }
            }
            let before = facts(&scratch.path("stage").join(name));
            let path = send(&scratch, name);
            await_end(&daemon, &path, "done: ");
            assert_eq!(facts(&scratch.path("dst").join(name)), before, "{action} {name}");
            assert_eq!(path.exists(), action == "copy");
        }
        assert_eq!(temporaries(&scratch.path("dst")), [] as [&Path; 0]);
        assert_eq!(temporaries(&scratch.src()), [] as [&Path; 0]);
    }
}

#[test]
fn directories_are_deleted_empty_or_with_all_that_is_in_them() {
    for rec in ["no", "yes"] {
        let scratch = scratch();
        let rule = format!("action = delete\nsrc_re = ^@SRC/.*$\nrec = {rec}");
        let daemon = scratch.start(&config(&[&rule], "", Path::new("")));
        fs::create_dir(scratch.path("stage/empty")).unwrap();
        let empty = send(&scratch, "empty");
        await_end(&daemon, &empty, "done");
        fs::create_dir_all(scratch.path("stage/full/inner")).unwrap();
        symlink(scratch.path("dst"), scratch.path("stage/full/inner/link")).unwrap();
        fs::write(scratch.path("dst/precious"), "").unwrap();
        let full = send(&scratch, "full");
        if rec == "yes" {
            await_end(&daemon, &full, "done");
            assert!(is_empty(&scratch.src()));
        } else {
            await_end(&daemon, &full, "failed: cannot delete ");
            assert!(daemon.log().contains("Directory not empty; with rec = yes it would go"));
            assert!(full.join("inner/link").is_symlink());
        }
        assert!(scratch.path("dst/precious").exists());
    }
}

/// Where anybody may make links to others' files, none is published; here that sysctl is said to be 0.
#[test]
fn planted_hard_links_are_refused() {
    if !is_root() {
        return skip("only root's files are planted");
    }
    for (action, keys) in [("move", ""), ("copy", ""), ("move", "hardlinks = yes"), ("copy", "hardlinks = yes")] {
        let scratch = scratch();
        fs::write(scratch.path("zero"), "0\n").unwrap();
        let conf = scratch.config(&config(&[&to(action, "@DIR/dst", keys)], "", Path::new("")));
        let script = "mount --bind \"$0\" /proc/sys/fs/protected_hardlinks && exec \"$@\"";
        let mut command = std::process::Command::new("unshare");
        command.args(["-m", "sh", "-c", script]).arg(scratch.path("zero")).arg(dogwatch().get_program());
        command.args(["daemon", "-c"]).arg(conf).env("TZ", "UTC0");
        let daemon = scratch.start_with(&mut command);
        fs::write(scratch.path("secret"), "secret").unwrap();
        fs::hard_link(scratch.path("secret"), scratch.path("stage/f")).unwrap();
        fs::create_dir(scratch.path("stage/dir")).unwrap();
        fs::hard_link(scratch.path("secret"), scratch.path("stage/dir/f")).unwrap();
        // A directory that is moved as it is publishes nothing that was not published before.
        let names = if action == "copy" { &["f", "dir"][..] } else { &["f"] };
        for name in names {
            let path = send(&scratch, name);
            if keys.is_empty() {
                await_end(&daemon, &path, "failed: cannot publish ");
                assert!(!scratch.path("dst").join(name).exists() && path.exists());
            } else {
                await_end(&daemon, &path, "done: ");
            }
        }
        assert_eq!(temporaries(&scratch.path("dst")), [] as [&Path; 0]);
        let _ = fs::remove_file(scratch.path("secret"));
    }
}

/// What was moved is trusted below the destination's root, and the next scheduler's rule is for it there.
#[test]
fn what_was_moved_is_handed_on() {
    let scratch = scratch();
    fs::create_dir(scratch.path("last")).unwrap();
    let next = "then = next\n[rule next]\naction = move\nsrc_re = ^@DIR/dst/(.*)$\ndst_re = @DIR/last/\\1\n[scheduler next]\nrules = next";
    let daemon = scratch.start(&config(&[&to("move", "@DIR/dst", "")], next, Path::new("")));
    send_file(&scratch, "f", "text");
    wait_until("it has gone on", || scratch.read("last/f") == "text");
    daemon.await_log(&format!("next#2 IN_MOVED_TO {}", scratch.path("dst/f").display()));
    await_gone(&scratch.path("dst/f"));
}

/// Rules that make work for themselves come to an end.
#[test]
fn rules_in_a_circle_come_to_an_end() {
    let scratch = scratch();
    let rules = [
        "action = move\nsrc_re = ^@SRC/a$\ndst_re = @SRC/b",
        "action = move\nsrc_re = ^@SRC/b$\ndst_re = @SRC/a",
        "action = copy\nsrc_re = ^@SRC/(c+)$\ndst_re = @SRC/\\1c",
    ];
    let daemon = scratch.start(&config(&rules, "", Path::new("")));
    send_file(&scratch, "a", "text");
    send_file(&scratch, "c", "text");
    let ended = |name: &str| {
        let is_it =
            |line: &str| line.contains(&format!("/src/{name}")) && line.contains("rules have made it go on 10 times");
        daemon.log().lines().any(is_it)
    };
    wait_until("the moves come to an end", || ended("a (from "));
    wait_until("the copies come to an end", || ended("ccccccccccc:"));
    // The worker may tell of the last copy after its event came.
    wait_until("all is told", || daemon.log().matches("done: ").count() >= 20);
    assert_eq!(scratch.read("src/a"), "text");
    wait_until("all are told", || daemon.log().matches("done: ").count() == 20);
    daemon.stop();
    assert!(!scratch.src().join("c".repeat(12)).exists());
}

/// What is done at once has events of its own, which are read between.
#[test]
fn ten_thousand_moves_at_once_do_not_overflow_the_queue() {
    const FILES: usize = 10_000;
    let scratch = scratch();
    let next = "delay = 1s\n[rule nothing]\naction = none\nsrc_re = .*\n[scheduler nothing]\nrules = nothing\n\
                [event_map n]\nIN_MOVED_TO = nothing\n[watch dst]\npath = @DIR/dst\nevent_map = n";
    let daemon = scratch.start(&config(&[&to("move", "@DIR/dst", "")], next, Path::new("")));
    for n in 0..FILES {
        fs::write(scratch.path("stage").join(n.to_string()), "").unwrap();
    }
    for n in 0..FILES {
        send(&scratch, &n.to_string());
    }
    wait_until("all are moved", || fs::read_dir(scratch.path("dst")).unwrap().count() == FILES);
    let log = daemon.stop();
    assert!(!log.contains("overflow"), "{}", &log.lines().filter(|line| line.contains("overflow")).collect::<String>());
}
