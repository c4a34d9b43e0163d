//! `agent.toml` → what the agent is to do, with every fault at its place. Pure: the file's text and
//! the environment come in as values.

pub mod flags;
mod lists;
mod parts;
mod reader;
pub mod sources;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::agent::config::reader::Reader;
use crate::agent::config::sources::Places;
use crate::agent::fields::AGENT;
use crate::diag::{Diagnostic, Place, Severity};
use crate::members::member::{Announced, Origin};
use crate::members::words::{MemberName, Tags};
use crate::service::environment::Environment;
use crate::service::faults::Faults;
use crate::service::form;
use crate::service::table::Table;

/// Where the file is looked for.
pub const FILE: &str = "/etc/pidone/agent.toml";

/// The port of Serf, which is ours too.
pub const PORT: u16 = 7946;

/// Where the agent listens for `pidone members` unless it is told otherwise.
pub const SOCKET: &str = "/run/pidone-agent/agent.sock";

/// What the agent is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// What the member is called.
    pub name: Option<MemberName>,
    /// What others are told of it.
    pub tags: Tags,
    /// The services that it announces, each unready at first.
    pub announce: Vec<Announced>,
    /// Members to ask first.
    pub seeds: Vec<Seed>,
    /// Where the agent listens.
    pub bind: SocketAddr,
    /// The address by which others reach it; `None`: it finds out.
    pub advertise: Option<SocketAddr>,
    /// The file with the cluster's key.
    pub key_file: Option<PathBuf>,
    /// Without a key, listen on more than loopback all the same.
    pub insecure: bool,
    /// How soon silence is a failure.
    pub profile: Profile,
    /// Who tells of members, the most trusted first.
    pub sources: Vec<Origin>,
    /// Never believe silence below so many members.
    pub min_members: usize,
    /// So long the first render waits for a first answer.
    pub first_sync: Duration,
    /// Hold a session to each member; `None`: if there is a template or a handler.
    pub watch: Option<bool>,
    /// Where known members are kept for the next start.
    pub state_dir: Option<PathBuf>,
    /// Where `pidone members` asks.
    pub socket: PathBuf,
    /// Where the sources other than gossip are.
    pub places: Places,
    /// Files made from the list of members.
    pub templates: Vec<Template>,
    /// Commands run when members come and go.
    pub handlers: Vec<Handler>,
}

/// A member to ask first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seed {
    /// A name or an address.
    pub host: String,
    /// Its agent's port.
    pub port: u16,
    /// Ask all addresses of the name, and not only one after the other.
    pub all: bool,
}

/// How soon silence is a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// A probe each 200 ms, answered within 80 ms, suspected for 400 ms.
    Default,
    /// 100, 40 and 200 ms: for a network and a machine that are never that slow.
    Fast,
}

/// A `[[template]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    /// The template.
    pub from: PathBuf,
    /// The file made from it.
    pub to: PathBuf,
    /// What approves of it first; `{{file}}` in it is the path of what is to be approved.
    pub check: Option<Vec<String>>,
    /// Wait so long for more changes.
    pub settle: Duration,
    /// How it takes effect.
    pub apply: Apply,
    /// Where the file says so.
    pub place: Place,
}

/// How a new file takes effect.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Apply {
    /// haproxy's admin socket, for changes of servers only.
    pub haproxy: Option<PathBuf>,
    /// The backend whose servers these are.
    pub backend: Option<String>,
    /// The service of pidone to reload.
    pub reload: Option<String>,
    /// A command to run.
    pub command: Option<Vec<String>>,
}

/// A `[[handler]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Handler {
    /// After which events, as the file has them; empty: after every one.
    pub on: Vec<String>,
    /// What is run.
    pub command: Vec<String>,
    /// Where the file says so.
    pub place: Place,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: None,
            tags: Tags::default(),
            announce: Vec::new(),
            seeds: Vec::new(),
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT),
            advertise: None,
            key_file: None,
            insecure: false,
            profile: Profile::Default,
            sources: vec![Origin::Gossip],
            min_members: 0,
            first_sync: Duration::from_secs(2),
            watch: None,
            state_dir: None,
            socket: SOCKET.into(),
            places: Places::default(),
            templates: Vec::new(),
            handlers: Vec::new(),
        }
    }
}

impl Config {
    /// Whether the agent holds a session to each member.
    pub fn watches(&self) -> bool {
        let acts = !self.templates.is_empty() || !self.handlers.is_empty();
        self.watch.unwrap_or(acts)
    }
}

/// Reads the text of an `agent.toml`; its texts are expanded with `environment`. The configuration
/// is only to be used when none of the diagnostics is an error.
pub fn read(text: &str, path: &Path, environment: &Environment) -> (Config, Vec<Diagnostic>) {
    let (document, form) = form::read(text, path);
    if form.iter().any(|fault| fault.severity == Severity::Error) {
        return (Config::default(), form);
    }
    let mut faults = Faults::new(path, text);
    let table = Table::open(AGENT, "", document.get_ref(), &mut faults);
    let mut reader = Reader {
        environment,
        faults,
    };
    let config = reader.config(&table);
    (config, reader.faults.sorted())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Config, Vec<String>) {
        let environment = [("HOSTNAME".into(), "s1".into())].into_iter().collect();
        let (config, faults) = read(text, Path::new("agent.toml"), &environment);
        (config, faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_page_of_the_design_is_read() {
        let (config, faults) = parsed(
            r#"
name = "${HOSTNAME}"
tags = { role = "balancer" }
announce = [{ service = "webapp", port = 3000 }]
seeds = ["ha", "dns:tasks.webapp"]
bind = "0.0.0.0:7946"
key-file = "/run/secrets/pidone_key"
profile = "default"
sources = ["gossip"]
min-members = 0
first-sync = "2s"

[[template]]
from = "/etc/haproxy/haproxy.cfg.hbs"
to = "/run/haproxy/haproxy.cfg"
check = ["haproxy", "-c", "-f", "{{file}}"]
settle = "20ms"
apply = { haproxy = "/run/haproxy/admin.sock", backend = "nodes", reload = "haproxy" }

[[handler]]
on = ["member-join", "member-leave,member-failed"]
command = ["/handlers/members.sh"]
"#,
        );
        assert_eq!(faults, [""; 0]);
        assert_eq!(config.name, "s1".parse().ok());
        assert_eq!(config.tags.get("role"), Some("balancer"));
        assert_eq!(config.announce.len(), 1);
        assert_eq!(config.seeds.len(), 2);
        assert!(config.watches());
        let apply = &config.templates[0].apply;
        assert_eq!(apply.reload.as_deref(), Some("haproxy"));
        assert_eq!(config.handlers[0].on.len(), 2);
        let (config, faults) = parsed("");
        assert_eq!((config, faults), (Config::default(), Vec::new()));
    }

    #[test]
    fn every_fault_has_its_place() {
        let (_, faults) = parsed(
            "nmae = 's1'\nbind = '0.0.0.0'\nsources = ['gosip']\ntags = { a = \"x\\ny\" }\n\
             announce = [{ service = 'web' }]\n[[template]]\nfrom = '/a'\n[[handler]]\nonn = []\n",
        );
        let heads: Vec<&str> = faults
            .iter()
            .filter_map(|fault| fault.lines().next())
            .collect();
        assert_eq!(
            heads,
            [
                "error: unknown key `nmae`",
                "error: `bind` is 0.0.0.0:7946, and there is no key: anybody could join",
                "error: an item of `sources` must be a source, not `gosip`",
                "error: the value of tag `a` cannot contain '\\n'",
                "error: what is announced has a `service` and a `port`",
                "error: a template has a `to`",
                "error: a handler has a `command`",
                "error: unknown key `onn` in `[handler]`",
            ]
        );
        assert!(faults[0].contains("agent.toml:1:1") && faults[0].contains("`name`"));
    }

    #[test]
    fn a_name_from_outside_is_checked_too() {
        let environment = [("HOSTNAME".into(), "a/../b".into())].into_iter().collect();
        let path = Path::new("agent.toml");
        let (_, faults) = read("name = '${HOSTNAME}'", path, &environment);
        assert_eq!(faults[0].message, "a member's name cannot contain '/'");
    }
}
