//! What the log says: every line about a task carries scheduler, task number, event and path.

use crate::engine::task::{About, What};
use crate::engine::watch::events;
use crate::parts::duration::Millis;
use crate::parts::text::Escaped;
use crate::sys::inotify::Mask;
use crate::sys::spawn::{Exit, NOT_FOUND};
use std::fmt::{self, Display};

/// `inbox#7 IN_CLOSE_WRITE /path`, for the beginning of a line.
pub struct Subject<'a>(pub &'a str, pub &'a About);

impl Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Subject(scheduler, about) = self;
        write!(f, "{scheduler}#{} {} {}", about.id, events::first_name(about.mask), Escaped(&about.path))?;
        if let Some(source) = &about.source {
            write!(f, " (from {})", Escaped(source))?;
        }
        if about.from_scan {
            f.write_str(" (found by a scan)")?;
        }
        Ok(())
    }
}

/// What has happened to a task, in words.
pub struct Words(pub What);

impl Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            What::Scheduled(Millis(0)) => f.write_str("scheduled, due at once"),
            What::Scheduled(delay) => write!(f, "scheduled, due in {delay}"),
            What::Rescheduled(delay) => write!(f, "scheduled anew, due in {delay}"),
            What::Replaced => f.write_str("waits for its turn, now with this event"),
            What::Again => f.write_str("is running, and will run once more after it"),
            What::Cancelled => f.write_str("cancelled"),
            What::TooLate => f.write_str("not cancelled: it is running; it will not run once more"),
            What::CancelledByShutdown => f.write_str("cancelled: dogwatch ends before it is due"),
            What::Skipped => f.write_str("skipped: it is running"),
            What::Restarted => f.write_str("is running, gets SIGTERM, and begins anew"),
            What::Kept => f.write_str("is not due before dogwatch ends: it is kept for the next start"),
            What::SchedulerGone => f.write_str("cancelled: the configuration has no scheduler for it any more"),
            What::HeldBack(pause) => {
                write!(f, "its own job seems to wake it again and again: it waits {pause}, then longer each time")
            }
            What::NotMatched => f.write_str("cancelled: at its directory's new path no event map asks for it"),
        }
    }
}

/// Why a command has failed, if it has.
pub fn failure_of_command(exit: Exit) -> Option<String> {
    match exit {
        Exit::Code(0) => None,
        Exit::Code(NOT_FOUND) => Some("exit status 127 (the shell's for a command that it does not find)".to_owned()),
        Exit::Code(code) => Some(format!("exit status {code}")),
        Exit::Signal(signal) => Some(format!("ended by signal {signal}")),
    }
}

/// Why a job has failed whose worker has ended at it.
pub fn failure_of_worker(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("its worker ended with exit status {code}"),
        Exit::Signal(signal) => format!("its worker was ended by signal {signal}"),
    }
}

/// An event as the debug log shows it.
pub fn event(mask: Mask, path: &[u8], from_scan: bool) -> String {
    let dir = if mask.any(Mask::ISDIR) { "|IN_ISDIR" } else { "" };
    let scan = if from_scan { " (found by a scan)" } else { "" };
    let names: Vec<&str> = events::bits(mask).map(events::first_name).collect();
    format!("event {}{dir} {}{scan}", names.join("|"), Escaped(path))
}
