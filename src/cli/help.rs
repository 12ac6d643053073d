//! `dogwatch help [COMMAND]` and `dogwatch version`.

use super::{COMMANDS, Usage, dispatch, out};
use std::process::ExitCode;

/// All commands with a line each.
pub fn overview() -> String {
    let mut text = "usage: dogwatch COMMAND [OPTION]... [ARGUMENT]...\n\nCommands:\n".to_owned();
    for command in &COMMANDS {
        text += &format!("    {:<13}{}\n", command.name, command.purpose);
    }
    text + "\n\"dogwatch help COMMAND\" shows a command's options.\n"
}

/// The command `help`.
pub fn run(words: &[String], jobs: &[String]) -> Result<ExitCode, ExitCode> {
    let matches = Usage::new("dogwatch help [COMMAND]", "Shows all commands, or one's options.").parse(words, 1)?;
    match matches.free.first() {
        Some(name) => dispatch(&[name.clone(), "--help".to_owned()], jobs),
        None => out::print(&overview()).map(|()| ExitCode::SUCCESS),
    }
}

/// The command `version`.
pub fn version(words: &[String], _: &[String]) -> Result<ExitCode, ExitCode> {
    Usage::new("dogwatch version", "Shows the version.").parse(words, 0)?;
    out::print(concat!("dogwatch ", env!("CARGO_PKG_VERSION"), "\n")).map(|()| ExitCode::SUCCESS)
}
