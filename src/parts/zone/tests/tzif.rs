//! TZif files, whole and spoilt.

use super::*;

/// A TZif file to be spoilt. Types are offset, is-daylight-saving and index of the name.
#[derive(Clone)]
struct File {
    version: u8,
    transitions: Vec<(i64, u8)>,
    types: Vec<(i32, u8, u8)>,
    leaps: u32,
    flags: [usize; 2],
    footer: &'static str,
}

/// Central European Time from 1980 to 1981, with daylight saving time as type 0.
fn sample(version: u8) -> File {
    File {
        version,
        transitions: vec![(323_830_800, 0), (338_950_800, 1), (354_675_600, 0)],
        types: vec![(7200, 1, 4), (3600, 0, 0)],
        leaps: 0,
        flags: [2, 2],
        footer: "\nCET-1CEST,M3.5.0,M9.5.0/3\n",
    }
}

impl File {
    fn block(&self, version: u8, wide: bool) -> Vec<u8> {
        let mut bytes = b"TZif".to_vec();
        bytes.push(version);
        bytes.extend([0; 15]);
        let [utc, standard] = self.flags.map(|count| count as u32);
        let (transitions, types) = (self.transitions.len() as u32, self.types.len() as u32);
        for count in [utc, standard, self.leaps, transitions, types, 9] {
            bytes.extend(count.to_be_bytes());
        }
        for &(at, _) in &self.transitions {
            match wide {
                true => bytes.extend(at.to_be_bytes()),
                false => bytes.extend((at as i32).to_be_bytes()),
            }
        }
        bytes.extend(self.transitions.iter().map(|&(_, index)| index));
        for &(offset, daylight, name) in &self.types {
            bytes.extend(offset.to_be_bytes());
            bytes.extend([daylight, name]);
        }
        bytes.extend(b"CET\0CEST\0");
        bytes.extend(vec![0; self.leaps as usize * if wide { 12 } else { 8 }]);
        bytes.extend(vec![0; self.flags.iter().sum()]);
        bytes
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.block(self.version, false);
        if self.version != 0 {
            bytes.extend(self.block(self.version, true));
            bytes.extend(self.footer.bytes());
        }
        bytes
    }

    fn read(&self) -> Result<Zone, Wrong> {
        Zone::from_tzif(&self.bytes())
    }
}

#[test]
fn all_versions_are_read() {
    for version in [0, b'2', b'3', b'4'] {
        let zone = sample(version).read().unwrap();
        // before the table the first type that is not daylight saving time, though it is type 1
        assert_eq!(zone.offset_at(i64::MIN), 3600);
        assert_eq!(zone.offset_at(323_830_799), 3600);
        assert_eq!(zone.offset_at(323_830_800), 7200);
        assert_eq!(zone.offset_at(338_950_800), 3600);
        assert_eq!(zone.offset_at(354_675_600), 7200);
        assert_eq!(zone.next_transition(i64::MIN), Some(323_830_800));
        assert_eq!(zone.next_transition(323_830_800), Some(338_950_800));
        // after the table: version 1 stays, the others follow the footer
        let next = (version != 0).then(|| instant(1981, 9, 27, 3600));
        assert_eq!(zone.next_transition(354_675_600), next);
        let winter = if version == 0 { 7200 } else { 3600 };
        assert_eq!(zone.offset_at(instant(2050, 1, 1, 0)), winter);
    }
}

#[test]
fn without_transitions_the_footer_holds_always() {
    let mut file = sample(b'2');
    file.transitions.clear();
    let zone = file.read().unwrap();
    assert_eq!(zone, posix("CET-1CEST,M3.5.0,M9.5.0/3"));
    file.footer = "\nXXX-5\n";
    assert_eq!(file.read().unwrap(), posix("XXX-5"));
    file.footer = "\n\n";
    assert_eq!(file.read().unwrap(), posix("CET-1"));
    file.types = vec![(7200, 1, 4)];
    file.flags = [0, 1];
    assert_eq!(file.read().unwrap().offset_at(0), 7200, "only daylight saving time");
}

#[test]
fn footers_hold_for_any_distance() {
    let rule = posix("CET-1CEST,M3.5.0,M9.5.0/3");
    let mut file = sample(b'2');
    let late = instant(3000, 1, 1, 0);
    assert_eq!(file.read().unwrap().next_transition(late), rule.next_transition(late));
    assert!(rule.next_transition(late).is_some_and(|next| next < late + 100 * DAY_SECONDS));
    // a table which changes nothing: the first change is that of the footer after it
    file.transitions = vec![(0, 1)];
    let first = file.read().unwrap().next_transition(i64::MIN);
    assert_eq!(first, Some(instant(1970, 3, 29, 3600)));
}

#[test]
fn transitions_without_a_new_offset_are_passed_over() {
    let mut file = sample(0);
    file.types.push((3600, 1, 0));
    file.flags = [0, 0];
    file.transitions = vec![(0, 1), (10, 2), (20, 0), (30, 0), (40, 2)];
    let zone = file.read().unwrap();
    assert_eq!(zone.next_transition(-5), Some(20));
    assert_eq!(zone.next_transition(20), Some(40));
    assert_eq!(zone.next_transition(40), None);
}

#[test]
fn invalid_files_are_refused_with_the_reason() {
    let tzif = |change: fn(&mut File)| {
        let mut file = sample(b'2');
        change(&mut file);
        file.read().unwrap_err()
    };
    assert_eq!(tzif(|file| file.leaps = 1), "has leap seconds, Unix time has none");
    assert_eq!(tzif(|file| file.version = 1), "has an unknown version");
    assert_eq!(tzif(|file| file.version = b'5'), "has an unknown version");
    assert_eq!(tzif(|file| file.leaps = 1 << 17), "is larger than any in use");
    assert_eq!(tzif(|file| file.flags = [1, 0]), "has contradictory counts");
    assert_eq!(tzif(|file| file.flags = [0, 3]), "has contradictory counts");
    let lost_types = |file: &mut File| (file.types.clear(), file.flags = [0, 0]).1;
    assert_eq!(tzif(lost_types), "has contradictory counts");
    let bad_type = "has an invalid local time type";
    assert_eq!(tzif(|file| file.types[0].0 = 93_600), bad_type);
    assert_eq!(tzif(|file| file.types[0].0 = -90_000), bad_type);
    assert_eq!(tzif(|file| file.types[0].0 = i32::MIN), bad_type);
    assert_eq!(tzif(|file| file.types[0].1 = 2), bad_type);
    assert_eq!(tzif(|file| file.types[0].2 = 9), bad_type);
    assert_eq!(tzif(|file| file.transitions[2].1 = 2), "lacks a local time type");
    let order = "has transitions out of order";
    assert_eq!(tzif(|file| file.transitions[1].0 = 0), order);
    assert_eq!(tzif(|file| file.transitions[1].0 = 323_830_800), order);
    let footer = "has no complete footer at its end";
    assert_eq!(tzif(|file| file.footer = ""), footer);
    assert_eq!(tzif(|file| file.footer = "\n"), footer);
    assert_eq!(tzif(|file| file.footer = "\nCET-1"), footer);
    assert_eq!(tzif(|file| file.footer = "CET-1\n"), footer);
    let expected = "an offset with hours from 0 to 24";
    assert_eq!(tzif(|file| file.footer = "\nCET\n"), expected);
    let odds = "has a footer at odds with its end";
    assert_eq!(tzif(|file| file.footer = "\nCET-1\n"), odds);
    assert_eq!(tzif(|file| file.footer = "\nCET-1CEST-3,M3.5.0,M9.5.0/3\n"), odds);

    let mut bytes = sample(0).bytes();
    bytes.push(0);
    assert_eq!(Zone::from_tzif(&bytes), Err("has bytes left over at its end"));
    let file = sample(b'2');
    let headers = [file.block(b'2', false), file.block(b'3', true), b"\n\n".to_vec()].concat();
    assert_eq!(Zone::from_tzif(&headers), Err("has headers of two versions"));
    let mut bytes = file.bytes();
    bytes[32..36].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(Zone::from_tzif(&bytes), Err("has an absurd count"));
    assert_eq!(Zone::from_tzif(b"CET-1"), Err("does not begin as one"));
    assert_eq!(Zone::from_tzif(b""), Err("is cut short"));
    bytes.resize(MAX_TZIF + 1, b'\n');
    assert_eq!(Zone::from_tzif(&bytes), Err("is larger than any in use"));
}

#[test]
fn damaged_files_never_panic() {
    let mut files = vec![sample(0).bytes(), sample(b'3').bytes()];
    files.extend(zone_file("America/Nuuk"));
    for file in files {
        assert!(Zone::from_tzif(&file).is_ok());
        for end in 0..file.len() {
            assert!(Zone::from_tzif(&file[..end]).is_err(), "cut to {end} bytes");
        }
        let mut spoilt = file.clone();
        for (index, &byte) in file.iter().enumerate() {
            for mask in [0x01, 0x80, 0xff] {
                spoilt[index] = byte ^ mask;
                if let Ok(zone) = Zone::from_tzif(&spoilt) {
                    zone.offset_at(i64::MAX);
                    zone.civil(i64::MIN);
                }
            }
            spoilt[index] = byte;
        }
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut random = Random::new();
    let sample = sample(b'2').bytes();
    let mut accepted = [0; 2];
    for _ in 0..20_000 {
        // a sample with a few bytes replaced: small numbers get furthest
        let mut file = sample.clone();
        for _ in 0..random.below(4) {
            let index = random.below(file.len() as u64) as usize;
            file[index] = random.next() as u8 >> random.below(8);
        }
        file.truncate(sample.len() - random.pick(&[0, 0, 0, 1, 50]));
        if let Ok(zone) = Zone::from_tzif(&file) {
            accepted[0] += 1;
            zone.next_transition(random.next() as i64);
            zone.civil(random.next() as i64);
        }
        let alphabet = b"AAAAbz<>+-0123456789,,,..//::MMJ\n\0\xff";
        let length = random.below(12);
        let noise: Vec<u8> = (0..length).map(|_| random.pick(alphabet)).collect();
        let mut text = random.pick(&STRINGS).as_bytes().to_vec();
        let index = random.below(text.len() as u64) as usize;
        text.splice(index..(index + random.below(3) as usize).min(text.len()), noise);
        if let Ok(zone) = Zone::from_posix(&text) {
            accepted[1] += 1;
            zone.civil(random.next() as i64);
        }
        let bytes: Vec<u8> = (0..random.below(80)).map(|_| random.next() as u8).collect();
        assert!(Zone::from_tzif(&bytes).is_err());
        assert!(Zone::from_posix(&bytes).is_err());
    }
    assert!(accepted.iter().all(|&count| count > 1000), "too few survive: {accepted:?}");
}
