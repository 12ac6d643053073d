//! Regular expressions on paths: of rules (`src_re`) and of watches (`exclude`).
//!
//! They match from the start, as Python's `re.match` does, and `.` matches any character. regex-lite sees text, so bytes
//! that are no UTF-8 pass by [`super::text`]'s mapping. What a pattern begins and ends with literally is compared as
//! bytes first, so that a path that cannot match costs nanoseconds.

pub mod rewrite;

use super::text::to_text;
use regex_lite::Regex;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: Vec<u8>,
    regex: Regex,
    literals: Literals,
}

/// What every match begins and ends with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Literals {
    prefix: Vec<u8>,
    suffix: Vec<u8>,
}

/// What is wrong with a pattern, and what to write instead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wrong {
    /// In the words of the expression's compiler.
    pub message: String,
    /// If there is something.
    pub hint: Option<&'static str>,
}

impl Pattern {
    /// Compiles a pattern; its bytes are those of the configuration.
    pub fn new(source: &[u8]) -> Result<Pattern, Wrong> {
        let text = to_text(source);
        // On its own first: `a)(b` would be two groups in parentheses of ours.
        let alone = Regex::new(&text);
        let regex = alone.and_then(|_| Regex::new(&format!(r"\A(?s:{text})")));
        let regex = regex.map_err(|error| Wrong { message: error.to_string(), hint: hint(&text) })?;
        Ok(Pattern { source: source.to_vec(), regex, literals: Literals::of(&text) })
    }

    /// Whether a path matches.
    pub fn is_match(&self, path: &[u8]) -> bool {
        self.literals.may_match(path) && self.regex.is_match(&to_text(path))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

/// What Python has and regex-lite has not.
fn hint(text: &str) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 6] = [
        ("(?=", "there is no look-around: an earlier rule with action = none makes an exception"),
        ("(?!", "there is no look-around: an earlier rule with action = none makes an exception"),
        ("(?<=", "there is no look-around: an earlier rule with action = none makes an exception"),
        ("(?<!", "there is no look-around: an earlier rule with action = none makes an exception"),
        (r"\Z", r"the end of the path is $ or \z"),
        ("(?P=", "a pattern cannot refer back to its own groups"),
    ];
    KNOWN.iter().find(|(words, _)| text.contains(words)).map(|(_, hint)| *hint)
}

impl Literals {
    fn may_match(&self, path: &[u8]) -> bool {
        path.len() >= self.prefix.len().max(self.suffix.len())
            && path.starts_with(&self.prefix)
            && path.ends_with(&self.suffix)
    }

    /// Read off the pattern's text, on the safe side: where there is an alternative, a flag or a character by its number,
    /// nothing is.
    fn of(text: &str) -> Literals {
        const UNREAD: [&str; 4] = ["|", r"\x", r"\u", r"\U"];
        if UNREAD.iter().any(|sign| text.contains(sign))
            || text.replace("(?P<", "").replace("(?<", "").replace("(?:", "").contains("(?")
        {
            return Literals::default();
        }
        let items = items(text);
        let begins = items.first() == Some(&Item::Start);
        let prefix = items.iter().skip(usize::from(begins)).map_while(Item::literal).collect();
        let suffix = match items.split_last() {
            Some((Item::End, rest)) => {
                let mut reversed: Vec<char> = rest.iter().rev().map_while(Item::literal).collect();
                reversed.reverse();
                reversed
            }
            _ => Vec::new(),
        };
        let bytes = |characters: Vec<char>| super::text::to_bytes(&String::from_iter(characters));
        Literals { prefix: bytes(prefix), suffix: bytes(suffix) }
    }
}

/// A piece of a pattern outside of any group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Item {
    Literal(char),
    Start,
    End,
    Other,
}

impl Item {
    fn literal(&self) -> Option<char> {
        match self {
            Item::Literal(character) => Some(*character),
            Item::Start | Item::End | Item::Other => None,
        }
    }
}

/// The pieces of a pattern that compiles; a group, a class, or what is repeated, is one piece of unknown text.
fn items(text: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let (mut depth, mut class) = (0_u32, 0_u32);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let mut item = Item::Other;
        match character {
            '\\' => match characters.next() {
                // `\<` and `\>` are the ends of a word.
                Some(next) if next.is_ascii_punctuation() && !"<>".contains(next) => item = Item::Literal(next),
                Some('A') => item = Item::Start,
                Some('z') => item = Item::End,
                _ => {}
            },
            '[' => class += 1,
            ']' if class > 0 => class -= 1,
            _ if class > 0 => {}
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '*' | '+' | '?' | '{' => {
                // What is repeated is not certain to be there, or there once.
                items.pop();
                items.extend([Item::Other, Item::Other]);
                if character == '{' {
                    characters.by_ref().find(|next| *next == '}');
                }
                continue;
            }
            '^' => item = Item::Start,
            '$' => item = Item::End,
            '.' => {}
            literal => item = Item::Literal(literal),
        }
        items.push(if depth > 0 || class > 0 { Item::Other } else { item });
    }
    items
}

#[cfg(test)]
mod tests;
