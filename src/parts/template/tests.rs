//! Placeholders in texts.

use super::*;

fn values() -> Values<'static> {
    Values {
        maskname: "IN_MOVED_TO",
        pathname: b"/src/{src_pathname}",
        src_pathname: b"",
        task_id: 7,
        scheduler: "inbox",
        date: "20260102-030405",
    }
}

#[test]
fn values_take_the_place_of_placeholders_once() {
    let text = b"${name}{maskname}|{pathname}|{src_pathname}|{name}|{dir}|{task_id}|{scheduler}|{date}|{other}{";
    let expected = b"${name}IN_MOVED_TO|/src/{src_pathname}||{src_pathname}|/src|7|inbox|20260102-030405|{other}{";
    assert_eq!(Template::new(text).expand(&values()), expected);
}

#[test]
fn name_and_dir_of_odd_paths() {
    for (path, name, dir) in [("/", "", "/"), ("/a", "a", "/"), ("/a/b", "b", "/a")] {
        let values = Values { pathname: path.as_bytes(), ..values() };
        let (found_name, found_dir) = (values.get(Placeholder::Name), values.get(Placeholder::Dir));
        assert_eq!((&*found_name, &*found_dir), (name.as_bytes(), dir.as_bytes()), "{path}");
    }
}

#[test]
fn what_is_nearly_a_placeholder_is_told() {
    let near = |text: &[u8]| braces(text).first().and_then(|brace| brace.near);
    assert_eq!(near(b"x {pathnam} y"), Some("pathname"));
    assert_eq!(near(b"x {src_path_name} y"), Some("src_pathname"));
    assert_eq!(near(b"${NAME}"), None);
    assert_eq!(near(b"{a,b} {} { name }"), None);
    assert_eq!(near(b"{elephant}"), None);
}
