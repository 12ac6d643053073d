//! What is written, and what is told of what could not be.

use super::{
    BLOCK_OF_ZEROS, Extracting, Member, Over, Report, Scratch, What, heard, is_root, open, options, pack,
    pack_and_tell, plant, skip, survey, unpack,
};
use crate::jobs::archive::output::{self, Output};
use crate::jobs::archive::read_through;
use crate::jobs::archive::write::{Kept, Options};
use crate::parts::glob::Glob;
use crate::parts::publish::Target;
use crate::sys::change;
use crate::sys::fs::{Kind, Open};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::fs::{create_dir, read, write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The names in an archive, in its order.
fn members(archive: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut show = |member: &Member| names.push(String::from_utf8_lossy(&member.name).into_owned());
    read_through(open(archive, Open::Read).as_fd(), b"A", &mut show).unwrap();
    names
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    let scratch = Scratch::new();
    let (from, to) = (scratch.dir("from"), scratch.dir("to"));
    plant(&from);
    for (dir, archive) in [(&from, "1"), (&from, "2"), (&to, "3")] {
        if dir == &to {
            // Other inodes, other times of change and of reading.
            unpack(&scratch.path("1"), &to, &Extracting::default()).0.unwrap();
        }
        if dir == &from || is_root() {
            pack(dir, &["tree"], &scratch.path(archive), &options()).0.unwrap();
            assert!(read(scratch.path("1")).unwrap() == read(scratch.path(archive)).unwrap(), "{archive}");
        }
    }
    // File systems list them as they like.
    let mut show = |member: &Member| assert!(member.xattrs.is_sorted(), "{:?}", member.xattrs);
    read_through(open(&scratch.path("1"), Open::Read).as_fd(), b"A", &mut show).unwrap();
    // Whoever looks into it finds no time and no name in gzip's header.
    assert_eq!(read(scratch.path("1")).unwrap()[..9], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0]);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(scratch.path("1")).unwrap().permissions());
    assert_eq!(mode & 0o7777, 0o640);
}

#[test]
fn what_is_not_wanted_is_left_out() {
    let scratch = Scratch::new();
    let tree = scratch.dir("tree");
    for dir in ["cache", "false cache", "cache/sub", "skipped", "kept", "kept/skipped too"] {
        create_dir(tree.join(dir)).unwrap();
        write(tree.join(dir).join("file"), dir).unwrap();
        write(tree.join(dir).join("file.tmp"), dir).unwrap();
    }
    write(tree.join("cache/CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55\n# more").unwrap();
    write(tree.join("false cache/CACHEDIR.TAG"), "Signature: of something else, which is no signature").unwrap();
    let _socket = UnixListener::bind(tree.join("socket")).unwrap();
    let archive = scratch.path("a.tar.gz");
    let globs = ["*.tmp", "tree/skipped", "skipped too"];
    let excludes = globs.map(|glob| Glob::new(glob.as_bytes()).unwrap()).into();
    let (done, log) = pack(&scratch.0, &["tree"], &archive, &Options { excludes, skip_caches: true, ..options() });
    assert!(done.unwrap().kept[0].is_safe);
    assert_eq!(log, ["Warning cannot archive tree/socket: it is a socket"]);
    let expected = [
        "",
        "cache/",
        "cache/CACHEDIR.TAG",
        "false cache/",
        "false cache/CACHEDIR.TAG",
        "false cache/file",
        "kept/",
        "kept/file",
    ];
    assert_eq!(members(&archive), expected.map(|name| format!("tree/{name}")));
}

/// Its draft, and what is replaced by it.
#[test]
fn an_archive_is_never_in_itself() {
    let scratch = Scratch::new();
    let tree = scratch.dir("tree");
    write(tree.join("file"), "1").unwrap();
    let archive = tree.join("a.tar.gz");
    for _ in 0..2 {
        let (done, log) = pack(&scratch.0, &["tree"], &archive, &Options { over: Over::File, ..options() });
        assert!(done.unwrap().kept[0].is_safe);
        assert_eq!((members(&archive), log), (["tree/", "tree/file"].map(str::to_owned).into(), vec![]));
    }
}

#[test]
fn each_source_is_told_of() {
    let scratch = Scratch::new();
    let dir = scratch.dir("dir");
    for (name, text) in [("one", "1"), ("two", "22"), ("three", "")] {
        write(dir.join(name), text).unwrap();
    }
    std::fs::hard_link(dir.join("two"), dir.join("other")).unwrap();
    let archive = scratch.path("a.tar.gz");
    let (done, log) = pack(&dir, &["one", "gone", "two", "other", "three"], &archive, &options());
    let written = done.unwrap();
    let sums = read_through(open(&archive, Open::Read).as_fd(), b"A", &mut |_| {}).unwrap();
    assert_eq!((written.members, written.bytes), (sums.members, sums.bytes));
    assert_eq!(written.unread, None, "what is gone need not be read");
    let kept = written.kept;
    assert_eq!(kept.iter().map(|kept| kept.is_safe).collect::<Vec<_>>(), [true, false, true, true, true]);
    let sizes: Vec<Option<u64>> = kept.iter().map(|kept| Some(kept.version?.1)).collect();
    assert_eq!(sizes, [Some(1), None, Some(2), Some(2), Some(0)]);
    assert_eq!(log, ["Warning cannot look at gone: No such file or directory"]);
    let to = scratch.dir("to");
    unpack(&archive, &to, &Extracting::default()).0.unwrap();
    assert_eq!(survey(&to)[&b"/two"[..]]["link"], "2 /other");
    assert_eq!(members(&archive), ["one", "two", "other", "three"]);
}

/// As much memory goes for each file of a collection, until it is removed.
#[test]
fn little_is_kept_of_each_source() {
    assert!(size_of::<Kept>() <= 72);
}

/// Who asks for speed does not get larger archives than from gzip.
#[test]
fn the_fastest_level_gives_no_more_than_gzips() {
    let scratch = Scratch::new();
    let mut random = fastrand::Rng::with_seed(1);
    let mut line = || format!("{} server[{}]: GET /{:x}.html\n", random.u32(..), random.u8(..), random.u16(..999));
    write(scratch.path("log"), (0..9_000).map(|_| line()).collect::<String>()).unwrap();
    let size = |level| {
        let archive = scratch.path(&format!("{level}.tar.gz"));
        pack(&scratch.0, &["log"], &archive, &Options { level, ..options() }).0.unwrap();
        read(&archive).unwrap().len()
    };
    let stored = scratch.path("0.tar.gz");
    assert!(size(0) > read(scratch.path("log")).unwrap().len(), "it is stored");
    let gzips = Command::new("sh").args(["-c", "gzip -dc \"$1\" | gzip -1", "sh"]).arg(stored).output().unwrap().stdout;
    assert!(gzips.len() > 10_000 && size(1) * 100 <= gzips.len() * 103, "{} against {}", size(1), gzips.len());
}

/// As somebody who may not read all of it: that is told, and the rest is in the archive.
#[test]
fn what_may_not_be_read_is_told() {
    if !is_root() {
        return skip("only root becomes another user");
    }
    let scratch = Scratch::new();
    let tree = scratch.dir("tree");
    for name in ["closed", "open"] {
        write(tree.join(name), name).unwrap();
        create_dir(tree.join(format!("{name} directory"))).unwrap();
        write(tree.join(format!("{name} directory/file")), name).unwrap();
    }
    let set_mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    for (path, mode) in [("tree/closed", 0), ("tree/closed directory", 0), ("", 0o777)] {
        set_mode(&scratch.path(path), mode);
    }
    let archive = scratch.path("a.tar.gz");
    let as_nobody = || {
        let nobody = rustix::process::Uid::from_raw(99);
        // Credentials are a thread's own (credentials(7)).
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        pack(&scratch.0, &["tree"], &archive, &options())
    };
    let (done, log) = std::thread::scope(|scope| scope.spawn(as_nobody).join()).unwrap();
    let written = done.unwrap();
    assert!(!written.kept[0].is_safe);
    assert_eq!(written.unread.unwrap().to_string(), "cannot archive tree/closed: Permission denied");
    let denied = ["archive tree/closed", "look at tree/closed directory"];
    assert_eq!(log, denied.map(|what| format!("Warning cannot {what}: Permission denied")));
    assert_eq!(
        members(&archive),
        ["", "open", "open directory/", "open directory/file"].map(|name| format!("tree/{name}"))
    );
}

/// A file that others change as it is read: it has its size in the archive, what follows it is right, and it is told.
#[test]
fn a_file_that_changes_is_not_safe() {
    const SIZE: u64 = 1 << 20;
    for (grows, words) in [(true, "it became longer meanwhile"), (false, "it became shorter meanwhile")] {
        let scratch = Scratch::new();
        let dir = scratch.dir("dir");
        write(dir.join("changes"), vec![b'x'; SIZE as usize]).unwrap();
        write(dir.join("last"), "last").unwrap();
        let archive = scratch.path("a.tar.gz");
        let temporary = scratch.path(std::str::from_utf8(&crate::parts::publish::temporary_name(b"a.tar.gz")).unwrap());
        let (mut report, ear) = Report::pair();
        // So the writer waits after the first bytes, when it tells how far it is.
        report.fill();
        let (done, mut log) = std::thread::scope(|scope| {
            let changes = scope.spawn(|| {
                let deadline = Instant::now() + Duration::from_secs(60);
                while std::fs::metadata(&temporary).map_or(0, |found| found.len()) == 0 {
                    assert!(Instant::now() < deadline, "nothing is written");
                    std::thread::sleep(Duration::from_millis(1));
                }
                let file = std::fs::OpenOptions::new().write(true).open(dir.join("changes")).unwrap();
                file.set_len(if grows { SIZE + 1 } else { 5000 }).unwrap();
                heard(&ear)
            });
            let options = Options { level: 0, ..options() };
            let done = pack_and_tell(&dir, &["changes", "last"], &archive, &options, &mut report);
            (done, changes.join().unwrap())
        });
        log.extend(heard(&ear));
        let written = done.unwrap();
        assert_eq!(written.kept.iter().map(|kept| kept.is_safe).collect::<Vec<_>>(), [false, true], "{log:?}");
        assert_eq!(written.unread, None, "all that is there could be read");
        assert!(log.len() == 1 && log[0].contains(words), "{log:?}");
        let to = scratch.dir("to");
        unpack(&archive, &to, &Extracting::default()).0.unwrap();
        assert_eq!(std::fs::metadata(to.join("changes")).unwrap().len(), SIZE);
        assert_eq!(read(to.join("last")).unwrap(), b"last");
    }
}

#[test]
fn nothing_is_replaced_that_may_not_be() {
    let scratch = Scratch::new();
    let archive = scratch.path("a");
    write(scratch.path("file"), "1").unwrap();
    write(&archive, "old").unwrap();
    let (done, _) = pack(&scratch.0, &["file"], &archive, &options());
    let expected = format!("cannot write {}: File exists", archive.display());
    assert_eq!((done.unwrap_err().to_string(), read(&archive).unwrap()), (expected, b"old".to_vec()));
    pack(&scratch.0, &["file"], &archive, &Options { over: Over::File, ..options() }).0.unwrap();
    assert_eq!(members(&archive), ["file"]);
}

/// What reads back from disk is not what was written.
#[test]
fn a_damaged_draft_gets_no_name() {
    for damage in 0..4 {
        let scratch = Scratch::new();
        let dir = open(&scratch.0, Open::Directory);
        let dir_path = scratch.0.as_os_str().as_bytes();
        write(scratch.path("a"), "old").unwrap();
        let target = Target { dir: dir.as_fd(), dir_path, name: b"a", patient: false };
        let (draft, own) = output::begin(target, Over::File).unwrap();
        assert_eq!(own.len(), 2);
        let mut output = Output::new(&draft, target, 6);
        let member = Member {
            name: b"m".to_vec(),
            what: What::File(512),
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: (0, 0),
            xattrs: vec![],
        };
        output.begin(&member.headers().unwrap()).unwrap();
        output.write(&BLOCK_OF_ZEROS).unwrap();
        let mut sums = output.end().unwrap();
        let temporary = scratch.path(std::str::from_utf8(&crate::parts::publish::temporary_name(b"a")).unwrap());
        let mut bytes = read(&temporary).unwrap();
        match damage {
            0 => {}
            1 => sums.crc ^= 1,
            2 => bytes[20] ^= 1,
            _ => bytes.truncate(bytes.len() - 1),
        }
        write(&temporary, bytes).unwrap();
        let done = output::read_back(&draft, target, sums, 0o600).and_then(|()| draft.finish_over(Over::File));
        assert_eq!(done.is_ok(), damage == 0, "{damage}: {done:?}");
        assert_eq!(read(scratch.path("a")).unwrap() == b"old", damage != 0);
        assert!(!temporary.exists());
    }
}

/// Calls `f` where file systems may be mounted, if they may.
fn where_mounts_are_ours(f: impl FnOnce() + Send) {
    let in_namespace = || {
        #[expect(unsafe_code, reason = "a mount namespace of the thread's own")]
        // SAFETY: it would matter for descriptors that are shared no more; these flags leave them shared.
        let made = unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) };
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        if made.is_ok() && mount_change("/", private).is_ok() { f() } else { skip("no file system can be mounted") }
    };
    std::thread::scope(|scope| scope.spawn(in_namespace).join()).unwrap();
}

fn mount_memory(dir: &Path, options: &std::ffi::CStr) {
    mount("tmpfs", dir, "tmpfs", MountFlags::empty(), Some(options)).unwrap();
}

#[test]
fn one_file_system_ends_at_a_mount() {
    let scratch = Scratch::new();
    let tree = scratch.dir("tree");
    create_dir(tree.join("mounted")).unwrap();
    create_dir(tree.join("top")).unwrap();
    where_mounts_are_ours(|| {
        for dir in ["mounted", "top"] {
            mount_memory(&tree.join(dir), c"size=64k");
            write(tree.join(dir).join("file"), "1").unwrap();
        }
        for one_file_system in [false, true] {
            let archive = scratch.path(if one_file_system { "one" } else { "all" });
            pack(&tree, &["top", "mounted"], &archive, &Options { one_file_system, ..options() }).0.unwrap();
            assert_eq!(
                members(&archive),
                ["top/", "top/file", "mounted/", "mounted/file"],
                "what is asked for by name"
            );
            let archive = scratch.path(if one_file_system { "one tree" } else { "whole tree" });
            pack(&scratch.0, &["tree"], &archive, &Options { one_file_system, ..options() }).0.unwrap();
            let expected: &[&str] = if one_file_system {
                &["tree/", "tree/mounted/", "tree/top/"]
            } else {
                &["tree/", "tree/mounted/", "tree/mounted/file", "tree/top/", "tree/top/file"]
            };
            assert_eq!(members(&archive), expected);
        }
    });
}

#[test]
fn a_full_disk_leaves_the_old_archive() {
    let scratch = Scratch::new();
    let full = scratch.dir("full");
    write(scratch.path("large"), vec![b'x'; 200_000]).unwrap();
    where_mounts_are_ours(|| {
        mount_memory(&full, c"size=64k");
        let archive = full.join("a");
        write(&archive, "old").unwrap();
        let (done, _) = pack(&scratch.0, &["large"], &archive, &Options { level: 0, over: Over::File, ..options() });
        let expected = format!("cannot write {}: No space left on device", archive.display());
        assert_eq!(done.unwrap_err().to_string(), expected);
        assert_eq!((read(&archive).unwrap(), std::fs::read_dir(&full).unwrap().count()), (b"old".to_vec(), 1));
        // And what is restored there: it is told, and the rest goes on.
        let archive = scratch.path("large.tar");
        pack(&scratch.0, &["large", "full"], &archive, &options()).0.unwrap();
        let (done, _, told) = unpack(&archive, &full, &Extracting::default());
        assert_eq!((done, told), (Ok(()), vec!["cannot restore large: No space left on device".to_owned()]));
        assert_eq!(read(full.join("full/a")).unwrap(), b"old");
    });
}

/// A path that no system call takes, and more levels than a process has descriptors.
#[test]
fn a_deep_tree_is_archived_and_restored() {
    let scratch = Scratch::in_memory();
    let (from, to) = (scratch.dir("from"), scratch.dir("to"));
    let mut dir = open(&from, Open::Place);
    for _ in 0..1_200 {
        change::make_dir(dir.as_fd(), b"level", 0o755).unwrap();
        dir = crate::sys::fs::open(dir.as_fd(), b"level", Open::Place).unwrap();
    }
    change::make_node(dir.as_fd(), b"fifo", Kind::Fifo, (0, 0)).unwrap();
    let archive = scratch.path("a");
    pack(&from, &["level"], &archive, &options()).0.unwrap();
    assert_eq!(members(&archive).last().unwrap(), &format!("{}fifo", "level/".repeat(1_200)));
    let (done, _, told) = unpack(&archive, &to, &Extracting::default());
    assert_eq!((done, told), (Ok(()), vec![]));
    super::compare("deep", &survey(&to), &survey(&from), &[]);
}
