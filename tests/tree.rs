//! The watch tree: configured paths that come and go, lost events, and races that a slow daemon loses nothing by.

mod common;

use common::{Daemon, Scratch, await_task, await_watch, comes_true, is_root, scheduled, skip, wait_until};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

/// One scheduler `run` with a delay of an hour: its log tells what was seen.
fn config(map: &str, watch: &str) -> String {
    format!(
        "[scheduler run]\nexec = /bin/echo {{maskname}} {{pathname}}\ndelay = 1h\n[event_map map]\n{map}\n\
         [watch all]\npath = @SRC\nevent_map = map\nrec = yes\nauto_add = yes\n{watch}\n"
    )
}

const CLOSES: &str = "IN_CLOSE_WRITE = run";

#[test]
fn a_path_that_is_made_later_is_watched_then() {
    let scratch = Scratch::new();
    let watch = "path = @DIR/later/on/here";
    let daemon = scratch.start(&config(CLOSES, watch));
    daemon.await_log("here: No such file or directory; it is waited for");
    let dir = scratch.path("later/on/here");
    fs::create_dir_all(&dir).unwrap();
    await_watch(&daemon, &dir);
    assert_eq!(daemon.log().matches("waited for").count(), 1, "told once:\n{}", daemon.log());
}

#[test]
fn a_path_that_is_removed_and_made_again_is_watched_again() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config(CLOSES, ""));
    for _ in 0..3 {
        fs::remove_dir_all(scratch.src()).unwrap();
        fs::create_dir(scratch.src()).unwrap();
    }
    await_watch(&daemon, &scratch.src());
}

#[test]
fn a_path_that_is_replaced_by_rename_leads_to_the_new_directory() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config(CLOSES, ""));
    fs::create_dir(scratch.path("new")).unwrap();
    fs::rename(scratch.src(), scratch.path("old")).unwrap();
    fs::rename(scratch.path("new"), scratch.src()).unwrap();
    await_watch(&daemon, &scratch.src());
    fs::write(scratch.path("old/f"), "x").unwrap();
    fs::write(scratch.src().join("sentinel"), "x").unwrap();
    await_task(&daemon, &scratch.src().join("sentinel"));
    assert!(!daemon.log().contains("/f:"), "the old one is not watched:\n{}", daemon.log());
}

#[test]
fn a_directory_on_the_way_may_be_renamed() {
    let scratch = Scratch::new();
    let dir = scratch.path("way/to/here");
    fs::create_dir_all(&dir).unwrap();
    let daemon = scratch.start(&config(CLOSES, "path = @DIR/way/to/here"));
    fs::rename(scratch.path("way"), scratch.path("elsewhere")).unwrap();
    fs::write(scratch.path("elsewhere/to/here/f"), "x").unwrap();
    fs::create_dir_all(&dir).unwrap();
    await_watch(&daemon, &dir);
    assert!(!daemon.log().contains("here/f:"), "what moved away is not watched:\n{}", daemon.log());
    // And back again.
    fs::remove_dir_all(scratch.path("way")).unwrap();
    fs::rename(scratch.path("elsewhere"), scratch.path("way")).unwrap();
    await_watch(&daemon, &dir);
}

#[test]
fn a_link_on_the_way_may_be_changed() {
    let scratch = Scratch::new();
    for dir in ["one", "two"] {
        fs::create_dir(scratch.path(dir)).unwrap();
    }
    symlink("one", scratch.path("link")).unwrap();
    let daemon = scratch.start(&config(CLOSES, "path = @DIR/link\npath = @DIR/other"));
    await_watch(&daemon, &scratch.path("link"));
    symlink("two", scratch.path("next")).unwrap();
    fs::rename(scratch.path("next"), scratch.path("link")).unwrap();
    fs::write(scratch.path("two/f"), "x").unwrap();
    await_watch(&daemon, &scratch.path("link"));
    assert!(scratch.path("two/probe1").exists());
}

#[test]
fn a_file_that_is_made_later_is_watched_then() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config(CLOSES, "path = @DIR/single"));
    fs::write(scratch.path("single"), "x").unwrap();
    await_task(&daemon, &scratch.path("single"));
}

#[test]
fn mounts_over_watched_directories_are_followed() {
    if !is_root() {
        return skip("mounting needs root");
    }
    let scratch = Scratch::new();
    let (below, root) = (scratch.src().join("sub"), scratch.path("root"));
    fs::create_dir(&below).unwrap();
    fs::create_dir(&root).unwrap();
    let daemon = scratch.start(&config(CLOSES, "path = @DIR/root"));
    for point in [&below, &root] {
        if let Err(error) = mount("none", point, "tmpfs", MountFlags::empty(), None) {
            return skip(&format!("tmpfs cannot be mounted: {error}"));
        }
    }
    let on_top = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        await_watch(&daemon, &below);
        await_watch(&daemon, &root);
    }));
    let busy = [&below, &root].map(|point| {
        let free = comes_true(Duration::from_secs(10), || unmount(point, UnmountFlags::empty()).is_ok());
        if !free {
            unmount(point, UnmountFlags::DETACH).unwrap();
        }
        !free
    });
    assert!(on_top.is_ok(), "the mounted file systems are not watched:\n{}", daemon.log());
    assert_eq!(busy, [false, false], "dogwatch keeps a file system busy");
    for point in [&below, &root] {
        let file = point.join("underneath");
        let seen = comes_true(Duration::from_secs(20), || {
            fs::write(&file, "x").unwrap();
            scheduled(&daemon.log()).contains(file.to_str().unwrap())
        });
        assert!(seen, "{} is not watched after umount:\n{}", point.display(), daemon.log());
    }
}

#[test]
fn existing_files_count_if_asked_for() {
    for existing in ["yes", "no"] {
        let scratch = Scratch::new();
        fs::create_dir(scratch.src().join("sub")).unwrap();
        fs::write(scratch.src().join("sub/old"), "x").unwrap();
        let mut open = File::create(scratch.src().join("open")).unwrap();
        let daemon = scratch.start(&config(CLOSES, &format!("existing = {existing}")));
        fs::write(scratch.src().join("new"), "x").unwrap();
        await_task(&daemon, &scratch.src().join("new"));
        let seen = scheduled(&daemon.log());
        assert_eq!(seen.contains(scratch.src().join("sub/old").to_str().unwrap()), existing == "yes");
        // Somebody has it open for writing: its own close counts, in either case.
        assert!(!seen.contains(scratch.src().join("open").to_str().unwrap()), "{}", daemon.log());
        open.write_all(b"x").unwrap();
        drop(open);
        await_task(&daemon, &scratch.src().join("open"));
    }
}

/// IN_CREATE cancels and IN_CLOSE_WRITE schedules: what a scan finds comes in the kernel's order.
#[test]
fn a_file_found_by_a_scan_is_created_before_it_is_closed() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config("IN_CREATE, IN_MODIFY = cancel run\nIN_CLOSE_WRITE = run", ""));
    for n in 0..50 {
        daemon.signal(Signal::STOP);
        let dir = scratch.src().join(format!("d{n}"));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("f"), "x").unwrap();
        daemon.signal(Signal::CONT);
    }
    for n in 0..50 {
        await_task(&daemon, &scratch.src().join(format!("d{n}/f")));
    }
    assert!(!daemon.log().contains("cancelled"), "{}", daemon.log());
}

/// A directory above is renamed between a directory's IN_CREATE and its scan. Whatever the path under which a file was
/// met first, in the end each has its one task, under the path that it has.
#[test]
fn a_rename_above_a_new_directory_loses_nothing() {
    let scratch = Scratch::new();
    let daemon =
        scratch.start(&format!("[daemon]\nshutdown_timeout = 0\non_shutdown = cancel\n{}", config(CLOSES, "")));
    let mut expected = BTreeSet::new();
    for n in 0..500 {
        let (old, new) = (scratch.src().join(format!("t{n}")), scratch.src().join(format!("f{n}")));
        fs::create_dir_all(old.join("sub")).unwrap();
        fs::rename(&old, &new).unwrap();
        fs::write(new.join("sub/file"), "x").unwrap();
        expected.insert(new.join("sub/file").display().to_string());
    }
    let complete = comes_true(Duration::from_secs(20), || {
        let met = scheduled(&daemon.log());
        (0..500).all(|n| {
            ["t", "f"]
                .iter()
                .any(|old| met.contains(scratch.src().join(format!("{old}{n}/sub/file")).to_str().unwrap()))
        })
    });
    let log = daemon.stop();
    assert!(complete, "files were lost:\n{log}");
    let ends = log.lines().filter(|line| line.contains(": cancelled: dogwatch ends"));
    let paths = ends.filter_map(|line| line.split_once("#")?.1.split(' ').nth(2));
    assert_eq!(paths.map(|path| path.trim_end_matches(':').to_owned()).collect::<BTreeSet<_>>(), expected);
}

/// rec without auto_add: what was there at the start is watched wherever in the tree it goes.
#[test]
fn a_renamed_directory_stays_watched_without_auto_add() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.src().join("old")).unwrap();
    let daemon = scratch.start(&config(CLOSES, "").replace("auto_add = yes", "auto_add = no"));
    fs::rename(scratch.src().join("old"), scratch.src().join("new")).unwrap();
    fs::write(scratch.src().join("new/f"), "x").unwrap();
    await_task(&daemon, &scratch.src().join("new/f"));
}

/// Two configured paths lead to one directory by a link: each rename is one under each of both.
#[test]
fn renames_below_two_paths_to_one_directory_stay_apart() {
    let scratch = Scratch::new();
    symlink(scratch.src(), scratch.path("link")).unwrap();
    fs::create_dir(scratch.src().join("x")).unwrap();
    let daemon = scratch.start(&config(CLOSES, "path = @DIR/link"));
    fs::rename(scratch.src().join("x"), scratch.src().join("y")).unwrap();
    fs::write(scratch.src().join("y/f"), "x").unwrap();
    for dir in [scratch.src(), scratch.path("link")] {
        await_task(&daemon, &dir.join("y/f"));
    }
    assert_eq!(scheduled(&daemon.log()).len(), 2, "{}", daemon.log());
}

/// The daemon is stopped while more happens than its queue holds. Afterwards it knows where everything is.
#[test]
fn an_overflow_is_recovered_from() {
    let scratch = Scratch::new();
    let src = scratch.src();
    for dir in ["a/deep", "b", "gone", "noise"] {
        fs::create_dir_all(src.join(dir)).unwrap();
    }
    let daemon = scratch.start(&config("IN_CLOSE_WRITE = run\nIN_DELETE = cancel run", ""));
    for file in ["a/deep/task", "b/task", "gone/task"] {
        fs::write(src.join(file), "x").unwrap();
        await_task(&daemon, &src.join(file));
    }
    daemon.signal(Signal::STOP);
    common::fill_the_queue(&src.join("noise"));
    // None of this is in the queue: a and b change places, one is removed, one is new, a file is removed.
    fs::rename(src.join("a"), src.join("tmp")).unwrap();
    fs::rename(src.join("b"), src.join("a")).unwrap();
    fs::rename(src.join("tmp"), src.join("b")).unwrap();
    fs::remove_dir_all(src.join("gone")).unwrap();
    fs::remove_file(src.join("a/task")).unwrap();
    fs::create_dir(src.join("new")).unwrap();
    fs::write(src.join("new/file"), "x").unwrap();
    fs::write(src.join("b/deep/late"), "x").unwrap();
    daemon.signal(Signal::CONT);
    daemon.await_log("the event queue overflowed");
    for file in ["new/file", "b/deep/late"] {
        await_task(&daemon, &src.join(file));
    }
    // The task of a/deep/task has moved to b/deep/task, and its deletion there cancels it.
    for (file, gone) in [("a/task", false), ("gone/task", false), ("b/deep/task", true)] {
        if gone {
            fs::remove_file(src.join(file)).unwrap();
        }
        daemon.await_log(&format!("IN_CLOSE_WRITE {}", src.join(file).display()));
        let line = format!("{}: cancelled", src.join(file).display());
        let found = format!("{} (found by a scan): cancelled", src.join(file).display());
        let told =
            comes_true(Duration::from_secs(20), || daemon.log().contains(&line) || daemon.log().contains(&found));
        assert!(told, "the task of {file} was not cancelled:\n{}", daemon.log());
    }
    fs::write(src.join("a/after"), "x").unwrap();
    await_task(&daemon, &src.join("a/after"));
    fs::write(src.join("b/deep/after"), "x").unwrap();
    await_task(&daemon, &src.join("b/deep/after"));
}

/// The name of a new directory is taken again before it was scanned: each keeps its own watch and path.
#[test]
fn a_name_that_is_taken_again_at_once_leads_nobody_astray() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config(CLOSES, ""));
    for n in 0..400 {
        let (old, new) = (scratch.src().join(format!("n{n}")), scratch.src().join(format!("x{n}")));
        fs::create_dir(&old).unwrap();
        fs::rename(&old, &new).unwrap();
        fs::create_dir(&old).unwrap();
    }
    fs::write(scratch.src().join("sentinel"), "x").unwrap();
    await_task(&daemon, &scratch.src().join("sentinel"));
    // What is verified after the last rename may take a moment more.
    for n in (0..400).rev() {
        for name in ["n", "x"] {
            await_watch(&daemon, &scratch.src().join(format!("{name}{n}")));
        }
    }
    for path in scheduled(&daemon.log()).iter().filter(|path| path.contains("probe")) {
        assert!(Path::new(path).exists(), "{path} is told of, and is not there");
    }
}

/// A configured path lies in another's tree, and goes out of it with what is below.
#[test]
fn a_nested_path_that_moves_out_takes_nothing_with_it() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.src().join("d/sub")).unwrap();
    let daemon = scratch.start(&config(CLOSES, "path = @SRC/d"));
    fs::rename(scratch.src().join("d"), scratch.path("outside")).unwrap();
    fs::write(scratch.src().join("sentinel"), "x").unwrap();
    await_task(&daemon, &scratch.src().join("sentinel"));
    await_log_without(&daemon, || fs::write(scratch.path("outside/sub/f"), "x").unwrap(), &scratch, "sub/f");
    fs::create_dir_all(scratch.src().join("d/sub")).unwrap();
    await_watch(&daemon, &scratch.src().join("d/sub"));
}

/// Does something, then waits for a further file's task: nothing of `words` may have been told by then.
#[track_caller]
fn await_log_without(daemon: &Daemon, something: impl FnOnce(), scratch: &Scratch, words: &str) {
    // The scans that the daemon still owes come before this one.
    fs::write(scratch.src().join("before"), "x").unwrap();
    await_task(daemon, &scratch.src().join("before"));
    something();
    fs::write(scratch.src().join("after"), "x").unwrap();
    await_task(daemon, &scratch.src().join("after"));
    assert!(!daemon.log().contains(words), "{}", daemon.log());
}

#[test]
fn a_path_is_not_forgotten_when_the_directory_above_goes_too() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.src().join("p")).unwrap();
    fs::write(scratch.src().join("p/f"), "x").unwrap();
    fs::create_dir_all(scratch.path("x/y/here")).unwrap();
    let daemon =
        scratch.start(&config(CLOSES, "path = @DIR/x/y/here\n[watch single]\nevent_map = map\npath = @SRC/p/f"));
    for dir in ["x/y/here", "x/y"] {
        fs::remove_dir(scratch.path(dir)).unwrap();
        let sentinel = scratch.src().join(format!("sentinel{}", dir.len()));
        fs::write(&sentinel, "x").unwrap();
        await_task(&daemon, &sentinel);
    }
    fs::remove_dir_all(scratch.src().join("p")).unwrap();
    fs::create_dir_all(scratch.path("x/y/here")).unwrap();
    await_watch(&daemon, &scratch.path("x/y/here"));
    fs::create_dir(scratch.src().join("p")).unwrap();
    fs::write(scratch.src().join("p/f"), "x").unwrap();
    await_task(&daemon, &scratch.src().join("p/f"));
}

/// One directory under two paths, and one of them is only on the way to something: the other's events go on.
#[test]
fn a_directory_on_the_way_of_one_path_and_watched_by_another_is_heard() {
    let scratch = Scratch::new();
    symlink(scratch.src(), scratch.path("link")).unwrap();
    let daemon = scratch.start(&config(CLOSES, "[watch sub]\nevent_map = map\npath = @DIR/link/sub"));
    fs::create_dir(scratch.src().join("sub")).unwrap();
    await_watch(&daemon, &scratch.path("link/sub"));
    fs::write(scratch.src().join("f"), "x").unwrap();
    await_task(&daemon, &scratch.src().join("f"));
}

/// auto_add without rec: what was there at the start is no news after an overflow either.
#[test]
fn an_overflow_makes_no_old_directory_new() {
    let scratch = Scratch::new();
    let src = scratch.src();
    fs::create_dir_all(src.join("old/deep")).unwrap();
    fs::write(src.join("old/f"), "x").unwrap();
    let status = std::process::Command::new("touch").args(["-d", "2001-01-01"]).arg(src.join("old")).status().unwrap();
    assert!(status.success());
    // Its ctime has to be older than the 2 s that a recovery looks back.
    let start = std::time::Instant::now();
    common::wait_until("the directory is old", || start.elapsed() > Duration::from_millis(3_200));
    let daemon = scratch.start(&config(CLOSES, "").replace("rec = yes\n", ""));
    daemon.signal(Signal::STOP);
    common::fill_the_queue(&src);
    fs::write(src.join("last"), "x").unwrap();
    daemon.signal(Signal::CONT);
    await_task(&daemon, &src.join("last"));
    await_log_without(&daemon, || fs::write(src.join("old/g"), "x").unwrap(), &scratch, "/old");
}

/// The daemon is slow, and the path comes back with something in it: that is new, whatever `existing` says.
#[test]
fn a_path_that_comes_back_loses_nothing() {
    for (rec, auto_add) in [("yes", "no"), ("no", "yes"), ("yes", "yes")] {
        let scratch = Scratch::new();
        let flags = format!("rec = {rec}\nauto_add = {auto_add}");
        let daemon = scratch.start(&config(CLOSES, "").replace("rec = yes\nauto_add = yes", &flags));
        daemon.signal(Signal::STOP);
        fs::remove_dir_all(scratch.src()).unwrap();
        fs::create_dir_all(scratch.src().join("sub")).unwrap();
        let files = ["f", "sub/g"].map(|name| scratch.src().join(name));
        for file in &files {
            fs::write(file, "x").unwrap();
        }
        // Longer than the 2 s that are looked back from the present.
        let start = std::time::Instant::now();
        common::wait_until("some time has passed", || start.elapsed() > Duration::from_millis(3_200));
        daemon.signal(Signal::CONT);
        for file in &files {
            await_task(&daemon, file);
        }
        await_watch(&daemon, &scratch.src().join("sub"));
    }
}

/// A hard link's writer may have opened it by another name, whose close is told there: the scan does not wait for it.
#[test]
fn a_new_name_of_a_file_that_is_written_to_by_its_other_name_is_told_of() {
    let scratch = Scratch::new();
    let daemon = scratch.start(&config(CLOSES, ""));
    fs::create_dir(scratch.path("outside")).unwrap();
    let mut writer = File::create(scratch.path("original")).unwrap();
    let _own = File::create(scratch.path("outside/own")).unwrap();
    fs::hard_link(scratch.path("original"), scratch.path("outside/link")).unwrap();
    fs::rename(scratch.path("outside"), scratch.src().join("in")).unwrap();
    await_task(&daemon, &scratch.src().join("in/link"));
    writer.write_all(b"more").unwrap();
    assert!(!daemon.log().contains("in/own (found by a scan): scheduled"), "its own close is still to come");
}

/// A configured path that is a link: its target may be missing, go and come back, be replaced, or go with what is above it.
#[test]
fn what_happens_to_a_links_target_is_noticed() {
    let scratch = Scratch::new();
    let (link, target) = (scratch.path("link"), scratch.path("far/away/target"));
    symlink("far/away/target", &link).unwrap();
    let daemon = scratch.start(&config(CLOSES, "path = @DIR/link"));
    daemon.await_log("link: No such file or directory; it is waited for");
    fs::create_dir_all(&target).unwrap();
    await_watch(&daemon, &link);
    for _ in 0..3 {
        fs::remove_dir_all(&target).unwrap();
        fs::create_dir(&target).unwrap();
        await_watch(&daemon, &link);
    }
    fs::rename(scratch.path("far"), scratch.path("gone")).unwrap();
    fs::create_dir_all(&target).unwrap();
    await_watch(&daemon, &link);
    if !is_root() {
        return skip("mounting needs root");
    }
    mount("none", &target, "tmpfs", MountFlags::empty(), None).unwrap();
    let on_top = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| await_watch(&daemon, &link)));
    unmount(&target, UnmountFlags::DETACH).unwrap();
    assert!(on_top.is_ok(), "the mounted file system is not watched:\n{}", daemon.log());
}

/// A command whose own work wakes it: one warning names the path, and others have their turn meanwhile.
#[test]
fn a_command_that_wakes_itself_is_throttled() {
    let scratch = Scratch::new();
    let daemon = scratch.start(
        "[scheduler loop]\ncmd = echo x >>{pathname}; echo {name}\noutput = inherit\n[event_map m]\nIN_CLOSE_WRITE = loop\n\
         [watch w]\npath = @SRC\nevent_map = m\n",
    );
    let path = scratch.src().join("f");
    fs::write(&path, "x").unwrap();
    daemon.await_log("its own job seems to wake it");
    let runs = daemon.log().matches("f: started").count();
    assert!(runs <= 12, "{runs} runs before it was told");
    fs::write(scratch.src().join("g"), "x").unwrap();
    daemon.await_out("g\n");
    // It goes on, more slowly.
    wait_until("it runs once more", || daemon.log().matches("f: started").count() > runs);
    assert_eq!(daemon.log().matches(&format!("{}: its own job", path.display())).count(), 1);
}

/// Names that dogwatch gives to what is not whole yet are nobody's business.
#[test]
fn names_of_dogwatchs_own_do_not_count() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.src().join(".dogwatch-old")).unwrap();
    let daemon = scratch.start(&config("IN_CREATE, IN_CLOSE_WRITE, IN_MOVED_TO = run", "existing = yes\n"));
    for name in [".dogwatch-new/f", ".dogwatch-old/f"] {
        fs::create_dir_all(scratch.src().join(name).parent().unwrap()).unwrap();
        fs::write(scratch.src().join(name), "x").unwrap();
    }
    fs::write(scratch.src().join(".dogwatch-1"), "x").unwrap();
    fs::rename(scratch.src().join(".dogwatch-1"), scratch.src().join("whole")).unwrap();
    fs::rename(scratch.src().join(".dogwatch-new"), scratch.src().join("tree")).unwrap();
    await_task(&daemon, &scratch.src().join("whole"));
    await_task(&daemon, &scratch.src().join("tree/f"));
    assert!(!daemon.log().contains(".dogwatch-"), "{}", daemon.log());
}
