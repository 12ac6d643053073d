//! `dogwatch check`: tests the configuration, and says everything that is wrong with it at once.

use super::{Usage, out};
use crate::config::{self, DEFAULT_PATH};
use crate::parts::text::to_bytes;
use getopts::Matches;
use std::process::ExitCode;

/// Adds `-c`, which every command with a configuration has.
pub fn configuration_option(usage: &mut Usage) {
    let about = format!("the configuration (default: {DEFAULT_PATH})");
    usage.options.optopt("c", "config", &about, "FILE");
}

/// The path of the configuration that was asked for.
pub fn configuration_path(matches: &Matches) -> Vec<u8> {
    matches.opt_str("config").map_or_else(|| DEFAULT_PATH.as_bytes().to_vec(), |path| to_bytes(&path))
}

/// Loads the configuration and prints what is wrong with it; the error is the exit status.
pub fn load(matches: &Matches, jobs: &[String]) -> Result<config::Loaded, ExitCode> {
    config::load(&configuration_path(matches), jobs).map_err(|refused| self::refused(&refused))
}

/// Prints what is wrong with a configuration.
pub fn refused(refused: &config::Refused) -> ExitCode {
    let (errors, s) = (refused.errors, if refused.errors == 1 { "" } else { "s" });
    out::complain(&format!("{}dogwatch: {errors} error{s} in the configuration\n", refused.complaints.concat()));
    ExitCode::FAILURE
}

/// The command `check`.
pub fn run(words: &[String], jobs: &[String]) -> Result<ExitCode, ExitCode> {
    let about = "Tests the configuration: exit status 0 if the daemon would take it.";
    let mut usage = Usage::new("dogwatch check [-c FILE]", about);
    configuration_option(&mut usage);
    let loaded = load(&usage.parse(words, 0)?, jobs)?;
    out::complain(&loaded.warnings.concat());
    let (count, s) = (loaded.warnings.len(), if loaded.warnings.len() == 1 { "" } else { "s" });
    let warned = if count == 0 { String::new() } else { format!(", with {count} warning{s}") };
    out::print(&format!("configuration OK{warned}\n")).map(|()| ExitCode::SUCCESS)
}
