//! What a rule asks for on one path, as a value that a worker can be handed: which object below which root goes where.

use crate::engine::rule::{Access, Action, Rule};
use crate::parts::spot::{self, Place, root_of};
use crate::parts::text::Escaped;

/// What is done with an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// It goes to the target.
    Move,
    /// A copy of it comes to the target.
    Copy,
    /// It goes; a directory with what is in it if `rec`.
    Delete {
        /// Also a directory that is not empty.
        rec: bool,
    },
}

/// One file job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileJob {
    /// What is done.
    pub verb: Verb,
    /// To what.
    pub source: Place,
    /// Where it goes, if it goes anywhere.
    pub target: Option<Place>,
    /// Missing directories of the target are made.
    pub auto_create: bool,
    /// What has the target's name is replaced.
    pub replace: bool,
    /// A file with several names may be published.
    pub hardlinks: bool,
    /// Who owns it then.
    pub access: Access,
}

impl FileJob {
    /// What a rule asks for on a path that it matches; `roots` are those from below which such paths come. `None` if
    /// that is nothing. The error says why it cannot be done.
    pub fn new(rule: &Rule, path: &[u8], roots: &[Vec<u8>]) -> Option<Result<FileJob, String>> {
        let verb = match rule.action {
            Action::Move(_) => Verb::Move,
            Action::Copy(_) => Verb::Copy,
            Action::Delete { rec } => Verb::Delete { rec },
            Action::Nothing => return None,
        };
        Some(FileJob::planned(rule, verb, path, roots))
    }

    fn planned(rule: &Rule, verb: Verb, path: &[u8], roots: &[Vec<u8>]) -> Result<FileJob, String> {
        let outside = || format!("{} is below no path that the configuration trusts", Escaped(path));
        let source = Place::below_any(roots, path).ok_or_else(outside)?;
        let Some(destination) = rule.action.destination() else {
            let (auto_create, replace, hardlinks) = (false, false, false);
            let access = Access::default();
            return Ok(FileJob { verb, source, target: None, auto_create, replace, hardlinks, access });
        };
        let to = rule.src.rewrite(path, &destination.to).ok_or("the rule does not match any more")?;
        let to = spot::normal(&to)?;
        if to == path {
            return Err("source and destination are the same".to_owned());
        }
        if to.strip_prefix(path).is_some_and(|rest| rest.starts_with(b"/")) {
            return Err(format!("the destination {} lies in the source", Escaped(&to)));
        }
        if path.strip_prefix(&to[..]).is_some_and(|rest| rest.starts_with(b"/")) {
            return Err(format!("the source lies in the destination {}", Escaped(&to)));
        }
        let target = match root_of(destination.to.literal()) {
            Some(root) => Place::below(&root, &to),
            None => Place::below_any(roots, &to),
        };
        let untrusted = || {
            format!("the destination {} is neither below dst_re's first directories nor below the watch", Escaped(&to))
        };
        let target = Some(target.ok_or_else(untrusted)?);
        let (auto_create, replace, hardlinks) = (destination.auto_create, destination.replace, destination.hardlinks);
        Ok(FileJob { verb, source, target, auto_create, replace, hardlinks, access: destination.access })
    }
}

/// The separator of a job's byte form: nothing in it holds a NUL.
const NUL: u8 = 0;

impl FileJob {
    /// The bytes of a job, for a worker.
    pub fn encode(&self) -> Vec<u8> {
        let verb = match self.verb {
            Verb::Move => "move",
            Verb::Copy => "copy",
            Verb::Delete { rec: false } => "delete",
            Verb::Delete { rec: true } => "delete-rec",
        };
        let flags: String =
            [self.auto_create, self.replace, self.hardlinks].map(|flag| if flag { '1' } else { '0' }).iter().collect();
        let Access { filemode, dirmode, uid, gid } = self.access;
        let numbers = [filemode, dirmode, uid, gid].map(|number| number.map_or(String::new(), |n| n.to_string()));
        let words = [vec![verb.to_owned(), flags], numbers.to_vec()].concat();
        let words = words.into_iter().map(String::into_bytes);
        let places = self.source.fields().into_iter().chain(self.target.iter().flat_map(Place::fields));
        words.chain(places).collect::<Vec<_>>().join(&NUL)
    }

    /// The job of these bytes.
    pub fn decode(bytes: &[u8]) -> Option<FileJob> {
        let fields: Vec<&[u8]> = bytes.split(|byte| *byte == NUL).collect();
        let text = |at: usize| std::str::from_utf8(fields.get(at)?).ok();
        let verb = match text(0)? {
            "move" => Verb::Move,
            "copy" => Verb::Copy,
            "delete" => Verb::Delete { rec: false },
            "delete-rec" => Verb::Delete { rec: true },
            _ => return None,
        };
        let flags = text(1)?.as_bytes();
        let flag = |at: usize| flags.get(at) == Some(&b'1');
        let number = |at: usize| {
            Some(text(at)?).map(|word| if word.is_empty() { Ok(None) } else { word.parse().map(Some) })?.ok()
        };
        let access = Access { filemode: number(2)?, dirmode: number(3)?, uid: number(4)?, gid: number(5)? };
        let (auto_create, replace, hardlinks) = (flag(0), flag(1), flag(2));
        Some(FileJob {
            verb,
            source: Place::of_fields(fields.get(6..)?)?,
            target: Place::of_fields(fields.get(8..)?),
            auto_create,
            replace,
            hardlinks,
            access,
        })
    }
}

#[cfg(test)]
mod tests;
