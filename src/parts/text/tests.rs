//! Escapes and the byte mapping.

use super::*;

#[test]
fn names_cannot_leave_their_line() {
    let cases: [(&[u8], &str); 8] = [
        (b"plain \xc3\xa9", "plain \u{e9}"),
        (b"a\nERROR forged", "a\\nERROR forged"),
        (b"back\\slash", "back\\\\slash"),
        (b"\x1b[2J\r\t\x7f", "\\x1b[2J\\x0d\\x09\\x7f"),
        (b"stray \xff\xc3", "stray \\xff\\xc3"),
        ("c1 \u{85}".as_bytes(), "c1 \\xc2\\x85"),
        ("bidi \u{202e}txt".as_bytes(), "bidi \\xe2\\x80\\xaetxt"),
        ("line \u{2028}".as_bytes(), "line \\xe2\\x80\\xa8"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(Escaped(bytes).to_string(), expected);
        assert_eq!(unescaped(expected.as_bytes()).as_deref(), Some(bytes));
    }
    for wrong in [&b"\\"[..], b"a\\x1", b"\\t", b"\\xg0", b"\\x+1"] {
        assert_eq!(unescaped(wrong), None, "{wrong:?}");
    }
}

/// All strings of up to two bytes, all valid characters near the mapped range, and random mixtures.
#[test]
fn the_mapping_is_one_to_one() {
    let mut seen = std::collections::HashSet::new();
    let mut check = |bytes: &[u8]| {
        let text = to_text(bytes);
        assert_eq!(to_bytes(&text), bytes, "{bytes:x?}");
        assert!(seen.insert(text), "two byte strings with one text: {bytes:x?}");
    };
    check(b"");
    for a in 0..=255_u8 {
        check(&[a]);
        for b in 0..=255_u8 {
            check(&[a, b]);
        }
    }
    for code in 0x10_FE00..=0x10_FFFF {
        check(char::from_u32(code).unwrap().encode_utf8(&mut [0; 4]).as_bytes());
    }
}

#[test]
fn the_nearest_word_is_one_a_person_would_mean() {
    let keys = ["delay", "dirs", "files", "cmd", "exec", "event_map"];
    for (word, expected) in [
        ("dealy", Some("delay")),
        ("DELAY", Some("delay")),
        ("file", Some("files")),
        ("eventmap", Some("event_map")),
        ("cdm", Some("cmd")),
        ("colour", None),
        ("x", None),
        ("", None),
    ] {
        assert_eq!(nearest(word, keys), expected, "{word}");
    }
}
