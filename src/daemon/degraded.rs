//! When the kernel has no watch, descriptor or memory left: it is told once, with the limit to raise, the rest goes on, and
//! what could not be watched is tried again until it can.

use super::Daemon;
use super::moment::Moment;
use crate::parts::duration::Millis;
use crate::parts::log::Level;
use crate::sys::Errno;
use crate::sys::clock::Tick;
use crate::sys::fs::{self, CWD, Open};

/// From one try to the next.
const INTERVAL: Millis = Millis(10_000);

/// The limits on watches: of a user, and of a user within a user namespace (inotify(7), namespaces(7)).
const LIMITS: [(&str, &str); 2] = [
    ("fs.inotify.max_user_watches", "/proc/sys/fs/inotify/max_user_watches"),
    ("user.max_inotify_watches", "/proc/sys/user/max_inotify_watches"),
];

/// What is known of the want.
#[derive(Default)]
pub struct Degraded {
    /// When to try again.
    pub retry_at: Option<Tick>,
    /// Since when events may be missed.
    pub since: Option<Moment>,
}

impl Daemon {
    /// Tries what could not be watched again, if it is time.
    pub fn retry_unwatched(&mut self) {
        if self.degraded.retry_at.take_if(|at| *at <= self.now).is_some() {
            self.engine.watches.retry_unwatched();
        }
    }

    /// After all scans: says what could not be watched, or that all is watched again.
    pub fn look_after_unwatched(&mut self) {
        if self.engine.watches.unwatched_directories().0 == 0 {
            if self.degraded.since.take().is_some() {
                self.say(Level::Info, format_args!("all directories are watched again"));
            }
            return;
        }
        if self.degraded.since.is_none() {
            self.degraded.since = Some(self.since);
            let want = self.want().unwrap_or_default();
            self.say(Level::Error, format_args!("{want}; tried again every {INTERVAL}"));
        }
        if self.degraded.retry_at.is_none() {
            self.degraded.retry_at = Some(INTERVAL.after(self.now));
        }
    }

    /// What cannot be watched for want of something, and what to do about it; `None` if all is watched.
    pub fn want(&self) -> Option<String> {
        let (unwatched, errno) = self.engine.watches.unwatched_directories();
        (unwatched > 0).then(|| {
            let (what, remedy) = remedy(errno, self.engine.watches.watch_descriptors() + unwatched);
            format!("no {what} is left: events in {unwatched} directories are missed; {remedy}")
        })
    }
}

/// What is lacking, and what to do about it.
fn remedy(errno: Errno, wanted: usize) -> (&'static str, String) {
    match errno {
        Errno::EMFILE => ("file descriptor", "raise the limit of open files (ulimit -n)".to_owned()),
        Errno::ENFILE => ("file descriptor", "raise the sysctl fs.file-max".to_owned()),
        Errno::ENOMEM => ("memory", "give it more".to_owned()),
        _ => {
            let (name, limit) = limit();
            ("inotify watch", format!("raise the sysctl {name}, which is {limit}: {wanted} are wanted here"))
        }
    }
}

/// The limit that is the smaller, by name.
fn limit() -> (&'static str, u64) {
    let read = |path: &str| {
        let text = fs::read(CWD, path.as_bytes(), Open::ReadFollowing, 64).ok()?;
        std::str::from_utf8(&text).ok()?.trim().parse().ok()
    };
    let limits = LIMITS.iter().map(|(name, path)| (*name, read(path).unwrap_or(u64::MAX)));
    limits.min_by_key(|(_, value)| *value).unwrap_or(("fs.inotify.max_user_watches", 0))
}
