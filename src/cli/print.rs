//! The way to the terminal: data to stdout, everything else to stderr, and nothing that a name or
//! a log line could do to the screen.

use std::io::{self, IsTerminal, Write};

use crate::cli::Trouble;
use crate::diag::{Diagnostic, printable};

/// Writes to stdout, at once.
///
/// # Errors
/// As `write(2)`; that nobody reads any more is one that `cli` takes for an end.
pub fn show(text: &str) -> Result<(), Trouble> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(Trouble::Output)
}

/// Writes to stderr. If nobody reads that, there is nobody to tell.
pub fn complain(diagnostic: &Diagnostic) {
    let _ = io::stderr().write_all(diagnostic.to_string().as_bytes());
}

/// Writes a line to stderr, as `complain` does. `eprintln!` would panic where it cannot write, and
/// PID 1 must not die of a full disk or a reader that has gone.
pub fn remark(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Whether a person looks at stdout.
pub fn is_watched() -> bool {
    io::stdout().is_terminal()
}

/// A log line as a terminal may have it: colours stay, whatever else begins with ESC, and every
/// other control character, does not.
pub fn printable_line(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    let mut coloured = false;
    while let Some(at) = rest.find('\u{1b}') {
        let (before, from_escape) = rest.split_at(at);
        plain.push_str(&printable(before));
        let length = colour_length(from_escape);
        let (escape, after) = from_escape.split_at(length.unwrap_or(1));
        match length {
            Some(_) => {
                coloured = true;
                plain.push_str(escape);
            }
            None => plain.push_str(&printable(escape)),
        }
        rest = after;
    }
    plain.push_str(&printable(rest));
    if coloured {
        // A line cut in its colour must not colour the next one.
        plain.push_str("\u{1b}[0m");
    }
    plain
}

/// How many bytes at the start are a colour: `ESC [ digits and semicolons m` (SGR of ECMA-48).
fn colour_length(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("\u{1b}[")?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    rest.get(end..)?.starts_with('m').then_some(2 + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_stay_and_tricks_do_not() {
        for (text, shown) in [
            ("plain", "plain"),
            ("\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m\x1b[0m"),
            ("\x1b[2Jgone", "\u{fffd}[2Jgone"),
            ("\x1b]0;title\x07", "\u{fffd}]0;title\u{fffd}"),
            ("a\rb\tc", "a\u{fffd}b    c"),
            ("\x1b", "\u{fffd}"),
            ("\x1b[", "\u{fffd}["),
            ("\x1b[31", "\u{fffd}[31"),
        ] {
            assert_eq!(printable_line(text), shown, "{text:?}");
        }
    }
}
