//! Events on standard output, one line each, as `dogwatch events` prints them.
//!
//! Nothing is lost to a slow reader: while much waits for it, no further events are read. They wait in the kernel's queue
//! then, and whatever may follow is told: an overflow is an event too.

use super::{Daemon, End};
use crate::engine::watch::events;
use crate::parts::diag::Failure;
use crate::parts::duration::Millis;
use crate::parts::log::Level;
use crate::parts::stream::Stream;
use crate::parts::template::{Template, Values};
use crate::parts::text::Escaped;
use crate::sys::Errno;
use crate::sys::clock::{self, Tick};
use crate::sys::inotify::Mask;
use crate::sys::poll::{Interest, Poll};

/// With more than this waiting for the reader, in bytes, events are not read.
const MUCH: usize = 1 << 16;

/// What is to be printed, and until when.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// These events.
    pub events: Mask,
    /// The form of a line.
    pub format: Template,
    /// Values are printed as they are and lines end with NUL; else what could be taken for another line is escaped.
    pub raw: bool,
    /// So many lines, if that is limited.
    pub count: Option<u64>,
    /// Until there was no event for so long.
    pub patience: Option<Millis>,
}

/// What prints them.
pub struct Printer {
    wanted: Wanted,
    stream: Stream,
    /// What the reader has not taken yet.
    waiting: Vec<u8>,
    /// Lines so far.
    lines: u64,
    until: Option<Tick>,
}

impl Printer {
    /// Prints what is wanted to standard output.
    pub fn new(wanted: Wanted) -> Printer {
        Printer { wanted, stream: Stream::output(), waiting: Vec::new(), lines: 0, until: None }
    }

    /// The events that are printed.
    pub fn events(&self) -> Mask {
        self.wanted.events
    }

    /// When patience is at its end.
    pub fn deadline(&self) -> Option<Tick> {
        self.until
    }

    /// Patience begins anew.
    pub fn wait_from(&mut self, now: Tick) {
        self.until = self.wanted.patience.map(|patience| patience.after(now));
    }

    /// Has its descriptor polled: until there is room for what waits, else for the case that the reader goes away.
    pub fn poll<T: Copy>(&self, poll: &mut Poll<T>, token: T) {
        let interest = if self.waiting.is_empty() { Interest::End } else { Interest::Write };
        poll.add(self.stream.fd(), interest, token);
    }

    /// Adds a line for each wanted event of a mask.
    fn add(&mut self, mask: Mask, path: &[u8], source: &[u8], date: &str) {
        let escaped =
            |bytes: &[u8]| if self.wanted.raw { bytes.to_vec() } else { Escaped(bytes).to_string().into_bytes() };
        let (pathname, src_pathname) = (escaped(path), escaped(source));
        for bit in events::bits(mask).filter(|bit| self.wanted.events.any(*bit)) {
            if self.wanted.count.is_some_and(|count| self.lines >= count) {
                return;
            }
            self.lines += 1;
            let values = Values {
                maskname: events::first_name(bit),
                pathname: &pathname,
                src_pathname: &src_pathname,
                task_id: self.lines,
                scheduler: "events",
                date,
            };
            self.waiting.extend(self.wanted.format.expand(&values));
            self.waiting.push(if self.wanted.raw { 0 } else { b'\n' });
        }
    }

    /// Prints what the reader takes now.
    fn print(&mut self) -> Result<(), Errno> {
        let mut printed = 0;
        let result = loop {
            match self.waiting.get(printed..) {
                None | Some([]) => break Ok(()),
                Some(rest) => match self.stream.write(rest) {
                    Ok(count) => printed += count,
                    Err(Errno::EAGAIN) => break Ok(()),
                    Err(errno) => break Err(errno),
                },
            }
        };
        self.waiting.drain(..printed);
        result
    }

    /// Whether all is printed that was asked for.
    fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.wanted.count.is_some_and(|count| self.lines >= count)
    }
}

impl Daemon {
    /// An event is there to be printed.
    pub fn print_event(&mut self, mask: Mask, path: &[u8], source: Option<&[u8]>) {
        let Some(printer) = &mut self.printer else { return };
        let before = printer.lines;
        let date = self.log.zone().civil(clock::wall_now()).compact();
        printer.add(mask, path, source.unwrap_or_default(), &date);
        if printer.lines > before {
            printer.wait_from(self.now);
        }
    }

    /// Goes on printing, and sees whether that is to end: all is printed, nothing has come for too long, or nobody reads.
    pub fn print_on(&mut self) {
        let Some(printer) = &mut self.printer else { return };
        match printer.print() {
            Ok(()) if printer.is_done() => self.verdict = Some(End::Orderly),
            Ok(()) if printer.until.is_some_and(|until| self.now >= until) => self.verdict = Some(End::TimedOut),
            Ok(()) => {}
            Err(Errno::EPIPE) => self.verdict = Some(End::Orderly),
            Err(errno) => {
                self.verdict = Some(End::Hasty);
                let failure = Failure::of("write to standard output", errno);
                self.say(Level::Error, format_args!("{failure}"));
            }
        }
    }

    /// Whether the reader of standard output is so far behind that it has to be waited for.
    pub fn is_behind(&self) -> bool {
        self.printer.as_ref().is_some_and(|printer| printer.waiting.len() > MUCH)
    }

    /// Standard output has something to say: there is room, or the reader has gone.
    pub fn output_woke(&mut self) {
        if self.printer.as_ref().is_some_and(|printer| printer.waiting.is_empty()) {
            self.verdict = Some(End::Orderly);
        }
    }
}
