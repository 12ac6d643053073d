//! Which files make up the configuration, and their text.

use super::trust;
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
        Err(Errno::ENOENT | Errno::ENOTDIR) => {}
        Err(errno) => failures.push(Failure::on_path("list", &dir, errno)),
    }
    if failures.is_empty() { Ok(found) } else { Err(failures) }
}

fn drop_ins(dir: &[u8]) -> Result<Vec<Vec<u8>>, Errno> {
    let listing = fs::open(CWD, dir, Open::Directory)?;
    let mut reader = crate::sys::dir::Reader::new();
    let mut names = Vec::new();
    while reader.fill(listing.as_fd())? {
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
    let text = fd::read_all(file.as_fd(), MOST_BYTES).map_err(fail)?;
    Ok(Source { path: path.to_vec(), text })
}
