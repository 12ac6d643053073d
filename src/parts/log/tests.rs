//! Routes, and a log with files.

use super::*;
use crate::sys::fs::{CWD, Open, open};
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

fn route(logname: &str, target: &Target, level: impl Into<Option<Level>>) -> Route {
    let logname = (!logname.is_empty()).then(|| logname.to_owned());
    Route { logname, target: target.clone(), level: level.into() }
}

#[test]
fn levels_of_names_stand_for_those_of_log_and_bound_those_of_log_name() {
    let (screen, file) = (Target::Stderr, Target::File(b"/f".to_vec()));
    let levels = |named: Option<Level>, own: Option<Level>| {
        let routes = vec![route("", &screen, Level::Warning), route("a", &file, own)];
        let levels = named.map(|level| ("a".to_owned(), level)).into_iter().collect();
        let routes = Routes { routes, levels, max_size: None };
        assert_eq!((routes.level_at(&screen, "b"), routes.level_at(&file, "b")), (Some(Level::Warning), None));
        assert_eq!(routes.least("b"), Level::Warning);
        let found = [routes.level_at(&screen, "a").unwrap(), routes.level_at(&file, "a").unwrap()];
        assert_eq!(routes.least("a"), found[0].min(found[1]));
        let debugging = routes.debugging();
        assert_eq!((debugging.least("b"), debugging.level_at(&file, "a")), (Level::Debug, Some(Level::Debug)));
        found
    };
    use Level::{Debug, Error, Info, Warning};
    assert_eq!(levels(None, None), [Warning, Info]);
    assert_eq!(levels(None, Some(Error)), [Warning, Error]);
    assert_eq!(levels(Some(Debug), None), [Debug, Debug]);
    assert_eq!(levels(Some(Debug), Some(Error)), [Debug, Error]);
    assert_eq!(levels(Some(Error), Some(Debug)), [Error, Error]);
}

/// Two lines that lead to one target are one way to it.
#[test]
fn a_target_gets_a_line_once() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::File(path(&dir.path().join("log")));
    let routes = vec![route("", &target, Level::Error), route("a", &target, Level::Info)];
    let mut log = log(Routes { routes, ..Routes::default() });
    say(&mut log, "a", "one");
    say(&mut log, "b", "two");
    assert_eq!(read(&dir.path().join("log")), ["one"]);
}

fn path(path: &Path) -> Vec<u8> {
    path.to_str().unwrap().as_bytes().to_vec()
}

fn log(routes: Routes) -> Log {
    Log::open(routes, None, Zone::utc()).unwrap_or_else(|failure| panic!("{failure}"))
}

fn to_files(files: &[&PathBuf], max_size: Option<u64>) -> Routes {
    let routes = files.iter().map(|file| route("", &Target::File(path(file)), None)).collect();
    Routes { routes, levels: Vec::new(), max_size }
}

fn say(log: &mut Log, logname: &str, text: &str) {
    log.line(Level::Info, logname, format_args!("{text}"));
    log.flush();
}

/// The messages in a log file, whose lines are whole.
fn read(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
    let message =
        |line: &str| line.strip_prefix("1970-01-01 00:00:0").unwrap().splitn(4, ' ').nth(3).unwrap().to_owned();
    text.lines().map(message).collect()
}

#[test]
fn a_file_is_appended_to_and_made_for_its_owner_and_group() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log");
    say(&mut log(to_files(&[&file], None)), "x", "one");
    say(&mut log(to_files(&[&file], None)), "x", "two");
    assert_eq!(read(&file), ["one", "two"]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o137, 0);
}

#[test]
fn what_cannot_be_a_log_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link");
    symlink(dir.path().join("target"), &link).unwrap();
    let socket = dir.path().join("socket");
    let _server = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    assert!(fs::metadata(&socket).unwrap().file_type().is_socket());
    for (file, why) in [
        (dir.path().join("no/such"), "No such file or directory"),
        (dir.path().to_path_buf(), "Is a directory"),
        (link, "it is a symbolic link; name the file itself"),
        (socket, "No such device or address"),
        (PathBuf::from("/dev/loop0"), "it is no file to write lines to"),
    ] {
        if file.starts_with("/dev") && !(fs::exists(&file).unwrap() && crate::sys::process::effective_uid() == 0) {
            assert!(std::env::var_os("CI").is_none(), "cannot run here, and in CI nothing is skipped");
            println!("SKIPPED: no block device can be opened here");
            continue;
        }
        let refused = Log::open(to_files(&[&file], None), None, Zone::utc()).err().unwrap();
        assert_eq!(refused.to_string(), format!("cannot open log {}: {why}", file.display()));
    }
    assert!(!dir.path().join("target").exists(), "nothing is made through a link");
}

/// One older part is kept, no line is lost, and neither part is larger than it may be.
#[test]
fn a_file_is_rotated_when_it_would_grow_over_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let (file, older) = (dir.path().join("log"), dir.path().join("log.1"));
    let mut log = log(to_files(&[&file], Some(4096)));
    let mut seen: Vec<String> = Vec::new();
    for n in 0..500 {
        log.line(Level::Info, "x", format_args!("line {n}"));
        // One line a turn, and many.
        if n % 100 < 60 || n % 20 == 0 {
            log.flush();
        }
        let now = if n % 100 < 60 { read(&file) } else { Vec::new() };
        if older.exists() {
            assert!(fs::metadata(&older).unwrap().len() <= 4096);
            seen.extend(read(&older));
        }
        seen.extend(now);
        assert!(fs::metadata(&file).unwrap().len() <= 4096);
    }
    log.flush();
    seen.extend(read(&file));
    let missing: Vec<usize> = (0..500).filter(|n| !seen.contains(&format!("line {n}"))).collect();
    assert_eq!(missing, []);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    // The parts follow each other without a gap.
    let joined = [read(&older), read(&file)].concat();
    let first: usize = joined[0].split(' ').next_back().unwrap().parse().unwrap();
    assert_eq!(joined, (first..500).map(|n| format!("line {n}")).collect::<Vec<_>>());
}

#[test]
fn a_file_that_is_large_at_the_start_is_rotated_and_a_long_line_stays_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (file, older) = (dir.path().join("log"), dir.path().join("log.1"));
    fs::write(&file, "y\n".repeat(3_000)).unwrap();
    let mut log = log(to_files(&[&file], Some(4096)));
    let long = "x".repeat(10_000);
    say(&mut log, "x", &long);
    assert_eq!(fs::metadata(&older).unwrap().len(), 6_000);
    assert_eq!(read(&file), [long.as_str()]);
    say(&mut log, "x", "next");
    assert_eq!((read(&older), read(&file)), (vec![long], vec!["next".to_owned()]));
}

/// Somebody else has renamed the file, and has not said so yet: the older part that there is stays.
#[test]
fn rotation_does_not_rename_what_somebody_else_has_put_there() {
    let dir = tempfile::tempdir().unwrap();
    let (file, older) = (dir.path().join("log"), dir.path().join("log.1"));
    let mut log = log(to_files(&[&file], Some(4096)));
    say(&mut log, "x", &"x".repeat(4_000));
    fs::rename(&file, &older).unwrap();
    fs::write(&file, "").unwrap();
    say(&mut log, "x", &"y".repeat(4_000));
    assert!(read(&older)[0].starts_with('x') && read(&file)[0].starts_with('y'));
}

/// What stands in the way of the older part keeps nothing from being logged; it is told, once a limit's worth of lines.
#[test]
fn a_file_that_cannot_be_rotated_grows_on() {
    let dir = tempfile::tempdir().unwrap();
    let (file, other) = (dir.path().join("log"), dir.path().join("other"));
    fs::create_dir(dir.path().join("log.1")).unwrap();
    let mut routes = to_files(&[&file, &other], Some(4096));
    routes.routes[1].level = Some(Level::Critical);
    let mut log = log(routes);
    (0..200).for_each(|n| say(&mut log, "x", &format!("line {n} {}", "x".repeat(50))));
    assert_eq!(read(&file).len(), 200);
    let told = read(&other);
    assert_eq!(told.len(), 4, "{told:?}");
    let expected = format!("cannot rename log {}: Is a directory; it grows on over its limit", file.display());
    assert!(told.iter().all(|line| *line == expected), "{told:?}");
}

#[test]
fn files_are_opened_anew_when_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (file, moved) = (dir.path().join("log"), dir.path().join("moved"));
    let mut log = log(to_files(&[&file], None));
    say(&mut log, "x", "one");
    fs::rename(&file, &moved).unwrap();
    say(&mut log, "x", "two");
    log.line(Level::Info, "x", format_args!("three"));
    log.reopen();
    assert_eq!(read(&file), [""; 0], "it is there at once");
    say(&mut log, "x", "four");
    assert_eq!(
        (read(&moved), read(&file)),
        (["one", "two", "three"].map(str::to_owned).to_vec(), vec!["four".to_owned()])
    );
}

/// Its directory is gone: it is told to the others, lines wait, and a later one finds it there again.
#[test]
fn a_file_that_cannot_be_opened_anew_is_told_and_its_lines_wait() {
    let dir = tempfile::tempdir().unwrap();
    let (file, other) = (dir.path().join("sub/log"), dir.path().join("other"));
    fs::create_dir(dir.path().join("sub")).unwrap();
    let mut routes = to_files(&[&file, &other], None);
    routes.routes[1].level = Some(Level::Critical);
    let mut log = log(routes);
    fs::remove_dir_all(dir.path().join("sub")).unwrap();
    log.reopen();
    say(&mut log, "x", "one");
    say(&mut log, "x", "two");
    assert_eq!(read(&other), [format!("cannot open log {}: No such file or directory", file.display())]);
    fs::create_dir(dir.path().join("sub")).unwrap();
    log.set_time(1);
    say(&mut log, "x", "three");
    assert_eq!(read(&file), ["one", "two", "three"]);
    assert_eq!(log.blocked_on().count(), 0);
}

#[test]
fn other_routes_keep_what_stays_and_take_what_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|name| dir.path().join(name));
    let mut log = log(to_files(&[&a, &b], None));
    say(&mut log, "x", "one");
    fs::rename(&b, dir.path().join("moved")).unwrap();
    log.line(Level::Info, "x", format_args!("two"));
    log.reconfigure(to_files(&[&b, &c], None)).unwrap();
    say(&mut log, "x", "three");
    assert_eq!(read(&a), ["one", "two"]);
    assert_eq!(read(&dir.path().join("moved")), ["one", "two"]);
    assert_eq!((read(&b), read(&c)), (vec!["three".to_owned()], vec!["three".to_owned()]));
    let targets: Vec<Target> = log.sinks.iter().map(|sink| sink.target.clone()).collect();
    assert_eq!(targets, [Target::Stderr, Target::File(path(&b)), Target::File(path(&c))]);
    // What cannot be had changes nothing.
    let refused = log.reconfigure(to_files(&[&c, &dir.path().join("no/such")], None));
    assert!(refused.unwrap_err().to_string().starts_with("cannot open log "));
    say(&mut log, "x", "four");
    assert_eq!((read(&b).len(), read(&c).len()), (2, 2));
    // The limit is that of the new ones.
    log.reconfigure(to_files(&[&b], Some(4096))).unwrap();
    (0..5).for_each(|_| say(&mut log, "x", &"x".repeat(1_000)));
    assert!(dir.path().join("b.1").exists());
}

/// Lines that wait in a FIFO, and for it, outlive that it is opened anew.
#[test]
fn a_fifo_keeps_its_lines_when_it_is_opened_anew() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let mut log = log(to_files(&[&fifo], None));
    let long = "x".repeat(3_000);
    (0..30).for_each(|n| say(&mut log, "x", &format!("{long} {n}")));
    assert_eq!(log.blocked_on().count(), 1);
    log.reopen();
    let reader = open(CWD, &path(&fifo), Open::ReadFollowing).unwrap();
    let mut text = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        match crate::sys::fd::read(std::os::fd::AsFd::as_fd(&reader), &mut buffer) {
            Ok(n) => text.extend_from_slice(&buffer[..n]),
            Err(_) if log.blocked_on().count() == 0 => break,
            Err(_) => log.flush(),
        }
    }
    let text = String::from_utf8(text).unwrap();
    let numbers: Vec<&str> = text.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(numbers, (0..30).map(|n| n.to_string()).collect::<Vec<_>>());
}

/// Levels have pyinotifyd's names, in any case.
#[test]
fn levels_are_found_by_name() {
    assert_eq!((level("Warning"), level("warn")), (Some(Level::Warning), None));
}
