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

/// The program `dogwatch`, from its arguments (its own name first) to its exit status.
pub fn main(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> std::process::ExitCode {
    cli::main(arguments)
}
