//! File systems that can do less: no rename that replaces nothing, no second names, no attributes, no modes. Whole jobs; what a
//! file system cannot do, the gate refuses in every process. Needs the test build (feature `fault`).

use crate::common::{Daemon, Scratch, dogwatch, skip};
use crate::{await_end, config, facts, far, scratch, send, temporaries, to};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

const LESS: [&str; 4] = [
    "renameat2=EINVAL",
    "renameat2=ENOSYS,linkat=EPERM",
    "renameat2=EINVAL,linkat=ENOTSUP,flistxattr=ENOTSUP,fsetxattr=ENOTSUP",
    "renameat2=EINVAL,linkat=EPERM,flock=ENOTSUP,copy_file_range=EXDEV",
];
const NAMES: [&str; 3] = ["f", "link", "tree"];

fn make(dir: &Path, mark: &str) {
    fs::write(dir.join("f"), mark).unwrap();
    symlink(mark, dir.join("link")).unwrap();
    fs::create_dir_all(dir.join("tree/dir")).unwrap();
    fs::write(dir.join("tree/dir").join(mark), mark).unwrap();
    symlink(mark, dir.join("tree/link")).unwrap();
}

fn start(scratch: &Scratch, text: &str, less: &str) -> Daemon {
    let conf = scratch.config(text);
    scratch.start_with(dogwatch().args(["daemon", "-c"]).arg(conf).env("DOGWATCH_FAULT", less))
}

/// Where nothing is, where something is that stays, and where something is that goes.
#[test]
fn every_job_is_done_or_refused_whole() {
    let Some(far) = far() else { return skip("/dev/shm is no other file system") };
    for less in LESS {
        for action in ["move", "copy"] {
            for (is_there, replaces) in [(false, "no"), (false, "yes"), (true, "no"), (true, "yes")] {
                for is_near in [true, false] {
                    let scratch = scratch();
                    let near = scratch.path("dst");
                    let far = tempfile::tempdir_in(far.path()).unwrap();
                    let dst = if is_near { &near } else { far.path() };
                    let keys = format!("override = {replaces}");
                    let daemon = start(&scratch, &config(&[&to(action, "@FAR", &keys)], "", dst), less);
                    make(&scratch.path("stage"), "new");
                    if is_there {
                        make(dst, "old");
                    }
                    for name in NAMES {
                        let new = facts(&scratch.path("stage").join(name));
                        let old = is_there.then(|| facts(&dst.join(name)));
                        let path = send(&scratch, name);
                        let case = format!("{less}: {action} {name} {is_there} {replaces} {is_near}");
                        if is_there && replaces == "no" {
                            await_end(&daemon, &path, &format!("failed: cannot {action} to "));
                            assert_eq!((Some(facts(&dst.join(name))), facts(&path)), (old, new), "{case}");
                            continue;
                        }
                        await_end(&daemon, &path, "done: ");
                        assert_eq!(facts(&dst.join(name)), new, "{case}");
                        assert_eq!(path.symlink_metadata().is_ok(), action == "copy", "{case}");
                    }
                    assert_eq!(temporaries(dst), [] as [&Path; 0], "{less}");
                    assert_eq!(temporaries(&scratch.src()), [] as [&Path; 0], "{less}");
                    daemon.stop();
                }
            }
        }
    }
}

/// What is not kept is said, and does not keep the rest from coming.
#[test]
fn what_is_not_kept_is_said() {
    let Some(far) = far() else { return skip("/dev/shm is no other file system") };
    for action in ["move", "copy"] {
        let scratch = scratch();
        let less = "fsetxattr=ENOTSUP,fchmod=EPERM,fchmodat=EPERM,fchmodat2=EPERM,fchown=EPERM,fchownat=EPERM";
        let daemon = start(&scratch, &config(&[&to(action, "@FAR", "")], "", far.path()), less);
        let file = scratch.path("stage/f");
        fs::write(&file, "text").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let has_xattrs = rustix::fs::setxattr(&file, "user.test", b"x", rustix::fs::XattrFlags::empty()).is_ok();
        let path = send(&scratch, "f");
        await_end(&daemon, &path, "done: ");
        daemon.await_log("the destination's file system does not keep all of it: mode, owner");
        assert!(!has_xattrs || daemon.log().contains("mode, owner, user.test"), "{}", daemon.log());
        assert_eq!(fs::read_to_string(far.path().join("f")).unwrap(), "text");
        assert_eq!(path.exists(), action == "copy");
        fs::remove_file(far.path().join("f")).unwrap();
        daemon.stop();
    }
}
