//! `dogwatch install` and `dogwatch uninstall` below a root of the test's own. With a system that runs, tests/init tries them.

mod common;

use common::{Scratch, copy_program, dogwatch, is_root, skip};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where a file comes from, where it stands, and its mode.
type Placed = (&'static str, &'static str, u32);

/// The service files of each init system.
const FILES: [(&str, &[Placed]); 7] = [
    ("systemd", &[("systemd/dogwatch.service", "etc/systemd/system/dogwatch.service", 0o644)]),
    ("openrc", &[("openrc/dogwatch", "etc/init.d/dogwatch", 0o755)]),
    ("sysvinit", &[("sysvinit/dogwatch", "etc/init.d/dogwatch", 0o755)]),
    ("runit", &[("runit/run", "etc/sv/dogwatch/run", 0o755)]),
    (
        "s6",
        &[
            ("s6/notification-fd", "etc/s6/sv/dogwatch/notification-fd", 0o644),
            ("s6/run", "etc/s6/sv/dogwatch/run", 0o755),
            ("s6/type", "etc/s6/sv/dogwatch/type", 0o644),
        ],
    ),
    ("dinit", &[("dinit/dogwatch", "etc/dinit.d/dogwatch", 0o644)]),
    ("busybox", &[]),
];
const CONFIGURATION: Placed = ("dogwatch.conf", "etc/dogwatch/dogwatch.conf", 0o644);

/// A file as the project has it.
fn source(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("init").join(name)).unwrap()
}

/// Runs the program on the system below a root, which is made.
fn run(command: &str, init: &str, root: &Path, more: &[&str]) -> Output {
    fs::create_dir_all(root).unwrap();
    dogwatch().args([command, "--init", init, "--root"]).arg(root).args(more).output().unwrap()
}

#[track_caller]
fn done(output: Output) -> String {
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), err.as_str()), (Some(0), ""), "{out}");
    out
}

#[track_caller]
fn refused(output: Output, status: i32) -> String {
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(status), "{out}{err}");
    err
}

/// All files and links below a root by their paths, each with its mode and what it holds.
fn tree(root: &Path) -> BTreeMap<String, (u32, String)> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let stat = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if stat.is_dir() {
                assert_eq!(stat.permissions().mode() & 0o7777, 0o755, "{name}");
                left.push(path);
            } else if stat.is_symlink() {
                found.insert(name, (0o777, fs::read_link(&path).unwrap().to_str().unwrap().to_owned()));
            } else {
                found.insert(name, (stat.permissions().mode() & 0o7777, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// What `install` makes for an init system.
fn expected(files: &[Placed]) -> BTreeMap<String, (u32, String)> {
    let all = files.iter().chain([&CONFIGURATION]);
    let mut expected: BTreeMap<_, _> = all.map(|(from, to, mode)| ((*to).to_owned(), (*mode, source(from)))).collect();
    if files.iter().any(|(from, ..)| from.starts_with("runit/")) {
        expected.insert("etc/sv/dogwatch/supervise".to_owned(), (0o777, "/run/dogwatch.supervise".to_owned()));
    }
    expected
}

#[test]
fn every_init_system_has_its_files_which_come_once_and_go() {
    let scratch = Scratch::new();
    for (init, files) in FILES {
        let root = scratch.path(init);
        let out = done(run("install", init, &root, &[]));
        assert_eq!(tree(&root), expected(files), "{init}");
        for path in tree(&root).keys() {
            assert!(out.contains(&format!("wrote {}/{path}\n", root.display())), "{init}: {out}");
        }
        assert!(out.contains("\nit is started by: "), "{init}: {out}");

        let stamp = || {
            let stat =
                |path: &String| fs::symlink_metadata(root.join(path)).map(|stat| (stat.ino(), stat.ctime_nsec()));
            tree(&root).keys().map(|path| stat(path).unwrap()).collect::<Vec<_>>()
        };
        let before = stamp();
        let out = done(run("install", init, &root, &[]));
        assert_eq!(stamp(), before, "{init}: the second time changes something");
        assert!(!out.contains("wrote") && out.contains("unchanged: "), "{init}: {out}");

        let out = done(run("uninstall", init, &root, &[]));
        assert_eq!(tree(&root), BTreeMap::new(), "{init}: {out}");
        let left = Command::new("find").arg(&root).args(["-name", "*dogwatch*"]).output().unwrap();
        assert_eq!(left.stdout, b"", "{init}: directories are left behind");
        assert_eq!(done(run("uninstall", init, &root, &[])), "", "{init}");
    }
}

#[test]
fn what_was_changed_is_kept_and_told() {
    let scratch = Scratch::new();
    for (init, files) in FILES {
        let root = scratch.path(init);
        done(run("install", init, &root, &[]));
        let changed = |path: &str| fs::write(root.join(path), "mine\n").unwrap();
        let kept = |path: &str| {
            assert_eq!(fs::read_to_string(root.join(path)).unwrap(), "mine\n");
            format!("dogwatch: {}/{path} is not as this version writes it: it is kept\n", root.display())
        };
        // A configuration is there to be changed.
        let configuration = CONFIGURATION.1;
        changed(configuration);
        fs::write(root.join("etc/dogwatch/conf.d/own.conf"), "").unwrap();
        let status = i32::from(!files.is_empty());
        files.iter().for_each(|(_, path, _)| changed(path));
        for command in ["install", "uninstall"] {
            let told = refused(run(command, init, &root, &[]), status);
            assert!(told.contains(&kept(configuration)), "{told}");
            files.iter().for_each(|(_, path, _)| assert!(told.contains(&kept(path)), "{told}"));
            assert_eq!(told.lines().count(), files.len() + 1, "{told}");
        }
        assert!(root.join("etc/dogwatch/conf.d/own.conf").exists());
    }
}

/// The same length, or the same bytes at the beginning, is not the same.
#[test]
fn what_differs_in_a_byte_was_changed() {
    let scratch = Scratch::new();
    let root = scratch.path("root");
    done(run("install", "dinit", &root, &[]));
    let path = root.join("etc/dinit.d/dogwatch");
    let text = source("dinit/dogwatch");
    for other in [text.replacen('d', "D", 1), text.clone() + "\n", text.trim_end().to_owned(), String::new()] {
        fs::write(&path, &other).unwrap();
        refused(run("uninstall", "dinit", &root, &[]), 1);
        assert_eq!(fs::read_to_string(&path).unwrap(), other);
    }
    // What leads elsewhere, or is no file, is not ours either.
    let elsewhere = scratch.path("elsewhere");
    fs::write(&elsewhere, &text).unwrap();
    fs::remove_file(&path).unwrap();
    symlink(&elsewhere, &path).unwrap();
    refused(run("uninstall", "dinit", &root, &[]), 1);
    assert!(path.is_symlink());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused(run("install", "dinit", &root, &[]), 1);
    assert!(path.is_dir());
}

#[test]
fn a_link_that_leads_elsewhere_was_changed() {
    let scratch = Scratch::new();
    let root = scratch.path("root");
    done(run("install", "runit", &root, &[]));
    let link = root.join("etc/sv/dogwatch/supervise");
    fs::remove_file(&link).unwrap();
    symlink("/run/other", &link).unwrap();
    for command in ["install", "uninstall"] {
        let told = refused(run(command, "runit", &root, &[]), 1);
        assert_eq!(told, format!("dogwatch: {} is not as this version writes it: it is kept\n", link.display()));
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("/run/other"));
    }
}

#[test]
fn a_rehearsal_changes_nothing() {
    let scratch = Scratch::new();
    for (init, files) in FILES {
        let root = scratch.path(init);
        let out = done(run("install", init, &root, &["--dry-run"]));
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "{init}");
        for path in expected(files).keys() {
            assert!(out.contains(&format!("would write {}/{path}\n", root.display())), "{out}");
        }
        done(run("install", init, &root, &[]));
        let out = done(run("uninstall", init, &root, &["-n"]));
        assert_eq!(tree(&root), expected(files));
        for path in expected(files).keys() {
            assert!(out.contains(&format!("would remove {}/{path}\n", root.display())), "{out}");
        }
    }
}

#[test]
fn modes_are_as_they_are_whatever_the_umask_is() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("root")).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 077; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_dogwatch"), "install", "--init", "s6"]);
    done(shell.arg("--root").arg(scratch.path("root")).output().unwrap());
    fs::set_permissions(scratch.path("root"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(tree(&scratch.path("root")), expected(FILES[4].1));
}

/// As by `dogwatch install | head -n 1`.
#[test]
fn a_reader_that_has_gone_away_does_not_stop_it_half_way() {
    let scratch = Scratch::new();
    let root = scratch.path("root");
    fs::create_dir(&root).unwrap();
    for (command, there) in [("install", expected(FILES[4].1)), ("uninstall", BTreeMap::new())] {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        drop(reader);
        let mut program = dogwatch();
        let status = program.args([command, "--init", "s6", "--root"]).arg(&root).stdout(writer).status().unwrap();
        assert_eq!((status.code(), tree(&root)), (Some(0), there), "{command}");
    }
}

#[test]
fn wrong_usage_is_told_with_what_there_is() {
    let scratch = Scratch::new();
    let root = scratch.path("root");
    let names = FILES.map(|(init, _)| init).join(", ");
    let told = refused(run("install", "upstart", &root, &[]), 2);
    assert!(told.contains("no init system \"upstart\""), "{told}");
    assert!(told.contains(&names), "{told}");
    let told = refused(dogwatch().args(["uninstall", "--root"]).arg(&root).output().unwrap(), 2);
    assert!(told.contains("--root needs --init") && told.contains(&names), "{told}");
    let told = refused(run("install", "s6", &root, &["--inittab"]), 2);
    assert!(told.contains("--inittab is for --init busybox"), "{told}");
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
    let told = refused(run("install", "s6", &root.join("file/below"), &["x"]), 2);
    assert!(told.contains("one argument too many"), "{told}");
    let missing = dogwatch().args(["install", "--init", "s6", "--root"]).arg(scratch.path("none")).output().unwrap();
    assert!(refused(missing, 1).contains("cannot use the root"));
}

/// Neither by that name nor by another one.
#[test]
fn the_system_that_runs_is_for_root_alone() {
    let scratch = Scratch::new();
    let program = scratch.path("dogwatch");
    copy_program(&program);
    fs::set_permissions(scratch.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&program);
    if is_root() {
        command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
    }
    let (name, arguments) = (command.get_program().to_owned(), command.get_args().map(ToOwned::to_owned));
    let arguments: Vec<_> = arguments.collect();
    symlink("/", scratch.path("link")).unwrap();
    for root in [PathBuf::from("/"), PathBuf::from("/usr/.."), scratch.path("link")] {
        for verb in ["install", "uninstall"] {
            let mut command = Command::new(&name);
            command.args(&arguments).args([verb, "--init", "s6", "--root"]).arg(&root);
            let told = refused(command.output().unwrap(), 1);
            assert!(told.contains("do that as root"), "{}: {told}", root.display());
        }
    }
    // Any other root is a directory like any other.
    let below = tempfile::tempdir().unwrap();
    fs::set_permissions(below.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = Command::new(&name);
    command.args(&arguments).args(["install", "--init", "s6", "--root"]).arg(below.path());
    done(command.output().unwrap());
}

#[test]
fn no_link_leads_out_of_the_root() {
    let scratch = Scratch::new();
    for (init, files) in FILES.iter().filter(|(_, files)| !files.is_empty()) {
        let (root, outside) = (scratch.path(init), scratch.path(format!("outside-{init}")));
        done(run("install", init, &root, &[]));
        let dir = Path::new(files[0].1).parent().unwrap();
        fs::rename(root.join(dir), &outside).unwrap();
        symlink(&outside, root.join(dir)).unwrap();
        for command in ["install", "uninstall"] {
            let told = refused(run(command, init, &root, &[]), 1);
            assert!(told.contains("a symbolic link is in the way"), "{told}");
        }
        let name = Path::new(files[0].1).file_name().unwrap();
        assert_eq!(fs::read_to_string(outside.join(name)).unwrap(), source(files[0].0));
    }
}

#[test]
fn the_program_is_called_where_it_stands() {
    let scratch = Scratch::new();
    let install = |place: &str| {
        let program = scratch.path("root").join(place);
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        copy_program(&program);
        Command::new(program)
            .args(["install", "--init", "runit", "--root"])
            .arg(scratch.path("root/"))
            .output()
            .unwrap()
    };
    let told = refused(install("my programs/dogwatch"), 1);
    assert!(told.contains("/my programs/dogwatch") && told.contains("/usr/bin/dogwatch"), "{told}");
    assert!(!scratch.path("root/etc").exists());
    done(install("opt/dogwatch-1.0/bin/dogwatch"));
    let text = scratch.read("root/etc/sv/dogwatch/run");
    assert_eq!(text, source("runit/run").replace("/usr/bin/dogwatch", "/opt/dogwatch-1.0/bin/dogwatch"));
    // To one that stands elsewhere the file is another's.
    refused(run("uninstall", "runit", &scratch.path("root"), &[]), 1);
}

#[test]
fn lines_of_inittab_are_added_when_asked_for_and_taken_away() {
    let scratch = Scratch::new();
    let root = scratch.path("root");
    let lines = source("busybox/inittab");
    let told = refused(run("install", "busybox", &root, &["--inittab"]), 1);
    assert!(told.contains("etc/inittab: No such file"), "{told}");
    assert!(!root.join("etc/inittab").exists());
    let inittab = root.join("etc/inittab");
    let own = "::sysinit:/etc/init.d/rcS\n# the end";
    fs::write(&inittab, own).unwrap();
    fs::set_permissions(&inittab, fs::Permissions::from_mode(0o640)).unwrap();

    let out = done(run("install", "busybox", &root, &[]));
    assert!(out.contains(&lines) && out.contains("which --inittab adds"), "{out}");
    assert_eq!(fs::read_to_string(&inittab).unwrap(), own);
    let out = done(run("install", "busybox", &root, &["--inittab", "--dry-run"]));
    assert!(out.contains(&format!("would write {}\n", inittab.display())), "{out}");
    assert_eq!(fs::read_to_string(&inittab).unwrap(), own);

    for done_with_it in ["wrote", "unchanged:"] {
        let out = done(run("install", "busybox", &root, &["--inittab"]));
        assert!(out.contains(&format!("{done_with_it} {}\n", inittab.display())), "{out}");
        assert_eq!(fs::read_to_string(&inittab).unwrap(), format!("{own}\n{lines}"));
    }
    assert_eq!(fs::metadata(&inittab).unwrap().permissions().mode() & 0o7777, 0o640);

    let more = fs::read_to_string(&inittab).unwrap() + "::askfirst:-/bin/sh\n";
    fs::write(&inittab, &more).unwrap();
    done(run("uninstall", "busybox", &root, &["--dry-run"]));
    assert_eq!(fs::read_to_string(&inittab).unwrap(), more);
    done(run("uninstall", "busybox", &root, &[]));
    assert_eq!(fs::read_to_string(&inittab).unwrap(), format!("{own}\n::askfirst:-/bin/sh\n"));

    // Changed lines are not ours.
    let changed = lines.replace("respawn", "once");
    fs::write(&inittab, &changed).unwrap();
    done(run("uninstall", "busybox", &root, &[]));
    assert_eq!(fs::read_to_string(&inittab).unwrap(), changed);
}

/// Without a name, what runs is looked for; what that is, tests/init tries.
#[test]
fn a_system_that_is_none_of_those_known_is_named() {
    if !is_root() {
        return skip("it needs root");
    }
    // Process 1 is a shell there.
    let script = "mount -t tmpfs none /run && \"$0\" install --dry-run; exit $?";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", script]);
    let told = refused(command.arg(env!("CARGO_BIN_EXE_dogwatch")).output().unwrap(), 2);
    assert!(told.contains("none of those known; --init takes one of: systemd, "), "{told}");
}
