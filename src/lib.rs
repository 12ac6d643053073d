//! dogwatch keeps watch over directories and keeps a schedule of what to do with them.
//!
//! The program is `dogwatch`; what it does is described in its README.

mod cli;
mod config;
mod daemon;
mod engine;
mod jobs;
mod parts;
mod sys;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

/// The program `dogwatch`, from its arguments (its own name first) to its exit status.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let words: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
    match jobs::command::trampoline::jump(&words) {
        Some(wrong) => cli::not_started(&wrong),
        None => cli::main(arguments),
    }
}
