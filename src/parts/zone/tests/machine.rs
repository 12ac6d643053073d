//! This machine's zone files, and the glibc of its `python3`.

use super::*;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

const NAMED: [&str; 8] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/Nuuk",
    "Europe/Dublin",
    "UTC",
];

/// The zones to compare, as glibc takes them in TZ and as read by us; empty if files are missing.
fn zones() -> Vec<(&'static str, Zone)> {
    let files: Option<Vec<_>> = NAMED.iter().map(|name| Some((*name, zone_file(name)?))).collect();
    let read = |(name, bytes): (_, Vec<u8>)| match Zone::from_tzif(&bytes) {
        Ok(zone) => (name, zone),
        Err(error) => panic!("{name}: {error}"),
    };
    let named = files.unwrap_or_default().into_iter().map(read);
    named.chain(STRINGS.map(|text| (text, posix(text)))).collect()
}

/// Runs `script` with the zones as arguments. Both ways go 64-bit integers in native order.
fn python(script: &str, zones: &[(&str, Zone)], input: &[i64]) -> Option<Vec<i64>> {
    let child = Command::new("python3")
        .env_remove("TZDIR")
        .args(["-I", "-c", script])
        .args(zones.iter().map(|(name, _)| name))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            unavailable(&format!("python3: {error}"));
            return None;
        }
    };
    let mut bytes = Vec::with_capacity(8 * input.len());
    for number in input {
        bytes.extend_from_slice(&number.to_ne_bytes());
    }
    // The scripts read everything before they write anything, so that neither side can block.
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let mut output = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    assert!(child.wait().unwrap().success());
    let numbers = output.chunks_exact(8).map(|chunk| i64::from_ne_bytes(chunk.try_into().unwrap()));
    Some(numbers.collect())
}

/// For every zone: the offsets at its instants, then the local times at one in [`SPARSE`] of them
/// as in [`stamp`].
const ORACLE: &str = "
import array, os, sys, time
times = array.array('q', sys.stdin.buffer.read())
count = len(times) // (len(sys.argv) - 1)
localtime = time.localtime
def stamp(t):
    y, m, d, h, i, s, _, _, _ = localtime(t)
    return ((((y * 100 + m) * 100 + d) * 100 + h) * 100 + i) * 100 + s
for index, os.environ['TZ'] in enumerate(sys.argv[1:]):
    time.tzset()
    own = times[index * count:(index + 1) * count]
    sys.stdout.buffer.write(array.array('q', [localtime(t).tm_gmtoff for t in own]))
    sys.stdout.buffer.write(array.array('q', [stamp(t) for t in own[::16]]))
";
const SPARSE: usize = 16;

#[test]
fn a_million_random_instants_agree_with_glibc() {
    let mut random = Random::new();
    let zones = zones();
    let each = 1_000_000 / zones.len() + 1;
    let end = instant(2100, 1, 1, 0);
    let times: Vec<i64> = (0..each * zones.len()).map(|_| random.within(0..end)).collect();
    let Some(found) = python(ORACLE, &zones, &times) else {
        return;
    };
    let mut found = found.into_iter();
    for ((name, zone), times) in zones.iter().zip(times.chunks(each)) {
        for &t in times {
            assert_eq!(Some(i64::from(zone.offset_at(t))), found.next(), "{name} at {t}");
        }
        for &t in times.iter().step_by(SPARSE) {
            assert_eq!(Some(stamp(zone.civil(t))), found.next(), "{name} at {t}");
        }
    }
    assert_eq!(found.next(), None);
}

/// For every zone: number of transitions from 2000 to 2040, then each, its offset before and from
/// then on. Looks at every day and bisects those on which the offset changes.
const TRANSITIONS: &str = "
import array, os, sys, time
sys.stdin.buffer.read()
offset = lambda t: time.localtime(t).tm_gmtoff
for os.environ['TZ'] in sys.argv[1:]:
    time.tzset()
    found = array.array('q')
    after = offset(946684800)
    for low in range(946684800, 2208988800, 86400):
        high = low + 86400
        before, after = after, offset(high)
        if before != after:
            while high - low > 1:
                middle = (low + high) // 2
                if offset(middle) == before: low = middle
                else: high = middle
            found.extend((high, before, after))
    sys.stdout.buffer.write(array.array('q', [len(found) // 3]) + found)
";

#[test]
fn both_sides_of_every_transition_agree_with_glibc() {
    let zones = zones();
    let Some(found) = python(TRANSITIONS, &zones, &[]) else {
        return;
    };
    let mut found = found.into_iter();
    let mut total = 0;
    for (name, zone) in &zones {
        let mut t = instant(2000, 1, 1, 0);
        for _ in 0..found.next().unwrap() {
            let [at, before, after] = [(); 3].map(|()| found.next().unwrap());
            assert_eq!(zone.next_transition(t), Some(at), "{name} after {t}");
            assert_eq!(i64::from(zone.offset_at(at - 1)), before, "{name} before {at}");
            assert_eq!(i64::from(zone.offset_at(at)), after, "{name} at {at}");
            t = at;
            total += 1;
        }
        let end = instant(2040, 1, 1, 0);
        assert!(zone.next_transition(t).is_none_or(|next| next > end), "{name} after {t}");
    }
    assert_eq!(found.next(), None);
    assert!(total > 1000, "{total}");
}

#[test]
fn every_installed_zone_is_accepted() {
    let mut folders = vec![Path::new(ZONEINFO).to_path_buf()];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            return unavailable(&format!("{} cannot be listed", folder.display()));
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            if bytes.starts_with(b"TZif") {
                let leaps = path.starts_with(Path::new(ZONEINFO).join("right"));
                let error = Zone::from_tzif(&bytes).err();
                assert_eq!(error, leaps.then_some("has leap seconds, Unix time has none"), "{}", path.display());
                read += 1;
            }
        }
    }
    eprintln!("{read} zone files read");
}

/// TZ as a file's name, as a path, as a TZ string, empty, wrong; unset, with each of the two system files.
#[test]
fn the_local_zone_is_found_as_tzset_finds_it() {
    let tzif = std::fs::read("/usr/share/zoneinfo/Asia/Tokyo");
    let Ok(tzif) = tzif else {
        assert!(std::env::var_os("CI").is_none(), "/usr/share/zoneinfo is missing");
        return eprintln!("SKIPPED: /usr/share/zoneinfo is missing");
    };
    let offset = |variable: Option<&str>, files: &[(&str, &[u8])]| {
        let read =
            |path: &[u8]| files.iter().find(|(name, _)| name.as_bytes() == path).map(|(_, bytes)| bytes.to_vec());
        Zone::local(variable.map(str::as_bytes), read).offset_at(0)
    };
    let tokyo: &[(&str, &[u8])] = &[("/usr/share/zoneinfo/Asia/Tokyo", &tzif), ("/etc/localtime", &tzif)];
    assert_eq!(offset(Some("Asia/Tokyo"), tokyo), 9 * 3600);
    assert_eq!(offset(Some(":Asia/Tokyo"), tokyo), 9 * 3600);
    assert_eq!(offset(Some("/etc/localtime"), tokyo), 9 * 3600);
    assert_eq!(offset(Some("EST5"), tokyo), -5 * 3600);
    assert_eq!(offset(Some(""), tokyo), 0);
    assert_eq!(offset(Some("Nowhere/At_all"), tokyo), 0);
    assert_eq!(offset(None, tokyo), 9 * 3600);
    assert_eq!(offset(None, &[("/etc/TZ", b"CET-1\n")]), 3600);
    assert_eq!(offset(None, &[("/etc/localtime", b"TZif"), ("/etc/TZ", b"CET-1\n")]), 3600);
    assert_eq!(offset(None, &[]), 0);
}
