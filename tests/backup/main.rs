//! `dogwatch backup`: the manager's commands and the service, as the backup manager's document says.

mod clock;
#[path = "../common/mod.rs"]
mod common;
mod dry;
#[cfg(feature = "fault")]
mod fault;
mod input;
mod outlook;
mod place;
mod service;

use common::{comes_true, dogwatch, is_gone, wait_until};
use place::{PID_FILE, Place, SCHEDULES};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PATIENCE: Duration = Duration::from_secs(30);

/// The document's own script, but for the program's name, the minute, and what it says itself.
const SCRIPT: &str = r#"
echo "--> Create 3 new schedules"
dogwatch backup create "test;HH:MM;backup_test"
dogwatch backup create "test1;HH:MM;personal_data"
dogwatch backup create "test2;HH:MM;office_docs"
echo "--> Try to add a malformed schedule"
dogwatch backup create "test;"
echo "--> Instruction list"
dogwatch backup list
dogwatch backup start
dogwatch backup stop
echo "--> Instruction backups"
dogwatch backup backups
echo "--> Content of the directory"
ls
echo "--> cat on ./logs/backup_manager.log"
cat ./logs/backup_manager.log
echo "--> cat on ./logs/backup_service.log"
cat ./logs/backup_service.log
echo "--> Content of ./backups"
ls ./backups
"#;
const SHOWN: &str = "--> Create 3 new schedules
--> Try to add a malformed schedule
--> Instruction list
0: test;HH:MM;backup_test
1: test1;HH:MM;personal_data
2: test2;HH:MM;office_docs
--> Instruction backups
backup_test.tar
office_docs.tar
personal_data.tar
--> Content of the directory
backup_schedules.txt
backups
logs
test
test1
test2
--> cat on ./logs/backup_manager.log
New schedule added: test;HH:MM;backup_test
New schedule added: test1;HH:MM;personal_data
New schedule added: test2;HH:MM;office_docs
Error: malformed schedule: test;
Show schedules list
backup_service started
backup_service stopped
Show backups list
--> cat on ./logs/backup_service.log
Backup done for test in backups/backup_test.tar
Backup done for test1 in backups/personal_data.tar
Backup done for test2 in backups/office_docs.tar
--> Content of ./backups
backup_test.tar
office_docs.tar
personal_data.tar
";

fn minute() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 60
}

#[test]
fn the_documents_script_shows_what_it_says() {
    for _ in 0..5 {
        let place = Place::new();
        for source in ["test", "test1", "test2"] {
            place.write(&format!("{source}/f"), format!("text of {source}"));
        }
        let start = minute();
        let time = format!("{:02}:{:02}", start / 60 % 24, start % 60);
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("dogwatch() {{ \"$0\" \"$@\"; }}\n{}", SCRIPT.replace("HH:MM", &time)));
        let output = command.arg(dogwatch().get_program()).current_dir(place.dir()).env("TZ", "UTC0").output().unwrap();
        if minute() != start {
            println!("the minute has turned: once more");
            continue;
        }
        let out = String::from_utf8(output.stdout).unwrap();
        let undated = |line: &str| if line.starts_with('[') { place::undated(line) } else { line }.to_owned() + "\n";
        assert_eq!(out.lines().map(undated).collect::<String>(), SHOWN.replace("HH:MM", &time));
        assert_eq!(String::from_utf8(output.stderr).unwrap().matches("malformed schedule: test;").count(), 1);
        assert_eq!(place.members("office_docs.tar").get("test2/f").unwrap(), b"text of test2");
        return;
    }
    panic!("each time the minute has turned");
}

#[test]
fn a_second_start_is_refused_and_says_who_serves() {
    let place = Place::new();
    place.prints(&["start"], "");
    let pid = place.pid().unwrap();
    let refusal = format!("backup_service already running (pid {pid}, since ");
    place.refuses(&["start"], &refusal);
    let log = place.log("manager");
    let [started, refused] = &log[..] else { panic!("{log:?}") };
    assert_eq!(started, "backup_service started");
    let since = refused.strip_prefix(&format!("Error: {refusal}")).unwrap().strip_suffix(')').unwrap();
    assert_eq!(place::undated(&format!("[{since}] x")), "x");
    assert!(since.ends_with(" 12:00"), "{since}");
    // In the foreground as well.
    let mut second = place.service(&[]);
    assert_eq!(second.wait().code(), Some(1));
    assert!(second.log().contains(&format!("process {pid} holds it")), "{}", second.log());
    place.prints(&["stop"], "");
    assert!(is_gone(pid) && !place.path(PID_FILE).exists());
    place.refuses(&["stop"], "backup_service not running");
    assert_eq!(place.log("manager").last().unwrap(), "Error: backup_service not running");
}

#[test]
fn a_killed_service_blocks_nothing() {
    let place = Place::new();
    for _ in 0..3 {
        place.prints(&["start"], "");
        let pid = place.pid().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        wait_until("it is gone", || is_gone(pid));
        assert!(place.path(PID_FILE).exists());
        place.refuses(&["stop"], "backup_service not running");
    }
    place.prints(&["start"], "");
    place.prints(&["stop"], "");
}

/// Whoever reads what `start` prints comes to its end at once; no descriptor and no terminal is left, and the service is a
/// program that is seen as one.
#[test]
fn the_service_keeps_nothing_of_start() {
    let place = Place::new();
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let mut reader = fs::File::from(reader);
    let mut command = place.by_shell("exec \"$@\" 8>&1 9</etc/passwd", &["start"]);
    command.stdout(writer.try_clone().unwrap()).stderr(writer);
    let status = command.status().unwrap();
    drop(command);
    assert_eq!(status.code(), Some(0));
    let (sender, ended) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        let _ = sender.send(text);
    });
    let text = ended.recv_timeout(PATIENCE);
    let pid = place.pid().unwrap();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    let open = || {
        let found = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(|entry| entry.unwrap());
        let mut found: Vec<(i32, String)> = found
            .map(|fd| (fd.file_name().to_str().unwrap().parse().unwrap(), fs::read_link(fd.path()).unwrap_or_default()))
            .map(|(number, path)| (number, path.to_string_lossy().into_owned()))
            .collect();
        found.sort();
        found
    };
    // It closes the pipe by which it has told that it serves.
    let has_pipe = || open().iter().any(|(_, path)| path.starts_with("pipe:"));
    let keeps_pipe = !comes_true(PATIENCE, || !has_pipe());
    let open = open();
    place.prints(&["stop"], "");
    thread.join().unwrap();
    assert_eq!(text.as_deref(), Ok(""));
    let null = [0, 1, 2].map(|number| (number, "/dev/null".to_owned()));
    assert_eq!(open[..3], null);
    assert!(!keeps_pipe && !open.iter().any(|(_, path)| path.contains("passwd")), "{open:?}");
    // pid (name) state parent group session terminal
    let (name, rest) = stat.split_once('(').unwrap().1.split_once(") ").unwrap();
    let rest: Vec<&str> = rest.split(' ').collect();
    assert_eq!((name, &rest[2..5]), ("dogwatch", &[pid.to_string().as_str(), pid.to_string().as_str(), "0"][..]));
    let words: Vec<&str> = words.split('\0').collect();
    assert!(words[0].ends_with("/dogwatch") && words[1..3] == ["backup", "service"], "{words:?}");
    assert!(words.contains(&place.dir().to_str().unwrap()), "{words:?}");
}

#[test]
fn of_many_starts_at_once_one_wins() {
    let place = Place::new();
    let outputs: Vec<Output> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..6).map(|_| scope.spawn(|| place.run(["start"]))).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    let pid = place.pid().unwrap();
    let (won, lost): (Vec<&Output>, Vec<&Output>) = outputs.iter().partition(|output| output.status.success());
    assert_eq!(won.len(), 1);
    for output in lost {
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(&format!("backup_service already running (pid {pid}, since ")), "{errors}");
    }
    assert_eq!(place.log("manager").iter().filter(|line| *line == "backup_service started").count(), 1);
    place.prints(&["stop"], "");
}

/// What is due is done before `stop` returns; what is missing holds nothing up.
#[test]
fn stop_lets_what_is_due_be_done() {
    let place = Place::new();
    place.write("big/f", vec![7; 30 << 20]);
    place.write("small/f", "small");
    place.write(SCHEDULES, "none;12:00;none\nbig;12:00;big\nsmall;12:00;small\nbig;12:01;later\n");
    let begin = std::time::Instant::now();
    place.prints(&["start"], "");
    place.prints(&["stop"], "");
    let took = begin.elapsed();
    let log = place.log("service");
    let [failed, big, small] = &log[..] else { panic!("{log:?}") };
    assert!(failed.starts_with("Backup failed for none: ") && failed.contains("No such file or directory"), "{failed}");
    assert_eq!(
        (&**big, &**small),
        ("Backup done for big in backups/big.tar", "Backup done for small in backups/small.tar")
    );
    assert_eq!(place.members("big.tar").get("big/f").unwrap().len(), 30 << 20);
    assert!(took < Duration::from_secs(9), "the failure has held up the others: {took:?}");
}

/// More schedules at the same minute than a source may look in a row without being held back.
#[test]
fn many_at_the_same_minute_are_all_done_at_once() {
    let place = Place::new();
    let lines: String = (0..30).map(|n| format!("src;12:00;b{n:02}\n")).collect();
    place.write("src/f", "text");
    place.write(SCHEDULES, lines);
    place.prints(&["start"], "");
    assert!(comes_true(Duration::from_secs(20), || place.log("service").len() == 30), "{:?}", place.log("service"));
    place.prints(&["stop"], "");
    assert_eq!(place.names("backups"), (0..30).map(|n| format!("b{n:02}.tar")).collect::<Vec<_>>());
}

#[test]
fn several_processes_change_the_schedules_and_none_is_lost() {
    const EACH: usize = 15;
    let place = Place::new();
    let zero: String = (0..20).map(|n| format!("old;11:00;old{n}\n")).collect();
    place.write(SCHEDULES, zero);
    std::thread::scope(|scope| {
        for who in 0..4 {
            let place = &place;
            scope.spawn(move || {
                for n in 0..EACH {
                    place.prints(&["create", &format!("src;13:00;new{who}-{n}")], "");
                }
            });
        }
        for _ in 0..2 {
            // The first line is always an old one, for what is new comes behind.
            scope.spawn(|| (0..10).for_each(|_| place.prints(&["delete", "0"], "")));
        }
    });
    let text = place.read(SCHEDULES);
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let mut wanted: Vec<String> =
        (0..4).flat_map(|who| (0..EACH).map(move |n| format!("src;13:00;new{who}-{n}"))).collect();
    wanted.sort_unstable();
    assert_eq!(lines, wanted);
    let log = place.log("manager");
    assert_eq!(log.iter().filter(|line| line.starts_with("Schedule deleted: old;11:00;old")).count(), 20);
    assert_eq!(log.len(), 80);
    assert_eq!(place.names("."), ["backup_schedules.txt", "logs"]);
}

/// `-9` of the service, of its worker and of who changes the schedules, at any moment. (`make soak` does it more often.)
#[test]
fn kills_at_any_moment_leave_nothing_half() {
    let usual = if std::env::var_os("CI").is_some() { 20 } else { 6 };
    let rounds = std::env::var("DOGWATCH_KILLS").map_or(usual, |rounds| rounds.parse().unwrap());
    let mut random = fastrand::Rng::new();
    let mut place = Place::new();
    let data: Vec<u8> = (0..4 << 20).map(|_| random.u8(..)).collect();
    place.write("src/f", &data);
    let mut schedules = "src;12:00;b\n".to_owned();
    place.write(SCHEDULES, &schedules);
    let done_in =
        |place: &Place| place.log("service").iter().filter(|line| line.starts_with("Backup done for ")).count();
    let (mut kills, mut cut, mut made) = ([0; 3], 0, 0);
    for round in 0..rounds {
        // Each time it is the first run of the date, and its minute lasts.
        place.set(12 * 3600);
        let _ = fs::remove_file(place.path(place::RUNS));
        let before = done_in(&place);
        let found =
            || fs::metadata(place.path("backups/b.tar")).ok().map(|found| (found.ino(), found.modified().unwrap()));
        let old = found();
        let mut daemon = place.service(&[]);
        let new = format!("src;13:00;n{round}");
        let mut create = place.command(["create", &new]).spawn().unwrap();
        comes_true(Duration::from_millis(random.u64(0..20)), || false);
        if random.bool() {
            create.kill().unwrap();
            kills[0] += 1;
        }
        let is_added = create.wait().unwrap().success();
        comes_true(Duration::from_millis(random.u64(0..600)), || false);
        let children = format!("/proc/{0}/task/{0}/children", daemon.pid());
        let worker = fs::read_to_string(children).unwrap_or_default();
        let worker = worker.split_whitespace().next().and_then(|pid| Pid::from_raw(pid.parse().unwrap()));
        if let Some(worker) = worker.filter(|_| random.bool()) {
            let _ = kill_process(worker, Signal::KILL);
            kills[1] += 1;
        }
        daemon.signal(Signal::KILL);
        kills[2] += 1;
        daemon.wait();
        if let Some(worker) = worker {
            wait_until("the worker is gone too", || is_gone(worker.as_raw_nonzero().get()));
        }
        // No line is lost, and the new one is whole or not there.
        let added = format!("{schedules}{new}\n");
        let text = place.read(SCHEDULES);
        assert!(text == added || text == schedules && !is_added, "round {round}: {text:?}");
        schedules = text;
        if place.path("backups/b.tar").exists() {
            assert_eq!(place.members("b.tar").get("src/f").unwrap(), &data, "round {round}");
        }
        assert!(!place.log("service").iter().any(|line| line.contains('\0')));
        // One service at a time; and the date has no second run.
        let runs = place.read(place::RUNS);
        let (was_begun, was_done) = (runs.contains("n src;12:00;b"), runs.contains(" done src;12:00;b"));
        assert!(was_begun || was_done || found() == old, "round {round}: what has its name had its run: {runs}");
        let told = done_in(&place);
        place.prints(&["start"], "");
        place.refuses(&["start"], "backup_service already running (pid ");
        place.prints(&["stop"], "");
        assert_eq!(done_in(&place) - told, usize::from(!was_begun && !was_done), "round {round}: {runs}");
        assert!(done_in(&place) - before <= 1);
        (cut, made) = (cut + usize::from(was_begun), made + usize::from(was_done));
    }
    place.set(12 * 3600);
    let _ = fs::remove_file(place.path(place::RUNS));
    place.prints(&["start"], "");
    place.prints(&["stop"], "");
    assert_eq!(place.names("backups"), ["b.tar"]);
    assert_eq!(place.members("b.tar").get("src/f").unwrap(), &data);
    println!("{rounds} rounds, killed (create, worker, service): {kills:?}; {cut} backups were cut off, {made} made");
}

/// A wrong command line is no failure of a backup.
#[test]
fn wrong_usage_is_told_apart() {
    let place = Place::new();
    for words in [&["create"][..], &["delete"], &["list", "x"], &["nonsense"], &[]] {
        let output = place.command(words).stdin(Stdio::null()).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{words:?}");
    }
    assert_eq!(place.names("."), [""; 0]);
}
