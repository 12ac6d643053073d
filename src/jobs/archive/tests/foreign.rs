//! Other programs read what we write, and we read what they write.

use super::{
    Extracting, Facts, Member, Scratch, What, compare, is_root, open, options, pack, plant, skip, survey, unpack,
};
use crate::jobs::archive::read_through;
use crate::sys::fs::Open;
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Output};

/// Runs a program in a directory, with `{A}` as the archive; none where it is not installed.
fn start(dir: &Path, archive: &Path, words: &[&str]) -> Option<Output> {
    let words: Vec<String> = words.iter().map(|word| word.replace("{A}", archive.to_str().unwrap())).collect();
    let output = Command::new(&words[0]).args(&words[1..]).current_dir(dir).env("LC_ALL", "C").output();
    let Ok(output) = output else {
        skip(&format!("{} is not installed", words[0]));
        return None;
    };
    Some(output)
}

/// The same; it must have nothing to complain.
fn run(dir: &Path, archive: &Path, words: &[&str]) -> Option<Output> {
    let output = start(dir, archive, words)?;
    assert!(output.status.success(), "{words:?}: {output:?}");
    Some(output)
}

const LIST: &str = "import sys, tarfile
for m in tarfile.open('{A}'): sys.stdout.buffer.write(m.name.encode('utf-8', 'surrogateescape') + b'\\0')";
/// Newer ones refuse devices, and links that lead out, unless they are told that an archive is trusted.
const EXTRACT: &str = "import sys, tarfile
a = tarfile.open('{A}', errorlevel=2)
a.extraction_filter = getattr(tarfile, 'fully_trusted_filter', None)
a.extractall('.', numeric_owner=True)";
const CREATE: &str = "import sys, tarfile
with tarfile.open('{A}', 'w:gz', format=tarfile.FORMAT, encoding='utf-8') as a: a.add('tree')";

/// Words of a command line, or of what is lost.
type Words = &'static [&'static str];

/// How each lists and extracts, and what it cannot keep: BusyBox and Python know no extended attributes, and BusyBox no parts of a second.
const READERS: [(&str, Words, Words, Words); 4] = [
    (
        "GNU tar",
        &["tar", "-tzf", "{A}"],
        &["tar", "-xpzf", "{A}", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--warning=no-timestamp"],
        &[],
    ),
    ("bsdtar", &["bsdtar", "-tf", "{A}"], &["bsdtar", "-xpf", "{A}", "--numeric-owner"], &["acl"]),
    ("BusyBox", &["busybox", "tar", "tzf", "{A}"], &["busybox", "tar", "xzpf", "{A}"], &["xattr", "acl"]),
    ("Python", &["python3", "-c", LIST], &["python3", "-c", EXTRACT], &["xattr", "acl"]),
];

#[test]
fn others_read_what_we_write() {
    let scratch = Scratch::new();
    let from = scratch.dir("from");
    plant(&from);
    let archive = scratch.path("a.tar.gz");
    let (written, _) = pack(&from, &["tree"], &archive, &options());
    let members = written.unwrap().members;
    for (name, list, extract, lost) in READERS {
        let to = scratch.dir(name);
        let Some(listed) = run(&to, &archive, list) else { continue };
        // GNU tar and bsdtar escape a newline in a name; BusyBox does not.
        let end = if name == "Python" { 0 } else { b'\n' };
        let lines = listed.stdout.iter().filter(|byte| **byte == end).count() as u64;
        assert_eq!(lines, members + u64::from(name == "BusyBox"), "{name}");
        let Some(done) = run(&to, &archive, extract) else { continue };
        assert_eq!(
            [listed.stderr, done.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()),
            ["", ""],
            "{name}"
        );
        let but: Vec<&str> = lost.iter().chain(if is_root() { &[][..] } else { &["owner", "mode"] }).copied().collect();
        let (mut found, mut expected) = (survey(&to), survey(&from));
        for survey in [&mut found, &mut expected] {
            weaken(survey, name);
        }
        compare(name, &found, &expected, &but);
    }
}

/// A size of more than 8 GiB and the largest ids, which have no room as digits.
#[test]
fn others_read_large_numbers() {
    const SIZE: u64 = (9 << 30) + 1;
    let scratch = Scratch::new();
    let archive = scratch.path("a");
    let (uid, gid) = (4_294_967_294, 2_097_152);
    let member =
        Member { name: b"m".to_vec(), what: What::File(SIZE), mode: 0o644, uid, gid, mtime: (0, 0), xattrs: vec![] };
    std::fs::write(&archive, member.headers().unwrap()).unwrap();
    for (name, list, ..) in READERS {
        let list: Vec<String> =
            list.iter().map(|word| word.replace("-tzf", "-tvf").replace("-tf", "-tvf").replace("tzf", "tvf")).collect();
        let script = "import tarfile; m = tarfile.open('{A}').next(); print(f'{m.uid}/{m.gid}', m.size)";
        let list: Vec<String> =
            if name == "Python" { ["python3", "-c", script].map(str::to_owned).into() } else { list };
        // It ends where its data should begin: that is told after the line.
        let Some(output) = start(&scratch.0, &archive, &list.iter().map(String::as_str).collect::<Vec<_>>()) else {
            continue;
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let words: Vec<&str> = text.split([' ', '/']).map(str::trim).filter(|word| !word.is_empty()).collect();
        for number in [SIZE, uid.into(), gid.into()] {
            assert!(words.contains(&number.to_string().as_str()), "{name}: {text}");
        }
    }
    let found = read_through(open(&archive, Open::Read).as_fd(), b"A", &mut |found| assert_eq!(*found, member));
    assert!(found.is_err());
}

/// Leaves away what a program does not read as it is written, and what it has no place for.
fn weaken(survey: &mut BTreeMap<Vec<u8>, Facts>, program: &str) {
    if program == "bsdtar" {
        // libarchive takes the fraction of a time before 1970 forwards, and leaves a % in a key as it is.
        survey.get_mut(&b"/tree/past"[..]).unwrap().remove("mtime");
        survey.get_mut(&b"/tree/future"[..]).unwrap().remove("xattr");
    }
    if program == "BusyBox" {
        // It sets a directory's times before its content, and nothing of a symbolic link.
        for facts in survey.values_mut().filter(|facts| facts["kind"] != "File") {
            facts.remove("mtime");
            if facts["kind"] == "Symlink" {
                facts.remove("owner");
            }
        }
    }
    if program == "Python" {
        survey.values_mut().filter(|facts| facts["kind"] == "Symlink").for_each(|facts| drop(facts.remove("mtime")));
    }
    if ["BusyBox", "Python"].contains(&program) {
        cut_nanoseconds(survey);
    }
}

fn cut_nanoseconds(survey: &mut BTreeMap<Vec<u8>, Facts>) {
    for mtime in survey.values_mut().filter_map(|facts| facts.get_mut("mtime")) {
        mtime.truncate(mtime.find(' ').unwrap());
    }
}

/// Each with what it does not store: `odd` are times before 1970, with which each has its own ways, and ids beyond 2²¹.
const WRITERS: [(&str, Words, Words); 10] = [
    ("GNU tar", &["tar", "-czf", "{A}", "tree"], &["xattr", "acl", "nanoseconds"]),
    ("GNU tar, plain", &["tar", "-cf", "{A}", "tree"], &["xattr", "acl", "nanoseconds"]),
    ("GNU tar, sparse", &["tar", "-cSzf", "{A}", "tree"], &["xattr", "acl", "nanoseconds", "sparse"]),
    ("GNU tar, pax", &["tar", "-czf", "{A}", "--format=posix", "--xattrs", "--xattrs-include=*", "tree"], &[]),
    ("bsdtar", &["bsdtar", "-czf", "{A}", "--no-read-sparse", "tree"], &["xattr", "acl", "nanoseconds", "odd"]),
    (
        "bsdtar, pax",
        &["bsdtar", "-czf", "{A}", "--format", "pax", "--no-read-sparse", "tree"],
        &["xattr", "acl", "odd"],
    ),
    ("bsdtar, sparse", &["bsdtar", "-czf", "{A}", "--format", "pax", "tree"], &["xattr", "acl", "odd", "sparse"]),
    ("BusyBox", &["busybox", "tar", "czf", "{A}", "tree"], &["xattr", "acl", "nanoseconds", "odd"]),
    ("Python", &["python3", "-c", "GNU_FORMAT"], &["xattr", "acl", "nanoseconds", "odd"]),
    ("Python, pax", &["python3", "-c", "PAX_FORMAT"], &["xattr", "acl", "nanoseconds", "odd"]),
];

#[test]
fn we_read_what_others_write() {
    let scratch = Scratch::new();
    let from = scratch.dir("from");
    plant(&from);
    for (name, words, lost) in WRITERS {
        let (to, archive) = (scratch.dir(name), scratch.path("a.tar.gz"));
        let script = words.last().filter(|word| word.ends_with("_FORMAT")).map(|word| CREATE.replace("FORMAT", word));
        let words = match &script {
            Some(script) => &["python3", "-c", script][..],
            None => words,
        };
        if run(&from, &archive, words).is_none() {
            continue;
        }
        let (done, extracted, told) = unpack(&archive, &to, &Extracting::default());
        let sums = read_through(open(&archive, Open::Read).as_fd(), b"A", &mut |_| {}).unwrap();
        std::fs::remove_file(&archive).unwrap();
        let (mut found, mut expected) = (survey(&to), survey(&from));
        assert_eq!(sums.members, expected.len() as u64 - 1, "{name}");
        if lost.contains(&"sparse") {
            assert_eq!((done, extracted.failed, told.len()), (Ok(()), 1, 1), "{name}");
            assert!(told[0].starts_with("cannot restore tree/sparse: it is a sparse file"), "{told:?}");
            expected.remove(&b"/tree/sparse"[..]);
        } else {
            assert_eq!((done, extracted.failed, told), (Ok(()), 0, vec![]), "{name}");
        }
        for survey in [&mut found, &mut expected] {
            for path in [&b"/tree/old"[..], b"/tree/past"].iter().filter(|_| lost.contains(&"odd")) {
                survey.get_mut(*path).unwrap().retain(|fact, _| !["owner", "mtime"].contains(fact));
            }
            if lost.contains(&"nanoseconds") {
                cut_nanoseconds(survey);
            }
        }
        if lost.contains(&"acl") {
            // Its mask is in the mode, or not.
            let has_acl: Vec<Vec<u8>> =
                expected.iter().filter(|(_, facts)| facts.contains_key("acl")).map(|(path, _)| path.clone()).collect();
            has_acl.iter().for_each(|path| drop(found.get_mut(path).unwrap().remove("mode")));
            has_acl.iter().for_each(|path| drop(expected.get_mut(path).unwrap().remove("mode")));
        }
        let not_root: &[&str] = if is_root() { &[] } else { &["owner", "mode"] };
        compare(name, &found, &expected, &[lost, not_root].concat());
    }
}
