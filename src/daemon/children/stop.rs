//! How a child is made to end: SIGTERM when it has run for too long or is not wanted any more, SIGKILL when that has not
//! helped. Pure: it is told the time.

use crate::parts::duration::Millis;
use crate::sys::clock::Tick;
use crate::sys::signal::Order;

/// From SIGTERM to SIGKILL.
pub const GRACE: Millis = Millis(5_000);

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// Nobody has asked it; at this instant it has run for too long.
    Unasked(Option<Tick>),
    /// It was asked, and is killed then.
    Asked(Tick),
    /// It was killed.
    Killed,
}

impl Stop {
    /// For a child that starts now and may run for so long.
    pub fn after(now: Tick, timeout: Option<Millis>) -> Stop {
        Stop::Unasked(timeout.map(|timeout| timeout.after(now)))
    }

    /// When [`Stop::overdue`] has an answer.
    pub fn deadline(self) -> Option<Tick> {
        match self {
            Stop::Unasked(at) => at,
            Stop::Asked(at) => Some(at),
            Stop::Killed => None,
        }
    }

    /// It is to end. Whoever was asked already is given the time that it was given then.
    pub fn ask(&mut self, now: Tick) -> Option<Order> {
        match self {
            Stop::Unasked(_) => {
                *self = Stop::Asked(GRACE.after(now));
                Some(Order::Term)
            }
            Stop::Asked(_) | Stop::Killed => None,
        }
    }

    /// What it is to be told by now.
    pub fn overdue(&mut self, now: Tick) -> Option<Order> {
        if self.deadline().is_none_or(|at| now < at) {
            return None;
        }
        match self {
            Stop::Unasked(_) => self.ask(now),
            Stop::Asked(_) | Stop::Killed => {
                *self = Stop::Killed;
                Some(Order::Kill)
            }
        }
    }

    /// It has ended. If it was asked to, whoever is left of its group has the rest of its time.
    pub fn rest(self, now: Tick) -> Option<Rest> {
        match self {
            Stop::Asked(until) => Some(Rest { look_at: now, pause: FIRST_PAUSE, until }),
            Stop::Unasked(_) | Stop::Killed => None,
        }
    }
}

/// What is left of a group. Nobody tells when the last of it ends (it is not our child), so it is looked for, less and less often.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rest {
    /// When [`Rest::overdue`] has an answer.
    pub look_at: Tick,
    pause: Millis,
    until: Tick,
}

/// Who was told together with its leader has mostly ended by then.
const FIRST_PAUSE: Millis = Millis(10);

impl Rest {
    /// What it is to be told by now: nothing, to see whether it is there, or SIGKILL.
    pub fn overdue(&mut self, now: Tick) -> Option<Order> {
        if now >= self.until {
            return Some(Order::Kill);
        }
        if now < self.look_at {
            return None;
        }
        self.look_at = self.pause.after(now).min(self.until);
        self.pause = Millis(self.pause.0 * 2);
        Some(Order::Nothing)
    }
}

#[cfg(test)]
mod tests;
