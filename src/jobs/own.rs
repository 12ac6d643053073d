//! Jobs of a Rust program that uses dogwatch as a library: what it registers, by name, and what each is called with.

use crate::parts::text::Escaped;
use crate::parts::worker::Report;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// The kind of work that this is, for workers.
pub const KIND: &str = "own";

/// A job of your own, for `job = NAME` in a `[scheduler]` section.
///
/// It runs in a worker: the program itself, started once more, which calls [`crate::init`] with the same jobs. So a job may
/// block and take its time. It has the daemon's user and environment, no privileges to gain, and `/` as working directory.
/// A worker does one job after the other, and is ended when there is none for a second; what a job changes in `self`
/// or in a static is not seen by the daemon, nor surely by the next job. What a job starts belongs to its process group,
/// which gets SIGTERM, and SIGKILL after five seconds, when the job is to end (`timeout`, `on_busy = restart`, the daemon's end).
///
/// A job that panics takes its worker with it and nothing more: the panic's words are logged, the job has failed, and the
/// next one gets a new worker.
pub trait Job {
    /// Does the job. The answer is the absolute path of what it made, which goes to the scheduler's `then`; without one that gets
    /// the event's own path.
    ///
    /// # Errors
    ///
    /// Why it has failed, in words: they are logged, and the event goes to the scheduler's `on_failure`.
    fn run(&self, task: &Task<'_>, report: &mut Report) -> Result<Option<PathBuf>, String>;
}

/// What a job is called for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Task<'a> {
    /// The event's name, such as `IN_CLOSE_WRITE`.
    pub event: &'a str,
    /// The absolute path that the event is about. Its bytes may be any but NUL.
    pub path: &'a Path,
    /// The path before a rename, or before the job that handed its result on.
    pub source: Option<&'a Path>,
    /// Whether the event is about a directory.
    pub is_dir: bool,
    /// The task's number: the one in the log.
    pub id: u64,
    /// The scheduler's name.
    pub scheduler: &'a str,
}

/// Jobs with the names that they are registered by.
pub type Named<'a> = [(&'a str, &'a dyn Job)];

/// The bytes of a call. Nothing in them holds a NUL, so that this separates them.
pub fn encode(job: &str, task: &Task<'_>) -> Vec<u8> {
    let source = task.source.map_or(&b""[..], |path| path.as_os_str().as_bytes());
    let (id, kind) = (task.id.to_string(), if task.is_dir { "dir" } else { "file" });
    let words = [job, task.event, task.scheduler, &id, kind].map(str::as_bytes);
    let paths = [task.path.as_os_str().as_bytes(), source];
    [&words[..], &paths].concat().join(&0)
}

fn decode(bytes: &[u8]) -> Option<(&str, Task<'_>)> {
    let fields: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    let [job, event, scheduler, id, kind, path, source] = fields[..] else { return None };
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let path_of = |bytes| Path::new(OsStr::from_bytes(bytes));
    let task = Task {
        event: text(event)?,
        path: path_of(path),
        source: Some(path_of(source)).filter(|_| !source.is_empty()),
        is_dir: kind == b"dir",
        id: text(id)?.parse().ok()?,
        scheduler: text(scheduler)?,
    };
    Some((text(job)?, task))
}

/// Calls a job, in a worker.
pub fn run(jobs: &Named<'_>, value: &[u8], report: &mut Report) -> Result<Option<Vec<u8>>, String> {
    let Some((name, task)) = decode(value) else { return Err("its values cannot be read".to_owned()) };
    let Some((_, job)) = jobs.iter().find(|(known, _)| *known == name) else {
        return Err(format!("the worker has no job \"{name}\": is init called with the same jobs each time?"));
    };
    match job.run(&task, report) {
        Ok(None) => Ok(None),
        Ok(Some(path)) if path.is_absolute() && path.components().all(|part| part != Component::ParentDir) => {
            // Without what stands for nothing: `.` and slashes.
            Ok(Some(path.components().collect::<PathBuf>().into_os_string().into_vec()))
        }
        Ok(Some(path)) => {
            let path = Escaped(path.as_os_str().as_bytes());
            Err(format!("the path of its result is not absolute, or has .. in it: {path}"))
        }
        Err(why) => Err(Escaped(why.as_bytes()).to_string()),
    }
}

#[cfg(test)]
mod tests;
