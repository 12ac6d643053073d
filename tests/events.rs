//! `dogwatch events` and `dogwatch list-events`: what happens, a line each, for people and for other programs.

mod common;

use common::{Scratch, await_watched, comes_true, dogwatch, name, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// `dogwatch events` with these arguments, whose standard output is a pipe that the test reads when it wants to.
struct Events {
    child: Child,
    output: std::process::ChildStdout,
}

impl Events {
    /// In the scratch directory, once it watches `src`.
    #[track_caller]
    fn start(scratch: &Scratch, arguments: &[&str]) -> Events {
        let mut command = dogwatch();
        command.arg("events").args(arguments).current_dir(scratch.path("")).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(File::create(scratch.path("log")).unwrap()).spawn().unwrap();
        await_watched(child.id(), &scratch.src());
        let output = child.stdout.take().unwrap();
        Events { child, output }
    }

    /// All that is printed until its end, and its exit status.
    #[track_caller]
    fn rest(mut self) -> (String, Option<i32>) {
        let mut text = Vec::new();
        self.output.read_to_end(&mut text).unwrap();
        (String::from_utf8(text).unwrap(), self.child.wait().unwrap().code())
    }

    /// Reads until some text has come.
    #[track_caller]
    fn read_until(&mut self, end: &[u8]) -> Vec<u8> {
        let (mut seen, mut byte) = (Vec::new(), [0]);
        while !seen.ends_with(end) {
            assert_eq!(self.output.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&seen));
            seen.push(byte[0]);
        }
        seen
    }

    /// Waits for its end, whatever it prints.
    #[track_caller]
    fn await_end(&mut self) -> Option<i32> {
        let mut status = None;
        let ended = comes_true(Duration::from_secs(60), || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(ended, "it does not end");
        status.unwrap().code()
    }
}

fn write(path: &Path) {
    fs::write(path, "x").unwrap();
}

#[test]
fn every_change_is_a_line() {
    let scratch = Scratch::new();
    let events = Events::start(&scratch, &["-r", "-n", "8", "src"]);
    let src = scratch.src();
    write(&src.join("a"));
    fs::rename(src.join("a"), src.join("b")).unwrap();
    fs::read(src.join("b")).unwrap();
    fs::remove_file(src.join("b")).unwrap();
    fs::create_dir(src.join("dir")).unwrap();
    fs::remove_dir(src.join("dir")).unwrap();
    let (text, status) = events.rest();
    let expected = [
        "IN_CREATE a",
        "IN_MODIFY a",
        "IN_CLOSE_WRITE a",
        "IN_MOVED_FROM a",
        "IN_MOVED_TO b",
        "IN_DELETE b",
        "IN_CREATE dir",
        "IN_DELETE dir",
    ];
    let expected: String = expected.map(|line| line.replace(' ', &format!(" {}/", src.display())) + "\n").concat();
    // Whether a directory is watched before it is gone, and tells so itself, is a race.
    let seen: String = text.lines().filter(|line| !line.contains("_SELF ")).map(|line| format!("{line}\n")).collect();
    assert!(expected.starts_with(&seen) && seen.lines().count() >= 7, "{text}");
    assert_eq!(status, Some(0));
    assert_eq!(scratch.read("log"), "");
}

#[test]
fn a_name_cannot_forge_a_line() {
    let scratch = Scratch::new();
    let hostile = name(b"a\nIN_DELETE etc \x1b[31m \xff \\n {name}");
    let events = Events::start(&scratch, &["-n", "1", "-e", "create", "src"]);
    write(&scratch.src().join(hostile));
    let line = r"a\nIN_DELETE etc \x1b[31m \xff \\n {name}";
    assert_eq!(events.rest(), (format!("IN_CREATE {}/{line}\n", scratch.src().display()), Some(0)));
    let mut events = Events::start(&scratch, &["-0", "-n", "1", "-f", "{name}", "src"]);
    write(&scratch.src().join(hostile));
    assert_eq!(events.read_until(b"\0"), [hostile.as_bytes(), b"\0"].concat());
    assert_eq!(events.await_end(), Some(0));
}

#[test]
fn a_format_has_what_is_known_of_an_event() {
    let scratch = Scratch::new();
    write(&scratch.src().join("old"));
    let format = "{maskname}|{pathname}|{src_pathname}|{name}|{dir}|{unknown}";
    let events = Events::start(&scratch, &["-f", format, "-e", "MOVED_TO", "-n", "1", "src"]);
    fs::rename(scratch.src().join("old"), scratch.src().join("new")).unwrap();
    let src = scratch.src().display().to_string();
    assert_eq!(events.rest().0, format!("IN_MOVED_TO|{src}/new|{src}/old|new|{src}|{{unknown}}\n"));
    let output = dogwatch().args(["events", "-f", "{pathnam}", "-t", "0", "/"]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("did you mean {pathname}?"), "{told}");
}

#[test]
fn it_ends_after_a_count_or_when_nothing_comes() {
    let scratch = Scratch::new();
    let begun = Instant::now();
    assert_eq!(Events::start(&scratch, &["-t", "300ms", "src"]).rest(), (String::new(), Some(0)));
    assert!(begun.elapsed() >= Duration::from_millis(300));
    // The events that were asked for have not come.
    let events = Events::start(&scratch, &["-t", "300ms", "-n", "2", "-e", "create", "src"]);
    write(&scratch.src().join("one"));
    assert_eq!(events.rest(), (format!("IN_CREATE {}/one\n", scratch.src().display()), Some(1)));
    // What is not asked for does not count, and each that does begins the time anew.
    let events = Events::start(&scratch, &["-t", "1h", "-n", "2", "-e", "delete", "src"]);
    write(&scratch.src().join("two"));
    fs::remove_file(scratch.src().join("one")).unwrap();
    fs::remove_file(scratch.src().join("two")).unwrap();
    let (text, status) = events.rest();
    assert_eq!((text.lines().count(), status), (2, Some(0)), "{text}");
}

#[test]
fn it_ends_quietly_when_its_reader_goes_away() {
    let scratch = Scratch::new();
    // `| head -n 1`, after which nothing happens any more: that the pipe is closed is enough.
    let mut events = Events::start(&scratch, &["-e", "create", "src"]);
    write(&scratch.src().join("one"));
    events.read_until(b"\n");
    let (_, writer) = rustix::pipe::pipe().unwrap();
    drop(std::mem::replace(&mut events.output, std::process::ChildStdout::from(writer)));
    assert_eq!(events.await_end(), Some(0));
    assert_eq!(scratch.read("log"), "");
}

/// The reader is behind by more than a pipe holds, and nothing is lost. That Ctrl-C works all the while is as important.
#[test]
fn a_slow_reader_loses_nothing() {
    const FILES: usize = 4_000;
    let scratch = Scratch::new();
    let many = |events: &Events| {
        let before = scratch.read("log");
        for n in 0..FILES {
            write(&scratch.src().join(format!("{}{n}", "long-name-".repeat(15))));
        }
        // The pipe is full: the process sleeps, and does not spin.
        wait_until("it waits for its reader", || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", events.child.id())).unwrap();
            stat.contains(") S ")
        });
        assert_eq!(before, "");
    };
    let events = Events::start(&scratch, &["-e", "close_write", "-n", &FILES.to_string(), "src"]);
    many(&events);
    let (text, status) = events.rest();
    assert_eq!((text.lines().count(), status), (FILES, Some(0)));
    let numbers: BTreeSet<&str> = text.lines().map(|line| line.rsplit_once('-').unwrap().1).collect();
    assert_eq!(numbers.len(), FILES);
    let mut events = Events::start(&scratch, &["-e", "close_write", "src"]);
    many(&events);
    kill_process(Pid::from_child(&events.child), Signal::INT).unwrap();
    assert_eq!(events.await_end(), Some(0));
}

/// What even the kernel's queue cannot hold is told of, and the files are told of all the same.
#[test]
fn an_overflow_is_an_event() {
    let scratch = Scratch::new();
    let events = Events::start(&scratch, &["-e", "moved_to,create,q_overflow", "src"]);
    kill_process(Pid::from_child(&events.child), Signal::STOP).unwrap();
    common::fill_the_queue(&scratch.src());
    write(&scratch.src().join("late"));
    kill_process(Pid::from_child(&events.child), Signal::CONT).unwrap();
    let mut events = events;
    let until_overflow = events.read_until(format!("IN_Q_OVERFLOW {}\n", scratch.src().display()).as_bytes());
    assert!(until_overflow.len() > 100_000);
    events.read_until(format!("IN_CREATE {}/late\n", scratch.src().display()).as_bytes());
    assert!(scratch.read("log").contains("the event queue overflowed: events are lost"));
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let scratch = Scratch::new();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = dogwatch();
    command.args(["events", "-n", "1"]).arg(scratch.src()).stdout(full).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    await_watched(child.id(), &scratch.src());
    write(&scratch.src().join("file"));
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains("cannot write to standard output: No space left on device"), "{told}");
}

#[test]
fn wrong_usage_says_what_would_be_right() {
    for (arguments, words) in [
        (&[][..], "there is no PATH to watch"),
        (&["-n", "0", "/"], "-n 0: it takes a number from 1 on"),
        (&["-t", "soon", "/"], "-t soon: it takes seconds, or a duration such as 500ms or 2m"),
        (&["-e", "create,nonsense", "/"], "-e:1:1: error: unknown event \"nonsense\""),
    ] {
        let output = dogwatch().arg("events").args(arguments).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(words), "{arguments:?}: {told}");
    }
}

/// Each event of inotify(7) with the bit that the system's own header gives it.
#[test]
fn the_list_has_every_event_of_the_kernel() {
    let output = dogwatch().arg("list-events").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text.lines().count(), 15, "{text}");
    for line in text.lines() {
        assert!(line.len() <= 80, "{line}");
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(words.len() > 3 && words[0].starts_with("IN_") && words[1].starts_with("0x"), "{line}");
    }
    let Ok(header) = fs::read_to_string("/usr/include/linux/inotify.h") else {
        return common::skip("/usr/include/linux/inotify.h is missing (package linux-libc-dev)");
    };
    for line in header.lines().filter(|line| line.starts_with("#define IN_") && line.contains("0x0000")) {
        let mut words = line.split_whitespace().skip(1);
        let (name, bit) = (words.next().unwrap(), words.next().unwrap());
        let bit = u32::from_str_radix(bit.trim_start_matches("0x"), 16).unwrap();
        let found = text.lines().find(|line| line.split_whitespace().next() == Some(name));
        let found = found.unwrap_or_else(|| panic!("{name} is missing"));
        assert!(found.contains(&format!("{bit:#06x}")), "{name} {bit:#x}: {found}");
    }
}

/// The completion asks the program itself, so that it cannot be out of step.
#[test]
fn the_shell_completes_commands_options_and_events() {
    let completed = |words: &str| {
        let script = format!(
            "source src/cli/completion.bash; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _dogwatch; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let path = Path::new(dogwatch().get_program()).parent().unwrap().to_owned();
        let path = format!("{}:{}", path.display(), std::env::var("PATH").unwrap());
        let output = Command::new("bash").args(["-c", &script]).env("PATH", path).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(
        completed("dogwatch ''").lines().count(),
        String::from_utf8(dogwatch().arg("help").output().unwrap().stdout)
            .unwrap()
            .lines()
            .filter(|line| line.starts_with("    "))
            .count()
    );
    assert_eq!(completed("dogwatch sta"), "status\n");
    assert_eq!(completed("dogwatch list-"), "list-events\n");
    for option in ["-r", "--recursive", "-0", "--null", "--help"] {
        assert!(completed("dogwatch events -").lines().any(|line| line == option), "{option}");
    }
    assert_eq!(completed("dogwatch daemon --pid"), "--pid-file\n");
    assert_eq!(completed("dogwatch run -e IN_CR"), "IN_CREATE\n");
    assert_eq!(completed("dogwatch explain IN_CR"), "IN_CREATE\n");
    assert_eq!(completed("dogwatch help ev"), "events\n");
    assert_eq!(completed("dogwatch uninstall --init sys"), "systemd\nsysvinit\n");
}
