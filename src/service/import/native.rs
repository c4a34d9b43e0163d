//! A service.toml as it is written down: the fields that differ from their defaults.

use std::fmt::Write as _;

use crate::service::import::percent::{Holes, Part};

/// The lines of a service.toml, by section in the order of the file.
#[derive(Default)]
pub(super) struct Native {
    top: String,
    env: String,
    sections: Vec<(&'static str, String)>,
}

impl Native {
    /// Adds a field with a value that is TOML already.
    pub(super) fn set(&mut self, section: &'static str, name: &str, value: &str) {
        let text = match self.sections.iter().position(|(name, _)| *name == section) {
            _ if section.is_empty() => Some(&mut self.top),
            Some(at) => self.sections.get_mut(at).map(|(_, text)| text),
            None => {
                self.sections.push((section, String::new()));
                self.sections.last_mut().map(|(_, text)| text)
            }
        };
        if let Some(text) = text {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name} = {value}");
        }
    }

    /// Adds a variable.
    pub(super) fn variable(&mut self, name: &str, value: &str) {
        let _ = writeln!(self.env, "{} = {value}", key(name));
    }

    /// The whole text.
    pub(super) fn text(self) -> String {
        let mut text = self.top;
        if !self.env.is_empty() {
            let _ = write!(text, "\n[env]\n{}", self.env);
        }
        for (name, lines) in self.sections {
            let _ = write!(text, "\n[{name}]\n{lines}");
        }
        text
    }
}

/// A key, in quotes where it needs them.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// A string of TOML.
pub(super) fn quoted(text: &str) -> String {
    let awkward = |c: char| matches!(c, '"' | '\\');
    let plain = |c: char| c != '\'' && !c.is_control();
    if text.contains(awkward) && text.chars().all(plain) {
        return format!("'{text}'");
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// An array of strings.
pub(super) fn array(items: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let items: Vec<String> = items
        .into_iter()
        .map(|item| quoted(item.as_ref()))
        .collect();
    format!("[{}]", items.join(", "))
}

/// A text that pidone expands: variables for the holes, and no others.
pub(super) fn template(text: &str, holes: &Holes) -> String {
    let mut out = String::new();
    for part in holes.parts(text) {
        match part {
            Part::Char('$') => out.push_str("$$"),
            Part::Char(c) => out.push(c),
            Part::Variable(name, _) => {
                let _ = write!(out, "${{{name}}}");
            }
        }
    }
    out
}

/// The value of `command`: its words, or a line for the shell if there are variables in them.
pub(super) fn command(words: &[String], holes: &Holes) -> String {
    let parts = words.iter().map(|word| holes.parts(word).collect());
    let words: Vec<Vec<Part<'_>>> = parts.collect();
    let has = |wanted: fn(&Part<'_>) -> bool| words.iter().flatten().any(wanted);
    if !has(|part| matches!(part, Part::Variable(..))) {
        let plain = |word: &Vec<Part<'_>>| word.iter().map(text_of).collect::<String>();
        return array(words.iter().map(plain));
    }
    // Where a value is split into words, names of files must not be made of it.
    let splits = has(|part| matches!(part, Part::Variable(_, true)));
    let mut line = String::from(if splits { "set -f; exec" } else { "exec" });
    for word in &words {
        line.push(' ');
        line.push_str(&shell_word(word));
    }
    quoted(&line)
}

/// A text as one word for the shell.
pub(super) fn shell_text(text: &str) -> String {
    shell_word(&text.chars().map(Part::Char).collect::<Vec<_>>())
}

fn text_of(part: &Part<'_>) -> String {
    match part {
        Part::Char(c) => c.to_string(),
        Part::Variable(name, _) => (*name).to_owned(),
    }
}

/// A word for the shell. A variable that is not set is an error there, as it is to supervisord.
fn shell_word(parts: &[Part<'_>]) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    let is_safe = |part: &Part<'_>| match part {
        Part::Char(c) => safe(*c),
        Part::Variable(..) => true,
    };
    let all_safe = parts.iter().all(is_safe) && !parts.is_empty();
    let mut out = String::new();
    let mut open = false;
    let mut quote = |out: &mut String, wanted: bool| {
        if open != wanted {
            out.push('\'');
            open = wanted;
        }
    };
    for part in parts {
        match part {
            Part::Char('\'') => {
                quote(&mut out, false);
                out.push_str("\\'");
            }
            Part::Char(c) => {
                quote(&mut out, !all_safe);
                out.push(*c);
            }
            Part::Variable(name, splits) => {
                quote(&mut out, false);
                let mark = if *splits { "" } else { "\"" };
                let _ = write!(out, "{mark}${{{name}?}}{mark}");
            }
        }
    }
    quote(&mut out, false);
    if parts.is_empty() {
        out.push_str("''");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::import::percent::Known;
    use crate::service::import::words::split;

    #[test]
    fn strings_are_read_as_they_were() {
        for text in [
            "",
            "a b",
            "it's",
            "say \"x\"",
            "a\\b",
            "'\"\\",
            "a\nb\tc\u{1}\u{7f}",
            "ü",
        ] {
            let read: toml::Table = toml::from_str(&format!("a = {}", quoted(text))).unwrap();
            assert_eq!(read["a"].as_str(), Some(text));
        }
    }

    #[test]
    fn words_with_variables_are_for_the_shell() {
        for (text, line) in [
            ("a -p %(ENV_P)s", "set -f; exec a -p ${P?}"),
            ("a \"%(ENV_P)s x\"", "exec a \"${P?}\"' x'"),
            (
                "a \"$x %(ENV_P)s it's\"",
                "exec a '$x '\"${P?}\"' it'\\''s'",
            ),
            (
                "sh -c 'x --p=%(ENV_P)s; y'",
                "exec sh -c 'x --p='\"${P?}\"'; y'",
            ),
            ("a '' \"%(ENV_P)s\"", "exec a '' \"${P?}\""),
        ] {
            let mut holes = Holes::default();
            let known = |name: &str| name.strip_prefix("ENV_").map(|n| Known::Variable(n.into()));
            let text = holes.expand(text, &known).unwrap();
            let told = format!("a = {}", command(&split(&text).unwrap(), &holes));
            let read: toml::Table = toml::from_str(&told).unwrap();
            assert_eq!(read["a"].as_str(), Some(line));
        }
        let words = split("a 'b c' d").unwrap();
        assert_eq!(command(&words, &Holes::default()), r#"["a", "b c", "d"]"#);
    }
}
