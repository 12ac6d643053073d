use super::{Refused, holder, take};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

// A lock belongs to a process, so what another process sees of it, tests/presence.rs tries.

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pid");
    (dir, path)
}

#[test]
fn the_pid_is_written_and_the_file_taken_away_in_the_end() {
    let (_dir, path) = scratch();
    std::fs::write(&path, "4711 and more than that").unwrap();
    let lockfile = take(path.as_os_str().as_bytes()).ok().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
    drop(lockfile);
    assert!(!path.exists());
}

#[test]
fn a_file_that_another_has_put_there_stays() {
    let (_dir, path) = scratch();
    let lockfile = take(path.as_os_str().as_bytes()).ok().unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "another's").unwrap();
    drop(lockfile);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "another's");
}

/// What others can put into a directory that they may write to must not be written to.
#[test]
fn links_and_other_kinds_of_files_are_refused() {
    let (dir, path) = scratch();
    let precious = dir.path().join("precious");
    std::fs::write(&precious, "precious").unwrap();
    let refused = |what: &str| {
        let Err(Refused::Failed(failure)) = take(path.as_os_str().as_bytes()) else { panic!("{what} was taken") };
        let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
        failure.to_string()
    };
    symlink(&precious, &path).unwrap();
    assert!(refused("a link").ends_with("it is no regular file"));
    symlink(dir.path().join("nothing"), &path).unwrap();
    assert!(refused("a link to nothing").ends_with("it is no regular file"));
    std::fs::hard_link(&precious, &path).unwrap();
    assert!(refused("a hard link").contains("it is not ours alone"));
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
    assert!(refused("a FIFO").ends_with("it is no regular file"));
    std::fs::create_dir(&path).unwrap();
    assert!(refused("a directory").ends_with("it is no regular file"));
    std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert!(refused("a socket").ends_with("it is no regular file"));
    assert_eq!(std::fs::read_to_string(precious).unwrap(), "precious");
    assert!(!dir.path().join("nothing").exists());
}

#[test]
fn a_file_that_nobody_locks_has_no_holder() {
    let (_dir, path) = scratch();
    assert_eq!(holder(path.as_os_str().as_bytes()).unwrap(), None);
    std::fs::write(&path, "1\n").unwrap();
    assert_eq!(holder(path.as_os_str().as_bytes()).unwrap(), None);
}
