//! `dogwatch run`: a command when something changes, without a configuration file. Also under a terminal.

mod common;

use common::{Daemon, Scratch, await_watched, dogwatch, is_gone, name, pid_in};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// `dogwatch run` with these arguments in the scratch directory, once it watches `src`.
#[track_caller]
fn run(scratch: &Scratch, arguments: &[&str]) -> Daemon {
    let daemon = scratch.spawn(dogwatch().arg("run").args(arguments).current_dir(scratch.path("")));
    await_watched(daemon.pid(), &scratch.src());
    daemon
}

/// What `dogwatch run` says and returns if it does not begin to watch.
fn refused(scratch: &Scratch, arguments: &[&str]) -> (Option<i32>, String) {
    let output = dogwatch().arg("run").args(arguments).current_dir(scratch.path("")).output().unwrap();
    assert!(output.stdout.is_empty());
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn write(path: &Path) {
    fs::write(path, "x").unwrap();
}

#[test]
fn closes_moves_and_deletes_count_and_nothing_else() {
    let scratch = Scratch::new();
    let file = scratch.src().join("file");
    let daemon = run(&scratch, &["-d", "0", "src", "--", "echo", "{maskname}", "{name}"]);
    // Creating and reading are none of them: the first line is the close's.
    fs::create_dir(scratch.src().join("dir")).unwrap();
    symlink("nowhere", scratch.src().join("link")).unwrap();
    write(&file);
    daemon.await_out("IN_CLOSE_WRITE file\n");
    fs::read(&file).unwrap();
    fs::rename(&file, scratch.src().join("new")).unwrap();
    daemon.await_out("IN_MOVED_TO new\n");
    fs::remove_file(scratch.src().join("new")).unwrap();
    daemon.await_out("IN_DELETE new\n");
    fs::remove_dir(scratch.src().join("dir")).unwrap();
    daemon.await_out("IN_DELETE dir\n");
    let allowed = ["IN_CLOSE_WRITE file", "IN_MOVED_FROM file", "IN_MOVED_TO new", "IN_DELETE new", "IN_DELETE dir"];
    assert!(daemon.out().lines().all(|line| allowed.contains(&line)), "{}", daemon.out());
    assert_eq!(daemon.stop(), "");
}

#[test]
fn many_changes_give_one_run_after_the_last() {
    const DELAY: Duration = Duration::from_millis(400);
    loop {
        let scratch = Scratch::new();
        let deep = scratch.src().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        let daemon = run(&scratch, &["-r", "-d", "400ms", "src", "--", "echo", "{name}"]);
        await_watched(daemon.pid(), &deep);
        let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
        for n in 0..=50 {
            write(&deep.join(format!("file{n}")));
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        daemon.await_out("file50\n");
        // The clock that is read here began later than the daemon's.
        assert!(last.elapsed() > DELAY - Duration::from_millis(50), "{:?}", last.elapsed());
        // A machine that has much else to do may have been quiet in between.
        if longest < DELAY / 2 {
            assert_eq!(daemon.out(), "file50\n");
            return;
        }
    }
}

#[test]
fn arguments_and_directory_are_the_callers() {
    let scratch = Scratch::new();
    let script = scratch.script("show", "pwd; for word; do printf '<%s>' \"$word\"; done; echo; cat");
    let hostile = name(b"it's $(touch x) \xff\n\"{dir}\" *");
    let words = ["", "two words", "it's", "\"\\$HOME `x`", "{unknown}", "--", "-k", "{pathname}"];
    let mut command = dogwatch();
    command.arg("run").arg("src").arg("--").arg(script).args(words).current_dir(scratch.path(""));
    let daemon = scratch.spawn(&mut command);
    await_watched(daemon.pid(), &scratch.src());
    let path = scratch.src().join(hostile);
    write(&path);
    // Standard input is at its end, so that cat ends too.
    daemon.await_out("*>\n");
    let here = scratch.path("").canonicalize().unwrap();
    let shown = fs::read(scratch.path("out")).unwrap();
    let mut expected = format!("{}\n", here.display()).into_bytes();
    for word in &words[..words.len() - 1] {
        expected.extend(format!("<{word}>").bytes());
    }
    expected.extend(b"<");
    expected.extend(std::os::unix::ffi::OsStrExt::as_bytes(here.join("src").join(hostile).as_os_str()));
    expected.extend(b">\n");
    assert_eq!(String::from_utf8_lossy(&shown), String::from_utf8_lossy(&expected));
    assert_eq!(shown, expected);
    assert!(!scratch.path("x").exists());
}

#[test]
fn a_line_is_for_the_shell_only_if_asked() {
    let scratch = Scratch::new();
    let daemon = run(&scratch, &["-s", "echo {pathname} | tr a-z A-Z", "src"]);
    write(&scratch.src().join("file"));
    daemon.await_out("/SRC/FILE\n");
    drop(daemon);
    let daemon = run(&scratch, &["src", "--", "echo", "a | cat; {name}"]);
    write(&scratch.src().join("file"));
    daemon.await_out("a | cat; file\n");
}

/// Also a run that comes from what happens while the command runs: nothing is lost, and nothing runs twice at once.
#[test]
fn what_happens_during_a_run_gives_one_more() {
    let scratch = Scratch::new();
    let script =
        scratch.script("job", "echo begin $1; while [ -d src ] && [ ! -e go ]; do sleep 0.01; done; echo end $1");
    let daemon = run(&scratch, &["src", "--", script.to_str().unwrap(), "{name}"]);
    write(&scratch.src().join("one"));
    daemon.await_out("begin one\n");
    write(&scratch.src().join("two"));
    write(&scratch.src().join("three"));
    write(&scratch.path("go"));
    daemon.await_out("end three\n");
    assert_eq!(daemon.out(), "begin one\nend one\nbegin three\nend three\n");
}

#[test]
fn a_command_is_restarted_if_asked() {
    let scratch = Scratch::new();
    let script = scratch.script("job", "echo begin $1; [ $1 = two ] || sleep 100; echo end $1");
    let daemon = run(&scratch, &["-k", "src", "--", script.to_str().unwrap(), "{name}"]);
    write(&scratch.src().join("one"));
    daemon.await_out("begin one\n");
    write(&scratch.src().join("two"));
    daemon.await_out("end two\n");
    assert_eq!(daemon.out(), "begin one\nbegin two\nend two\n");
    // Being ended for a newer event is no failure.
    assert_eq!(daemon.stop(), "");
}

#[test]
fn once_exits_with_the_commands_status() {
    for (script, status) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("exec /no/such/program", 127)] {
        let scratch = Scratch::new();
        let mut daemon = run(&scratch, &["-1", "-s", script, "src"]);
        write(&scratch.src().join("file"));
        assert_eq!(daemon.wait().code(), Some(status), "{script}: {}", daemon.log());
    }
    let scratch = Scratch::new();
    let mut daemon = run(&scratch, &["-1", "src", "--", "/no/such/program"]);
    write(&scratch.src().join("file"));
    assert_eq!(daemon.wait().code(), Some(127));
    assert!(daemon.log().contains("cannot start its command: No such file or directory"), "{}", daemon.log());
    // Whatever is to follow a run must not follow when there was none.
    let mut daemon = run(&scratch, &["-1", "src", "--", "true"]);
    daemon.signal(Signal::INT);
    assert_eq!(daemon.wait().code(), Some(1));
}

/// An event while it runs is due when it ends; nobody waits for what would be begun then.
#[test]
fn once_runs_the_command_once() {
    let scratch = Scratch::new();
    let script = scratch.script("job", "echo run; touch src/second; sleep 0.5");
    let mut daemon = run(&scratch, &["-1", "src", "--", script.to_str().unwrap()]);
    write(&scratch.src().join("first"));
    assert_eq!((daemon.wait().code(), daemon.out().as_str()), (Some(0), "run\n"), "{}", daemon.log());
}

#[test]
fn a_missing_path_is_an_error_before_anything_runs() {
    let scratch = Scratch::new();
    let (status, text) = refused(&scratch, &["src", "missing", "--", "touch", "ran"]);
    assert_eq!((status, text.as_str()), (Some(1), "dogwatch: cannot watch missing: No such file or directory\n"));
    assert!(!scratch.path("ran").exists());
    assert_eq!(refused(&scratch, &["", "--", "true"]).0, Some(1));
}

#[test]
fn wrong_usage_says_what_would_be_right() {
    let scratch = Scratch::new();
    for (arguments, words) in [
        (&["src"][..], "give a command, either behind -- or by -s"),
        (&["src", "-s", "true", "--", "true"], "give a command, either behind -- or by -s"),
        (&["--", "true"], "there is no PATH to watch"),
        (&["-e", "creat", "src", "--", "true"], "-e:1:1: error: unknown event \"creat\""),
        (&["-e", "cretae", "src", "--", "true"], "did you mean \"IN_CREATE\"?"),
        (&["-x", "(", "src", "--", "true"], "-x:1:1: error: no pattern"),
        (&["-d", "soon", "src", "--", "true"], "-d:1:1: error: \"soon\" cannot be the value of \"delay\""),
        (&["-s", "echo '{name}'", "src"], "-s:1:7: error: a placeholder inside single quotes"),
        (&["--frequently", "src", "--", "true"], "usage: dogwatch run"),
    ] {
        let (status, text) = refused(&scratch, arguments);
        assert_eq!(status, Some(2), "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
    }
}

#[test]
fn events_and_exclusions_can_be_chosen() {
    let scratch = Scratch::new();
    let daemon =
        run(&scratch, &["-d", "0", "-e", "create,ATTRIB", "-x", r".*\.o$", "src", "--", "echo", "{maskname} {name}"]);
    write(&scratch.src().join("a.o"));
    write(&scratch.src().join("a.c"));
    daemon.await_out("IN_CREATE a.c\n");
    fs::set_permissions(scratch.src().join("a.c"), fs::metadata(scratch.src().join("a.c")).unwrap().permissions())
        .unwrap();
    daemon.await_out("IN_ATTRIB a.c\n");
    assert!(!daemon.out().contains("a.o") && !daemon.out().contains("IN_CLOSE"), "{}", daemon.out());
}

/// The shell has expanded its patterns already: what is left of them belongs to names.
#[test]
fn paths_are_taken_as_they_are() {
    let scratch = Scratch::new();
    for odd in ["a*[b]?\\c", "x/y"] {
        fs::create_dir_all(scratch.path(odd)).unwrap();
    }
    symlink("x/y", scratch.path("link")).unwrap();
    write(&scratch.path("file"));
    let paths = ["src", "a*[b]?\\c", "./x//./y/", "link/../z/..", "file"];
    fs::create_dir(scratch.path("x/z")).unwrap();
    let daemon = run(&scratch, &[&["-d", "0"], &paths[..], &["--", "echo", "{pathname}"]].concat());
    await_watched(daemon.pid(), &scratch.path("x"));
    let here = scratch.path("").canonicalize().unwrap();
    for file in ["a*[b]?\\c/f", "x/y/f", "x/f", "file"] {
        await_watched(daemon.pid(), here.join(file).parent().unwrap());
        write(&here.join(file));
        daemon.await_out(&format!("{}\n", here.join(file).display()));
    }
}

/// A terminal, with `dogwatch run` as the leader of its session.
struct Terminal {
    /// What is written here is what keys type; what can be read is what comes onto the screen.
    master: File,
    daemon: Daemon,
}

impl Terminal {
    #[track_caller]
    fn run(scratch: &Scratch, arguments: &[&str]) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap();
        let side = OpenOptions::new().read(true).write(true).open(path.to_str().unwrap()).unwrap();
        let mut command = Command::new("setsid");
        // The tests may run under nohup(1) themselves.
        command.args(["--ctty", "env", "--default-signal=HUP"]).arg(dogwatch().get_program());
        command.arg("run").args(arguments);
        let end = || Stdio::from(side.try_clone().unwrap());
        let daemon = scratch.spawn_at(command.current_dir(scratch.path("")), end(), end(), end());
        drop((side, command));
        await_watched(daemon.pid(), &scratch.src());
        Terminal { master: File::from(master), daemon }
    }

    /// What has come onto the screen, now that nobody writes to it any more: that is EIO.
    fn screen(mut self) -> String {
        let mut seen = Vec::new();
        let end = self.master.read_to_end(&mut seen).unwrap_err();
        assert_eq!(end.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()));
        String::from_utf8(seen).unwrap()
    }
}

const CTRL_C: &[u8] = b"\x03";

#[test]
fn ctrl_c_ends_the_command_and_dogwatch() {
    let scratch = Scratch::new();
    let mut terminal = Terminal::run(&scratch, &["-s", "echo begins; echo $$ >pid; exec sleep 100", "src"]);
    write(&scratch.src().join("file"));
    let pid = pid_in(&scratch, "pid");
    terminal.master.write_all(CTRL_C).unwrap();
    assert_eq!(terminal.daemon.wait().code(), Some(0));
    assert!(is_gone(pid));
    let screen = terminal.screen();
    // No colours and nothing that moves the cursor: the one line of the command, the echo of ^C, and how it ended.
    assert!(!screen.contains('\x1b'), "{screen:?}");
    assert!(screen.starts_with("begins\r\n"), "{screen:?}");
    assert!(screen.contains("ended by signal 15"), "{screen:?}");
    assert_eq!(screen.lines().count(), 2, "{screen:?}");
}

#[test]
fn ctrl_c_kills_a_command_that_ignores_sigterm() {
    let scratch = Scratch::new();
    let script = "trap '' TERM INT HUP; echo $$ >pid; while [ -d src ]; do sleep 0.05; done";
    let mut terminal = Terminal::run(&scratch, &["-s", script, "src"]);
    write(&scratch.src().join("file"));
    let pid = pid_in(&scratch, "pid");
    terminal.master.write_all(CTRL_C).unwrap();
    assert_eq!(terminal.daemon.wait().code(), Some(0));
    assert!(is_gone(pid));
    assert!(terminal.screen().contains("gets SIGKILL"));
}

#[test]
fn a_window_that_is_closed_ends_the_command_and_dogwatch() {
    let scratch = Scratch::new();
    let Terminal { master, mut daemon } = Terminal::run(&scratch, &["-s", "echo $$ >pid; exec sleep 100", "src"]);
    write(&scratch.src().join("file"));
    let pid = pid_in(&scratch, "pid");
    drop(master);
    assert_eq!(daemon.wait().code(), Some(0));
    assert!(is_gone(pid));
}

#[test]
fn under_nohup_it_outlives_the_terminal() {
    let scratch = Scratch::new();
    let own = dogwatch();
    let mut command = Command::new("nohup");
    command.arg(own.get_program()).args(["run", "src", "--", "echo", "{name}"]).current_dir(scratch.path(""));
    let daemon = scratch.spawn(&mut command);
    await_watched(daemon.pid(), &scratch.src());
    daemon.signal(Signal::HUP);
    write(&scratch.src().join("file"));
    daemon.await_out("file\n");
    assert_eq!(daemon.stop(), "");
}

/// It is no daemon: it needs no directories of its own, and two may run.
#[test]
fn nothing_is_left_behind() {
    let scratch = Scratch::new();
    let first = run(&scratch, &["src", "--", "true"]);
    let second = run(&scratch, &["src", "--", "true"]);
    first.stop();
    second.stop();
    let names: Vec<_> = fs::read_dir(scratch.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| name == "src" || name == "out" || name == "log"), "{names:?}");
}
