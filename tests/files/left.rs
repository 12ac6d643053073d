//! What a kill has left behind comes to its end at the next start, or with the next job.

use crate::common::{skip, wait_until};
use crate::{await_end, await_gone, config, far, scratch, send, send_file, temporaries, to};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// FNV-1a of the name.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// As a claim's directory is called.
pub fn claim(name: &str) -> String {
    format!(".dogwatch-move-{:016x}", hash(name))
}

/// As the directory is called in which what is replaced is kept.
fn aside(name: &str) -> String {
    format!(".dogwatch-gone-{:016x}", hash(name))
}

/// What is in it is to go back to its name, or to go.
const KEPT: u32 = 0o1700;
const GOING: u32 = 0o5700;

fn private_dir(path: &Path, mode: u32) {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What was claimed goes back to its name, or beside it; what was to go goes; what is not ours stays.
#[test]
fn the_first_scan_ends_what_was_begun() {
    let scratch = scratch();
    let src = scratch.src();
    for name in ["f", "taken"] {
        private_dir(&src.join(claim(name)), KEPT);
        fs::write(src.join(claim(name)).join(name), format!("claimed {name}")).unwrap();
    }
    // As it is made where a directory gives its group to what is in it.
    fs::set_permissions(src.join(claim("f")), fs::Permissions::from_mode(0o3700)).unwrap();
    fs::write(src.join("taken"), "new").unwrap();
    private_dir(&src.join(".dogwatch-gone-0123456789abcdef"), GOING);
    fs::create_dir_all(src.join(".dogwatch-gone-0123456789abcdef/tree/inner")).unwrap();
    let others = [".dogwatch-gone-others", ".dogwatch-move-others"];
    for name in others {
        private_dir(&src.join(name), 0o700);
        fs::write(src.join(name).join("x"), "").unwrap();
    }
    // Nothing that is there is moved, for nothing happens to it.
    let daemon = scratch.start(&config(&[&to("move", "@DIR/dst", "")], "", Path::new("")));
    await_gone(&src.join(".dogwatch-gone-0123456789abcdef"));
    for (name, text) in [("taken", "new"), ("taken.1", "claimed taken")] {
        wait_until(&format!("{name} is there"), || {
            [src.join(name), scratch.path("dst").join(name)]
                .iter()
                .any(|path| fs::read_to_string(path).is_ok_and(|read| read == text))
        });
    }
    for name in others {
        assert!(src.join(name).join("x").exists(), "{name}");
    }
    assert!(!src.join(claim("f")).exists() && !src.join(claim("taken")).exists());
    daemon.stop();
}

/// Somebody gives a directory of ours that is none of dogwatch's the names that a job looks for.
#[test]
fn the_next_job_leaves_alone_what_is_not_marked() {
    let scratch = scratch();
    let names = ["src", "dst"].map(|dir| [claim("f"), aside("f")].map(|name| scratch.path(dir).join(name))).concat();
    let daemon = scratch.start(&config(&[&to("move", "@DIR/dst", "override = yes")], "", Path::new("")));
    for name in &names {
        private_dir(name, 0o700);
        fs::write(name.join("f"), "root's").unwrap();
    }
    let path = send_file(&scratch, "f", "new");
    await_end(&daemon, &path, "done: ");
    assert_eq!(scratch.read("dst/f"), "new");
    // What is replaced is kept there.
    fs::create_dir_all(scratch.path("stage/f/in")).unwrap();
    let path = send(&scratch, "f");
    await_end(&daemon, &path, "failed: ");
    assert!(path.join("in").exists() && scratch.read("dst/f") == "new", "{}", daemon.log());
    for name in names {
        assert_eq!(fs::read_to_string(name.join("f")).unwrap(), "root's", "{}", name.display());
    }
    daemon.stop();
}

/// A kill has come between what was replaced and what replaces it, which is gone meanwhile; or after that.
#[test]
fn the_next_job_ends_what_was_begun_at_its_destination() {
    let scratch = scratch();
    let daemon = scratch.start(&config(&[&to("move", "@DIR/dst", "override = yes")], "", Path::new("")));
    let kept = scratch.src().join(aside("f"));
    for (mode, text) in [(KEPT, "new"), (GOING, "newer"), (KEPT, "newest")] {
        private_dir(&kept, mode);
        fs::write(kept.join("f"), "replaced").unwrap();
        let path = send_file(&scratch, "f", text);
        wait_until("it has arrived", || !path.exists() && scratch.read("dst/f") == text);
        assert!(!kept.exists());
        assert!(!scratch.path("dst/f.1").exists() && temporaries(&scratch.path("dst")).is_empty());
    }
    daemon.stop();
}

/// With `existing = yes` what was given back is found like everything else.
#[test]
fn what_is_given_back_is_an_event_where_existing_files_are() {
    let scratch = scratch();
    let src = scratch.src();
    private_dir(&src.join(claim("f")), KEPT);
    fs::write(src.join(claim("f")).join("f"), "text").unwrap();
    let config = config(&[&to("move", "@DIR/dst", "")], "", Path::new("")).replace("IN_MOVED_TO, ", "");
    let daemon = scratch.start(&format!("{config}existing = yes\n"));
    wait_until("it is moved", || scratch.read("dst/f") == "text");
    daemon.stop();
}

#[test]
fn the_next_job_ends_what_was_begun_under_its_name() {
    let Some(far) = far() else { return skip("/dev/shm is no other file system") };
    let near = tempfile::tempdir().unwrap();
    for target in [far.path(), near.path()] {
        let scratch = scratch();
        let daemon = scratch.start(&config(&[&to("move", "@FAR", "")], "", target));
        private_dir(&scratch.src().join(claim("f")), KEPT);
        fs::write(scratch.src().join(claim("f")).join("f"), "old").unwrap();
        let path = send_file(&scratch, "f", "new");
        await_end(&daemon, &path, "done: ");
        let has_come = || fs::read_to_string(target.join("f.1")).is_ok_and(|text| text == "old");
        wait_until("the other one goes too", has_come);
        assert_eq!(fs::read_to_string(target.join("f")).unwrap(), "new");
        daemon.stop();
    }
}

/// A worker is killed in the midst of a move: the source is whole under its name, and moved again.
#[test]
fn a_worker_that_is_killed_leaves_everything_whole() {
    let Some(far) = far() else { return skip("/dev/shm is no other file system") };
    let scratch = scratch();
    let daemon = scratch.start(&config(&[&to("move", "@FAR", "")], "", far.path()));
    let mut killed = 0;
    for n in 0..40 {
        let name = format!("f{n}");
        let text = n.to_string().repeat(100_000);
        let path = send_file(&scratch, &name, &text);
        wait_until("a worker is at it", || daemon.log().contains(&format!("{}: started, worker ", path.display())));
        let line = daemon
            .log()
            .lines()
            .find(|line| line.contains(&format!("{}: started, worker ", path.display())))
            .unwrap()
            .to_owned();
        let pid: i32 = line.rsplit(' ').next().unwrap().parse().unwrap();
        std::thread::park_timeout(std::time::Duration::from_micros(fastrand::u64(..40_000)));
        if rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::KILL).is_ok() {
            killed += 1;
        }
        wait_until(&format!("{name} stands in one place, whole"), || {
            let texts = [path.clone(), far.path().join(&name)].map(|path| fs::read_to_string(path).ok());
            let whole = texts.iter().flatten().all(|read| *read == text) && texts.iter().flatten().count() > 0;
            whole && temporaries(&scratch.src()).is_empty()
        });
        // An event makes the move come to its end, if nothing else has.
        if path.exists() {
            let _ = fs::OpenOptions::new().append(true).open(&path);
        }
        wait_until(&format!("{name} has arrived"), || {
            fs::read_to_string(far.path().join(&name)).is_ok_and(|read| read == text) && !path.exists()
        });
    }
    wait_until("nothing temporary is left", || temporaries(far.path()).is_empty());
    assert!(killed > 10, "{killed} were killed");
    daemon.stop();
}

/// What was set aside to be replaced has its name again before anything else is done, or goes if the new one has it.
#[test]
fn what_was_set_aside_comes_back_with_the_next_job() {
    let Some(far) = far() else { return skip("/dev/shm is no other file system") };
    let scratch = scratch();
    let daemon = scratch.start(&config(&[&to("copy", "@FAR", "override = yes")], "", far.path()));
    for name in ["free", "taken"] {
        // It was to be replaced by a copy, which has had a temporary name.
        let aside = far.path().join(aside(&format!(".dogwatch-{:016x}", hash(name))));
        private_dir(&aside, KEPT);
        fs::create_dir_all(aside.join(name).join("old")).unwrap();
        fs::create_dir(scratch.path("stage").join(name)).unwrap();
        // It cannot be copied, so that nothing replaces anything.
        let fifo = scratch.path("stage").join(name).join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    }
    fs::create_dir_all(far.path().join("taken/new")).unwrap();
    for (name, inner) in [("free", "old"), ("taken", "new")] {
        let path = crate::send(&scratch, name);
        await_end(&daemon, &path, "failed: ");
        let there: Vec<_> =
            fs::read_dir(far.path().join(name)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(there, [inner]);
    }
    assert_eq!(temporaries(far.path()), [] as [&Path; 0]);
    daemon.stop();
}
