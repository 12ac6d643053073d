//! Patterns of glob(7), and glibc's fnmatch(3) beside them.

use super::*;

fn matches(pattern: &str, name: &[u8]) -> bool {
    Glob::new(pattern.as_bytes()).unwrap().is_match(name)
}

#[test]
fn wildcards_match_within_a_name() {
    for (pattern, yes, no) in [
        ("*", &["a", "a b", "ä\n"][..], &[".a", ".."][..]),
        ("*.log", &["x.log", "..log".trim_start_matches('.')], &[".log", "x.logs", "log"]),
        ("a?c", &["abc", "aäc", "a.c"], &["ac", "abbc"]),
        ("[a-c]x", &["ax", "cx"], &["dx", "-x", "x"]),
        ("[!a-c]x", &["dx", "Ax"], &["ax"]),
        ("[^a]", &["b"], &["a"]),
        ("[]a]", &["]", "a"], &["b"]),
        ("[a-]", &["a", "-"], &["b"]),
        ("[[:digit:]_]*", &["1", "_x"], &["a1"]),
        (".*", &[".a", "."], &["a"]),
        ("\\*", &["*"], &["a", "\\*"]),
        ("a.b(c)+", &["a.b(c)+"], &["axb(c)+", "a.bcc"]),
    ] {
        yes.iter().for_each(|name| assert!(matches(pattern, name.as_bytes()) != (*name == "log"), "{pattern} {name}"));
        no.iter().for_each(|name| assert!(!matches(pattern, name.as_bytes()), "{pattern} {name}"));
    }
    assert!(matches("a?b", b"a\xFFb") && matches("*", b"\xFF\n\xC3"), "bytes that are no text");
}

#[test]
fn what_is_no_pattern_is_refused_with_a_reason() {
    for (pattern, words) in [("[a", "without its ]"), ("[[:foo", "without its :]"), ("**", "rec = yes")] {
        let wrong = Glob::new(pattern.as_bytes()).unwrap_err();
        assert!(wrong.contains(words), "{wrong}");
    }
}

#[test]
fn components_without_wildcards_are_plain() {
    assert!(is_pattern(b"a*") && is_pattern(b"[x") && !is_pattern(b"a\\*") && !is_pattern(b"plain"));
    assert_eq!(unescaped(b"a\\*b\\\\"), b"a*b\\");
}

/// A hundred thousand random patterns and names: the answer is that of the C library's own.
#[test]
fn the_answer_is_that_of_fnmatch() {
    let mut rng = fastrand::Rng::with_seed(11);
    let mut both = [0, 0];
    for _ in 0..100_000 {
        let pattern: String = (0..rng.usize(1..6))
            .map(|_| *rng.choice(&["a", "b", ".", "*", "?", "[ab]", "[!a]", "\\*", "\\."]).unwrap())
            .collect();
        let name: String = (0..rng.usize(1..5)).map(|_| *rng.choice(&["a", "b", ".", "*"]).unwrap()).collect();
        if pattern.contains("**") {
            continue;
        }
        let theirs = crate::sys::tests::fnmatch(&pattern, &name);
        assert_eq!(matches(&pattern, name.as_bytes()), theirs, "{pattern} {name}");
        both[usize::from(theirs)] += 1;
    }
    assert!(both.iter().all(|count| *count > 5_000), "{both:?}");
}
