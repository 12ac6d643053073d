//! Lines of the mount table.

use super::mount_of;

#[test]
fn mount_points_are_read_with_their_escapes() {
    let line = b"36 35 98:0 /mnt1 /mnt/a\\040b\\134c rw,noatime master:1 - ext3 /dev/root rw";
    assert_eq!(mount_of(line), Some((b"36".to_vec(), b"/mnt/a b\\c".to_vec())));
    assert_eq!(mount_of(b"36 35 98:0"), None);
    assert_eq!(mount_of(b""), None);
    assert_eq!(mount_of(b"1 2 3 4 /x\\0"), Some((b"1".to_vec(), b"/x\\0".to_vec())));
}
