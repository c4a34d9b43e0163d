//! From what is to be and what is to commands of the Runtime API. Pure.

use crate::agent::haproxy::config::{Parts, Server};
use crate::agent::haproxy::state::Actual;

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Plan {
    /// These commands, in this order; an answer that [`is_refusal`] ends it.
    Commands {
        /// One a line, without their ends.
        commands: Vec<String>,
        /// Servers that get no new request by these commands.
        leaving: Vec<String>,
        /// Servers that are in maintenance then, to be deleted once nobody is connected to them.
        doomed: Vec<String>,
    },
    /// The Runtime API cannot do it: why.
    Reload(String),
}

/// What makes the running servers of `backend` those of `wanted`. `before` is the configuration
/// that they were made from, as far as it is known.
pub fn plan(backend: &str, wanted: &Parts, before: Option<&Parts>, actual: &[Actual]) -> Plan {
    let Some(before) = before else {
        return Plan::Reload("what haproxy runs with is not known".to_owned());
    };
    if wanted.rest != before.rest {
        return Plan::Reload("more than the servers has changed".to_owned());
    }
    let mut commands = Vec::new();
    for server in &wanted.servers {
        let path = format!("{backend}/{}", server.name);
        let Some(now) = actual.iter().find(|actual| actual.name == server.name) else {
            commands.extend(added(&path, server, &wanted.defaults));
            continue;
        };
        let known = before.servers.iter().find(|old| old.name == server.name);
        if known.is_some_and(|known| known.options != server.options) {
            return Plan::Reload(format!(
                "the options of server {} have changed",
                server.name
            ));
        }
        if now.address != Some(server.address) {
            let (ip, port) = (server.address.ip(), server.address.port());
            commands.push(format!("set server {path} addr {ip} port {port}"));
        }
        if now.is_out && !server.has("disabled") {
            commands.push(format!("set server {path} state ready"));
        }
    }
    let is_wanted = |name: &String| {
        wanted.servers.iter().any(|server| server.name == *name) || wanted.fixed.contains(name)
    };
    let gone = actual.iter().filter(|actual| !is_wanted(&actual.name));
    let (mut leaving, mut doomed) = (Vec::new(), Vec::new());
    // What leaves goes first: a request must not meet it while others are added.
    let mut first = Vec::new();
    for server in gone {
        if !server.is_out {
            first.push(format!("set server {backend}/{} state maint", server.name));
            leaving.push(server.name.clone());
        }
        doomed.push(server.name.clone());
    }
    first.append(&mut commands);
    Plan::Commands {
        commands: first,
        leaving,
        doomed,
    }
}

/// A new server starts in maintenance, with its checks off.
fn added(path: &str, server: &Server, defaults: &[String]) -> Vec<String> {
    let options = defaults.iter().chain(&server.options);
    let has = |word: &str| server.has(word) || defaults.iter().any(|other| other == word);
    let mut add = format!("add server {path} {}", server.address);
    for word in options {
        add.push(' ');
        add.push_str(word);
    }
    let mut commands = vec![add];
    if has("check") && !has("no-check") {
        commands.push(format!("enable health {path}"));
    }
    if has("agent-check") {
        commands.push(format!("enable agent {path}"));
    }
    if !has("disabled") {
        commands.push(format!("set server {path} state ready"));
    }
    commands
}

/// Whether an answer to a command says no: what is done is answered by nothing, or by these words.
pub fn is_refusal(answer: &str) -> bool {
    let answer = answer.trim();
    let done = ["New server registered", "Server deleted"];
    // `set server … addr` says what it has changed.
    let changed = answer.starts_with("IP changed from")
        || answer.starts_with("port changed from")
        || answer.starts_with("nothing changed")
        || answer.starts_with("no need to change the addr");
    !answer.is_empty() && !changed && !done.iter().any(|word| answer.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::haproxy::config::split;

    fn parts(servers: &str) -> Parts {
        let text = format!("backend nodes\ndefault-server check inter 200ms\n{servers}\n");
        split(&text, "nodes").unwrap()
    }

    fn actual(name: &str, address: &str, is_out: bool) -> Actual {
        Actual {
            name: name.into(),
            address: address.parse().ok(),
            is_out,
        }
    }

    fn lines(plan: Plan) -> String {
        match plan {
            Plan::Reload(why) => format!("reload: {why}"),
            Plan::Commands {
                commands,
                leaving,
                doomed,
            } => {
                let (leaving, doomed) = (leaving.join(" "), doomed.join(" "));
                format!(
                    "{}\nleaving: {leaving}\ndoomed: {doomed}",
                    commands.join("\n")
                )
            }
        }
    }

    #[test]
    fn the_difference_is_commands() {
        let before = parts("server s1 10.0.0.1:80\nserver s2 10.0.0.2:80\nserver s3 10.0.0.3:80");
        let wanted = parts(
            "server s1 10.0.0.1:80\nserver s3 10.0.0.33:80\nserver s4 10.0.0.4:80 weight 2\n\
             server s5 10.0.0.5:80\nserver s6 10.0.0.6:80 disabled",
        );
        let now = [
            actual("s1", "10.0.0.1:80", false),
            actual("s2", "10.0.0.2:80", false),
            actual("s3", "10.0.0.3:80", false),
            actual("s5", "10.0.0.5:80", true),
            actual("s9", "10.0.0.9:80", true),
        ];
        assert_eq!(
            lines(plan("nodes", &wanted, Some(&before), &now)),
            "set server nodes/s2 state maint\n\
             set server nodes/s3 addr 10.0.0.33 port 80\n\
             add server nodes/s4 10.0.0.4:80 check inter 200ms weight 2\n\
             enable health nodes/s4\n\
             set server nodes/s4 state ready\n\
             set server nodes/s5 state ready\n\
             add server nodes/s6 10.0.0.6:80 check inter 200ms disabled\n\
             enable health nodes/s6\n\
             leaving: s2\n\
             doomed: s2 s9"
        );
        let same = [actual("s1", "10.0.0.1:80", false)];
        let one = parts("server s1 10.0.0.1:80");
        assert_eq!(
            lines(plan("nodes", &one, Some(&one), &same)),
            "\nleaving: \ndoomed: "
        );
    }

    #[test]
    fn what_is_no_change_of_servers_takes_a_reload() {
        let old = parts("server s1 10.0.0.1:80");
        let now = [actual("s1", "10.0.0.1:80", false)];
        let told = |wanted: &Parts, before| lines(plan("nodes", wanted, before, &now));
        let heavier = parts("server s1 10.0.0.1:80 weight 9");
        assert_eq!(
            told(&heavier, Some(&old)),
            "reload: the options of server s1 have changed"
        );
        let other = parts("balance leastconn\nserver s1 10.0.0.1:80");
        assert_eq!(
            told(&other, Some(&old)),
            "reload: more than the servers has changed"
        );
        assert_eq!(
            told(&old, None),
            "reload: what haproxy runs with is not known"
        );
    }

    #[test]
    fn servers_by_name_are_left_alone() {
        let both = parts("server s1 10.0.0.1:80\nserver far far.example:80");
        let now = [
            actual("s1", "10.0.0.1:80", false),
            actual("far", "10.1.1.1:80", false),
        ];
        let done = plan("nodes", &both, Some(&both), &now);
        assert_eq!(lines(done), "\nleaving: \ndoomed: ");
    }

    #[test]
    fn answers_are_yes_or_no() {
        for yes in ["", "\n", "New server registered.\n", "Server deleted.\n"] {
            assert!(!is_refusal(yes), "{yes}");
        }
        for no in [
            "No such server.\n",
            "unknown keyword 'bogus'.\n",
            "Permission denied\n",
        ] {
            assert!(is_refusal(no), "{no}");
        }
    }
}
