use super::{decimal, key_of_xattr, push, records, time_of_text, time_to_text, xattr_of_key};

/// Around the lengths at which a record's length gets one digit more.
#[test]
fn records_read_back_whatever_their_length() {
    let mut bytes = Vec::new();
    let lengths: Vec<usize> = (0..120).chain(980..1010).chain(9_980..10_010).chain([70_000]).collect();
    for length in &lengths {
        let before = bytes.len();
        push(&mut bytes, b"key", &vec![b'\n'; *length]);
        let text = String::from_utf8_lossy(&bytes[before..]);
        assert_eq!(text.split(' ').next().unwrap().parse(), Ok(bytes.len() - before));
    }
    let found: Vec<_> = records(&bytes).map(Result::unwrap).collect();
    assert_eq!(found.iter().map(|(_, value)| value.len()).collect::<Vec<_>>(), lengths);
    assert!(found.iter().all(|(key, value)| *key == b"key" && value.iter().all(|byte| *byte == b'\n')));
}

#[test]
fn what_is_no_record_is_an_error() {
    let text: &[u8] = b"6 a=b\n";
    assert_eq!(records(text).collect::<Vec<_>>(), [Ok((&b"a"[..], &b"b"[..]))]);
    for wrong in [
        &b"6 a=b"[..],
        b"7 a=b\n",
        b"5 a=b\n",
        b"0 a=b\n",
        b"-6 a=b\n",
        b"+6 a=b\n",
        b"6  a=b\n",
        b"6a=b\n",
        b"4 a\n",
        b"99999999999999999999 a=b\n",
        b"18446744073709551615 a=b\n",
        b"2 ",
        b"\n",
        b" ",
    ] {
        let found: Vec<_> = records(wrong).collect();
        assert!(found.contains(&Err(())), "{:?}: {found:?}", String::from_utf8_lossy(wrong));
        // One that is right before it is handed out, and nothing comes after it.
        let both = [text, wrong, text].concat();
        assert_eq!(records(&both).next(), Some(Ok((&b"a"[..], &b"b"[..]))));
    }
}

#[test]
fn times_have_a_fraction_and_a_sign() {
    for (time, text) in [
        ((0, 0), "0.000000000"),
        ((1, 5), "1.000000005"),
        ((-1, 0), "-1.000000000"),
        ((-1, 999_999_999), "-0.000000001"),
        ((-7, 250_000_000), "-6.750000000"),
        ((8_589_934_592, 999_999_999), "8589934592.999999999"),
    ] {
        assert_eq!((time_to_text(time).as_str(), time_of_text(text.as_bytes())), (text, Some(time)));
    }
    for (text, time) in
        [("5", Some((5, 0))), ("5.", Some((5, 0))), ("5.1234567899", Some((5, 123_456_789))), ("-5", Some((-5, 0)))]
    {
        assert_eq!(time_of_text(text.as_bytes()), time);
    }
    for wrong in ["", "-", ".5", "5.x", "--5", "5 ", "99999999999999999999"] {
        assert_eq!(time_of_text(wrong.as_bytes()), None, "{wrong}");
    }
}

#[test]
fn numbers_are_digits() {
    assert_eq!([&b"0"[..], b"007", b"18446744073709551615"].map(decimal), [Some(0), Some(7), Some(u64::MAX)]);
    assert_eq!([&b""[..], b"-1", b"+1", b"1 ", b"18446744073709551616"].map(decimal), [None; 5]);
}

#[test]
fn any_name_of_an_attribute_reads_back() {
    for name in [&b"user.a"[..], b"user.a=b", b"user.%3D%25%", b"user.\xff", b"%"] {
        let key = key_of_xattr(name);
        assert!(!key.contains(&b'='));
        assert_eq!(xattr_of_key(&key).as_deref(), Some(name));
    }
    assert_eq!(xattr_of_key(b"path"), None);
}
