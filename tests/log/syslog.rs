//! The system's log, played by the test.

use crate::common::{Daemon, Scratch, wait_until};
use crate::{await_rest, flood, start_with_logs};
use std::fs;
use std::io::Read;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

const LOGS: &str = "log = stderr error\nlog = syslog:@DIR/socket debug";

/// A syslog daemon, with what it has got.
struct Server {
    socket: UnixDatagram,
    got: Vec<String>,
}

impl Server {
    fn bind(scratch: &Scratch) -> Server {
        let socket = UnixDatagram::bind(scratch.path("socket")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Server { socket, got: Vec::new() }
    }

    fn read(&mut self) {
        let mut buffer = [0; 65_536];
        while let Ok(n) = self.socket.recv(&mut buffer) {
            self.got.push(String::from_utf8(buffer[..n].to_vec()).unwrap());
        }
    }

    /// Waits for a line with these words; something happens in the watched directory all the while.
    #[track_caller]
    fn await_line(&mut self, scratch: &Scratch, words: &str) {
        wait_until(&format!("syslog gets {words:?}"), || {
            fs::write(scratch.src().join("f"), "x").unwrap();
            self.read();
            self.has(words)
        });
    }

    fn has(&self, words: &str) -> bool {
        self.got.iter().any(|line| line.contains(words))
    }
}

/// `<30>Jan  2 03:04:05 dogwatch[PID]: NAME: ` and words; the priority is that of the facility daemon.
fn is_line(daemon: &Daemon, line: &str) -> bool {
    let Some((priority, rest)) = line.strip_prefix('<').and_then(|rest| rest.split_once('>')) else { return false };
    let Some((time, rest)) = rest.split_at_checked(15) else { return false };
    let kind = |c: char| match c {
        'a'..='z' | 'A'..='Z' => 'a',
        '0'..='9' => '0',
        other => other,
    };
    let shape: String = time.chars().map(kind).collect();
    let names = ["daemon", "run", "log"].map(|name| format!(" dogwatch[{}]: {name}: ", daemon.pid()));
    let known = names.iter().any(|head| rest.starts_with(head.as_str()));
    ["aaa 00 00:00:00", "aaa  0 00:00:00"].contains(&shape.as_str())
        && known
        && ["31", "30", "28", "27"].contains(&priority)
        && !line.contains('\n')
}

#[test]
fn lines_have_the_form_that_syslog_daemons_know() {
    let scratch = Scratch::new();
    let mut server = Server::bind(&scratch);
    let daemon = start_with_logs(&scratch, LOGS);
    server.await_line(&scratch, "f: done");
    let strange = scratch.src().join("a\nb\u{1b}");
    fs::write(&strange, "x").unwrap();
    server.await_line(&scratch, "/a\\nb\\x1b: done");
    assert!(server.got.iter().all(|line| is_line(&daemon, line)), "{:#?}", server.got);
    let head = |line: &str, priority| line.starts_with(priority);
    for (priority, words) in
        [("<30>", "daemon: ready, directories watched: 1"), ("<31>", "daemon: event IN_CLOSE_WRITE ")]
    {
        assert!(server.got.iter().any(|line| line.contains(words) && head(line, priority)), "{:#?}", server.got);
    }
    assert_eq!(daemon.stop(), "");
}

/// Lines wait until it is there, and standard error says so once.
#[test]
fn one_that_is_missing_at_the_start_gets_all_lines_later() {
    let scratch = Scratch::new();
    let daemon = start_with_logs(&scratch, LOGS);
    let path = scratch.path("socket");
    daemon
        .await_log(&format!("cannot reach syslog at {}: No such file or directory; its lines wait\n", path.display()));
    await_rest(&daemon);
    let mut server = Server::bind(&scratch);
    server.await_line(&scratch, "daemon: ready, directories watched: 1");
    server.await_line(&scratch, "f: done");
    assert!(!server.has("lost") && server.got.iter().all(|line| is_line(&daemon, line)), "{:#?}", server.got);
    assert_eq!(daemon.stop().lines().count(), 1);
}

/// What was said while it was away is there as well.
#[test]
fn one_that_is_restarted_misses_nothing() {
    let scratch = Scratch::new();
    let mut server = Server::bind(&scratch);
    let daemon = start_with_logs(&scratch, LOGS);
    server.await_line(&scratch, "f: done");
    for _ in 0..2 {
        wait_until("its lines are read", || {
            server.read();
            scratch.read("ran").ends_with("f\n")
        });
        drop(server);
        fs::remove_file(scratch.path("socket")).unwrap();
        fs::write(scratch.src().join("meanwhile"), "x").unwrap();
        wait_until("a command runs meanwhile", || scratch.read("ran").contains("meanwhile\n"));
        await_rest(&daemon);
        server = Server::bind(&scratch);
        server.await_line(&scratch, "/meanwhile: done");
        server.await_line(&scratch, "/f: done");
        fs::write(scratch.path("ran"), "").unwrap();
        server.await_line(&scratch, "/f: done");
        assert!(server.has("/meanwhile: scheduled, due at once") && !server.has("lost"), "{:#?}", server.got);
    }
    let log = daemon.stop();
    assert!(log.lines().all(|line| line.contains(" ERROR log: cannot reach syslog at ")), "{log}");
}

/// Its socket is still there, but it is gone, and comes back: the connection is refused meanwhile.
#[test]
fn one_that_has_died_is_waited_for() {
    let scratch = Scratch::new();
    let mut server = Server::bind(&scratch);
    let daemon = start_with_logs(&scratch, LOGS);
    server.await_line(&scratch, "f: done");
    drop(server);
    wait_until("it is told", || {
        fs::write(scratch.src().join("f"), "x").unwrap();
        daemon.log().contains("Connection refused; its lines wait\n")
    });
    await_rest(&daemon);
    fs::remove_file(scratch.path("socket")).unwrap();
    let mut server = Server::bind(&scratch);
    server.await_line(&scratch, "f: done");
    assert_eq!(daemon.stop().lines().count(), 1);
}

#[test]
fn one_that_reads_nothing_does_not_block_and_is_told_how_much_it_missed() {
    let scratch = Scratch::new();
    let mut server = Server::bind(&scratch);
    let daemon = start_with_logs(&scratch, LOGS);
    flood(&scratch);
    await_rest(&daemon);
    assert!(server.got.is_empty());
    // Nothing happens any more: what waits comes by itself once there is room.
    wait_until("the count comes", || {
        server.read();
        server.has(" lines were lost: they could not be written")
    });
    let told = server.got.iter().find(|line| line.contains("lines were lost")).unwrap();
    let count: u64 = told.split(' ').find_map(|word| word.parse().ok().filter(|n| *n > 31)).unwrap();
    assert!(count > 100 && told.starts_with("<28>"), "{told}");
    assert!(server.got.iter().all(|line| is_line(&daemon, line)));
    server.await_line(&scratch, "f: done");
    assert_eq!(daemon.stop(), "");
}

/// Where the socket is a stream, each line ends with a NUL, also where it was taken in pieces.
#[test]
fn a_stream_is_taken_as_well() {
    let scratch = Scratch::new();
    let listener = UnixListener::bind(scratch.path("socket")).unwrap();
    let daemon = start_with_logs(&scratch, LOGS);
    let accept = || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    let lines_until = |mut stream: &UnixStream, words: &str| {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 65_536]);
        wait_until(&format!("the stream has {words:?}"), || {
            fs::write(scratch.src().join("f"), "x").unwrap();
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                bytes.extend_from_slice(&buffer[..n]);
            }
            String::from_utf8_lossy(&bytes).contains(words)
        });
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
        assert!(lines.iter().all(|line| is_line(&daemon, line)), "{lines:#?}");
        lines
    };
    let stream = accept();
    let lines = lines_until(&stream, "f: done\0");
    assert!(lines.iter().any(|line| line.contains("daemon: ready, directories watched: 1")));
    flood(&scratch);
    await_rest(&daemon);
    lines_until(&stream, " lines were lost: they could not be written\0");
    // The reader goes, and accepts again.
    drop(stream);
    wait_until("it is connected to anew", || {
        fs::write(scratch.src().join("f"), "x").unwrap();
        listener.set_nonblocking(true).unwrap();
        listener.accept().is_ok_and(|(stream, _)| {
            stream.set_nonblocking(true).unwrap();
            let lines = lines_until(&stream, "f: done\0");
            !lines.is_empty()
        })
    });
    assert_eq!(daemon.stop(), "");
}
