use super::{BINARY, INITS, What, named, position};

#[test]
fn lines_are_found_where_lines_begin() {
    assert_eq!(position(b"a\nb\nc\n", b"b\n"), Some(2));
    assert_eq!(position(b"b\nc\n", b"b\n"), Some(0));
    assert_eq!(position(b"ab\n#b\n", b"b\n"), None);
    assert_eq!(position(b"ab\nb\n", b"b\n"), Some(3));
    assert_eq!(position(b"", b"b\n"), None);
    assert_eq!(position(b"b", b"b\n"), None);
}

/// So that `uninstall` takes all of it away again, from the last to the first.
#[test]
fn what_entries_stand_in_comes_before_them() {
    for init in &INITS {
        for (at, entry) in init.entries.iter().enumerate() {
            let (above, _) = entry.path.rsplit_once('/').unwrap();
            let before = || init.entries.iter().take(at).any(|other| other.path == above);
            assert!(!above.ends_with("/dogwatch") || before(), "{}: {}", init.name, entry.path);
        }
        assert_eq!(named(init.name).map(|found| found.name), Some(init.name));
    }
    assert!(named("upstart").is_none());
}

/// So that it is called where it stands when it is installed.
#[test]
fn every_service_names_the_program_by_its_path() {
    for init in &INITS {
        let names_it = init.entries.iter().any(|entry| match entry.what {
            What::File(text, _) | What::Lines(text) => text.contains(BINARY),
            What::Directory | What::Link(_) => false,
        });
        assert!(names_it, "{}", init.name);
    }
}

#[test]
fn files_end_with_a_newline_and_scripts_can_be_run() {
    for entry in INITS.iter().flat_map(|init| init.entries) {
        if let What::File(text, mode) = entry.what {
            assert!(text.ends_with('\n'), "{}", entry.path);
            assert_eq!(text.starts_with("#!"), mode == 0o755, "{}", entry.path);
        }
    }
}
