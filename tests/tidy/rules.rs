//! The rules of the house that can be counted. Each takes files and gives its complaints, so that
//! each can be shown to complain.

use crate::lexer::{Source, Word, closing, next_outside, words};

/// A file is one noun.
const FILE_LINES_MAX: usize = 400;

/// A function fits a screen.
const FUNCTION_LINES_MAX: usize = 70;

/// rustfmt's width, for what rustfmt leaves alone: comments and strings.
const COLUMNS_MAX: usize = 100;

/// A known exception: where, and exactly how long it is today. It may only shrink, and it goes
/// when it is short enough.
pub(crate) type Ratchet<'a> = &'a [(&'a str, usize)];

/// Files are short; the ones in `known` are exactly as long as it says.
pub(crate) fn short_files(sources: &[Source], known: Ratchet<'_>) -> Vec<String> {
    let found = sources
        .iter()
        .map(|s| (s.path.clone(), s.text.lines().count()))
        .collect::<Vec<_>>();
    ratchet("lines", FILE_LINES_MAX, &found, known)
}

/// Functions are short; `known` names the exceptions as `path: name`.
pub(crate) fn short_functions(sources: &[Source], known: Ratchet<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for (name, start, end) in functions(&source.code) {
            let length = 1 + source.line_of(end) - source.line_of(start);
            found.push((format!("{}: {name}", source.path), length));
        }
    }
    ratchet("lines in a function", FUNCTION_LINES_MAX, &found, known)
}

fn ratchet(what: &str, max: usize, found: &[(String, usize)], known: Ratchet<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for (place, length) in found.iter().filter(|(_, length)| *length > max) {
        match known.iter().find(|(exception, _)| exception == place) {
            None => faults.push(format!("{place}: {length} {what}, at most {max}")),
            Some((_, was)) if was != length => faults.push(format!(
                "{place}: {length} {what}; the list of exceptions says {was}"
            )),
            Some(_) => {}
        }
    }
    for (exception, _) in known {
        if !found
            .iter()
            .any(|(place, n)| place == exception && *n > max)
        {
            faults.push(format!(
                "{exception}: no longer an exception; take it off the list"
            ));
        }
    }
    faults
}

/// Every function with a body: its name, and the bytes of `fn` and of the closing brace.
fn functions(code: &str) -> Vec<(&str, usize, usize)> {
    let all = words(code);
    let mut found = Vec::new();
    for pair in all.windows(2) {
        let [keyword, name] = pair else { continue };
        // `fn(u8)` is a type: its parenthesis follows at once.
        let gap = &code[keyword.at + keyword.text.len()..name.at];
        if keyword.text != "fn" || !gap.trim().is_empty() {
            continue;
        }
        if let Some(open) = next_outside(code, name.at, b"{;").filter(|at| is(code, *at, b'{'))
            && let Some(end) = closing(code, open)
        {
            found.push((name.text, keyword.at, end));
        }
    }
    found
}

fn is(code: &str, at: usize, byte: u8) -> bool {
    code.as_bytes().get(at) == Some(&byte)
}

/// `unsafe` only where the kernel is.
pub(crate) fn unsafe_in_os(sources: &[Source]) -> Vec<String> {
    in_src(sources)
        .filter(|s| !s.path.starts_with("src/os/"))
        .flat_map(|s| {
            words(&s.code)
                .into_iter()
                .filter(|w| w.text == "unsafe")
                .map(|w| format!("{}: `unsafe` outside src/os/", s.place(w.at)))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Code that ships has no place where it gives up.
pub(crate) fn never_gives_up(sources: &[Source]) -> Vec<String> {
    const METHODS: [&str; 4] = ["unwrap", "expect", "unwrap_err", "expect_err"];
    const MACROS: [&str; 4] = ["todo", "unimplemented", "panic", "dbg"];
    let mut faults = Vec::new();
    for source in in_src(sources) {
        let code = &source.shipped;
        for Word { at, text } in words(code) {
            let method = METHODS.contains(&text)
                && code[..at].trim_end().ends_with('.')
                && is(code, at + text.len(), b'(');
            let makro = MACROS.contains(&text) && is(code, at + text.len(), b'!');
            if method || makro {
                faults.push(format!("{}: `{text}` in code that ships", source.place(at)));
            }
        }
    }
    faults
}

/// The signal to everybody stands in one place, which knows that it is PID 1.
pub(crate) fn one_kill_of_all(sources: &[Source]) -> Vec<String> {
    let mut places = Vec::new();
    let mut faults = Vec::new();
    for source in in_src(sources) {
        let code: String = source.shipped.clone();
        for word in words(&code).iter().filter(|w| w.text == "kill") {
            let rest: String = code[word.at + 4..]
                .chars()
                .filter(|c| !c.is_whitespace())
                .take(40)
                .collect();
            if ["(-1", "(Pid::from_raw(-1)", "(unistd::Pid::from_raw(-1)"]
                .iter()
                .any(|start| rest.starts_with(start))
            {
                places.push(source.place(word.at));
                if !code.contains("getpid") || !source.path.starts_with("src/os/") {
                    let place = source.place(word.at);
                    faults.push(format!(
                        "{place}: kill(-1) not behind getpid() == 1 in src/os/"
                    ));
                }
            }
        }
    }
    if places.len() > 1 {
        faults.push(format!(
            "kill(-1) in {} places: {}",
            places.len(),
            places.join(", ")
        ));
    }
    faults
}

/// In the machine, a `match` on a state or an event names every variant: no arm takes the rest.
pub(crate) fn no_rest_arms(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for source in sources
        .iter()
        .filter(|s| s.path.starts_with("src/machine/"))
    {
        let code = &source.shipped;
        for word in words(code) {
            if word.text == "use"
                && let Some(end) = next_outside(code, word.at, b";")
                && ["State::*", "Event::*"]
                    .iter()
                    .any(|all| code[word.at..end].contains(all))
            {
                faults.push(format!(
                    "{}: variants lose their enum's name",
                    source.place(word.at)
                ));
            }
            if word.text != "match" {
                continue;
            }
            let Some(open) = next_outside(code, word.at, b"{") else {
                continue;
            };
            let Some(end) = closing(code, open) else {
                continue;
            };
            let arms = arms(code, open + 1, end);
            let own = impl_of(code, word.at);
            if !arms.iter().any(|(_, pattern)| names_variant(pattern, own)) {
                continue;
            }
            for (at, pattern) in arms.iter().filter(|(_, pattern)| takes_the_rest(pattern)) {
                let place = source.place(*at);
                faults.push(format!(
                    "{place}: `{pattern}` hides variants of a state or an event"
                ));
            }
        }
    }
    faults
}

/// The patterns of a `match` body, without their guards.
fn arms(code: &str, start: usize, end: usize) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut at = start;
    while at < end {
        let begin = at + code[at..end].len() - code[at..end].trim_start().len();
        let Some(arrow) = arrow(code, begin, end) else {
            break;
        };
        let pattern = code[begin..arrow].split(" if ").next().unwrap_or("").trim();
        found.push((begin, pattern.to_owned()));
        let body = arrow + 2;
        let body = body + code[body..end].len() - code[body..end].trim_start().len();
        at = if is(code, body, b'{') {
            let close = closing(code, body).unwrap_or(end);
            // A comma may follow a block; an operator may too (`{ … }.x()`), up to a comma.
            match code[close + 1..end].trim_start().chars().next() {
                Some('.' | '?' | ',') => next_outside(code, close + 1, b",").unwrap_or(end) + 1,
                _ => close + 1,
            }
        } else {
            next_outside(code, body, b",")
                .filter(|c| *c < end)
                .unwrap_or(end)
                + 1
        };
    }
    found
}

fn arrow(code: &str, from: usize, end: usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = next_outside(code, at, b"=").filter(|found| *found < end) {
        if is(code, found + 1, b'>') {
            return Some(found);
        }
        at = found + 1;
    }
    None
}

/// Whether the `impl` around this byte is one of a state or an event, so that `Self::` is one.
fn impl_of(code: &str, at: usize) -> bool {
    let before = words(code);
    let Some(word) = before.iter().rev().find(|w| w.at < at && w.text == "impl") else {
        return false;
    };
    let header = &code[word.at..next_outside(code, word.at, b"{").unwrap_or(at)];
    words(header)
        .iter()
        .any(|w| ["State", "Event"].contains(&w.text))
}

fn names_variant(pattern: &str, own: bool) -> bool {
    words(pattern).iter().any(|w| {
        let after = &pattern[w.at + w.text.len()..];
        after.starts_with("::") && (["State", "Event"].contains(&w.text) || own && w.text == "Self")
    })
}

/// `_`, `(_, _)`, or a lone name.
fn takes_the_rest(pattern: &str) -> bool {
    let parts: Vec<&str> = pattern
        .split(|c: char| "(), |&".contains(c) || c.is_whitespace())
        .filter(|part| !part.is_empty())
        .collect();
    let name = |part: &str| {
        part.chars()
            .next()
            .is_some_and(|c| c.is_lowercase() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    !parts.is_empty()
        && parts.iter().all(|part| name(part))
        && !["true", "false"].contains(&pattern)
}

/// The first line says what lives in a file.
pub(crate) fn says_what_lives_here(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .filter(|s| s.path.ends_with(".rs") && !s.text.starts_with("//! "))
        .map(|s| format!("{}:1: does not start with `//! `", s.path))
        .collect()
}

/// No line ends in blanks, none is too wide, none has a carriage return.
pub(crate) fn clean_lines(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    // A golden screen is written as it is printed.
    let golden = |source: &&Source| source.path.starts_with("tests/golden/");
    for source in sources.iter().filter(|source| !golden(source)) {
        let code = source.path.ends_with(".rs");
        for (number, line) in (1..).zip(source.text.split('\n')) {
            let place = format!("{}:{number}", source.path);
            if line.ends_with([' ', '\t', '\r']) {
                faults.push(format!("{place}: blanks at the end"));
            }
            let columns = line.chars().count();
            // A row of a table in the documentation is one line.
            let row = line.starts_with("//! |") || line.starts_with("/// |");
            if code && !row && columns > COLUMNS_MAX {
                faults.push(format!("{place}: {columns} columns, at most {COLUMNS_MAX}"));
            }
        }
        if !source.text.is_empty() && !source.text.ends_with('\n') {
            faults.push(format!("{}: no line end at the end", source.path));
        }
    }
    faults
}

/// The repository speaks of the product only: no path of a machine, no host of a registry.
pub(crate) fn speaks_of_the_product(sources: &[Source]) -> Vec<String> {
    // Written in two halves, so that this file may be read too.
    let banned = [
        ["/wo", "rk/"],
        ["/tmp/", "plan"],
        ["crates", ".io"],
        ["pypi", ".org"],
        ["npmjs", ".org"],
        ["deb.debian", ".org"],
        ["golang", ".org"],
    ]
    .map(|halves| halves.concat());
    let mut faults = Vec::new();
    for source in sources.iter().filter(|s| s.path != "Cargo.lock") {
        for (number, line) in (1..).zip(source.text.lines()) {
            for word in banned.iter().filter(|word| line.contains(word.as_str())) {
                faults.push(format!("{}:{number}: says `{word}`", source.path));
            }
        }
    }
    faults
}

fn in_src(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|s| s.path.starts_with("src/"))
}
