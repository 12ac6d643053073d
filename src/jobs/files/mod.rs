//! File jobs: what rules do with files and directories.

pub mod plan;

/// The kind of work that this is, for workers.
pub const KIND: &str = "files";
