//! SIGHUP: the configuration is read again. What is wrong with it is logged, and the old one goes on; else the new one takes
//! its place between two turns, without a gap.

use super::moment::Moment;
use super::shutdown::Phase;
use super::{Daemon, permitted, sources};
use crate::config::{self, Config, Refused};
use crate::engine::task::SchedulerId;
use crate::parts::diag::Failure;
use crate::parts::log::Level;

/// Where the configuration is read from again, and how.
#[derive(Clone, Debug)]
pub struct Origin {
    /// An absolute path.
    pub path: Vec<u8>,
    /// Everything is logged, whatever the configured levels.
    pub debug: bool,
    /// The names of the program's own jobs.
    pub jobs: Vec<String>,
}

impl Origin {
    /// Reads it, the first time or again; with its warnings.
    pub fn load(&self) -> Result<(Config, Vec<String>), Refused> {
        let loaded = config::load(&self.path, &self.jobs)?;
        let config = if self.debug { loaded.config.debugging() } else { loaded.config };
        Ok((config, loaded.warnings))
    }
}

impl Daemon {
    /// Takes a new configuration, if one is asked for. That waits for a moment at which nothing is to be scanned and nothing
    /// is in doubt.
    pub fn reload_if_asked(&mut self) {
        let calm = self.phase == Phase::Running && !self.has_work() && !self.engine.watches.is_in_doubt();
        let Some(origin) = self.origin.as_ref().filter(|_| calm && self.reload_asked) else { return };
        self.reload_asked = false;
        let _ = self.presence.notify("RELOADING=1");
        let refused = match origin.load() {
            Ok((config, warnings)) => match self.ready_for(&config) {
                Ok(()) => {
                    self.say_lines(Level::Warning, &warnings);
                    return self.take_over(config);
                }
                Err(failure) => vec![failure.to_string()],
            },
            Err(refused) => refused.complaints,
        };
        self.say_lines(Level::Error, &refused);
        self.say(Level::Error, format_args!("the new configuration is not taken: the old one goes on"));
        let _ = self.presence.notify("READY=1");
    }

    /// Does what may keep a configuration from being taken.
    fn ready_for(&mut self, config: &Config) -> Result<(), Failure> {
        permitted(config)?;
        self.log.reconfigure(config.logs.clone())?;
        sources::lock(config, &mut self.locks)
    }

    fn take_over(&mut self, config: Config) {
        sources::prepare(&config);
        let before = &self.config;
        let number = |old: SchedulerId| config.number_of(&before.scheduler(old)?.name);
        self.engine.reconfigure(&config.watches, config.rules(), &number, config.is_traced());
        // These still name schedulers by their old numbers.
        self.perform_effects();
        self.config = config;
        self.since = Moment::now();
        self.ready = false;
        self.say(Level::Info, format_args!("the new configuration is taken"));
    }

    fn say_lines(&mut self, level: Level, texts: &[String]) {
        for line in texts.iter().flat_map(|text| text.lines()) {
            self.say(level, format_args!("{line}"));
        }
    }
}
