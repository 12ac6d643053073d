//! Who a word of the configuration stands for.

use super::*;

fn accounts() -> Accounts {
    Accounts {
        passwd: b"root:x:0:0:root:/root:/bin/sh\n# a comment\nbroken\nwww:x:33:34::/var/www:/usr/sbin/nologin\nnone:x:-1:0::/:\n65534:x:7:7::/:\n"
            .to_vec(),
        group: b"root:x:0:\nadm:x:4:www,other\nwww:x:34:\nwwwx:x:9:wwwx\ntape:x:26:other,www\n".to_vec(),
    }
}

#[test]
fn names_have_their_groups_and_their_home() {
    let person = Some((b"www".to_vec(), b"/var/www".to_vec()));
    let www = Account { uid: 33, gid: 34, groups: vec![4, 26, 34], person };
    assert_eq!(accounts().user("www"), Some(www.clone()));
    assert_eq!(accounts().user("33"), Some(www), "a number that is known is the same");
}

#[test]
fn numbers_need_no_entry_and_names_do() {
    let stranger = Account { uid: 1234, gid: 1234, groups: vec![1234], person: None };
    assert_eq!(accounts().user("1234"), Some(stranger));
    for word in ["nobody", "", "broken", "none", "-1", "4294967295", "#"] {
        assert_eq!(accounts().user(word), None, "{word}");
    }
    assert_eq!(accounts().user("65534").map(|account| account.uid), Some(7), "a name may consist of digits");
}
