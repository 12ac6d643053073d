use super::{Meta, Wanted, adjust, is_no_failure};
use crate::sys::change::{self, Owner};
use crate::sys::fs::{self, CWD, Open};
use crate::sys::{Errno, Fd, process, xattr};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{UnshareFlags, set_thread_res_uid, unshare_unsafe};
use std::fs::{create_dir, write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

fn open(path: impl AsRef<Path>, how: Open) -> Fd {
    fs::open(CWD, path.as_ref().as_os_str().as_bytes(), how).unwrap()
}

/// Says that a test had nothing to show here; where everything has to be there, that is a failure.
fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    println!("SKIPPED: {why}");
}

fn is_root() -> bool {
    process::effective_uid() == 0
}

/// An ACL as it is stored (linux/posix_acl_xattr.h): user 17 may do `bits`, the mask is `bits`, the owner reads and writes.
fn acl(bits: u16) -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let entries = [(1_u16, 6_u16, NOBODY), (2, bits, 17), (4, 0, NOBODY), (0x10, bits, NOBODY), (0x20, 0, NOBODY)];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, bits, id) in entries {
        bytes.extend([tag.to_le_bytes(), bits.to_le_bytes()].concat());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

const ACCESS: &[u8] = b"system.posix_acl_access";
const DEFAULT: &[u8] = b"system.posix_acl_default";

/// Two files in a directory, `from` with all that can be kept with it. None where the file system keeps too little.
fn pair() -> Option<(tempfile::TempDir, Fd, Fd)> {
    let dir = tempfile::tempdir().unwrap();
    for name in ["from", "to"] {
        write(dir.path().join(name), name).unwrap();
    }
    let (from, to) = (open(dir.path().join("from"), Open::Read), open(dir.path().join("to"), Open::Read));
    for (name, value) in [(&b"user.a"[..], &b"\0\xff"[..]), (b"user.empty", b""), (ACCESS, &acl(6))] {
        if xattr::set(from.as_fd(), name, value) == Err(Errno::ENOTSUP) {
            skip("no file system with extended attributes and ACLs below the directory for temporary files");
            return None;
        }
    }
    if is_root() {
        change::set_owner(from.as_fd(), Owner { user: Some(17), group: Some(18) }).unwrap();
    }
    change::set_mode(from.as_fd(), 0o6760).unwrap();
    change::set_times(from.as_fd(), (3_000_000_000, 1), (-5, 999_999_999)).unwrap();
    Some((dir, from, to))
}

fn sorted(mut meta: Meta) -> Vec<(Vec<u8>, Vec<u8>)> {
    meta.xattrs.sort();
    meta.xattrs
}

#[test]
fn everything_arrives() {
    let Some((_dir, from, to)) = pair() else { return };
    let meta = Meta::read(from.as_fd(), b"from").unwrap();
    assert_eq!(meta.set(to.as_fd(), b"to", Wanted::default()), Ok(vec![]));
    let copy = Meta::read(to.as_fd(), b"to").unwrap();
    let facts = |found: &fs::Stat| (found.uid, found.gid, found.mode, found.atime, found.mtime);
    assert_eq!(facts(&copy.stat), facts(&meta.stat));
    assert_eq!((meta.stat.mode, meta.stat.mtime), (0o6760, (-5, 999_999_999)));
    let names: Vec<_> = meta.xattrs.iter().map(|(name, _)| name.clone()).collect();
    assert!([ACCESS, b"user.a", b"user.empty"].iter().all(|name| names.iter().any(|found| found == name)), "{names:?}");
    assert_eq!(sorted(copy), sorted(meta));
}

/// A directory's default ACL is not the copy's, which would open it to whom the source is closed.
#[test]
fn what_is_inherited_goes() {
    let Some((dir, ..)) = pair() else { return };
    let at = open(dir.path(), Open::Directory);
    write(dir.path().join("plain"), "").unwrap();
    let plain = Meta::read(open(dir.path().join("plain"), Open::Read).as_fd(), b"plain").unwrap();
    xattr::set(at.as_fd(), DEFAULT, &acl(6)).unwrap();
    write(dir.path().join("inherits"), "").unwrap();
    create_dir(dir.path().join("dir")).unwrap();
    for (name, how, inherited) in [("inherits", Open::Read, ACCESS), ("dir", Open::Directory, DEFAULT)] {
        let file = open(dir.path().join(name), how);
        assert!(xattr::get(file.as_fd(), inherited).is_ok());
        plain.set(file.as_fd(), b"", Wanted::default()).unwrap();
        assert_eq!(sorted(Meta::read(file.as_fd(), b"").unwrap()), sorted(plain.clone()));
        assert_eq!(fs::stat(file.as_fd(), b"").unwrap().mode, plain.stat.mode);
    }
}

#[test]
fn a_mode_that_is_asked_for_closes_the_acl() {
    let Some((_dir, from, to)) = pair() else { return };
    let meta = Meta::read(from.as_fd(), b"from").unwrap();
    let wanted = Wanted { mode: Some(0o600), ..Wanted::default() };
    meta.set(to.as_fd(), b"to", wanted).unwrap();
    assert_eq!(fs::stat(to.as_fd(), b"").unwrap().mode, 0o600);
    assert_ne!(xattr::get(to.as_fd(), ACCESS), Ok(acl(6)), "its mask is the mode's");
}

/// Of a copy, and of the file itself.
#[test]
fn another_owner_gets_no_privileges() {
    let Some((dir, from, to)) = pair() else { return };
    if !is_root() {
        return skip("owners are root's to change");
    }
    const CAPABILITY: &[u8] = b"security.capability";
    // cap_setuid, effective (capabilities(7), VFS_CAP_REVISION_2).
    let words: [u32; 5] = [0x0200_0001, 0x80, 0, 0, 0];
    xattr::set(from.as_fd(), CAPABILITY, &words.map(u32::to_le_bytes).concat()).unwrap();
    let meta = Meta::read(from.as_fd(), b"from").unwrap();
    assert!(meta.xattrs.iter().any(|(name, _)| name == CAPABILITY));
    let mode = |file: &Fd| fs::stat(file.as_fd(), b"").unwrap().mode;
    for owner in [Owner { user: Some(20), group: None }, Owner { user: None, group: Some(20) }] {
        change::set_owner(to.as_fd(), Owner { user: Some(0), group: Some(0) }).unwrap();
        assert_eq!(meta.set(to.as_fd(), b"to", Wanted { owner, mode: None }), Ok(vec![]));
        assert_eq!((mode(&to), xattr::get(to.as_fd(), CAPABILITY)), (0o760, Err(Errno::ENODATA)));
        meta.set(to.as_fd(), b"to", Wanted { owner, mode: Some(0o4711) }).unwrap();
        assert_eq!(mode(&to), 0o4711, "it was asked for");
        change::set_mode(to.as_fd(), 0o6711).unwrap();
        let owner = Owner { user: owner.user.map(|id| id + 1), group: owner.group.map(|id| id + 1) };
        adjust(to.as_fd(), b"to", Wanted { owner, mode: None }).unwrap();
        assert_eq!(mode(&to), 0o711);
        let now = fs::stat(to.as_fd(), b"").unwrap();
        assert!(owner.user.is_none_or(|id| id == now.uid) && owner.group.is_none_or(|id| id == now.gid));
        change::set_mode(to.as_fd(), 0o6711).unwrap();
        adjust(to.as_fd(), b"to", Wanted { owner, mode: None }).unwrap();
        assert_eq!(mode(&to), 0o6711, "it was theirs before");
        adjust(to.as_fd(), b"to", Wanted { owner: Owner { user: Some(30), group: None }, mode: Some(0o2750) }).unwrap();
        assert_eq!(mode(&to), 0o2750);
    }
    let below = open(dir.path(), Open::Directory);
    change::set_mode(below.as_fd(), 0o6755).unwrap();
    let owner = Owner { user: Some(20), group: Some(20) };
    adjust(below.as_fd(), b"", Wanted { owner, mode: None }).unwrap();
    assert_eq!(mode(&below), 0o2755, "a directory's setgid stays");
}

#[test]
fn a_link_has_an_owner_and_times() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path().join("to"), "").unwrap();
    let before = fs::stat(CWD, dir.path().join("to").as_os_str().as_bytes()).unwrap();
    let links = ["one", "two"].map(|name| {
        symlink("to", dir.path().join(name)).unwrap();
        open(dir.path().join(name), Open::Entry)
    });
    change::set_times(links[0].as_fd(), (1, 2), (3, 4)).unwrap();
    let owner = if is_root() { Owner { user: Some(17), group: Some(18) } } else { Owner::default() };
    adjust(links[0].as_fd(), b"", Wanted { owner, mode: Some(0o600) }).unwrap();
    let meta = Meta::read(links[0].as_fd(), b"one").unwrap();
    assert_eq!(meta.set(links[1].as_fd(), b"two", Wanted { mode: Some(0o600), ..Wanted::default() }), Ok(vec![]));
    let copy = fs::stat(links[1].as_fd(), b"").unwrap();
    assert_eq!((copy.atime, copy.mtime, copy.uid, copy.gid), ((1, 2), (3, 4), meta.stat.uid, meta.stat.gid));
    assert_eq!(fs::stat(CWD, dir.path().join("to").as_os_str().as_bytes()).unwrap().ctime, before.ctime);
}

/// As another user than root: an owner who was not asked for is told, and nobody's setuid becomes ours.
#[test]
fn what_may_not_be_set_is_told() {
    let Some((dir, from, _)) = pair() else { return };
    if !is_root() {
        return skip("only root becomes another user");
    }
    let meta = Meta::read(from.as_fd(), b"from").unwrap();
    // Credentials are a thread's own (credentials(7)).
    let as_nobody = || {
        set_thread_res_uid(
            rustix::process::Uid::from_raw(99),
            rustix::process::Uid::from_raw(99),
            rustix::process::Uid::from_raw(99),
        )
        .unwrap();
        let to = open(dir.path().join("to"), Open::Read);
        assert_eq!(meta.set(to.as_fd(), b"to", Wanted::default()), Ok(vec!["owner".to_owned()]));
        let now = fs::stat(to.as_fd(), b"").unwrap();
        assert_eq!((now.uid, now.mode, now.mtime), (99, 0o760, meta.stat.mtime));
        let wanted = Wanted { owner: Owner { user: Some(17), group: None }, mode: None };
        let refused = meta.set(to.as_fd(), b"to", wanted).unwrap_err().to_string();
        assert_eq!(refused, "cannot set the owner of to: Operation not permitted");
    };
    change::set_mode(open(dir.path(), Open::Directory).as_fd(), 0o755).unwrap();
    std::os::unix::fs::chown(dir.path().join("to"), Some(99), None).unwrap();
    std::thread::scope(|scope| scope.spawn(as_nobody).join()).unwrap();
}

#[test]
fn a_file_system_without_extended_attributes_is_told() {
    let Some((dir, from, _)) = pair() else { return };
    let to = dir.path().join("mounted");
    create_dir(&to).unwrap();
    let meta = Meta::read(from.as_fd(), b"from").unwrap();
    let in_ramfs = || {
        #[expect(unsafe_code, reason = "a mount namespace of the thread's own")]
        // SAFETY: it would matter for descriptors that are shared no more; these flags leave them shared.
        let made = unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) };
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        let is_mounted = made.is_ok()
            && mount_change("/", private).is_ok()
            && mount("ramfs", &to, "ramfs", MountFlags::empty(), None).is_ok();
        if !is_mounted {
            return skip("no file system can be mounted");
        }
        write(to.join("file"), "").unwrap();
        let file = open(to.join("file"), Open::Read);
        let mut lost = meta.set(file.as_fd(), b"to", Wanted::default()).unwrap();
        lost.sort();
        let mut names: Vec<_> = meta.xattrs.iter().map(|(name, _)| String::from_utf8(name.clone()).unwrap()).collect();
        names.sort();
        assert_eq!(lost, names);
        let copy = Meta::read(file.as_fd(), b"to").unwrap();
        assert_eq!((copy.stat.mode, copy.stat.mtime), (meta.stat.mode, meta.stat.mtime));
        assert_eq!(copy.xattrs, []);
    };
    std::thread::scope(|scope| scope.spawn(in_ramfs).join()).unwrap();
}

#[test]
fn only_the_systems_own_attributes_may_be_refused() {
    for (name, errno, expected) in [
        (&b"user.a"[..], Errno::ENOTSUP, true),
        (b"user.a", Errno::EPERM, false),
        (b"system.posix_acl_access", Errno::EPERM, false),
        (b"security.selinux", Errno::EPERM, true),
        (b"security.selinux", Errno::EINVAL, true),
        (b"trusted.overlay", Errno::EPERM, true),
        (b"trusted.overlay", Errno::ENOSPC, false),
    ] {
        assert_eq!(is_no_failure(name, errno), expected, "{} {errno}", String::from_utf8_lossy(name));
    }
}
