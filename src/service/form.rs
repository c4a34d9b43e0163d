//! TOML as such: the faults of its form, told once each.

use std::path::Path;

use toml::Spanned;
use toml::de::DeTable;

use crate::diag::Diagnostic;
use crate::service::faults::Faults;
use crate::values::lists;

/// Parts of messages after which the parser has lost its way: what it says next follows from them.
const LOST: [&str; 3] = ["missing comma", "unclosed", "unexpected `=`"];

/// Messages of the parser that say less to people than they could.
const WORDS: [(&str, &str); 4] = [
    (
        "string values must be quoted",
        "this is neither a number, nor true or false, nor in quotes",
    ),
    (
        "invalid basic string, expected `\"`",
        "a string is not closed on its line",
    ),
    (
        "invalid basic string, expected non",
        "a string cannot hold a control character",
    ),
    (
        "invalid literal string, expected",
        "a string is not closed on its line",
    ),
];

/// Reads a TOML text. With faults, the document is what could be guessed.
pub(crate) fn read<'a>(text: &'a str, path: &Path) -> (Spanned<DeTable<'a>>, Vec<Diagnostic>) {
    let (document, errors) = DeTable::parse_recoverable(text);
    let unclosed = errors
        .iter()
        .any(|error| error.message().starts_with("unclosed"));
    let mut faults = Faults::new(path, text);
    let mut last_line = None;
    let mut errors: Vec<_> = errors
        .iter()
        .map(|error| {
            (
                error.span().unwrap_or(text.len()..text.len()),
                error.message(),
            )
        })
        .collect();
    lists::sort_by_key(&mut errors, |(span, _)| span.start);
    for (span, message) in errors {
        let line = text.get(..span.start).unwrap_or(text).matches('\n').count();
        if last_line.replace(line) == Some(line) {
            continue;
        }
        let lost = LOST.iter().any(|lost| message.starts_with(lost));
        let ours = WORDS.iter().find(|(theirs, _)| message.starts_with(theirs));
        let plain = message.trim_end_matches(", expected nothing");
        let fault = Diagnostic::error(ours.map_or(plain, |(_, ours)| ours));
        if lost && unclosed {
            faults.at(
                span,
                fault.hint("a bracket or brace before this is not closed"),
            );
        } else {
            faults.at(span, fault);
        }
        if lost {
            break;
        }
    }
    (document, faults.sorted())
}
