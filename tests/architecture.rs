//! The layout holds: who may import whom, what stands nowhere, and how many lines there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The floors, from the top. A file imports from the floors below its own, and from its own room.
const FLOORS: [&[&str]; 8] = [
    &["main.rs", "cli", "install"],
    &["daemon"],
    &["config"],
    &["sources"],
    &["jobs"],
    &["engine"],
    &["parts"],
    &["sys"],
];

/// Floors that consist of several rooms, one a folder; the other floors are one room each.
const DIVIDED: [&str; 3] = ["sources", "jobs", "engine"];

/// What a room may import on its own floor besides itself.
const NEIGHBOURS: [(&str, &str); 3] =
    [("engine/task", "engine/watch"), ("engine/task", "engine/rule"), ("cli", "install")];

/// Goals for lines of code, without tests: all of src, and what touches other people's files as root. A quarter more of the
/// latter fails. Comments and blank lines do not count: they are what an auditor reads with ease, and docstrings are asked for.
const LINES_GOAL: usize = 12_000;
/// All that dogwatch is to do does not fit into that goal, nor a quarter more. What is there is held down by this, which is
/// raised by what a whole new part needs, and for nothing else: archives, collectors, backups and service files were the last.
const MOST_LINES: usize = 18_950;
const MOST_PRIVILEGED_LINES: usize = 3_500;
const PRIVILEGED: [&str; 7] =
    ["sys/", "parts/beneath", "parts/spot", "parts/publish", "parts/walk", "parts/meta", "jobs/files"];
/// Files stay under about 500 lines.
const MOST_LINES_A_FILE: usize = 520;

/// Words that stand nowhere in src, with why; `sys` excepted where the second field says so.
const FORBIDDEN: [(&str, bool, &str); 16] = [
    ("std::fs", false, "the system is reached through sys and its gate"),
    ("std::net", false, "the system is reached through sys and its gate"),
    ("process::Command", false, "it passes a blocked signal mask on to the child"),
    ("std::thread", false, "there are no threads"),
    ("std::io", false, "the system is reached through sys and its gate"),
    ("println!", false, "it panics on a closed pipe"),
    ("print!", false, "it panics on a closed pipe"),
    ("dbg!", false, "it is for the workshop"),
    (".unwrap()", false, "a user never sees a panic"),
    (".expect(", false, "a user never sees a panic"),
    ("panic!", false, "a user never sees a panic"),
    ("unreachable!", false, "a user never sees a panic"),
    ("todo!", false, "nothing is half done"),
    ("unimplemented!", false, "nothing is half done"),
    ("unsafe ", true, "sys alone talks to the kernel"),
    ("libc::", true, "sys alone talks to the kernel"),
];

/// Where one of them may stand all the same: in what gives open files to code of others that knows only such streams.
const MAY_STAND: [(&str, &str); 1] = [("sys/stream.rs", "std::io")];

/// A source file without tests.
struct Source {
    /// Below src, with slashes.
    name: String,
    text: String,
}

fn sources() -> Vec<Source> {
    fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => collect(&path, files),
                false => files.push(path),
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.retain(|path| path.extension().is_some_and(|ext| ext == "rs") && !path.ends_with("tests.rs"));
    files.retain(|path| path.components().all(|part| part.as_os_str() != "tests"));
    files.sort();
    let read = |path: PathBuf| Source {
        name: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(),
        text: fs::read_to_string(&path).unwrap(),
    };
    let sources: Vec<Source> = files.into_iter().map(read).collect();
    assert!(sources.len() > 10, "src was found");
    sources
}

/// The code of a file: no comments, no attributes' texts. (`reason = "…"` may name anything.)
fn code(text: &str) -> String {
    let lines =
        text.lines().filter(|line| !line.trim_start().starts_with("//") && !line.trim_start().starts_with("#["));
    lines.map(|line| line.split(" // ").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

fn floor(path: &str) -> Option<usize> {
    FLOORS.iter().position(|names| names.iter().any(|name| path == *name || path.split('/').next() == Some(name)))
}

/// `engine/watch/tree` is in the room `engine/watch`, `cli/out` in `cli`.
fn room(path: &str) -> String {
    let parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    let depth = if DIVIDED.contains(&parts[0]) { 2 } else { 1 };
    parts.into_iter().take(depth).collect::<Vec<_>>().join("/")
}

/// Every `crate::a::b::c` in the code, with braces opened: `a/b/c`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        open_braces("", rest, &mut found);
    }
    found
}

fn open_braces(prefix: &str, text: &str, found: &mut BTreeSet<String>) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    let (path, rest) = text.split_at(end);
    let path = format!("{prefix}{}", path.replace("::", "/"));
    if !path.ends_with('/') || !rest.starts_with('{') {
        found.insert(path.trim_end_matches([':', '/']).to_owned());
        return;
    }
    let mut depth = 0;
    let mut item = String::new();
    for c in rest.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        let between = depth == 0 || (depth == 1 && "{,".contains(c));
        if !between {
            item.push(c);
            continue;
        }
        if !item.trim().is_empty() {
            open_braces(&path, item.trim(), found);
        }
        item.clear();
        if depth == 0 {
            return;
        }
    }
}

#[test]
fn floors_import_downwards_only() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.name != "lib.rs") {
        let Some(own) = floor(&source.name) else {
            wrong.push(format!("{}: on no floor", source.name));
            continue;
        };
        for import in imports(&code(&source.text)) {
            let (mine, theirs) = (room(&source.name), room(&import));
            let neighbour = NEIGHBOURS.iter().any(|(from, to)| mine == *from && theirs == *to);
            let allowed = match floor(&import) {
                Some(target) => target > own || (target == own && (mine == theirs || neighbour)),
                None => false,
            };
            if !allowed {
                wrong.push(format!("{} imports {import}", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_engine_takes_only_types_from_sys() {
    for source in sources().iter().filter(|source| source.name.starts_with("engine/")) {
        for import in imports(&code(&source.text)).iter().filter(|import| import.starts_with("sys")) {
            let last = import.rsplit('/').next().unwrap();
            assert!(last.starts_with(char::is_uppercase), "{} imports {import}, which is no type", source.name);
        }
    }
}

#[test]
fn small_parts_use_each_other_without_cycles() {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources().iter().filter(|source| source.name.starts_with("parts/") && source.name != "parts/mod.rs") {
        let part = |path: &str| path.split('/').nth(1).unwrap_or_default().trim_end_matches(".rs").to_owned();
        let code = code(&source.text).replace("super::", "crate::parts::");
        let targets =
            imports(&code).iter().filter(|import| import.starts_with("parts/")).map(|import| part(import)).collect();
        uses.insert(part(&source.name), targets);
    }
    assert!(uses.values().any(|targets| !targets.is_empty()), "imports were found");
    while !uses.is_empty() {
        let known: BTreeSet<String> = uses.keys().cloned().collect();
        let before = uses.len();
        uses.retain(|_, targets| targets.iter().any(|target| known.contains(target)));
        assert!(uses.len() < before, "a cycle among {:?}", uses.keys());
    }
}

#[test]
fn forbidden_words_stand_nowhere() {
    let mut wrong = Vec::new();
    for source in &sources() {
        let code = code(&source.text);
        for (word, sys_may, why) in FORBIDDEN {
            let may = sys_may && source.name.starts_with("sys/") || MAY_STAND.contains(&(&source.name, word));
            if code.contains(word) && !may {
                wrong.push(format!("{}: {word}: {why}", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    for source in &sources() {
        let lines: Vec<&str> = source.text.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.contains("unsafe {")) {
            let near = lines[at.saturating_sub(6)..at].iter().any(|line| line.contains("// SAFETY:"));
            assert!(near, "{}:{}: {line}", source.name, at + 1);
        }
    }
}

#[test]
fn every_module_begins_with_what_it_is_for() {
    for source in &sources() {
        assert!(source.text.starts_with("//! "), "{}", source.name);
    }
}

#[test]
fn there_are_few_lines() {
    let sources = sources();
    let lines = |source: &Source| source.text.lines().count();
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let code = |source: &Source| source.text.lines().filter(is_code).count();
    let all: usize = sources.iter().map(lines).sum();
    let total: usize = sources.iter().map(code).sum();
    let privileged = |source: &&Source| PRIVILEGED.iter().any(|prefix| source.name.starts_with(prefix));
    let as_root: usize = sources.iter().filter(privileged).map(code).sum();
    println!(
        "src without tests: {total} lines of code (goal {LINES_GOAL}, at most {MOST_LINES}), {all} with comments and blank lines; \
         privileged: {as_root} lines of code (goal {MOST_PRIVILEGED_LINES})"
    );
    assert!(total <= MOST_LINES);
    assert!(as_root <= MOST_PRIVILEGED_LINES * 5 / 4);
    for source in &sources {
        assert!(lines(source) <= MOST_LINES_A_FILE, "{} has {} lines", source.name, lines(source));
    }
}

/// The checks above see what they should: a test of the test.
#[test]
fn imports_are_found_in_every_form() {
    let code =
        "use crate::sys::{self, fs::{open, Kind}, Errno};\nlet x = crate::parts::text::Escaped(b);\nuse crate::config;";
    let expected = ["config", "parts/text/Escaped", "sys/Errno", "sys/fs/Kind", "sys/fs/open", "sys/self"];
    assert_eq!(imports(code).iter().map(String::as_str).collect::<Vec<_>>(), expected);
}
