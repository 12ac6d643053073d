//! How the daemon is there for the rest of the system: in the background or not, by its pid file, and by telling whoever
//! started it that it is ready.

use super::{Daemon, End};
use crate::config::{self, Places};
use crate::parts::diag::Failure;
use crate::parts::lockfile::{self, Lockfile, Refused};
use crate::parts::log::Level;
use crate::sys::fs::{self, CWD, Open};
use crate::sys::{Errno, Fd, change, clock, fd, process, socket, spawn};
use std::os::fd::{AsFd, BorrowedFd};

/// The pid file's name in the run directory.
pub const PID_FILE: &[u8] = b"dogwatch.pid";

/// How the daemon is to be there. Paths are absolute.
pub struct Wishes {
    /// The configuration's main file.
    pub configuration: Vec<u8>,
    /// Where its directories are.
    pub places: Places,
    /// A pid file elsewhere than in the run directory.
    pub pid_file: Option<Vec<u8>>,
    /// Whether it goes on in the background.
    pub background: bool,
    /// Gets a newline once the daemon is ready, and is closed.
    pub ready_fd: Option<Fd>,
    /// The socket of a service manager (sd_notify(3)).
    pub notify_socket: Option<Vec<u8>>,
}

/// How the daemon is there.
pub struct Presence {
    /// As it was wished for, but for places that cannot be used.
    pub wishes: Wishes,
    /// When it started, in seconds since 1970.
    pub since: i64,
    /// Kept open and locked as long as the daemon lives.
    lockfile: Option<Lockfile>,
    /// The parent waits for a byte from here.
    parent: Option<Fd>,
}

/// After a fork, who we are.
pub enum Side {
    /// The daemon; its parent waits at the other end of the pipe.
    Child(Fd),
    /// The one that ends now, and how.
    Parent(End),
}

/// Forks; the parent waits until the child serves, or has ended.
pub fn into_background() -> Result<Side, Failure> {
    let fail = |errno| Failure::of("go into the background", errno);
    let (answer, say) = fd::pipe().map_err(fail)?;
    let Some(child) = process::fork().map_err(fail)? else { return Ok(Side::Child(say)) };
    drop(say);
    let serves = fd::read(answer.as_fd(), &mut [0]) == Ok(1);
    if !serves {
        // What it has to say is said when it has ended.
        let _ = spawn::wait(child);
    }
    Ok(Side::Parent(End::Background { serves }))
}

impl Presence {
    /// Makes the directories and locks the pid file. An error is one that keeps the daemon from starting; what it can do
    /// without are warnings.
    pub fn new(mut wishes: Wishes, parent: Option<Fd>) -> Result<(Presence, Vec<Failure>), Failure> {
        let mut warnings = Vec::new();
        let mut usable = |path: &mut Option<Vec<u8>>, mode, without: &str| {
            let prepared = path.as_deref().map_or(Ok(()), |path| prepare(path, mode));
            if let Err(failure) = prepared {
                warnings.push(failure.hint(without));
                *path = None;
            }
        };
        usable(&mut wishes.places.state, 0o700, "tasks cannot be saved");
        usable(&mut wishes.places.run, 0o755, "there is no status, and no pid file there");
        let in_run = |run: &Vec<u8>| [run, &b"/"[..], PID_FILE].concat();
        let path = wishes.pid_file.clone().or_else(|| wishes.places.run.as_ref().map(in_run));
        let lockfile = match path.as_deref().map(lockfile::take).transpose() {
            Ok(lockfile) => lockfile,
            Err(Refused::Failed(failure)) if wishes.pid_file.is_none() => {
                warnings.push(failure.hint("there is no pid file"));
                None
            }
            Err(Refused::Failed(failure) | Refused::Unsafe(failure)) => return Err(failure),
            Err(Refused::Held(failure)) => return Err(failure.hint("a second daemon needs a run_dir of its own")),
        };
        Ok((Presence { wishes, since: clock::wall_now(), lockfile, parent }, warnings))
    }

    /// Whether this name is the pid file's: to open it here, and close it again, would drop its lock.
    pub fn is_pid_file(&self, dir: BorrowedFd<'_>, name: &[u8]) -> bool {
        self.lockfile.as_ref().is_some_and(|lockfile| lockfile.is(dir, name))
    }

    /// Tells the service manager, if there is one.
    fn notify(&self, state: &[u8]) -> Result<(), Failure> {
        let Some(address) = &self.wishes.notify_socket else { return Ok(()) };
        let fail = |errno| Failure::on_path("tell the service manager at", address, errno);
        socket::send_to(address, state).map_err(fail)
    }

    fn tell_ready(&mut self) -> Result<(), Failure> {
        let ready_fd = self.wishes.ready_fd.take();
        let told = ready_fd.map_or(Ok(()), |ready| fd::write_all(ready.as_fd(), b"\n"));
        told.map_err(|errno| Failure::of("tell that all is ready", errno)).and(self.notify(b"READY=1\n"))
    }
}

impl Daemon {
    /// From now on signals and events are served: the parent may go, and the terminal with it.
    pub fn serve(&mut self) -> Result<(), Failure> {
        self.log.flush();
        if let Some(parent) = self.presence.parent.take() {
            let fail = |errno| Failure::of("go into the background", errno);
            fd::silence_standard().map_err(fail)?;
            self.log.stderr_changed();
            fd::write_all(parent.as_fd(), b"\n").map_err(fail)?;
        }
        Ok(())
    }

    /// All that is there at the start is watched.
    pub fn is_ready(&mut self) {
        self.ready = true;
        let watched = self.engine.watches.watched_directories();
        self.say(Level::Info, format_args!("ready, directories watched: {watched}"));
        if let Err(failure) = self.presence.tell_ready() {
            self.say(Level::Warning, format_args!("{failure}"));
        }
    }

    /// The end has begun.
    pub fn tell_stopping(&mut self) {
        // A service manager that does not hear it will see it.
        let _ = self.presence.notify(b"STOPPING=1\n");
    }
}

/// Makes a directory of our own where it is missing, and looks whether it can be used. As root, others must not be able to
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
            let slash = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            make_directories(path.get(..slash).filter(|above| !above.is_empty()).ok_or(Errno::ENOENT)?, mode)?;
            change::make_dir(CWD, path, mode)
        }
        made => made,
    }
}
