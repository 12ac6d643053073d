//! The pure core: it is told what happened and what time it is, and says what is to be done.
//!
//! No file here makes a system call or reads a clock; of `sys` it takes only types. So it is tested without sleeping.

pub mod task;
pub mod watch;
