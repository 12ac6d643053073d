//! The zone of this process, by its environment and the system's files. It is read anew each time, for it may change.

use super::Zone;
use crate::sys::fs::{self, CWD, Open};
use std::os::unix::ffi::OsStringExt;

/// No zone's file has a tenth of that.
const MOST: usize = 64 * 1024;

/// The file that `$TZ` names by its path.
pub fn file() -> Option<Vec<u8>> {
    let variable = std::env::var_os("TZ")?.into_vec();
    let path = variable.strip_prefix(b":").unwrap_or(&variable);
    path.starts_with(b"/").then(|| path.to_vec())
}

/// By `$TZ`, else by the system's files ([`Zone::local`]).
pub fn zone() -> Zone {
    let variable = std::env::var_os("TZ").map(OsStringExt::into_vec);
    Zone::local(variable.as_deref(), |path| fs::read(CWD, path, Open::ReadFollowing, MOST).ok())
}
