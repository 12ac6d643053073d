//! The job of an `archive` scheduler: what the event is about, a file or a directory with all that is in it, into an archive.

use super::write::{self, Options, Source};
use crate::parts::diag::Failure;
use crate::parts::log::Level;
use crate::parts::publish::{Over, Target};
use crate::parts::spot::{self, Place, Spot, root_of};
use crate::parts::template::{Template, Values};
use crate::parts::text::Escaped;
use crate::parts::worker::Report;
use crate::sys::Errno;
use std::os::fd::AsFd;

/// The kind of work that this is, for workers.
pub const KIND: &str = "archive";
/// So many names are tried where one is taken.
const MOST_NAMES: u32 = 1_000;
/// Numbers stand before these.
const ENDS: [&[u8]; 3] = [b".tar.gz", b".tgz", b".tar"];
const NUL: u8 = 0;

/// What a scheduler says of its archives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Archiving {
    /// An archive's path.
    pub to: Template,
    /// Gzip's, 1 to 9.
    pub level: u32,
}

/// One archive to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Job {
    source: Place,
    /// Where it stands.
    pub target: Place,
    level: u32,
}

impl Job {
    /// The archive of an event's path with these values; `roots` are those from below which such paths come. The error says why
    /// it cannot be made.
    pub fn new(archiving: &Archiving, values: &Values<'_>, roots: &[Vec<u8>]) -> Result<Job, String> {
        let path = values.pathname;
        let outside = || format!("{} is below no path that the configuration trusts", Escaped(path));
        let source = Place::below_any(roots, path).ok_or_else(outside)?;
        let to = spot::normal(&archiving.to.expand(values))?;
        let root = root_of(archiving.to.literal()).ok_or("an archive's path begins with /")?;
        let target = Place::below(&root, &to).ok_or_else(|| format!("{} is no file's path", Escaped(&to)))?;
        Ok(Job { source, target, level: archiving.level })
    }

    /// The bytes of a job, for a worker.
    pub fn encode(&self) -> Vec<u8> {
        let fields = [self.source.fields(), self.target.fields()].concat();
        [vec![self.level.to_string().into_bytes()], fields].concat().join(&NUL)
    }

    fn decode(bytes: &[u8]) -> Option<Job> {
        let fields: Vec<&[u8]> = bytes.split(|byte| *byte == NUL).collect();
        let level = std::str::from_utf8(fields.first()?).ok()?.parse().ok()?;
        let (source, target) = (Place::of_fields(fields.get(1..)?)?, Place::of_fields(fields.get(3..)?)?);
        Some(Job { source, target, level })
    }
}

/// Does a job, in a worker. The answer is the archive's path.
pub fn run(value: &[u8], report: &mut Report) -> Result<Option<Vec<u8>>, String> {
    let job = Job::decode(value).ok_or("its values cannot be read")?;
    archive(&job, report).map(Some).map_err(|failure| failure.to_string())
}

/// Makes the archive, under a name with a number if the one that was asked for is taken.
fn archive(job: &Job, report: &mut Report) -> Result<Vec<u8>, Failure> {
    let source = Spot::find(&job.source)?;
    if source.stat()?.is_none() {
        return Err(source.failure("archive", Errno::ENOENT));
    }
    let mut target = Spot::find(&job.target)?;
    let sources = || std::iter::once(Source { parent: source.dir.as_fd(), name: &source.name, member: &source.name });
    let options = Options {
        excludes: Vec::new(),
        one_file_system: false,
        skip_caches: false,
        left_out: Vec::new(),
        level: job.level,
        mode: Some(0o600),
        over: Over::Nothing,
    };
    let wanted = target.name.clone();
    for number in 1..=MOST_NAMES {
        if target.stat()?.is_some() {
            target.rename(numbered(&wanted, number));
            continue;
        }
        let place = Target { dir: target.dir.as_fd(), dir_path: target.dir_path(), name: &target.name, patient: true };
        let prepared = write::prepare(sources(), place, &options, report)?;
        // Somebody may have taken the name meanwhile.
        if target.stat()?.is_none() {
            let written = prepared.publish()?;
            if written.kept.iter().any(|kept| !kept.is_safe) {
                let path = Escaped(&target.path);
                report.log(Level::Warning, &format!("not all of it is in {path} as it is: see above"));
            }
            return Ok(target.path);
        }
    }
    Err(target.failure("make", Errno::EEXIST))
}

/// A name with a number before its usual end.
fn numbered(name: &[u8], number: u32) -> Vec<u8> {
    let end = ENDS.iter().find(|end| name.ends_with(end)).map_or(0, |end| end.len());
    let (stem, end) = name.split_at(name.len() - end);
    [stem, format!("_{number}").as_bytes(), end].concat()
}

#[cfg(test)]
mod tests;
