//! SIGKILL at random moments, to the daemon and its workers with it, or to a worker alone, while files and trees are moved
//! and copied all the time. What is whole before is whole after, and the last run brings everything to its end.
//!
//! `DOGWATCH_FILES` is how many are moved and copied, `DOGWATCH_SEED` makes a run again (but for the machine's own timing).

use crate::common::{Daemon, Scratch, comes_true, dogwatch, skip};
use crate::{children, facts, far, scratch, temporaries};
use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Of the daemon. Then it may come to its end.
const MOST_KILLS: u32 = 100;

/// Something to be moved or copied.
struct Piece {
    source: PathBuf,
    target: PathBuf,
    is_move: bool,
    /// What it is like, and what stands at the target before it, if anything does.
    new: Vec<String>,
    old: Option<Vec<String>>,
}

/// The directories on both file systems.
struct Ground {
    scratch: Scratch,
    far: tempfile::TempDir,
}

/// How often what was seen after a kill.
#[derive(Debug, Default)]
struct Seen {
    daemons: u32,
    workers: u32,
    in_the_middle: u32,
    drafts: usize,
    claims: usize,
    gone: usize,
    both_places: usize,
}

impl Ground {
    fn sources(&self) -> [PathBuf; 2] {
        [self.scratch.src(), self.far.path().join("src")]
    }

    fn targets(&self) -> [PathBuf; 2] {
        [self.scratch.path("dst"), self.far.path().join("dst")]
    }

    /// Rules for `ACTION-SIDE-HOW-...`: to the same file system or the other one, over what is there or not.
    fn config(&self) -> PathBuf {
        let (mut rules, mut names) = (String::new(), Vec::new());
        for (from, source) in self.sources().iter().enumerate() {
            for (to, target) in self.targets().iter().enumerate() {
                for action in ["move", "copy"] {
                    for replaces in ["no", "yes"] {
                        let name = format!("{action}-{from}{to}-{replaces}");
                        let (source, target) = (source.display(), target.display());
                        rules += &format!("[rule {name}]\naction = {action}\noverride = {replaces}\n");
                        rules += &format!("src_re = ^{source}/({name}-.*)$\ndst_re = {target}/\\1\n");
                        names.push(name);
                    }
                }
            }
        }
        let names = names.join(", ");
        let [near, far] = self.sources().map(|path| path.display().to_string());
        self.scratch.config(&format!(
            "[daemon]\nshutdown_timeout = 0\nloglevel.files = debug\nloglevel.trees = debug\n{rules}\
             [scheduler files]\nrules = {names}\n[scheduler trees]\nrules = {names}\nfiles = no\ndirs = yes\n\
             [event_map m]\nIN_CLOSE_WRITE = files\nIN_MOVED_TO = files, trees\nIN_CREATE = trees\n\
             [watch w]\npath = {near}\npath = {far}\nevent_map = m\nexisting = yes\n"
        ))
    }

    fn daemon(&self, config: &Path) -> Daemon {
        self.scratch.start_with(dogwatch().args(["daemon", "-c"]).arg(config))
    }

    fn pieces(&self, rng: &mut Rng, count: usize) -> Vec<Piece> {
        (0..count).map(|n| self.piece(rng, n)).collect()
    }

    fn piece(&self, rng: &mut Rng, n: usize) -> Piece {
        let (from, to, is_move) = (rng.usize(..2), rng.usize(..2), n % 4 != 3);
        // A copy over what is there is made anew at each start: of these there are few.
        let replaces = if is_move { rng.bool() } else { n % 40 == 3 };
        let action = if is_move { "move" } else { "copy" };
        let name = format!("{action}-{from}{to}-{}-{n}", if replaces { "yes" } else { "no" });
        let (source, target) = (self.sources()[from].join(&name), self.targets()[to].join(&name));
        make(rng, &source);
        let old = (replaces && rng.bool()).then(|| {
            make(rng, &target);
            facts(&target)
        });
        let new = facts(&source);
        Piece { source, target, is_move, new, old }
    }

    fn leftovers(&self) -> Vec<PathBuf> {
        self.sources().iter().chain(&self.targets()).flat_map(|dir| temporaries(dir)).collect()
    }

    fn called(&self, what: &str) -> usize {
        self.leftovers().iter().filter(|path| path.to_str().unwrap().contains(what)).count()
    }
}

/// A file, or a tree.
fn make(rng: &mut Rng, path: &Path) {
    let file = |rng: &mut Rng, path: &Path| {
        let len = if rng.u8(..40) == 0 { 2 << 20 } else { rng.usize(..20_000) };
        fs::write(path, vec![rng.u8(..); len]).unwrap();
    };
    if rng.bool() {
        return file(rng, path);
    }
    fs::create_dir_all(path.join("dir/inner")).unwrap();
    for n in 0..rng.usize(1..12) {
        file(rng, &path.join(["", "dir", "dir/inner"][n % 3]).join(n.to_string()));
    }
    fs::hard_link(path.join("0"), path.join("dir/again")).unwrap();
    symlink("dir/again", path.join("link")).unwrap();
}

impl Piece {
    fn is_at(&self, path: &Path) -> bool {
        path.symlink_metadata().is_ok() && facts(path) == self.new
    }

    /// What holds at every moment.
    fn check(&self, claims: &[PathBuf]) {
        let name = self.source.file_name().unwrap();
        let claimed = claims.iter().map(|claim| claim.join(name));
        let mut places = claimed.chain([self.source.clone(), self.target.clone()]);
        assert!(places.any(|path| self.is_at(&path)), "it is whole nowhere: {}", self.source.display());
        assert!(self.is_move || self.is_at(&self.source), "its original is not whole: {}", self.source.display());
        if self.target.symlink_metadata().is_ok() {
            let there = facts(&self.target);
            assert!(there == self.new || Some(&there) == self.old.as_ref(), "half there: {}", self.target.display());
        }
    }

    /// What holds when all is over.
    fn is_done(&self) -> bool {
        self.target.exists() && self.source.exists() != self.is_move
    }
}

impl Seen {
    /// Looks at what a kill of the daemon has left.
    fn look(&mut self, ground: &Ground, pieces: &[Piece]) {
        let left = ground.leftovers();
        pieces.iter().for_each(|piece| piece.check(&left));
        let (claims, gone) = (ground.called("/.dogwatch-move-"), ground.called("/.dogwatch-gone-"));
        let is_in_both =
            |piece: &&Piece| piece.is_move && piece.old.is_none() && piece.source.exists() && piece.target.exists();
        let both_places = pieces.iter().filter(is_in_both).count();
        self.drafts += left.len() - claims - gone;
        self.claims += claims;
        self.gone += gone;
        self.both_places += both_places;
        self.in_the_middle += u32::from(!left.is_empty() || both_places > 0);
    }
}

/// Waits until so many more jobs have ended, and then for a moment; false if there are no more.
fn let_it_work(daemon: &Daemon, jobs: usize, moment: Duration) -> bool {
    let ended = || daemon.log().matches(": done: ").count();
    let before = ended();
    let has_come = comes_true(Duration::from_millis(300), || ended() >= before + jobs);
    std::thread::park_timeout(moment);
    has_come
}

#[test]
fn everything_is_whole_whenever_it_is_killed() {
    let Some(far) = far() else { return skip("/dev/shm is no other file system") };
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("DOGWATCH_SEED").unwrap_or_else(|| fastrand::u64(..));
    let count = number("DOGWATCH_FILES").map_or(200, |count| usize::try_from(count).unwrap());
    println!("DOGWATCH_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let ground = Ground { scratch: scratch(), far };
    ["src", "dst"].iter().for_each(|dir| fs::create_dir(ground.far.path().join(dir)).unwrap());
    let config = ground.config();
    let pieces = ground.pieces(&mut rng, count);
    let mut seen = Seen::default();
    // At most so many jobs are done from one kill to the next.
    let pace = 1 + count / 100;
    while seen.daemons < MOST_KILLS {
        let mut daemon = ground.daemon(&config);
        let mut has_work = true;
        while has_work && rng.u8(..3) == 0 {
            has_work = let_it_work(&daemon, rng.usize(..2), Duration::from_micros(rng.u64(..10_000)));
            let workers = children(daemon.pid());
            if let Some(pid) = rng.choice(workers) {
                seen.workers += u32::from(kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).is_ok());
            }
        }
        let_it_work(&daemon, rng.usize(..pace), Duration::from_micros(rng.u64(..10_000)));
        if rng.u8(..3) == 0 {
            // This moment is short.
            let is_claimed = || ground.called("/.dogwatch-move-") > 0;
            comes_true(Duration::from_millis(100), is_claimed);
        }
        crate::kill_all(&mut daemon);
        seen.daemons += 1;
        seen.look(&ground, &pieces);
        if pieces.iter().all(Piece::is_done) {
            break;
        }
    }
    println!("{count} pieces: {seen:?}");
    let daemon = ground.daemon(&config);
    // A copy is made once more, or not, for its original is still there.
    let was_seen = |piece: &Piece, log: &str| {
        let name = format!("{} (found by a scan): ", piece.source.display());
        piece.is_move || ["done", "failed"].iter().any(|end| log.contains(&format!("{name}{end}: ")))
    };
    let is_over = || {
        pieces.iter().all(Piece::is_done) && {
            let log = daemon.log();
            pieces.iter().all(|piece| was_seen(piece, &log))
        }
    };
    let left = || {
        (
            ground.leftovers(),
            pieces.iter().filter(|piece| !piece.is_done()).map(|piece| &piece.source).collect::<Vec<_>>(),
        )
    };
    assert!(
        comes_true(Duration::from_secs(60), || is_over() && ground.leftovers().is_empty()),
        "{:?}\n{}",
        left(),
        daemon.log()
    );
    daemon.stop();
    for piece in &pieces {
        assert!(piece.is_at(&piece.target), "{}", piece.target.display());
        assert_eq!(piece.is_at(&piece.source), !piece.is_move, "{}", piece.source.display());
    }
    let there: usize =
        ground.sources().iter().chain(&ground.targets()).map(|dir| fs::read_dir(dir).unwrap().count()).sum();
    assert_eq!(there, pieces.iter().map(|piece| if piece.is_move { 1 } else { 2 }).sum::<usize>());
    assert!(seen.in_the_middle > 0 && seen.drafts > 0, "no kill has come in between: {seen:?}");
}
