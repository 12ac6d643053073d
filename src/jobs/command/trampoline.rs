//! Commands of other users: posix_spawn(3) cannot change them, so dogwatch starts itself in between.
//!
//! "Itself" is /proc/self/exe, which survives an upgrade. The trampoline sets groups, group and user, and becomes the
//! command by execve(2); so the command's process id is the one that was started.

use crate::parts::accounts::Account;
use crate::sys::spawn::Program;
use crate::sys::{Errno, process};
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;

/// What the trampoline is called in its argument list, so that it is told from the program's usual commands.
const CALLED: &str = "dogwatch: as another user";

/// The program that becomes `argv` as this user.
pub fn program(account: &Account, argv: Vec<CString>, env: Vec<CString>) -> Program {
    let ids: Vec<String> = [account.uid, account.gid].iter().chain(&account.groups).map(u32::to_string).collect();
    Program::itself([CALLED.to_owned(), ids.join(":")], argv, env)
}

/// If this process was started as a trampoline, it becomes the command and does not return but for an error, in words.
pub fn jump(arguments: &[&OsStr]) -> Option<String> {
    let (called, rest) = arguments.split_first()?;
    if *called != CALLED {
        return None;
    }
    let [who, argv @ ..] = rest else { return Some("no command".to_owned()) };
    let argv: Vec<CString> = argv.iter().filter_map(|word| CString::new(word.as_bytes()).ok()).collect();
    let name = argv.first().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let ids: Option<Vec<u32>> = who.to_str()?.split(':').map(|id| id.parse().ok()).collect();
    let Some([uid, gid, groups @ ..]) = ids.as_deref() else { return Some("no user".to_owned()) };
    Some(match become_user(*uid, *gid, groups) {
        Err((what, errno)) => format!("cannot {what} {uid}: {errno}"),
        Ok(()) => format!("cannot run {name}: {}", process::exec(&argv)),
    })
}

/// Groups first: afterwards there is no right to change them.
fn become_user(uid: u32, gid: u32, groups: &[u32]) -> Result<(), (&'static str, Errno)> {
    process::set_groups(groups).map_err(|errno| ("set the groups of user", errno))?;
    process::set_gid(gid).map_err(|errno| ("set the group of user", errno))?;
    process::set_uid(uid).map_err(|errno| ("become user", errno))
}
