//! The screen of `pidone members --status`: what the agent has come to, and what it refused.

use serde_json::Value;

use crate::agent::wire::{Reply, Request, WireRefused};
use crate::cli::{Trouble, members};
use crate::diag::{Diagnostic, printable};

/// Asks the agent how it is; the text for a person, or JSON.
///
/// # Errors
/// The agent cannot be asked.
pub(super) fn page(at: &members::At, is_json: bool) -> Result<String, Trouble> {
    let reply = members::ask(at, &Request::Status)?;
    if is_json {
        let text = serde_json::to_string_pretty(&reply).unwrap_or_default();
        return Ok(format!("{text}\n"));
    }
    screen(&reply).ok_or_else(|| {
        let error = Diagnostic::error("the agent answered something else");
        Trouble::Usage(Box::new(error))
    })
}

fn screen(reply: &Reply) -> Option<String> {
    let Reply::Status {
        name,
        templates,
        silent,
        held,
        refused,
    } = reply
    else {
        return None;
    };
    let mut lines = vec![format!("agent: {}", printable(name))];
    lines.extend(templates.iter().flat_map(template));
    let silent = silent.iter();
    lines.extend(silent.map(|why| format!("does not answer: {}", printable(why))));
    if *held > 0 {
        lines.push(format!("kept only by min-members: {held}"));
    }
    lines.push(refusals(refused));
    Some(format!("{}\n", lines.join("\n")))
}

/// The agent may be another version: what it does not count is 0.
fn template(status: &Value) -> Vec<String> {
    let count = |name: &str| status.get(name).and_then(Value::as_u64).unwrap_or(0);
    let word = |name: &str| status.get(name).and_then(Value::as_str);
    let mut lines = vec![
        format!("template: {}", printable(word("to").unwrap_or("?"))),
        format!(
            "  renders {}, of them nothing new {}; reloads {}; API calls {}; rejected {}",
            count("renders"),
            count("same"),
            count("reloads"),
            count("api_calls"),
            count("rejected"),
        ),
    ];
    if let Some(why) = word("why") {
        lines.extend(
            why.lines()
                .map(|line| format!("  not in effect: {}", printable(line))),
        );
    }
    lines
}

fn refusals(refused: &WireRefused) -> String {
    format!(
        "refused: datagrams without our key {}, malformed {}; sessions without our key {}",
        refused.datagrams_unsealed, refused.datagrams_malformed, refused.sessions
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_whole_screen() {
        let reply = Reply::Status {
            name: "ha".to_owned(),
            templates: vec![json!({
                "to": "/run/nginx/nginx.conf", "renders": 9, "same": 4, "reloads": 3,
                "api_calls": 0, "rejected": 1, "why": "`nginx` says no: exit 1\nunknown \u{1b}word",
            })],
            silent: vec!["dns: web has no address".to_owned()],
            held: 2,
            refused: WireRefused {
                datagrams_unsealed: 7,
                datagrams_malformed: 1,
                sessions: 3,
            },
        };
        assert_eq!(
            screen(&reply).unwrap(),
            "agent: ha\n\
             template: /run/nginx/nginx.conf\n\
             \x20 renders 9, of them nothing new 4; reloads 3; API calls 0; rejected 1\n\
             \x20 not in effect: `nginx` says no: exit 1\n\
             \x20 not in effect: unknown \u{fffd}word\n\
             does not answer: dns: web has no address\n\
             kept only by min-members: 2\n\
             refused: datagrams without our key 7, malformed 1; sessions without our key 3\n"
        );
        assert_eq!(screen(&Reply::Ok), None);
    }
}
