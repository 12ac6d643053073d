//! What the configuration means, and every way in which it can be wrong.

use super::*;
use crate::engine::rule::{Access, Action as Does};
use crate::engine::task::{Action, Verb};
use crate::engine::watch::WatchPath;
use crate::jobs::command::Line;
use crate::parts::log::{Route, Target};
use crate::parts::pattern::Pattern;
use crate::sources::collect::{self, Settings};
use crate::sys::inotify::Mask;

fn source(text: &str) -> Source {
    Source { path: b"x.conf".to_vec(), text: text.as_bytes().to_vec() }
}

fn own_jobs() -> [String; 2] {
    ["count", "sum"].map(str::to_owned)
}

fn good(text: &str) -> Config {
    match parse(&[source(text)], &Accounts::default(), &own_jobs()) {
        Ok(loaded) => loaded.config,
        Err(refused) => panic!("{}", refused.complaints.concat()),
    }
}

/// The first lines of all complaints, without the file's name.
fn complaints(text: &str) -> Vec<String> {
    let all = match parse(&[source(text)], &Accounts::default(), &own_jobs()) {
        Ok(loaded) => loaded.warnings,
        Err(refused) => refused.complaints,
    };
    let first = |text: &String| text.lines().next().unwrap_or_default().trim_start_matches("x.conf:").to_owned();
    all.iter().map(first).collect()
}

/// The rest of a configuration around one line of a scheduler.
fn with_scheduler(line: &str) -> String {
    format!("[scheduler a]\n{line}\n[event_map m]\nIN_CREATE = a\n[watch w]\npath = /s\nevent_map = m\n")
}

const REST: &str = "[scheduler a]\ncmd = x\n[watch w]\npath = /s\nevent_map = m\n[event_map m]\n";

#[test]
fn every_key_arrives_where_it_belongs() {
    let config = good(
        "# a comment\n[daemon]\nshutdown_timeout = 2m\nmax_jobs = 7\nrun_dir = /run/x\nstate_dir = /lib/x y\nlog = stderr warning\nloglevel.notify = debug\n\
         [scheduler inbox]\ncmd = run {pathname}\ndelay = 60\nfiles = no\ndirs = yes\nsinglejob = true\n\
         [scheduler other]\nexec = /bin/x {name}\nlogname = notify\n\
         [event_map settle]\nIN_CLOSE_WRITE, moved_to = inbox, cancel other\nIN_MODIFY = cancel inbox\nIN_ACCESS = none\n\
         [watch src]\npath = //src//path/\npath = /etc/motd\nevent_map = settle\nrec = yes\nauto_add = yes\nexisting = yes\nexclude = ^/src/\\.git(/|$)\n",
    );
    assert_eq!((config.shutdown_timeout, config.max_jobs, config.level), (Millis(120_000), 7, Level::Warning));
    let places = Places { run: Some(b"/run/x".to_vec()), state: Some(b"/lib/x y".to_vec()) };
    assert_eq!(config.places, places);
    let [inbox, other] = &config.schedulers[..] else { panic!("two schedulers") };
    let Work::Command(command) = &inbox.work else { panic!("a command") };
    assert_eq!(command.line, Line::Shell(b"run \"$DOGWATCH_PATHNAME\"".to_vec()));
    let rules = task::Scheduler {
        delay: Millis(60_000),
        files: false,
        dirs: true,
        singlejob: true,
        notes: Level::Warning,
        ..task::Scheduler::default()
    };
    assert_eq!((inbox.rules.clone(), inbox.logname.as_str()), (rules, "inbox"));
    assert_eq!((other.logname.as_str(), other.rules.notes, other.rules.files), ("notify", Level::Debug, true));
    let map = &config.maps[0];
    let schedule = Action { scheduler: 0, verb: Verb::Schedule };
    assert_eq!(map.actions(Mask::MOVED_TO), [schedule, Action { scheduler: 1, verb: Verb::Cancel }]);
    assert_eq!(map.actions(Mask::MODIFY), [Action { scheduler: 0, verb: Verb::Cancel }]);
    assert_eq!(map.used(), Mask::CLOSE_WRITE.with(Mask::MOVED_TO).with(Mask::MODIFY));
    let paths = [&b"/src/path"[..], b"/etc/motd"].map(WatchPath::from).to_vec();
    let exclude = vec![Pattern::new(b"^/src/\\.git(/|$)").unwrap()];
    let name = "src".to_owned();
    assert_eq!(
        config.watches,
        [Watch { name, paths, map: 0, rec: true, auto_add: true, existing: true, tidied: false, exclude }]
    );
}

#[test]
fn a_job_of_the_programs_own_is_known_if_it_is_registered() {
    assert_eq!(good(&with_scheduler("job = count\ntimeout = 1")).schedulers[0].work, Work::Own("count".to_owned()));
    let text = |jobs: &[String]| {
        let refused = parse(&[source(&with_scheduler("job = cuont"))], &Accounts::default(), jobs).err().unwrap();
        refused.complaints.concat()
    };
    let (some, none) = (text(&own_jobs()), text(&[]));
    assert!(some.contains("did you mean \"count\"? expected one of: count, sum"), "{some}");
    assert!(none.contains("this program has no jobs of its own: they are written in Rust"), "{none}");
}

#[test]
fn defaults_are_those_of_the_manual() {
    let config = good(&with_scheduler("cmd = x"));
    assert_eq!((config.shutdown_timeout, config.max_jobs, config.level), (Millis(30_000), 4, Level::Info));
    assert_eq!(config.schedulers[0].rules, task::Scheduler::default());
    assert!(!config.watches[0].rec && !config.watches[0].auto_add);
}

#[test]
fn default_is_every_event_that_is_not_named() {
    let map = &good(&format!("{REST}default = a\nIN_OPEN = none\n")).maps[0];
    let named = |event| map.actions(event).len();
    assert_eq!(map.used().0.count_ones(), 14);
    assert_eq!((named(Mask::OPEN), named(Mask::IGNORED), named(Mask::Q_OVERFLOW)), (0, 1, 1));
}

/// A collector is a scheduler with a name that no section has, and a watch and a map that wake it.
#[test]
fn every_key_of_a_collector_arrives_where_it_belongs() {
    let config = good(
        "[collector spool]\nbase_dir = //srv//in/\nthreshold = 3\nmax_age = 2h\nkeep = 30\nlevel = 9\nthen = b\non_failure = a\n\
         [collector usual]\nbase_dir = /\n[scheduler a]\ncmd = x\n[scheduler b]\ncmd = x\n[daemon]\nlog.spool = stderr debug\n",
    );
    let [_, _, spool, usual] = &config.schedulers[..] else { panic!("four schedulers") };
    assert_eq!((spool.name.as_str(), spool.logname.as_str()), ("collector spool", "spool"));
    let second = Millis(1_000);
    let rules = task::Scheduler {
        delay: second,
        max_wait: Some(second),
        singlejob: true,
        then: Some(1),
        on_failure: Some(0),
        notes: Level::Debug,
        ..task::Scheduler::default()
    };
    assert_eq!(spool.rules, rules);
    let settings = |scheduler: &Scheduler| {
        let Work::Source(call) = &scheduler.work else { panic!("a source") };
        let settings = Settings::decode(&call.value).unwrap();
        assert_eq!((call.kind, &call.root), (collect::KIND, &settings.base));
        settings
    };
    let wanted = Settings {
        base: b"/srv/in".to_vec(),
        threshold: 3,
        max_age: Some(Millis(7_200_000)),
        keep: Some(30),
        level: 9,
    };
    assert_eq!(settings(spool), wanted);
    let wanted = Settings { base: b"/".to_vec(), threshold: 10, max_age: None, keep: None, level: 6 };
    assert_eq!(settings(usual), wanted);
    let [map, _] = &config.maps[..] else { panic!("two maps") };
    let wakes = [Action { scheduler: 2, verb: Verb::Schedule }];
    assert_eq!(map.used(), Mask::CLOSE_WRITE.with(Mask::MOVED_TO).with(Mask::CREATE));
    assert_eq!(map.actions(Mask::CLOSE_WRITE), wakes);
    let watched: Vec<_> = config.watches.iter().map(|w| (w.name.as_str(), &w.paths[0].base[..], w.map)).collect();
    assert_eq!(watched, [("collector spool", &b"/srv/in/tmp"[..], 0), ("collector usual", b"/tmp", 1)]);
    assert!(config.watches.iter().all(|watch| watch.existing && !watch.rec && !watch.auto_add));
}

#[test]
fn wrong_collectors_are_errors_at_the_value() {
    for (text, complaint) in [
        ("[collector c]\nkeep = 3\n", "1:1: error: [collector c] has no base_dir"),
        ("[collector c]\nbase_dir = srv\n", "2:12: error: \"base_dir\" is no absolute path"),
        ("[collector c]\nbase_dir = /a/../b\n", "2:12: error: this path has no . and .. in it"),
        ("[collector c]\nbase_dir = /a\nthreshold = 0\n", "3:13: error: \"0\" cannot be the value of \"threshold\""),
        ("[collector c]\nbase_dir = /a\nkeep = -1\n", "3:8: error: \"-1\" cannot be the value of \"keep\""),
        ("[collector c]\nbase_dir = /a\nlevel = 0\n", "3:9: error: \"0\" cannot be the value of \"level\""),
        ("[collector c]\nbase_dir = /a\nmax_age = soon\n", "3:11: error: \"soon\" cannot be the value of \"max_age\""),
        ("[collector c]\nbase_dir = /a\nthen = ship\n", "3:8: error: \"ship\" cannot be the value of \"then\""),
        ("[collector c]\nbase_dir = /a\nthen = c\n", "3:8: error: \"c\" cannot be the value of \"then\""),
        ("[collector c]\nbase_dir = /a\nbase_dir = /b\n", "3:1: error: \"base_dir\" stands here a second time"),
        ("[collector c]\nbase_dir = /a\ntreshold = 3\n", "3:1: error: unknown key \"treshold\" in [collector]"),
        ("[collector]\nbase_dir = /a\n", "1:1: error: [collector] needs a name"),
        ("[collector c]\nbase_dir = /a\n[collector c]\nbase_dir = /b\n", "3:1: error: "),
    ] {
        let complaints = complaints(text);
        assert!(complaints.len() == 1 && complaints[0].starts_with(complaint), "{text}{complaints:#?}");
    }
}

#[test]
fn wrong_values_are_errors_at_the_value() {
    for (line, expected) in [
        ("delay = soon\ncmd = x", "2:9: error: \"soon\" cannot be the value of \"delay\""),
        ("files = maybe\ncmd = x", "2:9: error: \"maybe\" cannot be the value of \"files\""),
        ("cmd =", "2:6: error: no command"),
        ("exec =", "2:7: error: no program"),
        ("exec = x 'y", "2:10: error: a quote without an end"),
        ("cmd = x '{pathname}'", "2:10: error: a placeholder inside single quotes"),
        ("cmd = x \"{pathname}\"", "2:10: error: a placeholder inside double quotes"),
        ("cmd = x\nexec = y", "3:1: error: a scheduler has one job, and cmd is here too"),
        ("exec = y\njob = count", "3:1: error: a scheduler has one job, and exec is here too"),
        ("job = cuont", "2:7: error: \"cuont\" cannot be the value of \"job\""),
        ("job = count\nuser = 0", "3:1: error: user is for cmd and exec"),
        ("job = count\noutput = null", "3:1: error: output is for cmd and exec"),
        ("delay = 1", "1:1: error: [scheduler a] has no job"),
        ("cmd = x\nfiles = no", "1:1: error: neither files nor directories count"),
        ("cmd = x\ndelay = 1\ndelay = 2", "4:1: error: \"delay\" stands here a second time"),
        ("cmd = x\ndealy = 1", "3:1: error: unknown key \"dealy\" in [scheduler]"),
        ("cmd = x\nrules = y", "3:1: error: a scheduler has one job, and cmd is here too"),
        ("rules = y", "2:9: error: there is no [rule y]"),
        ("rules = y\nuser = 0", "3:1: error: user is for cmd and exec"),
        ("cmd = x\nlogname = a b", "3:11: error: \"a b\" cannot be the value of \"logname\""),
        ("cmd = x\0y", "2:8: error: a NUL byte can stand in no value"),
        ("exec = \"\" x", "2:8: error: the program's name is empty"),
        ("exec = x a\\", "2:11: error: a backslash with nothing after it"),
        ("cmd = echo \"abc", "2:7: warning: a quote without an end: no shell will run this"),
        ("cmd = x\ndelay = \u{1b}[31m", "3:9: error: \"\\x1b[31m\" cannot be the value of \"delay\""),
        ("cmd = x\nmax_wait = 41d", "3:12: error: \"41d\" cannot be the value of \"max_wait\""),
        ("cmd = x\non_busy = rerum", "3:11: error: \"rerum\" cannot be the value of \"on_busy\""),
        ("cmd = x\noutput = file", "3:10: error: \"file\" cannot be the value of \"output\""),
        ("cmd = x\nuser = nobody", "3:8: error: \"nobody\" cannot be the value of \"user\""),
        ("cmd = x\nthen = b", "3:8: error: \"b\" cannot be the value of \"then\""),
        ("cmd = x\nthen = a", "3:8: error: tasks would be handed on for ever: a -> a"),
        ("cmd = x # y", "2:9: warning: this is part of the value"),
        ("cmd = x {pathnam}", "2:9: warning: no placeholder: it is left as it is"),
    ] {
        let found = complaints(&with_scheduler(line));
        assert!(found.iter().any(|complaint| complaint == expected), "{line}: {found:?}");
    }
}

/// A rule `r`, of which `lines` are the last, that a watch of /w calls.
fn with_rule(lines: &str) -> String {
    format!(
        "[scheduler a]\nrules = r\n[event_map m]\nIN_CREATE = a\n[watch w]\npath = /w\nevent_map = m\nrec = yes\n\
         [rule r]\n{lines}\n"
    )
}

#[test]
fn wrong_rules_are_errors_at_the_value() {
    const MOVE: &str = "action = move\nsrc_re = ^/w/(?P<path>.*)$\n";
    for (lines, expected) in [
        ("src_re = ^/w/.*$".to_owned(), "9:1: error: [rule r] has no action"),
        ("action = mvoe\nsrc_re = ^/w/.*$".to_owned(), "10:10: error: \"mvoe\" cannot be the value of \"action\""),
        ("action = delete".to_owned(), "9:1: error: [rule r] has no src_re"),
        ("action = delete\nsrc_re = (".to_owned(), "11:10: error: no pattern: found open group without closing ')'"),
        ("action = delete\nsrc_re = a\ndst_re = b".to_owned(), "12:1: error: dst_re is for action = move and copy"),
        ("action = none\nsrc_re = a\nrec = yes".to_owned(), "12:1: error: rec is for action = delete"),
        (MOVE.to_owned(), "9:1: error: [rule r] has no dst_re"),
        (format!("{MOVE}dst_re = /d/\\g<pth>"), "12:13: error: this refers to no group of src_re"),
        (format!("{MOVE}dst_re = d/\\1"), "12:10: error: a destination's path begins with /"),
        (
            format!("{MOVE}dst_re = /d/\\1\nfilemode = 0999"),
            "13:12: error: \"0999\" cannot be the value of \"filemode\"",
        ),
        (format!("{MOVE}dst_re = /d/\\1\nuser = nobody"), "13:8: error: \"nobody\" cannot be the value of \"user\""),
        (
            format!("{MOVE}dst_re = /d/\\1\ngroup = nogroup"),
            "13:9: error: \"nogroup\" cannot be the value of \"group\"",
        ),
        (format!("{MOVE}dst_re = /d/\\1\nrec = yes"), "13:1: error: rec is for action = delete"),
        (
            "action = move\nsrc_re = ^/w/a\ndst_re = /d/b".to_owned(),
            "11:10: warning: src_re may match only the beginning of a path",
        ),
        (
            format!("{MOVE}dst_re = /w/done/\\1"),
            "2:9: warning: a rule's destination lies in [watch w], which calls these rules",
        ),
    ] {
        let found = complaints(&with_rule(&lines));
        assert!(found.iter().any(|complaint| complaint == expected), "{lines}: {found:?}");
    }
    assert_eq!(complaints(&with_rule(&format!("{MOVE}dst_re = /d/\\g<path>"))), [""; 0]);
}

#[test]
fn rules_arrive_with_all_their_values() {
    let config = good(&with_rule(
        "action = copy\nsrc_re = ^/w/(.*)$\ndst_re = /d/x\\1\nauto_create = yes\noverride = yes\nhardlinks = yes\n\
         filemode = 0o640\ndirmode = 2755\nuser = 7\ngroup = 8\n\
         [rule s]\naction = delete\nrec = yes\nsrc_re = a\n[rule n]\naction = none\nsrc_re = b\n\
         [scheduler next]\nrules = n , s",
    ));
    let [a, next] = &config.schedulers[..] else { panic!() };
    let rules = a.rules.matching.as_deref().unwrap();
    let Does::Copy(destination) = &rules[0].action else { panic!("{rules:?}") };
    let access = Access { filemode: Some(0o640), dirmode: Some(0o2755), uid: Some(7), gid: Some(8) };
    assert_eq!((destination.access, destination.to.literal()), (access, &b"/d/x"[..]));
    assert!(destination.auto_create && destination.replace && destination.hardlinks);
    let names: Vec<_> =
        next.rules.matching.as_deref().unwrap().iter().map(|rule| (rule.name.as_str(), &rule.action)).collect();
    assert_eq!(names, [("n", &Does::Nothing), ("s", &Does::Delete { rec: true })]);
}

/// Below which paths a scheduler's rules may work: its watches', and where those move to that hand on to it.
#[test]
fn roots_come_from_watches_and_from_whoever_hands_on() {
    let config = good(
        "[rule r]\naction = move\nsrc_re = ^/w/(.*)$\ndst_re = /d/\\1\n[scheduler a]\nrules = r\nthen = b\non_failure = c\n\
         [scheduler b]\ncmd = x\nthen = c\n[scheduler c]\ncmd = y\n[event_map m]\nIN_CREATE = a\nIN_MODIFY = cancel c\n\
         [watch w]\npath = /w/*/x\npath = /v\nevent_map = m\n",
    );
    let roots = |at: usize| -> Vec<&str> {
        config.schedulers[at].roots.iter().map(|root| std::str::from_utf8(root).unwrap()).collect()
    };
    assert_eq!(roots(0), ["/w", "/v"]);
    assert_eq!(roots(1), ["/d", "/v", "/w"]);
    assert_eq!(roots(2), ["/d", "/v", "/w"]);
}

#[test]
fn wrong_logs_are_errors_at_the_value() {
    let target = |value: &str| format!("2:7: error: \"{value}\" cannot be the value of \"log\"");
    for (line, expected) in [
        ("log = file:log", target("file:log")),
        ("log = file:", target("file:")),
        ("log = /var/log/x", target("/var/log/x")),
        ("log =", target("").replace("2:7", "2:6")),
        ("log = stderr:/x", target("stderr:/x")),
        ("log = stderr loud", target("stderr loud")),
        ("log = file:/var/my log info", target("file:/var/my log info")),
        ("log = syslog:", target("syslog:")),
        ("log = syslog:loghost:514", target("syslog:loghost:514")),
        (&format!("log = syslog:/{}", "x".repeat(107)), target(&format!("syslog:/{}", "x".repeat(107)))),
        ("log.a = nowhere", "2:9: error: \"nowhere\" cannot be the value of \"log.a\"".to_owned()),
        ("loglevel.a = loud", "2:14: error: \"loud\" cannot be the value of \"loglevel.a\"".to_owned()),
        ("log = stderr\nlog = stderr error", "3:7: error: this target stands here a second time".to_owned()),
        ("log. = stderr", "2:1: error: unknown key \"log.\" in [daemon]".to_owned()),
        ("loglevel.a = info\nloglevel.a = info", "3:1: error: \"loglevel.a\" stands here a second time".to_owned()),
        ("log_max_size = 1MB", "2:16: error: \"1MB\" cannot be the value of \"log_max_size\"".to_owned()),
        ("log_max_size = +1M", "2:16: error: \"+1M\" cannot be the value of \"log_max_size\"".to_owned()),
        (
            "log_max_size = 99999999999G",
            "2:16: error: \"99999999999G\" cannot be the value of \"log_max_size\"".to_owned(),
        ),
        ("log_max_size = 3K", "2:16: error: \"3K\" cannot be the value of \"log_max_size\"".to_owned()),
        ("log.b = stderr", "2:1: warning: nothing is logged under the name \"b\"".to_owned()),
        ("loglevel.b = info", "2:1: warning: nothing is logged under the name \"b\"".to_owned()),
    ] {
        assert_eq!(complaints(&format!("[daemon]\n{line}\n{}", with_scheduler("cmd = x"))), [expected], "{line}");
    }
    assert_eq!(routes(&["log_max_size = 4096"]).max_size, routes(&["log_max_size = 4K"]).max_size);
    let refused = parse(&[source("[daemon]\nlog = syslog:loghost:514\n")], &Accounts::default(), &own_jobs())
        .err()
        .unwrap()
        .complaints
        .concat();
    assert!(refused.contains("dogwatch has no network socket"), "{refused}");
}

#[test]
fn wrong_maps_and_watches_are_errors_at_the_word() {
    for (line, expected) in [
        ("IN_CREATE = b", "7:13: error: there is no [scheduler b]"),
        ("IN_CREATE = a, cancel b", "7:16: error: there is no [scheduler b]"),
        ("IN_CREATE = none, a", "7:13: error: \"none\" stands alone"),
        ("IN_CREATE, IN_CRAETE = a", "7:12: error: unknown event \"IN_CRAETE\""),
        ("IN_WRITE_CLOSE = a", "7:1: error: unknown event \"IN_WRITE_CLOSE\""),
        ("IN_CREATE = a\nCREATE = a", "8:1: error: IN_CREATE is mapped already"),
        ("default = a\ndefault = a", "8:1: error: default stands here a second time"),
        ("default, IN_CREATE = a", "7:1: error: unknown event \"default\""),
        ("IN_CREATE =", "7:12: error: there is no [scheduler ]"),
        ("", "6:1: error: [event_map m] maps nothing"),
        ("IN_OPEN = a", "7:1: warning: with IN_OPEN, mere reading counts, the daemon's own too"),
        ("default = a", "7:1: warning: with default, mere reading counts, the daemon's own too"),
        ("IN_CREATE = a, a", "7:16: warning: \"a\" stands here twice"),
    ] {
        let found = complaints(&format!("{REST}{line}\n"));
        assert!(found.iter().any(|complaint| complaint == expected), "{line}: {found:?}");
    }
    for (pattern, hint) in [("(", ""), ("/s(?!x)", "an earlier rule with action = none makes an exception")] {
        let refused = parse(
            &[source(&format!("{REST}IN_CREATE = a\n[watch v]\nevent_map = m\npath = /s\nexclude = {pattern}\n"))],
            &Accounts::default(),
            &own_jobs(),
        );
        let text = refused.err().unwrap().complaints.concat();
        assert!(text.starts_with("x.conf:11:11: error: no pattern: ") && text.contains(hint), "{text}");
    }
    for (path, wrong) in [
        ("s", "a watch's path begins with /"),
        ("", "a watch's path begins with /"),
        ("/s/../t", "a watch's path has no . and .. in it"),
        ("/s/[a", "a [ without its ]: a backslash before it takes its meaning away"),
        ("/s/**", "** is no pattern: * matches within one directory, and rec = yes goes deeper"),
    ] {
        let found = complaints(&format!("{REST}IN_CREATE = a\n[watch v]\nevent_map = m\npath = {path}\n"));
        assert_eq!(found, [format!("10:{}: error: {wrong}", if path.is_empty() { 7 } else { 8 })]);
    }
}

#[test]
fn the_misprint_of_pyinotifyds_documentation_has_its_own_hint() {
    let refused =
        parse(&[source(&format!("{REST}IN_WRITE_CLOSE = a\n"))], &Accounts::default(), &own_jobs()).err().unwrap();
    assert!(refused.complaints.concat().contains("it is IN_CLOSE_WRITE"));
}

#[test]
fn wrong_forms_are_errors_and_the_rest_is_read_all_the_same() {
    let found = complaints(
        "key = 1\n[daemon\nmax_jobs = 2\n[daemon x]\n[scheduler]\n[scheduler none]\ncmd = x\n[nonsense y]\nwords\n",
    );
    let expected = [
        "1:1: error: a key before the first section",
        "2:1: error: a section's line ends with ]",
        "4:1: error: [daemon] has no name",
        "5:1: error: [scheduler] needs a name",
        "5:1: error: [scheduler ] has no job",
        "6:1: error: \"none\" cannot be a scheduler's name",
        "8:1: error: unknown section [nonsense]",
        "9:1: error: neither a section nor a key: words",
        "1:1: warning: there is no watch: nothing will happen",
    ];
    assert_eq!(found, expected);
}

#[test]
fn names_are_unique_over_all_files_and_only_the_daemon_recurs() {
    let first = source("[daemon]\nmax_jobs = 2\nshutdown_timeout = 1\n[scheduler a]\ncmd = x\n");
    let second =
        Source { path: b"conf.d/b.conf".to_vec(), text: b"[daemon]\nmax_jobs = 3\n[scheduler a]\ncmd = y\n".to_vec() };
    let refused = parse(&[first.clone(), second], &Accounts::default(), &own_jobs()).err().unwrap();
    assert_eq!(refused.errors, 1);
    assert!(refused.complaints[0].starts_with("conf.d/b.conf:3:1: error: [scheduler a] stands here a second time"));
    let later = Source { path: b"b".to_vec(), text: b"[daemon]\nmax_jobs = 3\n".to_vec() };
    let config = parse(&[first, later], &Accounts::default(), &own_jobs())
        .map(|loaded| loaded.config)
        .unwrap_or_else(|_| panic!("they are good"));
    assert_eq!((config.max_jobs, config.shutdown_timeout), (3, Millis(1_000)), "the later one wins, key by key");
}

#[test]
fn python_is_recognised() {
    for text in
        ["import logging\n", "\n# x\ntask = ShellScheduler(\n    cmd=\"x\")\n", "async def job(event, task_id):\n"]
    {
        let found = complaints(text);
        assert!(found[0].ends_with("this is a configuration of pyinotifyd, written in Python"), "{text}: {found:?}");
    }
    assert!(complaints(&with_scheduler("cmd = python -c EventMap(")).is_empty());
    let quoted = format!("# was: ShellScheduler(cmd=\"x\")\n{}", with_scheduler("cmd = x"));
    assert!(complaints(&quoted).is_empty(), "a comment may quote it");
}

#[test]
fn an_empty_section_line_hides_nothing() {
    for line in ["[]", "[ ]"] {
        let found = complaints(&format!("{line}\nfoo = bar\n{}", with_scheduler("cmd = x")));
        assert_eq!(found, ["1:1: error: a section without a name"]);
    }
}

/// Places are those of bytes, also behind bytes that are no UTF-8.
#[test]
fn places_are_right_after_stray_bytes() {
    let text = [&b"[scheduler a]\ncmd = x\n[event_map m]\nIN_CREATE = "[..], &[0xff; 12], b", nosuch\n"].concat();
    let refused =
        parse(&[Source { path: b"x".to_vec(), text }], &Accounts::default(), &own_jobs()).err().unwrap().complaints;
    assert!(
        refused.iter().any(|text| text.starts_with("x:4:27: error: there is no [scheduler nosuch]")),
        "{refused:?}"
    );
}

/// The routes of a configuration whose files have these [daemon] sections.
fn routes(daemons: &[&str]) -> Routes {
    let daemons = daemons.iter().map(|text| source(&format!("[daemon]\n{text}\n")));
    let sources: Vec<Source> = [source(&with_scheduler("cmd = x"))].into_iter().chain(daemons).collect();
    parse(&sources, &Accounts::default(), &own_jobs())
        .map(|loaded| loaded.config.logs)
        .unwrap_or_else(|refused| panic!("{}", refused.complaints.concat()))
}

#[test]
fn logs_arrive_with_their_targets_and_levels() {
    let route = |logname: Option<&str>, target, level| Route { logname: logname.map(str::to_owned), target, level };
    let found = routes(&[
        "log = stderr Warning\nlog = file:/var/log/dog\\watch debug\nlog = syslog\nlog.a = syslog:/run/log error\n\
                         log.daemon = stderr\nloglevel.a = critical\nlog_max_size = 1M",
    ]);
    let expected = [
        route(None, Target::Stderr, Some(Level::Warning)),
        route(None, Target::File(b"/var/log/dog\\watch".to_vec()), Some(Level::Debug)),
        route(None, Target::Syslog(b"/dev/log".to_vec()), None),
        route(Some("a"), Target::Syslog(b"/run/log".to_vec()), Some(Level::Error)),
        route(Some("daemon"), Target::Stderr, None),
    ];
    assert_eq!(found.routes, expected);
    assert_eq!((found.levels, found.max_size), (vec![("a".to_owned(), Level::Critical)], Some(1 << 20)));
    assert_eq!(routes(&[""]), Routes::default());
    // What only adds to it leaves the default as it is.
    let added = routes(&["log.a = file:/a"]).routes;
    assert_eq!(added, [route(Some("a"), Target::File(b"/a".to_vec()), None), route(None, Target::Stderr, None)]);
}

/// Those of one file add up, also from several sections; a later file's replace them, each name by itself.
#[test]
fn logs_of_a_later_file_replace_those_of_earlier_ones() {
    let file = |name: &str| Target::File(name.as_bytes().to_vec());
    let targets = |routes: Routes| routes.routes.into_iter().map(|route| route.target).collect::<Vec<_>>();
    let one = "log = file:/1\nlog.a = file:/2\n[daemon]\nlog = file:/3\nlog.daemon = file:/4";
    assert_eq!(targets(routes(&[one])), ["/1", "/2", "/3", "/4"].map(file));
    assert_eq!(targets(routes(&[one, "log = file:/5\nlog = file:/1"])), ["/2", "/4", "/5", "/1"].map(file));
    assert_eq!(targets(routes(&[one, "log.a = file:/6", "max_jobs = 1"])), ["/1", "/3", "/4", "/6"].map(file));
    let levels = routes(&["loglevel.a = error", "loglevel.a = debug"]);
    assert_eq!(levels.least("a"), Level::Debug, "the later one wins");
    assert_eq!(routes(&["log_max_size = 1M", "log = stderr"]).max_size, Some(1 << 20));
}

/// What nobody wants is not even made.
#[test]
fn schedulers_and_daemon_make_notes_of_what_somebody_wants() {
    let with = |daemon: &str| {
        let config = good(&format!("[daemon]\n{daemon}\n{}", with_scheduler("cmd = x")));
        let debugging = config.clone().debugging();
        assert_eq!((debugging.level, debugging.schedulers[0].rules.notes), (Level::Debug, Level::Debug));
        assert_eq!(debugging.logs.level_at(&Target::Stderr, "a"), Some(Level::Debug));
        (config.schedulers[0].rules.notes, config.level)
    };
    assert_eq!(with("log = stderr warning"), (Level::Warning, Level::Warning));
    assert_eq!(with("log = stderr warning\nlog = file:/x error"), (Level::Warning, Level::Warning));
    assert_eq!(with("log = stderr warning\nlog.a = file:/x debug"), (Level::Debug, Level::Warning));
    assert_eq!(with("log = stderr warning\nlog.a = file:/x debug\nloglevel.a = error"), (Level::Error, Level::Warning));
    assert_eq!(with("log = stderr\nloglevel.daemon = critical"), (Level::Info, Level::Critical));
}

/// Any bytes give values or complaints; a seed is printed if one does worse.
#[test]
fn any_text_is_read_without_a_panic() {
    let words: &[&[u8]] = &[
        b"[",
        b"]",
        b"=",
        b"\n",
        b" ",
        b"#",
        b"scheduler ",
        b"event_map",
        b"[watch ",
        b"a",
        b"\xff",
        b"\0",
        b"cmd",
        b"exec",
        b"{pathname}",
        b"'",
        b"\"",
        b"\\",
        b"`",
        b"$(",
        b")",
        b"<<",
        b"default",
        b"IN_CREATE",
        b",",
        b"cancel ",
        b"path",
        b"/",
        b"..",
        b"\xe2\x82\xac",
    ];
    for seed in 0..2_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let text: Vec<u8> = (0..random.usize(..80)).flat_map(|_| words[random.usize(..words.len())].to_vec()).collect();
        let result = std::panic::catch_unwind(|| {
            drop(parse(&[Source { path: b"x".to_vec(), text }], &Accounts::default(), &own_jobs()));
        });
        assert!(result.is_ok(), "seed {seed}");
    }
}

/// From the first component with a wildcard on, a path is a pattern; a backslash takes a wildcard's meaning away.
#[test]
fn paths_may_be_patterns_from_some_component_on() {
    let path_of = |path: &str| {
        let config = good(&format!("{REST}IN_CREATE = a\n[watch v]\nevent_map = m\npath = {path}\n"));
        config.watches[1].paths[0].clone()
    };
    let path = path_of("/srv//a\\*b/*/in?x/plain");
    assert_eq!((&path.base[..], path.globs.len()), (&b"/srv/a*b"[..], 3));
    assert!(path.globs[1].is_match(b"in.x") && path.globs[2].is_match(b"plain") && !path.globs[2].is_match(b"x"));
    assert_eq!(path_of("/*/x").base, b"/");
}

/// A chain may branch and meet again, but must come to an end; each circle is told once, where it begins.
#[test]
fn chains_come_to_an_end() {
    let chain = |links: &[(&str, &str)]| {
        let scheduler = |(name, keys): &(&str, &str)| format!("[scheduler {name}]\ncmd = x\n{keys}\n");
        let sections: String = links.iter().map(scheduler).collect();
        complaints(&format!("{sections}[event_map m]\nIN_CREATE = a\n[watch w]\npath = /s\nevent_map = m\n"))
    };
    assert_eq!(chain(&[("a", "then = b\non_failure = c"), ("b", "then = c"), ("c", "")]), [""; 0]);
    let circle =
        chain(&[("a", "then = b"), ("b", "on_failure = c"), ("c", "then = b\non_failure = d"), ("d", "then = b")]);
    assert_eq!(circle, ["6:14: error: tasks would be handed on for ever: b -> c -> b"]);
    let two = chain(&[("a", "then = b"), ("b", "then = a"), ("c", "then = c"), ("d", "")]);
    let told = [
        "3:8: error: tasks would be handed on for ever: a -> b -> a",
        "9:8: error: tasks would be handed on for ever: c -> c",
    ];
    assert_eq!(two, told);
}

/// What is cancelled by each write begins anew afterwards: max_wait would never come to count.
#[test]
fn max_wait_with_a_cancelling_map_is_warned_of() {
    let with_map = |map: &str| {
        complaints(&format!(
            "[scheduler a]\ncmd = x\nmax_wait = 5m\n[event_map m]\n{map}\n[watch w]\npath = /s\nevent_map = m\n"
        ))
    };
    assert_eq!(with_map("IN_CLOSE_WRITE, IN_MODIFY = a"), [""; 0]);
    let warned = with_map("IN_CLOSE_WRITE = a\nIN_MODIFY = cancel a");
    assert_eq!(warned, ["3:12: warning: IN_MODIFY cancels a, so that max_wait counts for little"]);
}
