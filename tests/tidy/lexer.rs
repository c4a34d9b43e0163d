//! As much of Rust's grammar as the house rules need: which bytes are code, which are comments and
//! literals, and which belong to tests. Everything else of a line keeps its place, so that a rule
//! can name the line it complains about.

/// One source file, in three views of equal length.
pub(crate) struct Source {
    /// Its path from the top of the repository, with `/`.
    pub path: String,
    /// As it is on disk.
    pub(crate) text: String,
    /// Comments, strings and character literals blanked.
    pub code: String,
    /// `code` without the items under `#[cfg(test)]`.
    pub shipped: String,
}

impl Source {
    /// A file of this path and content.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = blank_prose(text);
        let shipped = blank_tests(&code);
        Self {
            path: path.into(),
            text: text.into(),
            code,
            shipped,
        }
    }

    /// The line, from 1, on which this byte stands.
    pub(crate) fn line_of(&self, byte: usize) -> usize {
        1 + self.text[..byte].matches('\n').count()
    }

    /// `path:line` of this byte.
    pub(crate) fn place(&self, byte: usize) -> String {
        format!("{}:{}", self.path, self.line_of(byte))
    }
}

/// Where an identifier-like word stands in `code`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Word<'a> {
    pub(crate) at: usize,
    pub(crate) text: &'a str,
}

/// Every identifier, keyword and number of blanked code.
pub(crate) fn words(code: &str) -> Vec<Word<'_>> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, c) in code.char_indices().chain([(code.len(), ' ')]) {
        match (is_word(c), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                found.push(Word {
                    at: from,
                    text: &code[from..at],
                });
                start = None;
            }
            _ => {}
        }
    }
    found
}

/// The byte of the brace, bracket or parenthesis that closes the one at `open`.
pub(crate) fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The first of `wanted` at or after `from` that is inside no bracket opened since.
pub(crate) fn next_outside(code: &str, from: usize, wanted: &[u8]) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        if depth == 0 && wanted.contains(&byte) {
            return Some(at);
        }
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    None
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Replaces comments and literals by spaces; line ends stay.
fn blank_prose(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = prose_end(bytes, at);
        if end > at {
            blank(&mut out[at..end]);
            at = end;
        } else if is_word(char::from(bytes[at])) {
            // A whole word at a time, so that the `r` of `for` does not open a raw string.
            at += bytes[at..]
                .iter()
                .take_while(|b| is_word(char::from(**b)))
                .count()
                .max(1);
        } else {
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|b| **b != b'\n') {
        *byte = b' ';
    }
}

/// Where the comment or literal that starts at `at` ends; `at` itself if none starts there.
fn prose_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        return at + rest.iter().take_while(|b| **b != b'\n').count();
    }
    if rest.starts_with(b"/*") {
        return at + block_comment(rest);
    }
    let prefix = [&b"br"[..], b"cr", b"b", b"c", b"r", b""]
        .into_iter()
        .find(|p| rest.starts_with(p))
        .unwrap_or(b"");
    let body = &rest[prefix.len()..];
    let raw = prefix.ends_with(b"r");
    if raw {
        let hashes = body.iter().take_while(|b| **b == b'#').count();
        if body.get(hashes) == Some(&b'"') {
            return at + prefix.len() + raw_string(body, hashes);
        }
    } else if body.first() == Some(&b'"') {
        return at + prefix.len() + quoted(body, b'"');
    } else if body.first() == Some(&b'\'') && !is_lifetime(body) {
        return at + prefix.len() + quoted(body, b'\'');
    }
    at
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn raw_string(body: &[u8], hashes: usize) -> usize {
    let mut end = vec![b'"'];
    end.resize(hashes + 1, b'#');
    let start = hashes + 1;
    body[start..]
        .windows(end.len())
        .position(|window| window == end)
        .map_or(body.len(), |found| start + found + end.len())
}

fn quoted(body: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < body.len() {
        match body[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    body.len()
}

/// `'a` is a lifetime unless a quote follows the first character (`'a'`, `'\n'`).
fn is_lifetime(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&body[1..body.len().min(8)]).into_owned();
    let mut chars = text.chars();
    let first = chars.next().unwrap_or('\'');
    first != '\\' && chars.next() != Some('\'')
}

/// Blanks every item that `#[cfg(test)]` stands before.
fn blank_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = code.as_bytes().to_vec();
    let mut from = 0;
    while let Some(found) = code[from..].find(MARK) {
        let start = from + found;
        let after = start + MARK.len();
        let end = match next_outside(code, after, b"{;") {
            Some(at) if code.as_bytes()[at] == b'{' => closing(code, at).unwrap_or(code.len() - 1),
            Some(at) => at,
            None => code.len() - 1,
        };
        blank(&mut out[start..=end]);
        from = end + 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

mod tests {
    use super::{Source, words};

    #[test]
    fn prose_is_not_code() {
        let source = Source::new(
            "x.rs",
            "let a = \"unsafe // no\"; // unsafe\n/* a /* unsafe */ b */ let c = 'u'; \
             fn f<'unsafe_>(x: &'static str) {} r#\"unsafe \" \"#; b'\\'' '\"' unsafe {}",
        );
        let count = words(&source.code)
            .iter()
            .filter(|w| w.text == "unsafe")
            .count();
        assert_eq!(count, 1, "{}", source.code);
        assert_eq!(source.code.len(), source.text.len());
        assert!(source.code.contains("'static str"));
    }

    #[test]
    fn test_items_are_not_shipped() {
        let source = Source::new(
            "x.rs",
            "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { let x = \"}\"; } }\nfn c() {}\n",
        );
        assert!(source.shipped.contains("fn a") && source.shipped.contains("fn c"));
        assert!(!source.shipped.contains("fn b"));
        assert_eq!(source.line_of(source.text.find("fn c").unwrap()), 4);
    }
}
