//! Timeouts and the way from SIGTERM to SIGKILL, with a clock handed in.

use super::*;

#[test]
fn a_timeout_asks_then_kills() {
    let mut stop = Stop::after(Tick(10), Some(Millis(100)));
    assert_eq!((stop.deadline(), stop.overdue(Tick(110))), (Some(Tick(111)), None), "never early");
    assert_eq!(stop.overdue(Tick(111)), Some(Order::Term));
    assert_eq!((stop.deadline(), stop.overdue(Tick(5_111))), (Some(Tick(5_112)), None));
    assert_eq!(stop.overdue(Tick(9_000)), Some(Order::Kill));
    assert_eq!((stop.deadline(), stop.overdue(Tick(99_000))), (None, None), "once");
}

#[test]
fn without_a_timeout_it_is_asked_only_when_it_is_not_wanted() {
    let mut stop = Stop::after(Tick(10), None);
    assert_eq!((stop.deadline(), stop.overdue(Tick(u64::MAX))), (None, None));
    assert_eq!(stop.ask(Tick(1_000)), Some(Order::Term));
    assert_eq!(stop.ask(Tick(2_000)), None, "asked once, and its grace is not prolonged");
    let mut rest = stop.rest(Tick(1_100)).unwrap();
    let mut looks = 0;
    let mut now = Tick(1_100);
    while rest.overdue(now) == Some(Order::Nothing) {
        assert_eq!(rest.overdue(now), None, "once a look");
        (looks, now) = (looks + 1, rest.look_at);
    }
    assert_eq!((rest.overdue(now), now, looks), (Some(Order::Kill), Tick(6_001), 9), "less and less often");
    assert_eq!(stop.overdue(Tick(6_001)), Some(Order::Kill));
    assert_eq!(stop.rest(Tick(6_001)), None, "the whole group was killed");
}
