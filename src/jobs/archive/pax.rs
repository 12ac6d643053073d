//! Records of pax headers (POSIX.1-2008, pax, "pax Extended Header"): `LENGTH KEY=VALUE` and a newline, one after the other;
//! the length, in decimal, is that of the whole record. Values may hold any bytes.

use crate::sys::fs::Time;

/// Where extended attributes stand, by the prefix of star(1), which everybody reads.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// A key and its value.
type Record<'a> = (&'a [u8], &'a [u8]);

/// Adds a record.
pub fn push(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    // Its own digits count, and may become one more by that.
    let digits = |length: usize| length.to_string().len();
    let length = rest + digits(rest + digits(rest));
    records.extend([length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat());
}

/// The records, or where they end in what is none, an error.
pub fn records(mut bytes: &[u8]) -> impl Iterator<Item = Result<Record<'_>, ()>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let found = first(bytes);
        bytes = found.map_or(&[], |(_, rest)| rest);
        Some(found.map(|(record, _)| record).ok_or(()))
    })
}

/// The first record, and what follows it.
fn first(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let blank = bytes.iter().position(|byte| *byte == b' ')?;
    let length = decimal(bytes.get(..blank)?)?;
    let record = bytes.get(blank + 1..usize::try_from(length).ok()?)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let rest = bytes.get(blank + 1 + record.len() + 1..)?;
    Some(((record.get(..equals)?, record.get(equals + 1..)?), rest))
}

/// Digits alone.
pub fn decimal(text: &[u8]) -> Option<u64> {
    let is_digits = text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| is_digits)?.parse().ok()
}

/// A time as pax has it: seconds with a fraction. Before 1970 the whole of it is negative.
pub fn time_to_text((seconds, nanoseconds): Time) -> String {
    let (sign, seconds, nanoseconds) = match seconds {
        ..0 if nanoseconds > 0 => ("-", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanoseconds),
        ..0 => ("-", seconds.unsigned_abs(), 0),
        0.. => ("", seconds.unsigned_abs(), nanoseconds),
    };
    format!("{sign}{seconds}.{nanoseconds:09}")
}

/// The time that such a text means; what is finer than a nanosecond is dropped.
pub fn time_of_text(text: &[u8]) -> Option<Time> {
    let (is_negative, text) = text.strip_prefix(b"-").map_or((false, text), |text| (true, text));
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    let seconds = i64::try_from(decimal(parts.next()?)?).ok()?;
    let fraction = parts.next().unwrap_or_default();
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9).collect::<Vec<_>>();
    let nanoseconds = u32::try_from(decimal(&digits)?).ok()?;
    Some(match (is_negative, nanoseconds) {
        (false, _) => (seconds, nanoseconds),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanoseconds),
    })
}

/// The key of an extended attribute: `=` would end it (GNU tar writes it so too).
pub fn key_of_xattr(name: &[u8]) -> Vec<u8> {
    let mut key = XATTR.to_vec();
    for byte in name {
        match byte {
            b'%' => key.extend(b"%25"),
            b'=' => key.extend(b"%3D"),
            _ => key.push(*byte),
        }
    }
    key
}

/// The name of an extended attribute, if this is the key of one.
pub fn xattr_of_key(key: &[u8]) -> Option<Vec<u8>> {
    let mut rest = key.strip_prefix(XATTR)?;
    let mut name = Vec::new();
    while let [byte, after @ ..] = rest {
        (rest, _) = match rest {
            [b'%', b'2', b'5', after @ ..] => (after, name.push(b'%')),
            [b'%', b'3', b'D', after @ ..] => (after, name.push(b'=')),
            _ => (after, name.push(*byte)),
        };
    }
    Some(name)
}

#[cfg(test)]
mod tests;
