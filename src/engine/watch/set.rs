//! What a directory serves, as interned sets: thousands of directories share a few of them.

use std::collections::HashMap;

/// A configured path of a watch, by number.
pub type RootId = u16;
/// An event map, by number.
pub type MapId = u16;

/// The configured paths that a directory serves.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Roots {
    /// Those for which everything in the directory counts.
    pub dirs: Vec<RootId>,
    /// Those that are a file in it: only that name counts.
    pub files: Vec<RootId>,
    /// Those of whose pattern the component of this number is to match a name in the directory.
    pub globs: Vec<(RootId, u8)>,
}

impl Roots {
    /// Whether it serves none.
    pub fn is_empty(&self) -> bool {
        self.dirs.is_empty() && self.files.is_empty() && self.globs.is_empty()
    }

    /// Whether it serves any that the other does not.
    pub fn is_more_than(&self, other: &Roots) -> bool {
        self.dirs.iter().any(|root| !other.dirs.contains(root))
            || self.globs.iter().any(|glob| !other.globs.contains(glob))
    }

    /// Both together.
    pub fn and(mut self, other: Roots) -> Roots {
        self.dirs.extend(other.dirs);
        self.files.extend(other.files);
        self.globs.extend(other.globs);
        self.in_order()
    }

    /// Each once, in order, so that equal ones are the same.
    pub fn in_order(mut self) -> Roots {
        for list in [&mut self.dirs, &mut self.files] {
            list.sort_unstable();
            list.dedup();
        }
        self.globs.sort_unstable();
        self.globs.dedup();
        self
    }
}

/// What a directory serves, and what follows from that.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Set {
    /// The paths.
    pub roots: Roots,
    /// The maps of `dirs`, each once.
    pub maps: Vec<MapId>,
    /// Whether any watch excludes paths: then `maps` is more than an event may concern.
    pub picky: bool,
    /// Whether any watch wants to know what is there already.
    pub existing: bool,
    /// Every directory in it serves the same if it is there at the start.
    pub all_rec: bool,
    /// Every directory in it serves the same if it appears.
    pub all_auto_add: bool,
    /// Files in it count, all or some.
    pub files_count: bool,
}

/// All sets that occur; number 0 is the empty one.
pub struct Sets {
    sets: Vec<Set>,
    by_roots: HashMap<Roots, u16>,
    free: Vec<u16>,
    /// So many are made before unused ones are looked for.
    limit: usize,
}

/// The least number of sets at which unused ones are looked for.
const FEW: usize = 64;

impl Sets {
    /// The empty set alone.
    pub fn new() -> Sets {
        let by_roots = HashMap::from([(Roots::default(), 0)]);
        Sets { sets: vec![Set::default()], by_roots, free: Vec::new(), limit: FEW }
    }

    /// The set of this number.
    pub fn get(&self, number: u16) -> &Set {
        self.sets.get(usize::from(number)).unwrap_or(&self.sets[0])
    }

    /// The number of the set of these paths; `make` says what follows from them.
    pub fn intern(&mut self, roots: Roots, make: impl FnOnce(Roots) -> Set) -> u16 {
        if let Some(known) = self.by_roots.get(&roots) {
            return *known;
        }
        let Some(number) = self.free.pop().or_else(|| u16::try_from(self.sets.len()).ok()) else {
            // There are more overlaps than numbers: those beyond serve nothing.
            return 0;
        };
        let set = make(roots.clone());
        match self.sets.get_mut(usize::from(number)) {
            Some(place) => *place = set,
            None => self.sets.push(set),
        }
        self.by_roots.insert(roots, number);
        number
    }

    /// Whether it is time for [`Sets::keep`].
    pub fn is_crowded(&self) -> bool {
        self.by_roots.len() >= self.limit
    }

    /// Forgets the sets that are not among these: paths that come and go make many that nobody has for long.
    pub fn keep(&mut self, used: impl Iterator<Item = u16>) {
        let mut in_use = vec![false; self.sets.len()];
        for number in used.chain([0]) {
            in_use.get_mut(usize::from(number)).into_iter().for_each(|used| *used = true);
        }
        for (number, set) in (0_u16..).zip(&mut self.sets).filter(|(n, _)| !in_use[usize::from(*n)]) {
            if self.by_roots.remove(&set.roots).is_some() {
                *set = Set::default();
                self.free.push(number);
            }
        }
        self.limit = (self.by_roots.len() * 2).max(FEW);
    }
}
