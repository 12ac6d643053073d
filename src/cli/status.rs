//! `dogwatch status`: asks the daemon what it is doing.
//!
//! The daemon is whoever holds the lock on the pid file. It is sent SIGUSR1 and answers by a file in its run directory,
//! which is watched before it is asked.

use super::daemon::{path_option, usual_places};
use super::{Usage, check, out};
use crate::config::Places;
use crate::daemon::{PID_FILE, STATUS_FILE};
use crate::parts::diag::Failure;
use crate::parts::lockfile;
use crate::parts::text::Escaped;
use crate::sys::clock::{self, Tick};
use crate::sys::fs::{self, CWD, Open};
use crate::sys::inotify::{Inotify, Mask};
use crate::sys::lock::Holder;
use crate::sys::poll::{Interest, Poll};
use crate::sys::timer::BootTimer;
use crate::sys::{Errno, Fd, fd, signal};
use getopts::Matches;
use std::os::fd::AsFd;
use std::process::ExitCode;

/// A daemon that works answers in a few milliseconds.
const PATIENCE_MS: u64 = 5_000;
/// A thousand paths of the greatest length, escaped, are less.
const MOST: usize = 64 << 20;

/// The command `status`.
pub fn run(words: &[String]) -> Result<ExitCode, ExitCode> {
    let about = "Shows what the daemon is doing: watches, pending tasks, running commands, counters.";
    let mut usage = Usage::new("dogwatch status [-c FILE] [--pid-file FILE]", about);
    check::configuration_option(&mut usage);
    usage.options.optopt("", "pid-file", "the daemon that holds this one", "FILE");
    let matches = usage.parse(words, 0)?;
    let places = places(&matches)?;
    let status = ask(&matches, places.run).map_err(|why| {
        out::complain(&format!("dogwatch: {why}\n"));
        ExitCode::FAILURE
    })?;
    out::print(&String::from_utf8_lossy(&status)).map(|()| ExitCode::SUCCESS)
}

/// The configuration's places; it is not asked where only a pid file is named.
fn places(matches: &Matches) -> Result<Places, ExitCode> {
    if matches.opt_present("pid-file") && !matches.opt_present("config") {
        return Ok(usual_places());
    }
    Ok(check::load(matches)?.config.places.or(usual_places()))
}

fn ask(matches: &Matches, run: Option<Vec<u8>>) -> Result<Vec<u8>, String> {
    let run = run.ok_or("there is no run_dir: XDG_RUNTIME_DIR is not set, and nor is run_dir in [daemon]")?;
    let given = path_option(matches, "pid-file").map_err(|failure| failure.to_string())?;
    let pid_file = given.unwrap_or_else(|| [&run[..], b"/", PID_FILE].concat());
    let pid = match lockfile::holder(&pid_file).map_err(|failure| failure.to_string())? {
        None => return Err(format!("no daemon runs: nobody holds {}", Escaped(&pid_file))),
        Some(Holder::Elsewhere) => {
            let place = "lives in another pid namespace (a container), and cannot be asked from here";
            return Err(format!("the daemon that holds {} {place}", Escaped(&pid_file)));
        }
        Some(Holder::Process(pid)) => pid,
    };
    answer(&run, pid).map_err(|failure| failure.to_string())?.ok_or_else(|| {
        let seconds = PATIENCE_MS / 1_000;
        format!("process {pid} did not answer within {seconds} s in {}; its log may say why", Escaped(&run))
    })
}

/// Asks, and waits for the answer; `None` if there is none in time.
fn answer(run: &[u8], pid: i32) -> Result<Option<Vec<u8>>, Failure> {
    let fail = |errno| Failure::on_path("watch", run, errno);
    let dir = fs::open(CWD, run, Open::Directory).map_err(fail)?;
    let inotify = Inotify::new().map_err(fail)?;
    fs::fchdir(dir.as_fd()).and_then(|()| inotify.watch_here(Mask::MOVED_TO, true)).map_err(fail)?;
    signal::send_usr1(pid).map_err(|errno| {
        let failure = Failure::of(&format!("ask process {pid}"), errno);
        if errno == Errno::EPERM { failure.hint("ask as root, or as the user that it runs as") } else { failure }
    })?;
    if wait(&inotify).map_err(fail)? { read(&dir).map(Some).map_err(fail) } else { Ok(None) }
}

/// Whether the file comes in time.
fn wait(inotify: &Inotify) -> Result<bool, Errno> {
    let timer = BootTimer::new()?;
    timer.arm(Tick(clock::boot_now().0 + PATIENCE_MS))?;
    let mut poll = Poll::new();
    let mut buffer = vec![0; crate::sys::inotify::BUFFER];
    loop {
        poll.clear();
        poll.add(inotify.as_fd(), Interest::Read, false);
        poll.add(timer.as_fd(), Interest::Read, true);
        let too_late = poll.wait(true)?.any(|is_timer| is_timer);
        if inotify.read(&mut buffer)?.any(|record| record.name == STATUS_FILE) {
            return Ok(true);
        }
        if too_late {
            return Ok(false);
        }
    }
}

fn read(dir: &Fd) -> Result<Vec<u8>, Errno> {
    let file = fs::open(dir.as_fd(), STATUS_FILE, Open::Read)?;
    fd::read_all(file.as_fd(), MOST)
}
