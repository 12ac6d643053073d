//! Archives that were made to do harm, or were damaged: nothing is touched outside the directory, and what is wrong is told.

use super::{BLOCK, Extracting, Facts, Member, Scratch, What, is_root, open, skip, survey, unpack};
use crate::jobs::archive::{pax, read_through};
use crate::parts::diag::Failure;
use crate::sys::fs::Open;
use crate::sys::stream::Write;
use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

const DOUBT: &str = "; unless it was only cut short, members up to that may be damaged too";

fn member(name: &str, what: What) -> Member {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    Member { name: name.into(), what, mode: 0o755, uid, gid, mtime: (1_000_000_000, 0), xattrs: Vec::new() }
}

pub fn file(name: &str, bytes: &str) -> (Member, Vec<u8>) {
    (member(name, What::File(bytes.len() as u64)), bytes.into())
}

fn symlink(name: &str, text: &str) -> (Member, Vec<u8>) {
    (member(name, What::Symlink(text.into())), Vec::new())
}

fn link(name: &str, first: &str) -> (Member, Vec<u8>) {
    (member(name, What::Link(first.into())), Vec::new())
}

fn directory(name: &str) -> (Member, Vec<u8>) {
    (member(name, What::Directory), Vec::new())
}

/// An archive of these members, not compressed.
pub fn tar(members: &[(Member, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (member, data) in members {
        bytes.extend(member.headers().unwrap());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    }
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    bytes
}

/// A directory to restore into, beside what must not be touched.
struct Stage {
    scratch: Scratch,
    overwrite: bool,
    paths: Vec<Vec<u8>>,
}

/// What has come of an archive: the archive's own failure, what was told, what is there.
type Outcome = (Result<(), Failure>, Vec<String>, BTreeMap<Vec<u8>, Facts>);

impl Stage {
    fn new() -> Stage {
        Stage::at(Scratch::new())
    }

    fn at(scratch: Scratch) -> Stage {
        scratch.dir("dir");
        scratch.dir("outside");
        std::fs::write(scratch.path("outside/secret"), "secret").unwrap();
        Stage { scratch, overwrite: false, paths: Vec::new() }
    }

    fn restore(&self, archive: &[u8]) -> Outcome {
        let path = self.scratch.path("outside/archive");
        std::fs::write(&path, archive).unwrap();
        let before = survey(&self.scratch.path("outside"));
        let options = Extracting { overwrite: self.overwrite, paths: self.paths.clone() };
        let (done, extracted, told) = unpack(&path, &self.scratch.path("dir"), &options);
        assert_eq!(survey(&self.scratch.path("outside")), before);
        assert_eq!(std::fs::read_dir(&self.scratch.0).unwrap().count(), 2);
        assert_eq!((extracted.failed, extracted.lost.len()), (told.len() as u64, 0));
        let found = survey(&self.scratch.path("dir"));
        assert!(found.keys().all(|path| !path.windows(10).any(|part| part == b"/.dogwatch")), "leftovers: {found:?}");
        (done, told, found)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.scratch.path("dir").join(name)).unwrap()
    }
}

fn names(found: &BTreeMap<Vec<u8>, Facts>) -> Vec<String> {
    found.keys().skip(1).map(|path| String::from_utf8_lossy(&path[1..]).into_owned()).collect()
}

#[test]
fn nothing_leads_out() {
    let stage = Stage::new();
    let (done, told, found) = stage.restore(&tar(&[
        file("../evil", "1"),
        file("a/../../evil", "2"),
        file("..", "3"),
        directory("b/.."),
        file("/absolute", "4"),
        file("./a//b/./c", "5"),
        file("", "6"),
        file("good", "7"),
    ]));
    assert_eq!(done, Ok(()));
    let refused: Vec<String> = ["../evil", "a/../../evil", "..", "b/.."]
        .map(|name| format!("cannot restore {name}: its path has a .. in it"))
        .into();
    assert_eq!(told, refused);
    assert_eq!(names(&found), ["a", "a/b", "a/b/c", "absolute", "good"]);
}

/// Of a link that the archive itself brings, and of one that was there.
#[test]
fn nothing_is_written_through_a_link() {
    for is_there in [false, true] {
        for overwrite in [false, true] {
            let mut stage = Stage::new();
            stage.overwrite = overwrite;
            let mut members = vec![
                symlink("link", "../outside"),
                symlink("to file", "../outside/secret"),
                file("link/evil", "1"),
                directory("link/evil directory"),
                directory("link"),
                file("link/deeper/evil", "2"),
                link("link/evil link", "good"),
                file("to file", "3"),
                file("good", "4"),
            ];
            if is_there {
                for (name, text) in [("link", "../outside"), ("to file", "../outside/secret")] {
                    std::os::unix::fs::symlink(text, stage.scratch.path("dir").join(name)).unwrap();
                }
                members.drain(..2);
            }
            let (done, told, found) = stage.restore(&tar(&members));
            assert_eq!(done, Ok(()));
            let through = told.iter().filter(|line| line.contains("a symbolic link is in the way")).count();
            assert_eq!(through, 4, "{told:?}");
            assert!(told.iter().any(|line| line == "cannot restore link: something else has its name"), "{told:?}");
            assert_eq!(names(&found), ["good", "link", "to file"]);
            assert_eq!(found[&b"/link"[..]]["text"], "../outside");
            let kept = if overwrite { "File" } else { "Symlink" };
            assert_eq!(found[&b"/to file"[..]]["kind"], kept, "it is replaced, not followed");
        }
    }
}

/// Somebody exchanges a directory and a link all the while.
#[test]
fn nothing_leads_out_for_who_is_quick() {
    let stage = Stage::new();
    let dir = stage.scratch.path("dir");
    std::fs::create_dir(dir.join("d")).unwrap();
    std::os::unix::fs::symlink("../outside", dir.join("link")).unwrap();
    let mut members = Vec::new();
    for n in 0..300 {
        members.extend([file(&format!("d/{n}"), ""), directory(&format!("d/d{n}")), file(&format!("d/d{n}/f"), "")]);
        members.extend([link(&format!("d/l{n}"), &format!("d/{n}")), symlink(&format!("d/s{n}"), "x")]);
    }
    std::fs::write(stage.scratch.path("archive"), tar(&members)).unwrap();
    let before = survey(&stage.scratch.path("outside"));
    let is_over = AtomicBool::new(false);
    let (mut restored, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (at, exchange) = (rustix::fs::CWD, rustix::fs::RenameFlags::EXCHANGE);
            while !is_over.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(at, dir.join("d"), at, dir.join("link"), exchange).unwrap();
            }
        });
        // Until it was met both ways.
        for _ in 0..1_000 {
            let options = Extracting { overwrite: true, ..Extracting::default() };
            let (done, extracted, told) = unpack(&stage.scratch.path("archive"), &dir, &options);
            refused += told.iter().filter(|line| line.contains("a symbolic link is in the way")).count();
            restored += extracted.restored;
            if done != Ok(()) || restored > 100 && refused > 100 {
                break;
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    println!("{restored} restored, {refused} refused");
    assert!(restored > 100 && refused > 100);
    assert_eq!(survey(&stage.scratch.path("outside")), before);
}

#[test]
fn the_directory_itself_may_be_a_link() {
    let stage = Stage::new();
    std::os::unix::fs::symlink("dir", stage.scratch.path("alias")).unwrap();
    let archive = stage.scratch.path("archive");
    std::fs::write(&archive, tar(&[file("a/b", "1")])).unwrap();
    let (done, extracted, _) = unpack(&archive, &stage.scratch.path("alias"), &Extracting::default());
    assert_eq!((done, extracted.restored), (Ok(()), 1));
    assert_eq!(stage.text("a/b"), "1");
}

#[test]
fn hard_links_lead_to_what_is_below_only() {
    let mut stage = Stage::new();
    stage.overwrite = true;
    let secret = stage.scratch.path("outside/secret");
    let (done, told, found) = stage.restore(&tar(&[
        link("up", "../outside/secret"),
        link("absolute", secret.to_str().unwrap()),
        symlink("out", "../outside"),
        link("through", "out/secret"),
        link("of itself", "of itself"),
        link("of nothing", ""),
        directory("d"),
        link("of a directory", "d"),
        symlink("to secret", "../outside/secret"),
        link("of a link", "to secret"),
        file("of a link", "new"),
        file("one", "1"),
        link("two", "/one"),
        link("two", "one"),
    ]));
    assert_eq!(done, Ok(()));
    let refused: Vec<&str> =
        told.iter().map(|line| line.split(": ").next().unwrap().strip_prefix("cannot restore ").unwrap()).collect();
    assert_eq!(refused, ["up", "absolute", "through", "of itself", "of nothing", "of a directory"]);
    assert_eq!(names(&found), ["d", "of a link", "one", "out", "to secret", "two"]);
    assert_eq!((found[&b"/two"[..]]["link"].as_str(), stage.text("of a link").as_str()), ("2 /one", "new"));
}

#[test]
fn what_is_there_stays_unless_it_may_be_overwritten() {
    let members = [
        file("file", "new"),
        symlink("link", "new"),
        link("second", "file"),
        file("full", "new"),
        directory("dir"),
        file("dir/more", "new"),
        directory("taken"),
    ];
    for overwrite in [false, true] {
        let mut stage = Stage::new();
        stage.overwrite = overwrite;
        let dir = stage.scratch.path("dir");
        for name in ["file", "link", "second", "taken"] {
            std::fs::write(dir.join(name), "old").unwrap();
        }
        std::fs::create_dir_all(dir.join("full/of")).unwrap();
        std::fs::create_dir(dir.join("dir")).unwrap();
        let before = survey(&dir);
        let (done, told, found) = stage.restore(&tar(&members));
        assert_eq!(done, Ok(()));
        let lines =
            |names: &[&str]| told.iter().zip(names).all(|(line, name)| line.contains(&format!("restore {name}:")));
        if overwrite {
            assert!(told.len() == 2 && lines(&["full", "taken"]), "{told:?}");
            assert_eq!([stage.text("file"), stage.text("second")], ["new", "new"]);
            assert_eq!(found[&b"/link"[..]]["text"], "new");
            assert_eq!((&*found[&b"/dir"[..]]["mtime"], &*found[&b"/dir"[..]]["mode"]), ("1000000000 0", "755"));
        } else {
            assert!(told.len() == 5 && lines(&["file", "link", "second", "full", "taken"]), "{told:?}");
            let without_more: BTreeMap<_, _> = found.into_iter().filter(|(path, _)| path != b"/dir/more").collect();
            let but = &["mtime"];
            super::compare("what was there", &without_more, &before, but);
        }
        assert_eq!(stage.text("dir/more"), "new");
    }
}

#[test]
fn some_paths_are_restored_alone() {
    let mut stage = Stage::new();
    stage.paths = [&b"/a/b"[..], b"c/", b"nothing", b"a/../x"].map(<[u8]>::to_vec).into();
    let members =
        [directory("a/"), directory("a/b"), file("a/b/1", ""), file("a/bc", ""), file("c", ""), file("d", "")];
    let (done, told, found) = stage.restore(&tar(&members));
    assert_eq!((done, names(&found)), (Ok(()), ["a", "a/b", "a/b/1", "c"].map(str::to_owned).into()));
    assert_eq!(
        told,
        ["nothing", "a/../x"].map(|path| format!("cannot restore {path}: nothing in the archive has this name"))
    );
}

/// As somebody else than root.
#[test]
fn devices_and_privileges_are_roots() {
    if !is_root() {
        return skip("only root becomes another user");
    }
    let members = [
        (Member { mode: 0o6755, ..member("setuid", What::File(0)) }, vec![]),
        (Member { mode: 0o6755, uid: 99, ..member("own", What::File(0)) }, vec![]),
        (member("null", What::Character((1, 3))), vec![]),
        (member("disk", What::Block((8, 0))), vec![]),
        (member("fifo", What::Fifo), vec![]),
    ];
    let stage = Stage::new();
    std::os::unix::fs::chown(stage.scratch.path("dir"), Some(99), None).unwrap();
    std::os::unix::fs::chown(stage.scratch.path("outside"), Some(99), None).unwrap();
    std::fs::set_permissions(&stage.scratch.0, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let as_nobody = || {
        let nobody = Uid::from_raw(99);
        // Credentials are a thread's own (credentials(7)).
        set_thread_res_uid(nobody, nobody, nobody).unwrap();
        stage.restore(&tar(&members))
    };
    let (done, told, found) = std::thread::scope(|scope| scope.spawn(as_nobody).join()).unwrap();
    assert_eq!(done, Ok(()));
    assert_eq!(told, ["null", "disk"].map(|name| format!("cannot restore {name}: devices are root's to make")));
    let facts = |name: &[u8]| (found[name]["mode"].as_str(), found[name]["owner"].as_str());
    assert_eq!(facts(b"/setuid"), ("755", "99 0"));
    assert_eq!(facts(b"/own"), ("6755", "99 0"), "the owner is the archive's");
    assert_eq!(found[&b"/fifo"[..]]["kind"], "Fifo");
}

#[test]
fn ten_thousand_levels() {
    // Where to sync costs nothing.
    let stage = Stage::at(Scratch::in_memory());
    let deep = "d/".repeat(10_000);
    let (done, told, found) = stage.restore(&tar(&[file(&format!("{deep}file"), "deep"), file("good", "")]));
    assert_eq!((done, told), (Ok(()), vec![]));
    assert_eq!(found.len(), 10_003);
    let (done, told, _) =
        stage.restore(&tar(&[directory(&format!("{deep}directory")), link("linked", &format!("{deep}file"))]));
    assert_eq!((done, told), (Ok(()), vec![]));
    assert_eq!(stage.text("linked"), "deep");
}

/// A header of this type and size, whose content stands in `follows`.
pub fn raw(kind: u8, size: u64, follows: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::new(kind));
    header.as_old_mut().name[..4].copy_from_slice(b"evil");
    header.set_size(size);
    for set in [tar::Header::set_uid, tar::Header::set_gid] {
        set(&mut header, 0);
    }
    header.set_mode(0o644);
    header.set_cksum();
    let mut bytes = [header.as_bytes(), follows].concat();
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

#[test]
fn sizes_are_not_believed() {
    let mut records = Vec::new();
    pax::push(&mut records, b"size", b"18446744073709551615");
    let good = file("good", "1");
    let good = tar(std::slice::from_ref(&good));
    let good = &good[..good.len() - 2 * BLOCK];
    for (evil, why) in [
        (raw(b'0', 1 << 62, b"x"), "in evil: it ends before the mark of its end"),
        (raw(b'0', u64::MAX, b"x"), "a member's size is none"),
        (raw(b'L', 1 << 40, b"x"), "what describes a member (a long name, attributes) is more than 1 MiB"),
        (raw(b'x', (1 << 20) + 1, b"x"), "what describes a member (a long name, attributes) is more than 1 MiB"),
        (raw(b'g', 1 << 40, b"x"), "what describes a member (a long name, attributes) is more than 1 MiB"),
        (raw(b'x', 3, b"x=y"), "the pax records of a member cannot be read"),
        (raw(b'x', 8, b"99 x=y\n\n"), "the pax records of a member cannot be read"),
        ([raw(b'x', records.len() as u64, &records), raw(b'0', 0, b"")].concat(), "a number in a header is none"),
        (raw(b'S', 1 << 50, b""), "in evil: it ends before the mark of its end"),
    ] {
        // A file of such a size is begun, but never gets its name.
        let stage = Stage::new();
        let (done, _, found) = stage.restore(&[good, &evil, &raw(b'0', 0, b""), &[0; 2 * BLOCK]].concat());
        let expected = format!("cannot read the archive A: {why}; the last whole member is good{DOUBT}");
        assert_eq!((done.unwrap_err().to_string(), names(&found)), (expected, vec!["good".to_owned()]));
    }
}

#[test]
fn what_is_no_archive_is_told() {
    let good = tar(&[file("good", "1")]);
    for (bytes, why) in [
        (vec![], "it ends before the mark of its end; no member of it is whole".to_owned()),
        (vec![b'x'; 2000], "a header's sum is wrong; no member of it is whole".to_owned()),
        (b"\x1f\x8b".to_vec(), "unexpected end of file; no member of it is whole".to_owned()),
        ([&good[..], b"x"].concat(), format!("more follows the mark of its end; the last whole member is good{DOUBT}")),
        (good[..1024].to_vec(), format!("it ends before the mark of its end; the last whole member is good{DOUBT}")),
    ] {
        let (done, _, _) = Stage::new().restore(&bytes);
        assert_eq!(done.unwrap_err().to_string(), format!("cannot read the archive A: {why}"));
    }
}

#[test]
fn a_name_that_no_file_can_have_is_told() {
    let mut records = Vec::new();
    pax::push(&mut records, b"path", b"a\0b");
    let evil = [raw(b'x', records.len() as u64, &records), raw(b'0', 0, b"")].concat();
    let (done, told, found) =
        Stage::new().restore(&[evil, tar(&[file(&"n".repeat(300), ""), file("good", "1")])].concat());
    assert_eq!((done, names(&found), told.len()), (Ok(()), vec!["good".to_owned()], 2));
    assert!(told[0].contains("restore a\\x00b: ") && told[1].contains("name too long"), "{told:?}");
}

/// A small archive, and where each member's data end in it.
fn sample() -> (Vec<u8>, Vec<(usize, String)>) {
    let members: Vec<_> = (0..12)
        .map(|n| match n % 4 {
            0 => directory(&format!("d{n}")),
            1 => file(&format!("d{}/{}", n - 1, "long".repeat(40)), &"content ".repeat(n * 40)),
            2 => symlink(&format!("s{n}"), &"target".repeat(30)),
            _ => (Member { xattrs: vec![(b"user.a".into(), b"1".into())], ..file(&format!("f{n}"), "").0 }, vec![]),
        })
        .collect();
    let ends = (1..=members.len())
        .map(|n| (tar(&members[..n]).len() - 2 * BLOCK, String::from_utf8_lossy(&members[n - 1].0.name).into_owned()));
    (tar(&members), ends.collect())
}

#[test]
fn a_cut_archive_gives_what_is_whole() {
    let (whole, ends) = sample();
    for cut in (0..whole.len() - BLOCK).step_by(BLOCK).chain([1, 700, 5000]) {
        let stage = Stage::new();
        let (done, told, found) = stage.restore(&whole[..cut]);
        let complete: Vec<&String> = ends.iter().filter(|(end, _)| *end <= cut).map(|(_, name)| name).collect();
        let mut expected: Vec<String> = complete.iter().map(|name| (*name).clone()).collect();
        expected.sort();
        assert_eq!(names(&found), expected, "cut at {cut}");
        if ends.last().unwrap().0 + BLOCK <= cut {
            // One block of zeros is a mark of its end.
            assert_eq!((done, told), (Ok(()), vec![]));
            continue;
        }
        let last = complete
            .last()
            .map_or("no member of it is whole".to_owned(), |name| format!("the last whole member is {name}{DOUBT}"));
        let why = done.unwrap_err().to_string();
        assert!(why.starts_with("cannot read the archive A: "), "{why}");
        assert!(why.ends_with(&format!("it ends before the mark of its end; {last}")), "{why}");
        assert_eq!(told, [""; 0]);
    }
}

/// Each header has a sum of its own: whatever changes in one is told, and what was before it is restored.
#[test]
fn a_flipped_bit_does_no_harm() {
    let (whole, _) = sample();
    let intact = {
        let stage = Stage::new();
        stage.restore(&whole).2
    };
    for at in (0..whole.len()).step_by(BLOCK).chain((0..BLOCK).step_by(9)) {
        for bit in [0, 6] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            let (done, told, found) = Stage::new().restore(&bytes);
            let is_the_same = |path: &&Vec<u8>| intact.contains_key(*path);
            let strange = found.keys().filter(|path| !is_the_same(path)).count();
            // In a description of a member, a name may have changed, and its directory's. Data have no sum in tar.
            assert!(strange <= 2, "{at}: {done:?} {told:?}");
            if done.is_ok() && told.is_empty() {
                assert!(found.len() >= intact.len(), "{at}");
            }
        }
    }
}

#[test]
fn gzip_tells_every_flipped_bit_and_every_cut() {
    let (plain, ends) = sample();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&plain).unwrap();
    let whole = gzip.finish().unwrap();
    let stage = Stage::new();
    let archive = stage.scratch.path("outside/archive");
    let read = |bytes: &[u8]| {
        std::fs::write(&archive, bytes).unwrap();
        read_through(open(&archive, Open::Read).as_fd(), b"A", &mut |_| {})
    };
    assert_eq!(read(&whole).unwrap(), read(&plain).unwrap());
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        // There are bits that mean nothing: the time in gzip's own header, a code that no byte has.
        assert!(read(&bytes).is_err() || read(&bytes) == read(&whole), "{at}");
        assert!(read(&whole[..at]).is_err(), "{at}");
    }
    // Only the last bytes tell of it: all are there, and it is an error.
    let mut bytes = whole.clone();
    bytes[whole.len() - 8] ^= 1;
    let (done, told, found) = stage.restore(&bytes);
    let why = done.unwrap_err().to_string();
    let last = &ends.last().unwrap().1;
    let expected =
        format!("corrupt gzip stream does not have a matching checksum; the last whole member is {last}{DOUBT}");
    assert_eq!(why, format!("cannot read the archive A: {expected}"));
    assert_eq!((told, found.len()), (vec![], ends.len() + 1));
}
