//! A configuration of haproxy as two parts: the servers of one backend that the Runtime API can
//! change, and everything else, which takes a reload. Pure.

use std::net::{IpAddr, SocketAddr};

/// A server as the file has it: an address, not a name, and nothing quoted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// Unique in its backend.
    pub name: String,
    /// Where it is.
    pub address: SocketAddr,
    /// The words behind the address.
    pub options: Vec<String>,
}

impl Server {
    /// Whether it has this option.
    pub fn has(&self, word: &str) -> bool {
        self.options.iter().any(|option| option == word)
    }
}

/// The parts of a configuration.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Parts {
    /// The servers that the Runtime API can change, in the file's order.
    pub servers: Vec<Server>,
    /// The names of the backend's other servers.
    pub fixed: Vec<String>,
    /// The words of `default-server` that hold for the backend: a server that is added does not
    /// take them over by itself.
    pub defaults: Vec<String>,
    /// All other lines, without comments and empty ones.
    pub rest: Vec<String>,
}

/// What starts a section (configuration manual, chapter 2 and 3).
const SECTIONS: [&str; 18] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "peers",
    "resolvers",
    "userlist",
    "mailers",
    "program",
    "cache",
    "http-errors",
    "ring",
    "log-forward",
    "fcgi-app",
    "crt-store",
    "traces",
    "log-profile",
];

/// Separates the servers of `backend` from the rest. `None`: there is no such backend, or its
/// servers are made in a way that only haproxy itself can follow.
pub fn split(text: &str, backend: &str) -> Option<Parts> {
    let mut parts = Parts::default();
    let mut of_defaults: Vec<String> = Vec::new();
    let mut section = Section::Other;
    let mut is_there = false;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let first = match words.first() {
            None => continue,
            Some(first) if first.starts_with('#') => continue,
            Some(first) => *first,
        };
        if SECTIONS.contains(&first) {
            section = Section::of(&words, backend);
            is_there |= section == Section::Ours;
            match section {
                // Defaults by name are haproxy's to resolve.
                Section::Ours if words.contains(&"from") => return None,
                Section::Ours => parts.defaults.clone_from(&of_defaults),
                Section::Defaults => of_defaults.clear(),
                Section::Other => {}
            }
        }
        let ours = section == Section::Ours;
        match (first, section) {
            ("server-template" | ".if" | ".else" | ".elif", Section::Ours) => return None,
            ("server", Section::Ours) => match server(line, &words) {
                Some(server) => {
                    parts.servers.push(server);
                    continue;
                }
                None => parts
                    .fixed
                    .extend(words.get(1).map(|&name| name.to_owned())),
            },
            ("default-server", Section::Ours | Section::Defaults) => {
                if !is_plain(line) {
                    return None;
                }
                let into = if ours {
                    &mut parts.defaults
                } else {
                    &mut of_defaults
                };
                into.extend(words.iter().skip(1).map(|&word| word.to_owned()));
            }
            _ => {}
        }
        parts.rest.push(words.join(" "));
    }
    is_there.then_some(parts)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Ours,
    Defaults,
    Other,
}

impl Section {
    fn of(words: &[&str], backend: &str) -> Self {
        match words {
            ["backend" | "listen", name, ..] if *name == backend => Self::Ours,
            ["defaults", ..] => Self::Defaults,
            _ => Self::Other,
        }
    }
}

/// Nothing that haproxy would read otherwise than we do, and nothing that would end a command of
/// the Runtime API: there a semicolon starts the next one.
fn is_plain(line: &str) -> bool {
    let is_special = |c: char| c.is_control() && c != '\t' || "\"'\\$#;<>&|".contains(c);
    !line.contains(is_special)
}

fn server(line: &str, words: &[&str]) -> Option<Server> {
    let [_, name, address, options @ ..] = words else {
        return None;
    };
    let is_name = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_.:-".contains(c));
    if !is_plain(line) || !is_name {
        return None;
    }
    Some(Server {
        name: (*name).to_owned(),
        address: place(address)?,
        options: options.iter().map(|&word| word.to_owned()).collect(),
    })
}

/// `10.0.0.1:80`, `[fd00::1]:80`, and `fd00::1:80` as haproxy takes it: the last colon counts.
fn place(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (ip, port) = text.rsplit_once(':')?;
    let ip: IpAddr = ip.parse().ok()?;
    Some(SocketAddr::new(ip, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
global
    maxconn 10   # not much
defaults
    mode http
    default-server inter 1s
frontend web
    bind :80
    default_backend nodes
backend other
    server s1 10.9.9.9:80
backend nodes
    default-server check fall 1
    # the members
    server s1 10.0.0.1:3000 weight 5
    server s2 [fd00::2]:3000
    server far far.example:80
    server odd 10.0.0.3:3000 cookie \"a;b\"
listen stats
    server s1 10.8.8.8:80
";

    #[test]
    fn servers_are_separated_from_the_rest() {
        let parts = split(TEXT, "nodes").unwrap();
        let names: Vec<_> = parts.servers.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["s1", "s2"]);
        assert_eq!(parts.servers[0].options, ["weight", "5"]);
        assert_eq!(parts.servers[1].address, "[fd00::2]:3000".parse().unwrap());
        assert_eq!(parts.fixed, ["far", "odd"]);
        assert_eq!(parts.defaults, ["inter", "1s", "check", "fall", "1"]);
        assert_eq!(parts.rest.len(), 16);
        assert!(parts.rest.contains(&"server s1 10.9.9.9:80".to_owned()));
    }

    #[test]
    fn only_servers_and_comments_leave_the_rest_alone() {
        let rest = |text: &str| split(text, "nodes").unwrap().rest;
        let more = TEXT.replace("# the members", "server s9 10.0.0.9:1\n\n    # 3 members");
        assert_eq!(rest(&more), rest(TEXT));
        assert_ne!(rest(&TEXT.replace(":80\n", ":81\n")), rest(TEXT));
    }

    #[test]
    fn what_only_haproxy_can_follow_is_left_to_it() {
        assert_eq!(split(TEXT, "none"), None);
        for line in [
            "server-template node 10 web:80",
            ".if defined(A)",
            "default-server \"inter\" 1s",
        ] {
            let text = TEXT.replace("# the members", line);
            assert_eq!(split(&text, "nodes"), None, "{line}");
        }
        let text = TEXT.replace("backend nodes", "backend nodes from x");
        assert_eq!(split(&text, "nodes"), None);
    }

    #[test]
    fn a_command_cannot_be_smuggled_in() {
        for evil in [
            "server x;shutdown 10.0.0.1:80",
            "server x 10.0.0.1:80 weight 1;disable frontend web",
            "server ../x 10.0.0.1:80",
        ] {
            let text = TEXT.replace("# the members", evil);
            let parts = split(&text, "nodes").unwrap();
            assert_eq!(parts.servers.len(), 2, "{evil}");
            assert_eq!(parts.fixed.len(), 3, "{evil}");
        }
    }
}
