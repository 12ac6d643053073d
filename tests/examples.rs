//! The configurations under examples/ do what they say, with their paths put into a scratch directory; those of README are right.

mod common;

use common::{Scratch, dogwatch, wait_until};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
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

/// pyinotifyd's third example: rules, by what files are called.
#[test]
fn rules_move_copy_and_delete() {
    let scratch = Scratch::new();
    let config =
        example("move-copy-delete.conf").replace("/dst_path", "@DIR/dst").replace("delay = 60", "delay = 200ms");
    let daemon = scratch.start(&config);
    let dir = scratch.src().join("dir");
    fs::create_dir(&dir).unwrap();
    for name in ["a.to_move", "b.to_copy", "c.to_delete", "d"] {
        fs::write(dir.join(name), name).unwrap();
    }
    let done = || daemon.log().matches(": done").count();
    wait_until("each is done", || done() == 3);
    let names =
        |path: &Path| -> BTreeSet<_> { fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect() };
    assert_eq!(names(&dir), BTreeSet::from(["b.to_copy".into(), "d".into()]));
    assert_eq!(names(&scratch.path("dst/dir")), BTreeSet::from(["a".into(), "b".into()]));
    assert_eq!(
        (scratch.read("dst/dir/a"), scratch.read("dst/dir/b")),
        ("a.to_move".to_owned(), "b.to_copy".to_owned())
    );
    for (path, mode) in [("dst", 0o40755), ("dst/dir", 0o40755), ("dst/dir/a", 0o100644), ("dst/dir/b", 0o100644)] {
        assert_eq!(fs::metadata(scratch.path(path)).unwrap().mode(), mode, "{path}");
    }
    assert!(!daemon.log().contains("dir/d: "), "what no rule matches is not scheduled");
}

/// What stands in README between these lines.
fn parts_of_readme<'r>(readme: &'r str, begin: &str, end: &str) -> Vec<&'r str> {
    readme.split(begin).skip(1).map(|rest| rest.split(end).next().unwrap()).collect()
}

/// README's configurations are right, and `explain` says of the first what README says.
#[test]
fn readme_is_right() {
    let scratch = Scratch::new();
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let configurations = parts_of_readme(&readme, "```ini\n", "```\n");
    assert!(configurations.len() >= 2);
    let run = |words: &[&str], config: &str| {
        fs::write(scratch.path("readme.conf"), config).unwrap();
        let output = dogwatch().args(words).arg("-c").arg(scratch.path("readme.conf")).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{config}");
        String::from_utf8(output.stdout).unwrap()
    };
    for config in &configurations {
        assert_eq!(run(&["check"], config), "configuration OK\n", "{config}");
    }
    let path = "/tmp/try/inbox/letter";
    let command = format!("    $ dogwatch explain -c dogwatch.conf IN_CLOSE_WRITE {path}\n");
    let said = parts_of_readme(&readme, &command, "\n\n")[0].replace("\n    ", "\n");
    assert_eq!(run(&["explain", "IN_CLOSE_WRITE", path], configurations[0]).trim_end(), said.trim_start());
}
