//! Sources: what makes things happen beside watches. Each has a pure part that decides, and a part that does; that runs in a
//! worker, as jobs do.

pub mod backup;
pub mod collect;

use crate::jobs::{self, Call, own};
use crate::parts::duration::Millis;
use crate::parts::worker::Report;
use backup::book;

/// After a failure, a source is asked again after this.
pub const AFTER_FAILURE: Millis = Millis(10_000);

/// Does a source's work, or a job, in a worker; see [`jobs::run`].
pub fn run(own: &own::Named<'_>, kind: &str, value: &[u8], report: &mut Report) -> Result<Option<Vec<u8>>, String> {
    match kind {
        backup::KIND => backup::run(value, report),
        collect::KIND => collect::run(value, report),
        _ => jobs::run(own, kind, value, report),
    }
}

/// Whether what a source has done, and taken back after a failure, wakes it: that is no reason to look again before
/// [`AFTER_FAILURE`].
pub fn wakes_itself(call: &Call) -> bool {
    call.kind == collect::KIND
}

/// Makes what a source wants watched. Why that could not be made, its first look tells.
pub fn prepare(call: &Call) {
    match call.kind {
        collect::KIND => collect::prepare(&call.value),
        backup::KIND => backup::prepare(&call.value),
        _ => {}
    }
}

/// The pid files, by their absolute paths, that the daemon locks as long as it has this source.
pub fn locks(call: &Call) -> Vec<Vec<u8>> {
    if call.kind == backup::KIND { book::locks(&call.value).to_vec() } else { Vec::new() }
}
