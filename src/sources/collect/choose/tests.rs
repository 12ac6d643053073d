use super::*;

const AGE: Millis = Millis(60_000);

fn file(name: &str, age: u64, open: Option<bool>) -> Candidate {
    Candidate { name: name.into(), age: Millis(age), open }
}

fn names(names: &[&str], enough: usize) -> Verdict {
    Verdict::Collect(names.iter().map(|name| name.as_bytes().to_vec()).collect(), enough)
}

#[test]
fn hidden_files_and_swap_files_do_not_count() {
    for name in ["a", "dump.sql", "logo.svg", "a.sw", "sw", "a.sw1", "a.swpp", "a.swp~", "asws"] {
        assert!(is_valid(name.as_bytes()), "{name}");
    }
    for name in [".a", ".", ".a.swp", "a.swp", "a.swo", "a.swx", "a.swZ", "a.b.swa"] {
        assert!(!is_valid(name.as_bytes()), "{name}");
    }
}

#[test]
fn all_that_are_whole_are_taken_once_there_are_enough() {
    let mut files = vec![file("b", 0, Some(false))];
    assert_eq!(choose(&files, 2, None), Verdict::Wait(None));
    files.push(file("c", 0, Some(true)));
    assert_eq!(choose(&files, 2, None), Verdict::Wait(Some(Millis(60_000))));
    files.push(file("a", 0, Some(false)));
    assert_eq!(choose(&files, 2, None), names(&["a", "b"], 2));
    assert_eq!(choose(&[], 0, None), Verdict::Wait(None));
}

#[test]
fn where_it_is_not_known_who_writes_a_while_of_quiet_counts() {
    let mut files = vec![file("a", QUIET.0 - 300, None), file("b", QUIET.0, None)];
    assert_eq!(choose(&files, 2, None), Verdict::Wait(Some(Millis(300))));
    files[0].age = QUIET;
    assert_eq!(choose(&files, 2, None), names(&["a", "b"], 2));
    // Nothing more is to be expected of one that is quiet.
    assert_eq!(choose(&files, 3, None), Verdict::Wait(None));
}

#[test]
fn too_old_a_file_is_enough() {
    let mut files = vec![file("a", AGE.0 - 1, Some(false)), file("b", 5, Some(false))];
    assert_eq!(choose(&files, 10, Some(AGE)), Verdict::Wait(Some(Millis(1))));
    files[0].age = AGE;
    assert_eq!(choose(&files, 10, Some(AGE)), names(&["a", "b"], 1));
    // Whoever has it open closes it some time, which is an event.
    files[0].open = Some(true);
    assert_eq!(choose(&files, 10, Some(AGE)), Verdict::Wait(Some(Millis(AGE.0 - 5))));
}

#[test]
fn after_a_clock_was_set_back_files_are_old() {
    assert_eq!(age((100, 900_000_000), (103, 100_000_000)), Millis(2_200));
    // Another clock, or a look that takes its time.
    assert_eq!(age((160, 0), (100, 0)), Millis(0));
    let stepped = file("a", age((1_000_000, 0), (100, 0)).0, None);
    assert_eq!(choose(&[stepped], 1, None), names(&["a"], 1));
}

/// It may be closed without an event; but a file that stays open for hours wakes nobody up each minute.
#[test]
fn what_is_open_is_looked_at_again_less_and_less_often() {
    let mut looks = Vec::new();
    let mut age = 1_000;
    while age < 24 * 3_600_000 {
        let Verdict::Wait(Some(wait)) = choose(&[file("a", age, Some(true))], 1, None) else { panic!("it waits") };
        looks.push(wait.0 / 60_000);
        age += wait.0;
    }
    assert_eq!(looks[..8], [1, 1, 2, 4, 8, 16, 32, 60]);
    assert_eq!(looks.len(), 7 + 23);
    let forever = [file("a", u64::MAX, Some(true))];
    assert_eq!(choose(&forever, 1, None), Verdict::Wait(Some(Millis(3_600_000))));
}
