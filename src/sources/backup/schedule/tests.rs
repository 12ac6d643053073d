use super::*;

fn parse(line: &str) -> Schedule {
    Schedule::parse(line.as_bytes()).unwrap_or_else(|wrong| panic!("{line}: {wrong}"))
}

fn wrong(line: &str) -> String {
    match Schedule::parse(line.as_bytes()) {
        Ok(schedule) => panic!("{schedule:?}"),
        Err(wrong) => wrong,
    }
}

#[test]
fn three_fields_are_enough() {
    let schedule = parse("test;16:07;backup_test");
    let key = Key { path: b"test".to_vec(), time: Time::parse("16:07").unwrap(), name: b"backup_test".to_vec() };
    let expected = Schedule {
        line: b"test;16:07;backup_test".to_vec(),
        plan: Plan { key, days: Days::ALL, catchup: Millis(0) },
        keep: Keep::default(),
        excludes: Vec::new(),
        level: USUAL_LEVEL,
        one_file_system: false,
    };
    assert_eq!(schedule, expected);
}

#[test]
fn every_key_is_read() {
    let line = "/srv/a b;00:00;a b;keep=7;keep-weekly=4;keep-monthly=12;exclude=*.tmp;days=mon,fri;level=9;\
                exclude=a=b;one-file-system=yes;catchup=90m";
    let schedule = parse(line);
    assert_eq!(schedule.line, line.as_bytes());
    assert_eq!(schedule.keep, Keep { newest: Some(7), weekly: Some(4), monthly: Some(12) });
    assert_eq!(schedule.excludes, [Glob::new(b"*.tmp").unwrap(), Glob::new(b"a=b").unwrap()]);
    assert_eq!(schedule.plan.days, Days::parse("mon,fri").unwrap());
    assert_eq!((schedule.level, schedule.one_file_system), (9, true));
    assert_eq!(schedule.plan.catchup, Millis(90 * 60_000));
    assert!(!parse("a;00:00;a;one-file-system=no").one_file_system);
    // Paths and names are bytes.
    let schedule = Schedule::parse(b"/srv/\xff\t;23:59;\xfe;exclude=\xfd*").unwrap();
    assert_eq!((&schedule.plan.key.path[..], &schedule.plan.key.name[..]), (&b"/srv/\xff\t"[..], &b"\xfe"[..]));
    assert!(schedule.excludes[0].is_match(b"\xfdx"));
}

#[test]
fn what_is_wrong_is_said() {
    for (line, said) in [
        ("", "1 of the three fields"),
        ("test", "1 of the three fields"),
        ("test;", "2 of the three fields"),
        ("test;16:07", "2 of the three fields"),
        (";16:07;a", "field 1 is empty"),
        ("test;;a", "field 2 is empty"),
        ("test;16:07;", "field 3 is empty"),
        ("test;16:07;a;", "field 4 is empty"),
        ("test;16:07;a;;keep=1", "field 4 is empty"),
        ("test;24:00;a", "24:00 is no time hh:mm, from 00:00 to 23:59"),
        ("test;23:60;a", "no time"),
        ("test;6:07;a", "no time"),
        ("test;16:7;a", "no time"),
        ("test;16:07:00;a", "no time"),
        ("test; 16:07;a", "no time"),
        ("test;1607;a", "no time"),
        ("test;+6:07;a", "no time"),
        ("test;16:07;a/b", "the name a/b has a / in it"),
        ("test;16:07;.a", "begins with a dot"),
        ("test;16:07;..", "begins with a dot"),
        ("test;16:07;a\tb", "the name a\\x09b has a control character"),
        ("test;16:07;a\r", "control character"),
        ("test;16:07;a\x7f", "control character"),
        ("test;16:07;a\nb;16:07;c", "one line"),
        ("te\nst;16:07;a", "one line"),
        ("te\0st;16:07;a", "one line"),
        ("test;16:07;a-20260102-030405", "ends in a date"),
        ("test;16:07;a.incomplete", "ends in .incomplete"),
        ("test;16:07;a;b", "b is no key=value"),
        ("test;16:07;a;keeep=1", "keeep is no key: did you mean keep?"),
        ("test;16:07;a;zzzzzzzz=1", "the keys are keep, keep-weekly"),
        ("test;16:07;a;Keep=1", "did you mean keep?"),
        ("test;16:07;a; keep=1", "did you mean keep?"),
        ("test;16:07;a;keep=1;keep=2", "keep stands twice"),
        ("test;16:07;a;days=mon;level=2;days=mon", "days stands twice"),
        ("test;16:07;a;catchup=1h;catchup=1h", "catchup stands twice"),
        ("test;16:07;a;level=1;level=1", "level stands twice"),
        ("test;16:07;a;one-file-system=yes;one-file-system=yes", "one-file-system stands twice"),
        ("test;16:07;a;keep=0", "keep=0: expected a number from 1"),
        ("test;16:07;a;keep=+1", "expected a number"),
        ("test;16:07;a;keep=", "expected a number"),
        ("test;16:07;a;keep-weekly=x", "expected a number"),
        ("test;16:07;a;keep-monthly=-1", "expected a number"),
        ("test;16:07;a;keep=99999999999999999999999", "expected a number"),
        ("test;16:07;a;exclude=", "expected a pattern"),
        ("test;16:07;a;exclude=[a", "exclude=[a: a [ without its ]"),
        ("test;16:07;a;days=monday", "expected some of mon"),
        ("test;16:07;a;days=", "expected some of mon"),
        ("test;16:07;a;level=0", "expected a number from 1, fast"),
        ("test;16:07;a;level=10", "expected a number from 1, fast"),
        ("test;16:07;a;one-file-system=", "expected yes or no"),
        ("test;16:07;a;catchup=soon", "expected a duration"),
    ] {
        let found = wrong(line);
        assert!(found.contains(said), "{line:?}: {found}");
        assert!(!found.contains(char::is_control), "{found:?}");
    }
}

#[test]
fn a_file_has_good_lines_and_bad_ones() {
    let file = b"test;16:07;a\n\ntest;\nb;1:00;b\ntest1;16:07;c\nelse;17:00;a\nd;00:00;d";
    let listing = Listing::read(file);
    let good: Vec<_> = listing.good.iter().map(|(index, schedule)| (*index, &schedule.line[..])).collect();
    assert_eq!(good, [(0, &b"test;16:07;a"[..]), (4, b"test1;16:07;c"), (6, b"d;00:00;d")]);
    assert_eq!(listing.bad.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [2, 3, 5]);
    assert!(listing.bad[0].1.contains("2 of the three fields"), "{:?}", listing.bad);
    assert!(listing.bad[1].1.contains("1:00 is no time"), "{:?}", listing.bad);
    assert_eq!(listing.bad[2].1, "the name a is used already, by schedule 0");
    assert_eq!(Listing::read(b""), Listing::default());
    assert_eq!(Listing::read(b"\n\n"), Listing::default());
}

/// Text without what separates fields or lines, and without control characters.
fn word(random: &mut fastrand::Rng) -> Vec<u8> {
    let byte = |random: &mut fastrand::Rng| match random.u8(b' '..) {
        b';' | b'/' | 127 | b'.' => b'x',
        byte => byte,
    };
    (0..random.usize(1..12)).map(|_| byte(random)).collect()
}

#[test]
fn what_was_written_is_what_is_read() {
    let mut random = fastrand::Rng::with_seed(16_07);
    for _ in 0..5_000 {
        let (path, name) = (word(&mut random), word(&mut random));
        let time = format!("{:02}:{:02}", random.u8(0..24), random.u8(0..60));
        let mut given: Vec<(&str, Vec<u8>)> = Vec::new();
        let mut count = |random: &mut fastrand::Rng, key: &'static str| {
            let count = random.bool().then(|| random.usize(1..100));
            given.extend(count.map(|count| (key, count.to_string().into_bytes())));
            count
        };
        let newest = count(&mut random, "keep");
        let keep =
            Keep { newest, weekly: count(&mut random, "keep-weekly"), monthly: count(&mut random, "keep-monthly") };
        let level = random.u32(1..10);
        given.push(("level", level.to_string().into_bytes()));
        let catchup = Millis(random.u64(0..100_000));
        given.push(("catchup", format!("{}ms", catchup.0).into_bytes()));
        let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let days = random.choose_multiple(names, 3).join(",");
        given.push(("days", days.clone().into_bytes()));
        let plain =
            |word: Vec<u8>| word.into_iter().filter(u8::is_ascii_alphanumeric).chain(*b"*").collect::<Vec<u8>>();
        let patterns: Vec<Vec<u8>> = (0..random.usize(0..4)).map(|_| plain(word(&mut random))).collect();
        random.shuffle(&mut given);
        given.extend(patterns.iter().map(|pattern| ("exclude", pattern.clone())));
        let mut line = [&path[..], time.as_bytes(), &name].join(&b';');
        given.iter().for_each(|(key, value)| line.extend([b";", key.as_bytes(), b"=", value].concat()));

        let schedule = Schedule::parse(&line).unwrap_or_else(|wrong| panic!("{}: {wrong}", Escaped(&line)));
        assert_eq!(schedule.line, line);
        assert_eq!(schedule.plan.key, Key { path, time: Time::parse(&time).unwrap(), name });
        assert_eq!(schedule.plan.key.time.to_string(), time);
        assert_eq!((schedule.keep, schedule.level, schedule.plan.catchup), (keep, level, catchup));
        assert_eq!(schedule.plan.days, Days::parse(&days).unwrap());
        assert_eq!(schedule.excludes, patterns.iter().map(|text| Glob::new(text).unwrap()).collect::<Vec<_>>());
    }
}

/// Whatever the bytes are, they are a good line or a bad one with its reason, and every line that is not empty is one of them.
#[test]
fn no_bytes_make_it_stumble() {
    let mut random = fastrand::Rng::with_seed(23_59);
    let pieces: [&[u8]; 16] = [
        b";",
        b"=",
        b"\n",
        b"\0",
        b":",
        b"16:07",
        b"keep",
        b"exclude=",
        b"days=",
        b"mon",
        b",",
        b"[",
        b"\xff",
        b"\xc3\xa4",
        b"a;00:00;",
        b"99999999999",
    ];
    let (mut good, mut bad) = (0, 0);
    for _ in 0..20_000 {
        let file: Vec<u8> = (0..random.usize(0..20)).flat_map(|_| random.choice(pieces).unwrap().to_vec()).collect();
        let listing = Listing::read(&file);
        let lines: Vec<&[u8]> = file.split(|byte| *byte == b'\n').collect();
        let mut indices: Vec<usize> = listing.good.iter().map(|(index, _)| *index).collect();
        let mut names: Vec<&[u8]> = listing.good.iter().map(|(_, schedule)| &schedule.plan.key.name[..]).collect();
        for (index, schedule) in &listing.good {
            assert_eq!(schedule.line, lines[*index]);
            assert_eq!(Schedule::parse(&schedule.line).as_ref(), Ok(schedule));
        }
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        indices.extend(listing.bad.iter().map(|(index, _)| *index));
        indices.sort_unstable();
        let expected: Vec<usize> = (0..lines.len()).filter(|index| !lines[*index].is_empty()).collect();
        assert_eq!(indices, expected);
        good += listing.good.len();
        bad += listing.bad.len();
    }
    assert!(good > 100 && bad > 1_000, "{good} {bad}");
}
