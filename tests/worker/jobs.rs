//! dogwatch with jobs for tests: each does what the name of its file says.

use dogwatch::{Job, Level, Report, Task};
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// Shows what it is called with, and how it lives.
struct Show;

impl Job for Show {
    fn run(&self, task: &Task<'_>, report: &mut Report) -> Result<Option<PathBuf>, String> {
        report.log(Level::Warning, &format!("two\nlines, one with \u{1b} and \\ in it: {task:?}"));
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let group = stat.rsplit(')').next().unwrap().split(' ').nth(3).unwrap();
        let mut fds: Vec<String> = fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|entry| {
                let entry = entry.unwrap();
                let target = fs::read_link(entry.path()).ok()?;
                let target = target.to_str().unwrap().split(':').next().unwrap().to_owned();
                Some(format!("{}={target}", entry.file_name().to_str().unwrap()))
            })
            .collect();
        fds.sort();
        fds.retain(|fd| !fd.contains("/fd"));
        let of_status = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap().replace('\t', " ");
        report.log(Level::Info, &format!("leads its group: {}", group == std::process::id().to_string()));
        for name in ["NoNewPrivs:", "SigBlk:"] {
            report.log(Level::Info, &of_status(name));
        }
        report.log(Level::Info, &format!("in {}: {}", std::env::current_dir().unwrap().display(), fds.join(" ")));
        Ok(None)
    }
}

/// Does what the file's name says.
struct Obey;

impl Job for Obey {
    fn run(&self, task: &Task<'_>, report: &mut Report) -> Result<Option<PathBuf>, String> {
        let name = task.path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        match name.split('-').next().unwrap_or("") {
            "fail" => Err("as it\nwas told".to_owned()),
            "panic" => panic!("as it was told"),
            "exit" => std::process::exit(7),
            "relative" => Ok(Some("some/where".into())),
            "up" => Ok(Some("/some/../where".into())),
            "long" => Ok(Some(format!("/{}", "x".repeat(70_000)).into())),
            "explain" => Err("x".repeat(70_000)),
            "talk" => {
                report.log(Level::Info, &"y".repeat(70_000));
                (0..2_000).for_each(|n| report.log(Level::Info, &format!("word {n}")));
                Ok(None)
            }
            "sleep" => {
                report.progress(3, 1_000);
                report.log(Level::Info, "sleeps");
                // Nobody of its group outlives it, either.
                let _ = Command::new("sleep").arg("1000").status();
                std::thread::sleep(Duration::from_secs(1_000));
                Ok(None)
            }
            "wait" => {
                report.log(Level::Info, "waits");
                std::thread::sleep(Duration::from_secs(1_000));
                Ok(None)
            }
            "deaf" => {
                let _ = Command::new("sh").args(["-c", "trap '' TERM; kill -STOP $PPID; sleep 1000"]).status();
                Ok(None)
            }
            _ => {
                let mut made = OsString::from(task.path);
                made.push(".made//./");
                Ok(Some(made.into()))
            }
        }
    }
}

fn main() -> ExitCode {
    dogwatch::init(&[("show", &Show), ("obey", &Obey)]).main(std::env::args_os())
}
