use super::*;

#[test]
fn an_older_archive_is_known_by_its_name() {
    for name in ["files_20260102-030405.tar.gz", "files_20260102-030405_1.tar.gz", "files_20260102-030405_12.tar.gz"] {
        assert!(is_older(name.as_bytes()), "{name}");
    }
    let others = [
        "files.tar.gz",
        "files_.tar.gz",
        "files_20260102-030405.tar",
        "files_20260102_030405.tar.gz",
        "files_2026010-0304055.tar.gz",
        "files_20260102-030405_.tar.gz",
        "files_20260102-030405_a.tar.gz",
        "files_20260102-030405-1.tar.gz",
        "files_of_mine.tar.gz",
        "xfiles_20260102-030405.tar.gz",
    ];
    for name in others {
        assert!(!is_older(name.as_bytes()), "{name}");
    }
}
