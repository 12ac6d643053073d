//! How the daemon is there for the rest of the system: in the background or not, by its pid file, and by telling whoever
//! started it that it is ready.

use super::Daemon;
use super::printer::Printer;
use crate::config::{self, Places};
use crate::parts::beneath;
use crate::parts::diag::Failure;
use crate::parts::lockfile::{self, Lockfile, Refused};
use crate::parts::log::Level;
use crate::sys::fs::{self, CWD, Open};
use crate::sys::{Errno, Fd, change, clock, fd, process, socket};
use std::os::fd::AsFd;

/// The pid file's name in the run directory.
pub const PID_FILE: &[u8] = b"dogwatch.pid";

/// How the daemon is to be there. Paths are absolute.
#[derive(Default)]
pub struct Wishes {
    /// Its own directories.
    pub places: Places,
    /// A pid file elsewhere than in the run directory.
    pub pid_file: Option<Vec<u8>>,
    /// In the background, the descriptor at whose other end the parent waits for a byte.
    pub parent: Option<Fd>,
    /// Gets a newline once the daemon is ready, and is closed.
    pub ready_fd: Option<Fd>,
    /// The socket of a service manager (sd_notify(3)).
    pub notify_socket: Option<Vec<u8>>,
    /// Where commands run, if not in `/`.
    pub dir: Option<Fd>,
    /// It ends with the first command, or the first result of a source.
    pub once: bool,
    /// The line that is printed for each result of a source.
    pub announce: Option<&'static [u8]>,
    /// SIGHUP has sources look again; else it is the end of what has no configuration file.
    pub looks_again: bool,
    /// Events are printed.
    pub printer: Option<Printer>,
}

/// How the daemon is there.
pub struct Presence {
    /// As it was wished for, without the places that cannot be used.
    pub wishes: Wishes,
    /// When it started, in seconds since 1970.
    pub since: i64,
    /// Locked as long as the daemon lives.
    pub lockfile: Option<Lockfile>,
}

impl Presence {
    /// Makes the directories and locks the pid file. An error is one that keeps the daemon from starting; what it can do
    /// without are warnings.
    pub fn new(mut wishes: Wishes) -> Result<(Presence, Vec<Failure>), Failure> {
        let mut warnings = Vec::new();
        let mut usable = |path: Vec<u8>, mode, without: &str| match prepare(&path, mode) {
            Ok(()) => Some(path),
            Err(failure) => {
                warnings.push(failure.hint(without));
                None
            }
        };
        let Places { state, run } = wishes.places;
        let state = state.and_then(|path| usable(path, 0o700, "tasks cannot be saved"));
        let run = run.and_then(|path| usable(path, 0o755, "there is no status, and no pid file there"));
        let in_run = run.as_ref().map(|run| [run, &b"/"[..], PID_FILE].concat());
        wishes.places = Places { state, run };
        let lockfile = match wishes.pid_file.as_ref().or(in_run.as_ref()).map(|path| lockfile::take(path)).transpose() {
            Ok(lockfile) => lockfile,
            Err(Refused::Held(failure)) => return Err(failure.hint("a second daemon needs a run_dir of its own")),
            Err(Refused::Failed(failure)) if wishes.pid_file.is_some() => return Err(failure),
            Err(Refused::Failed(failure)) => {
                warnings.push(failure.hint("there is no pid file"));
                None
            }
        };
        Ok((Presence { wishes, since: clock::wall_now(), lockfile }, warnings))
    }

    /// Tells the service manager, if there is one: `READY=1`, `STOPPING=1`, or `RELOADING=1`, which `READY=1` has to follow.
    pub fn notify(&self, state: &str) -> Result<(), Failure> {
        let Some(address) = &self.wishes.notify_socket else { return Ok(()) };
        let text = format!("{state}\nMONOTONIC_USEC={}\n", clock::monotonic_micros());
        let fail = |errno| Failure::on_path("tell the service manager at", address, errno);
        socket::send_to(address, text.as_bytes()).map_err(fail)
    }
}

impl Daemon {
    /// From now on signals and events are served: the parent may go, and the terminal with it.
    pub fn serve(&mut self) -> Result<(), Failure> {
        let Some(parent) = self.presence.wishes.parent.take() else { return Ok(()) };
        self.log.flush();
        let silent = fd::silence_standard().and_then(|()| fd::write_all(parent.as_fd(), b"\n"));
        self.log.stderr_changed();
        silent.map_err(|errno| Failure::of("go into the background", errno))
    }

    /// All that is there at the start is watched.
    pub fn is_ready(&mut self) {
        self.ready = true;
        self.printer.iter_mut().for_each(|printer| printer.wait_from(self.now));
        let watched = self.engine.watches.watched_directories();
        self.say(Level::Debug, format_args!("paths below a root are resolved by {}", beneath::resolver()));
        self.say(Level::Info, format_args!("ready, directories watched: {watched}"));
        let told = self.presence.wishes.ready_fd.take().map_or(Ok(()), |ready| fd::write_all(ready.as_fd(), b"\n"));
        let told = told.map_err(|errno| Failure::of("write to the descriptor of --ready-fd", errno));
        for failure in [told, self.presence.notify("READY=1")].into_iter().filter_map(Result::err) {
            self.say(Level::Warning, format_args!("{failure}"));
        }
    }
}

/// Makes a directory of our own where it is missing, and looks whether it can be used. As root, nobody else must be able to
/// put anything there.
fn prepare(path: &[u8], mode: u32) -> Result<(), Failure> {
    let fail = |errno| Failure::on_path("use", path, errno);
    make_directories(path, mode).map_err(fail)?;
    let dir = match process::effective_uid() {
        0 => config::open_trusted_directory(path)?,
        _ => fs::open(CWD, path, Open::Directory).map_err(fail)?,
    };
    change::may_change(dir.as_fd()).map_err(fail)
}

fn make_directories(path: &[u8], mode: u32) -> Result<(), Errno> {
    match change::make_dir(CWD, path, mode) {
        Err(Errno::EEXIST) => Ok(()),
        Err(Errno::ENOENT) => {
            let slash = path.iter().rposition(|byte| *byte == b'/').filter(|slash| *slash > 0).ok_or(Errno::ENOENT)?;
            make_directories(path.get(..slash).unwrap_or_default(), mode)?;
            change::make_dir(CWD, path, mode)
        }
        made => made,
    }
}
