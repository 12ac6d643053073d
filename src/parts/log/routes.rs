//! Which lines go where: the values that the configuration's `log` and `loglevel` become.

/// How much a message matters, with pyinotifyd's names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// What helps to find out why.
    Debug,
    /// What happens.
    Info,
    /// Not as it should be, and nothing is lost.
    Warning,
    /// Something was not done.
    Error,
    /// The daemon cannot go on.
    Critical,
}

/// Levels with their names and syslog priorities (syslog(3)).
pub const LEVELS: [(Level, &str, u8); 5] = [
    (Level::Debug, "DEBUG", 7),
    (Level::Info, "INFO", 6),
    (Level::Warning, "WARNING", 4),
    (Level::Error, "ERROR", 3),
    (Level::Critical, "CRITICAL", 2),
];

/// The level of this name, in any case.
pub fn level(name: &str) -> Option<Level> {
    LEVELS.iter().find(|(_, known, _)| known.eq_ignore_ascii_case(name)).map(|(level, ..)| *level)
}

/// A place that lines go to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Standard error.
    Stderr,
    /// A file, by its absolute path.
    File(Vec<u8>),
    /// The system's log, by the absolute path of its socket.
    Syslog(Vec<u8>),
}

/// One `log` or `log.NAME`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The only logname whose lines go this way; without it, all do.
    pub logname: Option<String>,
    /// Where to.
    pub target: Target,
    /// From which level on, if that was written.
    pub level: Option<Level>,
}

/// All of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Routes {
    /// At least one has no logname.
    pub routes: Vec<Route>,
    /// Levels of single lognames (`loglevel.NAME`); the last of a name counts.
    pub levels: Vec<(String, Level)>,
    /// Bytes that a log file may have, if that is limited.
    pub max_size: Option<u64>,
}

impl Default for Routes {
    /// Everything from INFO on to standard error.
    fn default() -> Routes {
        let route = Route { logname: None, target: Target::Stderr, level: None };
        Routes { routes: vec![route], levels: Vec::new(), max_size: None }
    }
}

impl Routes {
    /// The least level of a logname's lines that go to a target; `None` if none do. `loglevel.NAME` stands for the level
    /// of every `log` line, and what a `log.NAME` line says can only be stricter.
    pub fn level_at(&self, target: &Target, logname: &str) -> Option<Level> {
        self.of(logname).filter(|route| route.target == *target).map(|route| self.level_of(route, logname)).min()
    }

    /// The least level of a logname's lines that go anywhere.
    pub fn least(&self, logname: &str) -> Level {
        self.of(logname).map(|route| self.level_of(route, logname)).min().unwrap_or(Level::Critical)
    }

    /// Whether any of them leads to the target.
    pub fn lead_to(&self, target: &Target) -> bool {
        self.routes.iter().any(|route| route.target == *target)
    }

    /// Whether all of them do.
    pub fn lead_only_to(&self, target: &Target) -> bool {
        self.routes.iter().all(|route| route.target == *target)
    }

    /// The same with every line to every target of its logname.
    pub fn debugging(mut self) -> Routes {
        self.routes.iter_mut().for_each(|route| route.level = Some(Level::Debug));
        self.levels.clear();
        self
    }

    fn of(&self, logname: &str) -> impl Iterator<Item = &Route> {
        self.routes.iter().filter(move |route| route.logname.as_deref().is_none_or(|own| own == logname))
    }

    fn level_of(&self, route: &Route, logname: &str) -> Level {
        let named = self.levels.iter().rev().find(|(name, _)| name == logname).map(|(_, level)| *level);
        match (named, &route.logname) {
            (None, _) => route.level.unwrap_or(Level::Info),
            (Some(named), None) => named,
            (Some(named), Some(_)) => route.level.map_or(named, |own| own.max(named)),
        }
    }
}
