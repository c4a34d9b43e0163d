//! What `pidone ship` says of its lines, and what its collector has of them.

use std::ops::Range;

use crate::collector::Collector;
use crate::role::Role;

/// The figures of the last words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) read: usize,
    pub(crate) sent: usize,
    pub(crate) dropped: usize,
    pub(crate) left: usize,
    pub(crate) unconfirmed: usize,
}

/// `10 lines: 7 sent, 2 dropped, 1 left; unconfirmed: 1 line (90 bytes)`.
pub(crate) fn account(role: &Role) -> Account {
    let text = role.err.text();
    let last = text.lines().last().unwrap_or_default();
    assert!(last.contains("; unconfirmed: "), "{text}");
    let numbers: Vec<usize> = last
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|word| word.parse().ok())
        .collect();
    let account = Account {
        read: numbers[0],
        sent: numbers[1],
        dropped: numbers[2],
        left: numbers[3],
        unconfirmed: numbers[4],
    };
    assert_eq!(
        account.read,
        account.sent + account.dropped + account.left,
        "{last}"
    );
    account
}

pub(crate) fn ship(url: &str, more: &[&str]) -> Role {
    Role::start(&[&["ship", "--to", url, "--app", "web"], more].concat())
}

/// What a collector's message says.
pub(crate) fn text(raw: &str, format: &str) -> String {
    if format == "json" {
        let object: serde_json::Value = serde_json::from_str(raw).expect(raw);
        assert_eq!(object["service"], "web");
        return object["msg"].as_str().unwrap().to_owned();
    }
    let (header, text) = raw.split_once(" - - - ").expect(raw);
    assert!(
        header.starts_with("<14>1 20") && header.ends_with(" web"),
        "{raw}"
    );
    text.to_owned()
}

pub(crate) fn texts(collector: &Collector, format: &str) -> Vec<String> {
    let raw = collector.raw();
    raw.iter().map(|raw| text(raw, format)).collect()
}

/// The numbers of lines `n 12 …`.
pub(crate) fn numbers(texts: &[String]) -> Vec<usize> {
    let number = |text: &String| text.split(' ').nth(1).and_then(|word| word.parse().ok());
    texts.iter().map(|text| number(text).expect(text)).collect()
}

/// Lines `n FIRST …` to before `n END …`, each with this at its end.
pub(crate) fn numbered(lines: Range<usize>, end: &str) -> String {
    lines.fold(String::new(), |text, n| text + &format!("n {n} {end}\n"))
}
