//! Commands: `cmd`, a line for the shell, and `exec`, a program with arguments and no shell.
//!
//! In both, a path is never part of a text that is parsed. A shell line's placeholders become `"$DOGWATCH_PATHNAME"` and so
//! on when the configuration is read, and the values enter only the environment; an argument of `exec` holds its value
//! as it is. Turns (command, values) into a [`Program`] for `sys::spawn`.

pub mod shell;
pub mod words;

use crate::parts::template::{PLACEHOLDERS, Template, Values};
use crate::sys::Errno;
use crate::sys::spawn::Program;
use std::ffi::CString;

/// A command as it was configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// For `/bin/sh -c`, with the placeholders rewritten to variables.
    Shell(Vec<u8>),
    /// A program and its arguments.
    Exec(Vec<Template>),
}

/// The variables that every command inherits, without those that are set anew for each, and without the service manager's
/// socket, by which a command could speak for the daemon.
#[derive(Clone, Debug, Default)]
pub struct Environment(Vec<CString>);

/// The prefix of the variables that carry a task's values.
const PREFIX: &[u8] = b"DOGWATCH_";
const NOTIFY_SOCKET: &[u8] = b"NOTIFY_SOCKET";

impl Environment {
    /// What is to be inherited of these `NAME=value`s.
    pub fn new(variables: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Environment {
        let own = |name: &[u8]| name.starts_with(PREFIX) || name == NOTIFY_SOCKET;
        let strings =
            variables.into_iter().filter(|(name, _)| !own(name)).map(|(name, value)| [name, value].join(&b'='));
        Environment(strings.filter_map(|string| CString::new(string).ok()).collect())
    }
}

impl Command {
    /// The program to start for these values. EINVAL for a value with a NUL, which no path has.
    pub fn program(&self, values: &Values<'_>, inherited: &Environment) -> Result<Program, Errno> {
        let string = |bytes: Vec<u8>| CString::new(bytes).map_err(|_| Errno::EINVAL);
        let argv = match self {
            Command::Shell(line) => vec![b"/bin/sh".to_vec(), b"-c".to_vec(), line.clone()],
            Command::Exec(words) => words.iter().map(|word| word.expand(values)).collect(),
        };
        let mut env = inherited.0.clone();
        for (placeholder, _) in PLACEHOLDERS {
            env.push(string([placeholder.variable().as_bytes(), b"=", &values.get(placeholder)].concat())?);
        }
        Ok(Program { argv: argv.into_iter().map(string).collect::<Result<_, _>>()?, env })
    }
}

#[cfg(test)]
mod tests;
