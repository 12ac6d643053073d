//! `dogwatch collect`: waits until a spool holds enough files, and archives them.

use super::daemon::failed;
use super::watching::{absolute, serve};
use super::{Usage, out, shown};
use crate::config::Draft;
use crate::daemon::{End, Wishes};
use crate::jobs::Work;
use crate::parts::diag::Failure;
use crate::parts::names::Names;
use crate::parts::text::{Escaped, to_bytes};
use crate::sources::collect;
use crate::sys::fs::{self, CWD, Open};
use crate::sys::spawn::Exit;
use crate::sys::{Fd, lock};
use getopts::Matches;
use std::os::fd::AsFd;
use std::process::ExitCode;

/// What is printed for a collection.
const COLLECTED: &str = "files collected\n";
/// Options that are keys of a `[collector]` section, with what help says of them.
const OPTIONS: [(&str, &str, &str, &str); 4] = [
    ("threshold", "collect once there are so many files (default: 10)", "N", "threshold"),
    ("max-age", "collect once a file is so old, however few there are", "DURATION", "max_age"),
    ("level", "compression, from 1 (fast) to 9 (small) (default: 6)", "N", "level"),
    ("keep", "keep so many older archives (default: all)", "N", "keep"),
];

/// The command `collect`.
pub fn run(words: &[String], _: &[String]) -> Result<ExitCode, ExitCode> {
    let about = "Waits until DIR/tmp holds ten files or more, archives them in DIR/files.tar.gz,\n\
                 removes them, prints \"files collected\" and ends. Hidden files, swap files and\n\
                 files that somebody still writes to do not count. An older archive is kept as\n\
                 files_YYYYmmdd-HHMMSS.tar.gz.";
    let mut usage = Usage::new("dogwatch collect [OPTION]...", about);
    usage.options.optopt("b", "base-dir", "the directory of tmp and of the archives (default: .)", "DIR");
    usage.options.optopt("l", "log-level", "DEBUG, INFO, WARNING or ERROR (default: ERROR)", "LEVEL");
    for (name, purpose, value, _) in OPTIONS {
        usage.options.optopt("", name, purpose, value);
    }
    usage.options.optflag("f", "follow", "go on collecting");
    usage.options.optflag("n", "dry-run", "print what would be collected now, and end");
    let matches = usage.parse(words, 0)?;
    let base = matches.opt_str("base-dir").unwrap_or_else(|| ".".to_owned());
    let path = absolute(&to_bytes(&base)).map_err(failed)?;
    let draft = draft(&matches, &base, &path);
    if matches.opt_present("dry-run") {
        return rehearse(draft);
    }
    let _lock = only_one(&path).map_err(failed)?;
    let follow = matches.opt_present("follow");
    let wishes = Wishes { once: !follow, announce: follow.then_some(COLLECTED.as_bytes()), ..Wishes::default() };
    match serve(draft, wishes)? {
        End::Command(Exit::Code(0)) => out::print(COLLECTED).map(|()| ExitCode::SUCCESS),
        End::Orderly if follow => Ok(ExitCode::SUCCESS),
        End::Orderly | End::Hasty | End::TimedOut | End::Command(_) => Err(ExitCode::FAILURE),
    }
}

fn draft(matches: &Matches, base: &str, path: &[u8]) -> Draft {
    let mut draft = Draft::default();
    let level = matches.opt_str("log-level").unwrap_or_else(|| "ERROR".to_owned());
    draft.section("daemon", "").set("log", "--log-level", format!("stderr {level}").as_bytes());
    draft.set("on_shutdown", "", b"cancel");
    draft.section("collector", "collect").set("base_dir", &shown(base), path);
    for (name, _, _, key) in OPTIONS {
        if let Some(value) = matches.opt_str(name) {
            draft.set(key, &format!("--{name}"), &to_bytes(&value));
        }
    }
    draft
}

/// A second one at the same directory is refused. (The daemon's collectors and this one keep out of each other's way all the
/// same; but whoever waits for files here would wait in vain.)
fn only_one(path: &[u8]) -> Result<Fd, Failure> {
    let dir = fs::open(CWD, path, Open::Directory);
    let dir = dir.map_err(|errno| Failure::on_path("use the base directory", path, errno))?;
    match lock::mark(dir.as_fd()) {
        true => Ok(dir),
        false => Err(Failure::on_path("collect in", path, "another dogwatch collect is at it")),
    }
}

fn rehearse(draft: Draft) -> Result<ExitCode, ExitCode> {
    let config = draft.load().map_err(super::watching::refused)?.config;
    let settings = config.schedulers.iter().find_map(|scheduler| match &scheduler.work {
        Work::Source(call) => collect::Settings::decode(&call.value),
        Work::Archive(_) | Work::Command(_) | Work::Files | Work::Own(_) => None,
    });
    let names = settings.map_or(Ok(Names::default()), |settings| collect::rehearse(&settings)).map_err(failed)?;
    let lines: String = names.iter().map(|name| format!("{}\n", Escaped(name))).collect();
    out::print(&lines).map(|()| ExitCode::SUCCESS)
}
