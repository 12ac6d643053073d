//! Local time: the offset from UTC that a time zone has at a given instant.
//!
//! dogwatch ships as a static musl binary, which neither notices a changed time zone nor has zone
//! code we want to rely on. So zones are read here, from the two forms in which a system states
//! them: TZif files, as under `/usr/share/zoneinfo` (RFC 9636, before it RFC 8536; tzfile(5)), and
//! POSIX TZ strings (POSIX.1 chapter 8; tzset(3)) with the RFC's hours from -167 to 167.
//!
//! The module is pure, the caller reads the bytes and the clock. It relies on `std` alone, takes
//! every input for hostile, never panics, and allocates at most a few times the size of a file.
//!
//! Left out on purpose: zone abbreviations (nothing prints them), leap seconds (such a
//! file is refused, Unix time has none), and TZ strings which name daylight saving time but not
//! its rules (`CET-1CEST`: libcs would take those of the United States, or none).

pub mod here;

use std::fmt;
use std::ops::Range;

const DAY_SECONDS: i64 = 86_400;
/// Beyond the year of any `i64` Unix time, and small enough never to overflow a count of days.
const MAX_YEAR: i64 = 300_000_000_000;
/// Longest TZif file accepted, in bytes; the largest in use have about 4000.
const MAX_TZIF: usize = 64 * 1024;
/// Offsets deemed sane by RFC 9636 section 3.2, in seconds: above -25 h and below +26 h.
const SANE_OFFSETS: Range<i32> = -89_999..93_600;

/// Why a time zone was not accepted: what is wrong with a file, or what was expected of a string and not found.
type Wrong = &'static str;

/// Broken-down local time in the proleptic Gregorian calendar (year 0 is 1 BC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Any
    pub year: i64,
    /// 1 to 12
    pub month: u8,
    /// 1 to 31
    pub day: u8,
    /// 0 to 23
    pub hour: u8,
    /// 0 to 59
    pub minute: u8,
    /// 0 to 59
    pub second: u8,
}

impl fmt::Display for Civil {
    /// `2026-01-02 03:04:05`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, hour, minute, second } = self;
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }
}

impl Civil {
    /// `20260102-030405`, for names of files.
    pub fn compact(&self) -> String {
        let Civil { year, month, day, hour, minute, second } = self;
        format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
    }
}

/// A time zone: which offset from UTC is in force when. The default is UTC.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Zone {
    /// Offset before the first transition, in seconds east of UTC.
    initial: i32,
    /// Unix times, strictly ascending, each with the offset in force from then on.
    transitions: Vec<(i64, i32)>,
    /// What holds from the last transition on (without transitions: always), if that alternates.
    rule: Option<Rule>,
}

impl Zone {
    /// Coordinated Universal Time.
    pub fn utc() -> Zone {
        Zone::default()
    }

    /// The system's zone (tzset(3)): what `variable` (`TZ`) says; without it `/etc/localtime`, else the TZ string in
    /// `/etc/TZ` (uClibc's and musl's way). UTC where none of them can be used. `read` gives a file's bytes.
    pub fn local(variable: Option<&[u8]>, read: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Zone {
        let file = |path: &[u8]| Zone::from_tzif(&read(path)?).ok();
        let Some(text) = variable else {
            let string = || Zone::from_posix(read(b"/etc/TZ")?.trim_ascii()).ok();
            return file(b"/etc/localtime").or_else(string).unwrap_or_default();
        };
        let name = text.strip_prefix(b":").unwrap_or(text);
        let named = || match name {
            [] => None,
            [b'/', ..] => file(name),
            _ => file(&[b"/usr/share/zoneinfo/", name].concat()),
        };
        named().or_else(|| Zone::from_posix(name).ok()).unwrap_or_default()
    }

    /// Reads a TZif file, version 1 to 4 (RFC 9636 section 3).
    ///
    /// Strict where the RFC is, so that a damaged file is refused rather than misread: nothing may
    /// be missing or left over, transitions ascend, the footer agrees with the last of them.
    pub fn from_tzif(bytes: &[u8]) -> Result<Zone, Wrong> {
        ensure(bytes.len() <= MAX_TZIF, "is larger than any in use")?;
        let mut reader = Reader(bytes);
        let (version, counts) = reader.header()?;
        if version == 0 {
            let zone = reader.block(counts, 4)?;
            ensure(reader.0.is_empty(), "has bytes left over at its end")?;
            return Ok(zone);
        }
        let [utc, std, leaps, transitions, types, chars] = counts;
        reader.take(transitions * 5 + types * 6 + chars + leaps * 8 + std + utc)?; // version 1 data
        let (again, counts) = reader.header()?;
        ensure(again == version, "has headers of two versions")?;
        let mut zone = reader.block(counts, 8)?;
        let [b'\n', footer @ .., b'\n'] = reader.0 else {
            return Err("has no complete footer at its end");
        };
        if !footer.is_empty() {
            let continued = Zone::from_posix(footer)?;
            match zone.transitions.last() {
                None => zone.initial = continued.initial,
                Some(&(at, offset)) => {
                    let agrees = continued.offset_at(at) == offset;
                    ensure(agrees, "has a footer at odds with its end")?;
                }
            }
            zone.rule = continued.rule;
        }
        Ok(zone)
    }

    /// Reads a POSIX TZ string such as `CET-1CEST,M3.5.0,M10.5.0/3`.
    ///
    /// Refuses what POSIX leaves to the implementation: an empty string, one which begins with `:`
    /// or is the name of a file, and daylight saving time without rules.
    pub fn from_posix(text: &[u8]) -> Result<Zone, Wrong> {
        let mut reader = Reader(text);
        let mut zone = Zone::utc();
        reader.name()?;
        zone.initial = reader.offset()?;
        if !reader.0.is_empty() {
            zone.rule = Some(reader.rule(zone.initial)?);
        }
        Ok(zone)
    }

    /// Seconds east of UTC in force at `t` (Unix time in seconds).
    pub fn offset_at(&self, t: i64) -> i32 {
        let passed = self.transitions.partition_point(|&(at, _)| at <= t);
        let (passed, ahead) = self.transitions.split_at(passed);
        match &self.rule {
            Some(rule) if ahead.is_empty() => rule.offset_at(t),
            Some(_) | None => passed.last().map_or(self.initial, |&(_, offset)| offset),
        }
    }

    /// Local date and time at `t` (Unix time in seconds); saturates at the ends of `i64`.
    pub fn civil(&self, t: i64) -> Civil {
        let local = t.saturating_add(i64::from(self.offset_at(t)));
        let (year, month, day) = civil_from_days(local.div_euclid(DAY_SECONDS));
        let second = local.rem_euclid(DAY_SECONDS);
        let (hour, minute) = ((second / 3600) as u8, (second / 60 % 60) as u8);
        let second = (second % 60) as u8;
        Civil { year, month, day, hour, minute, second }
    }

    /// The first instant after `t` (both Unix time in seconds) whose offset differs from that one
    /// second earlier; `None` if the offset never changes again.
    ///
    /// Transitions which leave the offset as it is (a new abbreviation, say) are passed over.
    pub fn next_transition(&self, t: i64) -> Option<i64> {
        let is_next = |&at: &i64| at > t && self.offset_at(at) != self.offset_at(at - 1);
        let passed = self.transitions.partition_point(|&(at, _)| at <= t);
        let mut ahead = self.transitions.iter().skip(passed).map(|&(at, _)| at);
        ahead.find(is_next).or_else(|| {
            let rule = self.rule.as_ref()?;
            let year = year_of(self.transitions.last().map_or(t, |&(last, _)| last.max(t)));
            // Year by year is in order, since an end later than the next start is no change. The
            // calendar repeats every 400 years: what does not happen by then never does.
            (year - 2..=year + 400).find_map(|year| {
                let Range { start, end } = rule.period(year);
                [start, end].into_iter().filter(is_next).min()
            })
        })
    }
}

/// Days from 1970-01-01 to a date, month 1 to 12; years are held within ±300 000 000 000.
///
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`
/// (<https://howardhinnant.github.io/date_algorithms.html>): years begin in March, so that the leap
/// day comes last, in eras of 400 years.
pub fn days_from_civil(year: i64, month: u8, day: u8) -> i64 {
    let year = year.clamp(-MAX_YEAR, MAX_YEAR) - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month (1 to 12) and day (1 to 31) of the date `days` after 1970-01-01; saturates.
///
/// Howard Hinnant's `civil_from_days`, see [`days_from_civil`].
pub fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let leap_days = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month as u8, day as u8)
}

/// The year of Unix time `t` in UTC.
fn year_of(t: i64) -> i64 {
    civil_from_days(t.div_euclid(DAY_SECONDS)).0
}

/// Yearly alternation of standard and daylight saving time, offsets in seconds east of UTC. Where
/// the law calls winter time the exception (Ireland), "daylight saving" is the smaller offset.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    standard: i32,
    daylight: i32,
    start: Change,
    end: Change,
}

impl Rule {
    fn offset_at(&self, t: i64) -> i32 {
        // The neighbours of the year matter: a period may end in the year after its start, and
        // hours up to ±167 move a change up to a week into another year.
        let year = year_of(t);
        let saving = (year - 2..=year + 1).any(|year| self.period(year).contains(&t));
        if saving { self.daylight } else { self.standard }
    }

    /// The daylight saving time which starts in `year`. South of the equator it ends in the next.
    /// Where it lasts all year, it ends at the next start or later; periods may overlap.
    fn period(&self, year: i64) -> Range<i64> {
        let start = self.start.instant(year, self.standard);
        let end = self.end.instant(year, self.daylight);
        match start <= end {
            true => start..end,
            false => start..self.end.instant(year + 1, self.daylight),
        }
    }
}

/// When in a year the clocks change: the day, and seconds after (or before) its midnight.
#[derive(Debug, Clone, PartialEq)]
struct Change(Day, i32);

#[derive(Debug, Clone, PartialEq)]
enum Day {
    /// `Jn`, 1 to 365: 29 February does not count, 60 is always 1 March.
    Julian(i32),
    /// `n`, 0 to 365: 29 February counts.
    ZeroBased(i32),
    /// `Mm.w.d`: month, which one in the month (5 is the last), weekday (0 is Sunday).
    Weekday(u8, i32, i32),
}

impl Change {
    /// The Unix time of the change in `year`, by clocks `offset` seconds east of UTC.
    fn instant(&self, year: i64, offset: i32) -> i64 {
        let Change(day, time) = self;
        let day = match *day {
            Day::Julian(n) if n < 60 => days_from_civil(year, 1, 1) + i64::from(n - 1),
            Day::Julian(n) => days_from_civil(year, 3, 1) + i64::from(n - 60),
            Day::ZeroBased(n) => days_from_civil(year, 1, 1) + i64::from(n),
            Day::Weekday(month, week, weekday) => {
                let first = days_from_civil(year, month, 1); // its weekday: 1970-01-01 had 4
                let day = first + (i64::from(weekday) - (first + 4)).rem_euclid(7);
                let day = day + 7 * i64::from(week - 1);
                let too_late = civil_from_days(day).1 != month;
                if too_late { day - 7 } else { day }
            }
        };
        let time = i64::from(*time) - i64::from(offset);
        day.saturating_mul(DAY_SECONDS).saturating_add(time)
    }
}

fn ensure(holds: bool, otherwise: Wrong) -> Result<(), Wrong> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// The part of a TZif file or TZ string which is still to be read.
struct Reader<'a>(&'a [u8]);

/// TZif
impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Wrong> {
        let parts = self.0.split_at_checked(count);
        let (taken, rest) = parts.ok_or("is cut short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let parts = self.0.split_first_chunk();
        let (taken, rest) = parts.ok_or("is cut short")?;
        self.0 = rest;
        Ok(*taken)
    }

    /// Header (RFC 9636 section 3.1): version and the six counts in their order there. None may
    /// exceed the largest file, so that no sum of sizes overflows.
    fn header(&mut self) -> Result<(u8, [usize; 6]), Wrong> {
        ensure(self.array()? == *b"TZif", "does not begin as one")?;
        let [version] = self.array()?;
        let known = matches!(version, 0 | b'2'..=b'4');
        ensure(known, "has an unknown version")?;
        self.take(15)?; // reserved
        let mut counts = [0; 6];
        for count in &mut counts {
            *count = usize::try_from(u32::from_be_bytes(self.array()?)).unwrap_or(usize::MAX);
            ensure(*count <= MAX_TZIF, "has an absurd count")?;
        }
        Ok((version, counts))
    }

    /// Data block (RFC 9636 section 3.2) with instants of `width` bytes, 4 or 8. The flags at its
    /// end tell how the source of the file stated its times; nothing here depends on them.
    fn block(&mut self, counts: [usize; 6], width: usize) -> Result<Zone, Wrong> {
        let [utc, std, leaps, transitions, types, chars] = counts;
        ensure(leaps == 0, "has leap seconds, Unix time has none")?;
        let plausible = |flags| flags == 0 || flags == types;
        let plausible = types != 0 && plausible(utc) && plausible(std);
        ensure(plausible, "has contradictory counts")?;

        let mut instants = Reader(self.take(transitions * width)?);
        let indices = self.take(transitions)?;
        let mut offsets = Vec::new();
        let mut first_standard = None;
        for _ in 0..types {
            let offset = i32::from_be_bytes(self.array()?);
            let [daylight, name] = self.array()?;
            let sane = SANE_OFFSETS.contains(&offset) && daylight <= 1 && usize::from(name) < chars;
            ensure(sane, "has an invalid local time type")?;
            if daylight == 0 {
                first_standard = first_standard.or(Some(offset));
            }
            offsets.push(offset);
        }
        self.take(chars + std + utc)?;

        // Before the first transition the RFC has the first type, glibc and musl the first that is
        // no daylight saving time. They are the same in the files of zic(8); here as in the libcs.
        let mut zone = Zone::utc();
        zone.initial = first_standard.or(offsets.first().copied()).unwrap_or(0);
        for &index in indices {
            let at = match width {
                4 => i64::from(i32::from_be_bytes(instants.array()?)),
                _ => i64::from_be_bytes(instants.array()?),
            };
            let ascending = zone.transitions.last().is_none_or(|&(last, _)| last < at);
            ensure(ascending, "has transitions out of order")?;
            let offset = offsets.get(usize::from(index));
            let &offset = offset.ok_or("lacks a local time type")?;
            zone.transitions.push((at, offset));
        }
        Ok(zone)
    }
}

/// TZ strings
impl Reader<'_> {
    fn eat(&mut self, byte: u8) -> bool {
        let rest = self.0.strip_prefix(&[byte]);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn require(&mut self, byte: u8, expected: &'static str) -> Result<(), Wrong> {
        ensure(self.eat(byte), expected)
    }

    /// Takes bytes as long as they are `wanted`.
    fn run(&mut self, wanted: impl Fn(&u8) -> bool) -> &[u8] {
        let end = self.0.iter().take_while(|byte| wanted(byte)).count();
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    /// Three or more letters; between `<` and `>` also digits and signs. Not kept.
    fn name(&mut self) -> Result<(), Wrong> {
        let quoted = self.eat(b'<');
        let name = self.run(|byte| match byte {
            b'0'..=b'9' | b'+' | b'-' => quoted,
            _ => byte.is_ascii_alphabetic(),
        });
        ensure(name.len() >= 3, "a name of three or more letters")?;
        ensure(!quoted || self.eat(b'>'), "> after a name with <")
    }

    fn number(&mut self, range: Range<i32>, expected: &'static str) -> Result<i32, Wrong> {
        let digits = self.run(u8::is_ascii_digit);
        let number = digits
            .iter()
            .fold(0_i32, |number, digit| number.saturating_mul(10).saturating_add(i32::from(digit - b'0')));
        let valid = !digits.is_empty() && range.contains(&number);
        ensure(valid, expected)?;
        Ok(number)
    }

    /// `[+-]hh[:mm[:ss]]` in seconds.
    fn time(&mut self, hours: Range<i32>, expected: &'static str) -> Result<i32, Wrong> {
        let negative = self.eat(b'-');
        let _ = negative || self.eat(b'+');
        let mut seconds = self.number(hours, expected)? * 3600;
        for unit in [60, 1] {
            if !self.eat(b':') {
                break;
            }
            seconds += unit * self.number(0..60, "minutes or seconds from 0 to 59")?;
        }
        Ok(if negative { -seconds } else { seconds })
    }

    /// Seconds east of UTC, which a TZ string states as time west of it.
    fn offset(&mut self) -> Result<i32, Wrong> {
        Ok(-self.time(0..25, "an offset with hours from 0 to 24")?)
    }

    /// The part of a TZ string after the `standard` offset.
    fn rule(&mut self, standard: i32) -> Result<Rule, Wrong> {
        self.name()?;
        let daylight = match self.0.first() {
            Some(b',') | None => standard + 3600,
            Some(_) => self.offset()?,
        };
        let start = self.change()?;
        let end = self.change()?;
        ensure(self.0.is_empty(), "nothing more after the rules")?;
        Ok(Rule { standard, daylight, start, end })
    }

    fn change(&mut self) -> Result<Change, Wrong> {
        self.require(b',', "a comma and when daylight saving time starts or ends")?;
        let day = if self.eat(b'M') {
            let month = self.number(1..13, "a month from 1 to 12")? as u8;
            self.require(b'.', "a dot between month and week")?;
            let week = self.number(1..6, "a week from 1 to 5")?;
            self.require(b'.', "a dot between week and weekday")?;
            Day::Weekday(month, week, self.number(0..7, "a weekday from 0 to 6")?)
        } else if self.eat(b'J') {
            Day::Julian(self.number(1..366, "a day from 1 to 365")?)
        } else {
            Day::ZeroBased(self.number(0..366, "M, J or a day from 0 to 365")?)
        };
        let time = match self.eat(b'/') {
            true => self.time(0..168, "a time with hours from -167 to 167")?,
            false => 2 * 3600,
        };
        Ok(Change(day, time))
    }
}

#[cfg(test)]
mod tests;
