//! The words of a member that come from others: names and tags. Whatever cannot stand in a line of
//! a configuration file, a file's name or a column of a screen is refused where it comes in.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The longest name of a member, a service or a tag, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// The longest value of a tag, in bytes.
pub const VALUE_BYTES_MAX: usize = 256;

/// All tags of a member together, names and values, in bytes: as much as Serf allows, so that a
/// record fits a datagram.
pub const TAGS_BYTES_MAX: usize = 512;

/// A member's name: 1–64 of `A-Za-z0-9._-`, not starting with a dot or a dash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberName(Box<str>);

/// The name of an announced service: as a service directory is named, 1–64 of `A-Za-z0-9._@-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(Box<str>);

macro_rules! word {
    ($type:ident, $what:literal, $others:literal) => {
        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                word($what, $others, text).map(|()| Self(text.into()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`{}`", self.0)
            }
        }
    };
}

word!(MemberName, "a member's name", "._-");
word!(ServiceName, "a service name", "._@-");

/// Whether this is a word of letters, digits and these others.
fn word(what: &str, others: &str, text: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    if text.is_empty() {
        return Err(format!("{what} cannot be empty"));
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(format!("{what} has at most {NAME_BYTES_MAX} characters"));
    }
    if let Some(first @ ('.' | '-')) = text.chars().next() {
        return Err(format!("{what} cannot start with {first:?}"));
    }
    match text.chars().find(|c| !fits(*c)) {
        Some(c) => Err(format!("{what} cannot contain {c:?}")),
        None => Ok(()),
    }
}

/// The tags of a member: each name a word, each value a text without control characters or line
/// breaks of any kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Tags(BTreeMap<String, String>);

impl Tags {
    /// Adds a tag, or gives it another value.
    ///
    /// # Errors
    /// A sentence for the user: what cannot be in a name or a value, or that there are too many.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        word("a tag's name", "._-", name)?;
        let called = || format!("the value of tag `{name}`");
        if value.len() > VALUE_BYTES_MAX {
            let called = called();
            return Err(format!("{called} has more than {VALUE_BYTES_MAX} bytes"));
        }
        if let Some(c) = value.chars().find(|c| breaks(*c)) {
            return Err(format!("{} cannot contain {c:?}", called()));
        }
        let others = self.0.iter().filter(|(other, _)| *other != name);
        let bytes: usize = others.map(|(name, value)| name.len() + value.len()).sum();
        if bytes + name.len() + value.len() > TAGS_BYTES_MAX {
            return Err(format!(
                "the tags have more than {TAGS_BYTES_MAX} bytes together"
            ));
        }
        self.0.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// A tag's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All tags, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What ends a line somewhere, or moves a terminal's cursor: control characters, and Unicode's line
/// and paragraph separators.
fn breaks(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words() {
        for good in ["s1", "web-1.local", "a_b", &"x".repeat(64)] {
            assert!(good.parse::<MemberName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "..",
            "-rf",
            "a/b",
            "a b",
            "a\nb",
            "a@b",
            "ü",
            &"x".repeat(65),
        ] {
            assert!(bad.parse::<MemberName>().is_err(), "{bad:?}");
        }
        assert!("web@2".parse::<ServiceName>().is_ok());
    }

    #[test]
    fn tags_hold_no_line() {
        let mut tags = Tags::default();
        assert_eq!(tags.set("role", "backend of the shop, \"blue\""), Ok(()));
        for bad in [
            "a\nserver evil 6.6.6.6:1",
            "a\r",
            "a\0",
            "a\u{85}",
            "a\u{2028}",
            "\x1b[2J",
        ] {
            assert!(tags.set("desc", bad).is_err(), "{bad:?}");
        }
        for bad in ["", "a=b", "a b", "a\nb"] {
            assert!(tags.set(bad, "x").is_err(), "{bad:?}");
        }
        assert_eq!(tags.get("role"), Some("backend of the shop, \"blue\""));
        assert_eq!(tags.iter().len(), 1);
    }

    #[test]
    fn tags_are_bounded() {
        let mut tags = Tags::default();
        assert!(tags.set("a", &"x".repeat(257)).is_err());
        assert!(tags.set("a", &"x".repeat(256)).is_ok());
        assert!(tags.set("b", &"x".repeat(250)).is_ok());
        assert!(tags.set("c", "xxxxx").is_err());
        assert!(tags.set("b", "less").is_ok());
        assert!(tags.set("c", "xxxxx").is_ok());
    }
}
