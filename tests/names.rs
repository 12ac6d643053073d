//! File names are untrusted: whatever they hold, a command gets them as one value, and nothing of them is run.

mod common;

use common::{Daemon, Scratch, name, wait_until};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

const NAMES: [&[u8]; 17] = [
    b";touch pwned;",
    b"$(touch pwned)",
    b"`touch pwned`",
    b"'; touch pwned; '",
    b"\"; touch pwned; \"",
    b"&& touch pwned",
    b"| touch pwned #",
    b"> pwned",
    b"{src_pathname}",
    b"${IFS}touch${IFS}pwned",
    b"two  blanks and a tab\t",
    b"a\nnewline",
    b"ERROR\n2026-01-01 00:00:00 ERROR daemon: forged",
    b"not \xff\xfe UTF-8",
    b"*",
    b"-rf",
    b"back\\slash\\n",
];

/// Creates all names below @SRC, and waits until each has had its command.
fn feed(scratch: &Scratch, daemon: &Daemon) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = NAMES.iter().map(|bytes| scratch.src().join(name(bytes))).collect();
    for path in &paths {
        fs::write(path, "x").unwrap();
    }
    wait_until("all have run", || daemon.log().lines().filter(|line| line.ends_with(": done")).count() == paths.len());
    paths.sort();
    paths
}

/// The NUL-terminated values that the commands have written, sorted.
fn values(scratch: &Scratch) -> Vec<PathBuf> {
    let bytes = fs::read(scratch.path("values")).unwrap();
    let mut values: Vec<PathBuf> =
        bytes.split_inclusive(|byte| *byte == 0).map(|value| PathBuf::from(name(&value[..value.len() - 1]))).collect();
    values.sort();
    values
}

fn nothing_was_run(scratch: &Scratch) {
    for dir in [scratch.path(""), scratch.src(), PathBuf::from("/")] {
        assert!(!dir.join("pwned").exists(), "a name was run as a command, in {}", dir.display());
    }
}

fn config(job: &str) -> String {
    format!(
        "[daemon]\nmax_jobs = 1\n[scheduler run]\n{job}\n[event_map m]\nIN_CLOSE_WRITE = run\n\
         [watch w]\npath = @SRC\nevent_map = m\n"
    )
}

#[test]
fn a_shell_line_gets_every_name_as_one_word() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("cmd = printf '%s\\0' {pathname} >>@DIR/values"));
    assert_eq!(feed(&scratch, &daemon), values(&scratch));
    nothing_was_run(&scratch);
}

#[test]
fn a_program_gets_every_name_as_one_argument() {
    let scratch = Scratch::new();
    let job = format!("for value; do printf '%s\\0' \"$value\" >>{}; done", scratch.path("values").display());
    let job = scratch.script("job", &job);
    let daemon = scratch.start(&config(&format!("exec = {} {{pathname}}", job.display())));
    assert_eq!(feed(&scratch, &daemon), values(&scratch));
    nothing_was_run(&scratch);
}

#[test]
fn every_name_is_in_the_environment() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("cmd = printf '%s/%s\\0' \"$DOGWATCH_DIR\" \"$DOGWATCH_NAME\" >>@DIR/values"));
    assert_eq!(feed(&scratch, &daemon), values(&scratch));
    nothing_was_run(&scratch);
}

/// A line is always one line of the daemon's own: it begins with a date, and a name's newline is escaped.
#[test]
fn no_name_can_forge_a_line_of_the_log() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("cmd = :"));
    feed(&scratch, &daemon);
    let log = daemon.stop();
    for line in log.lines() {
        let (date, rest) = line.split_at_checked(20).unwrap_or_default();
        assert!(date.starts_with("20") && date.as_bytes()[10] == b' ', "{line}");
        assert!(rest.starts_with("INFO run: run#") || rest.starts_with("INFO daemon: "), "{line}");
    }
    assert!(!log.contains(" ERROR daemon: forged\n"));
    assert!(log.contains("/not \\xff\\xfe UTF-8: done"), "{log}");
    assert!(log.contains("/a\\nnewline: done"));
    assert!(log.as_bytes().iter().all(|byte| *byte == b'\n' || *byte >= b' '));
}

#[test]
fn a_directory_of_any_name_is_watched() {
    let scratch = Scratch::new();
    let daemon = scratch.start(
        "[scheduler run]\ncmd = printf '%s\\0' {pathname} >>@DIR/values\n[event_map m]\nIN_CLOSE_WRITE = run\n\
         [watch w]\npath = @SRC\nevent_map = m\nauto_add = yes\nrec = yes\n[daemon]\nmax_jobs = 1\n",
    );
    let mut expected = Vec::new();
    for bytes in NAMES {
        let dir = scratch.src().join(name(bytes));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("f"), "x").unwrap();
        expected.push(dir.join("f"));
    }
    expected.sort();
    let seen = || {
        let bytes = fs::read(scratch.path("values")).unwrap_or_default();
        expected.iter().all(|path| bytes.split(|byte| *byte == 0).any(|value| value == path.as_os_str().as_bytes()))
    };
    wait_until("every file has run", seen);
    nothing_was_run(&scratch);
    drop(daemon);
}
