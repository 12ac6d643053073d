//! Archives that were made to do harm, or were damaged.

use super::{back_up, backup, dir, done, told};
use crate::common::{Scratch, is_root};
use crate::tree::{Survey, noise, survey};
use flate2::read::MultiGzDecoder;
use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tar::{EntryType, Header};

/// A member as it stands in an archive, whatever its name.
fn member(kind: EntryType, name: &str, target: &str, data: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_entry_type(kind);
    header.set_size(data.len() as u64);
    header.set_mode(0o644);
    header.set_uid(rustix::process::getuid().as_raw().into());
    header.set_gid(rustix::process::getgid().as_raw().into());
    header.set_mtime(0);
    header.set_device_major(1).unwrap();
    header.set_device_minor(3).unwrap();
    header.set_cksum();
    let mut bytes = [header.as_bytes(), data].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &str) -> Vec<u8> {
    member(EntryType::Regular, name, "", b"evil")
}

/// A long name, in a member of its own before the file.
fn long(name: &str) -> Vec<u8> {
    [member(EntryType::GNULongName, "././@LongLink", "", name.as_bytes()), file("short")].concat()
}

/// A directory to restore into, beside what is not to be touched.
struct Stage(Scratch);

impl Stage {
    fn new() -> Stage {
        // Where to sync costs nothing.
        let memory = Path::new("/dev/shm");
        let scratch = if memory.is_dir() { Scratch::below(memory) } else { Scratch::new() };
        dir(&scratch, "to");
        dir(&scratch, "outside");
        fs::write(scratch.path("outside/secret"), "secret").unwrap();
        Stage(scratch)
    }

    /// Restores an archive with these options; what is there then, and exit status and standard error.
    fn restore(&self, archive: &[u8], options: &[&str]) -> (Survey, Option<i32>, String) {
        fs::write(self.0.path("outside/archive"), archive).unwrap();
        let before = survey(&self.0.path("outside"));
        let (status, out, err) = told(&backup(&self.0, &[&["restore", "outside/archive", "to"], options].concat()));
        assert_eq!(survey(&self.0.path("outside")), before);
        assert_eq!(fs::read_dir(self.0.path("")).unwrap().count(), 3, "nothing else has come");
        assert!(out.starts_with("outside/archive: ") && out.contains(" members restored"), "{out}{err}");
        let found = survey(&self.0.path("to"));
        assert!(found.keys().all(|path| !path.to_string_lossy().contains(".dogwatch")), "{found:?}");
        (found, status, err)
    }

    fn names(found: &Survey) -> Vec<&str> {
        found.keys().map(|path| path.to_str().unwrap()).collect()
    }
}

fn end() -> Vec<u8> {
    vec![0; 1024]
}

/// The members that are refused are named, in their order; the others are there.
#[test]
fn nothing_leads_out_of_the_directory() {
    for overwrite in [&[][..], &["--overwrite"]] {
        let stage = Stage::new();
        let secret = stage.0.path("outside/secret");
        let secret = secret.to_str().unwrap();
        symlink("../outside", stage.0.path("to/planted")).unwrap();
        let members = [
            file("../x"),
            file("a/../../x"),
            file(".."),
            file("/absolute/name"),
            member(EntryType::Symlink, "out", "../outside", b""),
            file("out/x"),
            file("planted/x"),
            member(EntryType::Directory, "out/dir", "", b""),
            member(EntryType::Directory, "out/", "", b""),
            member(EntryType::Link, "up", "../outside/secret", b""),
            member(EntryType::Link, "absolute link", secret, b""),
            member(EntryType::Link, "through", "out/secret", b""),
            member(EntryType::Link, "planted/link", "good", b""),
            member(EntryType::Fifo, "out/fifo", "", b""),
            member(EntryType::Char, "out/null", "", b""),
            long(&format!("{}../../x", "d/".repeat(300))),
            file("good"),
            member(EntryType::Link, "good link", "/good", b""),
            end(),
        ];
        let (found, status, err) = stage.restore(&members.concat(), overwrite);
        let there: Vec<&str> = Stage::names(&found).into_iter().filter(|name| !name.starts_with("absolute/")).collect();
        assert_eq!(there, ["absolute", "good", "good link", "out", "planted"]);
        assert!(found.contains_key(&PathBuf::from("absolute/name")));
        assert_eq!(status, Some(1));
        let refused: Vec<&str> = err.lines().map(|line| line.split(": ").nth(1).unwrap()).collect();
        let mut expected = Vec::new();
        expected.extend(["../x", "a/../../x", "..", "out/x", "planted/x", "out/dir", "out/"]);
        expected.extend(["up", "absolute link", "through", "planted/link", "out/fifo", "out/null"]);
        let expected: Vec<String> = expected.into_iter().map(|name| format!("cannot restore {name}")).collect();
        assert_eq!(refused[..refused.len() - 1], expected, "{err}");
        assert!(refused.last().unwrap().ends_with("d/../../x"), "{err}");
    }
}

/// Where the directory above is writable for all the same.
#[test]
fn names_that_lie_are_one_line_of_text() {
    let stage = Stage::new();
    let lie = "../x\ndogwatch: all is well\x1b[2J";
    let (found, status, err) = stage.restore(&[file(lie), file("good"), end()].concat(), &[]);
    assert_eq!((Stage::names(&found), status, err.lines().count()), (vec!["good"], Some(1), 1));
    assert!(!err.contains('\x1b'), "{err:?}");
    let (status, out, err) = told(&backup(&stage.0, &["contents", "outside/archive"]));
    assert_eq!((status, out.lines().count(), err.as_str()), (Some(0), 2, ""));
    assert!(!out.contains('\x1b'), "{out:?}");
}

#[test]
fn devices_and_other_kinds() {
    let stage = Stage::new();
    let members = [
        member(EntryType::Char, "null", "", b""),
        member(EntryType::Fifo, "fifo", "", b""),
        member(EntryType::new(b'D'), "of GNU's own", "", b"some data"),
        file("good"),
        end(),
    ];
    let (found, status, err) = stage.restore(&members.concat(), &[]);
    assert_eq!(status, Some(1));
    assert!(err.contains("cannot restore of GNU's own: it is a sparse file, or of another kind (D)"), "{err}");
    let names = Stage::names(&found);
    assert!(names.ends_with(if is_root() && names.contains(&"null") {
        &["fifo", "good", "null"]
    } else {
        &["fifo", "good"]
    }));
    assert_eq!(names.contains(&"null"), !err.contains("cannot restore null: "), "{err}");
}

#[test]
fn deep_nesting() {
    let stage = Stage::new();
    let deep = "d/".repeat(1_000);
    let archive = [long(&format!("{deep}file")), file("good"), end()].concat();
    let (status, out, err) = {
        fs::write(stage.0.path("outside/archive"), archive).unwrap();
        told(&backup(&stage.0, &["restore", "outside/archive", "to"]))
    };
    assert_eq!((status, out.as_str(), err.as_str()), (Some(0), "outside/archive: 2 members restored\n", ""));
    assert_eq!(fs::read(stage.0.path(format!("to/{deep}file"))).unwrap(), b"evil");
}

/// What a cut archive gives is whole files from its beginning, and an error; one with a wrong bit an error, or all.
#[test]
fn what_is_damaged_is_told() {
    let stage = Stage::new();
    let tree = dir(&stage.0, "tree");
    for n in 0..20 {
        fs::write(tree.join(format!("file{n:02}")), noise(1_000 + n)).unwrap();
    }
    let archive = fs::read(back_up(&stage.0, "tree", "all")).unwrap();
    dir(&stage.0, "whole");
    done(&stage.0, &["restore", "all", "whole"]);
    let whole = survey(&stage.0.path("whole"));
    for name in ["tree", "whole", "backups", "logs"] {
        fs::remove_dir_all(stage.0.path(name)).unwrap();
    }
    for name in ["backup_schedules.txt", ".backup_runs", ".backup_service.pid"] {
        let _ = fs::remove_file(stage.0.path(name));
    }
    let restore = |bytes: &[u8]| {
        fs::remove_dir_all(stage.0.path("to")).unwrap();
        dir(&stage.0, "to");
        let outcome = stage.restore(bytes, &[]);
        for word in ["verify", "contents"] {
            let (status, out, err) = told(&backup(&stage.0, &[word, "outside/archive"]));
            assert_eq!((status, &err), (outcome.1, &outcome.2), "{word}");
            assert!(word == "verify" || out.lines().count() >= outcome.0.len(), "{out}");
        }
        outcome
    };
    let places = || (0..archive.len()).step_by(512).chain(0..20).chain(archive.len() - 12..archive.len());
    // The tree's own directory has got other entries meanwhile, and its time at the end.
    let files = |survey: &Survey| -> Vec<_> { survey.clone().into_iter().skip(1).collect() };
    let doubt = "; unless it was only cut short, members up to that may be damaged too\n";
    // What all three say at the end.
    let last_of = |found: &Survey| match files(found).last() {
        Some((last, _)) => format!("; the last whole member is {}{doubt}", last.display()),
        None if found.is_empty() => "; no member of it is whole\n".to_owned(),
        None => format!("; the last whole member is tree/{doubt}"),
    };
    let (mut cut, mut flipped, mut harmless, mut spoilt) = (0, 0, 0, 0);
    for at in places() {
        let (found, status, err) = restore(&archive[..at]);
        assert!(status == Some(1) && err.lines().count() == 1, "cut at {at}: {status:?} {err}");
        assert!(files(&whole).starts_with(&files(&found)), "cut at {at}");
        let last = last_of(&found);
        assert!(err.ends_with(&last), "cut at {at}: {last}: {err}");
        cut += 1;
    }
    // Not compressed, it is cut where members begin and end.
    let mut plain = Vec::new();
    MultiGzDecoder::new(&archive[..]).read_to_end(&mut plain).unwrap();
    let datas: Vec<_> = tar::Archive::new(&plain[..])
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let (start, size) = (entry.raw_file_position(), entry.size());
            (start..start + size, entry.path().unwrap().display().to_string())
        })
        .collect();
    // Also in what fills a member's last block.
    let in_fillings = datas.iter().map(|(data, _)| data.end as usize + 1);
    for at in (0..plain.len()).step_by(512).chain(in_fillings) {
        let (found, status, err) = restore(&plain[..at]);
        // The second of the two blocks that end it adds nothing.
        let is_all = at == plain.len() - 512;
        let cut = datas.iter().find(|(data, _)| data.contains(&(at as u64)));
        let place = cut
            .map(|(_, name)| format!("/archive: in {name}: it ends before"))
            .unwrap_or("/archive: it ends before".to_owned());
        let is_told = err.contains(&place) && err.ends_with(&last_of(&found));
        assert!(is_all || is_told, "cut at {at}: {place}: {err}");
        assert_eq!(
            (status, err.lines().count()),
            if is_all { (Some(0), 0) } else { (Some(1), 1) },
            "cut at {at}: {err}"
        );
        assert!(files(&whole).starts_with(&files(&found)) && (!is_all || found == whole), "cut at {at}");
    }
    for at in places() {
        let mut bytes = archive.clone();
        bytes[at] ^= 1 << (at % 8);
        let (found, status, err) = restore(&bytes);
        match status {
            Some(0) => {
                assert_eq!((&found, err.as_str()), (&whole, ""), "flipped at {at}");
                harmless += 1;
            }
            Some(1) => assert_eq!(err.lines().count(), 1, "flipped at {at}: {err}"),
            other => panic!("flipped at {at}: {other:?} {err}"),
        }
        // A wrong byte in a file may be known later only, if not by gzip's sum at the end: that is said.
        if !files(&whole).starts_with(&files(&found)) {
            assert!(err.ends_with(doubt), "flipped at {at}: {err}");
            spoilt += 1;
        }
        flipped += 1;
    }
    println!("{cut} cut; {flipped} flipped, of which {harmless} were harmless and {spoilt} spoilt a file");
    assert!(cut > 40 && flipped - harmless > 40);
}
