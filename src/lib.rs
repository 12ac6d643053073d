//! dogwatch keeps watch over directories and keeps a schedule of what to do with them.
//!
//! The program is `dogwatch`; what it does is described in its README. A Rust program can do the same with jobs of its own:
//! it implements [`Job`], and its `main` is
//!
//! ```no_run
//! # use dogwatch::{Job, Report, Task};
//! # struct Count;
//! # impl Job for Count {
//! #     fn run(&self, _: &Task<'_>, _: &mut Report) -> Result<Option<std::path::PathBuf>, String> { Ok(None) }
//! # }
//! fn main() -> std::process::ExitCode {
//!     dogwatch::init(&[("count", &Count)]).main(std::env::args_os())
//! }
//! ```
//!
//! Then `job = count` may stand in a `[scheduler]` section of its configuration. `examples/custom.rs` is a whole one.

mod cli;
mod config;
mod daemon;
mod engine;
mod install;
mod jobs;
mod parts;
mod sources;
mod sys;

pub use jobs::own::{Job, Task};
pub use parts::log::Level;
pub use parts::worker::Report;

use parts::worker;
use std::ffi::{OsStr, OsString};
use std::process::{ExitCode, exit};

/// The program `dogwatch`, which knows these jobs besides.
#[must_use = "call its main"]
#[derive(Clone, Debug)]
pub struct Program {
    jobs: Vec<String>,
}

/// Registers jobs by the names that `job = NAME` calls them by. It must be the first thing that a program does, and always
/// with the same jobs: dogwatch starts the program once more to do a job (a worker), or to start a command as another user.
/// In such a process it does that work, and does not return.
pub fn init(jobs: &[(&str, &dyn Job)]) -> Program {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let words: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
    if let Some(status) = worker::serve(&words, |kind, value, report| sources::run(jobs, kind, value, report)) {
        exit(status);
    }
    if let Some(wrong) = jobs::command::trampoline::jump(&words) {
        exit(cli::not_started(&wrong));
    }
    Program { jobs: jobs.iter().map(|(name, _)| (*name).to_owned()).collect() }
}

impl Program {
    /// Runs, from the arguments (the program's own name first) to the exit status.
    pub fn main(self, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
        cli::main(arguments, &self.jobs)
    }
}

/// The program `dogwatch` as it is: without jobs of anybody's own.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    init(&[]).main(arguments)
}
