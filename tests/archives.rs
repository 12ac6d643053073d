//! Schedulers that archive what their events are about.

mod common;

use common::{Scratch, wait_until};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

fn config(keys: &str, sections: &str) -> String {
    format!(
        "[scheduler pack]\n{keys}\n[event_map m]\nIN_MOVED_TO = pack\n[watch w]\npath = @SRC\nevent_map = m\n{sections}\n"
    )
}

/// What GNU tar lists of an archive.
fn listed(archive: &Path) -> String {
    let output = Command::new("tar").arg("-tzf").arg(archive).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Makes something beside the watched directory, and lets it come.
fn send(scratch: &Scratch, name: &str, make: impl FnOnce(&Path)) {
    let path = scratch.path(name);
    make(&path);
    fs::rename(path, scratch.src().join(name)).unwrap();
}

#[test]
fn files_and_directories_are_archived_and_handed_on() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("backup")).unwrap();
    let ship = "[scheduler ship]\nexec = /bin/echo shipped {pathname} of {src_pathname}";
    let keys = "archive = @DIR/backup/{name}-{date}.tar.gz\ndirs = yes\nthen = ship";
    let daemon = scratch.start(&config(keys, ship));
    send(&scratch, "file", |path| fs::write(path, "text").unwrap());
    send(&scratch, "dir", |path| {
        fs::create_dir_all(path.join("in")).unwrap();
        fs::write(path.join("in/a"), "a").unwrap();
        symlink("a", path.join("in/link")).unwrap();
    });
    for name in ["file", "dir"] {
        daemon.await_log(&format!(" of {}", scratch.src().join(name).display()));
    }
    let mut archives: Vec<_> =
        fs::read_dir(scratch.path("backup")).unwrap().map(|entry| entry.unwrap().path()).collect();
    archives.sort();
    assert_eq!(
        archives.iter().map(|path| listed(path)).collect::<Vec<_>>(),
        ["dir/\ndir/in/\ndir/in/a\ndir/in/link\n", "file\n"]
    );
    for path in archives {
        assert!(daemon.log().contains(&format!("shipped {} of ", path.display())), "{}", daemon.log());
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o600);
    }
    assert!(scratch.src().join("dir/in/a").exists());
    daemon.stop();
}

/// A taken name gets a number; what stands there stays.
#[test]
fn nothing_is_overwritten() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("archive = @DIR/last.tar.gz", ""));
    fs::write(scratch.path("last.tar.gz"), "of others").unwrap();
    for (name, archive) in [("a", "last_1.tar.gz"), ("b", "last_2.tar.gz")] {
        send(&scratch, name, |path| fs::write(path, name).unwrap());
        daemon.await_log(&format!("done: {}", scratch.path(archive).display()));
        assert_eq!(listed(&scratch.path(archive)), format!("{name}\n"));
    }
    assert_eq!(scratch.read("last.tar.gz"), "of others");
    daemon.stop();
}

/// An archive that lies in what it archives does not hold itself, nor an older one what it is about.
#[test]
fn an_archive_does_not_hold_itself() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("archive = @DIR/src/dir/own.tar.gz\ndirs = yes", ""));
    send(&scratch, "dir", |path| {
        fs::create_dir(path).unwrap();
        fs::write(path.join("a"), "a").unwrap();
    });
    daemon.await_log(": done: ");
    assert_eq!(listed(&scratch.src().join("dir/own.tar.gz")), "dir/\ndir/a\n");
    daemon.stop();
}

#[test]
fn what_cannot_be_archived_is_told() {
    let scratch = Scratch::new();
    let alarm = "[scheduler alarm]\nexec = /bin/echo alarmed by {pathname}";
    let daemon = scratch.start(&config("archive = @DIR/none/{name}.tar.gz\non_failure = alarm", alarm));
    send(&scratch, "a", |path| fs::write(path, "a").unwrap());
    daemon.await_log(&format!("alarmed by {}", scratch.src().join("a").display()));
    let reach = format!("failed: cannot reach {}: No such file or directory", scratch.path("none/a.tar.gz").display());
    assert!(daemon.log().contains(&reach), "{}", daemon.log());
    fs::create_dir(scratch.path("none")).unwrap();
    // A link on the way, below the directory that is configured.
    let linked = Scratch::new();
    let daemon = linked.start(&config("archive = @DIR/{name}/x.tar.gz", ""));
    symlink("/", linked.path("b")).unwrap();
    fs::write(linked.path("staged"), "b").unwrap();
    fs::rename(linked.path("staged"), linked.src().join("b")).unwrap();
    daemon.await_log("x.tar.gz: a symbolic link is in the way");
    daemon.stop();
}

/// Long work in a worker tells how far it is, and does not keep events waiting.
#[test]
fn events_are_served_while_an_archive_is_made() {
    let scratch = Scratch::new();
    let other = "[scheduler other]\nexec = /bin/echo saw {name}\n[event_map o]\nIN_CREATE = other\n[watch o]\npath = @DIR/other\nevent_map = o";
    fs::create_dir(scratch.path("other")).unwrap();
    let daemon = scratch.start(&config("archive = @DIR/{name}.tar.gz\nlevel = 9", other));
    let noise: Vec<u8> = (0..64_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    // Enough for a while, on a busy machine too.
    send(&scratch, "big", |path| fs::write(path, noise.repeat(4)).unwrap());
    let told = || {
        daemon.signal(rustix::process::Signal::USR1);
        let status = scratch.read("run.d/status");
        status.lines().any(|line| line.contains(" bytes  ") && line.contains("/src/big"))
    };
    wait_until("its progress is told", told);
    fs::write(scratch.path("other/new"), "").unwrap();
    daemon.await_log("saw new");
    let done = format!("done: {}", scratch.path("big.tar.gz").display());
    assert!(!daemon.log().contains(&done), "the archive was faster than the event");
    daemon.await_log(&done);
    daemon.stop();
}

#[test]
fn wrong_keys_are_told() {
    let complaint = |keys: &str| {
        let scratch = Scratch::new();
        let path = scratch.config(&config(keys, ""));
        let output = common::dogwatch().args(["check", "-c"]).arg(path).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(complaint("archive = /backup/{name}.tar.gz\nlevel = 9"), "");
    for (keys, words) in [
        ("archive = backup/{name}.tar.gz", "no absolute path of a file"),
        ("archive = {dir}/{name}.tar.gz", "no absolute path of a file"),
        ("archive = /backup/", "no absolute path of a file"),
        ("archive = /backup/x\nlevel = 10", "a number from 1 (fast) to 9 (small)"),
        ("archive = /backup/x\nuser = 1", "user is for cmd and exec"),
        ("archive = /backup/x\ncmd = true", "a scheduler has one job"),
        ("cmd = true\nlevel = 3", "level is for archive"),
        ("archive = /backup/{nam}.tar.gz", "did you mean {name}?"),
    ] {
        assert!(complaint(keys).contains(words), "{keys}: {}", complaint(keys));
    }
}
