//! Small things that know nothing of dogwatch's own rooms. They may use each other, without cycles, and `sys`.

pub mod accounts;
#[cfg_attr(not(test), expect(dead_code, reason = "used by jobs/files, which come next"))]
pub mod beneath;
pub mod diag;
pub mod duration;
pub mod fnv;
pub mod glob;
pub mod index;
pub mod lockfile;
pub mod log;
#[cfg_attr(not(test), expect(dead_code, reason = "used by jobs/files, which come next"))]
pub mod meta;
pub mod pattern;
#[cfg_attr(not(test), expect(dead_code, reason = "used by jobs/files, which come next"))]
pub mod publish;
pub mod stream;
pub mod template;
pub mod text;
#[cfg_attr(not(test), expect(dead_code, reason = "used by jobs/files, which come next"))]
pub mod walk;
pub mod wheel;
pub mod worker;
pub mod zone;
