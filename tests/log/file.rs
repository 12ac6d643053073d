//! Log files, and which lines go to which targets.

use crate::common::{Daemon, Scratch, comes_true, dogwatch, wait_until};
use crate::{CONFIG, await_rest, fill_a_disk, flood, read_until_lost_lines_are_told, start_with_logs};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

/// Two schedulers whose commands run for each file.
const TWO: &str = "[scheduler quiet]\ncmd = :\n[scheduler other]\ncmd = :\nlogname = loud\n\
                   [event_map m]\nIN_CLOSE_WRITE = quiet, other\n[watch w]\npath = @SRC\nevent_map = m\n";

/// Waits until a file has words in it, each with a new file in the watched directory.
fn await_line(scratch: &Scratch, name: &str, words: &str) {
    wait_until(&format!("{name} says {words:?}"), || {
        fs::write(scratch.src().join("f"), "x").unwrap();
        scratch.read(name).contains(words)
    });
}

#[test]
fn each_target_gets_what_its_levels_say() {
    let scratch = Scratch::new();
    let logs = "[daemon]\nlog = stderr error\nlog = file:@DIR/all debug\nlog.loud = file:@DIR/loud\n\
                log.quiet = file:@DIR/quiet error\n";
    let config = scratch.config(&format!("{logs}{TWO}"));
    let daemon = scratch.spawn(dogwatch().args(["daemon", "-c"]).arg(&config));
    await_line(&scratch, "loud", ": done\n");
    await_line(&scratch, "all", " DEBUG daemon: event IN_CLOSE_WRITE ");
    assert_eq!(daemon.stop(), "", "standard error gets errors only");
    let (all, loud) = (scratch.read("all"), scratch.read("loud"));
    assert!(all.contains(" INFO loud: other#") && all.contains(" INFO quiet: quiet#") && all.contains(" ended\n"));
    assert!(loud.lines().all(|line| line.contains(" INFO loud: other#")), "{loud}");
    assert_eq!(scratch.read("quiet"), "");
    // -d: every line to every target of its name.
    let daemon = scratch.spawn(dogwatch().args(["daemon", "-d", "-c"]).arg(&config));
    await_line(&scratch, "quiet", ": done\n");
    assert!(daemon.stop().contains(" DEBUG daemon: event IN_CLOSE_WRITE "));
}

#[test]
fn the_level_of_a_name_stands_for_those_of_the_targets() {
    let scratch = Scratch::new();
    let logs =
        "[daemon]\nlog = stderr warning\nlog = file:@DIR/all error\nloglevel.loud = debug\nloglevel.daemon = info\n";
    let daemon = scratch.start(&format!("{logs}{TWO}"));
    await_line(&scratch, "all", " INFO loud: other#");
    let texts = [daemon.stop(), scratch.read("all")];
    for text in texts {
        assert!(text.contains(" INFO loud: other#") && text.contains(" INFO daemon: ready, "), "{text}");
        assert!(!text.contains("quiet"), "{text}");
    }
}

#[test]
fn logs_of_a_later_file_replace_earlier_ones() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("conf.d")).unwrap();
    let later = format!("[daemon]\nlog = file:{}\n", scratch.path("b").display());
    fs::write(scratch.path("conf.d/x.conf"), later).unwrap();
    let daemon = start_with_logs(&scratch, "log = stderr\nlog = file:@DIR/a");
    await_line(&scratch, "b", " INFO daemon: ready, directories watched: 1\n");
    assert_eq!(daemon.stop(), "");
    assert!(!scratch.path("a").exists() && scratch.read("b").ends_with(" ended\n"));
}

#[test]
fn a_file_that_cannot_be_opened_at_the_start_ends_it() {
    let scratch = Scratch::new();
    let config = scratch.config(&format!("[daemon]\nlog = stderr\nlog = file:@DIR/no/such\n{CONFIG}"));
    let mut daemon = scratch.spawn(dogwatch().args(["daemon", "-c"]).arg(config));
    assert_eq!(daemon.wait().code(), Some(1));
    let path = scratch.path("no/such");
    assert_eq!(daemon.log(), format!("dogwatch: cannot open log {}: No such file or directory\n", path.display()));
}

/// Both parts together are the end of what standard error shows: no line is missing between them.
#[test]
fn rotation_keeps_one_older_part_and_loses_no_line() {
    let scratch = Scratch::new();
    let daemon = start_with_logs(&scratch, "log = stderr debug\nlog = file:@DIR/part debug\nlog_max_size = 64K");
    flood(&scratch);
    let whole = daemon.stop();
    let (older, newer) = (scratch.read("part.1"), scratch.read("part"));
    assert!(whole.len() > 500_000 && whole.ends_with(&format!("{older}{newer}")), "{older}\n---\n{newer}");
    let size = 60_000..=65_536;
    assert!(size.contains(&older.len()) && newer.len() <= *size.end(), "{} {}", older.len(), newer.len());
    let parts = fs::read_dir(scratch.path("")).unwrap();
    let parts = parts.filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with("part"));
    assert_eq!(parts.count(), 2);
}

#[test]
fn a_fifo_that_nobody_reads_does_not_block() {
    let scratch = Scratch::new();
    let fifo = scratch.path("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let daemon = start_with_logs(&scratch, "log = stderr error\nlog = file:@DIR/fifo debug");
    flood(&scratch);
    await_rest(&daemon);
    read_until_lost_lines_are_told(File::open(&fifo).unwrap());
    assert_eq!(daemon.stop(), "", "and nobody else is bothered");
}

#[test]
fn a_disk_that_was_full_shows_whole_lines_and_the_right_count() {
    fill_a_disk(|scratch, _| start_with_logs(scratch, "log = stderr error\nlog = file:@DIR/disk/log debug"));
}

/// In the background a log file is as good as ever, and nothing has to be warned of.
#[test]
fn a_file_serves_in_the_background() {
    let scratch = Scratch::new();
    let config = scratch.config(&format!("[daemon]\nlog = file:@DIR/file\n{CONFIG}"));
    let mut command = dogwatch();
    command.args(["daemon", "-b", "-c"]).arg(config).arg("--pid-file").arg(scratch.path("pid"));
    let output = scratch.places(&mut command).output().unwrap();
    let daemon = Pid::from_raw(scratch.read("pid").trim().parse().unwrap()).unwrap();
    let ready = comes_true(Duration::from_secs(30), || scratch.read("file").contains(" INFO daemon: ready, "));
    kill_process(daemon, Signal::TERM).unwrap();
    assert!(ready && output.status.success(), "{output:?}");
    assert_eq!(output.stderr, b"");
    wait_until("it has ended", || scratch.read("file").ends_with(" INFO daemon: ended\n"));
}

/// SIGHUP, until the configuration has been read again.
fn hang_up(daemon: &Daemon, said: impl Fn() -> String, words: &str) {
    let before = said().matches(words).count();
    daemon.signal(Signal::HUP);
    wait_until(words, || said().matches(words).count() > before);
}

/// What logrotate does: every line is in one of the two files.
#[test]
fn sighup_opens_the_files_anew() {
    let scratch = Scratch::new();
    let daemon = start_with_logs(&scratch, "log = stderr\nlog = file:@DIR/file");
    let said = || daemon.log();
    fs::rename(scratch.path("file"), scratch.path("older")).unwrap();
    hang_up(&daemon, said, "the new configuration is taken");
    await_line(&scratch, "file", "f: done");
    // Also if the configuration is not taken.
    fs::rename(scratch.path("file"), scratch.path("old")).unwrap();
    scratch.config("[daemon]\nlogg = x\n");
    hang_up(&daemon, said, "the new configuration is not taken");
    await_line(&scratch, "file", "f: done");
    let log = daemon.stop();
    assert_eq!(log, ["older", "old", "file"].map(|name| scratch.read(name)).concat());
}

#[test]
fn sighup_takes_other_logs_if_they_can_be_opened() {
    let scratch = Scratch::new();
    let daemon = start_with_logs(&scratch, "log = stderr\nlog = file:@DIR/a");
    scratch.config(&format!("[daemon]\nlog = file:@DIR/no/such\n{CONFIG}"));
    hang_up(&daemon, || scratch.read("a"), "cannot open log");
    await_line(&scratch, "a", "the new configuration is not taken: the old one goes on");
    scratch.config(&format!("[daemon]\nlog = file:@DIR/b\n{CONFIG}"));
    hang_up(&daemon, || scratch.read("b"), "the new configuration is taken");
    let before = (daemon.log(), scratch.read("a"));
    await_line(&scratch, "b", "f: done");
    let open = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap();
    let open: Vec<PathBuf> = open.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok()).collect();
    assert!(open.contains(&scratch.path("b")) && !open.contains(&scratch.path("a")), "{open:?}");
    assert_eq!((daemon.stop(), scratch.read("a")), before, "they get no more");
}
