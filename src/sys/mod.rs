//! The system: safe, thin wrappers over the kernel's interfaces, one file a facility.
//!
//! This is the only floor with `unsafe`, and the only one that calls the system: what stands above imports these
//! wrappers and nothing of `std::fs`, `std::net` or `std::process::Command` (a test holds that). Every call goes
//! through the one errno gate ([`gate`]). Relies on nothing of dogwatch. Times are 64-bit on 32-bit machines too.
#![expect(unsafe_code, reason = "this floor is the one that talks to the kernel")]

pub mod change;
pub mod clock;
pub mod copy;
pub mod dir;
pub mod errno;
pub mod fd;
pub mod fs;
mod gate;
pub mod inotify;
pub mod lease;
pub mod lock;
pub mod poll;
pub mod process;
pub mod random;
pub mod signal;
pub mod socket;
pub mod spawn;
pub mod stream;
pub mod timer;
pub mod xattr;

pub use errno::Errno;
pub use fd::Fd;

#[cfg(test)]
pub mod tests;
