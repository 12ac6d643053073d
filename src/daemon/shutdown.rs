//! The end: what is due within shutdown_timeout still runs, then children get SIGTERM, and SIGKILL after that.

use super::{Daemon, End};
use crate::parts::duration::Millis;
use crate::parts::log::Level;
use crate::sys::clock::Tick;
use crate::sys::signal::{self, Order, Signal};

/// From SIGTERM to SIGKILL.
const GRACE: Millis = Millis(5_000);

/// How far the end has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Nobody has asked for it.
    Running,
    /// Tasks that are due by then still run.
    Draining(Tick),
    /// Children have been asked to end; those that are left by then are killed.
    Terminating(Tick),
    /// Children have been killed, and only have to be reaped.
    Killed,
    /// A second signal came.
    Hasty,
}

impl Phase {
    /// When the next phase begins by itself.
    pub fn deadline(self) -> Option<Tick> {
        match self {
            Phase::Draining(until) | Phase::Terminating(until) => Some(until),
            Phase::Running | Phase::Killed | Phase::Hasty => None,
        }
    }
}

impl Daemon {
    /// A signal asks for the end.
    pub fn asked_to_end(&mut self, signal: Signal) {
        let name = match signal {
            Signal::Term => "SIGTERM",
            Signal::Int => "SIGINT",
            Signal::Hup => "SIGHUP",
            Signal::Usr1 | Signal::Child | Signal::Other(_) => "a signal",
        };
        if self.phase != Phase::Running {
            let left = self.engine.tasks().len();
            self.say(Level::Warning, format_args!("{name} again: ends at once, with {left} tasks left"));
            self.order_children(Order::Term);
            self.phase = Phase::Hasty;
            return;
        }
        // A service manager that does not hear it will see it.
        let _ = self.presence.notify(b"STOPPING=1\n");
        let timeout = self.config.shutdown_timeout;
        let until = later(self.now, timeout);
        self.phase = Phase::Draining(until);
        let pending = self.engine.tasks().len();
        self.say(Level::Info, format_args!("{name}: ends, with at most {timeout} for {pending} pending tasks"));
        self.engine.drain(until);
    }

    /// Goes on to the next phase when its time has come.
    pub fn shut_down_further(&mut self) {
        match self.phase {
            Phase::Draining(until) if self.now >= until => {
                self.engine.give_up();
                if !self.children.is_empty() {
                    let running = self.children.len();
                    self.say(
                        Level::Warning,
                        format_args!("time is over: {running} commands still run and get SIGTERM"),
                    );
                    self.order_children(Order::Term);
                }
                self.phase = Phase::Terminating(later(self.now, GRACE));
            }
            Phase::Terminating(until) if self.now >= until => {
                let running = self.children.len();
                self.say(Level::Warning, format_args!("{running} commands ignore SIGTERM and get SIGKILL"));
                self.order_children(Order::Kill);
                self.phase = Phase::Killed;
            }
            Phase::Running | Phase::Draining(_) | Phase::Terminating(_) | Phase::Killed | Phase::Hasty => {}
        }
    }

    /// Whether there is nothing left to wait for.
    pub fn is_over(&mut self) -> Option<End> {
        match self.phase {
            Phase::Running => None,
            Phase::Hasty => Some(End::Hasty),
            Phase::Draining(_) | Phase::Terminating(_) | Phase::Killed if self.engine.tasks().len() > 0 => None,
            Phase::Draining(_) | Phase::Terminating(_) | Phase::Killed => {
                self.say(Level::Info, format_args!("ended"));
                Some(End::Orderly)
            }
        }
    }

    /// The loop cannot go on: what is pending is told, and children get SIGTERM.
    pub fn abandon(&mut self) {
        self.engine.give_up();
        self.perform_effects();
        self.order_children(Order::Term);
    }

    /// ESRCH only says that the whole group is gone already.
    fn order_children(&self, order: Order) {
        for child in &self.children {
            let _ = signal::order_group(child.pid, order);
        }
    }
}

fn later(now: Tick, by: Millis) -> Tick {
    Tick(now.0.saturating_add(by.0).saturating_add(1))
}
