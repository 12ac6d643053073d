//! ppoll(2) without a timeout: the loop wakes for descriptors only.

use super::{Errno, gate};
use std::os::fd::{AsRawFd, BorrowedFd};

/// A set of descriptors to wait for, each under a token of the caller's.
pub struct Poll<T> {
    fds: Vec<libc::pollfd>,
    tokens: Vec<T>,
}

/// What to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interest {
    /// Something to read, or the end.
    Read,
    /// Room to write.
    Write,
    /// Something out of the ordinary (POLLPRI), and nothing else.
    Priority,
    /// That the other end is closed, which is told in any case.
    End,
}

impl<T: Copy> Poll<T> {
    /// An empty set.
    pub fn new() -> Poll<T> {
        Poll { fds: Vec::new(), tokens: Vec::new() }
    }

    /// Forgets all descriptors; the memory is kept for the next turn.
    pub fn clear(&mut self) {
        self.fds.clear();
        self.tokens.clear();
    }

    /// Adds a descriptor, which must stay open until [`Poll::wait`] has returned.
    pub fn add(&mut self, fd: BorrowedFd<'_>, interest: Interest, token: T) {
        let events = match interest {
            Interest::Read => libc::POLLIN,
            Interest::Write => libc::POLLOUT,
            Interest::Priority => libc::POLLPRI,
            Interest::End => 0,
        };
        self.fds.push(libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 });
        self.tokens.push(token);
    }

    /// Waits until at least one is ready, without end, or only looks if `wait` is false. POLLHUP and POLLERR count as ready: a pipe at its end reports
    /// POLLHUP without POLLIN. EINTR comes back as nothing ready.
    pub fn wait(&mut self, wait: bool) -> Result<impl Iterator<Item = T> + '_, Errno> {
        let (fds, len) = (self.fds.as_mut_ptr(), self.fds.len());
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let timeout = if wait { std::ptr::null() } else { &raw const at_once };
        // SAFETY: pointer and length are those of a live Vec; the timeout, if any, lives on; no mask is given.
        match gate::once("ppoll", || unsafe { libc::ppoll(fds, len as libc::nfds_t, timeout, std::ptr::null()) }) {
            Ok(_) => {}
            Err(Errno::EINTR) => self.fds.iter_mut().for_each(|fd| fd.revents = 0),
            Err(errno) => return Err(errno),
        }
        Ok(self.fds.iter().zip(&self.tokens).filter(|(fd, _)| fd.revents != 0).map(|(_, token)| *token))
    }
}

/// Whether a write to `fd` would be taken at once, at this moment.
pub fn writable_now(fd: BorrowedFd<'_>) -> bool {
    let mut poll = Poll::new();
    poll.add(fd, Interest::Write, ());
    poll.wait(false).is_ok_and(|mut ready| ready.next().is_some())
}
