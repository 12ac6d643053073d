//! The backup directory: its schedules, its backups, its logs, and what the service remembers of its runs.
//!
//! All are plain text. What is hidden is the service's own: `.backup_service.pid`, which it locks, and `.backup_runs`.

use super::SCHEDULES;
use super::runs::Runs;
use super::schedule::Listing;
use crate::parts::diag::Failure;
use crate::parts::publish;
use crate::parts::text::Escaped;
use crate::parts::walk;
use crate::parts::zone::here;
use crate::sys::fs::{self, CWD, Kind, Open};
use crate::sys::{Errno, Fd, change, clock, fd, lock};
use std::os::fd::AsFd;

const BACKUPS: &[u8] = b"backups";
const LOGS: &[u8] = b"logs";
const RUNS: &[u8] = b".backup_runs";
const PID: &[u8] = b".backup_service.pid";
/// This besides, if the service is a part of the daemon.
const DAEMON: &[u8] = b".backup_daemon.pid";
/// A file of schedules, or of runs, that is longer was written by nobody in earnest.
const MOST_BYTES: usize = 16 << 20;

/// Who writes to a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// The commands that people give.
    Manager,
    /// What makes the backups.
    Service,
}

/// What a daemon locks that is the service of this directory.
pub fn locks(dir: &[u8]) -> [Vec<u8>; 2] {
    [PID, DAEMON].map(|name| [dir, b"/", name].concat())
}

/// A backup directory, which is trusted: links in its path are followed.
pub struct Book {
    /// Its absolute path.
    pub path: Vec<u8>,
    /// It, open to be listed.
    pub dir: Fd,
}

impl Book {
    /// Opens it; it has to be there.
    pub fn open(path: &[u8]) -> Result<Book, Failure> {
        let dir = fs::open(CWD, path, Open::Directory);
        let dir = dir.map_err(|errno| Failure::on_path("use the backup directory", path, errno))?;
        Ok(Book { path: path.to_vec(), dir })
    }

    /// The path of something in it.
    pub fn path_of(&self, name: &[u8]) -> Vec<u8> {
        [&self.path[..], b"/", name].concat()
    }

    /// What the service locks as long as it lives.
    pub fn pid_file(&self) -> Vec<u8> {
        self.path_of(PID)
    }

    /// What a daemon locks besides that is the service.
    pub fn daemon_file(&self) -> Vec<u8> {
        self.path_of(DAEMON)
    }

    fn read(&self, name: &[u8]) -> Result<Vec<u8>, Failure> {
        match fs::read(self.dir.as_fd(), name, Open::ReadFollowing, MOST_BYTES) {
            Err(Errno::ENOENT) => Ok(Vec::new()),
            read => read.map_err(|errno| self.failure("read", name, errno)),
        }
    }

    fn write(&self, name: &[u8], mode: u32, bytes: &[u8]) -> Result<(), Failure> {
        publish::bytes(&self.path, name, mode, bytes)
    }

    /// The lines of the schedules file, as they are.
    pub fn schedules(&self) -> Result<Vec<u8>, Failure> {
        self.read(SCHEDULES)
    }

    /// Makes the file of schedules if it is missing.
    pub fn make_schedules(&self) -> Result<(), Failure> {
        match change::open_or_create(self.dir.as_fd(), SCHEDULES, 0o644) {
            Ok(_) => Ok(()),
            Err(errno) => Err(self.failure("make", SCHEDULES, errno)),
        }
    }

    /// Changes the schedules; nobody else does meanwhile. Nothing is written if `change` says why not.
    pub fn change_schedules<T>(
        &self,
        change: impl FnOnce(&[u8], Listing) -> Result<(Vec<u8>, T), String>,
    ) -> Result<Result<T, String>, Failure> {
        // A lock of its own, for the file is another one after it.
        let fail = |errno| Failure::on_path("lock", &self.path, errno);
        let dir = fs::open(self.dir.as_fd(), b".", Open::Directory).map_err(fail)?;
        lock::wait(dir.as_fd());
        let old = self.schedules()?;
        match change(&old, Listing::read(&old)) {
            Ok((new, answer)) => self.write(SCHEDULES, 0o644, &new).map(|()| Ok(answer)),
            Err(why) => Ok(Err(why)),
        }
    }

    /// What is remembered of runs.
    pub fn runs(&self) -> Result<Runs, Failure> {
        self.read(RUNS).map(|text| Runs::read(&text))
    }

    /// Remembers it.
    pub fn keep_runs(&self, runs: &Runs) -> Result<(), Failure> {
        self.write(RUNS, 0o600, &runs.text())
    }

    /// The directory of the backups, which is made if it is missing; and its path, from here.
    pub fn backups(&self) -> Result<Fd, Failure> {
        self.subdirectory(BACKUPS)
    }

    /// Backups, by their names in order.
    pub fn names(&self) -> Result<Vec<Vec<u8>>, Failure> {
        let dir = match fs::open(self.dir.as_fd(), BACKUPS, Open::Directory) {
            Err(Errno::ENOENT) => return Ok(Vec::new()),
            dir => dir.map_err(|errno| self.failure("list", BACKUPS, errno))?,
        };
        let all = walk::names(dir.as_fd()).map_err(|errno| self.failure("list", BACKUPS, errno))?;
        let is_file = |name: &&[u8]| fs::stat(dir.as_fd(), name).is_ok_and(|found| found.kind == Kind::File);
        Ok(all.iter().filter(|name| !name.starts_with(b".")).filter(is_file).map(<[u8]>::to_vec).collect())
    }

    /// What the log calls a backup.
    pub fn shown(name: &[u8]) -> Vec<u8> {
        [BACKUPS, b"/", name].concat()
    }

    fn subdirectory(&self, name: &[u8]) -> Result<Fd, Failure> {
        let fail = |errno| self.failure("use the directory", name, errno);
        match change::make_dir(self.dir.as_fd(), name, 0o777) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(fail(errno)),
        }
        fs::open(self.dir.as_fd(), name, Open::Directory).map_err(fail)
    }

    /// Adds a line to a log: `[dd/mm/yyyy hh:mm] TEXT`. What cannot be logged is told in the answer.
    pub fn log(&self, who: Who, text: &str) -> Result<(), Failure> {
        let name: &[u8] = match who {
            Who::Manager => b"backup_manager.log",
            Who::Service => b"backup_service.log",
        };
        let fail = |errno| self.failure("write to the log", &[LOGS, b"/", name].concat(), errno);
        let logs = self.subdirectory(LOGS)?;
        let file = change::append(logs.as_fd(), name, 0o644).map_err(fail)?;
        fd::write_all(file.as_fd(), format!("[{}] {text}\n", now()).as_bytes()).map_err(fail)
    }

    fn failure(&self, what: &str, name: &[u8], reason: impl std::fmt::Display) -> Failure {
        Failure::on_path(what, &self.path_of(name), reason)
    }
}

/// Now, as the logs write it.
fn now() -> String {
    minute(clock::wall_now())
}

/// An instant as the logs write it: `dd/mm/yyyy hh:mm`.
pub fn minute(instant: i64) -> String {
    let at = here::zone().civil(instant);
    format!("{:02}/{:02}/{:04} {:02}:{:02}", at.day, at.month, at.year, at.hour, at.minute)
}

/// A line of a file, for a log.
pub fn line(bytes: &[u8]) -> String {
    Escaped(bytes).to_string()
}
