//! Which configured paths a directory serves, as interned sets: thousands of directories share a few of them.

/// A configured path of a watch, by number.
pub type RootId = u16;
/// An event map, by number.
pub type MapId = u16;

/// What a directory serves.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Set {
    /// Roots for which everything in the directory counts.
    pub dirs: Vec<RootId>,
    /// Roots that are a file in it: only that name counts.
    pub files: Vec<RootId>,
    /// The maps of `dirs`, each once.
    pub maps: Vec<MapId>,
    /// Whether any root of `dirs` excludes paths: then `maps` is more than an event may concern.
    pub picky: bool,
}

/// All sets that occur; number 0 is the empty one.
pub struct Sets {
    sets: Vec<Set>,
}

impl Sets {
    /// The empty set alone.
    pub fn new() -> Sets {
        Sets { sets: vec![Set::default()] }
    }

    /// The set of this number.
    pub fn get(&self, number: u16) -> &Set {
        self.sets.get(usize::from(number)).unwrap_or(&self.sets[0])
    }

    /// The number of the set of these roots; `watch_of` tells a root's map and whether it excludes.
    pub fn intern(
        &mut self,
        mut dirs: Vec<RootId>,
        mut files: Vec<RootId>,
        watch_of: impl Fn(RootId) -> (MapId, bool),
    ) -> u16 {
        for list in [&mut dirs, &mut files] {
            list.sort_unstable();
            list.dedup();
        }
        let known = self.sets.iter().position(|set| set.dirs == dirs && set.files == files);
        let at = known.unwrap_or_else(|| {
            let mut maps = Vec::new();
            let mut picky = false;
            for (map, excludes) in dirs.iter().map(|root| watch_of(*root)) {
                picky |= excludes;
                if !maps.contains(&map) {
                    maps.push(map);
                }
            }
            self.sets.push(Set { dirs, files, maps, picky });
            self.sets.len() - 1
        });
        // As many sets as there are roots at the most, plus those of overlaps; past 65,535 the empty one.
        u16::try_from(at).unwrap_or(0)
    }
}
