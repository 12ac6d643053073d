//! The archive writer beside GNU tar with gzip, tar through pigz with one thread, bsdtar and Python's tarfile: time of the
//! processors, size, and what the main process and the worker take in memory. GNU tar in its usual format stores whole seconds;
//! it is there once more in that of POSIX, in which it stores nanoseconds, as Python's tarfile and dogwatch do.
//!
//! The same files are archived by each in turn; dogwatch is last, by `dogwatch collect`, which removes them. Its time is that
//! of all its processes, with claims, fsync(2) and removal. It also reads its archive back, which the others do not: what that
//! takes is measured in this process, by the same code on the same archive, and shown apart. All find the files in memory.
//!
//! Mixed data are made from a seed: 25 % prose, 15 % log lines, 30 % records of 64 bytes, 20 % random bytes (as what is
//! compressed already), 10 % zeros, of which half are holes; in files of 4 KiB to 32 MiB. Small files have 1 KiB of one of
//! these. `DOGWATCH_BENCH_MIB` makes less of both; the goals are meant for 512. All of it lies in TMPDIR: where a disk discards
//! what is removed at once, small files take minutes there. A word of a headline chooses: `cargo bench --bench archive -- mixed`.

// Whole floors, for what archives need is spread over them; most of the rest is not used here.
#[allow(dead_code, unused_imports)]
#[path = "../src/engine/mod.rs"]
mod engine;
#[allow(dead_code, unused_imports)]
#[path = "../src/jobs/mod.rs"]
mod jobs;
#[allow(dead_code, unused_imports)]
#[path = "../src/parts/mod.rs"]
mod parts;
#[allow(dead_code, unused_imports)]
#[path = "../src/sys/mod.rs"]
mod sys;

use fastrand::Rng;
use rustix::process::{WaitOptions, getpid, set_child_subreaper};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 3;
const USUAL_MIB: usize = 512;
const SMALL_FILES: usize = 100_000;
const SMALL: usize = 1 << 10;
/// What `--threshold` takes; all that is there is collected.
const MOST_THRESHOLD: usize = 65_535;
/// How often the worker's memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// With gzip's level 6 on the mixed data: times as fast as GNU tar with gzip, the reading back counted apart and with it.
const FAST: [f64; 2] = [2.0, 1.6];
/// Of all: part of its archive's size; MiB of memory of each process.
const MOST_SIZE: f64 = 1.03;
const MOST_MEMORY: f64 = 16.0;

/// Others, with what has to be installed for them, and the line for `sh`: level, directory and archive are its arguments. The
/// first is the one that the rest are compared with.
const OTHERS: [(&str, &[&str], &str); 5] = [
    ("GNU tar, gzip", &["tar", "gzip"], r#"tar -C "$2" -I "gzip -$1" -cf "$3" ."#),
    (
        "  in POSIX's format",
        &["tar", "gzip"],
        r#"tar -C "$2" -I "gzip -$1" --format posix --pax-option delete=atime,delete=ctime -cf "$3" ."#,
    ),
    ("tar | pigz -p 1", &["tar", "pigz"], r#"tar -C "$2" -cf - . | pigz -p 1 "-$1" > "$3""#),
    ("bsdtar", &["bsdtar"], r#"bsdtar -C "$2" --options "gzip:compression-level=$1" -czf "$3" ."#),
    ("Python's tarfile", &["python3"], r#"exec python3 -c "$PACK" "$@""#),
];
const PACK: &str = "import sys, tarfile
level, source, target = sys.argv[1:]
with tarfile.open(target, 'w:gz', compresslevel=int(level)) as archive: archive.add(source, '.')";

fn main() {
    // Cargo builds the program as it builds this one.
    if cfg!(debug_assertions) {
        println!("not measured, for dogwatch is not built optimised here: cargo bench does that");
        return;
    }
    // What a child leaves running becomes ours, so that all of its time is counted.
    set_child_subreaper(Some(getpid())).unwrap();
    let mib = std::env::var("DOGWATCH_BENCH_MIB").map_or(USUAL_MIB, |mib| mib.parse().unwrap());
    let is_there = |program: &&str| {
        let found = Command::new("sh").args(["-c", "command -v \"$1\"", "sh", program]).stdout(Stdio::null()).status();
        let is_there = found.unwrap().success();
        assert!(is_there || std::env::var_os("CI").is_none(), "{program} is not installed");
        is_there
    };
    let is_complete = OTHERS.map(|(name, programs, _)| {
        let is_complete = programs.iter().all(is_there);
        if !is_complete {
            println!("{name} is left out, for it is not installed");
        }
        is_complete
    });
    assert!(is_complete[0], "what the rest are compared with is missing");
    let small = SMALL_FILES * mib / USUAL_MIB;
    let mixed = (format!("{mib} MiB of mixed data"), &(|dir: &Path| make_mixed(dir, mib << 20)) as &dyn Fn(&Path) -> _);
    let small = (format!("{small} files of 1 KiB"), &(|dir: &Path| make_small(dir, small)) as &dyn Fn(&Path) -> _);
    for (what, make) in [mixed, small] {
        // Cargo adds an option.
        let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--")).peekable();
        if words.peek().is_none() || words.any(|word| what.contains(&word)) {
            [6, 1].into_iter().for_each(|level| compare(&what, level, &is_complete, make));
        }
    }
}

/// What an archive took: seconds of the processors, seconds by the clock, and its bytes.
#[derive(Clone, Copy, Default)]
struct Took {
    cpu: f64,
    clock: f64,
    bytes: f64,
}

fn compare(what: &str, level: u32, is_complete: &[bool; 5], make: &dyn Fn(&Path) -> usize) {
    let mut others: [Vec<Took>; 5] = Default::default();
    let (mut ours, mut backs, mut files, mut memory) = (Vec::new(), Vec::new(), 0, [0.0; 2]);
    for _ in 0..ROUNDS {
        let scratch = tempfile::tempdir().unwrap();
        let spool = scratch.path().join("tmp");
        fs::create_dir(&spool).unwrap();
        files = make(&spool);
        rustix::fs::sync();
        let archive = scratch.path().join("other.tar.gz");
        for ((_, _, line), took) in
            OTHERS.iter().zip(&mut others).zip(is_complete).filter(|(_, is)| **is).map(|(o, _)| o)
        {
            let mut command = Command::new("sh");
            command.args(["-c", line, "sh", &level.to_string()]).arg(&spool).arg(&archive).env("PACK", PACK);
            took.push(measure(&mut command, &archive, &mut |_| {}));
            fs::remove_file(&archive).unwrap();
        }
        ours.push(collect(scratch.path(), files, level, &mut memory));
        backs.push(read_back(&scratch.path().join("files.tar.gz"), files));
    }
    println!("{what} in {files} files, level {level}, medians of {ROUNDS} rounds");
    println!("                      processors   by the clock        bytes   times as fast   part of the size");
    let first = &others[0];
    let ratios = |took: &[Took], less: &[f64], value: fn(&Took) -> f64| {
        let pairs = took.iter().zip(first).zip(less.iter().chain(std::iter::repeat(&0.0)));
        median(pairs.map(|((took, first), less)| value(first) / (value(took) - less)))
    };
    let line = |name: &str, took: &[Took], less: &[f64]| {
        let median_of = |value: fn(&Took) -> f64| median(took.iter().map(value));
        let cpu =
            median(took.iter().zip(less.iter().chain(std::iter::repeat(&0.0))).map(|(took, less)| took.cpu - less));
        let (clock, bytes) = (median_of(|took| took.clock), median_of(|took| took.bytes));
        let (speed, size) = (ratios(took, less, |took| took.cpu), 1.0 / ratios(took, &[], |took| took.bytes));
        println!("{name:20} {cpu:10.2} s {clock:12.2} s {bytes:12.0} {speed:15.2} {size:18.3}");
        (speed, size)
    };
    for ((name, _, _), took) in OTHERS.iter().zip(&others).filter(|(_, took)| !took.is_empty()) {
        line(name, took, &[]);
    }
    let (with, size) = line("dogwatch", &ours, &[]);
    let (without, _) = line("  not reading back", &ours, &backs);
    println!("dogwatch's memory at the most: {:.1} MiB, its worker's {:.1}", memory[0], memory[1]);
    let told = |goal: f64, is_met: bool| format!("{goal}: {}", if is_met { "met" } else { "missed" });
    let memory = told(MOST_MEMORY, memory.iter().all(|memory| *memory <= MOST_MEMORY));
    println!("goals: {} of the size, {memory} MiB", told(MOST_SIZE, size <= MOST_SIZE));
    if level == 6 && what.contains("mixed") {
        let (without, with) = (told(FAST[0], without >= FAST[0]), told(FAST[1], with >= FAST[1]));
        println!("goals: {without} times as fast, {with} with the reading back");
    }
    println!();
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs a program that makes an archive; `look` is shown its number again and again.
fn measure(command: &mut Command, archive: &Path, look: &mut dyn FnMut(u32)) -> Took {
    let (before, start) = (used(libc::RUSAGE_CHILDREN), Instant::now());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => look(child.id()),
        }
        std::thread::sleep(LOOK_EVERY);
    };
    let clock = start.elapsed().as_secs_f64();
    assert!(status.success(), "{command:?}: {status}");
    // A worker outlives dogwatch by a moment, and falls to us.
    while rustix::process::wait(WaitOptions::empty()).is_ok() {}
    let cpu = used(libc::RUSAGE_CHILDREN) - before;
    Took { cpu, clock, bytes: fs::metadata(archive).unwrap().len() as f64 }
}

/// Seconds of the processors that this process has used, or its children that have ended and been waited for, with theirs.
#[allow(unsafe_code, reason = "no safe wrapper is at hand")]
fn used(whose: libc::c_int) -> f64 {
    // SAFETY: zeros are a valid value of these numbers.
    let mut found: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one rusage, which lives for the call.
    assert_eq!(unsafe { libc::getrusage(whose, &raw mut found) }, 0);
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(found.ru_utime) + seconds(found.ru_stime)
}

/// Collects all of the spool, and tells how many MiB dogwatch and its worker have had in memory at the most.
fn collect(base: &Path, files: usize, level: u32, memory: &mut [f64; 2]) -> Took {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dogwatch"));
    command
        .args([
            "collect",
            "--threshold",
            &files.min(MOST_THRESHOLD).to_string(),
            "--level",
            &level.to_string(),
            "--base-dir",
        ])
        .arg(base);
    let took = measure(command.env_remove("JOURNAL_STREAM"), &base.join("files.tar.gz"), &mut |pid| {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let workers = children.split_whitespace().map(|worker| (worker.to_owned(), 1));
        for (pid, which) in workers.chain([(pid.to_string(), 0)]) {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let kib =
                status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
            memory[which] = memory[which].max(kib.unwrap_or(0.0) / 1024.0);
        }
    });
    assert_eq!(fs::read_dir(base.join("tmp")).unwrap().count(), 0, "not everything was collected");
    took
}

/// Reads an archive as dogwatch does before it gets its name; the answer is what that took of the processors.
fn read_back(archive: &Path, files: usize) -> f64 {
    let file = File::open(archive).unwrap();
    let before = used(libc::RUSAGE_SELF);
    sys::copy::forget(file.as_fd()).unwrap();
    let read = jobs::archive::read_through(file.as_fd(), b"files.tar.gz", &mut |_| {});
    let took = used(libc::RUSAGE_SELF) - before;
    assert_eq!(read.ok().map(|sums| sums.members), Some(files as u64), "it does not hold what was collected");
    took
}

// Data.

#[derive(Clone, Copy, PartialEq)]
enum Sort {
    Prose,
    Log,
    Records,
    Random,
    Zeros,
    Hole,
}

/// Sorts of data, and how many hundredths of the whole each is.
const SORTS: [(Sort, usize); 6] =
    [(Sort::Prose, 25), (Sort::Log, 15), (Sort::Records, 30), (Sort::Random, 20), (Sort::Zeros, 5), (Sort::Hole, 5)];

/// Words of one to four syllables: the more seldom, the longer.
struct Words(Vec<String>);

impl Words {
    fn new(random: &mut Rng) -> Words {
        const STARTS: [&str; 16] = ["b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "th", "st", "w"];
        const ENDS: [&str; 12] = ["a", "e", "i", "o", "u", "an", "er", "in", "on", "ed", "es", "ing"];
        let syllable = |random: &mut Rng| [STARTS[random.usize(..16)], ENDS[random.usize(..12)]].concat();
        let word = |n: usize| (0..=(n + 8).ilog2() / 4).map(|_| syllable(random)).collect();
        Words((0..8_000).map(word).collect())
    }

    /// The n-th is met as often as 1/n says.
    fn any(&self, random: &mut Rng) -> &str {
        let most = self.0.len() as f64;
        &self.0[most.powf(random.f64()) as usize % self.0.len()]
    }
}

fn fill(sort: Sort, size: usize, words: &Words, random: &mut Rng) -> Vec<u8> {
    let mut data = Vec::with_capacity(size + 256);
    let (mut clock, mut value) = (1_700_000_000_000 + random.u64(..1 << 32), 20_000);
    while data.len() < size {
        clock += random.u64(1..900);
        match sort {
            Sort::Prose => {
                let end = [" ", " ", " ", " ", " ", " ", " ", " ", ", ", ".\n"][random.usize(..10)];
                data.extend([words.any(random), end].concat().bytes());
            }
            Sort::Log => {
                let level = ["INFO", "INFO", "INFO", "DEBUG", "WARNING"][random.usize(..5)];
                let (host, pid, ms) = (random.u8(..20), random.u16(1000..1050), random.u32(..5_000));
                let (one, other) = (words.any(random), words.any(random));
                let status = [200, 200, 200, 304, 404, 500][random.usize(..6)];
                writeln!(
                    data,
                    "{clock} web{host:02} server[{pid}]: {level} GET /{one}/{other}.html status={status} ms={ms}"
                )
                .unwrap();
            }
            Sort::Records => {
                value += random.i32(-40..=40);
                data.extend((data.len() as u32 / 64).to_le_bytes());
                data.extend(random.u32(..12).to_le_bytes());
                data.extend(clock.to_le_bytes());
                data.extend(value.to_le_bytes());
                data.extend((f64::from(value) / 7.0).to_le_bytes());
                data.extend(format!("{:<16.16}", words.any(random)).bytes());
                data.resize(data.len().next_multiple_of(64), 0);
            }
            Sort::Random => data.extend(random.u64(..).to_le_bytes()),
            Sort::Zeros => data.resize(size, 0),
            Sort::Hole => break,
        }
    }
    data.truncate(size);
    data
}

fn write(path: &Path, sort: Sort, size: usize, words: &Words, random: &mut Rng) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(&fill(sort, size, words, random)).unwrap();
    file.into_inner().unwrap().set_len(size as u64).unwrap();
}

/// Each sort as large as it should be, in files of sizes that are as often between 4 and 8 KiB as between 16 and 32 MiB.
fn make_mixed(dir: &Path, bytes: usize) -> usize {
    let mut random = Rng::with_seed(7);
    let words = Words::new(&mut random);
    let mut made = 0;
    for (sort, part) in SORTS {
        let mut left = bytes / 100 * part;
        while left > 0 {
            let size = ((1 << random.usize(12..25)) + random.usize(..4096)).min(left);
            write(&dir.join(format!("delivery-{made:04}.dat")), sort, size, &words, &mut random);
            (made, left) = (made + 1, left - size);
        }
    }
    made
}

fn make_small(dir: &Path, files: usize) -> usize {
    let mut random = Rng::with_seed(7);
    let words = Words::new(&mut random);
    for n in 0..files {
        let at = random.usize(..100);
        let mut sums = SORTS.iter().scan(0, |sum, (sort, part)| {
            *sum += part;
            Some((*sort, *sum))
        });
        let (sort, _) = sums.find(|(_, sum)| at < *sum).unwrap();
        write(&dir.join(format!("upload-{n:06}.dat")), sort, SMALL, &words, &mut random);
    }
    files
}
