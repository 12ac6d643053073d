//! The log: one line a message, to each of the targets that want it, never blocking.
//!
//! Lines are gathered during a turn of the loop and written at its end. What a target does not take at once waits in a
//! bounded buffer until it does; when that is full, further lines are lost, counted, and the count is the next line.
//! What is wrong with a target is told on standard error and to the other targets.

mod file;
mod routes;
mod sink;
mod stderr;
mod syslog;

pub use routes::{LEVELS, Level, Route, Routes, Target, level};
pub use syslog::ADDRESS as SYSLOG_ADDRESS;

use super::diag::Failure;
use super::zone::Zone;
use file::File;
use sink::{Line, Output, Sink};
use std::fmt;
use std::os::fd::BorrowedFd;
use stderr::Stderr;
use syslog::Syslog;

/// Where lines go and what is on its way there.
pub struct Log {
    routes: Routes,
    /// Standard error first, also if no route leads there: each target once.
    sinks: Vec<Sink>,
    zone: Zone,
    now: i64,
}

impl Log {
    /// A log to the targets of these routes; `journal_stream` is the variable `JOURNAL_STREAM`, if set. A file that
    /// cannot be opened is an error, and a system's log that cannot be reached is told and waited for.
    pub fn open(routes: Routes, journal_stream: Option<&[u8]>, zone: Zone) -> Result<Log, Failure> {
        let stderr = Sink::new(Target::Stderr, Box::new(Stderr::new(journal_stream)));
        let mut log = Log { routes: Routes::default(), sinks: vec![stderr], zone, now: 0 };
        log.reconfigure(routes)?;
        Ok(log)
    }

    /// Sets the wall time (seconds) that the next lines carry; the clock is read once a turn.
    pub fn set_time(&mut self, now: i64) {
        self.now = now;
    }

    /// The local time zone.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Takes other routes. Targets that stay keep what waits for them; files are opened anew. If a new file cannot be
    /// opened, nothing has changed.
    pub fn reconfigure(&mut self, routes: Routes) -> Result<(), Failure> {
        let mut added: Vec<Sink> = Vec::new();
        for Route { target, .. } in &routes.routes {
            if self.sinks.iter().chain(&added).all(|sink| sink.target != *target) {
                added.push(sink(target, routes.max_size)?);
            }
        }
        self.flush();
        self.sinks.retain(|sink| sink.target == Target::Stderr || routes.lead_to(&sink.target));
        self.routes = routes;
        self.reopen();
        self.sinks.extend(added);
        Ok(())
    }

    /// Opens the log files anew, for those that were renamed or removed.
    pub fn reopen(&mut self) {
        self.flush();
        for sink in &mut self.sinks {
            if let Target::File(path) = &sink.target {
                sink.replace(Box::new(File::new(path, self.routes.max_size)));
            }
        }
    }

    /// Something else has become standard error.
    pub fn stderr_changed(&mut self) {
        self.sinks.first_mut().into_iter().for_each(|sink| sink.replace(Box::new(Stderr::new(None))));
    }

    /// How many lines the present targets have lost since they were opened.
    pub fn lost(&self) -> u64 {
        self.sinks.iter().map(|sink| sink.lost_in_all).sum()
    }

    /// Adds a line for whoever wants it.
    pub fn line(&mut self, level: Level, logname: &str, message: fmt::Arguments<'_>) {
        let line = Line { at: self.zone.civil(self.now), level, logname, message };
        for sink in &mut self.sinks {
            if self.routes.level_at(&sink.target, logname).is_some_and(|least| level >= least) {
                sink.add(&line);
            }
        }
    }

    /// The descriptors to wait for, of targets that could not take everything yet.
    pub fn blocked_on(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sinks.iter().filter_map(Sink::blocked_on)
    }

    /// Writes what can be written now.
    pub fn flush(&mut self) {
        self.flush_sinks();
        for at in 0..self.sinks.len() {
            if let Some(trouble) = self.sinks.get_mut(at).and_then(|sink| sink.trouble.take()) {
                self.tell_others(at, &trouble);
            }
        }
        self.flush_sinks();
    }

    fn flush_sinks(&mut self) {
        let busy = self.sinks.iter_mut().filter(|sink| !sink.is_idle());
        busy.for_each(|sink| sink.flush(self.zone.civil(self.now)));
    }

    fn tell_others(&mut self, about: usize, trouble: &Failure) {
        let at = self.zone.civil(self.now);
        for (_, sink) in self.sinks.iter_mut().enumerate().filter(|(number, _)| *number != about) {
            sink.add(&Line { at, level: Level::Error, logname: "log", message: format_args!("{trouble}") });
        }
    }
}

/// A target, opened; only a file has to be there.
fn sink(target: &Target, max_size: Option<u64>) -> Result<Sink, Failure> {
    let output: Box<dyn Output> = match target {
        Target::Stderr => Box::new(Stderr::new(None)),
        Target::File(path) => Box::new(File::new(path, max_size)),
        Target::Syslog(address) => Box::new(Syslog::new(address)),
    };
    let mut sink = Sink::new(target.clone(), output);
    sink.open();
    match sink.trouble.take_if(|_| matches!(target, Target::File(_))) {
        Some(failure) => Err(failure),
        None => Ok(sink),
    }
}

#[cfg(test)]
mod tests;
