//! From the text of an execline script to its words.

/// One word: whatever an argument can hold.
pub type Bytes = Vec<u8>;

/// Deeper blocks are no script: each one lengthens every word inside by a space.
const DEPTH_MAX: usize = 1024;
/// No script, once its words are there, is longer: the kernel would not take it (execve(2)).
const WORDS_BYTES_MAX: usize = 8 << 20;

/// What is wrong with a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A quote or an escape does not end, or says nothing; or the words are too many.
    Syntax,
    /// A block that does not end.
    Unclosed,
    /// An end where there is no block.
    Unopened,
}

impl Fault {
    /// As execlineb says it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Syntax => "syntax error",
            Self::Unclosed => "unmatched {",
            Self::Unopened => "unmatched }",
        }
    }
}

/// The words of a script, up to its first NUL byte: in each block they start with a space more, and
/// an empty word ends the block.
///
/// # Errors
/// What execlineb(1) refuses.
pub fn words(script: &[u8]) -> Result<Vec<Bytes>, Fault> {
    let text = script.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut lexer = Lexer {
        rest: text,
        depth: 0,
    };
    let (mut words, mut bytes) = (Vec::new(), 0);
    while let Some(word) = lexer.word()? {
        bytes += word.len() + 1;
        if bytes > WORDS_BYTES_MAX {
            return Err(Fault::Syntax);
        }
        words.push(word);
    }
    if lexer.depth > 0 {
        return Err(Fault::Unclosed);
    }
    Ok(words)
}

struct Lexer<'a> {
    rest: &'a [u8],
    depth: usize,
}

/// Blanks are what is not above a space.
fn blank(byte: u8) -> bool {
    byte <= b' '
}

impl Lexer<'_> {
    fn take(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// The next word, or a block's end; the blocks' beginnings are words of nobody.
    fn word(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            match self.rest {
                [] => return Ok(None),
                [b'#', ..] => {
                    let line = self.rest.iter().position(|byte| *byte == b'\n');
                    self.rest = self
                        .rest
                        .get(line.unwrap_or(self.rest.len())..)
                        .unwrap_or_default();
                }
                [byte, ..] if blank(*byte) => self.rest = self.rest.get(1..).unwrap_or_default(),
                [b'{'] => return Err(Fault::Syntax),
                [b'{', byte, rest @ ..] if blank(*byte) => {
                    self.rest = rest;
                    self.depth += 1;
                    if self.depth > DEPTH_MAX {
                        return Err(Fault::Syntax);
                    }
                }
                [b'}'] => return self.close(1).map(Some),
                [b'}', byte, ..] if blank(*byte) => return self.close(2).map(Some),
                // Where a word would begin, a backslash before a line's end, or the script's, is
                // nothing.
                [b'\\'] => self.rest = &[],
                [b'\\', b'\n', rest @ ..] => self.rest = rest,
                _ => return self.plain().map(Some),
            }
        }
    }
    /// A block's end, which is so many bytes long.
    fn close(&mut self, length: usize) -> Result<Bytes, Fault> {
        self.rest = self.rest.get(length..).unwrap_or_default();
        self.depth = self.depth.checked_sub(1).ok_or(Fault::Unopened)?;
        Ok(vec![b' '; self.depth])
    }

    fn plain(&mut self) -> Result<Bytes, Fault> {
        let mut word = vec![b' '; self.depth];
        while let Some(byte) = self.take() {
            match byte {
                byte if blank(byte) => break,
                b'"' => self.quoted(&mut word)?,
                b'\\' => word.extend(self.take()),
                byte => word.push(byte),
            }
        }
        Ok(word)
    }

    fn quoted(&mut self, word: &mut Bytes) -> Result<(), Fault> {
        loop {
            match self.take().ok_or(Fault::Syntax)? {
                b'"' => return Ok(()),
                b'\\' => word.extend(self.escape()?),
                byte => word.push(byte),
            }
        }
    }

    /// What stands for a backslash and what follows it, between quotes.
    fn escape(&mut self) -> Result<Option<u8>, Fault> {
        Ok(match self.take().ok_or(Fault::Syntax)? {
            b'\n' => None,
            b'a' => Some(7),
            b'b' => Some(8),
            b't' => Some(b'\t'),
            b'n' => Some(b'\n'),
            b'v' => Some(11),
            b'f' => Some(12),
            b'r' => Some(b'\r'),
            b'0' if self.rest.first() == Some(&b'x') => {
                self.take();
                Some(self.number(16, 2, 0)?)
            }
            b'0' => Some(self.number(8, 3, 0)?),
            digit @ b'1'..=b'9' => Some(self.number(10, 2, u32::from(digit - b'0'))?),
            other => Some(other),
        })
    }

    /// A number of so many digits at most, behind what was read of it. A NUL byte is no character.
    fn number(&mut self, base: u32, digits_max: usize, so_far: u32) -> Result<u8, Fault> {
        let digit = |byte: &u8| char::from(*byte).to_digit(base);
        let digits = self.rest.iter().map_while(digit).take(digits_max);
        let (value, count) = digits.fold((so_far, 0), |(value, count), digit| {
            (value * base + digit, count + 1)
        });
        self.rest = self.rest.get(count..).unwrap_or_default();
        u8::try_from(value)
            .ok()
            .filter(|value| *value != 0)
            .ok_or(Fault::Syntax)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(script: &str) -> Result<Vec<String>, Fault> {
        let text = |word: Bytes| String::from_utf8_lossy(&word).into_owned();
        Ok(words(script.as_bytes())?.into_iter().map(text).collect())
    }

    #[test]
    fn words_are_lexed_as_execlineb_does() {
        let cases: [(&str, &[&str]); 15] = [
            ("", &[]),
            (" # x\n", &[]),
            ("#!/x\n echo \r\n b", &["echo", "b"]),
            ("a \"b c\"d e\\ f\\", &["a", "b cd", "e f"]),
            ("a \\", &["a"]),
            ("a b#c #d", &["a", "b#c"]),
            ("if { a { b } } c", &["if", " a", "  b", " ", "", "c"]),
            ("{ } a", &["", "a"]),
            (
                "{a }b {a} \\{ \\} \"{\"",
                &["{a", "}b", "{a}", "{", "}", "{"],
            ),
            ("\"\\n\\t\\\\\\q\\\n\"", &["\n\t\\q"]),
            ("\"\\0x41\\0101\\65\\0x414\"", &["AAAA4"]),
            ("\"\" a", &["", "a"]),
            ("a\\\nb \\\nc", &["a\nb", "c"]),
            ("{\"a b\"", &["{a b"]),
            ("a\0b", &["a"]),
        ];
        for (script, words) in cases {
            assert_eq!(read(script).unwrap(), words, "{script:?}");
        }
    }

    #[test]
    fn bad_scripts_are_told() {
        for bad in [
            "\"a",
            "\"\\",
            "{",
            "\"\\0\"",
            "\"\\08\"",
            "\"\\0xg\"",
            "\"\\300\"",
            "\"\\000\"",
        ] {
            assert_eq!(read(bad), Err(Fault::Syntax), "{bad}");
        }
        for bad in ["}", "a } b", "{ a } }", "{#x\n }"] {
            assert_eq!(read(bad), Err(Fault::Unopened), "{bad}");
        }
        for bad in ["{ ", "a { b", "{ { } "] {
            assert_eq!(read(bad), Err(Fault::Unclosed), "{bad}");
        }
        assert_eq!(read(&"{ ".repeat(2000)), Err(Fault::Syntax));
    }
}
