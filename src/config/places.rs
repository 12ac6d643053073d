//! Where the daemon keeps what is its own: saved tasks in one directory, its pid and status in another.

/// The two directories, by absolute paths, where there are any.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Places {
    /// Outlives a reboot.
    pub state: Option<Vec<u8>>,
    /// Need not outlive one.
    pub run: Option<Vec<u8>>,
}

impl Places {
    /// These, and where one is missing, the other's.
    pub fn or(self, other: Places) -> Places {
        Places { state: self.state.or(other.state), run: self.run.or(other.run) }
    }

    /// The usual ones for a user: what a service manager has made (systemd.exec(5), STATE_DIRECTORY, RUNTIME_DIRECTORY),
    /// else the system's for root, and for others those of the XDG Base Directory Specification.
    pub fn of(uid: u32, variable: impl Fn(&str) -> Option<Vec<u8>>) -> Places {
        let first = |value: Vec<u8>| value.split(|byte| *byte == b':').next().map(<[u8]>::to_vec);
        let absolute = |path: &Vec<u8>| path.starts_with(b"/");
        let given = |name: &str| variable(name).and_then(first).filter(absolute);
        let below = |name: &str, rest: &[u8]| variable(name).filter(absolute).map(|path| [&path[..], rest].concat());
        let own = || match uid {
            0 => Places { state: Some(b"/var/lib/dogwatch".to_vec()), run: Some(b"/run/dogwatch".to_vec()) },
            _ => Places {
                state: below("XDG_STATE_HOME", b"/dogwatch").or_else(|| below("HOME", b"/.local/state/dogwatch")),
                run: below("XDG_RUNTIME_DIR", b"/dogwatch"),
            },
        };
        Places {
            state: given("STATE_DIRECTORY").or_else(|| own().state),
            run: given("RUNTIME_DIRECTORY").or_else(|| own().run),
        }
    }
}

#[cfg(test)]
mod tests;
