use super::*;

const AGE: Millis = Millis(60_000);

fn file(age: u64, open: Option<bool>) -> Candidate {
    Candidate { age: Millis(age), open }
}

/// The verdict on these files, and which of them are whole.
fn choose(files: &[Candidate], threshold: usize, max_age: Option<Millis>) -> (Verdict, Vec<usize>) {
    let mut tally = Tally::new(max_age);
    let whole = (0..files.len()).filter(|n| tally.add(files[*n])).collect();
    assert_eq!(tally.untold, files.iter().filter(|file| file.open.is_none()).count());
    (tally.verdict(threshold), whole)
}

fn wait(files: &[Candidate], threshold: usize, max_age: Option<Millis>) -> Option<u64> {
    let Verdict::Wait(after) = choose(files, threshold, max_age).0 else { panic!("it waits") };
    after.map(|after| after.0)
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
    let mut files = vec![file(0, Some(false))];
    assert_eq!(wait(&files, 2, None), None);
    files.push(file(0, Some(true)));
    assert_eq!(wait(&files, 2, None), Some(60_000));
    files.push(file(0, Some(false)));
    assert_eq!(choose(&files, 2, None), (Verdict::Collect(2), vec![0, 2]));
    assert_eq!(wait(&[], 0, None), None);
}

#[test]
fn where_it_is_not_known_who_writes_a_while_of_quiet_counts() {
    let mut files = vec![file(QUIET.0 - 300, None), file(QUIET.0, None)];
    assert_eq!(wait(&files, 2, None), Some(300));
    files[0].age = QUIET;
    assert_eq!(choose(&files, 2, None), (Verdict::Collect(2), vec![0, 1]));
    // Nothing more is to be expected of one that is quiet.
    assert_eq!(wait(&files, 3, None), None);
}

#[test]
fn too_old_a_file_is_enough() {
    let mut files = vec![file(AGE.0 - 1, Some(false)), file(5, Some(false))];
    assert_eq!(wait(&files, 10, Some(AGE)), Some(1));
    files[0].age = AGE;
    assert_eq!(choose(&files, 10, Some(AGE)), (Verdict::Collect(1), vec![0, 1]));
    // Whoever has it open closes it some time, which is an event.
    files[0].open = Some(true);
    assert_eq!(wait(&files, 10, Some(AGE)), Some(AGE.0 - 5));
}

#[test]
fn after_a_clock_was_set_back_files_are_old() {
    assert_eq!(age((100, 900_000_000), (103, 100_000_000)), Millis(2_200));
    // Another clock, or a look that takes its time.
    assert_eq!(age((160, 0), (100, 0)), Millis(0));
    let stepped = file(age((1_000_000, 0), (100, 0)).0, None);
    assert_eq!(choose(&[stepped], 1, None), (Verdict::Collect(1), vec![0]));
}

/// It may be closed without an event; but a file that stays open for hours wakes nobody up each minute.
#[test]
fn what_is_open_is_looked_at_again_less_and_less_often() {
    let mut looks = Vec::new();
    let mut age = 1_000;
    while age < 24 * 3_600_000 {
        let after = wait(&[file(age, Some(true))], 1, None).unwrap();
        looks.push(after / 60_000);
        age += after;
    }
    assert_eq!(looks[..8], [1, 1, 2, 4, 8, 16, 32, 60]);
    assert_eq!(looks.len(), 7 + 23);
    assert_eq!(wait(&[file(u64::MAX, Some(true))], 1, None), Some(3_600_000));
}
