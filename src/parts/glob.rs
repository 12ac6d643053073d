//! Shell patterns for one component of a path, as glob(7) has them: `*`, `?`, `[…]`, and `\` before what is meant itself.
//!
//! A wildcard does not match the dot of a hidden name. Relies on [`super::pattern`], to whose language a pattern is
//! translated.

use super::pattern::Pattern;
use super::text::{to_bytes, to_text};

/// A compiled pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Glob {
    pattern: Pattern,
    /// It begins with a dot of its own.
    hidden: bool,
}

/// What means something in a pattern.
pub const SPECIAL: &[u8] = b"*?[\\";

/// Whether a component of a path is a pattern.
pub fn is_pattern(component: &[u8]) -> bool {
    let mut bytes = component.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'*' | b'?' | b'[' => return true,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
    false
}

/// A component that is no pattern, without its backslashes.
pub fn unescaped(component: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut bytes = component.iter();
    while let Some(byte) = bytes.next() {
        plain.extend(if *byte == b'\\' { bytes.next() } else { Some(byte) });
    }
    plain
}

impl Glob {
    /// Compiles a pattern for a name without slashes; the error says what is wrong with it.
    pub fn new(source: &[u8]) -> Result<Glob, String> {
        if source.windows(2).any(|pair| pair == b"**") {
            return Err("** is no pattern: * matches within one directory, and rec = yes goes deeper".to_owned());
        }
        let text = to_text(source);
        let pattern = Pattern::new(&to_bytes(&translated(&text)?)).map_err(|wrong| wrong.message)?;
        Ok(Glob { pattern, hidden: text.starts_with('.') || text.starts_with("\\.") })
    }

    /// Whether a name matches.
    pub fn is_match(&self, name: &[u8]) -> bool {
        (self.hidden || !name.starts_with(b".")) && self.pattern.is_match(name)
    }
}

fn translated(text: &str) -> Result<String, String> {
    let mut regex = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' => regex.push_str(&class(&mut characters)?),
            '\\' => push_literal(&mut regex, characters.next().unwrap_or('\\')),
            literal => push_literal(&mut regex, literal),
        }
    }
    regex.push_str(r"\z");
    Ok(regex)
}

/// What follows a `[`, up to its `]`: one that comes first is itself a member.
fn class(characters: &mut std::str::Chars<'_>) -> Result<String, String> {
    let mut class = String::from("[");
    let mut next = characters.next();
    if next.is_some_and(|first| matches!(first, '!' | '^')) {
        class.push('^');
        next = characters.next();
    }
    let mut first = true;
    loop {
        match next.ok_or("a [ without its ]: a backslash before it takes its meaning away")? {
            ']' if !first => break,
            '-' => class.push('-'),
            '[' if characters.as_str().starts_with(':') => {
                let (name, _) = characters.as_str().split_once(":]").ok_or("a [: without its :]")?;
                class.push_str(&format!("[{name}:]"));
                characters.by_ref().take(name.chars().count() + 2).for_each(|_| {});
            }
            '\\' => push_literal(&mut class, characters.next().unwrap_or('\\')),
            literal => push_literal(&mut class, literal),
        }
        first = false;
        next = characters.next();
    }
    // A dash at either end is itself; in between it makes a range.
    class.push(']');
    Ok(class)
}

fn push_literal(regex: &mut String, literal: char) {
    if literal.is_ascii_punctuation() {
        regex.push('\\');
    }
    regex.push(literal);
}

#[cfg(test)]
mod tests;
