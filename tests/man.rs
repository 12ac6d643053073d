//! The manual is complete, and tells of nothing that is not there: keys, events, placeholders, commands, options. What
//! the program knows it says itself, in its messages and its help. The manual's examples are configurations that hold.

mod common;

use common::{Scratch, dogwatch};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What the manual tells of already and the program does not know yet; whoever makes it known takes it from here.
const TO_COME: [(&str, &str); 0] = [];

/// These words, and those that are to come; none of those may be among them.
fn with_those_to_come(kind: &str, mut words: BTreeSet<String>) -> BTreeSet<String> {
    for (_, word) in TO_COME.iter().filter(|(of, _)| *of == kind) {
        assert!(words.insert((*word).to_owned()), "{kind} {word} is there: it is not to come any more");
    }
    words
}

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn page() -> String {
    text("man/dogwatch.conf.5")
}

/// What `dogwatch check` says of a configuration.
fn complaints(config: &str) -> String {
    let scratch = Scratch::new();
    let output = dogwatch().args(["check", "-c"]).arg(scratch.config(config)).output().unwrap();
    String::from_utf8(output.stderr).unwrap()
}

/// The words that the program expects where it finds `nonsense` in this configuration.
fn expected(config: &str) -> BTreeSet<String> {
    let text = complaints(config);
    let complaint = text.split("error: ").find(|complaint| complaint.lines().next().unwrap().contains("nonsense"));
    let list = complaint.and_then(|complaint| complaint.split_once("expected one of: "));
    let (_, list) = list.unwrap_or_else(|| panic!("{config}: {text}"));
    list.lines().next().unwrap().split(", ").map(str::to_owned).collect()
}

/// Every kind of section with the words that it knows.
fn known() -> Vec<(String, BTreeSet<String>)> {
    let kinds = expected("[nonsense]\n");
    assert!(kinds.contains("daemon") && kinds.contains("watch"), "{kinds:?}");
    let header = |kind: &str| if kind == "daemon" { "[daemon]".to_owned() } else { format!("[{kind} name]") };
    let words = |kind: &String| expected(&format!("{}\nnonsense = x\n", header(kind)));
    kinds.iter().map(|kind| (kind.clone(), words(kind))).collect()
}

/// The part of a page from a heading on to the next one of its kind.
fn part(page: &str, heading: &str) -> String {
    assert!(page.lines().any(|line| line.starts_with(heading)), "no {heading}");
    let kind = heading.split(' ').next().unwrap();
    let below = page.lines().skip_while(|line| !line.starts_with(heading)).skip(1);
    let lines = below.take_while(|line| !line.starts_with(".Sh ") && !line.starts_with(&format!("{kind} ")));
    lines.map(|line| format!("\n{line}")).collect()
}

/// The items of a list whose heads begin with this macro: first word and text.
fn items<'a>(part: &'a str, macro_name: &str) -> Vec<(&'a str, &'a str)> {
    let items = part.split("\n.It ").skip(1).filter_map(|item| item.strip_prefix(macro_name)?.strip_prefix(' '));
    items.map(|item| (item.split_whitespace().next().unwrap(), item)).collect()
}

fn words(items: &[(&str, &str)]) -> BTreeSet<String> {
    items.iter().map(|(word, _)| (*word).to_owned()).collect()
}

/// The section of the page about sections of this kind: its heading names it in brackets.
fn section(page: &str, kind: &str) -> String {
    let headings: Vec<&str> = page.lines().filter(|line| line.starts_with(".Ss ")).collect();
    let of_kind = |line: &&&str| line.contains(&format!("[{kind}]")) || line.contains(&format!("[{kind} "));
    part(page, headings.iter().find(of_kind).unwrap_or_else(|| panic!("[{kind}] has no .Ss in the page")))
}

#[test]
fn every_key_is_described_and_every_described_key_exists() {
    let page = page();
    let known = known();
    for (kind, keys) in &known {
        let keys = keys.iter().filter(|key| !key.starts_with("IN_")).cloned().collect();
        let keys = with_those_to_come(kind, keys);
        let section = section(&page, kind);
        let described = items(&section, "Ic");
        assert_eq!(words(&described), keys, "[{kind}]: the page, and the program");
        assert_eq!(described.len(), keys.len(), "[{kind}]: a key is described twice");
        for (key, text) in described {
            let told = ["Default:", "No default.", "Required"].iter().any(|words| text.contains(words));
            assert!(told, "[{kind}] {key}: the page does not say what holds without it");
        }
    }
    let headings = page.lines().filter(|line| line.starts_with(".Ss ") && line.ends_with("]\\&"));
    assert_eq!(headings.count(), known.len(), "a section is described that does not exist");
}

#[test]
fn every_event_is_described_and_every_described_event_exists() {
    let (_, words_of_maps) = known().into_iter().find(|(kind, _)| kind == "event_map").unwrap();
    let events: BTreeSet<String> = words_of_maps.into_iter().filter(|word| word.starts_with("IN_")).collect();
    assert!(events.len() > 10);
    assert_eq!(words(&items(&part(&page(), ".Sh EVENTS"), "Cm")), events);
}

/// What commands find in their environment is one variable a placeholder.
#[test]
fn every_placeholder_is_described_and_every_described_one_exists() {
    let scratch = Scratch::new();
    let config = "[scheduler a]\ncmd = env >@DIR/new && mv @DIR/new @DIR/env\n[event_map m]\nIN_CREATE = a\n\
                  [watch w]\npath = @SRC\nevent_map = m\n";
    let _daemon = scratch.start(config);
    fs::write(scratch.src().join("file"), "").unwrap();
    common::wait_until("the command has shown its environment", || scratch.path("env").exists());
    let text = scratch.read("env");
    let variables = text.lines().filter_map(|line| line.strip_prefix("DOGWATCH_")?.split_once('='));
    let placeholders: BTreeSet<String> = variables.map(|(name, _)| format!("{{{}}}", name.to_lowercase())).collect();
    assert!(placeholders.contains("{pathname}"), "{text}");
    assert_eq!(words(&items(&part(&page(), ".Ss Placeholders"), "Cm")), placeholders);
}

/// Commands that have a page of their own.
const PAGES: [(&str, &str); 3] =
    [("daemon", "man/dogwatch-daemon.8"), ("backup", "man/dogwatch-backup.1"), ("collect", "man/dogwatch-collect.1")];

fn help(command: &[&str]) -> String {
    String::from_utf8(dogwatch().arg("help").args(command).output().unwrap().stdout).unwrap()
}

/// What a help lists, before its options.
fn listed(help: &str) -> BTreeSet<String> {
    let lines = help.lines().take_while(|line| *line != "Options:").filter_map(|line| line.strip_prefix("    "));
    let lines = lines.filter(|line| !line.starts_with(' '));
    lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

/// The long options behind this mark, of at least two letters, or the short ones.
fn options(text: &str, mark: &str, long: bool) -> BTreeSet<String> {
    let name = |rest: &str| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect::<String>();
    text.split(mark).skip(1).map(name).filter(|name| (name.len() > 1) == long && !name.starts_with('-')).collect()
}

#[test]
fn every_command_and_option_is_described_and_every_described_one_exists() {
    let page = text("man/dogwatch.1");
    let commands = listed(&help(&[]));
    assert!(commands.contains("daemon"), "{commands:?}");
    assert_eq!(words(&items(&part(&page, ".Sh COMMANDS"), "Ic")), with_those_to_come("command", commands.clone()));
    let mut of_pages = BTreeSet::from(["man/dogwatch.1"]);
    of_pages.extend(PAGES.map(|(_, page)| page));
    for path in of_pages {
        // The synopsis describes nothing.
        let page = text(path).replace(&part(&text(path), ".Sh SYNOPSIS"), "");
        let own = |command: &String| PAGES.iter().find(|(name, _)| name == command).map_or("man/dogwatch.1", |of| of.1);
        let helps: String = commands.iter().filter(|command| own(command) == path).map(|name| help(&[name])).collect();
        // The one option of all commands is the first page's.
        let shared = if path == "man/dogwatch.1" { "" } else { "help" };
        let mut long = options(&helps, "--", true);
        assert!(long.remove("help"), "{helps}");
        let mut described = options(&page, "Fl -", true);
        assert_eq!(described.remove("help"), shared.is_empty(), "{path}: --help");
        assert_eq!(described, with_those_to_come("option", long), "{path}");
        let short = options(&helps, " -", false);
        let described: BTreeSet<String> =
            options(&page, "Fl ", true).union(&options(&page, "Fl ", false)).cloned().collect();
        for letter in short.iter().filter(|letter| shared.is_empty() || *letter != "h") {
            assert!(described.iter().any(|word| word == letter), "{path} does not describe -{letter}");
        }
        for word in described.iter().filter(|word| word.len() == 1) {
            assert!(short.contains(word), "{path}: there is no -{word}");
        }
    }
}

#[test]
fn every_command_of_backup_is_described_and_every_described_one_exists() {
    let page = text("man/dogwatch-backup.1");
    let commands = part(&page, ".Sh DESCRIPTION");
    let commands = words(&items(commands.split("\nThe options are:").next().unwrap(), "Ic"));
    assert!(commands.contains("restore"), "{commands:?}");
    assert_eq!(commands, listed(&help(&["backup"])));
}

/// The literal blocks of a part of the page that are configurations.
fn configurations(part: &str) -> Vec<String> {
    let blocks =
        part.split("\n.Bd -literal -offset indent\n").skip(1).map(|block| block.split("\n.Ed").next().unwrap());
    let plain = |block: &str| block.replace("\\e", "\\").replace("\\(dq", "\"").replace("\\&", "") + "\n";
    blocks.filter(|block| block.starts_with('[')).map(plain).collect()
}

#[test]
fn the_examples_of_the_manual_hold() {
    let page = page();
    let examples = configurations(&part(&page, ".Sh EXAMPLES"));
    assert!(examples.len() > 2);
    for example in examples {
        assert_eq!(complaints(&example), "", "{example}");
    }
    // What each part of pyinotifyd's configuration becomes makes a whole.
    let migration = configurations(&part(&page, ".Sh MIGRATION"));
    assert!(migration.len() > 3);
    let text = complaints(&migration.concat());
    assert!(!text.contains("error: "), "{text}");
}
