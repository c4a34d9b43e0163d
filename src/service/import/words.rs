//! Words as Python's shlex splits them: those of a command, and the pairs of `environment`.

use crate::service::import::percent::loose;

/// Splits a command as `shlex.split` does: quotes, backslashes, nothing else of a shell. A variable
/// outside of quotes becomes a loose one: its value was split, too.
pub(super) fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' | '"' => quoted(c, &mut chars, word.get_or_insert_default())?,
            '\\' => {
                let next = chars.next().ok_or("nothing follows the last backslash")?;
                word.get_or_insert_default().push(next);
            }
            c => word.get_or_insert_default().push(loose(c)),
        }
    }
    words.extend(word);
    Ok(words)
}

/// What stands within quotes; between double ones a backslash guards a quote and a backslash.
fn quoted(
    quote: char,
    chars: &mut impl Iterator<Item = char>,
    word: &mut String,
) -> Result<(), &'static str> {
    const UNCLOSED: &str = "a quote that is not closed";
    loop {
        match chars.next().ok_or(UNCLOSED)? {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => match chars.next().ok_or(UNCLOSED)? {
                c @ ('"' | '\\') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

/// The pairs of `KEY="value",KEY2=value2`, as supervisord reads them with the older form of shlex.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let tokens = tokens(text)?;
    let mut pairs = Vec::new();
    // Whatever stands where a comma should is passed over, as it is there.
    for group in tokens.chunks(4) {
        match group {
            [key, equals, value, ..] if equals == "=" => {
                let value = value.trim_matches(['\'', '"']).to_owned();
                pairs.retain(|(old, _)| old != key);
                pairs.push((key.clone(), value));
            }
            _ => {
                return Err(format!(
                    "`{}` is no pair KEY=\"VALUE\"",
                    group.join("").trim()
                ));
            }
        }
    }
    Ok(pairs)
}

/// Characters that make up an unquoted word there. A variable's value was one, if it had only such.
fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_/.+-():".contains(c) || loose(c) != c
}

fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let mut token = c.to_string();
        match c {
            ' ' | '\t' | '\r' | '\n' => continue,
            '#' => {
                while chars.next_if(|c| *c != '\n').is_some() {}
                continue;
            }
            '\'' | '"' => loop {
                let next = chars.next().ok_or("a quote that is not closed")?;
                token.push(next);
                if next == c {
                    break;
                }
            },
            c if in_word(c) => {
                while let Some(c) = chars.next_if(|c| in_word(*c) || matches!(c, '\'' | '"')) {
                    token.push(c);
                }
            }
            _single => {}
        }
        found.push(token);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::pairs as read_pairs;
    use super::split;

    /// What `shlex.split` of Python 3.11 made of them.
    #[test]
    fn commands_are_split_as_shlex_does() {
        for (text, words) in [
            ("a b  c\n d", Ok(&["a", "b", "c", "d"][..])),
            ("a 'b \"c' \"d 'e\"", Ok(&["a", "b \"c", "d 'e"])),
            (
                r#"a\ b "c\"d\\e\f" 'g\h'"#,
                Ok(&["a b", r#"c"d\e\f"#, r"g\h"]),
            ),
            ("a\"b\"'c' ''", Ok(&["abc", ""])),
            (
                "sh -c 'a && b; c' # d",
                Ok(&["sh", "-c", "a && b; c", "#", "d"]),
            ),
            ("", Ok(&[])),
            ("a 'b", Err("a quote that is not closed")),
            ("a \\", Err("nothing follows the last backslash")),
        ] {
            let words = words.map(|words| words.iter().map(|word| (*word).to_owned()).collect());
            assert_eq!(split(text), words, "{text}");
        }
    }

    /// What supervisor's own `dict_of_key_value_pairs` made of them.
    #[test]
    fn pairs_are_read_as_supervisor_does() {
        for (text, pairs) in [
            ("A=1,B='2'", &[("A", "1"), ("B", "2")][..]),
            ("A=\"a,b=c\", B=x/y.z", &[("A", "a,b=c"), ("B", "x/y.z")]),
            ("A=1\nB=2", &[("A", "1"), ("=", "2")]),
            ("A='',", &[("A", "")]),
            ("A=1,A=2", &[("A", "2")]),
            ("", &[]),
            ("A=\"it's\"", &[("A", "it's")]),
        ] {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect();
            match read_pairs(text) {
                Ok(read) => assert_eq!(read, pairs, "{text}"),
                Err(_) => assert_eq!(text, "A=1\nB=2"),
            }
        }
        for text in ["A", "A=", "A=1,B", "A='x", "A=x@y,B=2"] {
            assert!(read_pairs(text).is_err(), "{text}");
        }
    }
}
