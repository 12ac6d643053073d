use super::{BLOCK, Member, What, number, seconds};

#[test]
fn numbers_are_digits_or_bytes() {
    for (field, value) in [
        (&b"0000644\0"[..], Some(0o644)),
        (b"   644 \0", Some(0o644)),
        (b"\0\0\0\0\0\0\0\0", Some(0)),
        (b"77777777", Some(0o77_777_777)),
        (b"\x80\0\0\0\0\0\x01\0", Some(256)),
        (b"\xff\xff\xff\xff\xff\xff\xff\xf9", Some(-7)),
        (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX)),
        (b"\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", Some(i64::MIN)),
        (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
        (b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        (b"\xc0\0\0\0\0\0\0\0\0\0\0\0", None),
        (b"0000648\0", None),
        (b"64\xff", None),
    ] {
        assert_eq!(number(field), value, "{field:x?}");
    }
}

#[test]
fn every_time_reads_back() {
    for time in [0, 1, 0o77_777_777_777, 0o100_000_000_000, -1, -7, i64::MAX, i64::MIN] {
        assert_eq!(number(&seconds(time)), Some(time));
    }
    assert_eq!(&seconds(0o17), b"00000000017\0");
}

/// Names at the edges of a header's field, and where a reader's memory ends.
#[test]
fn long_names_have_blocks_of_their_own() {
    let headers = |length: usize, target: usize| {
        let what = What::Symlink(vec![b't'; target]);
        let member = Member { name: vec![b'n'; length], what, mode: 0, uid: 0, gid: 0, mtime: (0, 0), xattrs: vec![] };
        member.headers().map(|bytes| bytes.len() / BLOCK)
    };
    assert_eq!([headers(99, 99), headers(100, 99), headers(99, 100), headers(100, 100)], [1, 3, 3, 5].map(Some));
    assert_eq!([headers(511, 1), headers(512, 1)], [3, 4].map(Some), "with its NUL");
    assert_eq!([headers((1 << 20) - 1, 1), headers(1 << 20, 1), headers(1, 1 << 20)], [Some(2 + 2048), None, None]);
}
