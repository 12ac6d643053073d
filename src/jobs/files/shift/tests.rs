use super::shift;
use crate::engine::rule::Access;
use crate::jobs::files::plan::{FileJob, Verb};
use crate::parts::spot::Place;
use crate::parts::spot::Spot;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// So often another one gets the name between the last look and the rename.
const ENOUGH: usize = 5;
const PATIENCE: Duration = Duration::from_secs(60);

fn make(path: &Path) -> File {
    File::options().write(true).create_new(true).mode(0o600).open(path).unwrap()
}

/// Ends the other thread, however the test ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Somebody exchanges what is to be moved and another file all the time: that one neither stays at the destination nor gets
/// the mode, whenever it comes.
#[test]
fn nothing_else_is_moved_or_changed() {
    let dir = tempfile::tempdir().unwrap();
    let place = |below: &[u8]| Place { root: dir.path().to_str().unwrap().as_bytes().to_vec(), below: below.to_vec() };
    let access = Access { filemode: Some(0o640), ..Access::default() };
    let (auto_create, replace, hardlinks) = (false, false, false);
    let (source, target) = (place(b"src/f"), Some(place(b"dst/f")));
    let job = FileJob { verb: Verb::Move, source, target, auto_create, replace, hardlinks, access };
    let [f, other, moved] = ["src/f", "src/other", "dst/f"].map(|name| dir.path().join(name));
    for name in ["src", "dst"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    let (source, target) = (Spot::find(&job.source).unwrap(), Spot::find(job.target.as_ref().unwrap()).unwrap());
    let (stop, start) = (AtomicBool::new(false), Instant::now());
    let (mut done, mut between, mut before) = (0, 0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _ = renameat_with(CWD, &f, CWD, &other, RenameFlags::EXCHANGE);
            }
        });
        let _stop = Stop(&stop);
        while between < ENOUGH && start.elapsed() < PATIENCE {
            let files = [make(&other), make(&f)];
            let found = source.stat().unwrap().unwrap();
            let result = shift(&job, &source, &target, &found);
            match result {
                Ok(is_moved) => {
                    assert!(is_moved);
                    assert_eq!(fs::metadata(&moved).unwrap().ino(), found.ino, "another one was moved");
                    fs::remove_file(&moved).unwrap();
                    done += 1;
                }
                Err(failure) => {
                    assert!(!moved.exists(), "{failure}");
                    let is_between = failure.to_string().ends_with("another one had its name when it was moved");
                    *if is_between { &mut between } else { &mut before } += 1;
                }
            }
            for file in files.map(|file| file.metadata().unwrap()) {
                let is_changed = file.permissions().mode() & 0o777 != 0o600;
                assert!(!is_changed || file.ino() == found.ino, "another one got the mode");
            }
            for path in [&f, &other, &f] {
                let _ = fs::remove_file(path);
            }
        }
    });
    println!("{done} moves, {before} swaps before the rename, {between} swaps between the last look and the rename");
    assert!(between == ENOUGH, "no swap comes in time");
}
