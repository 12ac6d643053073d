//! A tree outside the roots that nobody may touch: files of root's, called as those that are worked on.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const SECRET: &str = "SECRET of ";

/// The tree, and what it was like.
pub struct Treasure {
    dir: PathBuf,
    facts: BTreeMap<PathBuf, String>,
}

impl Treasure {
    /// Files of these names, which only root may read, in directories that only root may enter.
    pub fn make(dir: PathBuf, names: impl Iterator<Item = String>) -> Treasure {
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        fs::create_dir(dir.join("empty")).unwrap();
        // Read before it was written to: so the next read is seen in its times, also with relatime (mount(8)).
        let times = fs::FileTimes::new().set_accessed(SystemTime::UNIX_EPOCH + Duration::from_secs(1));
        for name in names {
            let path = dir.join(&name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("{SECRET}{name}")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
        }
        let facts = facts(&dir);
        Treasure { dir, facts }
    }

    /// Where it is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// What of it is not as it was, content included.
    pub fn harm(&self) -> Vec<String> {
        let now = facts(&self.dir);
        let paths: std::collections::BTreeSet<_> = self.facts.keys().chain(now.keys()).collect();
        let mut harm: Vec<String> = paths
            .into_iter()
            .filter(|path| self.facts.get(*path) != now.get(*path))
            .map(|path| format!("{}: {:?}, now {:?}", path.display(), self.facts.get(path), now.get(path)))
            .collect();
        for path in now.keys().filter(|path| path.is_file()) {
            let name = path.strip_prefix(&self.dir).unwrap();
            if fs::read(path).unwrap() != format!("{SECRET}{}", name.display()).as_bytes() {
                harm.push(format!("{} has another content", path.display()));
            }
        }
        harm
    }
}

/// Of a directory it is not told when it was read, for that the test does itself.
fn facts(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut facts = BTreeMap::new();
    walk(dir, &mut |path, found| {
        let changed = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
        let read = if found.is_dir() { (0, 0) } else { (found.atime(), found.atime_nsec()) };
        let owner = format!("{}:{}", found.uid(), found.gid());
        let fact = format!("{} {:o} {owner} {changed:?} {read:?} {}", found.ino(), found.mode(), found.nlink());
        facts.insert(path.to_owned(), fact);
    });
    facts
}

/// All that is in a tree, the top too; links are not followed.
pub fn walk(path: &Path, visit: &mut dyn FnMut(&Path, &fs::Metadata)) {
    let found = fs::symlink_metadata(path).unwrap();
    visit(path, &found);
    if found.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            walk(&entry.unwrap().path(), visit);
        }
    }
}

/// The texts of all files in these trees, by name. None is the treasure's.
#[track_caller]
pub fn texts(roots: &[&Path]) -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let mut texts: BTreeMap<String, Vec<(PathBuf, String)>> = BTreeMap::new();
    for root in roots {
        walk(root, &mut |path, found| {
            if found.is_file() {
                let text = fs::read_to_string(path).unwrap();
                assert!(!text.contains(SECRET), "{} was published: {text}", path.display());
                let name = path.file_name().unwrap().to_str().unwrap();
                texts.entry(name.trim_end_matches(".l").to_owned()).or_default().push((path.to_owned(), text));
            }
        });
    }
    texts
}
