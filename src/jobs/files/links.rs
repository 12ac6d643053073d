//! Hard links: who may make one to a file of somebody else's could plant it where it is published.

use super::plan::FileJob;
use crate::parts::diag::Failure;
use crate::sys::fs::{self, CWD, Kind, Open, Stat};
use crate::sys::process;

/// What is wrong with them.
pub const WHY: &str = "it has several names, and anybody may have made them (fs.protected_hardlinks is 0)";

/// Refuses a regular file with several names where anybody may have made them and we could publish it, unless the job wants it.
pub fn refuse(job: &FileJob, found: &Stat, path: &[u8]) -> Result<(), Failure> {
    if job.target.is_none() || job.hardlinks || !are_suspect(found) {
        return Ok(());
    }
    Err(Failure::on_path("publish", path, WHY).hint("hardlinks = yes would allow it"))
}

/// Whether it is a regular file with several names, of which anybody may have made the one that we came by, while we are root.
pub fn are_suspect(found: &Stat) -> bool {
    found.kind == Kind::File && found.links > 1 && process::effective_uid() == 0 && !are_protected()
}

/// Whether the kernel lets nobody make links to what they could not write to (proc_sys_fs(5)).
fn are_protected() -> bool {
    fs::read(CWD, b"/proc/sys/fs/protected_hardlinks", Open::Read, 64).is_ok_and(|text| text.starts_with(b"1"))
}
