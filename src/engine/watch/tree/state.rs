//! What there is to say of a directory besides its place.

/// What a node is to the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// It lies on the way to a configured path, or is one. It is never lost: a configured path may come back. On the
    /// way there, symbolic links are followed.
    Anchor,
    /// A directory is there, as far as is known. A link in its place is not followed.
    Here,
    /// It was renamed, and where to is not known yet: its name is free for another.
    Aside,
    /// It was deleted: what still comes from it is about the path that it had.
    Deleted,
    /// It was moved to where no watch is: nothing below it has a path any more.
    MovedOut,
    /// The slab's entry is free.
    Free,
}

/// What else there is to say of a node; a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flag {
    /// Its watch descriptor is what was met at its path once, and may be another directory's.
    Provisional = 1,
    /// It hears of changed permissions in it, for something in it must not be entered.
    HeedsPermissions = 2,
    /// It waits for permission.
    Denied = 4,
    /// It waits for a watch, a descriptor or memory.
    Wanting = 8,
    /// It is looked at again when more of the queue has been read.
    Later = 16,
    /// It is set aside: what becomes of it is not known yet.
    Departing = 32,
}

/// What is still to be done on disk for a node, the most last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scan {
    /// Nothing.
    None,
    /// Watch it.
    Watch,
    /// Watch it, then list it for directories to watch.
    List,
    /// The same, and what is there is reported to the watches that want to know it.
    First,
    /// A configured path has come back: the same, and what has changed just now is reported to all.
    Return,
    /// Events were lost: watch it again, list it, and report what has changed since.
    Recent,
    /// Watch it, then list it and report what is there: it is new.
    Report,
}
