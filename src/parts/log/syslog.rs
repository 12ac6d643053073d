//! The system's log, by its socket: lines in the form of RFC 3164 without a host name, as the C library's syslog(3)
//! sends them, one a datagram; over a stream, where the socket is one, with a NUL at the end of each.

use super::sink::{Line, Output};
use crate::parts::diag::Failure;
use crate::sys::socket::{self, Kind};
use crate::sys::{Errno, Fd, fd, process};
use std::os::fd::{AsFd, BorrowedFd};

/// Where it is, unless the configuration says otherwise.
pub const ADDRESS: &[u8] = b"/dev/log";

/// LOG_DAEMON, as syslog(3) counts.
const FACILITY: u8 = 3;
/// Bytes of a line: what syslog daemons take by default (rsyslog 8,192, sysklogd 2,048) or less than that.
const MOST: usize = 8 * 1024;
/// RFC 3164, section 4.1.2
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The server behind this socket.
pub struct Syslog {
    address: Vec<u8>,
    connection: Option<(Kind, Fd)>,
}

impl Syslog {
    /// Not connected as yet.
    pub fn new(address: &[u8]) -> Syslog {
        Syslog { address: address.to_vec(), connection: None }
    }
}

impl Output for Syslog {
    fn format(&self, line: &Line<'_>) -> String {
        let Line { at, logname, message, .. } = line;
        let priority = (FACILITY << 3) | line.priority();
        let month = MONTHS.get(usize::from(at.month).wrapping_sub(1)).unwrap_or(&"");
        let time = format!("{month} {:2} {:02}:{:02}:{:02}", at.day, at.hour, at.minute, at.second);
        let mut text = format!("<{priority}>{time} dogwatch[{}]: {logname}: {message}", process::id());
        if text.len() > MOST {
            let end = (0..=MOST).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            text.truncate(end);
        }
        text.push('\n');
        text
    }

    fn open(&mut self) -> Result<(), Failure> {
        let connect = |kind| socket::connect(&self.address, kind).map(|fd| (kind, fd));
        let connected = match connect(Kind::Datagram) {
            Err(Errno::EPROTOTYPE) => connect(Kind::Stream),
            result => result,
        };
        let fail = |errno| Failure::on_path("reach syslog at", &self.address, errno).hint("its lines wait");
        self.connection = Some(connected.map_err(fail)?);
        Ok(())
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.connection.as_ref().map(|(_, fd)| fd.as_fd())
    }

    fn write(&mut self, bytes: &[u8], _: &mut Option<Failure>) -> Result<usize, Errno> {
        let result = match &self.connection {
            None => Err(Errno::EAGAIN),
            Some((Kind::Datagram, fd)) => {
                let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or(bytes);
                fd::send_now(fd.as_fd(), line).map(|_| line.len() + 1)
            }
            Some((Kind::Stream, fd)) => {
                let ended: Vec<u8> = bytes.iter().map(|byte| if *byte == b'\n' { 0 } else { *byte }).collect();
                fd::send_now(fd.as_fd(), &ended)
            }
        };
        match result {
            // Its queue is full; or it takes no line of this length; or the kernel has no memory left, which poll(2) does
            // not wait for.
            Ok(_) | Err(Errno::EAGAIN | Errno::EMSGSIZE | Errno::ENOBUFS | Errno::ENOMEM) => {}
            Err(_) => self.connection = None,
        }
        result
    }
}

#[cfg(test)]
mod tests;
