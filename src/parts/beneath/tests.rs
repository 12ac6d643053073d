use super::{LONGEST, MOST_AGAIN, Refused, Resolver, Root, dress, patiently, resolver};
use crate::sys::change::Owner;
use crate::sys::fs::{self, CWD, Id, Open};
use crate::sys::{Errno, process};
use std::cell::Cell;
use std::fs::{create_dir, create_dir_all, remove_dir, remove_file, rename, write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// A root below `dir`, by each way that is there.
fn roots(dir: &Path) -> Vec<Root> {
    let open = || Root::open(dir.as_os_str().as_bytes()).unwrap();
    let steps = Root { resolver: Resolver::Steps, ..open() };
    if resolver() == Resolver::Steps {
        assert!(std::env::var_os("CI").is_none(), "openat2(2) is there");
        println!("openat2(2) is skipped: it is not there");
        return vec![steps];
    }
    vec![open(), steps]
}

fn id(path: impl AsRef<Path>) -> Id {
    fs::stat(CWD, path.as_ref().as_os_str().as_bytes()).unwrap().id()
}

fn found(root: &Root, relative: &[u8], how: Open) -> Result<Id, Refused> {
    root.dir(relative, how).map(|dir| fs::stat(dir.as_fd(), b"").unwrap().id())
}

const WAYS: [Open; 2] = [Open::Place, Open::DirectoryNoFollow];

#[test]
fn directories_and_parents_are_found() {
    let dir = tempfile::tempdir().unwrap();
    create_dir_all(dir.path().join("a/b/c")).unwrap();
    symlink(dir.path(), dir.path().join("a/root")).unwrap();
    for root in roots(&dir.path().join("a/root")) {
        for how in WAYS {
            assert_eq!(found(&root, b"", how), Ok(id(dir.path())), "links lead to a root");
            assert_eq!(found(&root, b"a/b/c", how), Ok(id(dir.path().join("a/b/c"))));
            assert_eq!(found(&root, b"a/x/c", how), Err(Refused::Missing));
            let (parent, name) = root.parent(b"a/b/new", how).unwrap();
            assert_eq!((fs::stat(parent.as_fd(), b"").unwrap().id(), name), (id(dir.path().join("a/b")), &b"new"[..]));
            assert_eq!(root.parent(b"a", how).unwrap().1, b"a");
        }
    }
    assert_eq!(Root::open(b"relative").unwrap_err(), Refused::Path);
    assert_eq!(Root::open(dir.path().join("none").as_os_str().as_bytes()).unwrap_err(), Refused::Missing);
}

/// Each component in turn is a link to a whole copy of what should follow, or a file.
#[test]
fn no_link_is_followed_in_any_component() {
    let dir = tempfile::tempdir().unwrap();
    create_dir_all(dir.path().join("root")).unwrap();
    for (at, link) in ["a", "a/b", "a/b/c"].iter().enumerate() {
        create_dir_all(dir.path().join("outside/a/b/c")).unwrap();
        create_dir_all(dir.path().join("root").join(link).parent().unwrap()).unwrap();
        let planted = dir.path().join("root").join(link);
        for is_link in [true, false] {
            match is_link {
                true => symlink(dir.path().join("outside").join(link), &planted).unwrap(),
                false => write(&planted, "").unwrap(),
            }
            for root in roots(&dir.path().join("root")) {
                for how in WAYS {
                    assert_eq!(found(&root, b"a/b/c", how), Err(Refused::InTheWay), "{at} {:?}", root.resolver);
                    assert_eq!(root.parent(b"a/b/c/d", how).unwrap_err(), Refused::InTheWay);
                }
                let made = root.make_dirs(b"a/b/c/d", None, Owner::default());
                assert_eq!(made, Err(Refused::InTheWay));
            }
            remove_file(&planted).unwrap();
        }
        create_dir(&planted).unwrap();
    }
    assert!(!dir.path().join("outside/a/b/c/d").exists());
    assert_eq!(roots(&dir.path().join("root")).pop().unwrap().make_dirs(b"a/b/c/d", None, Owner::default()), Ok(()));
}

#[test]
fn what_leads_up_or_nowhere_is_refused_before_anything_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    for root in roots(dir.path()) {
        for path in [&b".."[..], b".", b"/", b"/etc", b"a/", b"a//b", b"a/./b", b"a/..", b"../a", b"none/../../a"] {
            assert_eq!(found(&root, path, Open::Place), Err(Refused::Path));
            assert_eq!(root.parent(path, Open::Place).unwrap_err(), Refused::Path);
            assert_eq!(root.make_dirs(path, None, Owner::default()), Err(Refused::Path));
        }
        assert_eq!(root.parent(b"", Open::Place).unwrap_err(), Refused::Path);
        assert_eq!(found(&root, b"a\0/b", Open::Place), Err(Refused::Other(Errno::EINVAL)));
    }
    assert!(!dir.path().join("a").exists());
}

/// A path is longer than a call takes; so are its components at places that move.
#[test]
fn paths_of_any_length_are_resolved() {
    let dir = tempfile::tempdir().unwrap();
    let both = roots(dir.path());
    for len in [14, 64, 255] {
        let name = vec![b'x'; len];
        let levels = 2 * LONGEST / (len + 1) + 3;
        let path = vec![name; levels].join(&b"/"[..]);
        both[0].make_dirs(&path, Some(0o700), Owner::default()).unwrap();
        let ids: Vec<_> = both.iter().map(|root| found(root, &path, Open::DirectoryNoFollow).unwrap()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]));
        for root in &both {
            let (_, name) = root.parent(&path, Open::Place).unwrap();
            assert_eq!(name.len(), len);
            assert_eq!(found(root, &[&path[..], b"/y"].concat(), Open::Place), Err(Refused::Missing));
        }
    }
    for root in &both {
        let long = found(root, &[b'x'; 256], Open::Place);
        assert_eq!(long, Err(Refused::Other(Errno(rustix::io::Errno::NAMETOOLONG.raw_os_error()))));
    }
}

/// What a naive look at a tree without anybody else in it says: no link, no file on the way.
fn naive(root: &Path, relative: &str) -> Result<Id, Refused> {
    if relative.is_empty() {
        return Ok(id(root));
    }
    if relative.split('/').any(|part| ["", ".", ".."].contains(&part)) {
        return Err(Refused::Path);
    }
    let mut path = root.to_owned();
    for part in relative.split('/') {
        path.push(part);
        match path.symlink_metadata() {
            Err(_) => return Err(Refused::Missing),
            Ok(found) if !found.is_dir() => return Err(Refused::InTheWay),
            Ok(_) => {}
        }
    }
    Ok(id(path))
}

#[test]
fn random_trees_are_resolved_as_a_naive_model_says() {
    let mut results = [0; 4];
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let dir = tempfile::tempdir().unwrap();
        let path = |random: &mut fastrand::Rng, odd: bool| {
            let names = if odd { &["a", "b", "c", "..", ".", ""][..] } else { &["a", "b", "c"][..] };
            let parts: Vec<&str> = (0..random.usize(1..6)).map(|_| names[random.usize(..names.len())]).collect();
            parts.join("/")
        };
        for _ in 0..40 {
            let (at, to) = (path(&mut random, false), path(&mut random, false));
            // Nothing is made through a link: that could be anywhere.
            if naive(dir.path(), &at) != Err(Refused::Missing) {
                continue;
            }
            let at = dir.path().join(at);
            create_dir_all(at.parent().unwrap()).unwrap();
            match random.u8(..6) {
                0 => write(at, "").unwrap(),
                1 => symlink(dir.path().join(to), at).unwrap(),
                2 => symlink(["..", ".", "a"][random.usize(..3)], at).unwrap(),
                _ => create_dir(at).unwrap(),
            }
        }
        let both = roots(dir.path());
        for _ in 0..200 {
            let odd = random.u8(..4) == 0;
            let path = path(&mut random, odd);
            let expected = naive(dir.path(), &path);
            results[match expected {
                Ok(_) => 0,
                Err(Refused::Missing) => 1,
                Err(Refused::InTheWay) => 2,
                Err(Refused::Path | Refused::Other(_)) => 3,
            }] += 1;
            for root in &both {
                for how in WAYS {
                    assert_eq!(found(root, path.as_bytes(), how), expected, "seed {seed}: {path} {:?}", root.resolver);
                }
            }
        }
    }
    assert!(results.iter().all(|n| *n > 100), "{results:?}");
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
fn nobody_is_led_astray_by_swaps() {
    let dir = tempfile::tempdir().unwrap();
    create_dir_all(dir.path().join("root/a/b")).unwrap();
    create_dir_all(dir.path().join("outside/b")).unwrap();
    let (inner, outer) = (id(dir.path().join("root/a/b")), id(dir.path().join("outside/b")));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            let (a, aside) = (dir.path().join("root/a"), dir.path().join("root/aside"));
            while !stop.load(Ordering::Relaxed) {
                rename(&a, &aside).unwrap();
                symlink(dir.path().join("outside"), &a).unwrap();
                remove_file(&a).unwrap();
                rename(&aside, &a).unwrap();
            }
        });
        let (deadline, mut lost) = (std::time::Instant::now() + std::time::Duration::from_secs(60), 0);
        let both = roots(&dir.path().join("root"));
        let mut seen = vec![[0_u32; 2]; both.len()];
        // Until the naive one has lost, and each of the others has been asked a thousand times, with either answer.
        while lost == 0 || seen.iter().any(|seen| seen.contains(&0) || seen.iter().sum::<u32>() < 1_000) {
            assert!(std::time::Instant::now() < deadline, "{lost} {seen:?}");
            let naive = fs::open(CWD, dir.path().join("root/a/b").as_os_str().as_bytes(), Open::Place);
            lost += u32::from(naive.is_ok_and(|dir| fs::stat(dir.as_fd(), b"").unwrap().id() == outer));
            for (root, seen) in both.iter().zip(&mut seen) {
                match found(root, b"a/b", Open::Place) {
                    Ok(id) if id == inner => seen[0] += 1,
                    Ok(id) => panic!("{:?} was led to {id:?}", root.resolver),
                    Err(Refused::Missing | Refused::InTheWay) => seen[1] += 1,
                    Err(refused) => panic!("{:?}: {refused}", root.resolver),
                }
            }
        }
    });
}

#[test]
fn directories_are_made_with_mode_and_owner() {
    let dir = tempfile::tempdir().unwrap();
    create_dir(dir.path().join("there")).unwrap();
    let before = dir.path().join("there").metadata().unwrap();
    let is_root = process::effective_uid() == 0;
    let owner = if is_root { Owner { user: Some(17), group: Some(18) } } else { Owner::default() };
    for root in roots(dir.path()) {
        // No umask allows that.
        root.make_dirs(b"there/a/b", Some(0o3777), owner).unwrap();
        for made in ["there/a", "there/a/b"] {
            let made = dir.path().join(made).metadata().unwrap();
            assert_eq!(made.permissions().mode() & 0o7777, 0o3777);
            assert!(!is_root || (made.uid(), made.gid()) == (17, 18));
        }
        root.make_dirs(b"there/a/b", Some(0o700), Owner::default()).unwrap();
        assert_eq!(
            dir.path().join("there/a").metadata().unwrap().permissions().mode() & 0o7777,
            0o3777,
            "it was there"
        );
        root.make_dirs(b"there/plain", None, Owner::default()).unwrap();
        assert_eq!(dir.path().join("there/plain").metadata().unwrap().permissions().mode() & 0o7700, 0o700);
        for name in ["a/b", "a", "plain"] {
            remove_dir(dir.path().join("there").join(name)).unwrap();
        }
    }
    let after = dir.path().join("there").metadata().unwrap();
    assert_eq!((after.mode(), after.uid()), (before.mode(), before.uid()));
}

/// Somebody moves a directory with something in it to where a new one was made, or makes a link there.
#[test]
fn nobody_becomes_the_owner_of_what_was_put_there() {
    let dir = tempfile::tempdir().unwrap();
    let at = fs::open(CWD, dir.path().as_os_str().as_bytes(), Open::Place).unwrap();
    let owner = Owner { user: Some(process::effective_uid()), group: None };
    let new = dir.path().join("new");
    create_dir(&new).unwrap();
    let dress = |name: &[u8], mode, owner| dress(at.as_fd(), name, Some(mode), owner).map(drop);
    assert_eq!(dress(b"new", 0o711, owner), Ok(()));
    write(new.join("something"), "").unwrap();
    symlink(&new, dir.path().join("link")).unwrap();
    assert_eq!(dress(b"new", 0o755, owner), Err(Refused::InTheWay));
    for owner in [owner, Owner::default()] {
        assert_eq!(dress(b"link", 0o755, owner), Err(Refused::InTheWay));
    }
    assert_eq!(new.metadata().unwrap().permissions().mode() & 0o7777, 0o711);
}

#[test]
fn a_rename_meanwhile_is_waited_for_but_not_for_ever() {
    let calls = Cell::new(0);
    let after = |n| {
        calls.set(0);
        patiently(|| {
            calls.set(calls.get() + 1);
            if calls.get() > n { Err::<(), _>(Errno::ENOENT) } else { Err(Errno::EAGAIN) }
        })
    };
    assert_eq!((after(5), calls.get()), (Err(Errno::ENOENT), 6));
    assert_eq!((after(u32::MAX), calls.get()), (Err(Errno::EAGAIN), MOST_AGAIN + 1));
}
