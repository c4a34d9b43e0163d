//! A member: where it is, what it says of itself, and how it is.

use std::fmt;
use std::net::IpAddr;

use crate::members::words::{MemberName, ServiceName, Tags};

/// More services than this a member does not announce, so that its record fits a datagram.
pub const SERVICES_MAX: usize = 8;

/// One member of the cluster, as the best source tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// What it is called; unique.
    pub name: MemberName,
    /// Where its services are reached.
    pub address: IpAddr,
    /// The port of its agent; 0 if the source knows none.
    pub port: u16,
    /// What it says of itself.
    pub tags: Tags,
    /// What it announces, in the order of its configuration; at most [`SERVICES_MAX`].
    pub services: Vec<Announced>,
    /// How it is.
    pub status: Status,
    /// Which life of it this is; a later one is greater. 0 if the source knows none.
    pub incarnation: u64,
    /// Who told us.
    pub origin: Origin,
}

/// A service that a member announces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announced {
    /// The service.
    pub name: ServiceName,
    /// Where it listens, on the member's address; 0 if the source knows no port.
    pub port: u16,
    /// Whether it is to get work.
    pub readiness: Readiness,
}

/// Whether a service is to get work.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Readiness {
    /// Yes.
    Ready,
    /// Not now: it starts, fails its health check, or is down.
    Unready,
    /// Not any more: what it has begun it will finish.
    Draining,
}

impl Readiness {
    /// Every one, by its number on the wire.
    pub const ALL: [Self; 3] = [Self::Ready, Self::Unready, Self::Draining];

    /// The word of screens and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Unready => "unready",
            Self::Draining => "draining",
        }
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// How a member is, in Serf's words.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Status {
    /// It is there.
    Alive,
    /// It has said that it is about to leave.
    Leaving,
    /// It has said that it leaves, and is gone.
    Left,
    /// It is gone and has not said so.
    Failed,
}

impl Status {
    /// Every one, by its number on the wire.
    pub const ALL: [Self; 4] = [Self::Alive, Self::Leaving, Self::Left, Self::Failed];

    /// The word of screens and JSON, as in `serf members -format=json`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Leaving => "leaving",
            Self::Left => "left",
            Self::Failed => "failed",
        }
    }

    /// Whether it is (still) there.
    pub fn is_here(self) -> bool {
        match self {
            Self::Alive | Self::Leaving => true,
            Self::Left | Self::Failed => false,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Who tells of members.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Origin {
    /// The agents among themselves.
    Gossip,
    /// A Serf agent.
    Serf,
    /// The domain name system.
    Dns,
    /// Files.
    File,
    /// The configuration.
    Static,
}

impl Origin {
    /// Every one, with the word of `sources`.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("gossip", Self::Gossip),
        ("serf", Self::Serf),
        ("dns", Self::Dns),
        ("file", Self::File),
        ("static", Self::Static),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Gossip => "gossip",
            Self::Serf => "serf",
            Self::Dns => "dns",
            Self::File => "file",
            Self::Static => "static",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Member {
    /// A service that it announces.
    pub fn service(&self, name: &str) -> Option<&Announced> {
        self.services
            .iter()
            .find(|service| service.name.as_str() == name)
    }

    /// Whether it is there and every service that it announces is ready; one that announces none
    /// is ready by being there.
    pub fn is_ready(&self) -> bool {
        let ready = |service: &Announced| service.readiness == Readiness::Ready;
        self.status == Status::Alive && self.services.iter().all(ready)
    }
}
