//! The directory: who is up by the gossip, what each has said, what a session has seen of it, and
//! out of these three the list of members. Of two agents with one name, the one that was there
//! first is the member.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::agent::gossip::records::Records;
use crate::members::member::{Member, Status};
use crate::members::record::Record;
use crate::members::words::MemberName;
use crate::values::Moment;
use crate::values::lists;

/// A member that has left is shown for so long.
const LEFT_FOR: Duration = Duration::from_secs(10 * 60);

/// A member that has failed is shown, and looked for, for so long.
const FAILED_FOR: Duration = Duration::from_secs(24 * 3600);

/// What a session says of a member, which counts more than the gossip does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Evidence {
    /// There is no session.
    None,
    /// Its kernel answers: it is not gone, whatever the gossip says.
    Holds,
    /// It is gone, though the gossip may not know yet.
    Gone,
}

/// What is known of an agent beside its record.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Sight {
    /// Up, by the gossip.
    up: bool,
    evidence: Evidence,
    /// Since when it is up or down.
    since: Moment,
}

/// Two agents with one name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Twins {
    /// The name.
    pub name: MemberName,
    /// Who keeps it.
    pub keeps: SocketAddr,
    /// Who does not get it.
    pub refused: SocketAddr,
}

/// Who is where.
#[derive(Default, Debug)]
pub struct Directory {
    sights: BTreeMap<SocketAddr, Sight>,
}

impl Directory {
    /// The gossip has heard of it.
    pub fn up(&mut self, agent: SocketAddr, now: Moment) {
        let sight = self.sight(agent, now);
        sight.up = true;
        sight.since = now;
        if sight.evidence == Evidence::Gone {
            sight.evidence = Evidence::None;
        }
    }

    /// The gossip has lost it.
    pub fn down(&mut self, agent: SocketAddr, now: Moment) {
        let sight = self.sight(agent, now);
        sight.up = false;
        sight.since = now;
    }

    /// A session has seen something.
    pub fn saw(&mut self, agent: SocketAddr, evidence: Evidence, now: Moment) {
        self.sight(agent, now).evidence = evidence;
    }

    fn sight(&mut self, agent: SocketAddr, now: Moment) -> &mut Sight {
        self.sights.entry(agent).or_insert(Sight {
            up: false,
            evidence: Evidence::None,
            since: now,
        })
    }

    /// Whether the gossip has it up.
    pub fn is_up(&self, agent: SocketAddr) -> bool {
        self.sights.get(&agent).is_some_and(|sight| sight.up)
    }

    /// Those that are up, with the time since when.
    pub fn up_since(&self) -> impl Iterator<Item = (SocketAddr, Moment)> {
        let up = self.sights.iter().filter(|(_, sight)| sight.up);
        up.map(|(agent, sight)| (*agent, sight.since))
    }

    /// Those that are gone and have not said that they leave, the longest gone first.
    pub fn lost(&self, records: &Records) -> Vec<(SocketAddr, Moment)> {
        let left = |agent: &SocketAddr| {
            let record = records.get(*agent);
            record.is_some_and(|record| record.status == Status::Left)
        };
        let lost = self.sights.iter().filter(|(_, sight)| !sight.up);
        let lost = lost.filter(|(agent, _)| !left(agent));
        let mut lost: Vec<_> = lost.map(|(agent, sight)| (*agent, sight.since)).collect();
        lists::sort_by_key(&mut lost, |(_, since)| *since);
        lost
    }

    /// Forgets those that are gone for long; gives them.
    pub fn forget(&mut self, records: &Records, now: Moment) -> Vec<SocketAddr> {
        let stale = |agent: &SocketAddr, sight: &Sight| {
            let left = records
                .get(*agent)
                .is_none_or(|record| record.status == Status::Left);
            let keep = if left { LEFT_FOR } else { FAILED_FOR };
            !sight.up && now.since(sight.since) > keep
        };
        let gone = self
            .sights
            .iter()
            .filter(|(agent, sight)| stale(agent, sight));
        let gone: Vec<SocketAddr> = gone.map(|(agent, _)| *agent).collect();
        for agent in &gone {
            self.sights.remove(agent);
        }
        gone
    }

    /// How an agent is, when this is what it has said.
    fn status(&self, record: &Record) -> Status {
        let Some(sight) = self.sights.get(&record.agent) else {
            return Status::Failed;
        };
        match (record.status, sight.evidence, sight.up) {
            (Status::Left, _, _) => Status::Left,
            (_, Evidence::Gone, _) | (_, Evidence::None, false) => Status::Failed,
            (status, Evidence::Holds, _) | (status, Evidence::None, true) => status,
        }
    }

    /// The members, by name, and who wants a name that another has.
    pub fn members(&self, records: &Records) -> (Vec<Member>, Vec<Twins>) {
        let mut named: BTreeMap<&MemberName, (&Record, Status)> = BTreeMap::new();
        let mut twins = Vec::new();
        for record in records.iter() {
            let status = self.status(record);
            let Some((other, other_status)) = named.get(&record.name).copied() else {
                named.insert(&record.name, (record, status));
                continue;
            };
            let both_here = status.is_here() && other_status.is_here();
            let wins = match (status.is_here(), other_status.is_here()) {
                (true, true) => (record.born, record.agent) < (other.born, other.agent),
                (true, false) => true,
                (false, true) => false,
                (false, false) => record.life > other.life,
            };
            let (keeps, refused) = if wins {
                (record, other)
            } else {
                (other, record)
            };
            if wins {
                named.insert(&record.name, (record, status));
            }
            if both_here {
                twins.push(Twins {
                    name: record.name.clone(),
                    keeps: keeps.agent,
                    refused: refused.agent,
                });
            }
        }
        let members = named.into_values();
        let members = members
            .map(|(record, status)| record.member(status))
            .collect();
        (members, twins)
    }
}
