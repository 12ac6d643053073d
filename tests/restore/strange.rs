//! What is given to `verify`, `contents` and `restore` and is no archive, or one that takes for ever.

use super::{Scratch, dir, dogwatch, told};
use crate::common::comes_true;
use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::fs::{CWD, FileType, Mode};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tar::{EntryType, Header};

/// Nothing needs more memory than this, in KiB, code and libraries included.
const MOST_MEMORY: u32 = 32 << 10;
/// Many times that memory.
const LARGE: u64 = 96 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// Exit status, standard output and error of each of the three, with little memory and time.
fn all_three(scratch: &Scratch, path: &str) -> [(Option<i32>, String, String); 3] {
    [&["verify", path][..], &["contents", path], &["restore", path, "to"]].map(|words| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -v {MOST_MEMORY} && exec \"$0\" backup \"$@\"")]);
        command.arg(dogwatch().get_program()).args(words).current_dir(scratch.path(""));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if !comes_true(PATIENCE, || child.try_wait().unwrap().is_some()) {
            child.kill().unwrap();
            panic!("{words:?} does not end: {:?}", child.wait_with_output());
        }
        told(&child.wait_with_output().unwrap())
    })
}

/// The same line from all of them, and nothing is restored.
#[track_caller]
fn refused(scratch: &Scratch, path: &str, why: &str) {
    for (status, _, err) in all_three(scratch, path) {
        assert_eq!((status, err), (Some(1), format!("dogwatch: cannot {why}\n")), "{path}");
    }
    assert_eq!(fs::read_dir(scratch.path("to")).unwrap().count(), 0);
}

fn gzip(path: &Path, write: impl FnOnce(&mut GzEncoder<fs::File>)) {
    let mut gzip = GzEncoder::new(fs::File::create(path).unwrap(), Compression::fast());
    write(&mut gzip);
    gzip.finish().unwrap();
}

/// A header with this size, whatever follows.
fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_path("big").unwrap();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o600);
    for set in [Header::set_uid, Header::set_gid] {
        set(&mut header, rustix::process::getuid().as_raw().into());
    }
    header.set_mtime(0);
    header.set_cksum();
    header
}

fn write_zeros(gzip: &mut GzEncoder<fs::File>, mut count: u64) {
    while count > 0 {
        let some = count.min(1 << 20);
        gzip.write_all(&vec![0; some as usize]).unwrap();
        count -= some;
    }
}

#[test]
fn what_is_no_archive_is_refused_at_once() {
    let scratch = Scratch::new();
    dir(&scratch, "to");
    rustix::fs::mknodat(CWD, scratch.path("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(scratch.path("socket")).unwrap();
    fs::write(scratch.path("empty"), "").unwrap();
    fs::write(scratch.path("text"), "some text\n".repeat(100)).unwrap();
    fs::write(scratch.path("short"), "\x1f").unwrap();
    fs::write(scratch.path("a bit of gzip"), b"\x1f\x8b\x08\x00\x00\x00").unwrap();
    gzip(&scratch.path("text.gz"), |gzip| gzip.write_all("some text\n".repeat(100).as_bytes()).unwrap());
    for (path, why) in [
        ("/dev/zero", "it is no regular file"),
        ("/dev/null", "it is no regular file"),
        ("fifo", "it is no regular file"),
        ("socket", "No such device or address"),
        ("to", "Is a directory"),
        ("./none", "No such file or directory"),
        ("./text/none", "Not a directory"),
    ] {
        refused(&scratch, path, &format!("read {path}: {why}"));
    }
    for (path, why) in [
        ("empty", "it ends before the mark of its end"),
        ("short", "it ends before the mark of its end"),
        ("text", "a header's sum is wrong"),
        ("text.gz", "a header's sum is wrong"),
        ("a bit of gzip", "unexpected end of file"),
    ] {
        refused(&scratch, path, &format!("read the archive {path}: {why}; no member of it is whole"));
    }
}

/// Much out of little: in data, behind the end, and in what must be kept in memory.
#[test]
fn what_is_larger_than_it_looks_takes_no_memory() {
    let scratch = Scratch::new();
    dir(&scratch, "to");
    for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader, EntryType::XGlobalHeader] {
        gzip(&scratch.path("bomb"), |gzip| {
            gzip.write_all(header(kind, LARGE).as_bytes()).unwrap();
            write_zeros(gzip, LARGE);
        });
        let why = "what describes a member (a long name, attributes) is more than 1 MiB; no member of it is whole";
        refused(&scratch, "bomb", &format!("read the archive bomb: {why}"));
    }
    gzip(&scratch.path("zeros"), |gzip| write_zeros(gzip, LARGE));
    let [verified, listed, restored] = all_three(&scratch, "zeros");
    assert_eq!(verified, (Some(0), format!("zeros: 0 members, {} bytes\n", LARGE), String::new()));
    assert_eq!(listed, (Some(0), String::new(), String::new()));
    assert_eq!(restored, (Some(0), "zeros: 0 members restored\n".to_owned(), String::new()));
    gzip(&scratch.path("large"), |gzip| {
        gzip.write_all(header(EntryType::Regular, LARGE).as_bytes()).unwrap();
        write_zeros(gzip, LARGE + 1024);
    });
    let [verified, listed, restored] = all_three(&scratch, "large");
    assert_eq!(verified, (Some(0), format!("large: 1 members, {} bytes\n", LARGE + 1536), String::new()));
    assert!(listed.0 == Some(0) && listed.1.ends_with(" big\n"), "{listed:?}");
    assert_eq!(restored, (Some(0), "large: 1 members restored\n".to_owned(), String::new()));
    let found = fs::metadata(scratch.path("to/big")).unwrap();
    assert_eq!(found.len(), LARGE);
    assert!(std::os::unix::fs::MetadataExt::blocks(&found) < 100, "zeros are holes");
}

/// Not compressed, as `tar cf` writes it.
#[test]
fn a_plain_tar_is_read_as_well() {
    let scratch = Scratch::new();
    dir(&scratch, "to");
    fs::write(scratch.path("f"), "text").unwrap();
    let tar = Command::new("tar").args(["-cf", "plain", "f"]).current_dir(scratch.path("")).status();
    assert!(tar.unwrap().success());
    let [verified, listed, restored] = all_three(&scratch, "plain");
    assert_eq!(verified, (Some(0), "plain: 1 members, 10240 bytes\n".to_owned(), String::new()));
    assert!(listed.1.ends_with(" f\n") && restored.0 == Some(0));
    assert_eq!(scratch.read("to/f"), "text");
}
