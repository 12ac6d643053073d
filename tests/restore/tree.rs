//! A tree with every kind of entry, and what there is to know of one.

use crate::common::{is_root, name, skip};
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

/// What a tree holds, by paths below it.
pub type Survey = BTreeMap<PathBuf, String>;

/// Everything below a directory; what cannot differ by chance only.
pub fn survey(root: &Path) -> Survey {
    let (mut found, mut first) = (Survey::new(), BTreeMap::new());
    look(root, root, &mut first, &mut found);
    found
}

fn look(root: &Path, dir: &Path, first: &mut BTreeMap<u64, PathBuf>, found: &mut Survey) {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let stat = fs::symlink_metadata(&path).unwrap();
        let below = path.strip_prefix(root).unwrap().to_owned();
        let (mode, owner) = (stat.mode(), (stat.uid(), stat.gid()));
        let mut facts = format!("{mode:o} {owner:?} {}.{:09} {}", stat.mtime(), stat.mtime_nsec(), stat.rdev());
        if !stat.is_dir() {
            let one = first.entry(stat.ino()).or_insert_with(|| below.clone());
            facts += &format!(" {} of {one:?}", stat.nlink());
        }
        if stat.is_symlink() {
            facts += &format!(" to {:?}", fs::read_link(&path).unwrap());
        }
        if stat.is_file() {
            facts += &format!(" {:?}", fs::read(&path).unwrap());
        }
        facts += &attributes(&path);
        found.insert(below, facts);
        if stat.is_dir() {
            look(root, &path, first, found);
        }
    }
}

fn attributes(path: &Path) -> String {
    let mut list = vec![0; 64 << 10];
    let length = rustix::fs::llistxattr(path, &mut list[..]).unwrap_or(0);
    let mut names: Vec<&[u8]> = list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    let of_ours = names.into_iter().filter(|name| !name.starts_with(b"security."));
    of_ours
        .map(|attribute| {
            let mut value = vec![0; 64 << 10];
            let length = rustix::fs::lgetxattr(path, name(attribute), &mut value[..]).unwrap();
            format!(" {}={:?}", attribute.escape_ascii(), &value[..length])
        })
        .collect()
}

/// Noise that no compression makes smaller.
pub fn noise(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(length as u64);
    (0..length).map(|_| random.u8(..)).collect()
}

/// Plants a tree; what cannot be made here is told.
pub fn plant(tree: &Path) {
    fs::create_dir_all(tree.join("dir/in")).unwrap();
    let files: [(&[u8], &[u8]); 6] = [
        (b"plain", b"content\n"),
        (b"empty", b""),
        (b"dir/in/file", b"deeper"),
        (b"-rf", b"a name like an option"),
        (b"\xff\xfe\n'\"$(x)\\n name ", b"bytes in a name"),
        (b"nano", &noise(100_000)),
    ];
    for (path, bytes) in files {
        fs::write(tree.join(name(path)), bytes).unwrap();
    }
    fs::write(tree.join(name(&[b'n'; 250])), "long").unwrap();
    let deep = (0..6).fold(tree.join("deep"), |path, _| path.join(name(&[b'd'; 100])));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), "deep").unwrap();
    let sparse = File::create(tree.join("sparse")).unwrap();
    sparse.write_all_at(b"data", 1 << 20).unwrap();
    sparse.set_len(4 << 20).unwrap();
    fs::hard_link(tree.join("plain"), tree.join("dir/second")).unwrap();
    symlink("../plain", tree.join("dir/link")).unwrap();
    symlink(name(b"/nowhere/\xff"), tree.join("dangling")).unwrap();
    symlink(name(&[b't'; 300]), tree.join("long target")).unwrap();
    rustix::fs::mknodat(CWD, tree.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
    if is_root() {
        let device = rustix::fs::makedev(1, 3);
        let made = rustix::fs::mknodat(CWD, tree.join("null"), FileType::CharacterDevice, Mode::RUSR, device);
        made.unwrap_or_else(|_| skip("devices may not be made here"));
        chown(tree.join("nano"), Some(17), Some(18)).unwrap();
        chown(tree.join("dir"), Some(19), Some(20)).unwrap();
        lchown(tree.join("dangling"), Some(21), Some(22)).unwrap();
    }
    for (path, mode) in [("plain", 0o4751), ("nano", 0o2604), ("empty", 0o400), ("dir", 0o1777), ("dir/in", 0o500)] {
        fs::set_permissions(tree.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    for path in ["plain", "dir"] {
        let set = rustix::fs::setxattr(tree.join(path), "user.a=%", b"\0\xff\n=", XattrFlags::empty());
        set.unwrap_or_else(|_| skip("no extended attributes below the directory for temporary files"));
    }
    for (path, seconds, nanoseconds) in [
        ("nano", 1_234_567_890, 123_456_789),
        ("empty", -7, 250_000_000),
        ("dangling", 5, 500_000_000),
        ("dir/in", 1_000_000_000, 1),
        ("dir", 1_000_000_000, 0),
    ] {
        let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        let times = Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(CWD, tree.join(path), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

/// Whether a name could forge a line.
pub fn is_plain(path: &Path) -> bool {
    path.as_os_str().as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\')
}
