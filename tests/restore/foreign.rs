//! Whoever has no dogwatch gets a backup back by the tar that is there. (How fine that is kept, to the nanosecond and the
//! attribute, is compared where archives are written: `jobs/archive/tests/foreign.rs`.)

use super::{Scratch, back_up, dir, plant, skip};
use crate::common::is_root;
use crate::tree::survey;
use std::process::Command;

const PYTHON: &str = "import sys, tarfile
a = tarfile.open(sys.argv[1], errorlevel=2)
a.extraction_filter = getattr(tarfile, 'fully_trusted_filter', None)
a.extractall('.', numeric_owner=True)";

/// Commands that the backup's path is added to. BusyBox needs the `z`.
const READERS: [&[&str]; 4] = [
    &["tar", "--numeric-owner", "--warning=no-timestamp", "-xpzf"],
    &["bsdtar", "--numeric-owner", "-xpf"],
    &["busybox", "tar", "xzpf"],
    &["python3", "-c", PYTHON],
];

#[test]
fn others_extract_backups() {
    let scratch = Scratch::new();
    plant(&scratch.path("tree"));
    let backup = back_up(&scratch, "tree", "all");
    // Kind and mode, owner, device, names and content; times and attributes are not everybody's.
    let coarse = |facts: &String| {
        let words: Vec<&str> = facts.split(" user.").next().unwrap().split(' ').collect();
        // BusyBox leaves a link's owner.
        let owner = if is_root() && !facts.contains(" to ") { &words[1..3] } else { &[] };
        format!("{} {owner:?} {:?}", words[0], &words[4..])
    };
    let before = survey(&scratch.path("tree"));
    for words in READERS {
        let to = dir(&scratch, words[0]);
        let Ok(output) = Command::new(words[0]).args(&words[1..]).arg(&backup).current_dir(&to).output() else {
            skip(&format!("{} is not installed", words[0]));
            continue;
        };
        assert!(output.status.success(), "{words:?}: {output:?}");
        let after = survey(&to.join("tree"));
        assert!(before.keys().eq(after.keys()), "{words:?}: {:?}", after.keys());
        for (path, facts) in &before {
            assert_eq!(coarse(facts), coarse(&after[path]), "{words:?}: {path:?}");
        }
    }
}
