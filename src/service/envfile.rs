//! Files of variables, as `docker run --env-file` takes them, with a stated reading of what people
//! also put into them.
//!
//! | line | reading |
//! |---|---|
//! | `NAME=VALUE` | the value is all that follows, blanks, `#` and `$` too; nothing is expanded |
//! | `NAME='VALUE'` | what stands between the quotes, as it is |
//! | `NAME="VALUE"` | the same; `\n`, `\r`, `\t`, `\"`, `\\` and `\$` mean what they do in a shell or in C |
//! | `NAME` | the container's own value, if it has one |
//! | `export NAME=VALUE` | the same without the word `export` |
//! | blank, or `#` first | nothing |
//!
//! After a closing quote only blanks and a comment may follow. Lines may end in CRLF, and the file
//! may begin with a byte order mark. Of two lines for one name the later one counts. A message
//! names the line, and never shows what is in it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::service::environment::bad_variable;

/// A file of variables has at most so many bytes: execve(2) would not take more at once.
pub const BYTES_MAX: u64 = 1024 * 1024;

/// What a line says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// A variable and its value.
    Set(String, OsString),
    /// A name alone: the container's value.
    Pass(String),
}

/// A line that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong, without what is in it.
    pub why: String,
}

/// Reads a file's bytes. The first fault ends it.
pub fn parse(bytes: &[u8]) -> Result<Vec<Entry>, BadLine> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut entries = Vec::new();
    for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        entries.extend(entry(text).map_err(|why| BadLine { line, why })?);
    }
    Ok(entries)
}

fn entry(line: &[u8]) -> Result<Option<Entry>, String> {
    if line.contains(&0) {
        return Err("it holds a NUL byte".into());
    }
    let line = line.trim_ascii_start();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    let line = match line.strip_prefix(b"export") {
        Some(rest) if rest.starts_with(b" ") || rest.starts_with(b"\t") => rest.trim_ascii_start(),
        _ => line,
    };
    let Some(at) = line.iter().position(|byte| *byte == b'=') else {
        return Ok(Some(Entry::Pass(name(line.trim_ascii_end())?)));
    };
    let (head, tail) = line.split_at(at);
    let value = value(tail.strip_prefix(b"=").unwrap_or_default())?;
    Ok(Some(Entry::Set(name(head)?, OsString::from_vec(value))))
}

fn name(bytes: &[u8]) -> Result<String, String> {
    let Ok(name) = std::str::from_utf8(bytes) else {
        return Err("its variable's name is not UTF-8".into());
    };
    match bad_variable(name) {
        None => Ok(name.to_owned()),
        Some(_) if name.trim_end() != name => Err("a blank stands before the `=`".into()),
        Some(why) => Err(why),
    }
}

fn value(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (quote, inside) = match bytes.split_first() {
        Some((quote @ (b'\'' | b'"'), inside)) => (*quote, inside),
        _ => return Ok(bytes.to_vec()),
    };
    let mut value = Vec::new();
    let mut rest = inside.iter().copied();
    loop {
        match rest.next() {
            None => return Err("a quote is not closed on its line".into()),
            Some(byte) if byte == quote => break,
            Some(b'\\') if quote == b'"' => value.extend(escaped(rest.next())),
            Some(byte) => value.push(byte),
        }
    }
    let after: Vec<u8> = rest.collect();
    match after.trim_ascii_start().first() {
        None => Ok(value),
        Some(b'#') if after.first().is_some_and(u8::is_ascii_whitespace) => Ok(value),
        Some(_) => Err("something follows the closing quote".into()),
    }
}

/// What a backslash and this byte stand for: themselves, if they mean nothing.
fn escaped(byte: Option<u8>) -> Vec<u8> {
    match byte {
        Some(b'n') => b"\n".to_vec(),
        Some(b'r') => b"\r".to_vec(),
        Some(b't') => b"\t".to_vec(),
        Some(plain @ (b'"' | b'\\' | b'$')) => vec![plain],
        other => b"\\".iter().copied().chain(other).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        let entries = parse(text.as_bytes());
        let shown = |entry: &Entry| match entry {
            Entry::Set(name, value) => format!("{name}={}", value.to_str().unwrap()),
            Entry::Pass(name) => name.clone(),
        };
        entries
            .map(|entries| entries.iter().map(shown).collect())
            .map_err(|bad| format!("{}: {}", bad.line, bad.why))
    }

    #[test]
    fn what_people_write() {
        for (line, variable) in [
            ("A=1", "A=1"),
            ("  A=1", "A=1"),
            ("A=", "A="),
            ("A= b # c ", "A= b # c "),
            ("A=${B}$", "A=${B}$"),
            ("A=b=c", "A=b=c"),
            ("A=it's", "A=it's"),
            ("A={\"a\": 1}", "A={\"a\": 1}"),
            ("A='a # \"b\" \\n' # c", "A=a # \"b\" \\n"),
            ("A=\"a\\tb\\n\\\"\\\\\\$\\q\"  ", "A=a\tb\n\"\\$\\q"),
            ("A=\"\"", "A="),
            ("export A=1", "A=1"),
            ("export\tA='1'", "A=1"),
            ("exported=1", "exported=1"),
            ("spring.data-url=x", "spring.data-url=x"),
            ("HOME", "HOME"),
            ("export HOME ", "HOME"),
        ] {
            for end in ["", "\n", "\r\n"] {
                let text = format!("{line}{end}");
                assert_eq!(read(&text), Ok(vec![variable.to_owned()]), "{text:?}");
            }
        }
        assert_eq!(
            read("\u{feff}# a\r\n\r\n \t\nA=1\nA=2\n#B=3"),
            Ok(vec!["A=1".into(), "A=2".into()])
        );
    }

    #[test]
    fn what_is_refused_names_the_line_and_not_its_content() {
        for (line, why) in [
            ("A=b\0hunter2", "it holds a NUL byte"),
            ("A='hunter2", "a quote is not closed on its line"),
            ("A=\"hunter2\\\"", "a quote is not closed on its line"),
            ("A=\"a\" hunter2", "something follows the closing quote"),
            ("A='a'#hunter2", "something follows the closing quote"),
            ("A =hunter2", "a blank stands before the `=`"),
            ("my hunter2", "a variable's name cannot contain ' '"),
            ("=hunter2", "a variable's name cannot be empty"),
        ] {
            assert_eq!(read(&format!("\n{line}\nB=1")), Err(format!("2: {why}")));
        }
        let bad = parse(b"\xff=1").unwrap_err();
        assert_eq!(bad.why, "its variable's name is not UTF-8");
        let raw = parse(b"A=\xff").unwrap();
        let value = OsString::from_vec(vec![0xff]);
        assert_eq!(raw, [Entry::Set("A".into(), value)]);
    }
}
