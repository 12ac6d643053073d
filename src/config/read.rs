//! Which files make up the configuration, and their text.

use super::trust;
use crate::parts::accounts::Accounts;
use crate::parts::diag::{Failure, Source};
use crate::sys::fs::{self, CWD, Open};
use crate::sys::{Errno, fd, process};
use std::os::fd::AsFd;

/// More than anybody writes by hand; a slip such as `-c /dev/zero` ends here.
const MOST_BYTES: usize = 4 << 20;

/// Reads the main file, then `conf.d/*.conf` beside it in the order of their names. A path may be relative.
pub fn sources(main: &[u8]) -> Result<Vec<Source>, Vec<Failure>> {
    let mut found = vec![source(main).map_err(|failure| vec![failure])?];
    let mut failures = Vec::new();
    let dir = match main.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => [main.get(..=slash).unwrap_or_default(), b"conf.d"].concat(),
        None => b"conf.d".to_vec(),
    };
    match drop_ins(&dir) {
        Ok(names) => {
            for name in names {
                match source(&[&dir[..], b"/", &name].concat()) {
                    Ok(source) => found.push(source),
                    Err(failure) => failures.push(failure),
                }
            }
        }
        Err(failure) => failures.push(failure),
    }
    if failures.is_empty() { Ok(found) } else { Err(failures) }
}

/// The names of the drop-ins; none where there is no such directory.
fn drop_ins(dir: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let fail = |errno| Failure::on_path("list", dir, errno);
    let listing = match fs::open(CWD, dir, Open::Directory) {
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(Vec::new()),
        Ok(_) if process::effective_uid() == 0 => trust::open_directory(&fs::absolute(dir).map_err(fail)?)?,
        opened => opened.map_err(fail)?,
    };
    let mut reader = crate::sys::dir::Reader::new();
    let mut names = Vec::new();
    while reader.fill(listing.as_fd()).map_err(fail)? {
        let wanted = |name: &&[u8]| name.ends_with(b".conf") && !name.starts_with(b".");
        names.extend(reader.entries().map(|entry| entry.name).filter(wanted).map(<[u8]>::to_vec));
    }
    names.sort();
    Ok(names)
}

fn source(path: &[u8]) -> Result<Source, Failure> {
    let fail = |errno| Failure::on_path("read", path, errno);
    let file = if process::effective_uid() == 0 {
        trust::open(&fs::absolute(path).map_err(fail)?)?
    } else {
        fs::open(CWD, path, Open::ReadFollowing).map_err(fail)?
    };
    // A pipe or device would give what is in it at the moment, or no end.
    if fs::stat(file.as_fd(), b"").map_err(fail)?.kind != fs::Kind::File {
        return Err(Failure::on_path("read", path, "it is no regular file"));
    }
    let text = fd::read_all(file.as_fd(), MOST_BYTES).map_err(fail)?;
    Ok(Source { path: path.to_vec(), text })
}

/// The users and groups of this machine; where a file is missing, there are none.
pub fn accounts() -> Accounts {
    let text = |path: &[u8]| fs::read(CWD, path, Open::ReadFollowing, MOST_BYTES).unwrap_or_default();
    Accounts { passwd: text(b"/etc/passwd"), group: text(b"/etc/group") }
}
