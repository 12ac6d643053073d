//! The wrappers' own parsers, with bytes that no kernel sends.

use super::inotify::{Mask, Record, Records, Wd};
use super::socket::Wait;
use super::{Errno, socket};
use std::os::fd::AsFd;

/// fnmatch(3) with FNM_PATHNAME and FNM_PERIOD, as glob(3) uses it, for those who want to be compared.
pub fn fnmatch(pattern: &str, name: &str) -> bool {
    unsafe extern "C" {
        fn fnmatch(pattern: *const libc::c_char, name: *const libc::c_char, flags: libc::c_int) -> libc::c_int;
    }
    let (pattern, name) = (std::ffi::CString::new(pattern).unwrap(), std::ffi::CString::new(name).unwrap());
    // SAFETY: POSIX's own declaration; two live NUL-terminated strings. 1 and 4 are the flags of the C libraries of Linux.
    unsafe { fnmatch(pattern.as_ptr(), name.as_ptr(), 1 | 4) == 0 }
}

fn record(wd: i32, mask: u32, cookie: u32, name: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(wd.to_ne_bytes());
    for word in [mask, cookie, name.len() as u32] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(name);
    bytes
}

#[test]
fn records_are_cut_at_the_first_nul_and_may_lack_one() {
    let bytes = [record(3, 0x100, 7, b"ab\0\0"), record(-1, 0x4000, 0, b""), record(4, 2, 0, b"abcd")].concat();
    let expected = [
        Record { wd: Wd(3), mask: Mask::CREATE, cookie: 7, name: b"ab" },
        Record { wd: Wd::OVERFLOW, mask: Mask::Q_OVERFLOW, cookie: 0, name: b"" },
        Record { wd: Wd(4), mask: Mask::MODIFY, cookie: 0, name: b"abcd" },
    ];
    assert_eq!(Records::new(&bytes).collect::<Vec<_>>(), expected);
}

#[test]
fn any_bytes_end_without_going_astray() {
    let whole = [record(1, 2, 3, b"name\0\0\0\0"), record(1, 2, 3, &[b'x'; 256])].concat();
    for cut in 0..whole.len() {
        assert!(Records::new(&whole[..cut]).count() < 2);
    }
    let lying = record(1, 2, 3, b"").iter().take(12).copied().chain(u32::MAX.to_ne_bytes()).collect::<Vec<_>>();
    assert_eq!(Records::new(&lying).count(), 0);
}

#[test]
fn a_packet_that_does_not_fit_is_an_error_and_the_next_one_is_whole() {
    let (one, other) = socket::pair().unwrap();
    for packet in [&[1_u8; 100][..], &[2; 50]] {
        socket::send(one.as_fd(), packet, Wait::No).unwrap();
    }
    let mut buffer = [0; 50];
    assert_eq!(socket::receive(other.as_fd(), &mut buffer, Wait::Yes), Err(Errno::EMSGSIZE));
    assert_eq!((socket::receive(other.as_fd(), &mut buffer, Wait::Yes), buffer), (Ok(50), [2; 50]));
    assert_eq!(socket::receive(other.as_fd(), &mut buffer, Wait::No), Err(Errno::EAGAIN));
    drop(one);
    assert_eq!(socket::receive(other.as_fd(), &mut buffer, Wait::Yes), Ok(0));
    assert_eq!(socket::send(other.as_fd(), &[1], Wait::No), Err(Errno::EPIPE));
}
