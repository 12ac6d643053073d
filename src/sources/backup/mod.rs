//! Backups: what the schedules say, which are due, and making them.

pub mod agenda;
pub mod book;
pub mod keep;
pub mod runs;
pub mod schedule;
pub mod service;

pub use service::run;

use book::Book;

/// The kind of work that this is, for workers.
pub const KIND: &str = "backup";
/// The file of schedules, in the backup directory.
pub const SCHEDULES: &[u8] = b"backup_schedules.txt";

/// Makes the file of schedules, if it is missing, so that it can be watched.
pub fn prepare(dir: &[u8]) {
    let _ = Book::open(dir).and_then(|book| book.make_schedules());
}
