//! Commands: `cmd`, a line for the shell, and `exec`, a program with arguments and no shell.
//!
//! In both, a path is never part of a text that is parsed. A shell line's placeholders become `"$DOGWATCH_PATHNAME"` and so
//! on when the configuration is read, and the values enter only the environment; an argument of `exec` holds its value
//! as it is. Turns (command, values) into a [`Program`] for `sys::spawn`.

pub mod shell;
pub mod trampoline;
pub mod words;

use crate::parts::accounts::Account;
use crate::parts::template::{PLACEHOLDERS, Template, Values};
use crate::sys::spawn::Program;
use crate::sys::{Errno, process};
use std::ffi::CString;

/// A command as it was configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// What is run.
    pub line: Line,
    /// As whom, if not as dogwatch itself.
    pub user: Option<Account>,
    /// Where what it prints goes.
    pub output: Output,
}

/// What is run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// For `/bin/sh -c`, with the placeholders rewritten to variables.
    Shell(Vec<u8>),
    /// A program and its arguments.
    Exec(Vec<Template>),
}

/// Where what a command prints goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Output {
    /// Into the log, line by line, under its scheduler's logname.
    #[default]
    Log,
    /// To dogwatch's own standard output and standard error.
    Inherit,
    /// Nowhere.
    Null,
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
        // In the test build, faults are for workers too.
        let fault = |name: &[u8]| cfg!(feature = "fault") && name.starts_with(b"DOGWATCH_FAULT");
        let own = |name: &[u8]| (name.starts_with(PREFIX) && !fault(name)) || name == NOTIFY_SOCKET;
        let strings =
            variables.into_iter().filter(|(name, _)| !own(name)).map(|(name, value)| [name, value].join(&b'='));
        Environment(strings.filter_map(|string| CString::new(string).ok()).collect())
    }

    /// The variables, `NAME=value` each.
    pub fn variables(&self) -> Vec<CString> {
        self.0.clone()
    }
}

impl Command {
    /// The program to start for these values. EINVAL for a value with a NUL, which no path has.
    pub fn program(&self, values: &Values<'_>, inherited: &Environment) -> Result<Program, Errno> {
        let string = |bytes: Vec<u8>| CString::new(bytes).map_err(|_| Errno::EINVAL);
        let argv = match &self.line {
            Line::Shell(line) => vec![b"/bin/sh".to_vec(), b"-c".to_vec(), line.clone()],
            Line::Exec(words) => words.iter().map(|word| word.expand(values)).collect(),
        };
        let argv: Vec<CString> = argv.into_iter().map(string).collect::<Result<_, _>>()?;
        let mut env = inherited.0.clone();
        for (placeholder, _) in PLACEHOLDERS {
            env.push(string([placeholder.variable().as_bytes(), b"=", &values.get(placeholder)].concat())?);
        }
        // Whoever is that user already, and not root, needs nobody in between, and has no right to set groups.
        let own = process::effective_uid();
        let Some(account) = self.user.as_ref().filter(|user| own == 0 || user.uid != own) else {
            return Ok(Program::new(argv, env));
        };
        if let Some((name, home)) = &account.person {
            for (variable, value) in [(&b"USER="[..], name), (b"LOGNAME=", name), (b"HOME=", home)] {
                env.retain(|string| !string.as_bytes().starts_with(variable));
                env.push(string([variable, value].concat())?);
            }
        }
        Ok(trampoline::program(account, argv, env))
    }
}

#[cfg(test)]
mod tests;
