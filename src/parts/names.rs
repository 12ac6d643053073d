//! Many names in one piece of memory: of a hundred thousand files, each would take more for its own piece than for its bytes.

/// Names of directory entries: any bytes but `/` and NUL.
#[derive(Clone, Default)]
pub struct Names {
    /// A NUL follows each.
    bytes: Vec<u8>,
    /// Where each begins.
    starts: Vec<usize>,
}

impl Names {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Adds one as the last.
    pub fn push(&mut self, name: &[u8]) {
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(name);
        self.bytes.push(0);
    }

    /// Takes the last one out; its bytes stay until all go.
    pub fn pop(&mut self) {
        self.starts.pop();
    }

    /// Brings them into the order of their bytes.
    pub fn sort(&mut self) {
        // With its NUL, a name stands before what it is the beginning of: what follows need not be cut off.
        let from = |start: usize| self.bytes.get(start..).unwrap_or_default();
        self.starts.sort_unstable_by(|one, other| from(*one).cmp(from(*other)));
    }

    /// The n-th, from 0.
    pub fn get(&self, n: usize) -> Option<&[u8]> {
        self.starts.get(n).map(|start| self.at(*start))
    }

    /// The last one.
    pub fn last(&self) -> Option<&[u8]> {
        self.starts.last().map(|start| self.at(*start))
    }

    /// All, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.starts.iter().map(|start| self.at(*start))
    }

    /// Whether this is one of them, which are sorted.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.starts.binary_search_by(|start| self.at(*start).cmp(name)).is_ok()
    }

    /// Takes out all but those that are to stay; their bytes stay until all go.
    pub fn retain(&mut self, mut stays: impl FnMut(&[u8]) -> bool) {
        let Names { bytes, starts } = self;
        starts.retain(|start| stays(name_at(bytes, *start)));
    }

    fn at(&self, start: usize) -> &[u8] {
        name_at(&self.bytes, start)
    }
}

fn name_at(bytes: &[u8], start: usize) -> &[u8] {
    bytes.get(start..).and_then(|rest| rest.split(|byte| *byte == 0).next()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
