//! Caret lines.

use super::*;

fn rendered(text: &[u8], span: Range<usize>) -> String {
    let sources = [Source { path: b"/etc/x.conf".to_vec(), text: text.to_vec() }];
    Diagnostic::error(Span::new(0, span), "no such key").help("write \"delay\"").render(&sources)
}

#[test]
fn a_complaint_shows_its_line_with_a_caret() {
    let expected = "/etc/x.conf:2:1: error: no such key\n 2 | dealy = 3\n   | ^~~~~\n   = write \"delay\"\n";
    assert_eq!(rendered(b"[scheduler a]\ndealy = 3\n", 14..19), expected);
}

/// The caret stands below its character also after tabs, wide bytes and bytes that are not UTF-8.
#[test]
fn columns_count_characters() {
    let text = "k\u{e9}y\t= \u{fffd}x".as_bytes();
    let text = [text, b"\xff|"].concat();
    let at = text.iter().position(|byte| *byte == b'|').unwrap();
    let expected = "/etc/x.conf:1:10: error: no such key\n 1 | k\u{e9}y = \u{fffd}x\\xff|\n   |             ^\n   = write \"delay\"\n";
    assert_eq!(rendered(&text, at..at + 1), expected);
}

#[test]
fn spans_beyond_the_text_do_no_harm() {
    for span in [0..0, 3..9, 90..100] {
        assert!(rendered(b"ab\n", span).starts_with("/etc/x.conf:"));
    }
}
