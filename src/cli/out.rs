//! Standard output and error of the commands that end by themselves. A closed one ends them quietly.

use crate::sys::{Errno, fd};
use std::process::ExitCode;

/// Prints a result. `Err` holds the exit status for when it cannot be printed: a reader that has gone away had enough.
pub fn print(text: &str) -> Result<(), ExitCode> {
    match fd::write_all(fd::STDOUT, text.as_bytes()) {
        Ok(()) => Ok(()),
        Err(Errno::EPIPE) => Err(ExitCode::SUCCESS),
        Err(errno) => {
            complain(&format!("dogwatch: cannot write to standard output: {errno}\n"));
            Err(ExitCode::FAILURE)
        }
    }
}

/// Prints to standard error; that it cannot be printed cannot be told anybody.
pub fn complain(text: &str) {
    let _ = fd::write_all(fd::STDERR, text.as_bytes());
}
