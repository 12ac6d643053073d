//! `dogwatch backup`: schedules of backups, and the service that makes them, in a backup directory.

mod outlook;
mod restore;

use super::daemon::{environment, failed, ready_fd};
use super::watching::{absolute, serve};
use super::{Usage, out, shown};
use crate::config::Draft;
use crate::daemon::{End, Wishes};
use crate::parts::diag::Failure;
use crate::parts::lockfile;
use crate::parts::text::{Escaped, to_bytes};
use crate::parts::worker::Report;
use crate::parts::zone::here;
use crate::sources::backup::book::{Book, Who, line, minute};
use crate::sources::backup::schedule::{Listing, Schedule};
use crate::sources::backup::service;
use crate::sys::fs::{self, CWD};
use crate::sys::lock::Holder;
use crate::sys::spawn::{self, Program};
use crate::sys::{Errno, Fd, clock, fd, signal};
use std::ffi::CString;
use std::os::fd::AsFd;
use std::process::ExitCode;

/// The exit status of `status` when a backup is overdue.
const OVERDUE: u8 = 3;
/// The service's end is looked for so often, in milliseconds: nobody else tells of it.
const PAUSE: u16 = 10;
const MOST_PAUSES: u8 = 100;

/// The command `backup`.
pub fn run(words: &[String], _: &[String]) -> Result<ExitCode, ExitCode> {
    let about = "Schedules daily backups, and makes them:\n\
                 \x20   start            start the service in the background\n\
                 \x20   stop             end it, once what is due is done\n\
                 \x20   create SCHEDULE  add path;hh:mm;name\n\
                 \x20   delete INDEX     remove the schedule of this number\n\
                 \x20   list             show the schedules with their numbers\n\
                 \x20   backups          show the backups\n\
                 \x20   run NAME|all     make one, or all, now\n\
                 \x20   status           show what is due, and the last backups\n\
                 \x20   next             show when backups are due next\n\
                 \x20   verify [NAME|FILE]                 read them whole, for damages\n\
                 \x20   contents NAME|FILE                 show what is in one\n\
                 \x20   restore NAME[@DATE]|FILE DIR [PATH]...\n\
                 \x20                    restore it, or PATHs of it, below DIR; DATE is YYYY-MM-DD\n\
                 \x20   service          be the service, in the foreground";
    let mut usage = Usage::new("dogwatch backup [-C DIR] COMMAND", about);
    usage.options.optopt("C", "directory", "the backup directory (default: .)", "DIR");
    usage.options.optflag("l", "long", "backups: with size and time");
    usage.options.optopt("n", "count", "next: so many instants (default: 10)", "N");
    usage.options.optflag("", "overwrite", "restore: replace files that are there");
    usage.options.optflag("", "dry-run", "print what would be done, and change nothing");
    usage.options.optopt("", "ready-fd", "service: write a newline to descriptor N once it serves, and close it", "N");
    let matches = usage.parse(words, usize::MAX)?;
    // Before anything else is opened: the number is this descriptor's only as long.
    let ready_fd = ready_fd(&matches)?;
    let dry_run = matches.opt_present("dry-run");
    let dir = matches.opt_str("directory").unwrap_or_else(|| ".".to_owned());
    let words: Vec<&str> = matches.free.iter().map(String::as_str).collect();
    if let Some(word @ ("restore" | "service")) = words.first().copied().filter(|_| dry_run) {
        return Err(usage.wrong(&format!("{word} has no --dry-run")));
    }
    if let Some(done) = restore::run(&words, &dir, matches.opt_present("overwrite")) {
        return done;
    }
    let book = absolute(&to_bytes(&dir)).and_then(|path| Book::open(&path)).map_err(failed)?;
    let manager = Manager { book, dry_run };
    match words[..] {
        ["start"] => manager.start(),
        ["stop"] => manager.stop(),
        ["create", schedule] => manager.create(&to_bytes(schedule)),
        ["delete", index] => manager.delete(index),
        ["list"] => manager.list(),
        ["backups"] => manager.backups(matches.opt_present("long")),
        ["run", name] => manager.run(&to_bytes(name)),
        ["status"] => manager.status(),
        ["next"] => {
            let count = matches.opt_str("count").unwrap_or_else(|| "10".to_owned());
            let number = count.parse::<usize>().ok().filter(|number| *number > 0);
            manager
                .next(number.ok_or_else(|| usage.wrong(&format!("-n {}: it takes a number from 1 on", shown(&count))))?)
        }
        ["service"] => manager.service(ready_fd),
        _ => Err(usage.wrong(&format!("give {}", form(about, words.first().copied().unwrap_or_default())))),
    }
}

struct Manager {
    book: Book,
    /// Nothing is changed, and nothing logged: what would be done is printed.
    dry_run: bool,
}

impl Manager {
    /// Changes the schedules, or only looks what `change` would say; that it cannot be done is told.
    fn change_schedules<T>(
        &self,
        change: impl FnOnce(&[u8], Listing) -> Result<(Vec<u8>, T), String>,
    ) -> Result<Result<T, String>, ExitCode> {
        let changed = match self.dry_run {
            true => self.book.schedules().map(|old| change(&old, Listing::read(&old)).map(|(_, answer)| answer)),
            false => self.book.change_schedules(change),
        };
        changed.map_err(|failure| self.refuse(&failure.to_string(), ""))
    }

    fn create(&self, schedule: &[u8]) -> Result<ExitCode, ExitCode> {
        let malformed = || format!("malformed schedule: {}", Escaped(schedule));
        let read = match Schedule::parse(schedule) {
            Ok(read) => read,
            Err(why) => return Err(self.refuse(&malformed(), &why)),
        };
        let added = self.change_schedules(|old, listing| {
            listing.with_new_name(read)?;
            let gap: &[u8] = if old.is_empty() || old.ends_with(b"\n") { b"" } else { b"\n" };
            Ok(([old, gap, schedule, b"\n"].concat(), ()))
        });
        match added? {
            Ok(()) => {
                let line = line(schedule);
                self.done_or_would(&format!("New schedule added: {line}"), &format!("add the schedule {line}"))
            }
            Err(why) => Err(self.refuse(&malformed(), &why)),
        }
    }

    fn delete(&self, index: &str) -> Result<ExitCode, ExitCode> {
        let none = format!("no schedule at index {}", shown(index));
        let wanted = index.parse::<usize>().ok().filter(|_| !index.starts_with('+'));
        let deleted = self.change_schedules(|old, _| {
            let mut lines: Vec<&[u8]> = old.split_inclusive(|byte| *byte == b'\n').collect();
            let is_there = |at: &usize| lines.get(*at).is_some_and(|line| !trimmed(line).is_empty());
            let at = wanted.filter(is_there).ok_or("")?;
            let line = lines.remove(at);
            Ok((lines.concat(), trimmed(line).to_vec()))
        });
        match deleted? {
            Ok(deleted) => {
                let line = line(&deleted);
                self.done_or_would(&format!("Schedule deleted: {line}"), &format!("delete the schedule {line}"))
            }
            Err(_) => Err(self.refuse(&none, "")),
        }
    }

    fn list(&self) -> Result<ExitCode, ExitCode> {
        let schedules = self.book.schedules().map_err(failed)?;
        let lines = schedules.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
        let text: String = lines.map(|(index, line)| format!("{index}: {}\n", Escaped(line))).collect();
        for (index, wrong) in Listing::read(&schedules).bad {
            out::complain(&format!("dogwatch: schedule {index} is none: {wrong}\n"));
        }
        self.log("Show schedules list")?;
        out::print(&text).map(|()| ExitCode::SUCCESS)
    }

    fn backups(&self, long: bool) -> Result<ExitCode, ExitCode> {
        let mut text = String::new();
        for name in self.book.names().map_err(failed)? {
            if long {
                let path = self.book.path_of(&Book::shown(&name));
                let found = fs::stat(CWD, &path).map_err(|errno| failed(Failure::on_path("look at", &path, errno)))?;
                text += &format!("{:>12}  {}  ", found.size, minute(found.mtime.0));
            }
            text += &format!("{}\n", Escaped(&name));
        }
        self.log("Show backups list")?;
        out::print(&text).map(|()| ExitCode::SUCCESS)
    }

    /// Makes backups now, whatever is due, and prints their paths; one of them may fail.
    fn run(&self, name: &[u8]) -> Result<ExitCode, ExitCode> {
        let listing = Listing::read(&self.book.schedules().map_err(failed)?);
        let is_meant = |schedule: &Schedule| name == b"all" || schedule.plan.key.name == name;
        let meant: Vec<Schedule> = listing.good.into_iter().map(|(_, schedule)| schedule).filter(is_meant).collect();
        if meant.is_empty() {
            return Err(self.refuse(&format!("no schedule of the name {}", Escaped(name)), ""));
        }
        if self.dry_run {
            return self.rehearse(&meant);
        }
        let (mut are_good, mut status) = (true, ExitCode::SUCCESS);
        for schedule in &meant {
            let made = service::make(&self.book, schedule, &here::zone(), &mut Report::to_people());
            are_good &= made.is_ok();
            status = match made {
                Ok(path) => restore::print(&format!("{}\n", Escaped(&path)), are_good).unwrap_or_else(|status| status),
                Err(failure) => failed(failure),
            };
        }
        Ok(status)
    }

    fn rehearse(&self, meant: &[Schedule]) -> Result<ExitCode, ExitCode> {
        let mut status = ExitCode::SUCCESS;
        for schedule in meant {
            match service::rehearse(&self.book, schedule, &here::zone()) {
                Ok(text) => out::print(&text)?,
                Err(failure) => status = failed(failure),
            }
        }
        Ok(status)
    }

    /// Exit status 3 if a backup is overdue.
    fn status(&self) -> Result<ExitCode, ExitCode> {
        let listing = Listing::read(&self.book.schedules().map_err(failed)?);
        let (zone, now) = (here::zone(), clock::wall_now());
        let service = self.holder()?.map_or("not running".to_owned(), |holder| format!("running ({})", who(holder)));
        let (mut text, mut any_overdue) = (format!("service: {service}\n"), false);
        for (_, schedule) in &listing.good {
            let (line, is_overdue) = outlook::state(&self.book, schedule, &zone, now).map_err(failed)?;
            (text, any_overdue) = (text + &line, any_overdue || is_overdue);
        }
        out::print(&text)?;
        if any_overdue { Err(ExitCode::from(OVERDUE)) } else { Ok(ExitCode::SUCCESS) }
    }

    fn next(&self, count: usize) -> Result<ExitCode, ExitCode> {
        let listing = Listing::read(&self.book.schedules().map_err(failed)?);
        out::print(&outlook::next(&listing, &here::zone(), clock::wall_now(), count)).map(|()| ExitCode::SUCCESS)
    }

    fn start(&self) -> Result<ExitCode, ExitCode> {
        if let Some(holder) = self.holder()? {
            return Err(self.is_running(holder));
        }
        if self.dry_run {
            return would("start the service");
        }
        let fail = |errno| failed(Failure::of("start the service", errno));
        // The service is to keep none of what we were given.
        fd::cloexec_inherited();
        let (answer, ready) = fd::pipe().map_err(fail)?;
        let child = spawn::detach(&self.program().map_err(fail)?, ready.as_fd()).map_err(fail)?;
        drop(ready);
        if fd::read(answer.as_fd(), &mut [0]) == Ok(1) {
            return self.done("backup_service started");
        }
        let _ = spawn::wait(child);
        // Another one may have been quicker.
        Err(match self.holder()? {
            Some(holder) => self.is_running(holder),
            None => self.refuse("backup_service did not start", "start it by `dogwatch backup service` to see why"),
        })
    }

    /// `dogwatch backup service`, by the path of this program: so it has its name in lists of processes. ENOENT without /proc.
    fn program(&self) -> Result<Program, Errno> {
        let itself = fs::read_link(CWD, b"/proc/self/exe")?;
        let number = spawn::CHANNEL.to_string();
        let words = [&itself[..], b"backup", b"service", b"-C", &self.book.path, b"--ready-fd", number.as_bytes()];
        let argv: Result<Vec<CString>, _> = words.into_iter().map(CString::new).collect();
        Ok(Program::new(argv.map_err(|_| Errno::EINVAL)?, environment().variables()))
    }

    fn is_running(&self, holder: Holder) -> ExitCode {
        let since = fs::stat(CWD, &self.book.pid_file()).map_or(0, |found| found.mtime.0);
        self.refuse(&format!("backup_service already running ({}, since {})", who(holder), minute(since)), "")
    }

    fn stop(&self) -> Result<ExitCode, ExitCode> {
        let pid = match self.holder()? {
            None => return Err(self.refuse("backup_service not running", "")),
            Some(Holder::Elsewhere) => return Err(self.refuse("backup_service lives in another pid namespace", "")),
            Some(Holder::Process(pid)) => pid,
        };
        if lockfile::holder(&self.book.daemon_file()).map_err(failed)?.is_some() {
            return Err(self.refuse("backup_service is a part of the daemon", "take [backup] out of its configuration"));
        }
        if self.dry_run {
            return would(&format!("stop the service (pid {pid})"));
        }
        signal::send_term(pid).map_err(|errno| failed(Failure::of("stop the service", errno)))?;
        while self.holder()? == Some(Holder::Process(pid)) {
            clock::sleep(PAUSE);
        }
        // It lets go of the lock as the last it does. Who is not reaped is not waited for without end.
        for _ in (0..MOST_PAUSES).take_while(|_| signal::is_there(pid)) {
            clock::sleep(PAUSE);
        }
        self.done("backup_service stopped")
    }

    /// Is the service, until it is asked to end.
    fn service(&self, ready_fd: Option<Fd>) -> Result<ExitCode, ExitCode> {
        let mut draft = Draft::default();
        draft.section("daemon", "").set("log", "", b"stderr warning");
        // What is due and what runs is brought to its end.
        draft.set("on_shutdown", "", b"cancel").set("shutdown_timeout", "", b"30d");
        draft.section("backup", "").set("dir", "-C", &self.book.path);
        let wishes = Wishes { pid_file: Some(self.book.pid_file()), ready_fd, looks_again: true, ..Wishes::default() };
        match serve(draft, wishes)? {
            End::Orderly => Ok(ExitCode::SUCCESS),
            End::Hasty | End::Command(_) | End::TimedOut => Err(ExitCode::FAILURE),
        }
    }

    fn holder(&self) -> Result<Option<Holder>, ExitCode> {
        lockfile::holder(&self.book.pid_file()).map_err(failed)
    }

    fn log(&self, text: &str) -> Result<(), ExitCode> {
        if self.dry_run {
            return Ok(());
        }
        self.book.log(Who::Manager, text).map_err(failed)
    }

    fn done(&self, text: &str) -> Result<ExitCode, ExitCode> {
        self.log(text).map(|()| ExitCode::SUCCESS)
    }

    /// Logs what was done; or says what would be.
    fn done_or_would(&self, done: &str, text: &str) -> Result<ExitCode, ExitCode> {
        if self.dry_run { would(text) } else { self.done(done) }
    }

    /// Says what is wrong, to the log and to people, whom `why` is told too.
    fn refuse(&self, what: &str, why: &str) -> ExitCode {
        let colon = if why.is_empty() { "" } else { ": " };
        out::complain(&format!("dogwatch: {what}{colon}{why}\n"));
        self.log(&format!("Error: {what}")).err().unwrap_or(ExitCode::FAILURE)
    }
}

/// Says what would be done.
fn would(text: &str) -> Result<ExitCode, ExitCode> {
    out::print(&format!("would {text}\n")).map(|()| ExitCode::SUCCESS)
}

/// How a command is given, as the help has it.
fn form(about: &str, command: &str) -> String {
    let forms = about.lines().skip(1).filter_map(|line| line.trim_start().split("  ").next());
    let mut forms = forms.filter(|form| form.split(' ').next() == Some(command));
    forms
        .next()
        .map_or("one of the commands that dogwatch help backup shows".to_owned(), |form| format!("backup {form}"))
}

fn who(holder: Holder) -> String {
    match holder {
        Holder::Process(pid) => format!("pid {pid}"),
        Holder::Elsewhere => "in another pid namespace".to_owned(),
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}
