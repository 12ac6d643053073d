//! What is written is read back; what is not whole is refused.

use super::*;

fn entries() -> Vec<Entry> {
    let entry = |path: &[u8], source: Option<&[u8]>, file| Entry {
        scheduler: "inb\u{f6}x".to_owned(),
        mask: Mask::CLOSE_WRITE,
        path: path.to_vec(),
        source: source.map(<[u8]>::to_vec),
        wait: Millis(3_599_999),
        file,
    };
    let file = Identity { ino: u64::MAX, size: 0, mtime: (-7, 999_999_999) };
    vec![
        entry(b"/a", None, Was::This(file)),
        entry(b"/tab\there \xff\n and \\end\nend\n", Some(b"/old\t\\"), Was::Nothing),
        entry(b"/b", None, Was::Unknown),
        Entry { mask: Mask::CREATE.with(Mask::ISDIR), wait: Millis(0), ..entry(b"/", Some(b""), Was::This(file)) },
    ]
}

fn text() -> Vec<u8> {
    encode(entries().into_iter(), 1_700_000_000)
}

#[test]
fn what_is_saved_is_read_back() {
    let pending = Pending::check(text()).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!((pending.at, pending.entries().collect::<Vec<_>>()), (1_700_000_000, entries()));
    let none = Pending::check(encode(std::iter::empty(), -1)).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!((none.at, none.entries().count()), (-1, 0));
}

#[test]
fn a_text_that_is_cut_or_changed_anywhere_is_refused() {
    let whole = text();
    for end in 0..whole.len() {
        assert!(Pending::check(whole[..end].to_vec()).is_err(), "cut at {end}");
    }
    for at in 0..whole.len() {
        for bit in [1, 16] {
            let mut changed = whole.clone();
            changed[at] ^= bit;
            assert!(Pending::check(changed).is_err(), "bit {bit} of byte {at}");
        }
    }
    let mut longer = whole.clone();
    longer.extend(b"end\n");
    assert!(Pending::check(longer).is_err());
}

/// Somebody who changes it knows how to make the sum right; what is no task is refused all the same.
#[test]
fn lines_that_are_no_tasks_are_refused() {
    let good = "5\ts\tIN_CREATE\t1 2 3 4\t/p";
    let with = |line: &str| {
        let text = format!("{VERSION}\nat 5\n{line}\n");
        let sum = fnv::with(fnv::EMPTY, text.as_bytes());
        Pending::check(format!("{text}sum {sum:016x}\nend\n").into_bytes())
    };
    assert!(with(good).is_ok() && with(&format!("{good}\t/source")).is_ok());
    for (from, to) in [
        ("5\t", "x\t"),
        ("5\t", "-5\t"),
        ("\ts\t", "\t"),
        ("IN_CREATE", "IN_NOTHING"),
        ("IN_CREATE", "IN_CREATE|IN_MODIFY"),
        ("1 2 3 4", "1 2 3"),
        ("1 2 3 4", ""),
        ("/p", "p"),
        ("/p", "/p\\q"),
        ("/p", "/p\t/s\tmore"),
    ] {
        assert_eq!(with(&good.replacen(from, to, 1)).err(), Some("a line is no task"), "{to}");
    }
    let other = String::from_utf8(text()).unwrap().replace("pending 1", "pending 2");
    assert_eq!(Pending::check(other.into_bytes()).err(), Some("it has been changed"));
}
