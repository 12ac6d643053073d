//! Backups: what the schedules say, which are due, and making them.

pub mod book;
pub mod keep;
pub mod runs;
pub mod schedule;
pub mod service;

use super::AFTER_FAILURE;

pub use service::run;

/// The kind of work that this is, for workers.
pub const KIND: &str = "backup";
/// The file of schedules, in the backup directory.
pub const SCHEDULES: &[u8] = b"backup_schedules.txt";
