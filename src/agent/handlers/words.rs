//! Serf's contract as texts: which events a handler wants, the lines it reads, its variables. Pure.

use crate::members::member::Member;
use crate::members::roster::Change;
use crate::members::words::Tags;

/// The events of Serf. Queries and events of users never come: an agent of ours sends none.
pub const EVENTS: [&str; 8] = [
    "member-join",
    "member-leave",
    "member-failed",
    "member-update",
    "member-reap",
    "user",
    "query",
    "*",
];

/// Whether a handler with these filters wants this change. A filter is a list with commas; none at
/// all, and `*`, mean everything.
pub fn wants(on: &[String], change: Change) -> bool {
    let mut words = on.iter().flat_map(|filter| filter.split(','));
    on.is_empty() || words.any(|word| matches!(word.trim(), "*") || word.trim() == change.word())
}

/// The first word of a filter that names no event.
pub fn unknown(filter: &str) -> Option<&str> {
    let mut words = filter.split(',').map(str::trim);
    words.find(|word| {
        let event = word.split_once(':').map_or(*word, |(event, _)| event);
        !EVENTS.contains(&event)
    })
}

/// What the handler reads: a line for each member.
pub fn input(members: &[Member]) -> String {
    members.iter().map(line).collect()
}

/// `NAME TAB ADDRESS TAB ROLE TAB TAGS`, as Serf writes it.
fn line(member: &Member) -> String {
    let tags: Vec<String> = member
        .tags
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let role = member.tags.get("role").unwrap_or_default();
    let cells = [
        member.name.as_str(),
        &member.address.to_string(),
        role,
        &tags.join(","),
    ];
    let cells = cells.map(|cell| cell.replace('\t', "\\t").replace('\n', "\\n"));
    format!("{}\n", cells.join("\t"))
}

/// The variables that Serf gives a handler.
pub fn variables(name: &str, tags: &Tags, change: Change) -> Vec<(String, String)> {
    let role = tags.get("role").unwrap_or_default();
    let mut all = vec![
        ("SERF_EVENT".to_owned(), change.word().to_owned()),
        ("SERF_SELF_NAME".to_owned(), name.to_owned()),
        ("SERF_SELF_ROLE".to_owned(), role.to_owned()),
    ];
    for (name, value) in tags.iter() {
        let upper = name.chars().map(|c| {
            let c = c.to_ascii_uppercase();
            if c.is_ascii_alphanumeric() { c } else { '_' }
        });
        let variable = format!("SERF_TAG_{}", upper.collect::<String>());
        all.push((variable, value.to_owned()));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::member::{Origin, Status};

    #[test]
    fn a_filter_is_serfs() {
        let does_want = |on: &[&str], change| {
            let on: Vec<String> = on.iter().map(|&word| word.to_owned()).collect();
            wants(&on, change)
        };
        assert!(does_want(&[], Change::Join) && does_want(&["*"], Change::Reap));
        assert!(does_want(&["member-leave,member-failed"], Change::Failed));
        assert!(does_want(&["member-join", "member-leave"], Change::Leave));
        assert!(!does_want(&["member-join", "user:deploy"], Change::Leave));
        assert_eq!(unknown("member-join,user:deploy, query"), None);
        assert_eq!(unknown("member-join,membr-leave"), Some("membr-leave"));
    }

    #[test]
    fn the_bytes_are_serfs() {
        let mut tags = Tags::default();
        tags.set("port", "3000").unwrap();
        tags.set("role", "backend").unwrap();
        tags.set("my.desc", "has space").unwrap();
        let member = Member {
            name: "n2".parse().unwrap(),
            address: "127.0.0.2".parse().unwrap(),
            port: 7946,
            tags: tags.clone(),
            services: Vec::new(),
            status: Status::Alive,
            incarnation: 0,
            origin: Origin::Gossip,
        };
        assert_eq!(
            input(&[member]),
            "n2\t127.0.0.2\tbackend\tmy.desc=has space,port=3000,role=backend\n"
        );
        let all = variables("n1", &tags, Change::Failed);
        let all: Vec<String> = all.into_iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(
            all,
            [
                "SERF_EVENT=member-failed",
                "SERF_SELF_NAME=n1",
                "SERF_SELF_ROLE=backend",
                "SERF_TAG_MY_DESC=has space",
                "SERF_TAG_PORT=3000",
                "SERF_TAG_ROLE=backend"
            ]
        );
    }
}
