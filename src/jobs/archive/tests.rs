//! A tree with everything in it, through our writer and reader, and those of others.

mod foreign;
mod hostile;
mod reading;
mod writing;

use super::extract::{Extracted, Options as Extracting, extract};
use super::member::{BLOCK, Member, What};
use super::read::Archive;
use super::write::{Options, Source, Written, write};
use crate::parts::beneath::Root;
use crate::parts::diag::Failure;
use crate::parts::publish::{Over, Target};
use crate::parts::walk::{self, Next, Step, walk};
use crate::parts::worker::Report;
use crate::parts::worker::packet::{self, Message};
use crate::sys::fs::{self, CWD, Id, Kind, Open};
use crate::sys::socket::{self, Wait};
use crate::sys::{Errno, Fd, change, copy, process, xattr};
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A directory that goes with all that is in it, however deep that is.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        Scratch(tempfile::tempdir().unwrap().keep())
    }

    fn in_memory() -> Scratch {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Scratch(tempfile::tempdir_in(memory).unwrap().keep()) } else { Scratch::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A new directory.
    fn dir(&self, name: &str) -> PathBuf {
        std::fs::create_dir(self.path(name)).unwrap();
        self.path(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let parent = open(self.0.parent().unwrap(), Open::Directory);
        walk::remove(parent.as_fd(), self.0.file_name().unwrap().as_bytes()).unwrap();
    }
}

fn open(path: &Path, how: Open) -> Fd {
    fs::open(CWD, path.as_os_str().as_bytes(), how).unwrap()
}

/// Says that a test had nothing to show here; where everything has to be there, that is a failure.
fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    println!("SKIPPED: {why}");
}

fn is_root() -> bool {
    process::effective_uid() == 0
}

fn options() -> Options {
    let (one_file_system, skip_caches) = (false, false);
    let (excludes, left_out) = (Vec::new(), Vec::new());
    Options { excludes, left_out, one_file_system, skip_caches, level: 6, mode: Some(0o640), over: Over::Nothing }
}

/// Archives some names of a directory under the same names; the answer has what was logged.
fn pack(dir: &Path, names: &[&str], archive: &Path, options: &Options) -> (Result<Written, Failure>, Vec<String>) {
    let (mut report, ear) = Report::pair();
    let done = pack_and_tell(dir, names, archive, options, &mut report);
    (done, heard(&ear))
}

fn pack_and_tell(
    dir: &Path,
    names: &[&str],
    archive: &Path,
    options: &Options,
    report: &mut Report,
) -> Result<Written, Failure> {
    let parent = open(dir, Open::Directory);
    let names: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
    let sources = names.iter().map(|name| Source { parent: parent.as_fd(), name, member: name });
    let into = open(archive.parent().unwrap(), Open::Directory);
    let name = archive.file_name().unwrap().as_bytes();
    let dir_path = archive.parent().unwrap().as_os_str().as_bytes();
    let target = Target { dir: into.as_fd(), dir_path, name, patient: false };
    write(sources, target, options, report)
}

fn heard(ear: &Fd) -> Vec<String> {
    let mut lines = Vec::new();
    let mut buffer = vec![0; packet::MOST_BYTES];
    while let Ok(length @ 1..) = socket::receive(ear.as_fd(), &mut buffer, Wait::No) {
        if let Some((_, Message::Log(level, text))) = packet::decode(&buffer[..length]) {
            lines.push(format!("{level:?} {text}"));
        }
    }
    lines
}

/// Restores an archive into a directory.
fn unpack(archive: &Path, dir: &Path, options: &Extracting) -> (Result<(), Failure>, Extracted, Vec<String>) {
    let file = open(archive, Open::Read);
    let root = Root::open(dir.as_os_str().as_bytes()).unwrap();
    let mut extracted = Extracted::default();
    let mut told = Vec::new();
    let done = Archive::new(file.as_fd(), b"A").and_then(|mut archive| {
        extract(&mut archive, &root, options, &mut extracted, &mut |failure| told.push(failure.to_string()))
    });
    (done, extracted, told)
}

/// What there is to know of a file, as words that say what differs.
type Facts = BTreeMap<&'static str, String>;

/// Everything below a directory, by path.
fn survey(dir: &Path) -> BTreeMap<Vec<u8>, Facts> {
    let parent = open(dir.parent().unwrap(), Open::Directory);
    let name = dir.file_name().unwrap().as_bytes();
    let mut found = BTreeMap::new();
    let mut first: BTreeMap<Id, Vec<u8>> = BTreeMap::new();
    walk(parent.as_fd(), name, &mut |step| {
        let (place, stat) = match step {
            Step::Enter { place, stat, .. } => (place, *stat),
            Step::Entry { place, stat } => (place, *stat),
            Step::Leave { .. } => return Ok(Next::On),
            Step::Failed { place, errno } => panic!("{:?}: {errno}", String::from_utf8_lossy(place.path)),
        };
        let path = place.path[name.len()..].to_vec();
        let mut facts = Facts::from([
            ("kind", format!("{:?}", stat.kind)),
            ("mode", format!("{:o}", if stat.kind == Kind::Symlink { 0o777 } else { stat.mode })),
            ("owner", format!("{} {}", stat.uid, stat.gid)),
            ("mtime", format!("{} {}", stat.mtime.0, stat.mtime.1)),
        ]);
        if stat.kind != Kind::Directory {
            let one = first.entry(stat.id()).or_insert_with(|| path.clone());
            facts.insert("link", format!("{} {}", stat.links, String::from_utf8_lossy(one)));
        }
        if matches!(stat.kind, Kind::Character | Kind::Block) {
            facts.insert("device", format!("{:?}", stat.rdev));
        }
        let how = match stat.kind {
            Kind::File => Open::Read,
            Kind::Directory => Open::DirectoryNoFollow,
            Kind::Symlink | Kind::Fifo | Kind::Socket | Kind::Character | Kind::Block | Kind::Unknown => Open::Entry,
        };
        let file = fs::open(place.parent, place.name(), how).unwrap();
        if stat.kind == Kind::Symlink {
            facts.insert("text", String::from_utf8_lossy(&fs::read_link(file.as_fd(), b"").unwrap()).into_owned());
        }
        if stat.kind == Kind::File {
            let bytes = crate::sys::fd::read_all(file.as_fd(), 1 << 30).unwrap();
            facts.insert(
                "bytes",
                format!("{} {:x}", bytes.len(), crate::parts::fnv::with(crate::parts::fnv::EMPTY, &bytes)),
            );
        }
        let mut names = xattr::list(file.as_fd()).unwrap_or_default();
        names.sort();
        for name in names.iter().filter(|name| !name.starts_with(b"security.")) {
            let value = xattr::get(file.as_fd(), name).unwrap();
            let is_acl = name.starts_with(b"system.");
            let fact = facts.entry(if is_acl { "acl" } else { "xattr" }).or_default();
            fact.push_str(&format!("{}={value:?};", String::from_utf8_lossy(name)));
        }
        found.insert(path, facts);
        Ok(Next::On)
    })
    .unwrap();
    found
}

/// Two surveys are alike but for these facts.
fn compare(what: &str, found: &BTreeMap<Vec<u8>, Facts>, expected: &BTreeMap<Vec<u8>, Facts>, but: &[&str]) {
    let names = |survey: &BTreeMap<Vec<u8>, Facts>| {
        survey.keys().map(|path| String::from_utf8_lossy(path).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(found), names(expected), "{what}");
    let mut wrong = Vec::new();
    for (path, facts) in expected {
        // The directory that the tree stands in is nobody's.
        for (fact, value) in facts.iter().filter(|(fact, _)| !but.contains(fact) && !path.is_empty()) {
            let other = found[path].get(fact);
            if other != Some(value) {
                wrong.push(format!("{} {fact}: {other:?}, not {value:?}", String::from_utf8_lossy(path)));
            }
        }
        for fact in
            found[path].keys().filter(|fact| !but.contains(fact) && !path.is_empty() && !facts.contains_key(*fact))
        {
            wrong.push(format!("{} {fact}: {:?}, not there before", String::from_utf8_lossy(path), found[path][fact]));
        }
    }
    assert!(wrong.is_empty(), "{what}: {wrong:#?}");
}

/// An ACL as it is stored (linux/posix_acl_xattr.h): user 17 may read and write.
fn acl() -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let entries = [(1_u16, 6_u16, NOBODY), (2, 6, 17), (4, 4, NOBODY), (0x10, 6, NOBODY), (0x20, 0, NOBODY)];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, bits, id) in entries {
        bytes.extend([tag.to_le_bytes(), bits.to_le_bytes()].concat());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

const BLOCK_OF_ZEROS: [u8; BLOCK] = [0; BLOCK];
const ACCESS: &[u8] = b"system.posix_acl_access";
const DEFAULT: &[u8] = b"system.posix_acl_default";

/// Every kind of entry, below `tree` in a directory. What cannot be made here is told.
fn plant(dir: &Path) {
    let tree = dir.join("tree");
    std::fs::create_dir(&tree).unwrap();
    let at = open(&tree, Open::Directory);
    let at = at.as_fd();
    let fill = |path: &[u8], bytes: &[u8]| {
        let file = change::create(at, path, 0o644).unwrap();
        copy::write_at(file.as_fd(), bytes, 0).unwrap();
        file
    };
    let set_mtime = |path: &[u8], mtime| {
        let file = fs::open(at, path, Open::Entry).unwrap();
        change::set_times(file.as_fd(), (1, 0), mtime).unwrap();
    };
    fill(b"empty", b"");
    fill(b"plain", b"content\n");
    fill(b"block", &[7; 512]);
    fill(b"large", &(0..60_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
    fill(b"\xff\xfe\n'\"$(x)\\n name ", b"bytes in a name");
    let sparse = fill(b"sparse", b"");
    copy::write_at(sparse.as_fd(), b"data", 256 << 10).unwrap();
    change::set_size(sparse.as_fd(), 512 << 10).unwrap();
    for name in [b"old", &b"nano"[..], b"future", b"past"] {
        fill(name, name);
    }
    change::link((at, b"plain"), (at, b"second name")).unwrap();
    change::make_dir(at, b"dir", 0o700).unwrap();
    change::make_dir(at, b"void", 0o700).unwrap();
    change::link((at, b"plain"), (at, b"dir/third name")).unwrap();
    change::symlink(b"../plain", (at, b"dir/link")).unwrap();
    change::symlink(b"/nowhere/\xff", (at, b"dangling")).unwrap();
    change::symlink(&[b'x'; 3000], (at, b"long target")).unwrap();
    change::make_node(at, b"fifo", Kind::Fifo, (0, 0)).unwrap();
    // Paths around what a header holds, and much beyond.
    for length in [98, 99, 100, 101, 155, 250] {
        fill(&vec![b'n'; length - "tree/".len()], b"");
        change::symlink(&vec![b't'; length], (at, &[b's'; 255][..length])).unwrap();
    }
    let mut path = b"deep".to_vec();
    for _ in 0..12 {
        change::make_dir(at, &path, 0o755).unwrap();
        path.extend([&b"/"[..], &[b'd'; 200]].concat());
    }
    fill(&path, b"deep");
    change::link((at, &path), (at, b"zz, of a deep one")).unwrap();
    for (path, mode) in [
        (&b"plain"[..], 0o4751),
        (b"nano", 0o2604),
        (b"old", if is_root() { 0 } else { 0o400 }),
        (b"dir", 0o1777),
        (b"void", 0o500),
    ] {
        change::set_mode(fs::open(at, path, Open::Entry).unwrap().as_fd(), mode).unwrap();
    }
    let file = fs::open(at, b"future", Open::Read).unwrap();
    let dir_file = fs::open(at, b"dir", Open::DirectoryNoFollow).unwrap();
    let set = |file: &Fd, name: &[u8], value: &[u8]| match xattr::set(file.as_fd(), name, value) {
        Err(Errno::ENOTSUP) => skip("no extended attributes and ACLs below the directory for temporary files"),
        done => done.unwrap(),
    };
    set(&file, b"user.a", b"\0\xff\n=");
    set(&file, b"user.empty", b"");
    set(&file, b"user.with=and%25", b"2");
    set(&file, ACCESS, &acl());
    set(&dir_file, DEFAULT, &acl());
    set(&dir_file, b"user.dir", &[b'v'; 3000]);
    if is_root() {
        set(&fs::open(at, b"dangling", Open::Entry).unwrap(), b"trusted.of_a_link", b"l");
        set(&fs::open(at, b"fifo", Open::Entry).unwrap(), ACCESS, &acl());
        for (name, kind, device) in [(&b"null"[..], Kind::Character, (1, 3)), (b"disk", Kind::Block, (259, 1_000_000))]
        {
            match change::make_node(at, name, kind, device) {
                Err(Errno::EPERM) => skip("devices may not be made"),
                made => made.unwrap(),
            }
        }
        for (name, user, group) in [(&b"old"[..], 3_000_000_000, 2_097_152), (b"dangling", 17, 18), (b"dir", 1, 2)] {
            let owner = change::Owner { user: Some(user), group: Some(group) };
            let file = fs::open(at, name, Open::Entry).unwrap();
            match change::set_owner(file.as_fd(), owner) {
                Err(Errno::EINVAL) => skip("no such large ids here"),
                done => done.unwrap(),
            }
            if name == b"dir" {
                change::set_mode(file.as_fd(), 0o1777).unwrap();
            }
        }
    }
    set_mtime(b"old", (-1_000_000, 0));
    set_mtime(b"past", (-7, 250_000_000));
    set_mtime(b"nano", (1_234_567_890, 123_456_789));
    // What eleven octal digits do not hold, and ext4 just does.
    set_mtime(b"future", (8_589_934_592, 1));
    set_mtime(b"dangling", (5, 500_000_000));
    set_mtime(b"dir", (1_000_000_000, 999_000_000));
    set_mtime(b"void", (1_000_000_000, 0));
}

#[test]
fn what_is_archived_is_restored() {
    let scratch = Scratch::new();
    let (from, to) = (scratch.dir("from"), scratch.dir("to"));
    plant(&from);
    let archive = scratch.path("a.tar.gz");
    let before = survey(&from);
    let (written, log) = pack(&from, &["tree"], &archive, &options());
    let written = written.unwrap();
    assert!(written.kept[0].is_safe && written.kept[0].version.is_some());
    assert_eq!(log, [""; 0]);
    assert_eq!(survey(&from), before, "the tree is as it was");
    let (done, extracted, told) = unpack(&archive, &to, &Extracting::default());
    assert_eq!((done, told), (Ok(()), vec![]));
    assert_eq!((extracted.restored, extracted.failed), (written.members, 0));
    assert_eq!(written.members, before.len() as u64 - 1);
    let but: &[&str] = if is_root() { &[] } else { &["owner", "mode"] };
    compare("ours", &survey(&to), &before, but);
    assert!(std::fs::read_dir(&scratch.0).unwrap().count() == 3, "nothing temporary is left");
    let blocks = |path: PathBuf| std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(path).unwrap());
    assert!(blocks(to.join("tree/sparse")) < 100 && blocks(from.join("tree/sparse")) < 100, "holes are holes again");
}
