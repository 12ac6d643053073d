//! Tasks that outlive the daemon: they are written to the state directory at its end, and taken up again once all is
//! watched at its next start.
//!
//! The file stays until the last task that was taken up from it has ended: whatever happens to the daemon meanwhile, the
//! next start finds them.

mod format;

use super::Daemon;
use super::shutdown::Phase;
use crate::config::OnShutdown;
use crate::engine::task::{About, Saved};
use crate::jobs::Work;
use crate::parts::diag::Failure;
use crate::parts::duration::Millis;
use crate::parts::log::Level;
use crate::parts::publish;
use crate::parts::text::Escaped;
use crate::sys::clock::{self, Tick};
use crate::sys::fs::{self, CWD, Open};
use crate::sys::{Errno, change};
use format::{BROKEN, Entry, Identity, PENDING, Pending, Was};

/// A million tasks with long paths are less.
const MOST_BYTES: usize = 1 << 30;

/// What is in the state directory.
#[derive(Default)]
pub struct Keeping {
    /// What was read at the start, and is not taken up yet.
    read: Option<Pending>,
    /// It could not be read, and is tried again.
    unread: bool,
    /// There is a file.
    written: bool,
    /// What there was to save when it was written, by [`crate::engine::task::Tasks`]'s `parkings` and `restored`.
    state: Option<(u64, usize)>,
}

impl Daemon {
    /// Whether tasks that are not due in time are kept.
    pub fn keeps_tasks(&self) -> bool {
        self.config.on_shutdown == OnShutdown::Save && self.presence.wishes.places.state.is_some()
    }

    /// Reads what was saved. A file that is not whole is set aside.
    pub fn read_saved(&mut self) {
        let Some(path) = self.pending_file() else { return };
        match fs::read(CWD, &path, Open::Read, MOST_BYTES).map(Pending::check) {
            Ok(Ok(pending)) => {
                self.keeping = Keeping { read: Some(pending), unread: false, written: true, state: None };
            }
            Ok(Err(wrong)) => {
                self.set_aside(&path, &Failure::on_path("take up the tasks of", &path, wrong));
            }
            Err(Errno::ENOENT) => {}
            Err(errno) => {
                self.keeping.unread = true;
                let failure = Failure::on_path("read", &path, errno);
                self.say(Level::Error, format_args!("{failure}; saved tasks are not taken up, and tried again"));
            }
        }
    }

    /// Keeps a file that cannot be obeyed, for its user.
    fn set_aside(&mut self, path: &[u8], failure: &Failure) {
        let kept = match change::rename(CWD, path, &[path, BROKEN].concat()) {
            Ok(()) => "it is kept as pending.broken".to_owned(),
            Err(errno) => format!("and it cannot be renamed: {errno}"),
        };
        self.say(Level::Error, format_args!("{failure}; {kept}"));
    }

    /// Where saved tasks are, if there is a state directory.
    fn pending_file(&self) -> Option<Vec<u8>> {
        self.presence.wishes.places.state.as_ref().map(|dir| [dir, &b"/"[..], PENDING].concat())
    }

    /// Takes up what was saved, now that all is watched.
    pub fn take_up_saved(&mut self) {
        if std::mem::take(&mut self.keeping.unread) {
            self.read_saved();
        }
        let Some(pending) = self.keeping.read.take() else { return };
        // A clock that was set back has not run: then as if no time had passed.
        let passed = u64::try_from(clock::wall_now().saturating_sub(pending.at)).unwrap_or(0).saturating_mul(1_000);
        let (mut taken, mut changed, mut unknown) = (0_usize, 0_usize, 0_usize);
        for entry in pending.entries() {
            let Some(scheduler) = self.config.number_of(&entry.scheduler) else {
                unknown += 1;
                self.say(Level::Warning, format_args!("no scheduler {}: {}", entry.scheduler, NotTakenUp(&entry)));
                continue;
            };
            match what_is_at(&entry.path) {
                // Rather once more than never.
                Err(failure) => self.say(Level::Warning, format_args!("{failure}; its saved task is taken up")),
                Ok(now) if now != entry.file && entry.file != Was::Unknown => {
                    changed += 1;
                    self.say(Level::Info, format_args!("the file has changed: {}", NotTakenUp(&entry)));
                    continue;
                }
                Ok(_) => {}
            }
            let due = Tick(self.now.0.saturating_add(entry.wait.0.saturating_sub(passed)));
            let (source, path) = (entry.source.map(Vec::into_boxed_slice), entry.path);
            self.engine.restore(self.now, &Saved { scheduler, mask: entry.mask, path, source, due });
            taken += 1;
        }
        self.perform_effects();
        let message = format!(
            "{taken} saved tasks taken up; not so: {changed} whose file has changed, {unknown} without scheduler"
        );
        self.say(Level::Info, format_args!("{message}"));
    }

    /// Writes what the next start is to find, if there is any.
    pub fn save_tasks(&mut self) {
        let Some(path) = self.presence.wishes.places.state.clone() else { return };
        let tasks = self.engine.tasks();
        let state = Some((tasks.parkings, tasks.restored()));
        if self.keeping.written && self.keeping.state == state && self.phase != Phase::Hasty {
            return;
        }
        let wait = |due: Tick| Millis(due.0.saturating_sub(self.now.0));
        let (mut count, mut unseen) = (0_usize, Vec::new());
        let entries = self.engine.to_save().filter_map(|(about, due)| {
            let scheduler = self.config.scheduler(about.scheduler)?;
            // A source begins by itself.
            if matches!(scheduler.work, Work::Source(_)) {
                return None;
            }
            count += 1;
            let About { mask, path, source, .. } = about;
            let file = what_is_at(&path).unwrap_or_else(|failure| {
                unseen.push(failure);
                Was::Unknown
            });
            Some(Entry {
                scheduler: scheduler.name.clone(),
                mask,
                path,
                source: source.map(Vec::from),
                wait: wait(due),
                file,
            })
        });
        let text = format::encode(entries, clock::wall_now());
        for failure in unseen {
            self.say(Level::Warning, format_args!("{failure}; its task is saved, and taken up even if it changes"));
        }
        if count == 0 {
            return self.forget_saved();
        }
        if let Some(file) = self.pending_file().filter(|_| self.keeping.unread) {
            self.set_aside(&file, &Failure::on_path("read", &file, "it could not be read since the start"));
        }
        match publish::bytes(&path, PENDING, 0o600, &text) {
            Ok(()) => {
                (self.keeping.written, self.keeping.unread, self.keeping.state) = (true, false, state);
                self.say(Level::Info, format_args!("saved {count} tasks for the next start"));
            }
            Err(failure) => self.say(Level::Error, format_args!("{failure}; {count} tasks are not saved")),
        }
    }

    /// Removes the file once nothing of it is left.
    pub fn forget_saved_if_done(&mut self) {
        let tasks = self.engine.tasks();
        let none_is_left = self.keeping.read.is_none() && tasks.restored() == 0 && tasks.active() == tasks.len();
        if self.keeping.written && none_is_left {
            self.forget_saved();
        }
    }

    fn forget_saved(&mut self) {
        let Some(path) = self.pending_file() else { return };
        if !std::mem::take(&mut self.keeping.written) {
            return;
        }
        if let Err(errno) = change::unlink(CWD, &path) {
            let failure = Failure::on_path("remove", &path, errno);
            self.say(Level::Error, format_args!("{failure}; what is in it may be done once more"));
        }
    }
}

/// What is at a path now.
fn what_is_at(path: &[u8]) -> Result<Was, Failure> {
    match fs::stat(CWD, path) {
        Ok(found) => Ok(Was::This(Identity::of(&found))),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(Was::Nothing),
        Err(errno) => Err(Failure::on_path("look at", path, errno)),
    }
}

/// A task that is let be.
struct NotTakenUp<'a>(&'a Entry);

impl std::fmt::Display for NotTakenUp<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Entry { scheduler, mask, path, .. } = self.0;
        let event = crate::engine::watch::events::first_name(*mask);
        write!(f, "a saved task of {scheduler} is not taken up: {event} {}", Escaped(path))
    }
}
