//! The disk: operations done by direct system calls, and what is there in the end. Directories are reached step by
//! step, for their paths may be longer than a path may be.

use crate::common::is_root;
use crate::plan::{Op, Place, ROOTS};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, chmodat, linkat, mkdirat, mknodat, openat, renameat,
    renameat_with, statat, symlinkat, unlinkat,
};
use rustix::io::{Errno, write};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::RwLock;

/// Held for reading while a file is open for writing, and for writing while a program is started: until its process has
/// become that program, it has all descriptors of this one, and what is closed here meanwhile is closed later for good.
pub static STARTING: RwLock<()> = RwLock::new(());

pub struct Disk {
    roots: Vec<OwnedFd>,
}

const PLACE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Without waiting for a reader of a FIFO.
const WRITE: OFlags = OFlags::WRONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

impl Disk {
    /// Makes the roots.
    pub fn new(scratch: &Path) -> Disk {
        let open = |name: &&str| {
            let path = scratch.join(name);
            std::fs::create_dir(&path).unwrap();
            openat(CWD, &path, PLACE, Mode::empty()).unwrap()
        };
        Disk { roots: ROOTS.iter().map(open).collect() }
    }

    fn at<'p>(&self, place: &'p Place) -> Result<(OwnedFd, &'p OsStr), Errno> {
        let (name, above) = place.parts.split_last().ok_or(Errno::INVAL)?;
        let mut dir = openat(&self.roots[place.root], ".", PLACE, Mode::empty())?;
        for part in above {
            dir = openat(&dir, OsStr::from_bytes(part), PLACE, Mode::empty())?;
        }
        Ok((dir, OsStr::from_bytes(name)))
    }

    /// Does it; the answer is what was done, if anything.
    pub fn perform(&self, op: &Op) -> Option<Op> {
        let result = match op {
            Op::WriteRenamed(from, to) => return self.write_renamed(from, to),
            Op::Mkdir(place) => self.at(place).and_then(|(dir, name)| mkdirat(dir, name, Mode::RWXU)),
            Op::Write(place) => self.write(place, OFlags::CREATE | OFlags::TRUNC),
            Op::Append(place) => self.write(place, OFlags::APPEND),
            Op::Fifo(place) => self.at(place).and_then(|(dir, name)| mknodat(dir, name, FileType::Fifo, Mode::RWXU, 0)),
            Op::Symlink(place) => self.at(place).and_then(|(dir, name)| symlinkat(".", dir, name)),
            Op::Link(from, to) => self.both(from, to, |a, an, b, bn| linkat(a, an, b, bn, AtFlags::empty())),
            Op::Unlink(place) => self.at(place).and_then(|(dir, name)| unlinkat(dir, name, AtFlags::empty())),
            Op::Rmdir(place) => self.at(place).and_then(|(dir, name)| unlinkat(dir, name, AtFlags::REMOVEDIR)),
            Op::Rename(from, to) => self.both(from, to, |a, an, b, bn| renameat(a, an, b, bn)),
            Op::Exchange(one, other) => {
                self.both(one, other, |a, an, b, bn| renameat_with(a, an, b, bn, RenameFlags::EXCHANGE))
            }
            Op::Chmod(place) => self.chmod(place),
            Op::Start | Op::Stop | Op::Continue | Op::Settle => Ok(()),
        };
        result.ok().map(|()| op.clone())
    }

    fn both(
        &self,
        from: &Place,
        to: &Place,
        f: impl FnOnce(BorrowedFd<'_>, &OsStr, BorrowedFd<'_>, &OsStr) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let ((a, from), (b, to)) = (self.at(from)?, self.at(to)?);
        f(a.as_fd(), from, b.as_fd(), to)
    }

    fn write(&self, place: &Place, how: OFlags) -> Result<(), Errno> {
        let (dir, name) = self.at(place)?;
        let _none_starts = STARTING.read().unwrap();
        let file = open_to_write(&dir, name, WRITE | how)?;
        write(file, name.as_bytes()).map(drop)
    }

    fn write_renamed(&self, from: &Place, to: &Place) -> Option<Op> {
        let ((a, name), (b, new)) = (self.at(from).ok()?, self.at(to).ok()?);
        let _none_starts = STARTING.read().unwrap();
        let file = open_to_write(&a, name, WRITE).ok()?;
        let renamed = renameat(&a, name, &b, new);
        write(&file, b"renamed").unwrap();
        // Where it could not be renamed, it is closed under its old name.
        Some(if renamed.is_ok() { Op::WriteRenamed(from.clone(), to.clone()) } else { Op::Append(from.clone()) })
    }

    /// To others than root, a directory of mode 000 would be closed, and with it the rest of the run.
    fn chmod(&self, place: &Place) -> Result<(), Errno> {
        let (dir, name) = self.at(place)?;
        let kind = FileType::from_raw_mode(statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
        if kind == FileType::Symlink || (kind == FileType::Directory && !is_root()) {
            return Err(Errno::ISDIR);
        }
        chmodat(dir, name, Mode::empty(), AtFlags::empty())
    }

    /// All that is there, and whether it is a directory.
    pub fn walk(&self) -> BTreeMap<Vec<u8>, bool> {
        let mut found = BTreeMap::new();
        for (root, fd) in self.roots.iter().enumerate() {
            let fd = openat(fd, ".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
            walk(&fd, &Place::root(root), &mut found);
        }
        found
    }
}

/// EAGAIN is no refusal: the daemon has a lease on the file for a moment, which may even be one that this call has made.
fn open_to_write(dir: &OwnedFd, name: &OsStr, how: OFlags) -> Result<OwnedFd, Errno> {
    loop {
        match openat(dir, name, how, Mode::RUSR | Mode::WUSR) {
            Err(Errno::AGAIN) => std::thread::yield_now(),
            result => return result,
        }
    }
}

fn walk(dir: &OwnedFd, place: &Place, found: &mut BTreeMap<Vec<u8>, bool>) {
    for entry in Dir::read_from(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        let below = place.join(name);
        let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = openat(dir, entry.file_name(), how, Mode::empty());
        found.insert(below.bytes(), opened.is_ok());
        if let Ok(opened) = opened {
            walk(&opened, &below, found);
        }
    }
}
