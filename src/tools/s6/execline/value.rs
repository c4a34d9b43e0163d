//! How a text becomes a variable's values, and how words take them in. Pure.

use crate::tools::s6::call::{Bytes, number};

/// What words may grow to: the kernel takes no more (execve(2)).
const BYTES_MAX: usize = 8 << 20;

/// What is done to a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Cut {
    /// A delimiter at the end goes.
    pub(super) chomp: bool,
    /// It is cut at delimiters.
    pub(super) split: bool,
    /// Delimiters side by side count as their first.
    pub(super) crunch: bool,
    /// Bytes; with none, the text is a row of netstrings.
    pub(super) delimiters: Bytes,
}

impl Default for Cut {
    fn default() -> Self {
        Self {
            chomp: false,
            split: false,
            crunch: false,
            delimiters: b" \n\r\t".to_vec(),
        }
    }
}

impl Cut {
    /// The values of a text; `None` if it is no row of netstrings.
    pub(super) fn values(&self, text: &[u8]) -> Option<Vec<Bytes>> {
        let ends = |byte: &u8| self.delimiters.contains(byte);
        let mut text = text.to_vec();
        if self.crunch {
            let mut before = false;
            text.retain(|byte| !std::mem::replace(&mut before, ends(byte)) || !ends(byte));
        }
        let chomped = self.chomp && text.last().is_some_and(ends);
        if chomped {
            text.pop();
        }
        if !self.split {
            return Some(vec![text]);
        }
        if self.delimiters.is_empty() {
            return netstrings(&text);
        }
        let mut values: Vec<Bytes> = text.split(ends).map(<[u8]>::to_vec).collect();
        // What no delimiter ends is a value if there is something of it, but not where every value
        // was to end with one.
        if values.last().is_some_and(Vec::is_empty) || self.chomp && !chomped {
            values.pop();
        }
        Some(values)
    }
}

/// `3:abc,0:,`
fn netstrings(text: &[u8]) -> Option<Vec<Bytes>> {
    let mut values = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let colon = rest.iter().position(|byte| *byte == b':')?;
        let length: usize = number(rest.get(..colon)?)?;
        let end = length.checked_add(colon + 1)?;
        values.push(rest.get(colon + 1..end)?.to_vec());
        rest = rest.get(end..)?.strip_prefix(b",")?;
    }
    Some(values)
}

/// Variables to put into words: each name once, with any number of values.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Variables(Vec<(Bytes, Vec<Bytes>)>);

/// A piece of a word.
#[derive(PartialEq, Eq, Debug)]
enum Piece<'a> {
    Text(Bytes),
    Values(&'a [Bytes]),
}

impl Variables {
    /// Adds one; false if its name is nothing, or there already.
    #[must_use]
    pub(super) fn add(&mut self, name: Bytes, values: Vec<Bytes>) -> bool {
        let good = !name.is_empty() && self.get(&name).is_none();
        if good {
            self.0.push((name, values));
        }
        good
    }

    fn get(&self, name: &[u8]) -> Option<&[Bytes]> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, values)| values.as_slice())
    }

    /// The words with values in the place of `$NAME` and `${NAME}`: a word becomes as many as there
    /// are values, none if there are none. `None`: they grow too long.
    pub(super) fn put_in(&self, words: &[Bytes]) -> Option<Vec<Bytes>> {
        let (mut done, mut bytes) = (Vec::new(), 0);
        for word in words {
            let mut grown = vec![Bytes::new()];
            for piece in self.pieces(word) {
                grown = match piece {
                    Piece::Text(text) => {
                        grown.iter_mut().for_each(|word| word.extend(&text));
                        grown
                    }
                    Piece::Values(values) => {
                        let size: usize = values.iter().map(Vec::len).sum();
                        let size = size
                            .saturating_add(values.len())
                            .saturating_mul(grown.len());
                        let old: usize = grown.iter().map(Vec::len).sum();
                        if size.saturating_add(old.saturating_mul(values.len())) > BYTES_MAX {
                            return None;
                        }
                        let all = |word: Bytes| {
                            values
                                .iter()
                                .map(move |value| [word.as_slice(), value].concat())
                        };
                        grown.into_iter().flat_map(all).collect()
                    }
                };
            }
            bytes += grown.iter().map(|word| word.len() + 1).sum::<usize>();
            if bytes > BYTES_MAX {
                return None;
            }
            done.append(&mut grown);
        }
        Some(done)
    }

    /// Backslashes before a `$` that names a variable are halved; an odd one keeps it as it is.
    fn pieces(&self, word: &[u8]) -> Vec<Piece<'_>> {
        let mut pieces = Vec::new();
        let mut text = Bytes::new();
        let mut at = 0;
        while let Some(byte) = word.get(at) {
            let Some((length, values)) = self.named(word.get(at..).unwrap_or_default()) else {
                text.push(*byte);
                at += 1;
                continue;
            };
            let escapes = text.iter().rev().take_while(|byte| **byte == b'\\').count();
            text.truncate(text.len() - escapes.div_ceil(2));
            if escapes % 2 == 1 {
                text.extend(word.get(at..at + length).unwrap_or_default());
            } else {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(Piece::Values(values));
            }
            at += length;
        }
        pieces.push(Piece::Text(text));
        pieces
    }

    /// The variable that is named at the start: how long the naming is, and the values. A name
    /// goes on to the next of `\${}`.
    fn named(&self, text: &[u8]) -> Option<(usize, &[Bytes])> {
        let rest = text.strip_prefix(b"$")?;
        let (name, braced) = rest
            .strip_prefix(b"{")
            .map_or((rest, false), |name| (name, true));
        let special = name.iter().position(|byte| b"\\${}".contains(byte));
        let length = special.unwrap_or(name.len());
        if braced && name.get(length) != Some(&b'}') {
            return None;
        }
        let values = self.get(name.get(..length)?)?;
        Some((1 + length + 2 * usize::from(braced), values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(options: &str, delimiters: &str, text: &str) -> Option<Vec<String>> {
        let cut = Cut {
            chomp: options.contains('n'),
            split: options.contains('s'),
            crunch: options.contains('C'),
            delimiters: delimiters.into(),
        };
        let shown = |value: Bytes| String::from_utf8(value).unwrap();
        Some(
            cut.values(text.as_bytes())?
                .into_iter()
                .map(shown)
                .collect(),
        )
    }

    #[test]
    fn texts_are_cut_as_execline_does() {
        let is = |values: &[&str]| Some(values.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(cut("", " \n", "a b\n"), is(&["a b\n"]));
        assert_eq!(cut("n", " \n", "a b\n\n"), is(&["a b\n"]));
        assert_eq!(cut("s", " ", "a  b"), is(&["a", "", "b"]));
        assert_eq!(cut("s", " ", "a b "), is(&["a", "b"]));
        assert_eq!(cut("sC", " ", " a  b "), is(&["", "a", "b"]));
        assert_eq!(cut("ns", " \n", "a b c"), is(&["a", "b"]));
        assert_eq!(cut("ns", " \n", "a b c\n"), is(&["a", "b", "c"]));
        assert_eq!(cut("s", " ", ""), is(&[]));
        assert_eq!(cut("s", "", "1:a,2:bc,"), is(&["a", "bc"]));
        for bad in ["1:a,2:bc", "9:a,", "x", "1:ab,", "18446744073709551615:a,"] {
            assert_eq!(cut("s", "", bad), None, "{bad}");
        }
    }

    fn put(variables: &[(&str, &[&str])], line: &str) -> String {
        let mut known = Variables::default();
        for (name, values) in variables {
            let values = values.iter().map(|value| (*value).into()).collect();
            assert!(known.add((*name).into(), values));
        }
        let words: Vec<Bytes> = line.split(' ').map(Into::into).collect();
        let put = known.put_in(&words).unwrap();
        String::from_utf8(put.join(&b' ')).unwrap()
    }

    #[test]
    fn values_go_where_they_are_named() {
        let x: &[(&str, &[&str])] = &[("X", &["a"]), ("Y", &["b", "c"]), ("none", &[])];
        for (line, put_in) in [
            ("$X ${X}b $Xb $X$X", "a ab $Xb aa"),
            ("$X-", "$X-"),
            ("\\$X \\\\$X \\\\\\$X \\${X}", "$X \\a \\$X ${X}"),
            ("\\$Z \\\\$Z", "\\$Z \\\\$Z"),
            ("$ ${ ${X $} $X} ${X}} {$X}", "$ ${ ${X $} a} a} {a}"),
            ("<${Y}${Y}>", "<bb> <bc> <cb> <cc>"),
            ("a x${none}y b", "a b"),
            ("$$X $X\\n", "$a a\\n"),
        ] {
            assert_eq!(put(x, line), put_in, "{line}");
        }
    }

    #[test]
    fn words_do_not_grow_without_end() {
        let mut known = Variables::default();
        assert!(known.add(b"X".to_vec(), vec![vec![b'x'; 100]; 100]));
        assert!(!known.add(b"X".to_vec(), vec![]));
        assert!(!known.add(vec![], vec![]));
        assert_eq!(known.put_in(&[b"$X$X$X$X".to_vec()]), None);
    }
}
