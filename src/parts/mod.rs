//! Small things that know nothing of dogwatch's own rooms. They may use each other, without cycles, and `sys`.

pub mod accounts;
pub mod beneath;
pub mod diag;
pub mod duration;
pub mod fnv;
pub mod glob;
pub mod index;
pub mod lockfile;
pub mod log;
pub mod meta;
pub mod names;
pub mod pattern;
pub mod publish;
pub mod spot;
pub mod stream;
pub mod template;
pub mod text;
pub mod walk;
pub mod wheel;
pub mod worker;
pub mod zone;
