use super::{
    Draft, Mark, Over, Target, aside_name, bytes, discard, make_private, mark_of, open_new, rename,
    rename_new_in_steps, rename_over_placeholder, temporary_name,
};
use crate::sys::change::{self, At};
use crate::sys::fs::{self, CWD, Kind, Open};
use crate::sys::{Errno, Fd, fd, process};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::Uid;
use rustix::thread::{UnshareFlags, set_thread_res_uid, unshare_unsafe};
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
        Target { dir: self.fd.as_fd(), dir_path: self.path(), name: name.as_bytes(), patient: false }
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
    assert_eq!(aside_name(b"foobar"), b".dogwatch-gone-85944171f73967e8");
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

/// Under the temporary name a tree is filled; it appears whole. What a killed run has left of one is taken away, and so is
/// one that is given up.
#[test]
fn a_directory_appears_with_all_that_is_in_it() {
    let dir = Dir::new();
    for leftover in ["file", "tree", "link"] {
        match leftover {
            "file" => std::fs::write(dir.temporary("new"), "left").unwrap(),
            "tree" => std::fs::create_dir_all(dir.temporary("new").join("half/made")).unwrap(),
            _ => symlink(dir.path.path(), dir.temporary("new")).unwrap(),
        }
        let draft = Draft::directory(dir.target("new")).unwrap();
        let mode = dir.temporary("new").metadata().unwrap().permissions().mode();
        assert_eq!((mode & 0o7777, dir.names().len()), (0o700, 1));
        std::fs::write(dir.temporary("new").join("inside"), "inside").unwrap();
        assert_eq!(fs::stat(draft.file(), b"inside").unwrap().size, 6);
        if leftover == "link" {
            change::set_mode(draft.file(), 0o2751).unwrap();
            draft.finish_over(Over::Nothing).unwrap();
        } else {
            drop(draft);
            assert_eq!(dir.names(), Vec::<String>::new());
        }
    }
    assert_eq!((dir.names(), dir.read("new/inside").as_str()), (vec!["new".to_owned()], "inside"));
    assert_eq!(dir.path.path().join("new").metadata().unwrap().permissions().mode() & 0o7777, 0o2751);
}

#[test]
fn a_link_appears_and_is_not_followed() {
    let dir = Dir::new();
    std::fs::write(dir.path.path().join("there"), "").unwrap();
    drop(Draft::link(dir.target("new"), b"there").unwrap());
    assert_eq!(dir.names(), ["there"]);
    std::fs::write(dir.temporary("new"), "left").unwrap();
    let draft = Draft::link(dir.target("new"), b"there").unwrap();
    assert_eq!(fs::stat(draft.file(), b"").unwrap().kind, Kind::Symlink);
    draft.finish_over(Over::Nothing).unwrap();
    assert_eq!(std::fs::read_link(dir.path.path().join("new")).unwrap(), Path::new("there"));
    assert_eq!(dir.names(), ["new", "there"]);
}

/// Two at once: the second one is refused and leaves the first one's alone.
#[test]
fn a_directory_that_is_being_filled_is_no_leftover() {
    let dir = Dir::new();
    let first = Draft::directory(dir.target("new")).unwrap();
    for second in [Draft::directory(dir.target("new")), Draft::begin(dir.target("new"))] {
        let refused = second.err().unwrap().to_string();
        assert!(refused.ends_with("/new: File exists"), "{refused}");
    }
    first.finish_over(Over::Nothing).unwrap();
    assert_eq!(dir.names(), ["new"]);
}

/// One of each kind, with a mark in it that tells it from every other.
const KINDS: [&str; 4] = ["file", "link", "empty", "full"];

fn plant(path: &Path, kind: &str, mark: &str) {
    match kind {
        "file" => std::fs::write(path, mark).unwrap(),
        "link" => symlink(mark, path).unwrap(),
        "empty" => std::fs::create_dir(path).unwrap(),
        _ => {
            std::fs::create_dir_all(path.join("below")).unwrap();
            std::fs::write(path.join("below/mark"), mark).unwrap();
        }
    }
}

/// What stands there: its kind and its mark.
fn found(path: &Path) -> Option<(&'static str, String)> {
    let kind = path.symlink_metadata().ok()?;
    if kind.is_symlink() {
        return Some(("link", path.read_link().unwrap().to_str().unwrap().to_owned()));
    }
    match std::fs::read_to_string(path.join("below/mark")) {
        Ok(mark) => Some(("full", mark)),
        Err(_) if kind.is_dir() => Some(("empty", String::new())),
        Err(_) => Some(("file", std::fs::read_to_string(path).unwrap())),
    }
}

fn mark<'a>(kind: &str, mark: &'a str) -> &'a str {
    if kind == "empty" { "" } else { mark }
}

/// Each kind onto each, or onto nothing, in every way: what may be replaced is, whole, and else both stay as they were.
#[test]
fn names_are_taken_by_what_may_have_them() {
    type Way = fn(At<'_>, At<'_>) -> Result<Option<crate::parts::diag::Failure>, Errno>;
    let ways: [(&str, Way); 5] = [
        ("nothing", |from, to| rename(from, to, Over::Nothing)),
        ("nothing, in steps", |from, to| rename_new_in_steps(from, to).map(|()| None)),
        ("nothing, with a placeholder", |from, to| rename_over_placeholder(from, to).map(|()| None)),
        ("file", |from, to| rename(from, to, Over::File)),
        ("anything", |from, to| rename(from, to, Over::Anything)),
    ];
    for (way, rename) in ways {
        for from in KINDS {
            for to in [&KINDS[..], &[""]].concat() {
                let (source, target) = (Dir::new(), Dir::new());
                let (old, new) = (source.path.path().join("old"), target.path.path().join("new"));
                plant(&old, from, "1");
                if !to.is_empty() {
                    plant(&new, to, "2");
                }
                let done = rename((source.fd.as_fd(), b"old"), (target.fd.as_fd(), b"new"));
                let is_dir = |kind: &str| ["empty", "full"].contains(&kind);
                let may = match way {
                    "anything" => true,
                    "file" => to.is_empty() || is_dir(from) == is_dir(to) && to != "full",
                    "nothing, with a placeholder" => to.is_empty() && !is_dir(from),
                    _ => to.is_empty(),
                };
                let case = format!("{way}: {from} onto {to:?}: {done:?}");
                assert_eq!(done.is_ok(), may, "{case}");
                if may {
                    assert_eq!((found(&old), found(&new)), (None, Some((from, mark(from, "1").to_owned()))), "{case}");
                } else {
                    let stays = (!to.is_empty()).then(|| (to, mark(to, "2").to_owned()));
                    assert_eq!((found(&old), found(&new)), (Some((from, mark(from, "1").to_owned())), stays), "{case}");
                }
                if way == "anything" && (to == "full" || is_dir(from) != is_dir(to)) && !to.is_empty() {
                    assert_eq!((source.names(), target.names()), (vec![], vec!["new".to_owned()]), "{case}");
                }
                if way.starts_with("nothing") && !to.is_empty() {
                    assert_eq!(done.unwrap_err(), Errno::EEXIST, "{case}");
                }
            }
        }
    }
}

/// Where the new one cannot get the name after all, the old one has it again, or nothing has.
#[test]
fn what_was_set_aside_comes_back() {
    let dir = Dir::new();
    plant(&dir.path.path().join("from"), "empty", "");
    plant(&dir.path.path().join("file"), "file", "2");
    let in_namespace = || {
        #[expect(unsafe_code, reason = "a mount namespace of the thread's own")]
        // SAFETY: it would matter for descriptors that are shared no more; these flags leave them shared.
        let made = unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) };
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        let is_mounted = made.is_ok()
            && mount_change("/", private).is_ok()
            && mount("tmpfs", dir.path.path().join("from"), "tmpfs", MountFlags::empty(), None).is_ok();
        if !is_mounted {
            assert!(std::env::var_os("CI").is_none(), "no file system can be mounted");
            return println!("SKIPPED: no file system can be mounted");
        }
        // What something is mounted on keeps its name. The root was opened before, in the other namespace.
        let at = fs::open(CWD, dir.path(), Open::Directory).unwrap();
        let (from, file, none) = ((at.as_fd(), &b"from"[..]), (at.as_fd(), &b"file"[..]), (at.as_fd(), &b"none"[..]));
        let busy = Err(Errno(rustix::io::Errno::BUSY.raw_os_error()));
        assert_eq!(rename(from, file, Over::Anything).map(drop), busy);
        assert_eq!((dir.names(), dir.read("file").as_str()), (vec!["file".to_owned(), "from".to_owned()], "2"));
        assert_eq!(rename_new_in_steps(from, none), busy);
        assert_eq!(dir.names(), ["file", "from"]);
    };
    std::thread::scope(|scope| scope.spawn(in_namespace).join()).unwrap();
}

/// As another user than root: a second name can be given, but the first one not be taken away.
#[test]
fn a_second_name_does_not_stay() {
    if process::effective_uid() != 0 {
        assert!(std::env::var_os("CI").is_none(), "only root becomes another user");
        return println!("SKIPPED: only root becomes another user");
    }
    let (source, target) = (Dir::new(), Dir::new());
    plant(&source.path.path().join("old"), "file", "1");
    std::os::unix::fs::chown(source.path.path().join("old"), Some(99), None).unwrap();
    std::os::unix::fs::chown(target.path.path(), Some(99), None).unwrap();
    change::set_mode(source.fd.as_fd(), 0o755).unwrap();
    let as_nobody = || {
        let nobody = Uid::from_raw(99);
        // Credentials are a thread's own (credentials(7)).
        set_thread_res_uid(nobody, nobody, nobody).unwrap();
        rename_new_in_steps((source.fd.as_fd(), b"old"), (target.fd.as_fd(), b"new"))
    };
    assert_eq!(std::thread::scope(|scope| scope.spawn(as_nobody).join()).unwrap(), Err(Errno::EACCES));
    assert_eq!((source.names(), target.names()), (vec!["old".to_owned()], vec![]));
}

#[test]
fn no_directory_replaces_one_that_it_is_in() {
    let dir = Dir::new();
    plant(&dir.path.path().join("full"), "full", "2");
    plant(&dir.path.path().join("full/below/inner"), "full", "1");
    let below = fs::open(dir.fd.as_fd(), b"full/below", Open::Directory).unwrap();
    let (inner, full) = ((below.as_fd(), &b"inner"[..]), (dir.fd.as_fd(), &b"full"[..]));
    assert_eq!(rename(inner, full, Over::Anything).map(drop), Err(Errno::ENOTEMPTY), "what is beside it would go");
    assert_eq!(rename(full, inner, Over::Anything).map(drop), Err(Errno::EINVAL));
    assert_eq!((dir.names(), dir.read("full/below/mark").as_str()), (vec!["full".to_owned()], "2"));
    assert_eq!(dir.read("full/below/inner/below/mark"), "1");
}

/// Somebody puts another directory, or a link to one, in the place of one that was just made.
#[test]
fn only_an_empty_directory_is_filled() {
    let dir = Dir::new();
    plant(&dir.path.path().join("empty"), "empty", "");
    plant(&dir.path.path().join("full"), "full", "");
    symlink("empty", dir.path.path().join("link")).unwrap();
    let open = |name: &[u8]| open_new((dir.fd.as_fd(), name)).map(drop);
    assert_eq!((open(b"empty"), open(b"full"), open(b"link")), (Ok(()), Err(Errno::ENOTEMPTY), Err(Errno::ENOTDIR)));
}

/// With nothing in the way of that but a directory of others, which nobody takes for ours.
#[test]
fn what_others_give_our_name_stays() {
    let dir = Dir::new();
    let (called, path) = (aside_name(b"old"), |name: &str| dir.path.path().join(name));
    plant(&path("old"), "full", "1");
    plant(&path("new"), "full", "2");
    plant(&path(&text(called.clone())), "full", "3");
    change::set_mode(fs::open(dir.fd.as_fd(), &called, Open::Directory).unwrap().as_fd(), 0o700).unwrap();
    let (old, new) = ((dir.fd.as_fd(), &b"old"[..]), (dir.fd.as_fd(), &b"new"[..]));
    assert_eq!(rename(old, new, Over::Anything).map(drop), Err(Errno::EEXIST));
    for (name, mark) in [("old", "1"), ("new", "2"), (&text(called), "3")] {
        assert_eq!(found(&path(name)), Some(("full", mark.to_owned())));
    }
}

/// Somebody gives it another name, and its name to another one.
#[test]
fn what_is_discarded_is_what_was_made() {
    let dir = Dir::new();
    let made = make_private(dir.fd.as_fd(), b"made").unwrap();
    assert_eq!(mark_of(made.as_fd()), Ok(Some(Mark::Kept)));
    for kind in KINDS {
        plant(&dir.path.path().join("made").join(kind), kind, "other");
    }
    change::rename(dir.fd.as_fd(), b"made", b"renamed").unwrap();
    plant(&dir.path.path().join("made"), "full", "other");
    let refused = discard(made.as_fd(), (dir.fd.as_fd(), b"made")).unwrap_err().to_string();
    assert_eq!(refused, "cannot remove made: Directory not empty");
    assert_eq!(found(&dir.path.path().join("made")), Some(("full", "other".to_owned())));
    assert_eq!(mark_of(made.as_fd()), Ok(Some(Mark::Going)));
    assert!(crate::parts::walk::is_empty(made.as_fd()).unwrap());
    discard(made.as_fd(), (dir.fd.as_fd(), b"renamed")).unwrap();
    assert_eq!(dir.names(), ["made"]);
}

fn text(name: Vec<u8>) -> String {
    String::from_utf8(name).unwrap()
}
