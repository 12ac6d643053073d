//! Rules: what is to be done with a path, by the first one that it matches.

use crate::parts::pattern::Pattern;
use crate::parts::pattern::rewrite::Replacement;

/// One rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Its section's name.
    pub name: String,
    /// The paths that it is for.
    pub src: Pattern,
    /// What it does.
    pub action: Action,
}

/// What a rule does with a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// It goes elsewhere.
    Move(Destination),
    /// A copy goes elsewhere.
    Copy(Destination),
    /// It is deleted.
    Delete {
        /// Directories also with what is in them.
        rec: bool,
    },
    /// Nothing; and no later rule is asked.
    Nothing,
}

/// Where something goes, and what becomes of it there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Destination {
    /// The path.
    pub to: Replacement,
    /// Directories that are missing on the way are made.
    pub auto_create: bool,
    /// What is there already is replaced.
    pub replace: bool,
    /// A file with several names may be published too.
    pub hardlinks: bool,
    /// Who owns it, and who may do what with it.
    pub access: Access,
}

/// Who owns files and directories, and who may do what with them; `None`: as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Access {
    /// Permission bits of everything that is no directory.
    pub filemode: Option<u32>,
    /// Permission bits of directories.
    pub dirmode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
}

/// The first rule that a path matches.
pub fn first<'r>(rules: &'r [Rule], path: &[u8]) -> Option<&'r Rule> {
    rules.iter().find(|rule| rule.src.is_match(path))
}

/// Whether anything is to be done with a path.
pub fn apply(rules: &[Rule], path: &[u8]) -> bool {
    first(rules, path).is_some_and(|rule| rule.action != Action::Nothing)
}

impl Action {
    /// Where it makes something go, if it does.
    pub fn destination(&self) -> Option<&Destination> {
        match self {
            Action::Move(destination) | Action::Copy(destination) => Some(destination),
            Action::Delete { .. } | Action::Nothing => None,
        }
    }
}
