//! The command line: one file a command, each with its options and its help. Results go to standard output, everything
//! else to standard error; exit status 0 is done, 1 failed, 2 wrong usage.

mod backup;
mod check;
mod collect;
mod daemon;
mod events;
mod explain;
mod help;
mod install;
mod out;
mod run;
mod status;
mod watching;

use crate::parts::text::{to_bytes, to_text};
use crate::sys::{fd, spawn};
use getopts::{Matches, Options};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

/// What a command's `run` gets and gives: arguments after its name, the names of the program's own jobs, and an exit
/// status. An error is one whose message is printed already.
type Run = fn(&[String], &[String]) -> Result<ExitCode, ExitCode>;

/// A command.
struct Command {
    name: &'static str,
    purpose: &'static str,
    run: Run,
}

const COMMANDS: [Command; 13] = [
    Command { name: "daemon", purpose: "watch directories and run tasks", run: daemon::run },
    Command { name: "check", purpose: "test the configuration", run: check::run },
    Command { name: "explain", purpose: "show what would happen, without doing it", run: explain::run },
    Command { name: "status", purpose: "show what the daemon is doing", run: status::run },
    Command { name: "run", purpose: "run a command when paths change, without a configuration", run: run::run },
    Command { name: "events", purpose: "print events as they come", run: events::run },
    Command { name: "backup", purpose: "schedule daily backups, and make them", run: backup::run },
    Command { name: "collect", purpose: "archive files once enough have come", run: collect::run },
    Command { name: "list-events", purpose: "show the events and their meaning", run: events::list },
    Command { name: "install", purpose: "write service files for the init system", run: install::run },
    Command { name: "uninstall", purpose: "remove them", run: install::remove },
    Command { name: "help", purpose: "show this, or a command's help", run: help::run },
    Command { name: "version", purpose: "show the version", run: help::version },
];

/// Wrong usage.
const USAGE: u8 = 2;

/// The whole program, from its arguments and the names of its own jobs to its exit status.
pub fn main(arguments: impl IntoIterator<Item = OsString>, jobs: &[String]) -> ExitCode {
    if fd::ensure_standard().is_err() {
        return ExitCode::FAILURE;
    }
    // getopts takes text; what is not UTF-8 passes it by a mapping that is one to one.
    let words: Vec<String> = arguments.into_iter().skip(1).map(|word| to_text(&word.into_vec())).collect();
    dispatch(&words, jobs).unwrap_or_else(|status| status)
}

/// A command that could not be started as another user; the answer is the exit status.
pub fn not_started(wrong: &str) -> i32 {
    out::complain(&format!("dogwatch: {}\n", crate::parts::text::Escaped(wrong.as_bytes())));
    spawn::NOT_FOUND
}

fn dispatch(words: &[String], jobs: &[String]) -> Result<ExitCode, ExitCode> {
    let (name, rest) = match words.split_first() {
        None => {
            out::complain(&help::overview());
            return Err(ExitCode::from(USAGE));
        }
        Some((name, rest)) => (name.as_str(), rest),
    };
    let name = match name {
        "-h" | "--help" => "help",
        "-V" | "--version" => "version",
        name => name,
    };
    match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) => (command.run)(rest, jobs),
        None => {
            let nearest = crate::parts::text::nearest(name, COMMANDS.iter().map(|command| command.name));
            let meant = nearest.map(|meant| format!("; did you mean \"{meant}\"?")).unwrap_or_default();
            Err(wrong(&format!("there is no command \"{}\"{meant}", shown(name)), "dogwatch help"))
        }
    }
}

/// A command's options, with the synopsis and the text of its help.
struct Usage {
    options: Options,
    synopsis: &'static str,
    about: &'static str,
}

impl Usage {
    /// Options with `--help` among them.
    fn new(synopsis: &'static str, about: &'static str) -> Usage {
        let mut options = Options::new();
        options.optflag("h", "help", "show this help");
        Usage { options, synopsis, about }
    }

    /// Reads the arguments; help that was asked for is printed, and what is wrong is said.
    fn parse(&self, words: &[String], most_free: usize) -> Result<Matches, ExitCode> {
        let matches = self.options.parse(words).map_err(|wrong_use| self.wrong(&shown(&wrong_use.to_string())))?;
        if matches.opt_present("help") {
            out::print(&self.help())?;
            return Err(ExitCode::SUCCESS);
        }
        match matches.free.get(most_free) {
            Some(extra) => Err(self.wrong(&format!("\"{}\" is one argument too many", shown(extra)))),
            None => Ok(matches),
        }
    }

    fn help(&self) -> String {
        self.options.usage(&format!("usage: {}\n\n{}", self.synopsis, self.about))
    }

    fn wrong(&self, what: &str) -> ExitCode {
        wrong(what, &format!("usage: {}", self.synopsis))
    }
}

fn wrong(what: &str, see: &str) -> ExitCode {
    out::complain(&format!("dogwatch: {what}\n{see}\n"));
    ExitCode::from(USAGE)
}

/// An argument as it may be printed.
fn shown(word: &str) -> String {
    crate::parts::text::Escaped(&to_bytes(word)).to_string()
}
