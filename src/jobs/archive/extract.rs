//! Restores members of archives below a directory, whatever the archive says: resolution is `beneath`'s, nothing is written
//! through a link, and a file gets its name whole.
//!
//! What is refused is told, and the others are restored. A directory gets its mode and times at the end, after what is in it.

use super::member::{Member, What};
use super::read::Archive;
use crate::parts::beneath::{Refused, Root};
use crate::parts::diag::Failure;
use crate::parts::meta::{Meta, Wanted};
use crate::parts::publish::{self, Draft, Over, Target, temporary_name};
use crate::parts::text::Escaped;
use crate::sys::change::{self, Owner};
use crate::sys::fs::{self, Id, Kind, Open, Stat};
use crate::sys::{Errno, Fd, copy, process};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::os::fd::{AsFd, BorrowedFd};

const BUFFER: usize = 64 << 10;
/// So many zeros become a hole, if they stand at a multiple of it.
const HOLE: usize = 4096;

/// What is restored.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only members of these names and what is below them; all if there are none.
    pub paths: Vec<Vec<u8>>,
    /// Files, links and such that are there may be replaced by those of the archive, and directories that are there get the
    /// archive's owner, mode and times. A directory is never replaced.
    pub overwrite: bool,
}

/// What has come of it.
#[derive(Clone, Debug, Default)]
pub struct Extracted {
    /// How many members were restored.
    pub restored: u64,
    /// How many were refused, or could not be restored; and how many of the paths were not found.
    pub failed: u64,
    /// What of what is kept with files could not be kept. (Without root's rights, owners are not tried.)
    pub lost: BTreeSet<String>,
}

/// Restores what is in an archive below a directory. `tell` hears of what is not restored. An error is the archive's: what was
/// whole before is restored. `extracted` has come of it in any case.
pub fn extract(
    archive: &mut Archive<'_>,
    root: &Root,
    options: &Options,
    extracted: &mut Extracted,
    tell: &mut dyn FnMut(&Failure),
) -> Result<(), Failure> {
    let wanted = options.paths.iter().map(|path| (relative(path), false)).collect();
    let mut extractor =
        Extractor { archive, root, overwrite: options.overwrite, wanted, directories: Vec::new(), extracted };
    let done = extractor.members(tell);
    extractor.dress_directories(tell);
    for (path, _) in options.paths.iter().zip(&extractor.wanted).filter(|(_, (_, found))| done.is_ok() && !found) {
        tell(&Failure::on_path("restore", path, "nothing in the archive has this name"));
        extractor.extracted.failed += 1;
    }
    done
}

struct Extractor<'e, 'a> {
    archive: &'e mut Archive<'a>,
    root: &'e Root,
    overwrite: bool,
    /// Paths that were asked for, and whether anything was there.
    wanted: Vec<(Option<Vec<u8>>, bool)>,
    /// What still have to get their owner, mode and times.
    directories: Vec<(Vec<u8>, Id, Member)>,
    extracted: &'e mut Extracted,
}

impl Extractor<'_, '_> {
    fn members(&mut self, tell: &mut dyn FnMut(&Failure)) -> Result<(), Failure> {
        while let Some(member) = self.archive.next()? {
            match self.member(&member) {
                Ok(is_restored) => self.extracted.restored += u64::from(is_restored),
                Err(failure) if self.archive.is_broken() => return Err(failure),
                Err(failure) => {
                    tell(&failure);
                    self.extracted.failed += 1;
                }
            }
        }
        Ok(())
    }

    /// Restores a member, if it is one of those that are asked for.
    fn member(&mut self, member: &Member) -> Result<bool, Failure> {
        let path = relative(&member.name).ok_or_else(|| fail(member, "its path has a .. in it"))?;
        // The directory itself is not the archive's.
        if path.is_empty() || !self.is_wanted(&path) {
            return Ok(false);
        }
        let (dir, name) = self.parent(&path).map_err(|refused| fail(member, refused))?;
        let dir_path = path.get(..path.len() - name.len()).unwrap_or_default();
        let dir_path = dir_path.strip_suffix(b"/").unwrap_or(b".");
        let target = Target { dir: dir.as_fd(), dir_path, name, patient: false };
        let draft = match &member.what {
            What::Directory => return self.directory(target, &path, member),
            What::Link(first) => return self.link(target, first, member).map(|()| true),
            What::Other(kind) => {
                let kind = char::from(*kind).escape_default();
                let reason = format!("it is a sparse file, or of another kind ({kind}) that is not read");
                return Err(fail(member, reason));
            }
            What::Character(_) | What::Block(_) if !is_root() => {
                return Err(fail(member, "devices are root's to make"));
            }
            What::File(_) => Draft::begin(self.free(target, member)?)?,
            What::Symlink(text) => Draft::link(self.free(target, member)?, text)?,
            What::Fifo => Draft::node(self.free(target, member)?, Kind::Fifo, (0, 0))?,
            What::Character(device) => Draft::node(self.free(target, member)?, Kind::Character, *device)?,
            What::Block(device) => Draft::node(self.free(target, member)?, Kind::Block, *device)?,
        };
        if let What::File(size) = member.what {
            self.data(draft.file(), size, member)?;
        }
        self.dress(draft.file(), member)?;
        draft.finish_over(if self.overwrite { Over::File } else { Over::Nothing })?;
        Ok(true)
    }

    fn is_wanted(&mut self, path: &[u8]) -> bool {
        let mut is_wanted = self.wanted.is_empty();
        for (wanted, found) in &mut self.wanted {
            let rest = wanted.as_ref().and_then(|wanted| path.strip_prefix(&wanted[..]));
            if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/")) {
                (is_wanted, *found) = (true, true);
            }
        }
        is_wanted
    }

    /// The directory that a path stands in, made if it is missing, and its name there.
    fn parent<'p>(&self, path: &'p [u8]) -> Result<(Fd, &'p [u8]), Refused> {
        match self.root.parent(path, Open::DirectoryNoFollow) {
            Err(Refused::Missing) => {}
            found => return found,
        }
        let slash = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        self.root.make_dirs(path.get(..slash).unwrap_or_default(), None, Owner::default())?;
        self.root.parent(path, Open::DirectoryNoFollow)
    }

    /// Where what is no directory may be made.
    fn free<'t>(&self, target: Target<'t>, member: &Member) -> Result<Target<'t>, Failure> {
        self.look(target, member).map(|_| target)
    }

    /// What is in the place of a member, if the member may take it.
    fn look(&self, target: Target<'_>, member: &Member) -> Result<Option<Stat>, Failure> {
        match fs::stat(target.dir, target.name) {
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(fail(member, errno)),
            Ok(found) if found.kind == Kind::Directory => Err(fail(member, "a directory has its name")),
            Ok(_) if !self.overwrite => {
                Err(fail(member, "something has its name, which is not to be overwritten (--overwrite)"))
            }
            Ok(found) => Ok(Some(found)),
        }
    }

    /// The bytes of the member that is being read, with holes for zeros.
    fn data(&mut self, file: BorrowedFd<'_>, size: u64, member: &Member) -> Result<(), Failure> {
        let mut buffer = vec![0; BUFFER];
        let mut at = 0;
        loop {
            let mut bytes = match self.archive.read(&mut buffer)? {
                0 => return change::set_size(file, size).map_err(|errno| fail(member, errno)),
                n => buffer.get(..n).unwrap_or_default(),
            };
            while !bytes.is_empty() {
                let (zeros, rest) = split(bytes, true);
                let (data, rest) = split(rest, false);
                copy::write_at(file, data, at + zeros.len() as u64).map_err(|errno| fail(member, errno))?;
                at += (zeros.len() + data.len()) as u64;
                bytes = rest;
            }
        }
    }

    fn link(&self, target: Target<'_>, first: &[u8], member: &Member) -> Result<(), Failure> {
        let no = |reason: &dyn Display| {
            fail(member, format_args!("it is another name of {}, which is not to be had: {reason}", Escaped(first)))
        };
        let path = relative(first).ok_or_else(|| no(&Refused::Path))?;
        let (dir, name) = self.root.parent(&path, Open::Place).map_err(|refused| no(&refused))?;
        let stat = fs::stat(dir.as_fd(), name).map_err(|errno| no(&errno))?;
        let (from, to) = ((dir.as_fd(), name), (target.dir, target.name));
        let linked = match self.look(target, member)? {
            None => change::link(from, to).map(|()| None),
            Some(found) if found.id() == stat.id() => Ok(None),
            Some(_) => {
                let temporary = temporary_name(target.name);
                // What a killed run has left.
                let _ = change::unlink(target.dir, &temporary);
                let named = change::link(from, (target.dir, &temporary));
                named.and_then(|()| publish::rename((target.dir, &temporary), to, Over::File))
            }
        };
        linked.map(drop).map_err(|errno| fail(member, errno))
    }

    /// One that is there is left as it is, if nothing may be overwritten: then it is not restored.
    fn directory(&mut self, target: Target<'_>, path: &[u8], member: &Member) -> Result<bool, Failure> {
        let id = match fs::stat(target.dir, target.name) {
            Ok(found) if found.kind != Kind::Directory => return Err(fail(member, "something else has its name")),
            Ok(_) if !self.overwrite => return Ok(false),
            Ok(found) => found.id(),
            Err(_) => {
                let draft = Draft::directory(target)?;
                let made = fs::stat(draft.file(), b"").map_err(|errno| fail(member, errno))?;
                draft.finish_over(Over::Nothing)?;
                made.id()
            }
        };
        self.directories.push((path.to_vec(), id, member.clone()));
        Ok(true)
    }

    fn dress_directories(&mut self, tell: &mut dyn FnMut(&Failure)) {
        while let Some((path, id, member)) = self.directories.pop() {
            if let Err(failure) = self.dress_directory(&path, id, &member) {
                tell(&failure);
                self.extracted.failed += 1;
            }
        }
    }

    fn dress_directory(&mut self, path: &[u8], id: Id, member: &Member) -> Result<(), Failure> {
        let dir = self.root.dir(path, Open::DirectoryNoFollow).map_err(|refused| fail(member, refused))?;
        match fs::stat(dir.as_fd(), b"") {
            Ok(found) if found.id() == id => self.dress(dir.as_fd(), member),
            Ok(_) => Err(fail(member, "another one has its name now")),
            Err(errno) => Err(fail(member, errno)),
        }
    }

    /// Gives what was restored its owner, mode, times and extended attributes.
    fn dress(&mut self, file: BorrowedFd<'_>, member: &Member) -> Result<(), Failure> {
        let made = fs::stat(file, b"").map_err(|errno| fail(member, errno))?;
        let Member { mode, uid, gid, mtime, .. } = *member;
        let meta = Meta::new(Stat { mode, uid, gid, mtime, ..made }, member.xattrs.clone());
        let lost = meta.set(file, &member.name, Wanted::default())?;
        self.extracted.lost.extend(lost.into_iter().filter(|what| is_root() || what != "owner"));
        Ok(())
    }
}

fn is_root() -> bool {
    process::effective_uid() == 0
}

/// Splits bytes where the first block begins that is not zero, or is.
fn split(bytes: &[u8], are_zero: bool) -> (&[u8], &[u8]) {
    let is_like = |block: &&[u8]| block.iter().all(|byte| *byte == 0) == are_zero;
    bytes.split_at(bytes.chunks(HOLE).take_while(is_like).map(<[u8]>::len).sum())
}

/// A member's path as one below a directory: without a leading slash, empty components and dots. None if there is a `..`.
fn relative(name: &[u8]) -> Option<Vec<u8>> {
    let parts: Vec<&[u8]> = name.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    (!parts.contains(&&b".."[..])).then(|| parts.join(&b'/'))
}

fn fail(member: &Member, reason: impl Display) -> Failure {
    Failure::on_path("restore", &member.name, reason)
}
