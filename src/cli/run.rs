//! `dogwatch run`: watches paths and runs a command when something happens, without a configuration file.

use super::daemon::failed;
use super::{Usage, watching};
use crate::daemon::{End, Wishes};
use crate::parts::diag::Failure;
use crate::parts::text::to_bytes;
use crate::sys::fs::{self, CWD, Open};
use crate::sys::inotify::Mask;
use crate::sys::spawn::Exit;
use std::process::ExitCode;

/// What counts unless `-e` says otherwise: a change is complete, or something has come or gone.
const USUAL: Mask = Mask::CLOSE_WRITE
    .with(Mask::MOVED_FROM)
    .with(Mask::MOVED_TO)
    .with(Mask::MOVE_SELF)
    .with(Mask::DELETE)
    .with(Mask::DELETE_SELF);
/// An editor that saves a file does several things at once.
const DELAY: &str = "50ms";

/// The command `run`.
pub fn run(words: &[String], _: &[String]) -> Result<ExitCode, ExitCode> {
    let about = "Runs the command when something happens to the paths: when a file was written\n\
                 and closed, moved or deleted. One run at a time, and one more for all that\n\
                 happens meanwhile. In the command, {pathname} stands for what it happened to,\n\
                 {maskname} for the event.";
    let mut usage = Usage::new("dogwatch run [OPTION]... PATH... -- COMMAND [ARGUMENT]...", about);
    watching::options(&mut usage);
    usage.options.optopt("d", "delay", "run once it has been quiet for so long (default: 50ms)", "DELAY");
    usage.options.optflag("k", "restart", "end a command that runs, and begin anew");
    usage.options.optflag("1", "once", "end with the first run, with its exit status");
    usage.options.optopt("s", "shell", "run this line by /bin/sh, instead of -- COMMAND", "LINE");
    let mut halves = words.splitn(2, |word| word == "--");
    let matches = usage.parse(halves.next().unwrap_or_default(), usize::MAX)?;
    let command = halves.next().unwrap_or_default();
    let shell = matches.opt_str("shell");
    if matches.free.is_empty() {
        return Err(usage.wrong("there is no PATH to watch"));
    }
    if command.is_empty() == shell.is_none() {
        return Err(usage.wrong("give a command, either behind -- or by -s"));
    }
    let asked_for = watching::asked_for(&matches, USUAL);
    let mut draft = watching::draft(&matches, &asked_for, "run", &matches.free)?;
    draft.section("scheduler", "run");
    match shell {
        Some(line) => draft.set("cmd", "-s", &to_bytes(&line)),
        None => draft.set("exec", "--", &quoted(command)),
    };
    let restart = matches.opt_present("restart");
    draft.set("on_busy", "-k", if restart { b"restart" } else { b"rerun" });
    draft.set("delay", "-d", matches.opt_str("delay").as_deref().unwrap_or(DELAY).as_bytes());
    draft.set("singlejob", "", b"yes").set("dirs", "", b"yes").set("output", "", b"inherit");
    let dir = fs::open(CWD, b".", Open::PlaceFollowing);
    let dir = dir.map_err(|errno| failed(Failure::of("keep the working directory", errno)))?;
    let once = matches.opt_present("once");
    match watching::serve(draft, Wishes { dir: Some(dir), once, ..Wishes::default() })? {
        End::Command(Exit::Code(status)) => Ok(ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX))),
        // As shells have it.
        End::Command(Exit::Signal(signal)) => Ok(ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))),
        End::Orderly if !once => Ok(ExitCode::SUCCESS),
        // The command that was to run once has not.
        End::Orderly | End::Hasty | End::TimedOut => Err(ExitCode::FAILURE),
    }
}

/// Arguments as the configuration's `exec` takes them.
fn quoted(command: &[String]) -> Vec<u8> {
    let words: Vec<String> = command.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
    to_bytes(&words.join(" "))
}
