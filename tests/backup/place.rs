//! A backup directory with a clock of its own: the time zone makes the present time what a test wants it to be.

use crate::common::{Daemon, Scratch, dogwatch, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;
pub const PID_FILE: &str = ".backup_service.pid";
pub const RUNS: &str = ".backup_runs";
pub const SCHEDULES: &str = "backup_schedules.txt";

pub struct Place {
    pub scratch: Scratch,
    pub zone: String,
}

impl Place {
    /// One in which it is 12:00:01, so that what is scheduled for 12:00 is due for a minute.
    pub fn new() -> Place {
        Place::at(12 * 3600 + 1)
    }

    /// One in which it is so many seconds past midnight.
    pub fn at(seconds: i64) -> Place {
        let place = Place { scratch: Scratch::new(), zone: zone_at(seconds) };
        fs::create_dir(place.dir()).unwrap();
        place
    }

    /// From now on it is so many seconds past midnight.
    pub fn set(&mut self, seconds: i64) {
        self.zone = zone_at(seconds);
    }

    pub fn dir(&self) -> PathBuf {
        self.scratch.path("b")
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    /// A file's text, empty while it is not there.
    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    pub fn command(&self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = dogwatch();
        command.arg("backup").arg("-C").arg(self.dir()).args(words).env("TZ", &self.zone).stdin(Stdio::null());
        command
    }

    /// The same, started by a line of shell in which `"$@"` stands for it.
    pub fn by_shell(&self, line: &str, words: &[&str]) -> Command {
        let inner = self.command(words);
        let mut command = Command::new("sh");
        command.args(["-c", line, "sh"]).arg(inner.get_program()).args(inner.get_args()).stdin(Stdio::null());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// The local date, so many days from today.
    pub fn date(&self, days: i32) -> String {
        let output = Command::new("date").args(["+%F", "-d", &format!("{days} days")]).env("TZ", &self.zone).output();
        String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
    }

    pub fn run(&self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
        self.command(words).output().unwrap()
    }

    /// It ends well and prints this, and nothing else.
    #[track_caller]
    pub fn prints(&self, words: &[&str], text: &str) {
        let Output { status, stdout, stderr } = self.run(words);
        let (out, errors) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!((status.code(), &*out, &*errors), (Some(0), text, ""), "{words:?}");
    }

    /// It fails, and says this on standard error.
    #[track_caller]
    pub fn refuses(&self, words: &[impl AsRef<OsStr>], reason: &str) {
        let Output { status, stdout, stderr } = self.run(words);
        let errors = String::from_utf8_lossy(&stderr);
        assert_eq!((status.code(), stdout.len()), (Some(1), 0), "{errors}");
        assert!(errors.contains(reason) && errors.lines().count() == 1, "{reason:?} is not in {errors:?}");
    }

    /// A service in the foreground.
    pub fn service(&self, environment: &[(&str, &OsStr)]) -> Daemon {
        self.scratch.spawn(self.command(["service"]).envs(environment.iter().copied()))
    }

    /// The same, once it has looked at what is due and nothing is left to be done.
    #[track_caller]
    pub fn idle_service(&self) -> Daemon {
        let daemon = self.service(&[]);
        wait_until("the service has looked", || self.read(RUNS).contains("last ") && !self.has_worker(&daemon));
        daemon
    }

    pub fn has_worker(&self, daemon: &Daemon) -> bool {
        let pid = daemon.pid();
        !fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default().trim().is_empty()
    }

    /// A log's lines without their times, which have the right form.
    #[track_caller]
    pub fn log(&self, who: &str) -> Vec<String> {
        self.read(&format!("logs/backup_{who}.log")).lines().map(|line| undated(line).to_owned()).collect()
    }

    /// Waits for a line in the service's log.
    #[track_caller]
    pub fn await_log(&self, line: &str) {
        let seen = crate::common::comes_true(crate::PATIENCE, || self.log("service").iter().any(|known| known == line));
        assert!(seen, "the service has not logged {line:?}: {:#?}\n{}", self.log("service"), self.scratch.read("log"));
    }

    /// Waits until a line of the service's log contains these words.
    #[track_caller]
    pub fn await_words(&self, words: &str) {
        let seen = crate::common::comes_true(crate::PATIENCE, || self.log("service").concat().contains(words));
        assert!(seen, "the service has not logged {words:?}: {:#?}\n{}", self.log("service"), self.scratch.read("log"));
    }

    /// Who serves, by what it has written.
    pub fn pid(&self) -> Option<i32> {
        self.read(PID_FILE).trim().parse().ok()
    }

    /// In how many seconds a process's timer of the wall clock (0) fires, if it has one; 0 if it is not armed.
    pub fn armed(&self, pid: u32) -> Option<u64> {
        let infos = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
        let mut infos = infos.filter_map(|info| fs::read_to_string(info.path()).ok());
        let timer = infos.find(|info| info.contains("clockid: 0\n"))?;
        let left = timer.lines().find_map(|line| line.strip_prefix("it_value: ("))?;
        left.split(',').next()?.parse().ok()
    }

    /// Names in a directory, sorted.
    pub fn names(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(dir)).into_iter().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// What a backup has in it, by GNU tar: names, and the bytes of files.
    #[track_caller]
    pub fn members(&self, backup: &str) -> BTreeMap<String, Vec<u8>> {
        self.try_members(backup).unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    pub fn try_members(&self, backup: &str) -> Result<BTreeMap<String, Vec<u8>>, String> {
        let path = self.path("backups").join(backup);
        let tar = |words: &[&str]| {
            let output = Command::new("tar").args(["-P", "-z", "-f"]).arg(&path).args(words).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.success() { Ok(output.stdout) } else { Err(format!("{backup} is no archive: {errors}")) }
        };
        let names = String::from_utf8(tar(&["-t"])?).unwrap();
        names.lines().map(|name| Ok((name.to_owned(), tar(&["-x", "-O", name])?))).collect()
    }
}

fn zone_at(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    // West of Greenwich is positive in TZ.
    let west = (i64::try_from(now).unwrap() - seconds).rem_euclid(DAY);
    let west = if west > DAY / 2 { west - DAY } else { west };
    let (sign, size) = (if west < 0 { "-" } else { "" }, west.abs());
    format!("TST{sign}{:02}:{:02}:{:02}", size / 3600, size / 60 % 60, size % 60)
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(pid) = self.pid() else { return };
        let is_ours = fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| {
            words.split(|byte| *byte == 0).any(|word| word == self.dir().as_os_str().as_encoded_bytes())
        });
        if is_ours {
            let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        }
    }
}

/// A log's line without `[dd/mm/yyyy hh:mm] `.
#[track_caller]
pub fn undated(line: &str) -> &str {
    const FORM: &[u8] = b"[00/00/0000 00:00] ";
    let fits = |(byte, form): (u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == *form };
    assert!(line.len() > FORM.len() && line.bytes().zip(FORM).all(fits), "{line:?} has no date");
    line.split_at(FORM.len()).1
}
