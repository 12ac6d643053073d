//! `dogwatch status`: asks the daemon what it is doing.
//!
//! The daemon is whoever holds the lock on the pid file. It is sent SIGUSR1 and answers by a file in its run directory,
//! which is watched before it is asked.

use super::daemon::{failed, path_option, usual_places};
use super::{Usage, check, out};
use crate::daemon::{PID_FILE, STATUS_FILE};
use crate::parts::diag::Failure;
use crate::parts::lockfile;
use crate::sys::clock::{self, Tick};
use crate::sys::fs::{self, CWD, Open};
use crate::sys::inotify::{self, Inotify, Mask};
use crate::sys::lock::Holder;
use crate::sys::poll::{Interest, Poll};
use crate::sys::timer::BootTimer;
use crate::sys::{Errno, signal};
use std::os::fd::AsFd;
use std::process::ExitCode;

/// How long a daemon may take to answer; one that works takes a few milliseconds.
const SECONDS: u64 = 5;
/// A thousand paths of the greatest length, escaped, are less.
const MOST_BYTES: usize = 64 << 20;

/// The command `status`.
pub fn run(words: &[String], jobs: &[String]) -> Result<ExitCode, ExitCode> {
    let about = "Shows what the daemon is doing: watches, tasks, running commands, counters.";
    let mut usage = Usage::new("dogwatch status [-c FILE] [--pid-file FILE]", about);
    check::configuration_option(&mut usage);
    usage.options.optopt("", "pid-file", "ask the daemon that holds this one", "FILE");
    let matches = usage.parse(words, 0)?;
    let pid_file = path_option(&matches, "pid-file").map_err(failed)?;
    // With a pid file alone, no configuration is needed.
    let configured = match pid_file.is_some() && !matches.opt_present("config") {
        true => None,
        false => check::load(&matches, jobs)?.config.places.run,
    };
    let status = ask(configured.or(usual_places().run), pid_file).map_err(failed)?;
    out::print(&String::from_utf8_lossy(&status)).map(|()| ExitCode::SUCCESS)
}

fn ask(run: Option<Vec<u8>>, pid_file: Option<Vec<u8>>) -> Result<Vec<u8>, Failure> {
    let no_place = || Failure::on_path("find", b"run_dir", "it is not set in [daemon], and nor is XDG_RUNTIME_DIR");
    let run = run.ok_or_else(no_place)?;
    let pid_file = pid_file.unwrap_or_else(|| [&run[..], b"/", PID_FILE].concat());
    let fail = |reason: &str| Failure::on_path("ask the daemon of", &pid_file, reason);
    let pid = match lockfile::holder(&pid_file)? {
        Some(Holder::Process(pid)) => pid,
        Some(Holder::Elsewhere) => return Err(fail("it lives in another pid namespace (a container)")),
        None => return Err(fail("none runs: nobody holds that file")),
    };
    let watched = |errno| Failure::on_path("watch", &run, errno);
    let dir = fs::open(CWD, &run, Open::Directory).map_err(watched)?;
    let inotify = Inotify::new().map_err(watched)?;
    fs::fchdir(dir.as_fd()).and_then(|()| inotify.watch_here(Mask::MOVED_TO, true)).map_err(watched)?;
    signal::send_usr1(pid).map_err(|errno| match errno {
        Errno::EPERM => fail(&format!("process {pid} is another user's")).hint("ask as root, or as that user"),
        _ => fail(&errno.to_string()),
    })?;
    if !is_answered(&inotify).map_err(watched)? {
        return Err(fail(&format!("process {pid} does not answer within {SECONDS} s")).hint("its log may say why"));
    }
    fs::read(dir.as_fd(), STATUS_FILE, Open::Read, MOST_BYTES).map_err(|errno| fail(&errno.to_string()))
}

/// Whether the file comes in time.
fn is_answered(inotify: &Inotify) -> Result<bool, Errno> {
    let timer = BootTimer::new()?;
    timer.arm(Tick(clock::boot_now().0 + SECONDS * 1_000))?;
    let mut poll = Poll::new();
    let mut buffer = vec![0; inotify::BUFFER];
    poll.add(inotify.as_fd(), Interest::Read, false);
    poll.add(timer.as_fd(), Interest::Read, true);
    loop {
        let too_late = poll.wait(true)?.any(|is_timer| is_timer);
        let answered = inotify.read(&mut buffer)?.any(|record| record.name == STATUS_FILE);
        if answered || too_late {
            return Ok(answered);
        }
    }
}
