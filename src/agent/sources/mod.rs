//! Who else tells of members: a Serf agent, the DNS, files, the configuration. Each source is a
//! task that sends whole answers, and says why it has none; what was true last stays true then.

pub mod msgpack;

pub mod serf;

pub mod rpc;

pub mod message;

pub mod dns;

pub mod nodes;

pub mod file;

pub mod listed;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::members::member::{Announced, Member, Origin, Readiness, Status};
use crate::members::words::Tags;

/// What a source has to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Which source.
    pub origin: Origin,
    /// Everybody that it knows; or why it cannot tell.
    pub answer: Result<Vec<Member>, String>,
}

/// A member of a source that knows a name and an address, and nothing else: it is ready by being
/// there. A port that is known is that of the one service that it offers.
pub(crate) fn simple(origin: Origin, name: &str, at: SocketAddr) -> Result<Member, String> {
    let service = "service".parse().map(|name| Announced {
        name,
        port: at.port(),
        readiness: Readiness::Ready,
    });
    Ok(Member {
        name: name.parse()?,
        address: at.ip(),
        port: 0,
        tags: Tags::default(),
        services: service.into_iter().filter(|one| one.port > 0).collect(),
        status: Status::Alive,
        incarnation: 0,
        origin,
    })
}

/// One member a name: of two that say they are the same, the first one is.
pub(crate) fn unique(members: Vec<Member>) -> Vec<Member> {
    let mut by_name = BTreeMap::new();
    for member in members {
        by_name.entry(member.name.clone()).or_insert(member);
    }
    by_name.into_values().collect()
}
