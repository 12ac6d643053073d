//! Forms of headers that others write, one by one.

use super::hostile::{file, raw, tar};
use super::{BLOCK, Member, Scratch, What, open};
use crate::jobs::archive::{pax, read_through};
use crate::sys::fs::Open;
use crate::sys::stream::Write;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::os::fd::AsFd;

/// The members of an archive.
fn read(bytes: &[u8]) -> Vec<Member> {
    let scratch = Scratch::new();
    std::fs::write(scratch.path("a"), bytes).unwrap();
    let mut members = Vec::new();
    read_through(open(&scratch.path("a"), Open::Read).as_fd(), b"A", &mut |member| members.push(member.clone()))
        .unwrap();
    members
}

/// What ends an archive, with a member before it that would not be found if anything were read wrongly.
fn end() -> Vec<u8> {
    tar(&[file("last", "1")])
}

#[test]
fn pax_records_overrule_headers() {
    let mut records = Vec::new();
    for (key, value) in [
        ("path", "long name"),
        ("size", "3"),
        ("mtime", "-1.5"),
        ("uid", "3000000000"),
        ("gid", "7"),
        ("comment", "is nothing"),
        ("SCHILY.xattr.user.a", "b"),
    ] {
        pax::push(&mut records, key.as_bytes(), value.as_bytes());
    }
    let mut data = b"abc".to_vec();
    data.resize(BLOCK, 0);
    let archive =
        [raw(b'g', 14, b"14 comment=any"), raw(b'x', records.len() as u64, &records), raw(b'0', 0, b""), data, end()];
    let members = read(&archive.concat());
    assert_eq!(members[1].name, b"last");
    let expected = Member {
        name: b"long name".to_vec(),
        what: What::File(3),
        mode: 0o644,
        uid: 3_000_000_000,
        gid: 7,
        mtime: (-2, 500_000_000),
        xattrs: vec![(b"user.a".to_vec(), b"b".to_vec())],
    };
    assert_eq!(members[0], expected);
    let mut records = Vec::new();
    pax::push(&mut records, b"linkpath", b"over there");
    let members = read(&[raw(b'x', records.len() as u64, &records), raw(b'2', 0, b""), end()].concat());
    assert_eq!((&members[0].what, &members[1].name[..]), (&What::Symlink(b"over there".to_vec()), &b"last"[..]));
}

#[test]
fn every_type_is_known_or_passed_over() {
    let what = |kind: u8| read(&[raw(kind, 0, b""), end()].concat()).remove(0).what;
    assert_eq!([0, b'0', b'7'].map(what), [const { What::File(0) }; 3]);
    assert_eq!([b'5', b'6', b'V'].map(what), [What::Directory, What::Fifo, What::Other(b'V')]);
    // Some write the size of what it is another name of, or of what a directory needs on disk; no data follow.
    for kind in [b'1', b'2', b'5', b'6'] {
        assert_eq!(read(&[raw(kind, 700, b""), end()].concat())[1].name, b"last", "{kind}");
    }
    let mut data = raw(b'M', 700, &[b'x'; 700]);
    data.extend(end());
    assert_eq!(
        read(&data).iter().map(|member| member.what.clone()).collect::<Vec<_>>(),
        [What::Other(b'M'), What::File(1)]
    );
}

/// POSIX splits a long name at a slash; before it, only a slash at the end told a directory.
#[test]
fn older_headers_are_read() {
    let mut header = tar::Header::new_ustar();
    let ustar = header.as_ustar_mut().unwrap();
    ustar.prefix[..5].copy_from_slice(b"above");
    ustar.name[..5].copy_from_slice(b"below");
    header.set_entry_type(tar::EntryType::Char);
    header.set_device_major(5).unwrap();
    header.set_device_minor(1).unwrap();
    header.set_cksum();
    let mut old = tar::Header::new_old();
    old.as_old_mut().name[..4].copy_from_slice(b"dir/");
    old.set_cksum();
    let members = read(&[&header.as_bytes()[..], old.as_bytes(), &end()].concat());
    let found: Vec<_> = members.iter().map(|member| (&member.name[..], &member.what)).collect();
    let expected =
        [(&b"above/below"[..], &What::Character((5, 1))), (b"dir/", &What::Directory), (b"last", &What::File(1))];
    assert_eq!(found, expected);
}

/// GNU tar's map of a sparse file goes on in blocks of its own.
#[test]
fn a_sparse_file_is_passed_over_with_its_map() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_size(513);
    for set in [tar::Header::set_uid, tar::Header::set_gid] {
        set(&mut header, 0);
    }
    header.set_mode(0);
    header.as_gnu_mut().unwrap().isextended[0] = 1;
    header.set_cksum();
    let (mut first, last) = ([1; BLOCK], [0; BLOCK]);
    first[504] = 1;
    let data = [b'x'; 2 * BLOCK];
    let members = read(&[&header.as_bytes()[..], &first, &last, &data, &end()].concat());
    assert_eq!(
        members.iter().map(|member| member.what.clone()).collect::<Vec<_>>(),
        [What::Other(b'S'), What::File(1)]
    );
}

/// As cat(1) puts them together, and as parallel compressors write them.
#[test]
fn gzip_may_have_parts() {
    let whole = end();
    let mut bytes = Vec::new();
    for part in whole.chunks(700) {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(part).unwrap();
        bytes.extend(gzip.finish().unwrap());
    }
    assert_eq!(read(&bytes), read(&whole));
}
