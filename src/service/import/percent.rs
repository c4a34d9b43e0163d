//! Expansions like `%(program_name)s`, as Python's `%` makes them. What only the container knows
//! becomes a hole in the text: a character of a private plane for each variable.

use std::iter::Peekable;
use std::str::Chars;

/// The first hole. Another plane holds the same holes where a command's words are split in them.
const HOLE: u32 = 0x10_0000;
const LOOSE: u32 = 0x10_8000;
/// So many variables of the container; more is no configuration any more.
const HOLES_MAX: usize = 0x4000;

/// A number is written with at most so many digits.
const WIDTH_MAX: usize = 100;

/// What a name stands for.
pub(super) enum Known {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// A variable of the container.
    Variable(String),
}

/// The variables that stand for the holes.
#[derive(Default)]
pub(super) struct Holes(Vec<String>);

/// A part of a text with holes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part<'a> {
    /// A character.
    Char(char),
    /// A variable, and whether a word is split in it.
    Variable(&'a str, bool),
}

impl Holes {
    /// The hole of this variable.
    fn of(&mut self, name: String) -> Result<char, String> {
        let known = self.0.iter().position(|old| *old == name);
        let at = known.unwrap_or(self.0.len());
        if known.is_none() {
            self.0.push(name);
        }
        let number = u32::try_from(at).ok().filter(|_| at < HOLES_MAX);
        let hole = number.and_then(|number| char::from_u32(HOLE + number));
        hole.ok_or_else(|| "it names too many variables".to_owned())
    }

    /// The parts of a text.
    pub(super) fn parts<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Part<'a>> {
        text.chars().map(|c| {
            let is_loose = u32::from(c) >= LOOSE;
            let base = if is_loose { LOOSE } else { HOLE };
            let at = u32::from(c).checked_sub(base).map(|at| at as usize);
            match at.and_then(|at| self.0.get(at)) {
                Some(name) => Part::Variable(name, is_loose),
                None => Part::Char(c),
            }
        })
    }

    /// Replaces what `%` says in a text.
    ///
    /// # Errors
    /// It is malformed, or names what nobody knows: a sentence for the user.
    pub(super) fn expand(
        &mut self,
        text: &str,
        known: &dyn Fn(&str) -> Option<Known>,
    ) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '%' if chars.next_if_eq(&'%').is_some() => out.push('%'),
                '%' => self.filled(&mut chars, known, &mut out)?,
                '\0' => return Err("it holds a NUL".into()),
                c if u32::from(c) >= HOLE => return Err(format!("it holds the character {c:?}")),
                c => out.push(c),
            }
        }
        Ok(out)
    }

    /// What stands for `(NAME)FORMAT`.
    fn filled(
        &mut self,
        chars: &mut Peekable<Chars<'_>>,
        known: &dyn Fn(&str) -> Option<Known>,
        out: &mut String,
    ) -> Result<(), String> {
        if chars.next_if_eq(&'(').is_none() {
            return Err("a single `%` (a percent sign is written `%%`)".into());
        }
        let mut name = String::new();
        loop {
            match chars.next() {
                Some(')') => break,
                Some(c) => name.push(c),
                None => return Err("`%(` without `)`".into()),
            }
        }
        let mut format = String::new();
        let kind = loop {
            match chars.next() {
                Some(c) if c.is_ascii_digit() || c == '-' => format.push(c),
                Some(c) => break c,
                None => return Err(format!("`%({name})` without the `s` or `d` behind it")),
            }
        };
        let value = known(&name).ok_or_else(|| format!("nobody knows `%({name}){kind}`"))?;
        match (value, kind) {
            (Known::Variable(variable), 's') if format.is_empty() => out.push(self.of(variable)?),
            (Known::Text(text), 's') => out.push_str(&padded(&text, &format)),
            (Known::Number(number), 'd' | 'i' | 'u' | 's') => {
                out.push_str(&padded(&number.to_string(), &format));
            }
            _ => return Err(format!("`%({name}){format}{kind}` makes no sense here")),
        }
        Ok(())
    }
}

/// The text with so many blanks or zeros before it, or blanks behind it.
fn padded(text: &str, format: &str) -> String {
    let left = format.contains('-');
    let zeros = format.starts_with('0');
    let width: usize = format.trim_start_matches(['0', '-']).parse().unwrap_or(0);
    let fill = width.min(WIDTH_MAX).saturating_sub(text.chars().count());
    match (left, zeros) {
        (true, _) => format!("{text}{}", " ".repeat(fill)),
        (false, true) => format!("{}{text}", "0".repeat(fill)),
        (false, false) => format!("{}{text}", " ".repeat(fill)),
    }
}

/// The same hole, as one in which a word is split. Everything else as it is.
pub(super) fn loose(c: char) -> char {
    let number = u32::from(c);
    if (HOLE..LOOSE).contains(&number) {
        char::from_u32(number - HOLE + LOOSE).unwrap_or(c)
    } else {
        c
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, String> {
        let mut holes = Holes::default();
        let out = holes.expand(text, &|name| match name {
            "program_name" => Some(Known::Text("web".into())),
            "process_num" => Some(Known::Number(7)),
            name => name
                .strip_prefix("ENV_")
                .map(|name| Known::Variable(name.into())),
        })?;
        let shown = |part| match part {
            Part::Char(c) => c.to_string(),
            Part::Variable(name, is_loose) => {
                format!("<{name}{}>", if is_loose { "?" } else { "" })
            }
        };
        let first = holes.parts(&out).map(shown).collect::<String>();
        let all_loose: String = out.chars().map(loose).collect();
        let again = holes.parts(&all_loose).map(shown).collect::<String>();
        assert_eq!(again.replace("?>", ">"), first);
        Ok(first)
    }

    #[test]
    fn as_python_does() {
        for (text, told) in [
            ("%(program_name)s-%(process_num)02d", "web-07"),
            (
                "%(process_num)d %(process_num)3d %(process_num)-3d|",
                "7   7 7  |",
            ),
            (
                "100%% of %(ENV_A)s and %(ENV_B)s%(ENV_A)s",
                "100% of <A> and <B><A>",
            ),
        ] {
            assert_eq!(shown(text), Ok(told.to_owned()), "{text}");
        }
        for (text, fault) in [
            ("50%", "a single `%` (a percent sign is written `%%`)"),
            ("%d", "a single `%` (a percent sign is written `%%`)"),
            ("%(here", "`%(` without `)`"),
            (
                "%(process_num)",
                "`%(process_num)` without the `s` or `d` behind it",
            ),
            ("%(nobody)s", "nobody knows `%(nobody)s`"),
            ("%(ENV_A)d", "`%(ENV_A)d` makes no sense here"),
            ("%(program_name)d", "`%(program_name)d` makes no sense here"),
            ("a\u{100001}", "it holds the character '\\u{100001}'"),
        ] {
            assert_eq!(shown(text), Err(fault.to_owned()), "{text}");
        }
    }
}
