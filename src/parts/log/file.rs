//! A log file: appended to, renamed to NAME.1 when it would grow over its limit, and opened anew when somebody has
//! renamed it. It may also be a FIFO or a terminal, which is written without blocking. A file system that does not answer
//! does block.

use super::sink::{Line, Output};
use crate::parts::diag::Failure;
use crate::sys::fs::{self, CWD, Kind};
use crate::sys::{Errno, Fd, change, fd};
use std::os::fd::{AsFd, BorrowedFd};

/// The permissions of a new one.
const MODE: u32 = 0o640;

/// The file of this path.
pub struct File {
    path: Vec<u8>,
    max_size: Option<u64>,
    fd: Option<Fd>,
    /// What counts towards the limit; `None` of what is no regular file.
    size: Option<u64>,
}

impl File {
    /// Shut as yet.
    pub fn new(path: &[u8], max_size: Option<u64>) -> File {
        File { path: path.to_vec(), max_size, fd: None, size: None }
    }

    /// How many of the bytes may be written before the file is rotated: whole lines, and all without a limit.
    fn fitting(&self, bytes: &[u8]) -> usize {
        let (Some(most), Some(size)) = (self.max_size, self.size) else { return bytes.len() };
        let room = usize::try_from(most.saturating_sub(size)).unwrap_or(usize::MAX);
        match bytes.get(..room) {
            None => bytes.len(),
            Some(part) => match part.iter().rposition(|byte| *byte == b'\n') {
                Some(end) => end + 1,
                // A line that is longer than the limit gets a file of its own.
                None if size == 0 => bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1),
                None => 0,
            },
        }
    }

    /// Makes room by a new file; what was the older part is gone. If that fails, the present one grows on, and when as
    /// much again is in it, it is tried again.
    fn rotate(&mut self) -> Result<(), Failure> {
        self.size = Some(0);
        let id = |at, path| fs::stat(at, path).map(|found| (found.dev, found.ino));
        // Somebody else may have renamed it already.
        if self.fd().is_some_and(|fd| id(fd, b"") == id(CWD, &self.path)) {
            let older = [&self.path[..], b".1"].concat();
            let fail = |errno| Failure::on_path("rename log", &self.path, errno);
            change::rename(CWD, &self.path, &older).map_err(fail)?;
        }
        self.open()
    }
}

impl Output for File {
    fn format(&self, line: &Line<'_>) -> String {
        line.dated()
    }

    /// A FIFO is opened for both ways: for one, it could not be opened without a reader, and would lose what is in it
    /// when a reader goes (fifo(7)).
    fn open(&mut self) -> Result<(), Failure> {
        let path = &self.path;
        let fail = |errno| match errno {
            Errno::ELOOP => Failure::on_path("open log", path, "it is a symbolic link").hint("name the file itself"),
            _ => Failure::on_path("open log", path, errno),
        };
        let is_fifo = fs::stat(CWD, path).is_ok_and(|found| found.kind == Kind::Fifo);
        let open = if is_fifo { change::open_or_create } else { change::append };
        let fd = open(CWD, path, MODE).map_err(fail)?;
        let found = fs::stat(fd.as_fd(), b"").map_err(fail)?;
        self.size = match found.kind {
            Kind::File => Some(found.size),
            Kind::Fifo | Kind::Character => None,
            Kind::Directory | Kind::Symlink | Kind::Socket | Kind::Block | Kind::Unknown => {
                return Err(Failure::on_path("open log", path, "it is no file to write lines to"));
            }
        };
        self.fd = Some(fd);
        Ok(())
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    fn write(&mut self, bytes: &[u8], trouble: &mut Option<Failure>) -> Result<usize, Errno> {
        if self.fitting(bytes) == 0 {
            let rotated = self.rotate();
            *trouble = rotated.err().map(|failure| failure.hint("it grows on over its limit")).or(trouble.take());
        }
        let part = bytes.get(..self.fitting(bytes)).unwrap_or(bytes);
        let Some(fd) = &self.fd else { return Err(Errno::EAGAIN) };
        let result = fd::write(fd.as_fd(), part);
        match result {
            Ok(n) => self.size = self.size.map(|size| size + n as u64),
            Err(Errno::EAGAIN | Errno::ENOSPC | Errno::EDQUOT) => {}
            // The device or the server has failed: another file may be there by now.
            Err(_) => self.fd = None,
        }
        result
    }
}
