//! dogwatch with a job of its own: a program that uses the library.
//!
//! It is dogwatch in all, and knows the job `count-lines` besides, which counts the lines of a file and writes the number
//! into a file beside it. With this configuration, every file that settles in /srv/inbox is counted, and what was counted is
//! told:
//!
//! ```ini
//! [scheduler count]
//! job = count-lines
//! delay = 2s
//! timeout = 5m
//! then = tell
//!
//! [scheduler tell]
//! cmd = echo {src_pathname} has $(cat {pathname}) lines
//!
//! [event_map written]
//! IN_CLOSE_WRITE, IN_MOVED_TO = count
//! IN_MODIFY = cancel count
//!
//! [watch inbox]
//! path = /srv/inbox
//! event_map = written
//! exclude = .*\.count$
//! ```
//!
//!     cargo run --example custom -- daemon -c FILE

use dogwatch::{Job, Level, Report, Task};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::ExitCode;

/// Counts lines.
struct CountLines;

impl Job for CountLines {
    fn run(&self, task: &Task<'_>, report: &mut Report) -> Result<Option<PathBuf>, String> {
        let (lines, bytes) = count(task, report).map_err(|error| format!("cannot read it: {error}"))?;
        let mut result = OsString::from(task.path);
        result.push(".count");
        fs::write(&result, format!("{lines}\n")).map_err(|error| format!("cannot write the count: {error}"))?;
        report.log(Level::Info, &format!("{lines} lines, {bytes} bytes"));
        Ok(Some(result.into()))
    }
}

/// Lines and bytes of a file. It may take as long as it takes: this is not the daemon, but a worker.
fn count(task: &Task<'_>, report: &mut Report) -> std::io::Result<(u64, u64)> {
    let file = File::open(task.path)?;
    let total = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let (mut lines, mut done) = (0, 0);
    loop {
        let part = reader.fill_buf()?;
        let length = part.len();
        if length == 0 {
            return Ok((lines, done));
        }
        lines += part.iter().filter(|byte| **byte == b'\n').count() as u64;
        done += length as u64;
        reader.consume(length);
        report.progress(done, total);
    }
}

fn main() -> ExitCode {
    dogwatch::init(&[("count-lines", &CountLines)]).main(std::env::args_os())
}
