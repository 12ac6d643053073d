use super::{Draft, Target, bytes, temporary_name};
use crate::sys::fs::{self, CWD, Open};
use crate::sys::{Fd, fd};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// A directory, opened, and its path.
struct Dir {
    path: tempfile::TempDir,
    fd: Fd,
}

impl Dir {
    fn new() -> Dir {
        let path = tempfile::tempdir().unwrap();
        let fd = fs::open(CWD, path.path().as_os_str().as_bytes(), Open::Directory).unwrap();
        Dir { path, fd }
    }

    fn path(&self) -> &[u8] {
        self.path.path().as_os_str().as_bytes()
    }

    fn target<'a>(&'a self, name: &'a str) -> Target<'a> {
        Target { dir: self.fd.as_fd(), dir_path: self.path(), name: name.as_bytes() }
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path.path().join(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self
            .path
            .path()
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn temporary(&self, name: &str) -> std::path::PathBuf {
        self.path.path().join(Path::new(std::str::from_utf8(&temporary_name(name.as_bytes())).unwrap()))
    }
}

#[test]
fn a_file_is_replaced_whole_with_its_mode() {
    let dir = Dir::new();
    bytes(dir.path(), b"file", 0o640, b"old").unwrap();
    let draft = Draft::begin(dir.target("file")).unwrap();
    fd::write_all(draft.file(), b"new").unwrap();
    assert_eq!(dir.read("file"), "old");
    draft.finish(0o4755).unwrap();
    assert_eq!((dir.read("file").as_str(), dir.names()), ("new", vec!["file".to_owned()]));
    let mode = std::fs::metadata(dir.path.path().join("file")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o4755);
}

#[test]
fn what_is_abandoned_leaves_nothing() {
    let dir = Dir::new();
    let draft = Draft::begin(dir.target("file")).unwrap();
    let mode = std::fs::metadata(dir.temporary("file")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else reads what is not finished");
    drop(draft);
    assert_eq!(dir.names(), Vec::<String>::new());
}

/// A killed process leaves its temporary file; anybody may leave a link there, which must not be written through.
#[test]
fn leftovers_are_taken_away() {
    let dir = Dir::new();
    let other = dir.path.path().join("other");
    std::fs::write(&other, "other").unwrap();
    std::fs::write(dir.temporary("file"), "left").unwrap();
    bytes(dir.path(), b"file", 0o600, b"one").unwrap();
    symlink(&other, dir.temporary("file")).unwrap();
    bytes(dir.path(), b"file", 0o600, b"two").unwrap();
    assert_eq!((dir.read("file").as_str(), dir.read("other").as_str()), ("two", "other"));
    assert_eq!(dir.names(), ["file", "other"]);
}

#[test]
fn what_is_being_written_is_no_leftover() {
    let dir = Dir::new();
    let first = Draft::begin(dir.target("file")).unwrap();
    let refused = bytes(dir.path(), b"file", 0o600, b"second").unwrap_err().to_string();
    assert!(refused.starts_with("cannot write ") && refused.ends_with("/file: File exists"), "{refused}");
    first.finish(0o600).unwrap();
    assert_eq!(dir.names(), ["file"]);
}

/// The names stay the same for ever: another version's leftover is found.
#[test]
fn temporary_names_are_derived_from_the_final_one() {
    // FNV-1a of "foobar", from the list of its authors (draft-eastlake-fnv).
    assert_eq!(temporary_name(b"foobar"), b".dogwatch-85944171f73967e8");
    assert_eq!(temporary_name(&[b'x'; 255]).len(), 26);
}

#[test]
fn what_stands_in_the_way_is_told_with_its_path() {
    let dir = Dir::new();
    std::fs::create_dir_all(dir.path.path().join("file/full")).unwrap();
    let refused = bytes(dir.path(), b"file", 0o600, b"x").unwrap_err().to_string();
    assert_eq!(refused, format!("cannot write {}/file: Is a directory", dir.path.path().display()));
    assert_eq!(dir.names(), ["file"]);
}
