//! Protocols, and the files of the agent: control, agent.toml, templates, haproxy.

use std::fmt::Debug;
use std::path::Path;

use pidone::agent::config::{self, flags::Flags};
use pidone::agent::haproxy::config::{Parts, split};
use pidone::agent::haproxy::plan::{Plan, is_refusal, plan};
use pidone::agent::haproxy::state;
use pidone::agent::wire;
use pidone::control::grant::Grant;
use pidone::control::protocol::{Event, Message, Reply, Request};
use pidone::control::rights::{Peer, Right, allow, right};
use pidone::service::permit::{Of, Permit};
use pidone::template::data::Data;
use pidone::template::engine::Template;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::definitions::container;
use super::faults;

/// What was read is what would be written.
fn again<T: Serialize + DeserializeOwned + PartialEq + Debug>(data: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(data).ok()?;
    let text = serde_json::to_string(&read).unwrap();
    assert!(!text.contains('\n'), "a message is a line");
    let again: T = serde_json::from_str(&text).unwrap();
    assert_eq!(again, read);
    Some(read)
}

/// A line of the control socket or of the agent's: a question or an answer.
pub(super) fn control(data: &[u8]) {
    if let Some(message) = again::<Message<Request>>(data) {
        judged(&message.body);
    }
    if let Some(message) = again::<Message<Reply>>(data)
        && let Reply::Event(event) = &message.body
    {
        told(event);
    }
    again::<wire::Request>(data);
    again::<wire::Reply>(data);
}

/// Who may what, whatever is asked.
fn judged(request: &Request) {
    let peer = |uid, gid| Peer {
        uid,
        gid,
        pid: 7,
        groups: vec![gid],
    };
    let (own, group) = (1000, Some(50));
    for (uid, gid, expected) in [
        (0, 0, Right::Change),
        (1000, 1000, Right::Change),
        (1001, 50, Right::Read),
        (1001, 1001, Right::Nothing),
        // What the kernel says of a uid that is not ours (user_namespaces(7)).
        (65_534, 65_534, Right::Nothing),
    ] {
        let peer = peer(uid, gid);
        let right = right(&peer, own, group);
        assert_eq!(right, expected);
        let may = allow(right, request, &peer).is_ok();
        let looks = ["status", "logs", "events"].contains(&request.verb());
        assert_eq!(may, right == Right::Change || right == Right::Read && looks);
    }
    let permit = |verb, of| Permit { verb, of };
    let grant = Grant {
        service: "web".parse().unwrap(),
        permits: [permit("reload", Of::One("db".parse().unwrap()))].into(),
    };
    let only = ["db".to_owned()];
    let named = request.names().iter().all(|name| only.contains(name));
    let expected = request.verb() == "reload" && named && !request.names().is_empty();
    assert_eq!(grant.allow(request).is_ok(), expected, "{request:?}");
}

fn told(event: &Event) {
    let summary = event.summary();
    let _ = event.reached();
    let whole = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let all = whole(&event.from) + whole(&event.to) + whole(&event.why);
    assert!(summary.len() <= all + 40);
}

/// An `agent.toml`; and its words as flags.
pub(super) fn agent_toml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let path = Path::new("agent.toml");
    let (config, found) = config::read(text, path, &container());
    assert_eq!(
        config::read(text, path, &container()),
        (config.clone(), found.clone())
    );
    faults::stand(&found, text, "agent.toml");
    if pidone::diag::errors(&found) == 0 {
        let more = format!("{text}\n# the end\n");
        let (more, _) = config::read(&more, path, &container());
        assert_eq!(more, config);
        assert!(!config.socket.as_os_str().is_empty() && config.bind.port() > 0);
    }
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    match Flags::read(&words) {
        Err(fault) => assert!(!fault.message.is_empty()),
        Ok(flags) => {
            let mut config = config;
            let _ = flags.overlay(&mut config);
        }
    }
}

/// A template; behind a NUL byte the data, as JSON.
pub(super) fn template(data: &[u8]) {
    let mut halves = data.splitn(2, |byte| *byte == 0);
    let (source, data) = (halves.next().unwrap_or_default(), halves.next());
    let Ok(source) = std::str::from_utf8(source) else {
        return;
    };
    let path = Path::new("a.hbs");
    let template = match Template::parse(path, source.to_owned()) {
        Err(fault) => return faults::stand(&[*fault], source, "a.hbs"),
        Ok(template) => template,
    };
    let standing = r#"{"backends":[{"host":"s1","ip":"10.0.0.1","port":80,"tags":{"w":"5"}},
        {"host":"s2\nserver evil","ip":"10.0.0.2","port":81,"tags":{}}],"members":[],
        "self":{"name":"ha","tags":{}},"env":{"A":"b"}}"#;
    let data = data.map_or(standing.into(), String::from_utf8_lossy);
    let Ok(data) = Data::parse(&data) else {
        return;
    };
    match template.render(&data) {
        Err(fault) => faults::stand(&[*fault], source, "a.hbs"),
        Ok(text) => {
            assert!(text.len() <= 10 << 20);
            assert_eq!(template.render(&data).as_ref().ok(), Some(&text));
            // No value brings a line break; a template may write one between quotes.
            let brings = |c: char| c.is_control();
            if !source.contains(brings) && !source.contains('\\') {
                assert!(!text.contains(brings), "{text:?}");
            }
        }
    }
}

/// A configuration, what was in effect before, and haproxy's answers, with NUL bytes between.
pub(super) fn haproxy(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.split('\0');
    let mut next = || parts.next().unwrap_or_default();
    let (wanted, before, answer, info) = (next(), next(), next(), next());
    let _ = state::worker(info);
    assert!(state::first_line(answer).chars().count() <= 200);
    let _ = is_refusal(answer);
    let (wanted, before) = (split(wanted, "nodes"), split(before, "nodes"));
    let Some(wanted) = wanted else {
        return;
    };
    for server in &wanted.servers {
        assert!(!server.name.contains(char::is_whitespace));
    }
    let actual = match state::servers(answer, "nodes") {
        Err(why) => return assert!(why.len() <= 2 * 200 + 2 * answer.len() + 100),
        Ok(actual) => actual,
    };
    let Plan::Commands {
        commands, doomed, ..
    } = plan("nodes", &wanted, before.as_ref(), &actual)
    else {
        return;
    };
    for command in &commands {
        // One of these would end the command, and begin another.
        let bad = |c: char| c.is_control() || c == ';';
        assert!(!command.contains(bad), "{command:?}");
        let word = command.split(' ').next();
        assert!(
            matches!(word, Some("add" | "set" | "enable")),
            "{command:?}"
        );
    }
    for name in &doomed {
        assert!(actual.iter().any(|server| server.name == *name));
    }
    leads_there(&wanted, &actual, &commands, &doomed);
}

/// With the commands done, what is wanted is there, and what is not is in maintenance.
fn leads_there(wanted: &Parts, actual: &[state::Actual], commands: &[String], doomed: &[String]) {
    let has = |start: &str| commands.iter().any(|command| command.starts_with(start));
    for server in &wanted.servers {
        let there = actual.iter().find(|actual| actual.name == server.name);
        let added = has(&format!("add server nodes/{} ", server.name));
        assert!(there.is_some() || added, "{} is not there", server.name);
        assert!(!doomed.contains(&server.name));
    }
    for server in actual {
        let kept = wanted.servers.iter().any(|it| it.name == server.name)
            || wanted.fixed.contains(&server.name);
        assert_eq!(doomed.contains(&server.name), !kept);
        if !kept && !server.is_out {
            assert!(has(&format!(
                "set server nodes/{} state maint",
                server.name
            )));
        }
    }
}
