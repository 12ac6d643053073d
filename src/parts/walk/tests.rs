use super::{MOST_OPEN, Next, Step, Trail, open_found, remove, walk};
use crate::parts::diag::Failure;
use crate::sys::fs::{self, CWD, Kind, Open};
use crate::sys::{Errno, Fd, change, process};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use rustix::process::{Resource, Rlimit, Uid, setrlimit};
use rustix::thread::{UnshareFlags, set_thread_res_uid, unshare_unsafe};
use std::ffi::OsStr;
use std::fs::{create_dir, create_dir_all, remove_dir, remove_file, rename, write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn open(path: impl AsRef<Path>) -> Fd {
    fs::open(CWD, path.as_ref().as_os_str().as_bytes(), Open::Place).unwrap()
}

/// Says that a test had nothing to show here; where everything has to be there, that is a failure.
fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    println!("SKIPPED: {why}");
}

/// A step as a line: `+` and `-` for a directory, `=` for another entry, `!` for what failed.
fn line(step: &Step<'_>) -> String {
    let (sign, place) = match step {
        Step::Enter { place, .. } => ("+", place),
        Step::Leave { place, .. } => ("-", place),
        Step::Entry { place, .. } => ("=", place),
        Step::Failed { place, errno } => return format!("!{} {errno}", text(place.path)),
    };
    format!("{sign}{}", text(place.path))
}

fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// All steps of a walk, in which `meanwhile` does something at each.
fn steps(parent: &Path, name: &str, mut meanwhile: impl FnMut(&str)) -> (Vec<String>, Result<(), Failure>) {
    let mut steps = Vec::new();
    let result = walk(open(parent).as_fd(), name.as_bytes(), &mut |step| {
        // What it is told is what stands there.
        if let Step::Enter { dir, stat, .. } | Step::Leave { dir, stat, .. } = &step {
            assert_eq!(fs::stat(*dir, b"").unwrap().id(), stat.id());
            assert_eq!(stat.kind, Kind::Directory);
        }
        if let Step::Entry { place, stat } = &step {
            assert_eq!(fs::stat(place.parent, place.name()).unwrap().id(), stat.id());
        }
        steps.push(line(&step));
        meanwhile(&line(&step));
        Ok(Next::On)
    });
    (steps, result)
}

/// What a naive walk by paths says, where nobody changes anything.
fn naive(path: &Path, shown: &str, lines: &mut Vec<String>) {
    if !path.symlink_metadata().unwrap().is_dir() {
        return lines.push(format!("={shown}"));
    }
    lines.push(format!("+{shown}"));
    let mut names: Vec<_> = path.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
    for name in names {
        naive(&path.join(&name), &format!("{shown}/{}", text(name.as_bytes())), lines);
    }
    lines.push(format!("-{shown}"));
}

#[test]
fn random_trees_are_walked_as_a_naive_walk_does_and_removed() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        create_dir(&top).unwrap();
        write(dir.path().join("outside"), "").unwrap();
        let names: [&[u8]; 7] = [b"a", b"b", b"B", b"a b", b"\xff\n$(x)", b"-", &[b'n'; 255]];
        for _ in 0..60 {
            let mut path = top.clone();
            for _ in 0..random.usize(1..8) {
                path.push(OsStr::from_bytes(names[random.usize(..names.len())]));
                // Nothing is made through a link: that could be anywhere.
                match path.symlink_metadata() {
                    Ok(found) if found.is_dir() => {}
                    Ok(_) => break,
                    Err(_) => create_dir(&path).unwrap(),
                }
            }
            if remove_dir(&path).is_err() {
                continue;
            }
            match random.u8(..8) {
                0 => write(path, "x").unwrap(),
                1 => symlink(["..", "a", "/", "nowhere"][random.usize(..4)], path).unwrap(),
                2 => symlink(dir.path(), path).unwrap(),
                3 => rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap(),
                _ => create_dir(path).unwrap(),
            }
        }
        let mut expected = Vec::new();
        naive(&top, "top", &mut expected);
        assert_eq!(steps(dir.path(), "top", |_| {}), (expected, Ok(())), "seed {seed}");
        assert_eq!(remove(open(dir.path()).as_fd(), b"top"), Ok(()));
        let left: Vec<_> = dir.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["outside"]);
    }
}

#[test]
fn what_is_no_directory_is_one_step() {
    let dir = tempfile::tempdir().unwrap();
    symlink(dir.path(), dir.path().join("link")).unwrap();
    assert_eq!(steps(dir.path(), "link", |_| {}), (vec!["=link".to_owned()], Ok(())));
    let (seen, result) = steps(dir.path(), "none", |_| {});
    assert_eq!((seen, result), (vec!["!none No such file or directory".to_owned()], Ok(())));
    assert_eq!(remove(open(dir.path()).as_fd(), b"none"), Ok(()), "that is what was wanted");
}

#[test]
fn what_is_passed_is_neither_read_nor_left() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["top/a/x", "top/b/y"] {
        create_dir_all(dir.path().join(path)).unwrap();
    }
    let mut seen = Vec::new();
    let result = walk(open(dir.path()).as_fd(), b"top", &mut |step| {
        seen.push(line(&step));
        Ok(if line(&step) == "+top/a" { Next::Past } else { Next::On })
    });
    assert_eq!((seen.join(" "), result), ("+top +top/a +top/b +top/b/y -top/b/y -top/b -top".to_owned(), Ok(())));
}

#[test]
fn a_visitor_that_fails_ends_the_walk() {
    let dir = tempfile::tempdir().unwrap();
    create_dir_all(dir.path().join("top/a")).unwrap();
    for at in ["+top", "+top/a", "-top/a"] {
        let (mut seen, refused) = (Vec::new(), Failure::of("go on", Errno::EPERM));
        let result = walk(open(dir.path()).as_fd(), b"top", &mut |step| {
            seen.push(line(&step));
            if line(&step) == at { Err(refused.clone()) } else { Ok(Next::On) }
        });
        assert_eq!((seen.last().map(String::as_str), result), (Some(at), Err(refused.clone())));
    }
}

/// What vanishes, or becomes something else, before it is come by is told; what a directory was, before it could be read.
#[test]
fn changes_meanwhile_are_told() {
    let dir = tempfile::tempdir().unwrap();
    create_dir_all(dir.path().join("outside/x")).unwrap();
    for path in ["a", "c", "d/x", "e"] {
        create_dir_all(dir.path().join("top").join(path)).unwrap();
    }
    write(dir.path().join("top/b"), "").unwrap();
    let top = dir.path().join("top");
    let (seen, result) = steps(dir.path(), "top", |line| match line {
        "+top/a" => {
            remove_file(top.join("b")).unwrap();
            remove_dir(top.join("c")).unwrap();
            rename(top.join("d"), dir.path().join("aside")).unwrap();
            symlink(dir.path().join("outside"), top.join("d")).unwrap();
        }
        "+top/e" => remove_dir(top.join("e")).unwrap(),
        _ => {}
    });
    let gone = "No such file or directory";
    let expected =
        format!("+top, +top/a, -top/a, !top/b {gone}, !top/c {gone}, =top/d, +top/e, !top/e {gone}, -top/e, -top");
    assert_eq!((seen.join(", "), result), (expected, Ok(())));
}

/// A directory far up, which is not open any more, is moved elsewhere: its `..` is not the one it came from.
#[test]
fn a_directory_that_is_moved_leads_nobody_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let below = |from: usize, to: usize| (from..to).map(|n| format!("{n}/")).collect::<String>();
    let depth = MOST_OPEN + 8;
    create_dir_all(dir.path().join(below(0, depth))).unwrap();
    create_dir_all(dir.path().join("outside/sibling")).unwrap();
    let (seen, result) = steps(dir.path(), "0", |line| {
        if line.ends_with(&format!("/{}", depth - 1)) && line.starts_with('+') {
            rename(dir.path().join(below(0, 5)), dir.path().join("outside/5")).unwrap();
        }
    });
    let refused = result.unwrap_err().to_string();
    assert_eq!(refused, "cannot come back from 0/1/2/3/4: it was moved meanwhile");
    assert_eq!(seen.last().unwrap(), "-0/1/2/3/4/5");
    // The same where all of them are open goes on to its end.
    create_dir_all(dir.path().join("a/b/c")).unwrap();
    let (seen, result) = steps(dir.path(), "a", |line| {
        if line == "+a/b/c" {
            rename(dir.path().join("a/b"), dir.path().join("outside/b")).unwrap();
        }
    });
    assert_eq!((seen.join(" "), result), ("+a +a/b +a/b/c -a/b/c -a/b -a".to_owned(), Ok(())));
}

/// Ends the other thread when this one is done, or has failed.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Somebody changes a directory into a link and back all the time.
#[test]
fn no_link_is_followed_however_fast_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    create_dir_all(dir.path().join("top/a/inner")).unwrap();
    create_dir_all(dir.path().join("outside/outer")).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            let (a, aside) = (dir.path().join("top/a"), dir.path().join("aside"));
            while !stop.load(Ordering::Relaxed) {
                rename(&a, &aside).unwrap();
                symlink(dir.path().join("outside"), &a).unwrap();
                remove_file(&a).unwrap();
                rename(&aside, &a).unwrap();
            }
        });
        let deadline = Instant::now() + Duration::from_secs(60);
        let (mut inner, mut link, mut lost) = (0, 0, 0);
        while inner < 300 || link == 0 || lost == 0 {
            assert!(Instant::now() < deadline, "{inner} {link} {lost}");
            lost += u32::from(dir.path().join("top/a").is_dir() && dir.path().join("top/a/outer").exists());
            walk(open(dir.path()).as_fd(), b"top", &mut |step| {
                assert!(!line(&step).contains("outer"), "{}", line(&step));
                inner += u32::from(line(&step) == "+top/a/inner");
                link += u32::from(line(&step) == "=top/a");
                Ok(Next::On)
            })
            .unwrap();
        }
    });
}

/// Between the look and the opening somebody puts another directory there, or a link.
#[test]
fn what_is_opened_is_what_was_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    ["one", "two"].iter().for_each(|name| create_dir(dir.path().join(name)).unwrap());
    symlink("two", dir.path().join("link")).unwrap();
    let at = open(dir.path());
    let found = fs::stat(at.as_fd(), b"one").unwrap();
    let opened = |name: &[u8]| open_found(at.as_fd(), name, &found).map(|opened| opened.map(|(stat, _)| stat.id()));
    assert_eq!((opened(b"one"), opened(b"two")), (Ok(Some(found.id())), Ok(None)));
    assert_eq!((opened(b"link"), opened(b"none")), (Err(Errno::ENOTDIR), Err(Errno::ENOENT)));
}

const DEEP: &str = "DOGWATCH_TEST_DEEP";
const LEVELS: usize = 10_000;

/// In a process of its own, for the limit on descriptors is a process's.
#[test]
fn ten_thousand_levels_need_few_descriptors() {
    if let Some(path) = std::env::var_os(DEEP) {
        return deep(Path::new(&path));
    }
    let dir = tempfile::tempdir().unwrap();
    let name = "parts::walk::tests::ten_thousand_levels_need_few_descriptors";
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--test-threads=1"])
        .env(DEEP, dir.path())
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    assert!(dir.path().join("walked").exists() && !dir.path().join("top").exists());
}

fn deep(path: &Path) {
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: Some(64) }).unwrap();
    let base = open(path);
    let mut trail = Trail::new(base.as_fd(), &fs::stat(base.as_fd(), b"").unwrap());
    for _ in 0..LEVELS {
        change::make_dir(trail.dir(), b"top", 0o700).unwrap();
        let dir = fs::open(trail.dir(), b"top", Open::DirectoryNoFollow).unwrap();
        let stat = fs::stat(dir.as_fd(), b"").unwrap();
        trail.enter(dir, &stat);
    }
    (0..LEVELS).for_each(|_| drop(trail.leave().unwrap()));
    assert_eq!(trail.leave().unwrap_err(), Errno::ESTALE, "it is where it began");
    let (mut entered, mut left, mut longest) = (0, 0, 0);
    walk(base.as_fd(), b"top", &mut |step| {
        match step {
            Step::Enter { place, .. } => (entered, longest) = (entered + 1, place.path.len().max(longest)),
            Step::Leave { .. } => left += 1,
            Step::Entry { .. } | Step::Failed { .. } => panic!("{step:?}"),
        }
        Ok(Next::On)
    })
    .unwrap();
    assert_eq!((entered, left, longest), (LEVELS, LEVELS, 4 * LEVELS - 1));
    remove(base.as_fd(), b"top").unwrap();
    write(path.join("walked"), "").unwrap();
}

#[test]
fn what_may_not_be_read_is_told_and_the_rest_is_walked() {
    if process::effective_uid() != 0 {
        return skip("only root becomes another user");
    }
    let dir = tempfile::tempdir().unwrap();
    for path in ["top/a", "top/b/c"] {
        create_dir_all(dir.path().join(path)).unwrap();
    }
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(dir.path().join("top/a"), PermissionsExt::from_mode(0o000)).unwrap();
    let as_nobody = || {
        let nobody = Uid::from_raw(99);
        // Credentials are a thread's own (credentials(7)).
        set_thread_res_uid(nobody, nobody, nobody).unwrap();
        let (seen, result) = steps(dir.path(), "top", |_| {});
        let expected = "+top, !top/a Permission denied, +top/b, +top/b/c, -top/b/c, -top/b, -top";
        assert_eq!((seen.join(", ").as_str(), result), (expected, Ok(())));
    };
    std::thread::scope(|scope| scope.spawn(as_nobody).join()).unwrap();
}

/// Another file system, and the same one mounted once more.
#[test]
fn mounts_are_told_and_not_removed() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["top/bound", "top/other", "top/plain", "elsewhere"] {
        create_dir_all(dir.path().join(path)).unwrap();
    }
    write(dir.path().join("elsewhere/precious"), "").unwrap();
    let with_mounts = || {
        #[expect(unsafe_code, reason = "a mount namespace of the thread's own")]
        // SAFETY: it would matter for descriptors that are shared no more; these flags leave them shared.
        let made = unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) };
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        let at = |name: &str| dir.path().join(name);
        let is_mounted = made.is_ok()
            && mount_change("/", private).is_ok()
            && mount_bind(at("elsewhere"), at("top/bound")).is_ok()
            && mount("tmpfs", at("top/other"), "tmpfs", MountFlags::empty(), None).is_ok();
        if !is_mounted {
            return skip("no file system can be mounted");
        }
        let mut mounts = Vec::new();
        walk(open(dir.path()).as_fd(), b"top", &mut |step| {
            if let Step::Enter { place, is_mount, .. } = step {
                mounts.push((text(place.path), is_mount));
            }
            Ok(Next::On)
        })
        .unwrap();
        let expected = [("top", false), ("top/bound", true), ("top/other", true), ("top/plain", false)];
        assert_eq!(mounts, expected.map(|(path, is_mount)| (path.to_owned(), is_mount)));
        for (top, mounted) in [("top", "top/bound"), ("top/other", "top/other")] {
            let (parent, name) = (at(top).parent().unwrap().to_owned(), at(top).file_name().unwrap().to_owned());
            let refused = remove(open(parent).as_fd(), name.as_bytes()).unwrap_err().to_string();
            let told = mounted.strip_prefix("top/").filter(|_| top != "top").unwrap_or(mounted);
            assert_eq!(refused, format!("cannot remove {told}: something is mounted there"));
        }
        assert!(at("elsewhere/precious").exists());
    };
    std::thread::scope(|scope| scope.spawn(with_mounts).join()).unwrap();
}
