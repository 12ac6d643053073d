//! The machine's limit for the length of an event queue, lowered for the moment in which a daemon starts.
//!
//! It is read at inotify_init(2), and there is one for all user namespaces. So whoever starts a daemon here holds a
//! lock: shared as a rule, alone while the limit is low. A guard process restores it whatever becomes of the test.

use crate::disk::STARTING;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

const LIMIT: &str = "/proc/sys/fs/inotify/max_queued_events";

/// While it lives, nobody changes the limit, or it is low.
pub struct Held {
    guard: Option<(Child, ChildStdin)>,
    before: String,
    _lock: File,
}

fn lock(how: FlockOperation) -> File {
    let file = File::options().create(true).append(true).open("/tmp/dogwatch-model.lock").unwrap();
    flock(&file, how).unwrap();
    file
}

/// Whether the limit can be changed.
pub fn can_change() -> bool {
    let _lock = lock(FlockOperation::LockExclusive);
    fs::read(LIMIT).is_ok_and(|before| fs::write(LIMIT, before).is_ok())
}

/// Takes the lock, and lowers the limit to `to` if that is given.
pub fn hold(to: Option<u32>) -> Held {
    let Some(to) = to else {
        return Held { guard: None, before: String::new(), _lock: lock(FlockOperation::LockShared) };
    };
    let lock = lock(FlockOperation::LockExclusive);
    let before = fs::read_to_string(LIMIT).unwrap();
    // It waits for the end of its input, which comes when this process has closed it or is gone.
    let script = format!("trap '' HUP INT TERM; echo; cat; echo \"$0\" >{LIMIT}");
    let mut guard = Command::new("sh");
    guard.args(["-c", &script, before.trim()]).process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
    let _none_writes = STARTING.write().unwrap();
    let mut guard = guard.spawn().unwrap();
    // Only when it watches is anything changed.
    std::io::Read::read_exact(&mut guard.stdout.take().unwrap(), &mut [0]).unwrap();
    let input = guard.stdin.take().unwrap();
    let held = Held { guard: Some((guard, input)), before, _lock: lock };
    File::options().write(true).open(LIMIT).unwrap().write_all(to.to_string().as_bytes()).unwrap();
    held
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((mut guard, input)) = self.guard.take() {
            drop(input);
            let status = guard.wait();
            let restored = fs::read_to_string(LIMIT).is_ok_and(|now| now == self.before);
            // To panic while another panic is on its way would hide that one.
            if !restored && !std::thread::panicking() {
                panic!("the guard has not restored {LIMIT}: {status:?}");
            }
        }
    }
}
