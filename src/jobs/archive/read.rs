//! Reads archives member by member: tar, compressed by gzip or not, as GNU tar, bsdtar, BusyBox, Python and we write it. What
//! stands in one is not believed: every size is bounded before memory is taken for it, and a damage is an error that names
//! the member that it shows in, and the last whole one.
//!
//! Blocks are read here and not by the `tar` crate's iterator, which takes the end of the file for the end of the archive,
//! and sizes from headers alone, where pax records may say otherwise.

use super::Sums;
use super::member::{BLOCK, MOST_DESCRIPTION, Member, What, number};
use super::pax;
use crate::parts::diag::Failure;
use crate::parts::text::Escaped;
use crate::sys::copy;
use crate::sys::stream::{Error, Read, Stream, reason};
use flate2::Crc;
use flate2::read::MultiGzDecoder;
use std::os::fd::BorrowedFd;
use tar::Header;

const BUFFER: usize = 64 << 10;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const DOUBT: &str = "unless it was only cut short, members up to that may be damaged too";

/// An archive that is being read.
pub struct Archive<'a> {
    input: Box<dyn Read + 'a>,
    /// Its path, for messages.
    path: &'a [u8],
    sums: Sums,
    crc: Crc,
    /// Of the present member's data, and of what fills its last block.
    left: u64,
    fill: u64,
    /// The member that is being read, and the one that was read to its end.
    present: Option<Vec<u8>>,
    last: Option<Vec<u8>>,
    is_broken: bool,
}

/// A file, and who hears how much of it was read.
struct Heard<'a, F> {
    file: Stream<'a>,
    read: u64,
    hear: F,
}

impl<F: FnMut(u64)> Read for Heard<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let n = self.file.read(buffer)?;
        self.read += n as u64;
        (self.hear)(self.read);
        Ok(n)
    }
}

/// What stands before a member and belongs to it.
#[derive(Default)]
struct Described {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    records: Vec<u8>,
}

/// A header's block, after its sum was checked.
struct Block {
    header: Header,
    kind: u8,
    size: u64,
}

impl<'a> Archive<'a> {
    /// Begins to read an open file, from its start.
    pub fn new(file: BorrowedFd<'a>, path: &'a [u8]) -> Result<Archive<'a>, Failure> {
        Archive::heard(file, path, |_| {})
    }

    /// The same; `hear` is told, at each read, how many bytes of the file were read so far.
    pub fn heard(file: BorrowedFd<'a>, path: &'a [u8], hear: impl FnMut(u64) + 'a) -> Result<Archive<'a>, Failure> {
        let mut magic = [0; 2];
        copy::read_at(file, &mut magic, 0).map_err(|errno| Failure::on_path("read", path, errno))?;
        let heard = Heard { file: Stream(file), read: 0, hear };
        let input: Box<dyn Read + 'a> =
            if magic == GZIP { Box::new(MultiGzDecoder::new(heard)) } else { Box::new(heard) };
        let (sums, crc) = (Sums::default(), Crc::new());
        let (left, fill, present, last, is_broken) = (0, 0, None, None, false);
        Ok(Archive { input, path, sums, crc, left, fill, present, last, is_broken })
    }

    /// The next member, or none at the archive's end, which is read up to the end of the file. What was not read of the
    /// member before is passed over. After an error there is nothing more to be read.
    pub fn next(&mut self) -> Result<Option<Member>, Failure> {
        self.pass_over()?;
        let mut described = Described::default();
        loop {
            let Some(block) = self.block()? else {
                self.end()?;
                return Ok(None);
            };
            match block.kind {
                b'L' => described.name = Some(until_nul(&self.description(&block)?).to_vec()),
                b'K' => described.target = Some(until_nul(&self.description(&block)?).to_vec()),
                b'x' => described.records = self.description(&block)?,
                // What holds for all members: comments, mostly.
                b'g' => drop(self.description(&block)?),
                _ => {
                    let (member, size) = self.member(&block, described)?;
                    (self.left, self.fill) = (size, filling(size));
                    self.present = Some(member.name.clone());
                    return Ok(Some(member));
                }
            }
        }
    }

    /// Reads on in the present member's data; 0 is their end.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let filled = buffer.get_mut(..most).unwrap_or_default();
        self.fill_whole(filled)?;
        self.left -= most as u64;
        Ok(most)
    }

    /// Whether an error has ended it.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// What was read so far; at the end, of all of it.
    pub fn sums(&self) -> Sums {
        Sums { crc: self.crc.sum(), ..self.sums }
    }

    /// Reads the rest of the present member.
    fn pass_over(&mut self) -> Result<(), Failure> {
        let mut buffer = vec![0; usize::try_from(self.left.max(self.fill)).unwrap_or(BUFFER).min(BUFFER)];
        while self.read(&mut buffer)? > 0 {}
        // It is whole, whatever becomes of what fills its last block.
        if let Some(name) = self.present.take() {
            self.last = Some(name);
            self.sums.members += 1;
        }
        self.left = std::mem::take(&mut self.fill);
        while self.read(&mut buffer)? > 0 {}
        Ok(())
    }

    /// The next header; none where the archive ends.
    fn block(&mut self) -> Result<Option<Block>, Failure> {
        let mut header = Header::new_old();
        self.fill_whole(header.as_mut_bytes())?;
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let old = header.as_old();
        let sum: i64 = header.as_bytes().iter().map(|byte| i64::from(*byte)).sum();
        let stored: i64 = old.cksum.iter().map(|byte| i64::from(*byte)).sum();
        let blank = i64::from(b' ') * 8;
        if number(&old.cksum) != Some(sum - stored + blank) {
            return Err(self.damaged("a header's sum is wrong"));
        }
        let (kind, size) = (old.linkflag[0], number(&old.size).and_then(|size| u64::try_from(size).ok()));
        let size = size.ok_or_else(|| self.damaged("a member's size is none"))?;
        Ok(Some(Block { header, kind, size }))
    }

    /// What stands in a member that describes the next one.
    fn description(&mut self, block: &Block) -> Result<Vec<u8>, Failure> {
        let size = usize::try_from(block.size).unwrap_or(usize::MAX);
        if size > MOST_DESCRIPTION {
            return Err(self.damaged("what describes a member (a long name, attributes) is more than 1 MiB"));
        }
        let mut bytes = vec![0; size.next_multiple_of(BLOCK)];
        self.fill_whole(&mut bytes)?;
        bytes.truncate(size);
        Ok(bytes)
    }

    /// The member of a header, and how many bytes follow.
    fn member(&mut self, block: &Block, described: Described) -> Result<(Member, u64), Failure> {
        let found = decode(block, described).map_err(|wrong| self.damaged(wrong))?;
        let is_old_sparse = block.kind == b'S';
        let mut more = is_old_sparse && block.header.as_bytes()[482] != 0;
        // Its map goes on in blocks that are not counted.
        while more {
            let mut map = [0; BLOCK];
            self.fill_whole(&mut map)?;
            more = map[504] != 0;
        }
        Ok(found)
    }

    /// Reads to the end of the file, where nothing but zeros may follow the mark of the archive's end.
    fn end(&mut self) -> Result<(), Failure> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let bytes = match self.some(&mut buffer)? {
                0 => return Ok(()),
                n => buffer.get(..n).unwrap_or_default(),
            };
            if bytes.iter().any(|byte| *byte != 0) {
                return Err(self.damaged("more follows the mark of its end"));
            }
        }
    }

    fn fill_whole(&mut self, mut buffer: &mut [u8]) -> Result<(), Failure> {
        while !buffer.is_empty() {
            match self.some(buffer)? {
                0 => return Err(self.damaged("it ends before the mark of its end")),
                n => buffer = buffer.get_mut(n..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    fn some(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let n = self.input.read(buffer).map_err(|error| self.damaged(&reason(&error)))?;
        self.crc.update(buffer.get(..n).unwrap_or_default());
        self.sums.bytes += n as u64;
        Ok(n)
    }

    fn damaged(&mut self, why: &str) -> Failure {
        let place = self.present.as_ref().map(|name| format!("in {}: ", Escaped(name))).unwrap_or_default();
        // Wrong bytes come to light later, if only by gzip's sum at the end.
        let last = match &self.last {
            Some(name) => format!("the last whole member is {}; {DOUBT}", Escaped(name)),
            None => "no member of it is whole".to_owned(),
        };
        self.is_broken = true;
        Failure::on_path("read the archive", self.path, place + why).hint(&last)
    }
}

/// What fills the last block.
fn filling(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A member by its header and what describes it, and how many bytes of it follow.
fn decode(block: &Block, described: Described) -> Result<(Member, u64), &'static str> {
    const NUMBER: &str = "a number in a header is none";
    let old = block.header.as_old();
    let id = |field: &[u8]| number(field).and_then(|id| u32::try_from(id).ok()).ok_or(NUMBER);
    let name = described.name.unwrap_or_else(|| block.header.path_bytes().into_owned());
    let mut target = described.target.unwrap_or_else(|| until_nul(&old.linkname).to_vec());
    let (mode, mtime) = (number(&old.mode).ok_or(NUMBER)?, number(&old.mtime).ok_or(NUMBER)?);
    let (mut size, mut is_sparse) = (block.size, false);
    let mut member = Member {
        name,
        what: What::Other(block.kind),
        mode: u32::try_from(mode & 0o7777).map_err(|_| NUMBER)?,
        uid: id(&old.uid)?,
        gid: id(&old.gid)?,
        mtime: (mtime, 0),
        xattrs: Vec::new(),
    };
    for record in pax::records(&described.records) {
        let (key, value) = record.map_err(|()| "the pax records of a member cannot be read")?;
        let value_id = || pax::decimal(value).and_then(|id| u32::try_from(id).ok()).ok_or(NUMBER);
        match key {
            b"path" => member.name = value.to_vec(),
            b"linkpath" => target = value.to_vec(),
            b"size" => size = pax::decimal(value).filter(|size| i64::try_from(*size).is_ok()).ok_or(NUMBER)?,
            b"mtime" => member.mtime = pax::time_of_text(value).ok_or(NUMBER)?,
            b"uid" => member.uid = value_id()?,
            b"gid" => member.gid = value_id()?,
            b"GNU.sparse.name" => member.name = value.to_vec(),
            _ if key.starts_with(b"GNU.sparse.") => is_sparse = true,
            _ => member.xattrs.extend(pax::xattr_of_key(key).map(|name| (name, value.to_vec()))),
        }
    }
    let device = || match (block.header.as_gnu(), block.header.as_ustar()) {
        (Some(gnu), _) => Ok((id(&gnu.dev_major)?, id(&gnu.dev_minor)?)),
        (None, Some(ustar)) => Ok((id(&ustar.dev_major)?, id(&ustar.dev_minor)?)),
        (None, None) => Err("a device without a number"),
    };
    member.what = match block.kind {
        _ if is_sparse => What::Other(block.kind),
        // As before there was a type for directories.
        0 | b'0' if member.name.ends_with(b"/") => What::Directory,
        0 | b'0' | b'7' => What::File(size),
        b'1' => What::Link(target),
        b'2' => What::Symlink(target),
        b'3' => What::Character(device()?),
        b'4' => What::Block(device()?),
        b'5' => What::Directory,
        b'6' => What::Fifo,
        kind => What::Other(kind),
    };
    let has_data = matches!(member.what, What::File(_) | What::Other(_));
    Ok((member, if has_data { size } else { 0 }))
}
