//! The end: what is due within shutdown_timeout still runs, then children get SIGTERM, and SIGKILL after that.

use super::children::GRACE;
use super::{Daemon, End};
use crate::parts::duration::Millis;
use crate::parts::log::Level;
use crate::sys::clock::Tick;

/// What the end may take besides, on a machine that has much else to do.
const SLACK: Millis = Millis(5_000);

/// How far the end has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Nobody has asked for it.
    Running,
    /// Tasks that are due by then still run.
    Draining(Tick),
    /// Children have been asked to end.
    Terminating,
    /// A second signal came.
    Hasty,
}

impl Phase {
    /// When the next phase begins by itself.
    pub fn deadline(self) -> Option<Tick> {
        match self {
            Phase::Draining(until) => Some(until),
            Phase::Running | Phase::Terminating | Phase::Hasty => None,
        }
    }
}

impl Daemon {
    /// A signal of this name asks for the end.
    pub fn asked_to_end(&mut self, name: &str) {
        if self.phase != Phase::Running {
            let left = self.engine.tasks().len();
            self.say(Level::Warning, format_args!("{name} again: ends at once, with {left} tasks left"));
            self.phase = Phase::Hasty;
            self.engine.drain(None, self.keeps_tasks());
            self.perform_effects();
            self.conclude();
            self.stop_all();
            return;
        }
        let timeout = self.config.shutdown_timeout;
        // A service manager that does not hear it will see it; systemd waits for as long as it is told to (sd_notify(3)).
        let most = (timeout.0 + GRACE.0 + SLACK.0) * 1_000;
        let _ = self.presence.notify(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={most}"));
        let until = timeout.after(self.now);
        self.phase = Phase::Draining(until);
        self.take_up_saved();
        let pending = self.engine.tasks().len();
        self.say(Level::Info, format_args!("{name}: ends, with at most {timeout} for {pending} pending tasks"));
        self.engine.drain(Some(until), self.keeps_tasks());
        self.perform_effects();
        // At once: nobody knows how long we have.
        if self.keeps_tasks() {
            self.save_tasks();
        }
    }

    /// What there is to save by now is what the next start gets.
    fn conclude(&mut self) {
        if self.keeps_tasks() {
            self.save_tasks();
        } else {
            self.forget_saved_if_done();
        }
    }

    /// Goes on to the next phase when its time has come.
    pub fn shut_down_further(&mut self) {
        match self.phase {
            Phase::Draining(until) if self.now >= until => {
                self.engine.drain(None, self.keeps_tasks());
                let running = self.children.iter().count();
                if running > 0 {
                    // Nobody expects what was given no time to have ended.
                    let given_time = self.config.shutdown_timeout > Millis(0);
                    let level = if given_time { Level::Warning } else { Level::Info };
                    self.say(level, format_args!("time is over: {running} commands still run and get SIGTERM"));
                    self.stop_all();
                }
                self.phase = Phase::Terminating;
            }
            Phase::Running | Phase::Draining(_) | Phase::Terminating | Phase::Hasty => {}
        }
    }

    /// Whether there is nothing left to wait for.
    pub fn is_over(&mut self) -> Option<End> {
        if self.verdict.is_some() {
            return self.verdict;
        }
        match self.phase {
            Phase::Running => None,
            Phase::Hasty => Some(End::Hasty),
            Phase::Draining(_) | Phase::Terminating
                if self.engine.tasks().active() > 0 || !self.children.is_empty() =>
            {
                None
            }
            Phase::Draining(_) | Phase::Terminating => {
                self.conclude();
                self.say(Level::Info, format_args!("ended"));
                Some(End::Orderly)
            }
        }
    }

    /// The loop cannot go on: what is pending is told, and children get SIGTERM.
    pub fn abandon(&mut self) {
        self.engine.drain(None, self.keeps_tasks());
        self.perform_effects();
        self.conclude();
        self.stop_all();
    }
}
