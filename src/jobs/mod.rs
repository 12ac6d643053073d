//! Jobs: what a task does when its time has come.
//!
//! A kind of work that workers do has a room here, with a name, a byte form of its values, and what runs them.

#[cfg_attr(not(test), expect(dead_code, reason = "for collectors and backups, which come next"))]
pub mod archive;
pub mod command;
pub mod files;
pub mod own;

use crate::parts::worker::Report;

/// What a scheduler's tasks do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Work {
    /// They start a program.
    Command(command::Command),
    /// They do with files what the scheduler's rules say.
    Files,
    /// They call a job of this name, which the program has registered.
    Own(String),
    /// They archive what the event is about.
    Archive(archive::job::Archiving),
    /// They are a source's own: a worker does what the source wants done, whatever the event is.
    Source(Call),
}

/// What a worker is asked to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// The kind of work.
    pub kind: &'static str,
    /// Its values, in that kind's byte form.
    pub value: Vec<u8>,
    /// What it makes lies below this path.
    pub root: Vec<u8>,
}

/// Does a job in a worker; `own` are those that the program has registered. The answer is the path of what it made.
pub fn run(own: &own::Named<'_>, kind: &str, value: &[u8], report: &mut Report) -> Result<Option<Vec<u8>>, String> {
    match kind {
        own::KIND => own::run(own, value, report),
        files::KIND => files::run(value, report),
        archive::job::KIND => archive::job::run(value, report),
        files::TIDY => files::tidy(value),
        files::END => files::end(value),
        _ => Err(format!("the worker knows no work of the kind \"{kind}\"")),
    }
}
