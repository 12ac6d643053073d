//! How the daemon is there for the rest of the system: pid file, background, readiness, status.

mod common;

use common::{Daemon, Scratch, comes_true, copy_program, dogwatch, is_root, skip, wait_until};
use rustix::process::{Pid, Signal, getsid, kill_process};
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A daemon on `src` that runs this job.
fn config(daemon: &str, job: &str) -> String {
    format!(
        "[daemon]\n{daemon}\n[scheduler run]\n{job}\n[event_map m]\nIN_CLOSE_WRITE = run\nIN_DELETE = cancel run\n\
         [watch w]\npath = @SRC\nevent_map = m\nexisting = yes\nrec = yes\n"
    )
}

const JOB: &str = "cmd = echo {name} >>@DIR/ran";

fn status(scratch: &Scratch, arguments: &[&str]) -> Output {
    let mut command = dogwatch();
    scratch.places(&mut command).current_dir(scratch.path("")).arg("status").args(arguments).output().unwrap()
}

/// The answer of the daemon of this scratch directory.
#[track_caller]
fn answer(scratch: &Scratch) -> String {
    let output = status(scratch, &["-c", "dogwatch.conf"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refusal(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && output.stdout.is_empty(), "{output:?}");
    assert!(text.starts_with("dogwatch: ") && text.ends_with('\n') && text.lines().count() == 1, "{text}");
    text
}

/// Starts a daemon that must not start; what it says.
#[track_caller]
fn refused(scratch: &Scratch, command: &mut Command) -> String {
    let mut child = scratch.places(command).stderr(Stdio::piped()).spawn().unwrap();
    let ended = comes_true(Duration::from_secs(30), || child.try_wait().unwrap().is_some());
    if !ended {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// A program that a mistaken SIGUSR1 would end.
struct Bystander(Child);

impl Bystander {
    fn new() -> Bystander {
        Bystander(Command::new("sleep").arg("1000").spawn().unwrap())
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A daemon in the background, ended with the test.
struct Background(Pid);

impl Background {
    /// The one whose pid this file holds; nobody but the test writes there.
    fn of(pid_file: &Path) -> Background {
        let text = fs::read_to_string(pid_file).unwrap();
        Background(Pid::from_raw(text.trim_end().parse().unwrap()).unwrap())
    }

    fn proc(&self, name: &str) -> std::path::PathBuf {
        Path::new("/proc").join(self.0.to_string()).join(name)
    }

    fn is_gone(&self) -> bool {
        let state = fs::read_to_string(self.proc("stat")).unwrap_or_default();
        state.is_empty() || state.contains(") Z ")
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if !self.is_gone() {
            let _ = kill_process(self.0, Signal::KILL);
        }
    }
}

#[test]
fn the_pid_file_is_there_as_long_as_the_daemon() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("run_dir = @DIR/deep/run\nstate_dir = @DIR/lib/state", JOB));
    assert_eq!(scratch.read("deep/run/dogwatch.pid"), format!("{}\n", daemon.pid()));
    let mode = |path| fs::metadata(scratch.path(path)).unwrap().mode() & 0o777;
    assert_eq!((mode("deep/run"), mode("lib/state")), (0o755, 0o700));
    daemon.stop();
    assert!(!scratch.path("deep/run/dogwatch.pid").exists());
}

#[test]
fn a_second_daemon_is_refused_and_told_who_holds_the_file() {
    let scratch = Scratch::new();
    let first = scratch.start(&config("", JOB));
    let path = scratch.path("dogwatch.conf");
    let text = refused(&scratch, dogwatch().args(["daemon", "-c"]).arg(&path));
    let pid_file = scratch.path("run.d/dogwatch.pid");
    let expected = format!("cannot lock {}: process {} holds it; ", pid_file.display(), first.pid());
    assert!(text.contains(&expected), "{text}");
    // It has neither written into the file nor taken it away.
    assert_eq!(scratch.read("run.d/dogwatch.pid"), format!("{}\n", first.pid()));
    let text = refused(&scratch, dogwatch().args(["daemon", "--pid-file"]).arg(&pid_file).arg("-c").arg(&path));
    assert!(text.contains(&expected), "{text}");
    first.stop();
}

/// The kernel drops the lock of whoever closes any descriptor of the file, so the daemon must not look into its own pid
/// file when it looks whether somebody writes to what it watches.
#[test]
fn the_lock_outlives_a_scan_of_its_directory() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("", "cmd = :\ndelay = 1h").replace("@SRC", "@DIR/run.d"));
    daemon.await_log("/dogwatch.pid (found by a scan): scheduled");
    assert!(answer(&scratch).contains(&format!("\npid: {}\n", daemon.pid())));
}

#[test]
fn what_a_killed_daemon_leaves_does_not_hinder() {
    let scratch = Scratch::new();
    let mut first = scratch.start(&config("", JOB));
    let old = scratch.read("run.d/dogwatch.pid");
    first.signal(Signal::KILL);
    first.wait();
    assert_eq!(scratch.read("run.d/dogwatch.pid"), old);
    assert!(refusal(&status(&scratch, &["-c", "dogwatch.conf"])).contains("none runs: nobody holds "));
    let second = scratch.start(&config("", JOB));
    assert_eq!(scratch.read("run.d/dogwatch.pid"), format!("{}\n", second.pid()));
    second.stop();
}

/// Whoever is named in the file gets no signal; whoever holds it does.
#[test]
fn the_text_of_a_pid_file_is_not_believed() {
    let scratch = Scratch::new();
    let mut bystander = Bystander::new();
    let forged = format!("{}\n", bystander.0.id());
    fs::create_dir(scratch.path("run.d")).unwrap();
    fs::write(scratch.path("run.d/dogwatch.pid"), &forged).unwrap();
    scratch.config(&config("", JOB));
    assert!(refusal(&status(&scratch, &["-c", "dogwatch.conf"])).contains(": none runs: nobody holds that file"));
    let daemon = scratch.start(&config("", JOB));
    fs::write(scratch.path("run.d/dogwatch.pid"), &forged).unwrap();
    assert!(answer(&scratch).contains(&format!("\npid: {}\n", daemon.pid())));
    daemon.stop();
    assert!(bystander.lives());
}

#[test]
fn a_pid_file_that_is_a_link_is_refused() {
    let scratch = Scratch::new();
    let config = scratch.config(&config("", JOB));
    fs::write(scratch.path("precious"), "precious").unwrap();
    symlink("precious", scratch.path("link.pid")).unwrap();
    let mut command = dogwatch();
    let text =
        refused(&scratch, command.args(["daemon", "--pid-file"]).arg(scratch.path("link.pid")).arg("-c").arg(config));
    assert!(text.ends_with("link.pid: it is no regular file\n"), "{text}");
    assert_eq!(scratch.read("precious"), "precious");
}

#[test]
fn in_the_background_it_has_a_session_of_its_own_and_no_terminal() {
    let scratch = Scratch::new();
    scratch.config(&config("log = stderr debug", JOB));
    let path = scratch.path("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    // Whoever reads this pipe would wait for its end as long as the daemon has one of these descriptors.
    let script = "exec >\"$1\" 2>&1 9>&1; exec \"$0\" daemon -b -c dogwatch.conf --pid-file own.pid";
    let mut fifo = open_fifo(&path);
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(env!("CARGO_BIN_EXE_dogwatch")).arg(&path).current_dir(scratch.path(""));
    let mut parent = scratch.places(&mut shell).spawn().unwrap();
    let ended = comes_true(Duration::from_secs(30), || parent.try_wait().unwrap().is_some());
    if !ended {
        parent.kill().unwrap();
    }
    let (mut said, mut buffer) = (String::new(), [0; 1000]);
    let mut has_closed = || match fifo.read(&mut buffer) {
        Ok(len) => {
            said += &String::from_utf8_lossy(&buffer[..len]);
            len == 0
        }
        Err(_) => false,
    };
    let closed = comes_true(Duration::from_secs(30), &mut has_closed);
    assert!(parent.wait().unwrap().success() && ended, "{said}");
    let daemon = Background::of(&scratch.path("own.pid"));
    assert!(!daemon.is_gone() && daemon.0.as_raw_nonzero().get() != parent.id() as i32);
    assert_eq!(getsid(Some(daemon.0)).unwrap(), daemon.0);
    for fd in 0..3 {
        assert_eq!(fs::read_link(daemon.proc(&format!("fd/{fd}"))).unwrap(), Path::new("/dev/null"));
    }
    assert_eq!(fs::read_link(daemon.proc("cwd")).unwrap(), Path::new("/"));
    assert!(closed, "something of what it was started with is still open");
    assert!(said.contains("warning: the log goes to standard error: nothing of it is seen"), "{said}");
    // It serves: what is asked, what is there to do, and the end.
    let output = status(&scratch, &["-c", "dogwatch.conf", "--pid-file", "own.pid"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&format!("\nconfiguration: {}\n", scratch.path("dogwatch.conf").display())), "{text}");
    let mut n = 0;
    wait_until("its commands run", || {
        n += 1;
        fs::write(scratch.src().join(format!("f{n}")), "x").unwrap();
        scratch.read("ran").starts_with("f")
    });
    kill_process(daemon.0, Signal::TERM).unwrap();
    wait_until("it has ended", || daemon.is_gone() && !scratch.path("own.pid").exists());
}

#[test]
fn what_keeps_it_from_the_background_is_told_on_the_terminal() {
    let scratch = Scratch::new();
    let path = scratch.config("[daemon]\nmax_jobs = many\n");
    let background = || {
        let mut command = dogwatch();
        command.args(["daemon", "-b", "-c"]).arg(&path);
        command
    };
    assert!(refused(&scratch, &mut background()).contains("1 error in the configuration"));
    scratch.config(&config("", JOB));
    symlink("nothing", scratch.path("link.pid")).unwrap();
    let text = refused(&scratch, background().arg("--pid-file").arg(scratch.path("link.pid")));
    assert!(text.ends_with("link.pid: it is no regular file\n"), "{text}");
    assert!(text.lines().all(|line| line.starts_with("dogwatch: ")), "{text}");
}

/// A directory that takes a while to be looked at, and how many watches the daemon has.
fn large_tree(scratch: &Scratch) -> usize {
    for n in 0..3_000 {
        fs::create_dir_all(scratch.src().join(format!("{}/{n}", n / 100))).unwrap();
    }
    3_000
}

fn watches_of(pid: u32) -> usize {
    let infos = fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
    let texts = infos.filter_map(|info| fs::read_to_string(info.unwrap().path()).ok());
    texts.map(|text| text.lines().filter(|line| line.starts_with("inotify ")).count()).sum()
}

#[test]
fn a_service_manager_is_told_once_all_is_watched_and_when_the_end_begins() {
    let scratch = Scratch::new();
    let directories = large_tree(&scratch);
    let path = scratch.path("notify");
    let abstract_name = format!("dogwatch-{}-{}", std::process::id(), path.display());
    let sockets = [
        (UnixDatagram::bind(&path).unwrap(), path.display().to_string()),
        (
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&abstract_name).unwrap()).unwrap(),
            format!("@{abstract_name}"),
        ),
    ];
    for (socket, address) in sockets {
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let receive = || {
            let mut buffer = [0; 100];
            let len = socket.recv(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
            let (state, time) = text.split_once("\nMONOTONIC_USEC=").unwrap_or_else(|| panic!("{text}"));
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_sec as u64;
            let age = now.checked_sub(time.trim_end().parse::<u64>().unwrap() / 1_000_000);
            assert!(age.is_some_and(|age| age < 60), "{text} at {now} s");
            state.to_owned()
        };
        let good = config("", "cmd = env >@DIR/env");
        let mut command = dogwatch();
        command.args(["daemon", "-c"]).arg(scratch.config(&good)).env("NOTIFY_SOCKET", address);
        let daemon = scratch.spawn(&mut command);
        assert_eq!(receive(), "READY=1");
        let watches = watches_of(daemon.pid());
        assert!(watches > directories, "ready with {watches} watches");
        fs::write(scratch.src().join("f"), "x").unwrap();
        daemon.await_log("f: done");
        let environment = scratch.read("env");
        assert!(environment.contains("DOGWATCH_PATHNAME=") && !environment.contains("NOTIFY"), "{environment}");
        assert!(!daemon.log().contains("WARNING"), "{}", daemon.log());
        // Also if it comes to nothing, a reload is told to be over.
        for text in [&good, "nonsense"] {
            scratch.config(text);
            daemon.signal(Signal::HUP);
            assert_eq!((receive().as_str(), receive().as_str()), ("RELOADING=1", "READY=1"));
        }
        daemon.stop();
        // shutdown_timeout, five seconds from SIGTERM to SIGKILL, and five more.
        assert_eq!(receive(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=40000000");
    }
}

#[test]
fn a_service_manager_that_does_not_listen_is_one_warning() {
    let scratch = Scratch::new();
    let config = scratch.config(&config("", JOB));
    for address in [scratch.path("nobody").display().to_string(), format!("/{}", "x".repeat(108))] {
        let mut command = dogwatch();
        let daemon = scratch.start_with(command.args(["daemon", "-c"]).arg(&config).env("NOTIFY_SOCKET", &address));
        let log = daemon.stop();
        assert!(log.contains(&format!(" WARNING daemon: cannot tell the service manager at {address}: ")), "{log}");
        assert_eq!(log.matches("WARNING").count(), 1, "{log}");
    }
}

fn open_fifo(path: &Path) -> File {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    File::from(openat(CWD, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).unwrap())
}

/// The command that runs meanwhile does not have the descriptor, or the end would not be seen.
#[test]
fn a_newline_and_the_end_on_the_ready_descriptor_tell_the_same() {
    let scratch = Scratch::new();
    let directories = large_tree(&scratch);
    fs::write(scratch.src().join("f"), "x").unwrap();
    let config = scratch.config(&config("shutdown_timeout = 0", "cmd = exec sleep 1000"));
    let path = scratch.path("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    let mut fifo = open_fifo(&path);
    let mut shell = Command::new("sh");
    let script = "exec \"$0\" daemon -c \"$1\" --ready-fd 7 7>\"$2\"";
    shell.args(["-c", script]).arg(env!("CARGO_BIN_EXE_dogwatch")).arg(config).arg(&path).env("TZ", "UTC0");
    let daemon = scratch.spawn(shell.env_remove("JOURNAL_STREAM"));
    let mut got: Vec<u8> = Vec::new();
    let mut buffer = [0; 10];
    wait_until("something is written", || {
        got.extend(fifo.read(&mut buffer).map_or(&b""[..], |len| &buffer[..len]));
        !got.is_empty()
    });
    let watches = watches_of(daemon.pid());
    assert!(watches > directories, "ready with {watches} watches");
    daemon.await_log("f (found by a scan): started");
    wait_until("the descriptor is closed", || match fifo.read(&mut buffer) {
        Ok(len) => {
            got.extend(&buffer[..len]);
            len == 0
        }
        Err(_) => false,
    });
    assert_eq!(got, b"\n");
    daemon.stop();
    for wrong in ["7", "x", "-1", "2"] {
        let output = dogwatch().args(["daemon", "--ready-fd", wrong]).output().unwrap();
        assert!(refusal(&output).contains("cannot use the descriptor of --ready-fd: Bad file descriptor"));
    }
}

/// The lines below a section's head.
fn section<'t>(text: &'t str, head: &str) -> Vec<&'t str> {
    text.lines().skip_while(|line| *line != head).skip(1).take_while(|line| line.starts_with("  ")).collect()
}

#[test]
fn the_status_tells_what_is_watched_pending_running_and_done() {
    let scratch = Scratch::new();
    let text = "[daemon]\nmax_jobs = 1\n\
                [scheduler slow]\ncmd = until [ -e @DIR/go ]; do sleep 0.02; done; exit 3\n\
                [scheduler late]\ncmd = :\ndelay = 1h\n[scheduler soon]\ncmd = :\ndelay = 10m\n[scheduler good]\ncmd = :\n\
                [event_map m]\nIN_CLOSE_WRITE = slow, late, soon\nIN_MOVED_TO = good\nIN_DELETE = cancel late\n\
                [watch w]\npath = @SRC\nevent_map = m\nrec = yes\n";
    fs::create_dir_all(scratch.src().join("a/b")).unwrap();
    let daemon = scratch.start(text);
    let name = "odd\nname";
    fs::write(scratch.src().join(name), "x").unwrap();
    daemon.await_log("slow#1 ");
    fs::write(scratch.src().join("gone"), "x").unwrap();
    fs::remove_file(scratch.src().join("gone")).unwrap();
    daemon.await_log("gone: cancelled");
    fs::write(scratch.path("x"), "x").unwrap();
    fs::rename(scratch.path("x"), scratch.src().join("x")).unwrap();
    daemon.await_log("x: scheduled");
    let src = scratch.src().display().to_string();
    let text = answer(&scratch);
    let has = |text: &str, line: &str| assert!(text.lines().any(|found| found == line), "{line:?} in\n{text}");
    has(&text, &format!("version: {}", env!("CARGO_PKG_VERSION")));
    has(&text, &format!("pid: {}", daemon.pid()));
    has(&text, &format!("configuration: {}", scratch.path("dogwatch.conf").display()));
    has(&text, &format!("run_dir: {}", scratch.path("run.d").display()));
    has(&text, &format!("state_dir: {}", scratch.path("state.d").display()));
    has(&text, "directories watched: 3");
    has(&text, &format!("watch descriptors: {}", watches_of(daemon.pid())));
    for line in [
        "degraded: no",
        "queue overflows: 0",
        "log lines lost: 0",
        "tasks started: 1",
        "tasks done: 0",
        "tasks failed: 0",
        "tasks cancelled: 1",
        "tasks running: 1",
        "tasks queued: 2",
        "tasks delayed: 3",
    ] {
        has(&text, line);
    }
    let since = text.lines().find_map(|line| line.strip_prefix("since: ")).unwrap();
    // The log's first line is of the same second, or of the next.
    let first = |text: &str| text.split([' ', '-', ':']).take(5).collect::<Vec<_>>().join(" ");
    assert!(since.len() == 19 && first(since) <= first(&daemon.log()), "{text}");
    let events: u64 = text.lines().find_map(|line| line.strip_prefix("events: ")).unwrap().parse().unwrap();
    assert!(events >= 4, "{text}");
    let [running] = section(&text, "running:")[..] else { panic!("{text}") };
    assert!(running.starts_with("  pid ") && running.contains("  for "), "{text}");
    assert!(running.ends_with(&format!("s  slow#1  IN_CLOSE_WRITE  {src}/odd\\nname")), "{text}");
    let pending = section(&text, "pending:");
    assert_eq!(pending[0], format!("  due now  slow#4  IN_CLOSE_WRITE  {src}/gone"));
    assert_eq!(pending[1], format!("  due now  good#7  IN_MOVED_TO  {src}/x"));
    let due = |line: &str, task: &str| {
        let left = line.strip_prefix("  due in ").and_then(|rest| rest.split_once("  ")).filter(|(_, of)| *of == task);
        let left = left.unwrap_or_else(|| panic!("{task:?} in {line:?}")).0;
        let (number, unit) = left.split_at(left.len() - 1);
        number.parse::<u64>().unwrap()
            * if unit == "m" {
                60
            } else if unit == "h" {
                3600
            } else {
                1
            }
    };
    let soon = due(pending[2], &format!("soon#3  IN_CLOSE_WRITE  {src}/odd\\nname"));
    let late = due(pending[4], &format!("late#2  IN_CLOSE_WRITE  {src}/odd\\nname"));
    assert!((540..=600).contains(&soon) && (3540..=3600).contains(&late), "{text}");
    assert_eq!(pending.len(), 5, "{text}");
    let mode = fs::metadata(scratch.path("run.d/status")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o640);
    // What has ended is counted.
    fs::write(scratch.path("go"), "").unwrap();
    daemon.await_log("x: done");
    let text = answer(&scratch);
    for line in ["tasks started: 3", "tasks done: 1", "tasks failed: 2", "tasks running: 0", "tasks queued: 0"] {
        has(&text, line);
    }
    assert_eq!(section(&text, "running:"), [""; 0]);
}

#[test]
fn a_thousand_tasks_are_shown_and_the_rest_is_counted() {
    let scratch = Scratch::new();
    for n in 0..1_500 {
        File::create(scratch.src().join(n.to_string())).unwrap();
    }
    let daemon = scratch.start(&config("", "cmd = :\ndelay = 1h"));
    let text = answer(&scratch);
    let pending = section(&text, "pending:");
    assert_eq!(pending.len(), 1_001);
    assert_eq!(pending.last(), Some(&"  and 500 more"));
    assert!(pending[..1_000].iter().all(|line| line.starts_with("  due in ")), "{text}");
    assert!(text.contains("\ntasks delayed: 1500\n"), "{text}");
    daemon.stop();
}

#[test]
fn without_a_daemon_there_is_no_status() {
    let scratch = Scratch::new();
    scratch.config(&config("", JOB));
    let pid_file = scratch.path("run.d/dogwatch.pid");
    // A pid file is enough; the configuration is not asked then.
    for arguments in [&["-c", "dogwatch.conf"][..], &["--pid-file", "run.d/dogwatch.pid"]] {
        let text = refusal(&status(&scratch, arguments));
        let expected = "none runs: nobody holds that file";
        assert_eq!(text, format!("dogwatch: cannot ask the daemon of {}: {expected}\n", pid_file.display()));
    }
}

#[test]
fn a_daemon_that_does_not_answer_is_not_waited_for_long() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("", JOB));
    daemon.signal(Signal::STOP);
    let start = Instant::now();
    let text = refusal(&status(&scratch, &["-c", "dogwatch.conf"]));
    assert!((5..30).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert!(text.contains(&format!("process {} does not answer within 5 s; its log ", daemon.pid())), "{text}");
    daemon.signal(Signal::CONT);
    daemon.stop();
}

const NOBODY: u32 = 65_534;

/// The program where everybody can run it.
fn program_for_all(scratch: &Scratch) -> std::path::PathBuf {
    let program = scratch.path("dogwatch");
    copy_program(&program);
    fs::set_permissions(scratch.path(""), Permissions::from_mode(0o755)).unwrap();
    program
}

#[test]
fn another_user_may_not_ask() {
    if !is_root() {
        return skip("only root can become another user");
    }
    let scratch = Scratch::new();
    let program = program_for_all(&scratch);
    let daemon = scratch.start(&config("", JOB));
    let mut command = Command::new(program);
    command.args(["status", "--pid-file"]).arg(scratch.path("run.d/dogwatch.pid")).uid(NOBODY).gid(NOBODY);
    let text = refusal(&scratch.places(&mut command).output().unwrap());
    let expected = format!("process {} is another user's; ask as root, or as that user", daemon.pid());
    assert!(text.contains(&expected), "{text}");
    daemon.stop();
}

/// What the log warns of, when it is started so.
fn warnings(daemon: Daemon, scratch: &Scratch) -> Vec<String> {
    fs::write(scratch.src().join("f"), "x").unwrap();
    daemon.await_log("f: done");
    daemon
        .stop()
        .lines()
        .filter_map(|line| line.split_once(" WARNING daemon: "))
        .map(|line| line.1.to_owned())
        .collect()
}

#[test]
fn a_run_dir_that_cannot_be_used_is_one_warning() {
    let scratch = Scratch::new();
    fs::write(scratch.path("file"), "").unwrap();
    let daemon = scratch.start(&config("run_dir = @DIR/file/run", JOB));
    let run = scratch.path("file/run");
    daemon.signal(Signal::USR1);
    daemon.await_log("there is no run_dir to write the status to");
    let told = warnings(daemon, &scratch);
    let expected = format!("cannot use {}: Not a directory; there is no status, and no pid file there", run.display());
    assert_eq!(told, [expected.as_str(), "there is no run_dir to write the status to"]);
    let daemon = scratch.start(&config("state_dir = @DIR/file/state", JOB));
    assert_eq!(warnings(daemon, &scratch).len(), 1);
}

/// As root, what others can write to is not obeyed, and as another user, what cannot be written to is noticed.
#[test]
fn directories_that_others_own_are_one_warning_each() {
    if !is_root() {
        return skip("only root can become another user");
    }
    let scratch = Scratch::new();
    let program = program_for_all(&scratch);
    for name in ["run.d", "state.d"] {
        fs::create_dir(scratch.path(name)).unwrap();
        fs::set_permissions(scratch.path(name), Permissions::from_mode(0o777)).unwrap();
    }
    let told = warnings(scratch.start(&config("", JOB)), &scratch);
    assert!(told.len() == 2 && told.iter().all(|line| line.contains("can be written by everybody")), "{told:?}");
    for name in ["run.d", "state.d"] {
        fs::set_permissions(scratch.path(name), Permissions::from_mode(0o755)).unwrap();
    }
    let config = scratch.config(&config("", "cmd = :"));
    let mut command = Command::new(program);
    command.args(["daemon", "-c"]).arg(config).uid(NOBODY).gid(NOBODY).env("TZ", "UTC0").env_remove("JOURNAL_STREAM");
    let told = warnings(scratch.start_with(&mut command), &scratch);
    assert!(told.len() == 2 && told.iter().all(|line| line.contains(": Permission denied; ")), "{told:?}");
}

/// From another pid namespace a daemon has no number, and there is nobody to be asked.
#[test]
fn a_daemon_in_another_pid_namespace_is_told_of_as_such() {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child", env!("CARGO_BIN_EXE_dogwatch")]);
        command
    };
    let tried = unshare().arg("version").output();
    if !tried.as_ref().is_ok_and(|output| output.status.success()) {
        return skip(&format!("a pid namespace cannot be made: {tried:?}"));
    }
    let scratch = Scratch::new();
    let outside = scratch.start(&config("", JOB));
    let path = scratch.path("dogwatch.conf");
    let text = refusal(&scratch.places(unshare().args(["status", "-c"]).arg(&path)).output().unwrap());
    assert!(text.contains("/dogwatch.pid: it lives in another pid namespace (a container)"), "{text}");
    let text = refused(&scratch, unshare().args(["daemon", "-c"]).arg(&path));
    assert!(text.contains("/dogwatch.pid: a process in another pid namespace holds it; "), "{text}");
    outside.stop();
    // From outside, one inside can be asked, even one that is the first process there.
    let mut inside = scratch.start_with(unshare().args(["daemon", "-c"]).arg(&path).env("TZ", "UTC0"));
    assert!(answer(&scratch).contains("\npid: 1\n"));
    inside.signal(Signal::KILL);
    inside.wait();
    wait_until("it has ended as well", || !status(&scratch, &["-c", "dogwatch.conf"]).status.success());
}
