//! `dogwatch daemon`: the daemon, in the foreground.

use super::{Usage, check, out};
use crate::daemon::{self, End, Origin};
use crate::jobs::command::Environment;
use crate::parts::diag::Failure;
use crate::parts::log::Log;
use crate::parts::zone::Zone;
use crate::sys::fd;
use crate::sys::fs::{self, CWD, Open};
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

/// The command `daemon`.
pub fn run(words: &[String]) -> Result<ExitCode, ExitCode> {
    let about = "Watches directories and runs tasks, in the foreground, until SIGTERM or SIGINT.";
    let mut usage = Usage::new("dogwatch daemon [-c FILE] [-d]", about);
    check::configuration_option(&mut usage);
    usage.options.optflag("d", "debug", "log everything, whatever the configured levels");
    let matches = usage.parse(words, 0)?;
    let path = absolute(&check::configuration_path(&matches))?;
    let origin = Origin { path, debug: matches.opt_present("debug") };
    let (config, warnings) = origin.load().map_err(|refused| check::refused(&refused))?;
    out::complain(&warnings.concat());
    fd::cloexec_inherited();
    let environment = std::env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec()));
    let log = Log::to_stderr(variable("JOURNAL_STREAM").as_deref(), local_zone());
    match daemon::run(config, origin, Environment::new(environment), log) {
        Ok(End::Orderly) => Ok(ExitCode::SUCCESS),
        Ok(End::Hasty) => Err(ExitCode::FAILURE),
        Err(failure) => {
            out::complain(&format!("dogwatch: {failure}\n"));
            Err(ExitCode::FAILURE)
        }
    }
}

/// The daemon's working directory will be another.
fn absolute(path: &[u8]) -> Result<Vec<u8>, ExitCode> {
    fs::absolute(path).map_err(|errno| {
        out::complain(&format!("dogwatch: {}\n", Failure::on_path("find", path, errno)));
        ExitCode::FAILURE
    })
}

fn variable(name: &str) -> Option<Vec<u8>> {
    std::env::var_os(name).map(OsString::into_vec)
}

fn local_zone() -> Zone {
    /// No zone's file has a tenth of that.
    const MOST: usize = 64 * 1024;
    let read = |path: &[u8]| {
        let file = fs::open(CWD, path, Open::ReadFollowing).ok()?;
        fd::read_all(file.as_fd(), MOST).ok()
    };
    Zone::local(variable("TZ").as_deref(), read)
}
