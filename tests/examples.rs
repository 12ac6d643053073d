//! The configurations under examples/ do what they say, with their paths put into a scratch directory.

mod common;

use common::{Scratch, wait_until};
use std::fs;
use std::path::Path;

/// An example's text, with `/src_path` as the watched directory.
fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains("\npath = /src_path\n"));
    text.replace("/src_path", "@SRC")
}

/// pyinotifyd's first example: a job for all events on files and directories.
#[test]
fn all_events_run_the_task() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&example("all-events.conf"));
    let dir = scratch.src().join("dir");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("file"), "x").unwrap();
    for path in [&dir, &dir.join("file")] {
        wait_until("the task tells of it", || {
            let line =
                |line: &str| line.contains(": execute example task: IN_") && line.ends_with(path.to_str().unwrap());
            daemon.log().lines().any(line)
        });
    }
    fs::remove_file(dir.join("file")).unwrap();
    daemon.await_log(&format!("example task: IN_DELETE {}\n", dir.join("file").display()));
}

/// pyinotifyd's second example: a shell command for files that were written.
#[test]
fn specific_events_run_the_shell_command() {
    let scratch = Scratch::new();
    let task = scratch.script("task.sh", "echo \"task for $1\"");
    let config = example("specific-events.conf").replace("/usr/local/sbin/task.sh", task.to_str().unwrap());
    let daemon = scratch.start(&config);
    let dir = scratch.src().join("dir");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("file"), "x").unwrap();
    daemon.await_log(&format!("task for {}\n", dir.join("file").display()));
    fs::write(scratch.src().join("other"), "x").unwrap();
    daemon.await_log(&format!("task for {}\n", scratch.src().join("other").display()));
    assert!(daemon.log().lines().all(|line| !line.ends_with("/dir")), "directories do not count");
}
