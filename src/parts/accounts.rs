//! Users and groups by name: passwd(5) and group(5), read as text.
//!
//! A static binary has no NSS; the two files are all there is on the systems that dogwatch is for.

/// The text of /etc/passwd and /etc/group.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Accounts {
    /// Lines `name:password:uid:gid:comment:home:shell`.
    pub passwd: Vec<u8>,
    /// Lines `name:password:gid:member,member`.
    pub group: Vec<u8>,
}

/// Who somebody is to the kernel, and where at home.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// All groups, the primary one among them.
    pub groups: Vec<u32>,
    /// Name and home directory, if passwd knows them.
    pub person: Option<(Vec<u8>, Vec<u8>)>,
}

impl Accounts {
    /// The user of this name or number. A number that passwd does not know stands for its own group as well.
    pub fn user(&self, word: &str) -> Option<Account> {
        let by_name = |fields: &[&[u8]]| fields.first() == Some(&word.as_bytes());
        let number = word.parse::<u32>().ok().filter(|uid| *uid != u32::MAX);
        let by_number = |fields: &[&[u8]]| number.is_some() && id(fields, 2) == number;
        let known = lines(&self.passwd).find(|fields| by_name(fields) || by_number(fields));
        let Some(known) = known else {
            return number.map(|uid| Account { uid, gid: uid, groups: vec![uid], person: None });
        };
        let (uid, gid) = (id(&known, 2)?, id(&known, 3)?);
        let (name, home) = (known.first()?.to_vec(), known.get(5).copied().unwrap_or(b"/").to_vec());
        let is_member = |fields: &Vec<&[u8]>| {
            fields.get(3).is_some_and(|members| members.split(|byte| *byte == b',').any(|member| member == name))
        };
        let mut groups: Vec<u32> = lines(&self.group).filter(is_member).filter_map(|fields| id(&fields, 2)).collect();
        groups.push(gid);
        groups.sort_unstable();
        groups.dedup();
        Some(Account { uid, gid, groups, person: Some((name, home)) })
    }
}

impl Accounts {
    /// The group of this name or number.
    pub fn group(&self, word: &str) -> Option<u32> {
        let known = lines(&self.group).find(|fields| fields.first() == Some(&word.as_bytes()));
        let number = || word.parse().ok().filter(|gid| *gid != u32::MAX);
        known.map_or_else(number, |fields| id(&fields, 2))
    }
}

/// The fields of each line that has any.
fn lines(text: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    lines.map(|line| line.split(|byte| *byte == b':').collect())
}

fn id(fields: &[&[u8]], at: usize) -> Option<u32> {
    std::str::from_utf8(fields.get(at)?).ok()?.parse().ok().filter(|id| *id != u32::MAX)
}

#[cfg(test)]
mod tests;
