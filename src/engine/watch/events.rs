//! The events by name: inotify(7)'s, as configuration files and messages write them.

use crate::sys::inotify::Mask;

/// One event.
pub struct Name {
    /// Its bit.
    pub bit: Mask,
    /// Its name as the kernel's headers write it.
    pub name: &'static str,
    /// What has happened, in a few words (inotify(7)).
    pub meaning: &'static str,
}

const fn event(bit: Mask, name: &'static str, meaning: &'static str) -> Name {
    Name { bit, name, meaning }
}

/// All events that can be mapped, in the order of their bits.
pub const EVENTS: [Name; 15] = [
    event(Mask::ACCESS, "IN_ACCESS", "a file was read, or a directory listed"),
    event(Mask::MODIFY, "IN_MODIFY", "a file was written to, or its length changed"),
    event(Mask::ATTRIB, "IN_ATTRIB", "mode, owner, times, xattrs or number of links changed"),
    event(Mask::CLOSE_WRITE, "IN_CLOSE_WRITE", "a file that was open for writing was closed"),
    event(Mask::CLOSE_NOWRITE, "IN_CLOSE_NOWRITE", "what was open for reading only was closed"),
    event(Mask::OPEN, "IN_OPEN", "a file or directory was opened"),
    event(Mask::MOVED_FROM, "IN_MOVED_FROM", "a name was renamed away"),
    event(Mask::MOVED_TO, "IN_MOVED_TO", "a name was renamed to this, from src_pathname"),
    event(Mask::CREATE, "IN_CREATE", "a file, directory, link or other was made"),
    event(Mask::DELETE, "IN_DELETE", "a name was deleted"),
    event(Mask::DELETE_SELF, "IN_DELETE_SELF", "a watched file or directory itself was deleted"),
    event(Mask::MOVE_SELF, "IN_MOVE_SELF", "a watched file or directory itself was renamed"),
    event(Mask::UNMOUNT, "IN_UNMOUNT", "the watched directory's file system was unmounted"),
    event(Mask::Q_OVERFLOW, "IN_Q_OVERFLOW", "the queue overflowed: events were lost"),
    event(Mask::IGNORED, "IN_IGNORED", "the kernel no longer watches the directory"),
];

/// The event of this name, without regard to case, with or without `IN_`.
pub fn by_name(name: &str) -> Option<Mask> {
    let bare =
        |name: &str| name.to_ascii_uppercase().strip_prefix("IN_").map_or(name.to_ascii_uppercase(), str::to_owned);
    let wanted = bare(name);
    EVENTS.iter().find(|event| bare(event.name) == wanted).map(|event| event.bit)
}

/// The name of a mask's first event; what else it holds, `IN_ISDIR` among it, is left out.
pub fn first_name(mask: Mask) -> &'static str {
    EVENTS.iter().find(|event| mask.any(event.bit)).map_or("IN_UNKNOWN", |event| event.name)
}

/// Each single event of a mask, in the order of bits.
pub fn bits(mask: Mask) -> impl Iterator<Item = Mask> {
    EVENTS.iter().map(|event| event.bit).filter(move |bit| mask.any(*bit))
}
