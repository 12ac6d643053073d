//! `dogwatch backup run`, and what a terminal shows while that and others read and write.

use super::{Scratch, backup, dir, dogwatch, done, noise, told};
use crate::tree::survey;
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use std::fs::{self, File};
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How often a line on a terminal may change.
const EVERY: Duration = Duration::from_millis(250);
const WIPED: &str = "\r\x1b[K";

#[test]
fn backups_are_made_at_once() {
    let scratch = Scratch::new();
    for name in ["a", "b"] {
        fs::write(dir(&scratch, name).join("f"), name).unwrap();
    }
    for schedule in ["a;00:00;one", "gone;12:00;two", "b;23:59;three;keep=2"] {
        done(&scratch, &["create", schedule]);
    }
    let path = |name: &str| format!("{}\n", scratch.path(format!("backups/{name}")).display());
    assert_eq!(done(&scratch, &["run", "one"]), path("one.tar"));
    assert_eq!(done(&scratch, &["contents", "one"]).lines().count(), 2);
    // One that fails keeps no other from being made.
    fs::remove_file(scratch.path("backups/one.tar")).unwrap();
    let (status, out, err) = told(&backup(&scratch, &["run", "all"]));
    let dated = out.strip_prefix(&path("one.tar")).unwrap().trim_end().to_owned();
    assert!(dated.starts_with(path("three-").trim_end()) && dated.ends_with(".tar"), "{out}");
    assert_eq!((status, err.as_str()), (Some(1), "dogwatch: cannot back up gone: No such file or directory\n"));
    assert_eq!(done(&scratch, &["backups"]).lines().count(), 2);
    for (name, member) in [("one", "a/f"), ("three", "b/f")] {
        dir(&scratch, &format!("to {name}"));
        done(&scratch, &["restore", name, &format!("to {name}")]);
        assert_eq!(scratch.read(&format!("to {name}/{member}")), member.split_once('/').unwrap().0);
    }
    let log = scratch.read("logs/backup_service.log");
    let lines: Vec<&str> = log.lines().map(|line| line.split_once("] ").unwrap().1).collect();
    let of_three = format!("Backup done for b in backups/{}", dated.rsplit('/').next().unwrap());
    let failed = "Backup failed for gone: cannot back up gone: No such file or directory";
    let of_one = "Backup done for a in backups/one.tar";
    assert_eq!(lines, [of_one, of_one, failed, &of_three]);
    let (status, out, err) = told(&backup(&scratch, &["run", "none"]));
    assert_eq!((status, out.as_str(), err.as_str()), (Some(1), "", "dogwatch: no schedule of the name none\n"));
}

/// What a terminal shows on standard error, and how long that takes; it must end well.
fn on_a_terminal(scratch: &Scratch, words: &[&str]) -> (String, Duration) {
    let mut terminal = File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap());
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let side = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let begun = Instant::now();
    let mut command = dogwatch();
    command.arg("backup").args(words).current_dir(scratch.path("")).stdout(Stdio::null()).stderr(side);
    let mut child = command.spawn().unwrap();
    // Its other side is ours no more: reading comes to an end with the child, as EIO.
    drop(command);
    let mut shown = Vec::new();
    terminal.read_to_end(&mut shown).unwrap_err();
    assert!(child.wait().unwrap().success(), "{words:?}");
    (String::from_utf8(shown).unwrap(), begun.elapsed())
}

/// The bar grows with what is done of all that is to be done, changes a few times a second at most, and is gone in the end. Where
/// standard error is no terminal, there is none: so the other tests have it.
#[test]
fn a_terminal_is_shown_how_far_it_is() {
    let scratch = Scratch::new();
    for name in ["tree/.cache", "to"] {
        fs::create_dir_all(scratch.path(name)).unwrap();
    }
    for n in 0..8 {
        fs::write(scratch.path(format!("tree/noise{n}")), noise(2 << 20)).unwrap();
    }
    // What is left out is not waited for, and several names are one file.
    for n in 0..60 {
        fs::hard_link(scratch.path("tree/noise0"), scratch.path(format!("tree/again{n}"))).unwrap();
    }
    for name in ["tree/left.out", "tree/.cache/f"] {
        File::create(scratch.path(name)).unwrap().set_len(1 << 40).unwrap();
    }
    fs::write(scratch.path("tree/.cache/CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55").unwrap();
    done(&scratch, &["create", "tree;00:00;t;exclude=*.out"]);
    for words in [&["run", "t"][..], &["verify", "t"], &["restore", "t", "to"]] {
        let (shown, took) = on_a_terminal(&scratch, words);
        let Some(bars) = shown.strip_suffix(WIPED) else { panic!("{words:?}: {shown:?}") };
        let percent = |bar: &str| bar.strip_suffix(" %").unwrap().rsplit(' ').next().unwrap().parse::<u32>().unwrap();
        let percents: Vec<u32> = bars.split(WIPED).skip(1).map(percent).collect();
        println!("{words:?}: {took:?}, {percents:?}");
        assert!(percents.is_sorted() && !percents.is_empty(), "{percents:?}");
        assert!(percents.len() as u128 <= 1 + took.as_millis() / EVERY.as_millis(), "{took:?}: {percents:?}");
        // The last part of what was read is not told.
        assert!(took < 3 * EVERY || *percents.last().unwrap() > 20, "{took:?}: {percents:?}");
    }
    assert_eq!(survey(&scratch.path("to/tree")).len(), 8 + 60 + 2);
}

/// What is told meanwhile stands on lines of its own, as names are.
#[test]
fn a_warning_takes_the_place_of_the_bar() {
    let scratch = Scratch::new();
    dir(&scratch, "tree");
    fs::write(scratch.path("tree/a"), noise(1 << 20)).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(scratch.path("tree/b\\")).unwrap();
    done(&scratch, &["create", "tree;00:00;t"]);
    let (shown, _) = on_a_terminal(&scratch, &["run", "t"]);
    let lines: Vec<&str> = shown.split(WIPED).filter(|part| !part.starts_with('[')).collect();
    assert_eq!(lines, ["", "dogwatch: cannot archive tree/b\\\\: it is a socket\r\n"]);
}
