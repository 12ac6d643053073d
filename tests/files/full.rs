//! There is no room for what is to come: that is told, nothing has happened, and once there is room it comes.

use crate::common::{Scratch, dogwatch, is_root, skip};
use crate::{await_end, config, facts, scratch, send, send_file, temporaries, to};
use std::fs;
use std::path::{Path, PathBuf};

/// A file and a tree that want more room than there is, and what they are like.
fn stage(scratch: &Scratch) -> [(&'static str, Vec<String>); 2] {
    fs::write(scratch.path("stage/f"), vec![1; 2 << 20]).unwrap();
    crate::tree::make(&scratch.path("stage/tree"));
    ["f", "tree"].map(|name| (name, facts(&scratch.path("stage").join(name))))
}

/// Once more, after it has failed.
fn send_again(scratch: &Scratch, name: &str) -> PathBuf {
    fs::rename(scratch.src().join(name), scratch.path("stage").join(name)).unwrap();
    send(scratch, name)
}

/// A small file system of the daemon's own.
#[test]
fn a_full_disk_is_told_and_changes_nothing() {
    if !is_root() {
        return skip("only root mounts file systems");
    }
    for action in ["move", "copy"] {
        let scratch = scratch();
        let conf = scratch.config(&config(&[&to(action, "@DIR/dst", "")], "", Path::new("")));
        // What is mounted is the daemon's own, and is seen through its /proc/PID/root.
        let script = "mount -t tmpfs -o size=16m tmpfs \"$0\" && exec \"$@\"";
        let mut command = std::process::Command::new("unshare");
        command.args(["-m", "sh", "-c", script]).arg(scratch.path("dst")).arg(dogwatch().get_program());
        command.args(["daemon", "-c"]).arg(conf).env("TZ", "UTC0");
        let daemon = scratch.start_with(&mut command);
        let inside = PathBuf::from(format!("/proc/{}/root{}", daemon.pid(), scratch.path("dst").display()));
        let ballast = inside.join("ballast");
        fs::write(&ballast, vec![1; 15 << 20]).unwrap();
        let pieces = stage(&scratch);
        for (name, before) in &pieces {
            let path = send(&scratch, name);
            let target = scratch.path("dst").join(name);
            await_end(&daemon, &path, &format!("failed: cannot write {}: No space left on device", target.display()));
            assert_eq!(facts(&path), *before);
            assert_eq!(fs::read_dir(&inside).unwrap().count(), 1, "{action} {name}");
            assert_eq!(temporaries(&scratch.src()), [] as [&Path; 0]);
        }
        let path = send_file(&scratch, "small", "x");
        await_end(&daemon, &path, "done: ");
        fs::remove_file(ballast).unwrap();
        for (name, before) in &pieces {
            let path = send_again(&scratch, name);
            await_end(&daemon, &path, "done: ");
            assert_eq!(facts(&inside.join(name)), *before);
            assert_eq!(path.exists(), action == "copy");
        }
        assert_eq!(temporaries(&inside), [] as [&Path; 0]);
        daemon.stop();
    }
}

/// A quota; kernels without any are many, so that the call's answer is made up.
#[cfg(feature = "fault")]
#[test]
fn a_quota_is_told_and_changes_nothing() {
    let Some(far) = crate::far() else { return skip("/dev/shm is no other file system") };
    for action in ["move", "copy"] {
        let scratch = scratch();
        let text = config(&[&to(action, "@FAR", "")], "", far.path());
        let conf = scratch.config(&text);
        let exceeded = "copy_file_range=EDQUOT,pwrite64=EDQUOT";
        let daemon = scratch.start_with(dogwatch().args(["daemon", "-c"]).arg(conf).env("DOGWATCH_FAULT", exceeded));
        let pieces = stage(&scratch);
        for (name, before) in &pieces {
            let path = send(&scratch, name);
            let target = far.path().join(name);
            let end = format!("failed: cannot write {}: Disk quota exceeded", target.display());
            await_end(&daemon, &path, &end);
            assert_eq!(facts(&path), *before);
            assert!(crate::is_empty(far.path()) && temporaries(&scratch.src()).is_empty(), "{action} {name}");
        }
        daemon.stop();
        let daemon = scratch.start(&text);
        for (name, before) in &pieces {
            let path = send_again(&scratch, name);
            await_end(&daemon, &path, "done: ");
            assert_eq!(facts(&far.path().join(name)), *before);
            let _ = fs::remove_dir_all(far.path().join(name)).or_else(|_| fs::remove_file(far.path().join(name)));
        }
    }
}
