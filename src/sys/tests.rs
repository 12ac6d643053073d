//! The wrappers' own parsers, with bytes that no kernel sends.

use super::change::Owner;
use super::fs::{self, CWD, Kind, Open};
use super::inotify::{Mask, Record, Records, Wd};
use super::socket::Wait;
use super::{Errno, Fd, change, copy, process, socket, xattr};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

/// fnmatch(3) with FNM_PATHNAME and FNM_PERIOD, as glob(3) uses it, for those who want to be compared.
pub fn fnmatch(pattern: &str, name: &str) -> bool {
    unsafe extern "C" {
        fn fnmatch(pattern: *const libc::c_char, name: *const libc::c_char, flags: libc::c_int) -> libc::c_int;
    }
    let (pattern, name) = (std::ffi::CString::new(pattern).unwrap(), std::ffi::CString::new(name).unwrap());
    // SAFETY: POSIX's own declaration; two live NUL-terminated strings. 1 and 4 are the flags of the C libraries of Linux.
    unsafe { fnmatch(pattern.as_ptr(), name.as_ptr(), 1 | 4) == 0 }
}

fn record(wd: i32, mask: u32, cookie: u32, name: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(wd.to_ne_bytes());
    for word in [mask, cookie, name.len() as u32] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(name);
    bytes
}

#[test]
fn records_are_cut_at_the_first_nul_and_may_lack_one() {
    let bytes = [record(3, 0x100, 7, b"ab\0\0"), record(-1, 0x4000, 0, b""), record(4, 2, 0, b"abcd")].concat();
    let expected = [
        Record { wd: Wd(3), mask: Mask::CREATE, cookie: 7, name: b"ab" },
        Record { wd: Wd::OVERFLOW, mask: Mask::Q_OVERFLOW, cookie: 0, name: b"" },
        Record { wd: Wd(4), mask: Mask::MODIFY, cookie: 0, name: b"abcd" },
    ];
    assert_eq!(Records::new(&bytes).collect::<Vec<_>>(), expected);
}

#[test]
fn any_bytes_end_without_going_astray() {
    let whole = [record(1, 2, 3, b"name\0\0\0\0"), record(1, 2, 3, &[b'x'; 256])].concat();
    for cut in 0..whole.len() {
        assert!(Records::new(&whole[..cut]).count() < 2);
    }
    let lying = record(1, 2, 3, b"").iter().take(12).copied().chain(u32::MAX.to_ne_bytes()).collect::<Vec<_>>();
    assert_eq!(Records::new(&lying).count(), 0);
}

#[test]
fn a_packet_that_does_not_fit_is_an_error_and_the_next_one_is_whole() {
    let (one, other) = socket::pair().unwrap();
    for packet in [&[1_u8; 100][..], &[2; 50]] {
        socket::send(one.as_fd(), packet, Wait::No).unwrap();
    }
    let mut buffer = [0; 50];
    assert_eq!(socket::receive(other.as_fd(), &mut buffer, Wait::Yes), Err(Errno::EMSGSIZE));
    assert_eq!((socket::receive(other.as_fd(), &mut buffer, Wait::Yes), buffer), (Ok(50), [2; 50]));
    assert_eq!(socket::receive(other.as_fd(), &mut buffer, Wait::No), Err(Errno::EAGAIN));
    drop(one);
    assert_eq!(socket::receive(other.as_fd(), &mut buffer, Wait::Yes), Ok(0));
    assert_eq!(socket::send(other.as_fd(), &[1], Wait::No), Err(Errno::EPIPE));
}

fn open(path: &Path, how: Open) -> Fd {
    fs::open(CWD, path.as_os_str().as_bytes(), how).unwrap()
}

/// Says that a test had nothing to show here; where everything has to be there, that is a failure.
fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    println!("skipped: {why}");
}

/// Each by a descriptor for reading and by a place, of a file, a directory and a link, which is not followed.
#[test]
fn owner_mode_and_times_are_set_by_descriptor() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("other"), "").unwrap();
    std::fs::write(path("file"), "12345").unwrap();
    std::fs::create_dir(path("dir")).unwrap();
    symlink("other", path("link")).unwrap();
    let other = std::fs::metadata(path("other")).unwrap();
    // Past 2038, and before 1970.
    let (read, written) = ((3_000_000_000, 999_999_999), (-7, 1));
    for (name, how) in [
        ("file", Open::Read),
        ("file", Open::Entry),
        ("dir", Open::Directory),
        ("dir", Open::Place),
        ("link", Open::Entry),
    ] {
        let file = open(&path(name), how);
        if process::effective_uid() == 0 {
            change::set_owner(file.as_fd(), Owner { user: Some(17), group: None }).unwrap();
            change::set_owner(file.as_fd(), Owner { user: None, group: Some(18) }).unwrap();
        }
        if name != "link" {
            change::set_mode(file.as_fd(), if how == Open::Entry { 0o751 } else { 0o2640 }).unwrap();
        }
        change::set_times(file.as_fd(), read, written).unwrap();
        let (found, real) = (fs::stat(file.as_fd(), b"").unwrap(), std::fs::symlink_metadata(path(name)).unwrap());
        let time = |(seconds, nanoseconds): fs::Time| (seconds, i64::from(nanoseconds));
        assert_eq!((found.uid, found.gid, found.mode), (real.uid(), real.gid(), real.mode() & 0o7777));
        assert_eq!((found.size, found.ino), (real.size(), real.ino()));
        assert_eq!(time(found.ctime), (real.ctime(), real.ctime_nsec()));
        assert_eq!((found.atime, found.mtime), (read, written), "{name} {how:?}");
        assert_eq!((time(read), time(written)), ((real.atime(), real.atime_nsec()), (real.mtime(), real.mtime_nsec())));
        if process::effective_uid() == 0 {
            assert_eq!((found.uid, found.gid), (17, 18), "{name} {how:?}");
        }
        if name == "file" {
            assert_eq!(found.mode, if how == Open::Entry { 0o751 } else { 0o2640 });
        }
    }
    let after = std::fs::metadata(path("other")).unwrap();
    assert_eq!((after.ctime(), after.ctime_nsec()), (other.ctime(), other.ctime_nsec()), "what the link leads to");
    let null = fs::stat(CWD, b"/dev/null").unwrap();
    assert_eq!((null.kind, null.rdev, null.is_mount), (Kind::Character, (1, 3), false));
    assert!(fs::stat(CWD, b"/proc").unwrap().is_mount);
}

#[test]
fn names_are_given_and_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    let at = open(dir.path(), Open::Place);
    let at = at.as_fd();
    std::fs::write(path("one"), "1").unwrap();
    std::fs::write(path("two"), "2").unwrap();
    std::fs::create_dir_all(path("dir/full")).unwrap();
    let below = open(&path("dir"), Open::Place);
    assert_eq!(change::rename_new((at, b"one"), (at, b"two")), Err(Errno::EEXIST));
    change::rename_new((at, b"one"), (below.as_fd(), b"one")).unwrap();
    assert_eq!((read("two").as_str(), read("dir/one").as_str()), ("2", "1"));
    assert_eq!(change::link((at, b"two"), (below.as_fd(), b"one")), Err(Errno::EEXIST));
    change::rename_to((at, b"two"), (below.as_fd(), b"one")).unwrap();
    change::symlink(b"one", (below.as_fd(), b"link")).unwrap();
    assert_eq!(change::symlink(b"one", (below.as_fd(), b"link")), Err(Errno::EEXIST));
    change::link((below.as_fd(), b"link"), (at, b"link")).unwrap();
    assert_eq!((read("dir/link").as_str(), fs::read_link(at, b"link").unwrap()), ("2", b"one".to_vec()));
    assert_eq!(change::remove_dir(at, b"dir"), Err(Errno::ENOTEMPTY));
    assert_eq!(change::remove_dir(below.as_fd(), b"one"), Err(Errno::ENOTDIR));
    change::remove_dir(below.as_fd(), b"full").unwrap();
    change::sync_names(open(dir.path(), Open::Directory).as_fd()).unwrap();
}

#[test]
fn nothing_leads_out_from_below_a_root() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("root/a/b")).unwrap();
    std::fs::write(dir.path().join("root/a/file"), "below").unwrap();
    symlink("a", dir.path().join("root/link")).unwrap();
    symlink("a/file", dir.path().join("root/to_file")).unwrap();
    let root = open(&dir.path().join("root"), Open::Place);
    let beneath = |path: &str, how| fs::open_beneath(root.as_fd(), path.as_bytes(), how);
    let file = match beneath("a/file", Open::Read) {
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EINVAL) => return skip("openat2(2) is not there"),
        opened => opened.unwrap(),
    };
    assert_eq!(super::fd::read_all(file.as_fd(), 9).unwrap(), b"below");
    for how in [Open::Place, Open::DirectoryNoFollow] {
        let found = fs::stat(beneath("a/b", how).unwrap().as_fd(), b"").unwrap();
        assert_eq!(found.id(), fs::stat(CWD, dir.path().join("root/a/b").as_os_str().as_bytes()).unwrap().id());
        assert_eq!(beneath("link/b", how).err(), Some(Errno::ELOOP));
        assert_eq!(beneath("link", how).err(), Some(Errno::ENOTDIR));
        assert_eq!(beneath("a/../../root", how).err(), Some(Errno::EXDEV));
        assert_eq!(beneath("/", how).err(), Some(Errno::EXDEV));
    }
    assert_eq!(beneath("to_file", Open::Read).err(), Some(Errno::ELOOP));
    let link = beneath("to_file", Open::Entry).unwrap();
    assert_eq!(fs::stat(link.as_fd(), b"").unwrap().kind, Kind::Symlink);
}

#[test]
fn bytes_arrive_at_the_same_place_and_holes_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let (from_path, to_path) = (dir.path().join("from"), dir.path().join("to"));
    for path in [&from_path, &to_path] {
        std::fs::write(path, "").unwrap();
    }
    const HOLE: u64 = 1 << 20;
    const FAR: u64 = 5 << 30;
    let (writer, to) = (open(&from_path, Open::ReadWriteFollowing), open(&to_path, Open::ReadWriteFollowing));
    copy::write_at(writer.as_fd(), b"first", 0).unwrap();
    copy::write_at(writer.as_fd(), b"last", FAR).unwrap();
    change::set_size(writer.as_fd(), FAR + HOLE).unwrap();
    let from = open(&from_path, Open::Read);
    let mut buffer = [0; 9];
    assert_eq!(copy::read_at(from.as_fd(), &mut buffer, FAR), Ok(9));
    assert_eq!(&buffer, b"last\0\0\0\0\0");
    assert_eq!(copy::read_at(from.as_fd(), &mut buffer, FAR + HOLE), Ok(0));
    match copy::range(from.as_fd(), to.as_fd(), FAR, 4) {
        Err(Errno::ENOSYS | Errno::EPERM) => skip("copy_file_range(2) is not there"),
        copied => {
            assert_eq!(copied, Ok(4));
            assert_eq!(copy::read_at(open(&to_path, Open::Read).as_fd(), &mut buffer, FAR), Ok(4));
            assert_eq!(&buffer[..4], b"last");
        }
    }
    assert_eq!(copy::next_data(from.as_fd(), 0), Ok(Some(0)));
    let hole = copy::next_hole(from.as_fd(), 0).unwrap();
    if hole == FAR + HOLE {
        return skip("no file system with holes below the directory for temporary files");
    }
    assert!(hole < HOLE);
    assert_eq!(copy::next_data(from.as_fd(), HOLE), Ok(Some(FAR)));
    assert_eq!(copy::next_data(from.as_fd(), FAR + HOLE / 2), Ok(None));
    // A file system either shares, or says one of these.
    let cloned = copy::clone(from.as_fd(), to.as_fd());
    assert!(matches!(cloned, Ok(()) | Err(Errno::ENOTSUP | Errno::EXDEV | Errno::EINVAL)), "{cloned:?}");
}

#[test]
fn extended_attributes_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let file = open(&dir.path().join("file"), Open::Read);
    let file = file.as_fd();
    if xattr::set(file, b"user.any", b"\0\xff value") == Err(Errno::ENOTSUP) {
        return skip("no file system with extended attributes below the directory for temporary files");
    }
    xattr::set(file, b"user.empty", b"").unwrap();
    let mut names = xattr::list(file).unwrap();
    names.retain(|name| name.starts_with(b"user."));
    names.sort();
    assert_eq!(names, [&b"user.any"[..], b"user.empty"]);
    assert_eq!(
        (xattr::get(file, b"user.any"), xattr::get(file, b"user.empty")),
        (Ok(b"\0\xff value".to_vec()), Ok(vec![]))
    );
    xattr::remove(file, b"user.any").unwrap();
    assert_eq!(xattr::get(file, b"user.any"), Err(Errno::ENODATA));
}

/// By a place (O_PATH): of a file, and of a link, which is not followed.
#[test]
fn a_place_has_extended_attributes() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    symlink("file", dir.path().join("link")).unwrap();
    let file = open(&dir.path().join("file"), Open::Entry);
    if xattr::set(file.as_fd(), b"user.any", b"value") == Err(Errno::ENOTSUP) {
        return skip("no file system with extended attributes below the directory for temporary files");
    }
    assert_eq!(xattr::get(open(&dir.path().join("file"), Open::Read).as_fd(), b"user.any"), Ok(b"value".to_vec()));
    assert_eq!(xattr::get(file.as_fd(), b"user.any"), Ok(b"value".to_vec()));
    let link = open(&dir.path().join("link"), Open::Entry);
    assert_eq!(xattr::get(link.as_fd(), b"user.any"), Err(Errno::ENODATA));
    if process::effective_uid() == 0 {
        xattr::set(link.as_fd(), b"trusted.any", b"of the link").unwrap();
        assert_eq!(xattr::get(link.as_fd(), b"trusted.any"), Ok(b"of the link".to_vec()));
        assert_eq!(xattr::get(file.as_fd(), b"trusted.any"), Err(Errno::ENODATA));
        xattr::remove(link.as_fd(), b"trusted.any").unwrap();
    }
    assert!(!xattr::list(link.as_fd()).unwrap().iter().any(|name| name.ends_with(b".any")));
    assert!(xattr::list(file.as_fd()).unwrap().contains(&b"user.any".to_vec()));
    xattr::remove(file.as_fd(), b"user.any").unwrap();
    assert_eq!(xattr::get(file.as_fd(), b"user.any"), Err(Errno::ENODATA));
}

#[test]
fn nodes_are_made() {
    let dir = tempfile::tempdir().unwrap();
    let at = open(dir.path(), Open::Place);
    change::make_node(at.as_fd(), b"fifo", Kind::Fifo, (0, 0)).unwrap();
    let fifo = fs::stat(at.as_fd(), b"fifo").unwrap();
    assert_eq!((fifo.kind, fifo.mode), (Kind::Fifo, 0o600));
    assert_eq!(change::make_node(at.as_fd(), b"fifo", Kind::Fifo, (0, 0)), Err(Errno::EEXIST));
    assert_eq!(change::make_node(at.as_fd(), b"file", Kind::File, (0, 0)), Err(Errno::EINVAL));
    for (name, kind, device) in [(&b"char"[..], Kind::Character, (1, 3)), (b"block", Kind::Block, (259, 70_000))] {
        match change::make_node(at.as_fd(), name, kind, device) {
            Err(Errno::EPERM) => return skip("devices may not be made"),
            made => made.unwrap(),
        }
        let found = fs::stat(at.as_fd(), name).unwrap();
        assert_eq!((found.kind, found.rdev, found.mode), (kind, device, 0o600));
    }
}
