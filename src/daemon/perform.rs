//! Carrying out what the engine says: watches are ended and directories scanned, jobs started, notes logged.

use super::moment::Moment;
use super::scan::Miss;
use super::{Daemon, say};
use crate::config::DAEMON;
use crate::engine::task::{Effect, What};
use crate::engine::watch::tree::NodeId;
use crate::engine::watch::{Scan, Trouble};
use crate::jobs::{Work, files};
use crate::parts::diag::Failure;
use crate::parts::lockfile::Lockfile;
use crate::parts::log::Level;
use crate::parts::text::Escaped;
use crate::sys::clock;
use crate::sys::{Errno, fs};

/// Directories are scanned for this many milliseconds between two reads of the queue.
const SLICE: u64 = 10;
/// Each watch that ends queues an IN_IGNORED: so many at once leave room in a queue of 16,384.
const UNWATCHED_AT_ONCE: usize = 1_024;

impl Daemon {
    /// Does all that is to be done now, until nothing follows from it.
    pub fn settle(&mut self) {
        self.update_watches();
        self.run_tasks();
    }

    /// Starts what is due and may start by now, until nothing follows from it; but for a slice, for what is done at once
    /// has events of its own, which are to be read.
    pub fn run_tasks(&mut self) {
        let end = clock::boot_now().0 + SLICE;
        loop {
            self.engine.advance(self.now);
            if !self.perform_effects() || clock::boot_now().0 > end {
                break;
            }
        }
    }

    /// Does what the engine has said; false if that was nothing.
    pub fn perform_effects(&mut self) -> bool {
        let effects = self.engine.take_effects();
        let any = !effects.is_empty();
        for effect in effects {
            match effect {
                Effect::Seen { mask, path, source, .. } if self.printer.is_some() => {
                    self.print_event(mask, &path, source.as_deref());
                }
                Effect::Seen { mask, path, from_scan, .. } => {
                    self.log.line(Level::Debug, DAEMON, format_args!("{}", say::event(mask, &path, from_scan)));
                }
                Effect::Start(task, about) => self.start(task, about),
                Effect::Stop(task) => self.stop_task(task),
                Effect::Note(about, what) => {
                    // A move of ours takes the file from its path, which may be that event.
                    let files = self.config.scheduler(about.scheduler).is_some_and(|s| s.work == Work::Files);
                    let level = if what == What::TooLate && files { Level::Debug } else { what.level() };
                    self.say_of_task(level, &about, format_args!("{}", say::Words(what)));
                }
            }
        }
        any
    }

    /// Ends watches, then scans what waits for it. In this order: a directory that was moved out and in again keeps its
    /// descriptor until it is unwatched, and would lose the new watch with the old.
    fn update_watches(&mut self) {
        if self.engine.watches.deadline().is_some_and(|deadline| deadline <= self.now) {
            self.engine.feed(self.now, |watches, sink| watches.give_up_waiting(sink));
        }
        self.retry_unwatched();
        for wd in std::iter::from_fn(|| self.engine.watches.next_unwatch()).take(UNWATCHED_AT_ONCE) {
            // EINVAL: the kernel was faster, and IN_IGNORED is on its way in either case.
            let _ = self.scanner.inotify.unwatch(wd);
        }
        self.scan_for_a_slice();
        self.engine.feed(self.now, |watches, sink| watches.all_scanned(sink));
        if !self.has_work() {
            self.look_after_unwatched();
            if self.engine.watches.is_in_doubt() && self.scanner.inotify.queued() == Ok(0) {
                self.queue_is_empty();
            }
        }
        if let Err(errno) = self.scanner.rest() {
            self.say(Level::Error, format_args!("{}", Failure::on_path("enter", b"/", errno)));
        }
    }

    /// Whether there are directories to scan or to unwatch.
    pub fn has_work(&self) -> bool {
        self.scanner.is_listing() || self.engine.watches.has_work()
    }

    fn scan_for_a_slice(&mut self) {
        let end = clock::boot_now().0 + SLICE;
        let mut steps = 0_u32;
        while self.scan_on() {
            steps += 1;
            // Most steps take microseconds; a listing's may take longer.
            if (self.scanner.is_listing() || steps % 8 == 0) && clock::boot_now().0 > end {
                break;
            }
        }
        self.engine.feed(self.now, |watches, _| self.scanner.tell_of_leaves(watches));
        if steps > 0 && self.has_work() {
            self.say(Level::Debug, format_args!("scanned: {steps} steps, and there is more"));
        }
    }

    /// Goes on with a listing, or with the next directory; false if there is none.
    fn scan_on(&mut self) -> bool {
        if self.scanner.is_listing() {
            self.list_on();
            return true;
        }
        if let Some((dir, name)) = self.engine.watches.next_name_in_doubt() {
            let looked = self.engine.feed(self.now, |watches, sink| self.scanner.look_at(watches, (dir, &name), sink));
            match looked {
                Err(Miss::Stranger) => self.engine.watches.name_put_off(dir, name),
                Err(Miss::At(at, errno)) => self.engine.watches.name_out_of_reach((dir, name), errno, at),
                Ok(()) => {}
            }
            return true;
        }
        let Some((node, scan)) = self.engine.watches.next_scan() else { return false };
        let begun = self.engine.feed(self.now, |watches, _| self.scanner.begin(watches, (node, scan)));
        if let Err(Miss::At(at, errno)) = begun {
            self.scan_failed(node, scan, errno, at);
        }
        // Before it is listed: what has a lost one's name now is told of after that.
        if let Some((node, _)) = self.scanner.listing().filter(|(_, scan)| *scan >= Scan::Return) {
            self.look_for_files_of_tasks(node);
        }
        true
    }

    fn list_on(&mut self) {
        let (now, lost) = (Moment::now(), self.degraded.since.unwrap_or(self.since));
        let since = self.since.since(now).min(lost.since(now));
        let pid_files: Vec<&Lockfile> = self.presence.lockfile.iter().chain(&self.locks).collect();
        let listed = self.engine.feed(self.now, |watches, sink| self.scanner.list_on(watches, &pid_files, since, sink));
        if let Err(Miss::At(node, errno)) = listed {
            let path = self.engine.watches.tree().path(node, b"");
            let failure = Failure::on_path("list", &path, errno).hint("what is in it already is not seen");
            self.say(Level::Error, format_args!("{failure}"));
        }
        for (dir, name) in std::mem::take(&mut self.scanner.leftovers) {
            let path = self.engine.watches.tree().path(dir, &name);
            self.say(Level::Info, format_args!("{} was left behind by a run that was ended", Escaped(&path)));
            self.tidy(files::TIDY, &path);
        }
        if !self.scanner.is_listing() {
            self.engine.watches.listed();
        }
    }

    /// After an overflow: tasks whose file is gone get the IN_DELETE that was lost.
    fn look_for_files_of_tasks(&mut self, dir: NodeId) {
        for (name, is_dir) in self.engine.tasks().names_at(self.engine.watches.tree(), dir) {
            if self.scanner.lacks(&name, is_dir) {
                self.engine.feed(self.now, |watches, sink| watches.vanished(dir, &name, is_dir, sink));
            }
        }
    }

    fn scan_failed(&mut self, node: NodeId, scan: Scan, errno: Errno, at: NodeId) {
        let path = self.engine.watches.tree().path(node, b"");
        let hint = match self.engine.watches.failed(node, scan, errno, at, self.scanner.inotify.queued() == Ok(0)) {
            None if errno == Errno::ENOTDIR && at == node => return self.tell_of_link(&path),
            None => return,
            Some(Trouble::RootMissing) => "it is waited for",
            Some(Trouble::Unwatched(Errno::EACCES)) => "its events are missed until that changes",
            Some(Trouble::Unwatched(_)) => "its events are missed",
        };
        let failure = Failure::on_path("watch", &path, errno).hint(hint);
        self.say(Level::Error, format_args!("{failure}"));
    }

    /// A configured path is served by its parent as a file; if it is a link, nothing of its target is seen.
    fn tell_of_link(&mut self, path: &[u8]) {
        if fs::stat(fs::CWD, path).is_ok_and(|found| found.kind == fs::Kind::Symlink) {
            let path = Escaped(path);
            self.say(
                Level::Warning,
                format_args!("{path} is a link to a file: what happens to that file is not seen; name it itself"),
            );
        }
    }
}
