//! A tree with everything in it that is copied.

use crate::common::is_root;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;

/// user::rwx user:4711:r-x group::r-- mask::r-x other::--- in the kernel's form (posix_acl_xattr.h).
const ACL: [u8; 44] = [
    2, 0, 0, 0, //
    1, 0, 7, 0, 255, 255, 255, 255, //
    2, 0, 5, 0, 0x67, 0x12, 0, 0, //
    4, 0, 4, 0, 255, 255, 255, 255, //
    16, 0, 5, 0, 255, 255, 255, 255, //
    32, 0, 0, 0, 255, 255, 255, 255,
];

/// Makes it: files, links, hard links, a sparse file, attributes and ACLs where the file system has them, owners where we may
/// give files away, modes and times.
pub fn make(top: &Path) {
    fs::create_dir_all(top.join("a/deep/er")).unwrap();
    fs::create_dir(top.join("empty")).unwrap();
    fs::write(top.join("a/file"), "text").unwrap();
    fs::write(top.join("a/deep/er/big"), vec![7; 3 << 20]).unwrap();
    fs::hard_link(top.join("a/file"), top.join("a/deep/again")).unwrap();
    symlink("../file", top.join("a/deep/link")).unwrap();
    symlink("/nowhere", top.join("dangling")).unwrap();
    sparse(&top.join("sparse"));
    let set = |path: &str, mode| fs::set_permissions(top.join(path), fs::Permissions::from_mode(mode)).unwrap();
    set("a/file", 0o600);
    set("a/deep/er", 0o2711);
    for (path, name, value) in [
        ("a/file", "user.test", &b"value"[..]),
        ("a", "user.dir", b"x"),
        ("a/deep/er/big", "system.posix_acl_access", &ACL),
        ("a/deep", "system.posix_acl_default", &ACL),
    ] {
        // Not every file system has them.
        let _ = rustix::fs::setxattr(top.join(path), name, value, rustix::fs::XattrFlags::empty());
    }
    if is_root() {
        std::os::unix::fs::lchown(top.join("a/deep/link"), Some(4711), Some(4712)).unwrap();
        std::os::unix::fs::lchown(top.join("a/deep"), Some(4711), None).unwrap();
    }
    let past =
        fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789));
    for path in ["a/file", "a/deep", "."] {
        File::open(top.join(path)).unwrap().set_times(past).unwrap();
    }
}

/// Gives a file an attribute, an ACL, a mode and times of its own.
pub fn dress(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o4750)).unwrap();
    for (name, value) in [("user.test", &b"value"[..]), ("system.posix_acl_access", &ACL)] {
        let _ = rustix::fs::setxattr(path, name, value, rustix::fs::XattrFlags::empty());
    }
    let time = |nanos| std::time::UNIX_EPOCH + std::time::Duration::new(1_100_000_000, nanos);
    let times = fs::FileTimes::new().set_accessed(time(987_654_321)).set_modified(time(123_456_789));
    File::open(path).unwrap().set_times(times).unwrap();
}

/// A file of 64 MiB with bytes in two places.
pub fn sparse(path: &Path) {
    let file = File::create(path).unwrap();
    file.write_all_at(b"first", 1 << 20).unwrap();
    file.write_all_at(b"last", 40 << 20).unwrap();
    file.set_len(64 << 20).unwrap();
}
