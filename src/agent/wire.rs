//! The language of the agent's own socket: one JSON object a line, a question and its answer.

use serde::{Deserialize, Serialize};

use crate::agent::publish::status::Status as TemplateStatus;
use crate::members::member::Member;

/// What is asked of the agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Request {
    /// Who the members are.
    Members {
        /// Only once the list is another than this version of it; absent: now.
        #[serde(default)]
        since: Option<u64>,
    },
    /// How the agent is: its templates and its sources.
    Status,
    /// What templates can name.
    Data,
    /// A service is about to stop, and is to get no more work.
    Drain {
        /// The service.
        service: String,
    },
}

/// What the agent answers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// Every member that is known.
    Members {
        /// By name.
        members: Vec<WireMember>,
        /// Counts the lists.
        #[serde(default)]
        version: u64,
    },
    /// How the agent is.
    Status {
        /// What this node is called.
        name: String,
        /// Its templates.
        templates: Vec<serde_json::Value>,
        /// Sources that do not answer, and why.
        silent: Vec<String>,
        /// Members that are only kept because of `min-members`.
        held: usize,
        /// What came from the network and was refused.
        #[serde(default)]
        refused: WireRefused,
    },
    /// What templates can name.
    Data {
        /// The tree.
        data: serde_json::Value,
    },
    /// It is done.
    Ok,
    /// It is not.
    Error {
        /// Why.
        message: String,
    },
}

/// What was refused since the agent began, by the reason.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct WireRefused {
    /// Datagrams of nobody with our key.
    pub datagrams_unsealed: u64,
    /// Datagrams that said nothing that we understand.
    pub datagrams_malformed: u64,
    /// Connections of nobody with our key.
    pub sessions: u64,
}

/// A member, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WireMember {
    /// Its name.
    pub name: String,
    /// Its address.
    pub ip: String,
    /// Its agent's port; 0: not known.
    pub port: u16,
    /// `alive`, `leaving`, `left` or `failed`.
    pub status: String,
    /// Its services.
    pub services: Vec<WireService>,
    /// What it says of itself.
    pub tags: std::collections::BTreeMap<String, String>,
    /// Who told of it.
    pub source: String,
}

/// A service of a member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WireService {
    /// Its name.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// `ready`, `unready` or `draining`.
    pub state: String,
}

impl From<&Member> for WireMember {
    fn from(member: &Member) -> Self {
        let services = member.services.iter().map(|service| WireService {
            name: service.name.to_string(),
            port: service.port,
            state: service.readiness.word().to_owned(),
        });
        let tags = member.tags.iter();
        Self {
            name: member.name.to_string(),
            ip: member.address.to_string(),
            port: member.port,
            status: member.status.word().to_owned(),
            services: services.collect(),
            tags: tags.map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            source: member.origin.word().to_owned(),
        }
    }
}

/// A template's status as it is shown.
pub fn template(status: &TemplateStatus) -> serde_json::Value {
    serde_json::to_value(status).unwrap_or_default()
}
