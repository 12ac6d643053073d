//! A sink before an output that does what the test says.

use super::*;
use crate::parts::zone::Zone;
use crate::sys::fd;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// What the output answers, one write after the other, and in the end takes everything; and what it got.
#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    written: String,
    shut: bool,
    /// Whether it can be opened.
    broken: bool,
    opened: usize,
}

enum Answer {
    Takes(usize),
    Fails(Errno),
    /// Fails, and is shut.
    Breaks,
}
use Answer::{Breaks, Fails, Takes};

struct Fake(Rc<RefCell<Script>>);

impl Output for Fake {
    fn format(&self, line: &Line<'_>) -> String {
        format!("{}\n", line.message)
    }

    fn open(&mut self) -> Result<(), Failure> {
        let mut script = self.0.borrow_mut();
        script.opened += 1;
        script.shut = script.broken;
        if script.broken { Err(Failure::of("open it", Errno::ENOENT)) } else { Ok(()) }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.0.borrow().shut).then_some(fd::STDERR)
    }

    fn write(&mut self, bytes: &[u8], _: &mut Option<Failure>) -> Result<usize, Errno> {
        let mut script = self.0.borrow_mut();
        let n = match script.answers.pop_front() {
            None => bytes.len(),
            // Whether a line that lacks nothing but its end was lost is a matter of taste: here is none.
            Some(Takes(n)) => n.min(bytes.len()) + usize::from(bytes.get(n) == Some(&b'\n')),
            Some(Fails(errno)) => return Err(errno),
            Some(Breaks) => {
                script.shut = true;
                // Each connection's bytes for themselves.
                if !script.written.is_empty() && !script.written.ends_with('\n') {
                    script.written.push('\n');
                }
                return Err(Errno::EPIPE);
            }
        };
        script.written += std::str::from_utf8(&bytes[..n]).unwrap();
        Ok(n)
    }
}

struct Rig {
    sink: Sink,
    script: Rc<RefCell<Script>>,
    second: i64,
}

impl Rig {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Rig {
        let script = Rc::new(RefCell::new(Script { answers: answers.into_iter().collect(), ..Script::default() }));
        Rig { sink: Sink::new(Target::Stderr, Box::new(Fake(Rc::clone(&script)))), script, second: 0 }
    }

    fn now(&self) -> Civil {
        Zone::utc().civil(self.second)
    }

    /// A turn of the loop with these lines.
    fn turn(&mut self, lines: &[&str]) {
        for text in lines {
            let (at, message) = (self.now(), *text);
            self.sink.add(&Line { at, level: Level::Info, logname: "x", message: format_args!("{message}") });
        }
        if !self.sink.is_idle() {
            self.sink.flush(self.now());
        }
    }

    fn written(&self) -> String {
        self.script.borrow().written.clone()
    }
}

#[test]
fn what_is_not_taken_waits() {
    let mut rig = Rig::new([Takes(2), Fails(Errno::EAGAIN), Fails(Errno::EAGAIN)]);
    rig.turn(&["one"]);
    assert!(rig.sink.blocked_on().is_some());
    rig.turn(&["two"]);
    assert_eq!(rig.written(), "on");
    rig.turn(&[]);
    assert!(rig.sink.blocked_on().is_none());
    assert_eq!(rig.written(), "one\ntwo\n");
}

#[test]
fn what_does_not_fit_into_the_buffer_is_counted() {
    let mut rig = Rig::new((0..200).map(|_| Fails(Errno::EAGAIN)));
    let long = "x".repeat(1023);
    (0..70).for_each(|_| rig.turn(&[&long]));
    rig.script.borrow_mut().answers.clear();
    rig.turn(&["last"]);
    let written = rig.written();
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!(lines.iter().filter(|line| **line == long).count(), 65);
    // The line that found room again comes before the count: it was flushed for.
    assert_eq!(rig.sink.lost_in_all, 5);
    assert_eq!(&lines[65..], ["5 lines were lost: they could not be written", "last"]);
}

/// A full disk: half of a line is written, then nothing for a while. Every line after that is whole, and each line that
/// nobody can read has been counted once.
#[test]
fn a_line_that_was_cut_is_ended_and_counted() {
    for failures in 1..6 {
        let full = (0..failures).map(|_| Fails(Errno::ENOSPC));
        let mut rig = Rig::new([Takes(2)].into_iter().chain(full));
        rig.turn(&["one"]);
        assert!(rig.sink.blocked_on().is_none(), "nothing to wait for");
        rig.turn(&["two"]);
        (0..failures).for_each(|_| rig.turn(&[]));
        rig.turn(&["three"]);
        let written = rig.written();
        let lost = written.lines().find_map(|line| line.split_once(" lines were lost")?.0.parse::<usize>().ok());
        let missing = ["one", "two", "three"].iter().filter(|text| !written.lines().any(|line| line == **text)).count();
        assert_eq!(lost, Some(missing), "{failures}: {written}");
        assert!(written.starts_with("on\n") && written.ends_with("three\n"), "{failures}: {written}");
        assert_eq!(written.lines().count(), 3 + 2 - missing, "{failures}: {written}");
    }
}

#[test]
fn what_has_broken_is_opened_again_and_gets_the_rest() {
    let mut rig = Rig::new([Breaks]);
    rig.turn(&["one", "two"]);
    assert_eq!((rig.written().as_str(), rig.script.borrow().opened), ("one\ntwo\n", 1));
    assert!(rig.sink.trouble.is_none());
}

/// The beginning has gone to the one that is no more.
#[test]
fn the_rest_of_a_line_that_was_begun_is_no_line() {
    let mut rig = Rig::new([Takes(6), Breaks]);
    rig.turn(&["one", "two", "three"]);
    assert_eq!(rig.written(), "one\ntw\nthree\n1 lines were lost: they could not be written\n");
}

#[test]
fn what_cannot_be_opened_is_told_once_and_tried_once_a_second() {
    let mut rig = Rig::new([Breaks]);
    rig.script.borrow_mut().broken = true;
    rig.turn(&["one"]);
    assert_eq!(rig.sink.trouble.take(), Some(Failure::of("open it", Errno::ENOENT)));
    assert!(rig.sink.blocked_on().is_none(), "nothing to wait for");
    rig.turn(&["two"]);
    assert_eq!(rig.script.borrow().opened, 1);
    rig.second = 1;
    rig.turn(&["three"]);
    assert_eq!((rig.script.borrow().opened, rig.sink.trouble.take()), (2, None));
    rig.script.borrow_mut().broken = false;
    rig.second = 2;
    rig.turn(&["four"]);
    assert_eq!(rig.written(), "one\ntwo\nthree\nfour\n");
    // It can break again, and is told again.
    rig.script.borrow_mut().answers.push_back(Breaks);
    rig.script.borrow_mut().broken = true;
    rig.second = 3;
    rig.turn(&["five"]);
    assert!(rig.sink.trouble.is_some());
}

/// Whoever breaks at each line is not opened for ever in one turn.
#[test]
fn one_that_breaks_again_and_again_does_not_hold_up_the_loop() {
    let mut rig = Rig::new((0..100).map(|_| Breaks));
    rig.turn(&["one", "two"]);
    assert_eq!((rig.script.borrow().opened, rig.written().as_str()), (1, ""));
    rig.script.borrow_mut().answers.clear();
    rig.second = 1;
    rig.turn(&["three"]);
    assert_eq!(rig.written(), "one\ntwo\nthree\n");
}

/// Random answers: every line is written whole and in order, or counted; each seed is a run of its own.
#[test]
fn every_line_is_written_or_counted() {
    for seed in 0..5_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let breaks = random.bool();
        let answers = (0..random.usize(..40)).map(|_| match random.usize(..7) {
            0 => Fails(Errno::EAGAIN),
            1 => Fails(Errno::ENOSPC),
            2 if breaks => Breaks,
            _ => Takes(random.usize(1..12)),
        });
        let mut rig = Rig::new(answers.collect::<Vec<_>>());
        let sent = random.usize(1..20);
        for n in 0..sent {
            rig.second += random.i64(0..2);
            rig.turn(&[&format!("line{n:02}")]);
        }
        for _ in 0..60 {
            rig.second += 1;
            rig.turn(&[]);
        }
        let written = rig.written();
        let told = written.lines().filter_map(|line| line.split_once(" lines were lost: they could not be written"));
        let lost: usize = told.map(|(count, _)| count.parse::<usize>().unwrap()).sum();
        let whole: Vec<&str> =
            (0..sent).flat_map(|n| written.lines().find(|line| *line == format!("line{n:02}"))).collect();
        assert_eq!(whole.len() + lost, sent, "seed {seed}: {written}");
        assert_eq!(rig.sink.lost_in_all, lost as u64, "seed {seed}: {written}");
        let in_order: Vec<&str> = written.lines().filter(|line| whole.contains(line)).collect();
        assert_eq!(in_order, whole, "seed {seed}: {written}");
    }
}
