//! The form of its lines.

use super::*;
use crate::parts::log::Level;
use crate::parts::zone::Zone;

fn formatted(at: i64, message: &str) -> String {
    let line = |at| {
        Syslog::new(b"/nowhere").format(&Line {
            at,
            level: Level::Warning,
            logname: "x",
            message: format_args!("{message}"),
        })
    };
    line(Zone::utc().civil(at))
}

#[test]
fn a_line_is_as_the_c_library_sends_it() {
    let pid = std::process::id();
    // 2026-01-02 03:04:05 and 2026-12-31 23:59:59
    assert_eq!(formatted(1_767_323_045, "went"), format!("<28>Jan  2 03:04:05 dogwatch[{pid}]: x: went\n"));
    assert_eq!(formatted(1_798_761_599, "went"), format!("<28>Dec 31 23:59:59 dogwatch[{pid}]: x: went\n"));
}

#[test]
fn a_long_line_is_cut_between_characters() {
    for shift in 0..3 {
        let line = formatted(0, &format!("{}{}", "x".repeat(shift), "\u{20ac}".repeat(4_000)));
        assert!((MOST - 2..=MOST).contains(&(line.len() - 1)) && line.ends_with("\u{20ac}\n"), "{}", line.len());
    }
}

/// A connection to a stream waits for whoever accepts, unless it is told not to.
#[test]
fn a_connection_does_not_block() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let _server = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mut syslog = Syslog::new(path.to_str().unwrap().as_bytes());
    syslog.open().unwrap();
    assert!(rustix::fs::fcntl_getfl(syslog.fd().unwrap()).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
}
