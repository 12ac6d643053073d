//! What tasks give rise to: jobs to be started and ended, and what the log should say.

use super::{SchedulerId, TaskRef};
use crate::parts::duration::Millis;
use crate::parts::log::Level;
use crate::sys::inotify::Mask;

/// What a task was started for, or what a note is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct About {
    /// Whose task.
    pub scheduler: SchedulerId,
    /// Its number, unique in a daemon's life.
    pub id: u64,
    /// The event, one bit, with IN_ISDIR for a directory.
    pub mask: Mask,
    /// The path.
    pub path: Vec<u8>,
    /// The path before a rename.
    pub source: Option<Box<[u8]>>,
    /// A listing found it, not the kernel's queue.
    pub from_scan: bool,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Start the job; [`Tasks::finished`] is owed.
    Start(TaskRef, About),
    /// End the job that was started for this task: a newer event is there. [`Tasks::finished`] is owed as before.
    Stop(TaskRef),
    /// Tell it.
    Note(About, What),
    /// Tell that there was this event.
    Seen {
        /// Its bits.
        mask: Mask,
        /// Its path.
        path: Vec<u8>,
        /// The path before a rename.
        source: Option<Box<[u8]>>,
        /// A listing found it, not the kernel's queue.
        from_scan: bool,
    },
}

/// What has happened to a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// It is new, and due after this.
    Scheduled(Millis),
    /// Its delay has begun anew.
    Rescheduled(Millis),
    /// It was waiting for its turn, and has a newer event now.
    Replaced,
    /// It is running, and will run once more.
    Again,
    /// An event has cancelled it.
    Cancelled,
    /// An event would have cancelled it, but it is running.
    TooLate,
    /// The daemon ends, and it is not due in time.
    CancelledByShutdown,
    /// It is running, its scheduler skips, and the event is lost.
    Skipped,
    /// It is running, is ended, and begins anew.
    Restarted,
    /// The daemon ends, it is not due in time, and it is kept to be saved.
    Kept,
    /// The configuration has no such scheduler any more, or that one has one task in all now.
    SchedulerGone,
    /// Its own job seems to wake it again and again: it is held back for this long.
    HeldBack(Millis),
    /// Its directory was renamed, and no event map sends its event there any more.
    NotMatched,
}

impl What {
    /// How much it matters.
    pub fn level(self) -> Level {
        match self {
            What::Rescheduled(_) | What::Replaced | What::Again => Level::Debug,
            What::Scheduled(_) | What::Cancelled | What::Restarted | What::Kept => Level::Info,
            What::TooLate
            | What::Skipped
            | What::CancelledByShutdown
            | What::SchedulerGone
            | What::NotMatched
            | What::HeldBack(_) => Level::Warning,
        }
    }
}
