//! `status` and `next`: what is due, and how old the last backups are.

use crate::place::{Place, SCHEDULES};
use std::fs::File;
use std::time::{Duration, SystemTime};

/// Status, standard output and error.
fn told(place: &Place, words: &[&str]) -> (Option<i32>, String, String) {
    let output = place.run(words);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn backup_of(place: &Place, name: &str, age: Duration) {
    place.write(&format!("backups/{name}"), "a backup");
    let file = File::options().append(true).open(place.path("backups").join(name)).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

#[test]
fn status_tells_of_the_service_and_of_each_schedule() {
    const HOUR: Duration = Duration::from_secs(3600);
    let place = Place::new();
    place.write(SCHEDULES, "src;12:30;never\nsrc;11:00;good;keep=2\nsrc;14:00;bad line;x\nsrc;10:00;new\n");
    let (today, tomorrow) = (place.date(0), place.date(1));
    backup_of(&place, "good-20200101-110000.tar", 9 * 24 * HOUR);
    backup_of(&place, "good-20200102-110000.tar", HOUR - Duration::from_secs(10));
    // Others' are none of it, and what is incomplete is not good.
    backup_of(&place, "never.incomplete.tar", HOUR);
    backup_of(&place, "good.tar.old", HOUR);
    let (status, out, errors) = told(&place, &["status"]);
    let lines: Vec<&str> = out.lines().collect();
    let [service, never, good, new] = lines[..] else { panic!("{out}{errors}") };
    assert_eq!((status, service), (Some(0), "service: not running"));
    assert!(never.starts_with(&format!("never: next {today} 12:30 ")) && never.contains(" (in 29m"), "{never}");
    assert!(never.ends_with(", last never"), "{never}");
    assert!(good.starts_with(&format!("good: next {tomorrow} 11:00 ")) && good.ends_with(" (59m ago)"), "{good}");
    assert!(good.contains(&format!("last {today} 11:00 ")), "{good}");
    assert!(new.starts_with("new: next ") && new.ends_with(", last never"), "{new}");
    place.prints(&["start"], "");
    let running = format!("service: running (pid {})\n", place.pid().unwrap());
    assert!(told(&place, &["status"]).1.starts_with(&running));
    place.prints(&["stop"], "");
    assert_eq!(place.log("manager"), ["backup_service started", "backup_service stopped"], "a look is no change");
}

#[test]
fn status_3_is_for_one_that_is_overdue() {
    const DAY: Duration = Duration::from_secs(86_400);
    let place = Place::new();
    // The last one is of before yesterday's time; and of today's, which has passed for longer than its minute.
    place.write(SCHEDULES, "src;11:00;b\n");
    backup_of(&place, "b.tar", DAY);
    let (status, out, _) = told(&place, &["status"]);
    assert!(status == Some(3) && out.lines().nth(1).unwrap().ends_with(" (1d ago), OVERDUE"), "{out}");
    // It may be made up until 13:00.
    place.write(SCHEDULES, "src;11:00;b;catchup=2h\n");
    assert_eq!(told(&place, &["status"]).0, Some(0));
    // Within its minute it is not late.
    place.write(SCHEDULES, "src;12:00;b\n");
    assert_eq!(told(&place, &["status"]).0, Some(0));
    backup_of(&place, "b.tar", DAY * 2);
    assert_eq!(told(&place, &["status"]).0, Some(3));
}

#[test]
fn next_shows_so_many_instants_in_their_order() {
    let place = Place::new();
    place.write(SCHEDULES, "src;11:00;early\nsrc;13:00;late\n");
    let (today, tomorrow, after) = (place.date(0), place.date(1), place.date(2));
    let (status, out, errors) = told(&place, &["next", "-n", "4"]);
    assert_eq!((status, errors.as_str()), (Some(0), ""));
    let parts: Vec<[&str; 4]> =
        out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().try_into().unwrap()).collect();
    let short: Vec<[&str; 3]> = parts.iter().map(|[day, time, _, name]| [*day, *time, *name]).collect();
    assert_eq!(
        short,
        [
            [today.as_str(), "13:00", "late"],
            [&tomorrow, "11:00", "early"],
            [&tomorrow, "13:00", "late"],
            [&after, "11:00", "early"]
        ]
    );
    assert_eq!(told(&place, &["next"]).1.lines().count(), 10);
    for wrong in ["0", "x", "-1", "1.5"] {
        assert_eq!(told(&place, &["next", "-n", wrong]).0, Some(2), "{wrong}");
    }
    assert_eq!(place.names("."), [SCHEDULES]);
}
