//! `dogwatch daemon`: the daemon, in the foreground or in the background.

use super::{Usage, check, out};
use crate::config::{Config, DEFAULT_PATH, Places};
use crate::daemon::{self, End, Origin, Wishes};
use crate::jobs::command::Environment;
use crate::parts::diag::Failure;
use crate::parts::log::{Log, Target};
use crate::parts::text::to_bytes;
use crate::parts::zone::here;
use crate::sys::fs;
use crate::sys::signal::Signals;
use crate::sys::{Fd, fd, process, spawn};
use getopts::Matches;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

/// The command `daemon`.
pub fn run(words: &[String], jobs: &[String]) -> Result<ExitCode, ExitCode> {
    let about = "Watches directories and runs tasks until SIGTERM or SIGINT.";
    let mut usage = Usage::new("dogwatch daemon [-c FILE] [-d] [-b] [--pid-file FILE] [--ready-fd N]", about);
    check::configuration_option(&mut usage);
    usage.options.optflag("d", "debug", "log everything, whatever the configured levels");
    usage.options.optflag("b", "background", "return once it serves, and go on in the background");
    usage.options.optopt("", "pid-file", "lock this file, and not RUN_DIR/dogwatch.pid", "FILE");
    usage.options.optopt("", "ready-fd", "write a newline to descriptor N once all is watched, and close it", "N");
    let matches = usage.parse(words, 0)?;
    // Before anything else is opened: the number is this descriptor's only as long.
    let ready_fd = ready_fd(&matches)?;
    let background = matches.opt_present("background");
    if background {
        fd::close_inherited(ready_fd.as_ref());
    }
    let path = path_option(&matches, "config").map_err(failed)?.unwrap_or(DEFAULT_PATH.into());
    let origin = Origin { path, debug: matches.opt_present("debug"), jobs: jobs.to_vec() };
    let (config, warnings) = origin.load().map_err(|refused| check::refused(&refused))?;
    out::complain(&warnings.concat());
    if background && config.logs.lead_only_to(&Target::Stderr) {
        out::complain("dogwatch: warning: the log goes to standard error: nothing of it is seen in the background\n");
    }
    fd::cloexec_inherited();
    // Before the fork and before the lock: who knows the daemon's pid may send signals at once.
    let signals = Signals::new(true).map_err(|errno| failed(Failure::of("take over signals", errno)))?;
    let wishes = Wishes {
        places: config.places.clone().or(usual_places()),
        pid_file: path_option(&matches, "pid-file").map_err(failed)?,
        parent: background.then(into_background).transpose()?,
        ready_fd,
        notify_socket: variable("NOTIFY_SOCKET"),
        ..Wishes::default()
    };
    let log = local_log(&config).map_err(failed)?;
    match daemon::run((config, Some(origin)), environment(), log, signals, wishes).map_err(failed)? {
        End::Orderly => Ok(ExitCode::SUCCESS),
        End::Hasty | End::Command(_) | End::TimedOut => Err(ExitCode::FAILURE),
    }
}

/// What commands inherit.
pub fn environment() -> Environment {
    Environment::new(std::env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec())))
}

/// The log as it is configured, in local time.
pub fn local_log(config: &Config) -> Result<Log, Failure> {
    Log::open(config.logs.clone(), variable("JOURNAL_STREAM").as_deref(), here::zone())
}

/// Forks. The child goes on; the parent ends once a byte comes from the descriptor that the child gets here: it serves; or
/// once the child has ended, and has told why.
fn into_background() -> Result<Fd, ExitCode> {
    let fail = |errno| failed(Failure::of("go into the background", errno));
    let (answer, parent) = fd::pipe().map_err(fail)?;
    let Some(child) = process::fork().map_err(fail)? else { return Ok(parent) };
    drop(parent);
    if fd::read(answer.as_fd(), &mut [0]) == Ok(1) {
        return Err(ExitCode::SUCCESS);
    }
    let _ = spawn::wait(child);
    Err(ExitCode::FAILURE)
}

/// An option's path, made absolute.
pub fn path_option(matches: &Matches, name: &str) -> Result<Option<Vec<u8>>, Failure> {
    let absolute = |path: String| {
        let path = to_bytes(&path);
        fs::absolute(&path).map_err(|errno| Failure::on_path("find", &path, errno))
    };
    matches.opt_str(name).map(absolute).transpose()
}

/// Where our directories are, unless the configuration says otherwise.
pub fn usual_places() -> Places {
    Places::of(process::effective_uid(), variable)
}

/// The descriptor of `--ready-fd`.
pub fn ready_fd(matches: &Matches) -> Result<Option<Fd>, ExitCode> {
    let Some(text) = matches.opt_str("ready-fd") else { return Ok(None) };
    // What is no number is no open descriptor either.
    let inherited = fd::inherited(text.parse().unwrap_or(-1));
    inherited.map(Some).map_err(|errno| failed(Failure::of("use the descriptor of --ready-fd", errno)))
}

/// Says what has failed.
pub fn failed(failure: Failure) -> ExitCode {
    out::complain(&format!("dogwatch: {failure}\n"));
    ExitCode::FAILURE
}

fn variable(name: &str) -> Option<Vec<u8>> {
    std::env::var_os(name).map(OsString::into_vec)
}
