//! Calls keep their values on the way to a worker.

use super::*;

#[test]
fn a_call_keeps_its_values() {
    let path = |bytes: &'static [u8]| Path::new(OsStr::from_bytes(bytes));
    let task = Task {
        event: "IN_MOVED_TO",
        path: path(b"/a b\n\xff'$(x)"),
        source: Some(path(b"/old")),
        is_dir: true,
        id: u64::MAX,
        scheduler: "inbox",
    };
    assert_eq!(decode(&encode("count", &task)), Some(("count", task)));
    let task = Task { source: None, is_dir: false, id: 0, ..task };
    assert_eq!(decode(&encode("x", &task)), Some(("x", task)));
}

#[test]
fn what_is_no_call_is_refused() {
    for bytes in
        [&b""[..], b"a\0b", b"a\0b\0c\0x\0file\0/p\0", b"a\0b\0c\x001\0file\0/p\0/q\0", b"a\0\xff\0c\x001\0file\0/p\0"]
    {
        assert_eq!(decode(bytes), None, "{bytes:?}");
    }
}
