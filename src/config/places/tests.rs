use super::Places;

/// The places of a user in an environment.
fn places(uid: u32, environment: &[(&str, &str)]) -> [Option<String>; 2] {
    let find = |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into());
    let Places { state, run } = Places::of(uid, find);
    [state, run].map(|path| path.map(|path| String::from_utf8(path).unwrap()))
}

fn both(state: &str, run: &str) -> [Option<String>; 2] {
    [Some(state.to_owned()), Some(run.to_owned())]
}

const XDG: [(&str, &str); 3] = [("HOME", "/home/u"), ("XDG_STATE_HOME", "/s"), ("XDG_RUNTIME_DIR", "/run/user/7")];

#[test]
fn root_has_the_systems_places_whatever_its_session_says() {
    for environment in [&XDG[..], &[]] {
        assert_eq!(places(0, environment), both("/var/lib/dogwatch", "/run/dogwatch"));
    }
}

#[test]
fn a_user_has_those_of_xdg() {
    assert_eq!(places(7, &XDG), both("/s/dogwatch", "/run/user/7/dogwatch"));
    assert_eq!(places(7, &XDG[..1]), [Some("/home/u/.local/state/dogwatch".to_owned()), None]);
    assert_eq!(places(7, &[]), [None, None]);
}

#[test]
fn a_service_manager_is_obeyed_first() {
    let given = [("STATE_DIRECTORY", "/var/lib/a:/var/lib/b"), ("RUNTIME_DIRECTORY", "/run/a")];
    for uid in [0, 7] {
        assert_eq!(places(uid, &[&given[..], &XDG].concat()), both("/var/lib/a", "/run/a"));
    }
}

/// The XDG specification says that of relative ones; and where would they begin?
#[test]
fn empty_and_relative_ones_do_not_count() {
    let odd = [("STATE_DIRECTORY", ""), ("RUNTIME_DIRECTORY", "run:/run/a"), ("XDG_STATE_HOME", "s"), ("HOME", "/h")];
    assert_eq!(places(0, &odd), both("/var/lib/dogwatch", "/run/dogwatch"));
    assert_eq!(places(7, &odd), [Some("/h/.local/state/dogwatch".to_owned()), None]);
}
