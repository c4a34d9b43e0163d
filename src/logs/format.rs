//! How a line looks on the container's output. Pure.

use std::io::Write;
use std::time::Duration;

use crate::logs::lines::Piece;
use crate::logs::ring::Stream;
use crate::service::definition::Format;
use crate::values::stamp::rfc3339;
use crate::values::{Name, Pid};

/// What pidone calls itself where a service's name stands.
pub const OWN_NAME: &str = "pidone";

/// Names longer than this stick out of their column, instead of pushing every line to the right.
const COLUMN_MAX: usize = 16;

/// How wide the column of names is: as the longest name, but for one that is very long.
pub fn column<'a>(names: impl IntoIterator<Item = &'a Name>) -> usize {
    let longest = names.into_iter().map(|name| name.as_str().len()).max();
    longest.unwrap_or(0).clamp(OWN_NAME.len(), COLUMN_MAX)
}

/// Where lines come from, and when.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The service's name, or `OWN_NAME`.
    pub name: &'a str,
    /// Its process, if it has one.
    pub pid: Option<Pid>,
    /// Which of its streams.
    pub stream: Stream,
    /// When it was read, since 1970 UTC.
    pub wall: Duration,
}

/// Writes the lines of one origin, which were read at one time, in one format.
#[derive(Debug)]
pub struct Writer {
    shape: Shape,
    /// What every line begins with.
    lead: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    Prefix,
    Raw,
    Json,
}

impl Writer {
    /// A writer; `column` is the width of names. pidone's own messages are told from the services'
    /// lines in every format, so only JSON changes them.
    pub fn new(format: Format, origin: Origin<'_>, column: usize) -> Self {
        let own = origin.stream == Stream::Pidone;
        match format {
            Format::Json => Self {
                shape: Shape::Json,
                lead: json_lead(origin),
            },
            Format::Raw | Format::None | Format::Inherit if !own => Self {
                shape: Shape::Raw,
                lead: Vec::new(),
            },
            Format::Prefix | Format::Raw | Format::None | Format::Inherit => {
                let mark = match origin.stream {
                    Stream::Stdout => '|',
                    Stream::Stderr => '!',
                    Stream::Pidone => '*',
                };
                Self {
                    shape: Shape::Prefix,
                    lead: format!("{:column$} {mark} ", origin.name).into_bytes(),
                }
            }
        }
    }

    /// What stands before each whole line, where nothing else is done to it.
    pub fn prefix(&self) -> Option<&[u8]> {
        (self.shape == Shape::Prefix).then_some(&self.lead)
    }

    /// Whether lines go out as they came.
    pub fn is_raw(&self) -> bool {
        self.shape == Shape::Raw
    }

    /// Writes one line (or part of one). The errors of `out` are its own affair: it is memory.
    pub fn line(&self, out: &mut impl Write, piece: Piece<'_>) {
        let _ = self.try_line(out, piece);
    }

    fn try_line(&self, out: &mut impl Write, piece: Piece<'_>) -> std::io::Result<()> {
        match self.shape {
            Shape::Raw => out.write_all(piece.text),
            Shape::Prefix => {
                match self.lead.split_last() {
                    Some((_, name)) if piece.continues => {
                        out.write_all(name)?;
                        out.write_all(b"+")?;
                    }
                    _ => out.write_all(&self.lead)?,
                }
                out.write_all(piece.text)?;
                if piece.text.ends_with(b"\n") {
                    return Ok(());
                }
                out.write_all(b"\n")
            }
            Shape::Json => {
                let text = piece.text.strip_suffix(b"\n").unwrap_or(piece.text);
                out.write_all(&self.lead)?;
                json_text(out, text)?;
                out.write_all(if piece.open {
                    b"\",\"partial\":true}\n"
                } else {
                    b"\"}\n"
                })
            }
        }
    }
}

/// The object up to the text: names need no escapes (`Name` admits none that would).
fn json_lead(origin: Origin<'_>) -> Vec<u8> {
    let stream = match origin.stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
        Stream::Pidone => "pidone",
    };
    let pid = origin
        .pid
        .map_or_else(|| "null".to_owned(), |pid| pid.to_string());
    format!(
        "{{\"ts\":\"{}\",\"service\":\"{}\",\"stream\":\"{stream}\",\"pid\":{pid},\"msg\":\"",
        rfc3339(origin.wall),
        origin.name,
    )
    .into_bytes()
}

/// The inside of a JSON string (RFC 8259); bytes that are not UTF-8 become U+FFFD.
fn json_text(out: &mut impl Write, text: &[u8]) -> std::io::Result<()> {
    // Nearly every line is UTF-8, and the whole is checked faster than its chunks are found.
    if std::str::from_utf8(text).is_ok() {
        return json_escaped(out, text);
    }
    for chunk in text.utf8_chunks() {
        json_escaped(out, chunk.valid().as_bytes())?;
        if !chunk.invalid().is_empty() {
            out.write_all("\u{fffd}".as_bytes())?;
        }
    }
    Ok(())
}

fn json_escaped(out: &mut impl Write, text: &[u8]) -> std::io::Result<()> {
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(json_plain(rest));
        out.write_all(plain)?;
        let Some((byte, after)) = special.split_first() else {
            return Ok(());
        };
        match byte {
            b'"' => out.write_all(b"\\\"")?,
            b'\\' => out.write_all(b"\\\\")?,
            b'\n' => out.write_all(b"\\n")?,
            b'\r' => out.write_all(b"\\r")?,
            b'\t' => out.write_all(b"\\t")?,
            other => write!(out, "\\u{other:04x}")?,
        }
        rest = after;
    }
}

/// How many bytes at the beginning of `text` stand for themselves in a JSON string. Looks at eight
/// bytes at once: in each byte of a word, the top bit of `(b - n) & !b` says that b < n ≤ 128, for
/// the lowest such byte at least, which is all that is asked.
fn json_plain(text: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = u64::from_ne_bytes([0x80; 8]);
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & TOPS;
    let equal = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let (words, tail) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let special = below(word, b' ') | equal(word, b'"') | equal(word, b'\\');
        if special != 0 {
            return at * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
    let end = tail.iter().position(|byte| !plain(byte));
    text.len() - tail.len() + end.unwrap_or(tail.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(name: &str, stream: Stream) -> Origin<'_> {
        Origin {
            name,
            pid: Pid::new(14),
            stream,
            wall: Duration::from_millis(1_790_000_000_123),
        }
    }

    fn piece(text: &[u8], continues: bool, open: bool) -> Piece<'_> {
        Piece {
            text,
            continues,
            open,
        }
    }

    fn shown(format: Format, origin: Origin<'_>, piece: Piece<'_>) -> String {
        let mut out = Vec::new();
        Writer::new(format, origin, 6).line(&mut out, piece);
        String::from_utf8(out).expect("the test wants text")
    }

    #[test]
    fn prefixes_line_up() {
        let line = piece(b"GET / 200\n", false, false);
        for (name, stream, text) in [
            ("web", Stream::Stdout, "web    | GET / 200\n"),
            ("web", Stream::Stderr, "web    ! GET / 200\n"),
            ("pidone", Stream::Pidone, "pidone * GET / 200\n"),
            ("application", Stream::Stdout, "application | GET / 200\n"),
        ] {
            assert_eq!(shown(Format::Prefix, origin(name, stream), line), text);
        }
    }

    #[test]
    fn parts_are_marked() {
        let web = origin("web", Stream::Stdout);
        let show = |format, part| shown(format, web, part);
        assert_eq!(
            show(Format::Prefix, piece(b"begin", false, true)),
            "web    | begin\n"
        );
        assert_eq!(
            show(Format::Prefix, piece(b"end\n", true, false)),
            "web    |+end\n"
        );
        assert_eq!(show(Format::Raw, piece(b"begin", false, true)), "begin");
        assert!(
            show(Format::Json, piece(b"begin", false, true))
                .ends_with("\"begin\",\"partial\":true}\n")
        );
        assert!(show(Format::Json, piece(b"end\n", true, false)).ends_with("\"msg\":\"end\"}\n"));
    }

    #[test]
    fn json_is_json_whatever_the_bytes() {
        assert_eq!(
            shown(
                Format::Json,
                origin("web", Stream::Stdout),
                piece(b"a \"b\" \\ \t\x1b\n", false, false)
            ),
            "{\"ts\":\"2026-09-21T14:13:20.123Z\",\"service\":\"web\",\"stream\":\"stdout\",\
             \"pid\":14,\"msg\":\"a \\\"b\\\" \\\\ \\t\\u001b\"}\n"
        );
        for first in 0..=255 {
            for second in [b'a', 0x80, 0xbf, 0xc3, 0xff, b'"'] {
                let text = [first, second, b'z'];
                let json = shown(
                    Format::Json,
                    origin("web", Stream::Stderr),
                    piece(&text, false, false),
                );
                let value: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
                assert_eq!(value["msg"], String::from_utf8_lossy(&text).into_owned());
            }
        }
    }

    #[test]
    fn what_needs_no_escape_is_found_at_every_place() {
        for byte in 0..=255_u8 {
            let special = byte < b' ' || byte == b'"' || byte == b'\\';
            for len in 1..20 {
                for at in 0..len {
                    let mut text = vec![b' '; len];
                    text[at] = byte;
                    assert_eq!(json_plain(&text), if special { at } else { len });
                    // Nor do neighbours hide it.
                    text[len - 1] = b'"';
                    let first = if special { at } else { len - 1 };
                    assert_eq!(json_plain(&text), first, "{text:?}");
                }
            }
        }
    }

    #[test]
    fn own_messages_are_told_apart_even_in_raw() {
        let own = origin(OWN_NAME, Stream::Pidone);
        let line = piece(b"done", false, false);
        for format in [Format::Raw, Format::Prefix, Format::None, Format::Inherit] {
            assert_eq!(shown(format, own, line), "pidone * done\n");
        }
        assert!(shown(Format::Json, own, line).contains("\"stream\":\"pidone\""));
    }

    #[test]
    fn columns() {
        let names = |texts: &[&str]| {
            let names: Vec<Name> = texts.iter().map(|t| t.parse().expect("a name")).collect();
            column(&names)
        };
        assert_eq!(names(&[]), 6);
        assert_eq!(names(&["db", "web"]), 6);
        assert_eq!(names(&["db", "frontend"]), 8);
        assert_eq!(names(&[&"x".repeat(40)]), 16);
    }
}
