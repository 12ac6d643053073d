//! The names of all directories of the tree, packed into one piece of memory: a length byte, then the bytes.
//!
//! A name's place is a 32-bit offset. 100,000 separate allocations would cost more than the names.

/// The packed names.
#[derive(Default)]
pub struct Names {
    bytes: Vec<u8>,
    unused: usize,
}

/// Where a name is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameAt(u32);

/// No file name is longer (NAME_MAX of limits.h, in every Linux file system).
pub const NAME_MAX: usize = 255;

impl Names {
    /// Stores a name; `None` if it is longer than a name can be, or 4 GiB are full.
    pub fn put(&mut self, name: &[u8]) -> Option<NameAt> {
        let len = u8::try_from(name.len()).ok()?;
        let at = NameAt(u32::try_from(self.bytes.len()).ok()?);
        // Doubling would leave half of it empty; an eighth is enough.
        if self.bytes.capacity() - self.bytes.len() <= name.len() {
            self.bytes.reserve_exact(self.bytes.len() / 8 + 512);
        }
        self.bytes.push(len);
        self.bytes.extend_from_slice(name);
        Some(at)
    }

    /// The name at a place.
    pub fn get(&self, at: NameAt) -> &[u8] {
        let start = at.0 as usize;
        let len = self.bytes.get(start).map_or(0, |len| usize::from(*len));
        self.bytes.get(start + 1..start + 1 + len).unwrap_or_default()
    }

    /// Bytes that are set aside for names.
    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Says that a name is not used any more.
    pub fn forget(&mut self, at: NameAt) {
        self.unused += self.get(at).len() + 1;
    }

    /// Whether so much is unused that the living names should be moved into a new piece.
    pub fn is_wasteful(&self) -> bool {
        self.unused > 4096 && self.unused > self.bytes.len() / 2
    }
}

impl NameAt {
    /// The first name that a tree stores, its root's, which is empty.
    pub const EMPTY: NameAt = NameAt(0);
}
