//! Shell lines and argument lists, as far as they can be seen without starting anything.

use super::*;
use crate::jobs::command::shell::{Misplaced, rewrite};
use crate::jobs::command::words::split;

fn command(line: Line) -> Command {
    Command { line, user: None, output: Output::Log }
}

fn values<'a>(pathname: &'a [u8]) -> Values<'a> {
    Values { maskname: "IN_CREATE", pathname, src_pathname: b"", task_id: 3, scheduler: "s", date: "20260101-000000" }
}

#[test]
fn placeholders_become_quoted_variables() {
    for (line, expected) in [
        ("x {pathname}", "x \"$DOGWATCH_PATHNAME\""),
        ("x --file={pathname};y {task_id}", "x --file=\"$DOGWATCH_PATHNAME\";y \"$DOGWATCH_TASK_ID\""),
        ("x \"a b\" {src_pathname}", "x \"a b\" \"$DOGWATCH_SRC_PATHNAME\""),
        ("x 'don\"t' {name}", "x 'don\"t' \"$DOGWATCH_NAME\""),
        ("x \\' {name} \\\\ {dir}", "x \\' \"$DOGWATCH_NAME\" \\\\ \"$DOGWATCH_DIR\""),
        ("y $(basename {pathname})", "y $(basename \"$DOGWATCH_PATHNAME\")"),
        ("(cd {dir} && x)", "(cd \"$DOGWATCH_DIR\" && x)"),
        ("x <<<y > {name} 2>&1", "x <<<y > \"$DOGWATCH_NAME\" 2>&1"),
        ("x ${HOME} {other} {}", "x ${HOME} {other} {}"),
        ("for name in a b; do x ${name}; done", "for name in a b; do x ${name}; done"),
        ("x $((1<<2)) $(y $((1+(2)))) {name}", "x $((1<<2)) $(y $((1+(2)))) \"$DOGWATCH_NAME\""),
    ] {
        let result = rewrite(line.as_bytes()).map(|text| String::from_utf8(text).unwrap());
        let here_string = line.contains("<<<");
        if here_string {
            // A here-string is not POSIX; it is taken for a here-document, on the safe side.
            assert!(result.is_err(), "{line}");
        } else {
            assert_eq!(result.as_deref(), Ok(expected));
        }
    }
}

#[test]
fn placeholders_inside_quotes_are_refused_with_their_place() {
    for (line, at, inside) in [
        ("x '{pathname}'", 3, "single quotes"),
        ("x \"{pathname}\"", 3, "double quotes"),
        ("x \"a {pathname} b\"", 5, "double quotes"),
        ("x \"$(y {pathname})\"", 7, "double quotes"),
        ("x `y {pathname}`", 5, "backquotes"),
        ("x \"it's {pathname}\"", 8, "double quotes"),
        ("x 'a\\' '{pathname}'", 8, "single quotes"),
        ("x \\{pathname}", 3, "an escape (it follows a backslash)"),
        ("x $(( {name} + 1 ))", 6, "an arithmetic expression"),
        ("x $((1<<(2))) $[{name}]", 16, "an arithmetic expression"),
        ("(( {name} > 1 ))", 3, "an arithmetic expression"),
        ("cat <<E {pathname}", 8, "a here-document"),
    ] {
        let length = if line.contains("{name}") { "{name}".len() } else { "{pathname}".len() };
        let expected = Misplaced { span: at..at + length, inside };
        assert_eq!(rewrite(line.as_bytes()), Err(vec![expected]), "{line}");
    }
}

#[test]
fn every_misplaced_placeholder_is_named() {
    assert_eq!(rewrite(b"x '{name}' {dir} \"{name}\"").map_err(|wrong| wrong.len()), Err(2));
}

#[test]
fn exec_values_are_one_argument_each() {
    let argv = |value: &[u8], path: &[u8]| {
        let words = split(value).unwrap();
        let program = command(Line::Exec(words)).program(&values(path), &Environment::default()).unwrap();
        program.argv.into_iter().map(CString::into_bytes).collect::<Vec<_>>()
    };
    assert_eq!(argv(b"/bin/x {pathname}  -f{name}", b"/a b/$(c) d"), [&b"/bin/x"[..], b"/a b/$(c) d", b"-f$(c) d"]);
    assert_eq!(argv(b"x 'a b' \"c \\\" d\" e\\ f ''", b"/"), [&b"x"[..], b"a b", b"c \" d", b"e f", b""]);
    assert_eq!(argv(b"x {src_pathname} {pathname}", b"/{name}"), [&b"x"[..], b"", b"/{name}"]);
}

#[test]
fn a_quote_without_an_end_is_told() {
    for (value, span) in [(&b"x 'ab"[..], 2..5), (b"x \"", 2..3), (b"x a\\", 3..4)] {
        assert_eq!(split(value).map_err(|unclosed| unclosed.span), Err(span));
    }
    assert_eq!(split(b" \t").map(|words| words.len()), Ok(0));
}

#[test]
fn a_command_finds_its_values_in_the_environment() {
    let outer = [(b"PATH".to_vec(), b"/bin".to_vec()), (b"DOGWATCH_PATHNAME".to_vec(), b"old".to_vec())];
    let program = command(Line::Shell(b"x".to_vec())).program(&values(b"/new"), &Environment::new(outer)).unwrap();
    let env: Vec<&[u8]> = program.env.iter().map(|string| string.as_bytes()).collect();
    assert!(env.contains(&&b"PATH=/bin"[..]));
    assert_eq!(
        env.iter().filter(|string| string.starts_with(b"DOGWATCH_PATHNAME=")).collect::<Vec<_>>(),
        [b"DOGWATCH_PATHNAME=/new"]
    );
    assert_eq!(env.len(), 1 + PLACEHOLDERS.len());
}
