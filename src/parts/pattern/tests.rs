//! Patterns against regex-lite alone, and what they say of themselves.

use super::super::text::to_text;
use super::*;

fn literals(text: &str) -> (String, String) {
    let found = Literals::of(text);
    (String::from_utf8(found.prefix).unwrap(), String::from_utf8(found.suffix).unwrap())
}

#[test]
fn what_a_pattern_begins_and_ends_with_is_read_off() {
    for (text, prefix, suffix) in [
        (r"^/src_path/(?P<path>.*)\.to_move$", "/src_path/", ".to_move"),
        (r"^/src_path/\.git(/|$)", "", ""),
        ("/a/b", "/a/b", ""),
        ("/a/b$", "/a/b", "/a/b"),
        ("/ab?c$", "/a", "c"),
        ("/ab{2}c$", "/a", "c"),
        ("/a[bc]d$", "/a", "d"),
        ("/a(bc)d$", "/a", "d"),
        (r"/a\dd$", "/a", "d"),
        (r"\A/x.*y\z", "/x", "y"),
        ("(?i)/abc$", "", ""),
        ("a|b", "", ""),
        ("/x+", "/", ""),
        (".*[.]txt$", "", "txt"),
        ("a$b", "a", ""),
        ("", "", ""),
    ] {
        assert_eq!(literals(text), (prefix.to_owned(), suffix.to_owned()), "{text}");
    }
}

#[test]
fn patterns_match_from_the_start_and_bytes_are_bytes() {
    let cases: [(&[u8], &[u8], bool); 9] = [
        (b"/src/.*\\.txt$", b"/src/a\nb.txt", true),
        (b"/src", b"/src/more", true),
        (b"src", b"/src", false),
        (b"^/a/(?P<n>[0-9]+)$", b"/a/12", true),
        (b"/.$", b"/\xff", true),
        (b"/\xff$", b"/\xff", true),
        (b"/\xff$", b"/\xfe", false),
        ("/\u{10ffff}$".as_bytes(), "/\u{10ffff}".as_bytes(), true),
        ("/....$".as_bytes(), "/\u{10ffff}".as_bytes(), true),
    ];
    for (pattern, path, expected) in cases {
        let compiled = Pattern::new(pattern).unwrap();
        assert_eq!(compiled.is_match(path), expected, "{pattern:x?} on {path:x?}");
    }
}

#[test]
fn what_python_has_more_is_refused_with_a_hint() {
    for (text, words) in
        [("/a(?!b)", "action = none"), ("(?<=a)b", "action = none"), (r"a\Z", "$"), ("(?P<n>a)(?P=n)", "refer back")]
    {
        let wrong = Pattern::new(text.as_bytes()).unwrap_err();
        assert!(wrong.hint.is_some_and(|hint| hint.contains(words)), "{text}: {wrong:?}");
    }
    for text in ["(", "a)(b", "[", "*", "a{9999999}"] {
        assert!(Pattern::new(text.as_bytes()).is_err(), "{text}");
    }
}

/// Random patterns on random paths: the shortcut by literals never changes the answer.
#[test]
fn the_shortcut_gives_the_same_answer_as_regex_lite_alone() {
    const PIECES: [&str; 30] = [
        "a", "b", "/", "\\.", ".", "[ab]", "[^a]", "(a)", "(?:b/)", "(?P<n>a)", "*", "+", "?", "{2}", "^", "$", "|",
        "\\z", "\\A", "(?i)", "\u{e9}", "\\d", "\\\\", "]", "}", "(b|/)", "\\<", "\\>", "\\x41", "\\u{2f}",
    ];
    const PATHS: [&str; 9] = ["a", "b", "/", ".", "\u{e9}", "\\", "1", "]", "A"];
    let mut compiled = 0;
    let mut matched = 0;
    for seed in 0..20_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let text: String = (0..random.usize(1..7)).map(|_| PIECES[random.usize(..PIECES.len())]).collect();
        let Ok(pattern) = Pattern::new(text.as_bytes()) else { continue };
        let alone = Regex::new(&format!(r"\A(?s:{text})")).unwrap();
        compiled += 1;
        for _ in 0..20 {
            let path: String = (0..random.usize(..6)).map(|_| PATHS[random.usize(..PATHS.len())]).collect();
            let expected = alone.is_match(&to_text(path.as_bytes()));
            assert_eq!(pattern.is_match(path.as_bytes()), expected, "seed {seed}: {text} on {path}");
            matched += u32::from(expected);
        }
    }
    assert!(compiled > 5_000 && matched > 5_000, "{compiled} patterns compiled, {matched} paths matched");
}

/// What dogwatch.conf(5) says, in PATTERNS.
#[test]
fn the_manuals_list_of_what_differs_from_python_is_right() {
    let cases = [
        ("/a.b$", "/a\nb", true),
        ("/a$", "/a\n", false),
        (r"/\d$", "/\u{664}", false),
        (r"/\w$", "/\u{e9}", false),
        (r"/\s$", "/\u{a0}", false),
        ("/(?i)\u{e9}$", "/\u{c9}", false),
        ("/(?i)e$", "/E", true),
        (r"/a\>\.\<b$", "/a.b", true),
        ("/[[:alpha:]]$", "/a", true),
        ("/(?<name>a)$", "/a", true),
        ("/a*+a$", "/aa", true),
        ("/a{0,3}$", "/aaa", true),
        (r"/a\{$", "/a{", true),
        (r"/\x41$", "/A", true),
    ];
    for (pattern, path, expected) in cases {
        assert_eq!(Pattern::new(pattern.as_bytes()).unwrap().is_match(path.as_bytes()), expected, "{pattern} {path}");
    }
    let refused = [
        r"(a)\1",
        "(a)?(?(1)b)",
        "(?#a)",
        "(?>a)",
        r"\N{BULLET}",
        r"\101",
        "a{",
        "a{,3}",
        "[[]",
        "[a&&b]",
        "[a--b]",
        "[a~~b]",
        "(?a)",
        "(?L)",
        "(a{1,999}){1,999}",
    ];
    for text in refused {
        assert!(Pattern::new(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn a_match_is_rewritten_as_pythons_sub_does() {
    for (pattern, replacement, path, expected) in [
        (r"^/src_path/(?P<path>.*)\.to_move$", r"/dst_path/\g<path>", "/src_path/a/b.to_move", "/dst_path/a/b"),
        (r"^/src/(.*)/(.*)$", r"/dst/\2-\1", "/src/a/b", "/dst/b-a"),
        (r"^/src/(a)?(b)", r"/\g<1>\g<2>\\", "/src/b", r"/b\"),
        // What is left of the path behind the match is kept, as in Python.
        (r"^/src", "/dst", "/src/a", "/dst/a"),
        (r"^/(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)", r"\11\1", "/abcdefghijkl", "kal"),
        (r"^/x(.*)$", r"\g<0>\1", "/x\n\u{e9}", "/x\n\u{e9}\n\u{e9}"),
    ] {
        let pattern = Pattern::new(pattern.as_bytes()).unwrap();
        let replacement = rewrite::Replacement::new(&pattern, replacement.as_bytes()).unwrap();
        let result = pattern.rewrite(path.as_bytes(), &replacement);
        assert_eq!(result.as_deref(), Some(expected.as_bytes()), "{pattern:?}");
        assert_eq!(pattern.rewrite(b"elsewhere", &replacement), None);
    }
    // Bytes that are no text come out as they went in.
    let pattern = Pattern::new(b"^/s/(.*)$").unwrap();
    let replacement = rewrite::Replacement::new(&pattern, b"/d\xfe/\\1").unwrap();
    assert_eq!(pattern.rewrite(b"/s/\xff\xf4\x8f\xbd\x81", &replacement).unwrap(), b"/d\xfe/\xff\xf4\x8f\xbd\x81");
    assert_eq!(replacement.literal(), b"/d\xfe/");
}

#[test]
fn references_to_no_group_are_told() {
    let pattern = Pattern::new(b"^/(?P<name>.*)$").unwrap();
    let wrong = rewrite::Replacement::new(&pattern, br"/a\2/\g<nam>/\n").unwrap_err();
    let spans: Vec<_> = wrong.iter().map(|unknown| unknown.span.clone()).collect();
    assert_eq!(spans, [2..4, 5..12, 13..14]);
    assert_eq!(wrong[1].help, "src_re has 1 groups, by name: name");
}
