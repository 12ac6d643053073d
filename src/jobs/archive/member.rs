//! One member of an archive, and its headers: those that every reader of GNU tar's format knows. Long names and link targets
//! stand in members of their own before it (types `L` and `K`); nanoseconds and extended attributes in pax records (`x`);
//! numbers that do not fit as digits are stored as bytes ("base-256").

use super::pax;
use crate::sys::fs::Time;
use tar::{EntryType, Header};

/// What an archive consists of.
pub const BLOCK: usize = 512;
/// The most that is stored before a member to describe it; more is refused, for it has to be held in memory.
pub const MOST_DESCRIPTION: usize = 1 << 20;
/// A longer name needs a member of its own.
const SHORT: usize = 99;
/// The largest number of seconds that eleven octal digits hold.
const MOST_OCTAL: i64 = 0o77_777_777_777;

/// A member: a file as an archive has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its path, with whatever slashes.
    pub name: Vec<u8>,
    /// What it is.
    pub what: What,
    /// Permission bits with setuid, setgid and sticky (0o7777).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When its content changed last.
    pub mtime: Time,
    /// Names and values of its extended attributes.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What a member can be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// A regular file of so many bytes, which follow.
    File(u64),
    /// A directory.
    Directory,
    /// A symbolic link that holds this.
    Symlink(Vec<u8>),
    /// Another name of the member of this name.
    Link(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A character device, by its number.
    Character((u32, u32)),
    /// A block device, by its number.
    Block((u32, u32)),
    /// Something else, with its type in the archive: sparse files, other programs' own.
    Other(u8),
}

impl Member {
    /// Its headers, a multiple of 512 bytes; none if they are too much for a reader.
    pub fn headers(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let records = self.records();
        let target = match &self.what {
            What::Symlink(target) | What::Link(target) => &target[..],
            What::File(_) | What::Directory | What::Fifo | What::Character(_) | What::Block(_) | What::Other(_) => b"",
        };
        if !records.is_empty() {
            push_description(&mut bytes, EntryType::XHeader, &records)?;
        }
        if target.len() > SHORT {
            push_description(&mut bytes, EntryType::GNULongLink, &[target, b"\0"].concat())?;
        }
        if self.name.len() > SHORT {
            push_description(&mut bytes, EntryType::GNULongName, &[&self.name[..], b"\0"].concat())?;
        }
        bytes.extend(self.header(target).as_bytes());
        Some(bytes)
    }

    fn records(&self) -> Vec<u8> {
        let mut records = Vec::new();
        if self.mtime.1 > 0 {
            pax::push(&mut records, b"mtime", pax::time_to_text(self.mtime).as_bytes());
        }
        for (name, value) in &self.xattrs {
            pax::push(&mut records, &pax::key_of_xattr(name), value);
        }
        records
    }

    fn header(&self, target: &[u8]) -> Header {
        let (kind, size, device) = match self.what {
            What::File(size) => (EntryType::Regular, size, None),
            What::Directory => (EntryType::Directory, 0, None),
            What::Symlink(_) => (EntryType::Symlink, 0, None),
            What::Link(_) => (EntryType::Link, 0, None),
            What::Fifo => (EntryType::Fifo, 0, None),
            What::Character(device) => (EntryType::Char, 0, Some(device)),
            What::Block(device) => (EntryType::Block, 0, Some(device)),
            What::Other(kind) => (EntryType::new(kind), 0, None),
        };
        let mut header = begin(kind, &self.name, size);
        header.set_mode(self.mode);
        header.set_uid(self.uid.into());
        header.set_gid(self.gid.into());
        header.as_old_mut().mtime = seconds(self.mtime.0);
        fill(&mut header.as_old_mut().linkname, target);
        if let (Some(gnu), Some((major, minor))) = (header.as_gnu_mut(), device) {
            gnu.set_device_major(major);
            gnu.set_device_minor(minor);
        }
        header.set_cksum();
        header
    }
}

fn begin(kind: EntryType, name: &[u8], size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    fill(&mut header.as_old_mut().name, name);
    header
}

/// As much as fits.
fn fill(field: &mut [u8; 100], bytes: &[u8]) {
    field.iter_mut().take(SHORT).zip(bytes).for_each(|(place, byte)| *place = *byte);
}

/// A member that describes the next one.
fn push_description(to: &mut Vec<u8>, kind: EntryType, content: &[u8]) -> Option<()> {
    let name: &[u8] = if kind == EntryType::XHeader { b"././@PaxHeader" } else { b"././@LongLink" };
    let mut header = begin(kind, name, content.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    to.extend(header.as_bytes());
    to.extend(content);
    to.resize(to.len().next_multiple_of(BLOCK), 0);
    (content.len() <= MOST_DESCRIPTION).then_some(())
}

/// A time in a header: octal digits if it can be, else as bytes.
fn seconds(time: i64) -> [u8; 12] {
    let mut field = [0; 12];
    if (0..=MOST_OCTAL).contains(&time) {
        field.iter_mut().zip(format!("{time:011o}").bytes()).for_each(|(place, digit)| *place = digit);
    } else {
        // The first bit says so, the second is the sign.
        let wide = i128::from(time).to_be_bytes();
        field.iter_mut().zip(&wide[4..]).for_each(|(place, byte)| *place = *byte);
        field[0] |= 0x80;
    }
    field
}

/// A number of a header: octal digits, or bytes as above.
pub fn number(field: &[u8]) -> Option<i64> {
    match field {
        [first, rest @ ..] if first & 0x80 != 0 => {
            let sign = if first & 0x40 != 0 { -1 } else { 0 };
            let start = sign * 0x40 + i64::from(first & 0x3f);
            rest.iter().try_fold(start, |sum, byte| sum.checked_mul(256)?.checked_add(i64::from(*byte)))
        }
        _ => {
            let text = field.split(|byte| *byte == 0).next()?.trim_ascii();
            if text.is_empty() { Some(0) } else { i64::from_str_radix(std::str::from_utf8(text).ok()?, 8).ok() }
        }
    }
}

#[cfg(test)]
mod tests;
