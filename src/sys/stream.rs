//! Open files as the standard library's streams, for code of others that takes nothing else (compression). Each read and
//! write goes through the gate like any other.

use super::{Errno, fd};
pub use std::io::{Error, Read, Write};
use std::os::fd::BorrowedFd;

/// An open file, from where it is at.
#[derive(Debug)]
pub struct Stream<'a>(pub BorrowedFd<'a>);

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        fd::read(self.0, buffer).map_err(|errno| Error::from_raw_os_error(errno.0))
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        fd::write(self.0, bytes).map_err(|errno| Error::from_raw_os_error(errno.0))
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// Why a stream has failed: the system's words, or those of the code that was given it.
pub fn reason(error: &Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |errno| Errno(errno).to_string())
}
