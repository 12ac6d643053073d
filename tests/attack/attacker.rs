//! A user without rights who owns both roots, and swaps directories in them for links to the treasure.
//!
//! A thread of the test is that user: to the kernel each thread has credentials of its own (credentials(7)).

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// No account's number.
pub const USER: u32 = 54_321;
/// Directories in a root that are swapped.
pub const DIRS: usize = 4;

/// From here on the calling thread is the attacker.
pub fn become_attacker() {
    let (user, group) = (Uid::from_raw(USER), Gid::from_raw(USER));
    set_thread_groups(&[]).unwrap();
    set_thread_res_gid(group, group, group).unwrap();
    set_thread_res_uid(user, user, user).unwrap();
}

/// Makes a root that belongs to the attacker. Each directory `dN` in it has a link `dN.x` beside it, to `links(N)`.
pub fn make_root(root: &Path, links: impl Fn(usize) -> PathBuf) {
    fs::create_dir_all(root).unwrap();
    for n in 0..DIRS {
        let dir = root.join(format!("d{n}"));
        fs::create_dir(&dir).unwrap();
        chown(&dir, Some(USER), Some(USER)).unwrap();
        symlink(links(n), root.join(format!("d{n}.x"))).unwrap();
    }
    chown(root, Some(USER), Some(USER)).unwrap();
}

/// Ends the attack, however the test ends.
pub struct Stop<'a>(pub &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Swaps directories and links in a tight loop until it is stopped. What is swapped in the watched root makes events, of
/// which the daemon's queue holds only so many: of that there is a budget.
pub fn swap(watched: &Path, others: &[&Path], budget: &AtomicI32, stop: &AtomicBool) -> u64 {
    become_attacker();
    let mut swaps = 0;
    while !stop.load(Ordering::Relaxed) {
        if budget.fetch_sub(1, Ordering::Relaxed) > 0 {
            swap_one(watched, swaps);
        }
        for other in others {
            for _ in 0..DIRS {
                swap_one(other, swaps);
                swaps += 1;
            }
        }
        swaps += 1;
    }
    swaps
}

/// In one step, or as it is done without RENAME_EXCHANGE.
fn swap_one(root: &Path, n: u64) {
    let name = |end: &str| root.join(format!("d{}{end}", n % DIRS as u64));
    let (dir, link, between) = (name(""), name(".x"), name(".y"));
    if n % 3 > 0 {
        exchange(&dir, &link);
    } else if fs::rename(&dir, &between).is_ok() {
        // While the name is free, the daemon may make a directory of it: then only that one and the link are swapped.
        let _ = fs::rename(&link, &dir);
        let _ = fs::rename(&between, &link);
    }
}

/// Where both are there.
pub fn exchange(one: &Path, other: &Path) {
    let _ = renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
}

/// Does something in directory `dN` of a root, whichever of both names that has at the moment. Through the link the attacker
/// can do nothing.
pub fn in_dir<T>(root: &Path, n: usize, mut act: impl FnMut(&Path) -> std::io::Result<T>) -> T {
    loop {
        for end in ["", ".x", ".y"] {
            if let Ok(done) = act(&root.join(format!("d{n}{end}"))) {
                return done;
            }
        }
    }
}

/// Writes a new file.
pub fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}
