//! `dogwatch install` and `dogwatch uninstall`: service files for the init system, and the default configuration.

use super::daemon::{environment, failed, path_option};
use super::{Usage, out, shown};
use crate::install::{self, CONFIGURATION, Entry, Found, INITS, Init, System, What};
use crate::parts::diag::Failure;
use crate::parts::text::Escaped;
use crate::sys::spawn::{self, Exit, Output, Program};
use crate::sys::{Errno, process};
use std::ffi::CString;
use std::process::ExitCode;

/// The command `install`.
pub fn run(words: &[String], _: &[String]) -> Result<ExitCode, ExitCode> {
    let about = "Writes service files for the init system that runs, or for another one, and the\n\
                 default configuration. Nothing that is there already is overwritten.";
    let mut usage = usage("dogwatch install [--init NAME] [--root DIR] [--dry-run] [--inittab]", about);
    usage.options.optflag("", "inittab", "busybox: add the lines to /etc/inittab");
    let work = Work::new(usage, words)?;
    work.put(&CONFIGURATION)?;
    let service = work.put(work.init.entries)?;
    if let Some(line) = work.init.enable.filter(|_| service.any_done) {
        work.call(line)?;
    }
    say(&format!("it is started by: {}\n", work.init.start));
    Ok(service.status())
}

/// The command `uninstall`.
pub fn remove(words: &[String], _: &[String]) -> Result<ExitCode, ExitCode> {
    let about = "Ends the service, and removes what install has written and nobody has changed.";
    let work = Work::new(usage("dogwatch uninstall [--init NAME] [--root DIR] [--dry-run]", about), words)?;
    let mut is_there = false;
    for entry in work.init.entries {
        is_there |= work.system.find(entry).map_err(failed)? == Found::Same;
    }
    if let Some(line) = work.init.disable.filter(|_| is_there) {
        work.call(line)?;
    }
    let service = work.take(work.init.entries)?;
    work.take(&CONFIGURATION)?;
    if let Some(line) = work.init.stop.filter(|_| is_there) {
        say(&format!("if it runs, it is ended by: {line}\n"));
    }
    Ok(service.status())
}

/// The options that both have.
fn usage(synopsis: &'static str, about: &'static str) -> Usage {
    let mut usage = Usage::new(synopsis, about);
    usage.options.optopt("", "init", &format!("the init system: {}", names()), "NAME");
    usage.options.optopt("", "root", "the system below this directory (needs --init)", "DIR");
    usage.options.optflag("n", "dry-run", "only say what would be done");
    usage
}

fn names() -> String {
    INITS.each_ref().map(|init| init.name).join(", ")
}

/// Half a service is none: what is begun is brought to its end, also if nobody reads any more.
fn say(text: &str) {
    let _ = out::print(text);
}

/// What was asked for.
struct Work {
    system: System,
    init: &'static Init,
    is_rehearsal: bool,
    add_lines: bool,
}

/// What became of some entries.
#[derive(Default)]
struct Outcome {
    any_done: bool,
    any_kept: bool,
}

impl Outcome {
    fn status(&self) -> ExitCode {
        if self.any_kept { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

impl Work {
    fn new(usage: Usage, words: &[String]) -> Result<Work, ExitCode> {
        let matches = usage.parse(words, 0)?;
        let root = path_option(&matches, "root").map_err(failed)?.unwrap_or(b"/".to_vec());
        let system = System::open(&root).map_err(failed)?;
        let init = match matches.opt_str("init") {
            Some(name) => install::named(&name).ok_or_else(|| format!("there is no init system \"{}\"", shown(&name))),
            None if !system.is_running => Err("--root needs --init".to_owned()),
            None => install::running().ok_or_else(|| "the init system that runs is none of those known".to_owned()),
        };
        let init = init.map_err(|what| usage.wrong(&format!("{what}; --init takes one of: {}", names())))?;
        // `uninstall` has no such option.
        let add_lines = matches.opt_defined("inittab") && matches.opt_present("inittab");
        if add_lines && init.name != "busybox" {
            return Err(usage.wrong("--inittab is for --init busybox"));
        }
        if system.is_running && process::effective_uid() != 0 {
            let failure = Failure::on_path("change the system in", b"/", Errno::EPERM);
            return Err(failed(failure.hint("do that as root, or name another directory by --root")));
        }
        Ok(Work { system, init, is_rehearsal: matches.opt_present("dry-run"), add_lines })
    }

    /// Makes what is missing.
    fn put(&self, entries: &[Entry]) -> Result<Outcome, ExitCode> {
        self.each(entries.iter(), |found, entry| match (found, entry.what) {
            (Found::Nothing, What::Lines(lines)) if !self.add_lines => {
                let (path, lines) = (self.system.path(entry), self.system.text(lines));
                say(&format!("lines for {}, which --inittab adds:\n{lines}", Escaped(&path)));
                Ok(false)
            }
            (Found::Nothing, _) => self.act(["wrote", "would write"], entry, System::make),
            (Found::Same, _) => {
                self.tell("unchanged:", entry);
                Ok(false)
            }
            (Found::Other, _) => Ok(false),
        })
    }

    /// Takes away what is as it was made.
    fn take(&self, entries: &[Entry]) -> Result<Outcome, ExitCode> {
        self.each(entries.iter().rev(), |found, entry| match found {
            Found::Same => self.act(["removed", "would remove"], entry, System::remove),
            Found::Nothing | Found::Other => Ok(false),
        })
    }

    /// Does something about each entry, and tells of those that are left alone because they were changed.
    fn each<'e>(
        &self,
        entries: impl Iterator<Item = &'e Entry>,
        act: impl Fn(Found, &Entry) -> Result<bool, ExitCode>,
    ) -> Result<Outcome, ExitCode> {
        let mut outcome = Outcome::default();
        for entry in entries {
            let found = self.system.find(entry).map_err(failed)?;
            outcome.any_done |= act(found, entry)?;
            if found == Found::Other {
                outcome.any_kept = true;
                let path = self.system.path(entry);
                out::complain(&format!("dogwatch: {} is not as this version writes it: it is kept\n", Escaped(&path)));
            }
        }
        Ok(outcome)
    }

    fn act(
        &self,
        [done, would]: [&str; 2],
        entry: &Entry,
        act: impl Fn(&System, &Entry) -> Result<(), Failure>,
    ) -> Result<bool, ExitCode> {
        if !self.is_rehearsal {
            act(&self.system, entry).map_err(failed)?;
        }
        self.tell(if self.is_rehearsal { would } else { done }, entry);
        Ok(true)
    }

    /// Directories are not told of, for what is in them is.
    fn tell(&self, what: &str, entry: &Entry) {
        if !matches!(entry.what, What::Directory) {
            say(&format!("{what} {}\n", Escaped(&self.system.path(entry))));
        }
    }

    /// Has the shell do a line, in the system that runs only.
    fn call(&self, line: &str) -> Result<(), ExitCode> {
        let what = match (self.system.is_running, self.is_rehearsal) {
            (false, _) => "left to do in that system",
            (true, true) => "would run",
            (true, false) => "running",
        };
        say(&format!("{what}: {line}\n"));
        if !self.system.is_running || self.is_rehearsal {
            return Ok(());
        }
        // These tools stand where other users than root do not look, and root after su(1) does not either.
        let whole = format!("PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; {line}");
        let argv = ["/bin/sh", "-c", &whole].into_iter().filter_map(|word| CString::new(word).ok()).collect();
        let fail = |errno| failed(Failure::of("run /bin/sh", errno));
        let program = Program::new(argv, environment().variables());
        let child = spawn::spawn(&program, Output::Inherited, None).map_err(fail)?;
        match spawn::wait(child).map_err(fail)? {
            Some(Exit::Code(0)) => Ok(()),
            _ => Err(failed(Failure::on_path("run", line.as_bytes(), "it has failed"))),
        }
    }
}
