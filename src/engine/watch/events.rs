//! The events by name: inotify(7)'s, as configuration files and messages write them.

use crate::sys::inotify::Mask;

/// One event.
pub struct Name {
    /// Its bit.
    pub bit: Mask,
    /// Its name as the kernel's headers write it.
    pub name: &'static str,
}

const fn event(bit: Mask, name: &'static str) -> Name {
    Name { bit, name }
}

/// All events that can be mapped, in the order of their bits.
pub const EVENTS: [Name; 15] = [
    event(Mask::ACCESS, "IN_ACCESS"),
    event(Mask::MODIFY, "IN_MODIFY"),
    event(Mask::ATTRIB, "IN_ATTRIB"),
    event(Mask::CLOSE_WRITE, "IN_CLOSE_WRITE"),
    event(Mask::CLOSE_NOWRITE, "IN_CLOSE_NOWRITE"),
    event(Mask::OPEN, "IN_OPEN"),
    event(Mask::MOVED_FROM, "IN_MOVED_FROM"),
    event(Mask::MOVED_TO, "IN_MOVED_TO"),
    event(Mask::CREATE, "IN_CREATE"),
    event(Mask::DELETE, "IN_DELETE"),
    event(Mask::DELETE_SELF, "IN_DELETE_SELF"),
    event(Mask::MOVE_SELF, "IN_MOVE_SELF"),
    event(Mask::UNMOUNT, "IN_UNMOUNT"),
    event(Mask::Q_OVERFLOW, "IN_Q_OVERFLOW"),
    event(Mask::IGNORED, "IN_IGNORED"),
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
