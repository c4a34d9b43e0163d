//! Texts with variables: `${NAME}`, `${NAME:-default}`, and `$$` for a dollar. Nothing else; what a
//! shell would do with other forms is guessed differently by everybody, so they are refused.

use std::ffi::OsString;
use std::fmt;
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Defaults within defaults: more than anybody reads, few enough for the stack.
const DEPTH_MAX: usize = 8;

/// execve(2) refuses a longer string (MAX_ARG_STRLEN, 32 pages); it also stops values that double
/// at each reference.
const BYTES_MAX: usize = 128 * 1024 - 1;

/// A part of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    /// Itself.
    Text(&'a str),
    /// What the variable holds.
    Variable {
        /// The variable.
        name: &'a str,
        /// Used when it is unset or empty, as in a shell and in Compose.
        default: Option<Vec<Piece<'a>>>,
    },
}

/// A text that cannot be taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Malformed {
    /// Where in the text, in bytes.
    pub at: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// The next step.
    pub hint: String,
}

/// Why a text cannot be expanded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It cannot be taken apart.
    Malformed(Malformed),
    /// A variable without a default is not set.
    Unset(String),
    /// Variables that need each other's value; the first is repeated at the end.
    Circle(Vec<String>),
    /// References go deeper than anybody meant.
    TooDeep,
    /// The result is longer than execve(2) takes.
    TooLong,
    /// The result is not UTF-8, where text is needed.
    NotText,
    /// A secret, where screens and messages show what becomes of the text.
    Secret(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => f.write_str(&malformed.message),
            Self::Unset(name) => write!(f, "the variable `{name}` is not set and has no default"),
            Self::Circle(names) => write!(
                f,
                "variables need each other's value: {}",
                names.join(" → ")
            ),
            Self::TooDeep => f.write_str("variables refer to each other too deeply"),
            Self::TooLong => write!(f, "the value is longer than {BYTES_MAX} bytes"),
            Self::NotText => f.write_str("the value is not UTF-8"),
            Self::Secret(name) => write!(
                f,
                "a secret stands in `{name}`, and only `env` may refer to secrets"
            ),
        }
    }
}

/// What to do about a variable that is not set.
pub(super) fn give_default(name: &str) -> String {
    format!("give it a default: `${{{name}:-…}}`")
}

/// Whether `text` can be a variable of `${…}`.
pub fn is_name(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !text.is_empty() && text.chars().all(word) && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// Takes a text apart.
pub fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Malformed> {
    let mut parser = Parser { text, at: 0 };
    parser.pieces(0)
}

/// Puts a text together again, asking `lookup` for each variable that is needed.
pub fn fill(
    pieces: &[Piece<'_>],
    lookup: &mut dyn FnMut(&str) -> Result<Option<OsString>, Fault>,
) -> Result<OsString, Fault> {
    let mut out = Vec::new();
    fill_into(pieces, lookup, &mut out)?;
    Ok(OsString::from_vec(out))
}

fn fill_into(
    pieces: &[Piece<'_>],
    lookup: &mut dyn FnMut(&str) -> Result<Option<OsString>, Fault>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Variable { name, default } => match (lookup(name)?, default) {
                (Some(value), None) => out.extend_from_slice(value.as_bytes()),
                (Some(value), Some(_)) if !value.is_empty() => {
                    out.extend_from_slice(value.as_bytes());
                }
                (_, Some(default)) => fill_into(default, lookup, out)?,
                (None, None) => return Err(Fault::Unset((*name).to_owned())),
            },
        }
        if out.len() > BYTES_MAX {
            return Err(Fault::TooLong);
        }
    }
    Ok(())
}

/// A place in a text that is being taken apart.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Up to the end of the text, or (`depth` > 0) to the brace that closes a default.
    fn pieces(&mut self, depth: usize) -> Result<Vec<Piece<'a>>, Malformed> {
        let mut found = Vec::new();
        loop {
            let rest = self.rest();
            let end = rest
                .find(|c| c == '$' || (depth > 0 && c == '}'))
                .unwrap_or(rest.len());
            let (plain, rest) = rest.split_at(end);
            self.at += end;
            if !plain.is_empty() {
                found.push(Piece::Text(plain));
            }
            if rest.is_empty() || rest.starts_with('}') {
                return Ok(found);
            }
            found.push(self.dollar(depth)?);
        }
    }

    /// What begins with a dollar.
    fn dollar(&mut self, depth: usize) -> Result<Piece<'a>, Malformed> {
        let start = self.at;
        let rest = self.rest();
        if rest.starts_with("$$") {
            self.at += 2;
            return Ok(Piece::Text(rest.get(..1).unwrap_or_default()));
        }
        let Some(inside) = rest.strip_prefix("${") else {
            return Err(Malformed {
                at: start..start + 1,
                message: "`$` is followed by neither `{` nor `$`".into(),
                hint: "write `${NAME}` for a variable, `$$` for a dollar".into(),
            });
        };
        let length = inside
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(inside.len());
        let (name, tail) = inside.split_at(length);
        self.at += 2 + length;
        if !is_name(name) {
            return Err(self.bad(start, "`${` is not followed by a variable's name"));
        }
        let default = match tail.strip_prefix(":-") {
            None => None,
            Some(_) if depth >= DEPTH_MAX => {
                return Err(self.bad(start, "defaults are nested too deeply"));
            }
            Some(_) => {
                self.at += 2;
                Some(self.pieces(depth + 1)?)
            }
        };
        match self.rest().chars().next() {
            Some('}') => {
                self.at += 1;
                Ok(Piece::Variable { name, default })
            }
            None => Err(self.bad(start, "`${` has no `}`")),
            Some(_) => Err(self.bad(start, format!("cannot read what follows `${{{name}`"))),
        }
    }

    /// A fault from `start` to here.
    fn bad(&self, start: usize, message: impl Into<String>) -> Malformed {
        Malformed {
            at: start..self.at,
            message: message.into(),
            hint: "variables are written `${NAME}` or `${NAME:-default}`, a dollar `$$`".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn expand<'e>(
        text: &str,
        lookup: impl Fn(&str) -> Option<&'e OsStr>,
    ) -> Result<OsString, Fault> {
        let pieces = pieces(text).map_err(Fault::Malformed)?;
        fill(&pieces, &mut |name| {
            Ok(lookup(name).map(OsStr::to_os_string))
        })
    }

    fn expanded(text: &str) -> Result<String, Fault> {
        let lookup = |name: &str| match name {
            "HOST" => Some(OsStr::new("db")),
            "EMPTY" => Some(OsStr::new("")),
            _ => None,
        };
        expand(text, lookup).map(|value| value.into_string().unwrap())
    }

    #[test]
    fn what_is_expanded() {
        for (text, value) in [
            ("", ""),
            ("plain {text}", "plain {text}"),
            ("${HOST}", "db"),
            ("http://${HOST}:${PORT:-80}/", "http://db:80/"),
            ("${EMPTY}", ""),
            ("${EMPTY:-x}", "x"),
            ("${NO:-}", ""),
            ("${NO:-${HOST}-${NO:-é}}!", "db-é!"),
            ("$$HOST costs $$5 }", "$HOST costs $5 }"),
            ("$${HOST}", "${HOST}"),
        ] {
            assert_eq!(expanded(text), Ok(value.to_owned()), "{text}");
        }
        assert_eq!(expanded("a${NO}"), Err(Fault::Unset("NO".into())));
    }

    #[test]
    fn what_is_refused() {
        let nested = format!("{}{}", "${A:-".repeat(9), "}".repeat(9));
        for bad in [
            "$HOST",
            "$",
            "5$",
            "${",
            "${}",
            "${HOST",
            "${1A}",
            "${A-b}",
            "${A:-b",
            "${é}",
            "${A b}",
            nested.as_str(),
        ] {
            match expanded(bad) {
                Err(Fault::Malformed(malformed)) => {
                    assert!(
                        bad.get(malformed.at.clone()).is_some(),
                        "{bad} {malformed:?}"
                    );
                }
                other => panic!("{bad}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_value_has_a_bound() {
        let long = "x".repeat(BYTES_MAX / 2);
        let lookup = |_: &str| Some(OsStr::new(long.as_str()));
        assert!(expand("${A}${A}", lookup).is_ok());
        assert_eq!(expand("${A}${A}${A}", lookup), Err(Fault::TooLong));
    }
}
