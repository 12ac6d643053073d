//! A mover that looks where its paths lead, and whether the one is there and the other is not, and renames then. It loses to
//! the same attacker, which shows that the attack is one.

use crate::attacker::{DIRS, Stop, become_attacker, swap};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

const FILES: usize = 400;
/// So often it comes back to each file that it could not move.
const TURNS: usize = 10;
const PATIENCE: Duration = Duration::from_secs(60);

/// Lets it move until it has touched the treasure; tells how long that took.
pub fn loses() -> String {
    let start = Instant::now();
    let mut moves = 0;
    while start.elapsed() < PATIENCE {
        let plan: Vec<_> = (0..FILES).map(|n| (format!("g{n}.mv"), n % DIRS, false)).collect();
        let (scratch, treasure) = crate::scratch(&plan);
        let (src, dst) = (scratch.src(), scratch.path("dst"));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _stop = Stop(&stop);
            let put = || {
                become_attacker();
                plan.iter().for_each(|one| crate::put(&scratch, &treasure, one));
            };
            scope.spawn(put).join().unwrap();
            let swapper = scope.spawn(|| swap(&src, &[&dst], &AtomicI32::new(i32::MAX), &stop));
            for (name, dir, _) in (0..TURNS).flat_map(|_| &plan) {
                let path = format!("d{dir}/{name}");
                moves += usize::from(naive_move((&src, &src.join(&path)), (&dst, &dst.join(&path))));
            }
            stop.store(true, Ordering::Relaxed);
            swapper.join().unwrap();
        });
        if let Some(harm) = treasure.harm().first() {
            return format!("the naive mover has lost after {moves} moves, {:?}: {harm}", start.elapsed());
        }
    }
    panic!("the naive mover has not lost in {moves} moves: the attack has no teeth");
}

/// Whether it was moved: each path below its root.
fn naive_move(from: (&Path, &Path), to: (&Path, &Path)) -> bool {
    let is_below = |(root, path): (&Path, &Path)| {
        let dir = fs::canonicalize(path.parent().unwrap());
        dir.is_ok_and(|dir| dir.starts_with(fs::canonicalize(root).unwrap()))
    };
    from.1.exists() && !to.1.exists() && is_below(from) && is_below(to) && fs::rename(from.1, to.1).is_ok()
}
