//! `dogwatch check`, and what the daemon does with a configuration that it does not like.

mod common;

use common::{Scratch, dogwatch, is_root, skip};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Output;

const GOOD: &str = "[scheduler a]\ncmd = x\n[event_map m]\nIN_CREATE = a\n[watch w]\npath = /nowhere\nevent_map = m\n";

fn run(command: &str, config: &Path) -> Output {
    dogwatch().arg(command).arg("-c").arg(config).output().unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_good_configuration_is_ok() {
    let scratch = Scratch::new();
    let output = run("check", &scratch.config(GOOD));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "configuration OK\n");
    assert_eq!(errors(&output), "");
}

#[test]
fn warnings_are_told_and_are_no_failure() {
    let scratch = Scratch::new();
    let path = scratch.config(&GOOD.replace("IN_CREATE", "default"));
    let output = run("check", &path);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "configuration OK, with 1 warning\n");
    assert!(errors(&output).starts_with(&format!("{}:4:1: warning: ", path.display())), "{}", errors(&output));
}

#[test]
fn all_errors_are_told_at_once_and_nothing_starts() {
    let scratch = Scratch::new();
    let path = scratch.config(&GOOD.replace("cmd = x", "cmd = x '{pathname}'\ndealy = 3").replace("= a", "= b"));
    for command in ["check", "daemon"] {
        let output = run(command, &path);
        assert_eq!(output.status.code(), Some(1));
        let expected = format!(
            "{0}:2:10: error: a placeholder inside single quotes\n 2 | cmd = x '{{pathname}}'\n   |          ^~~~~~~~~~\n   \
             = take it out of the quotes: it becomes one word whatever its value is\n\
             {0}:3:1: error: unknown key \"dealy\" in [scheduler]\n 3 | dealy = 3\n   | ^~~~~\n   \
             = did you mean \"delay\"? expected one of: archive, cmd, delay, dirs, exec, files, job, level, logname, max_jobs, \
             max_wait, on_busy, on_failure, output, rules, singlejob, then, timeout, user\n\
             {0}:5:13: error: there is no [scheduler b]\n 5 | IN_CREATE = b\n   |             ^\n   = expected one of: a\n\
             dogwatch: 3 errors in the configuration\n",
            path.display()
        );
        assert_eq!(errors(&output), expected);
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn drop_ins_are_read_in_the_order_of_their_names() {
    let scratch = Scratch::new();
    let path = scratch.config(GOOD);
    fs::create_dir(scratch.path("conf.d")).unwrap();
    for (name, text) in [
        ("b.conf", "[daemon]\nmax_jobs = 0\n"),
        ("a.conf", "[scheduler a]\ncmd = y\n"),
        (".hidden.conf", "nonsense"),
        ("old.conf.bak", "nonsense"),
    ] {
        fs::write(scratch.path("conf.d").join(name), text).unwrap();
    }
    let text = errors(&run("check", &path));
    let (first, second) = (
        text.find("conf.d/a.conf:1:1: error: [scheduler a] stands here a second time"),
        text.find("conf.d/b.conf:2:12: error"),
    );
    assert!(first.is_some() && first < second, "{text}");
    assert!(text.ends_with("dogwatch: 2 errors in the configuration\n"), "{text}");
}

/// Relative paths are relative to where dogwatch was started, drop-ins included.
#[test]
fn the_path_may_be_relative_and_of_any_bytes() {
    let scratch = Scratch::new();
    let name = common::name(b"caf\xe9 \xf0\x9f\x90\x95.conf");
    fs::rename(scratch.config(GOOD), scratch.path(name)).unwrap();
    fs::create_dir(scratch.path("conf.d")).unwrap();
    fs::write(scratch.path("conf.d/x.conf"), "nonsense\n").unwrap();
    let output = dogwatch().args(["check", "-c"]).arg(name).current_dir(scratch.path("")).output().unwrap();
    assert!(
        errors(&output).starts_with("conf.d/x.conf:1:1: error: neither a section nor a key"),
        "{}",
        errors(&output)
    );
}

#[test]
fn what_cannot_be_read_is_told_with_the_reason() {
    let scratch = Scratch::new();
    let output = run("check", &scratch.path("missing"));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        errors(&output)
            .contains(&format!("cannot read {}: No such file or directory", scratch.path("missing").display()))
    );
    let output = run("check", &scratch.src());
    assert_eq!(output.status.code(), Some(1));
    let output = run("check", Path::new("/dev/zero"));
    assert_eq!(output.status.code(), Some(1), "a file without an end is given up");
}

#[test]
fn pyinotifyds_configuration_is_recognised() {
    let scratch = Scratch::new();
    let output = run("check", &scratch.config("#!/usr/bin/python\nimport logging\n\npyinotifyd = Pyinotifyd()\n"));
    let text = errors(&output);
    assert!(text.contains("2:1: error: this is a configuration of pyinotifyd, written in Python"), "{text}");
    assert!(text.contains("dogwatch.conf(5), MIGRATION"), "{text}");
}

/// As root, what others may write to is refused; sticky directories of root's are not.
#[test]
fn as_root_what_others_may_write_is_refused() {
    if !is_root() {
        return skip("needs root: others' configurations are refused to root only");
    }
    let refused = |change: &dyn Fn(&Scratch), reason: &str| {
        let scratch = Scratch::new();
        let path = scratch.path("etc");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("dogwatch.conf"), GOOD).unwrap();
        change(&scratch);
        let output = run("check", &path.join("dogwatch.conf"));
        let text = errors(&output);
        assert_eq!(output.status.code(), Some(if reason.is_empty() { 0 } else { 1 }), "{reason}: {text}");
        assert!(text.contains(reason), "{reason}: {text}");
    };
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let file = |scratch: &Scratch| scratch.path("etc/dogwatch.conf");
    let dir = |scratch: &Scratch| scratch.path("etc");
    refused(&|_| {}, "");
    refused(&|s| mode(&file(s), 0o666), "it can be written by everybody (mode 0666)");
    refused(&|s| mode(&file(s), 0o660), "it can be written by its group (mode 0660)");
    refused(&|s| chown(file(s), Some(1), None).unwrap(), "it belongs to user 1");
    refused(&|s| mode(&dir(s), 0o775), "the directory \"etc\" on its way can be written by its group (mode 0775)");
    refused(&|s| mode(&dir(s), 0o1777), "");
    refused(&|s| chown(dir(s), Some(1), None).unwrap(), "the directory \"etc\" on its way belongs to user 1");
    // A link to elsewhere is followed, and the way there is looked at as well.
    refused(
        &|s| {
            fs::create_dir(s.path("open")).unwrap();
            fs::rename(file(s), s.path("open/real")).unwrap();
            symlink("../open/real", file(s)).unwrap();
            mode(&s.path("open"), 0o777);
        },
        "the directory \"open\" on its way can be written by everybody",
    );
    refused(
        &|s| {
            fs::rename(file(s), s.path("real")).unwrap();
            symlink(s.path("real"), file(s)).unwrap();
        },
        "",
    );
    // A link that another user made, as anybody can in a sticky directory.
    refused(
        &|s| {
            fs::rename(file(s), s.path("real")).unwrap();
            symlink(s.path("real"), file(s)).unwrap();
            std::os::unix::fs::lchown(file(s), Some(1), None).unwrap();
        },
        "a link on its way belongs to user 1",
    );
    refused(
        &|s| {
            fs::create_dir(s.path("etc/conf.d")).unwrap();
            chown(s.path("etc/conf.d"), Some(1), None).unwrap();
        },
        "etc/conf.d: it belongs to user 1",
    );
    refused(
        &|s| {
            fs::remove_file(file(s)).unwrap();
            symlink("dogwatch.conf", file(s)).unwrap();
        },
        "ymbolic link", // glibc: "Too many levels of symbolic links", musl: "Symbolic link loop"
    );
    refused(
        &|s| {
            fs::create_dir(s.path("etc/conf.d")).unwrap();
            fs::write(s.path("etc/conf.d/x.conf"), "").unwrap();
            mode(&s.path("etc/conf.d/x.conf"), 0o646);
        },
        "etc/conf.d/x.conf: it can be written by everybody",
    );
}

#[test]
fn wrong_usage_exits_with_2() {
    for (arguments, words) in [
        (&["deamon"][..], "there is no command \"deamon\"; did you mean \"daemon\"?\n"),
        (&[], "usage: dogwatch COMMAND"),
        (&["check", "--colour"], "usage: dogwatch check [-c FILE]"),
        (&["check", "x"], "\"x\" is one argument too many"),
        (&["daemon", "-c"], "usage: dogwatch daemon"),
        (&["version", "x"], "usage: dogwatch version"),
    ] {
        let output = dogwatch().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(errors(&output).contains(words), "{arguments:?}: {}", errors(&output));
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    for (arguments, words) in [
        (&["help"][..], "    daemon "),
        (&["--help"], "    check "),
        (&["help", "daemon"], "--debug"),
        (&["daemon", "--help"], "usage: dogwatch daemon [-c FILE] [-d]"),
        (&["check", "-h"], "--config FILE"),
        (&["version"], concat!("dogwatch ", env!("CARGO_PKG_VERSION"))),
        (&["--version"], "dogwatch "),
    ] {
        let output = dogwatch().args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!((output.status.code(), errors(&output).as_str()), (Some(0), ""), "{arguments:?}");
        assert!(text.contains(words), "{arguments:?}: {text}");
    }
}

#[test]
fn every_help_fits_80_columns() {
    let help = |words: &[&str]| String::from_utf8(dogwatch().arg("help").args(words).output().unwrap().stdout).unwrap();
    let overview = help(&[]);
    let commands: Vec<&str> =
        overview.lines().filter_map(|line| line.strip_prefix("    ")?.split_whitespace().next()).collect();
    assert!(commands.len() >= 9, "{overview}");
    let list = String::from_utf8(dogwatch().arg("list-events").output().unwrap().stdout).unwrap();
    for text in [overview.clone(), list].into_iter().chain(commands.iter().map(|command| help(&[command]))) {
        assert!(text.lines().count() > 1 && text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}

#[test]
fn a_closed_standard_output_ends_quietly() {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    drop(reader);
    let output = dogwatch().arg("help").stdout(writer).stderr(std::process::Stdio::piped()).output().unwrap();
    assert_eq!((output.status.code(), errors(&output).as_str()), (Some(0), ""));
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = dogwatch().arg("help").stdout(full).stderr(std::process::Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("cannot write to standard output: No space left on device"));
}
