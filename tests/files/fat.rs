//! A file system without owners, modes, links and attributes, and with coarse times: exFAT by FUSE, which needs
//! no kernel with FAT in it.

use crate::common::{Scratch, is_root, skip, wait_until};
use crate::left::claim;
use crate::{await_end, config, scratch, send, temporaries, to};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted one, until it is dropped.
struct Fat {
    dir: tempfile::TempDir,
}

impl Fat {
    /// Everything on it belongs to this user.
    fn new(user: u32) -> Option<Fat> {
        let fat = Fat { dir: tempfile::tempdir().unwrap() };
        let image = fat.dir.path().join("image");
        fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
        fs::create_dir(fat.root()).unwrap();
        // The loop device goes with the mount.
        let script = "mkfs.exfat \"$0\" && loop=$(losetup --find --show \"$0\") || exit 1
                      mount.exfat-fuse -o \"$2\" \"$loop\" \"$1\"; done=$?; losetup -d \"$loop\"; exit $done";
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(image).arg(fat.root()).arg(format!("uid={user}"));
        let output = command.output().unwrap();
        if !output.status.success() {
            println!("{}", String::from_utf8_lossy(&output.stderr));
            return None;
        }
        ["src", "dst"].iter().for_each(|name| fs::create_dir(fat.root().join(name)).unwrap());
        Some(fat)
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("fat")
    }
}

impl Drop for Fat {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.root()).output();
    }
}

fn fat(user: u32) -> Option<Fat> {
    if !is_root() {
        skip("only root mounts file systems");
        return None;
    }
    let fat = Fat::new(user);
    if fat.is_none() {
        skip("no exFAT can be mounted (packages exfat-fuse and exfatprogs)");
    }
    fat
}

fn make(path: &Path, mark: &str) {
    if path.ends_with("f") {
        return fs::write(path, mark).unwrap();
    }
    fs::create_dir_all(path.join("dir/empty")).unwrap();
    fs::write(path.join(mark), vec![b'x'; 300_000]).unwrap();
    fs::write(path.join("dir").join(mark), mark).unwrap();
}

/// What is there, by path.
fn contents(path: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    let mut left = vec![path.to_owned()];
    while let Some(next) = left.pop() {
        let is_dir = next.is_dir();
        if is_dir {
            left.extend(fs::read_dir(&next).unwrap().map(|entry| entry.unwrap().path()));
        }
        let text = (!is_dir).then(|| fs::read(&next).unwrap());
        all.insert(next.strip_prefix(path).unwrap().to_owned(), text);
    }
    all
}

/// Where a daemon takes things from, and where it brings them.
fn start(scratch: &Scratch, rule: &str, source: &Path) -> crate::common::Daemon {
    let text = config(&[rule], "", Path::new("")).replace("@SRC", source.to_str().unwrap());
    scratch.start(&format!("{text}existing = yes\n").replace("IN_MOVED_TO,", "IN_MOVED_TO, IN_CREATE,"))
}

/// From it, to it, and within it.
#[test]
fn all_that_it_can_keep_comes_and_goes() {
    for user in [0, 4711] {
        let Some(fat) = fat(user) else { return };
        for action in ["move", "copy"] {
            for (from_fat, to_fat) in [(true, false), (false, true), (true, true)] {
                for replaces in ["no", "yes"] {
                    let scratch = scratch();
                    let source = if from_fat { fat.root().join("src") } else { scratch.src() };
                    let dst = if to_fat { fat.root().join("dst") } else { scratch.path("dst") };
                    let case = format!("{user} {action} {from_fat} {to_fat} {replaces}");
                    for name in ["f", "tree"] {
                        make(&source.join(name), "new");
                        if replaces == "yes" {
                            make(&dst.join(name), "old");
                        }
                    }
                    let before = contents(&source);
                    let keys = format!("override = {replaces}");
                    let daemon = start(&scratch, &to(action, dst.to_str().unwrap(), &keys), &source);
                    for name in ["f", "tree"] {
                        daemon.await_log(&format!("done: {}", dst.join(name).display()));
                    }
                    daemon.stop();
                    assert_eq!(contents(&dst), before, "{case}");
                    assert!(action == "move" || contents(&source) == before, "{case}");
                    for dir in [source, dst] {
                        assert!(action == "copy" || temporaries(&dir).is_empty(), "{case}");
                        fs::remove_dir_all(&dir).unwrap();
                        fs::create_dir(dir).unwrap();
                    }
                }
            }
        }
    }
}

/// It has no links: that is told, and all stays.
#[test]
fn what_it_cannot_keep_stays_where_it_is() {
    let Some(fat) = fat(0) else { return };
    for action in ["move", "copy"] {
        let scratch = scratch();
        let dst = fat.root().join("dst");
        let daemon = scratch.start(&config(&[&to(action, dst.to_str().unwrap(), "")], "", Path::new("")));
        symlink("text", scratch.path("stage/link")).unwrap();
        make(&scratch.path("stage/tree"), "new");
        symlink("text", scratch.path("stage/tree/link")).unwrap();
        for name in ["link", "tree"] {
            let path = send(&scratch, name);
            let target = dst.join(name);
            await_end(&daemon, &path, &format!("failed: cannot write {}: Function not implemented", target.display()));
            assert!(path.symlink_metadata().is_ok() && fs::read_dir(&dst).unwrap().next().is_none());
        }
        daemon.stop();
    }
}

/// What a kill has left in a directory of ours is known there too.
#[test]
fn what_was_claimed_comes_back() {
    for user in [0, 4711] {
        let Some(fat) = fat(user) else { return };
        let source = fat.root().join("src");
        fs::create_dir(source.join(claim("f"))).unwrap();
        fs::write(source.join(claim("f")).join("f"), "text").unwrap();
        fs::create_dir_all(source.join(".dogwatch-gone-0123456789abcdef/tree")).unwrap();
        let scratch = scratch();
        let daemon = start(&scratch, &to("move", "@DIR/dst", ""), &source);
        wait_until("it is moved", || scratch.read("dst/f") == "text");
        wait_until("nothing is left", || fs::read_dir(&source).unwrap().next().is_none());
        daemon.stop();
    }
}
