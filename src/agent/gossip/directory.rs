//! The directory: who is up by the gossip, what each has said, what a session has seen of it, and
//! out of these three the list of members. Of two agents with one name, the one that was there
//! first is the member.

use std::collections::{BTreeMap, BTreeSet};
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

/// A member that has failed is shown, and looked for, for so long; and for so long it is known of
/// any that it is gone.
const FAILED_FOR: Duration = Duration::from_secs(24 * 3600);

/// An agent that was never seen is remembered for so long: words about it may come before it does.
const STRAY_FOR: Duration = Duration::from_secs(60);

/// More of them at once are made up.
pub const STRAYS_MAX: usize = 512;

/// Of two members with one name, the one that was here so much longer keeps it, whatever they say
/// of themselves. Below that, what they say decides: then all decide alike.
const HERE_LONGER: Duration = Duration::from_secs(60);

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
    /// When it was first up under its name; `None`: never.
    first: Option<Moment>,
    name: Option<MemberName>,
    /// It is gone for long, and what it said is no longer kept.
    forgotten: bool,
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
    /// Those of them that are not up: few, where many are.
    down: BTreeSet<SocketAddr>,
}

impl Directory {
    /// The gossip has heard of it.
    pub fn up(&mut self, agent: SocketAddr, now: Moment) {
        let sight = self.sight(agent, now);
        sight.up = true;
        sight.since = now;
        sight.first = sight.first.or(Some(now));
        sight.forgotten = false;
        if sight.evidence == Evidence::Gone {
            sight.evidence = Evidence::None;
        }
        self.down.remove(&agent);
    }

    /// The gossip has lost it.
    pub fn down(&mut self, agent: SocketAddr, now: Moment) {
        self.down.insert(agent);
        let sight = self.sight(agent, now);
        sight.up = false;
        sight.since = now;
    }

    /// A session has seen something.
    pub fn saw(&mut self, agent: SocketAddr, evidence: Evidence, now: Moment) {
        self.sight(agent, now).evidence = evidence;
    }

    fn sight(&mut self, agent: SocketAddr, now: Moment) -> &mut Sight {
        self.sights.entry(agent).or_insert_with(|| {
            self.down.insert(agent);
            Sight {
                up: false,
                evidence: Evidence::None,
                since: now,
                first: None,
                name: None,
                forgotten: false,
            }
        })
    }

    fn not_up(&self) -> impl Iterator<Item = (&SocketAddr, &Sight)> {
        let sight = |agent| self.sights.get(agent).map(|sight| (agent, sight));
        self.down.iter().filter_map(sight)
    }

    /// Whether there is any reason to keep a record of this agent, which calls itself so. One that
    /// was never seen is remembered for a while.
    pub fn keeps(&mut self, agent: SocketAddr, name: &MemberName, now: Moment) -> bool {
        if !self.knows(agent) && self.room_for_strays() == 0 {
            return false;
        }
        let sight = self.sight(agent, now);
        if sight.name.as_ref() != Some(name) {
            // Under another name it is here from now on.
            if sight.name.replace(name.clone()).is_some() {
                sight.first = sight.first.map(|_| now);
            }
        }
        !sight.forgotten
    }

    /// Whether anything is known of this agent.
    pub fn knows(&self, agent: SocketAddr) -> bool {
        self.sights.contains_key(&agent)
    }

    /// Whether it is gone for so long that what it said is no longer kept.
    pub fn has_forgotten(&self, agent: SocketAddr) -> bool {
        self.sights.get(&agent).is_some_and(|sight| sight.forgotten)
    }

    /// This agent is said to be down; we have never seen it.
    pub fn stray(&mut self, agent: SocketAddr, now: Moment) {
        self.sight(agent, now);
    }

    /// How many more agents may be remembered that were never seen.
    pub fn room_for_strays(&self) -> usize {
        let strays = self.not_up().filter(|(_, sight)| sight.first.is_none());
        STRAYS_MAX.saturating_sub(strays.count())
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
        let lost = self
            .not_up()
            .filter(|(_, sight)| sight.first.is_some() && !sight.forgotten);
        let lost = lost.filter(|(agent, _)| !records.has_left(**agent));
        let mut lost: Vec<_> = lost.map(|(agent, sight)| (*agent, sight.since)).collect();
        lists::sort_by_key(&mut lost, |(_, since)| *since);
        lost
    }

    /// Those whose records are no longer kept, because they are gone for long. That they are gone
    /// stays known, so that old words of theirs do not bring them back.
    pub fn forget(&mut self, records: &Records, now: Moment) -> Vec<SocketAddr> {
        let mut gone = Vec::new();
        for (agent, sight) in self.sights.iter_mut().filter(|(_, sight)| !sight.up) {
            let record = records.get(*agent);
            let keep = match (sight.first, record) {
                (None, _) => STRAY_FOR,
                (Some(_), Some(record)) if record.status != Status::Left => FAILED_FOR,
                (Some(_), _) => LEFT_FOR,
            };
            if !sight.forgotten && now.since(sight.since) > keep {
                sight.forgotten = true;
                gone.push(*agent);
            }
        }
        self.sights.retain(|_, sight| {
            let keep = sight.first.map_or(STRAY_FOR, |_| FAILED_FOR);
            sight.up || now.since(sight.since) <= keep
        });
        self.down.retain(|agent| self.sights.contains_key(agent));
        gone
    }

    /// Makes room: so many of those that are gone are nobody any more, the longest gone first.
    pub fn drop_gone(&mut self, count: usize) -> Vec<SocketAddr> {
        let gone = self.not_up();
        let mut gone: Vec<_> = gone.map(|(agent, sight)| (*agent, sight.since)).collect();
        lists::sort_by_key(&mut gone, |(_, since)| *since);
        gone.truncate(count);
        for (agent, _) in &gone {
            self.sights.remove(agent);
            self.down.remove(agent);
        }
        gone.into_iter().map(|(agent, _)| agent).collect()
    }

    /// Whether it was ever here: of others, anybody may have made up what they say.
    fn was_seen(&self, record: &Record) -> bool {
        let sight = self.sights.get(&record.agent);
        sight.is_some_and(|sight| sight.first.is_some() || sight.evidence == Evidence::Holds)
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

    /// Which of two that are here keeps their name.
    fn was_first(&self, one: &Record, other: &Record) -> bool {
        let first = |record: &Record| self.sights.get(&record.agent)?.first;
        if let (Some(mine), Some(theirs)) = (first(one), first(other)) {
            if theirs.since(mine) >= HERE_LONGER {
                return true;
            }
            if mine.since(theirs) >= HERE_LONGER {
                return false;
            }
        }
        (one.born, one.agent) < (other.born, other.agent)
    }

    /// The members, by name, and who wants a name that another has.
    pub fn members(&self, records: &Records) -> (Vec<Member>, Vec<Twins>) {
        let mut named: BTreeMap<&MemberName, (&Record, Status)> = BTreeMap::new();
        let mut twins = Vec::new();
        for record in records.iter().filter(|record| self.was_seen(record)) {
            let status = self.status(record);
            let Some((other, other_status)) = named.get(&record.name).copied() else {
                named.insert(&record.name, (record, status));
                continue;
            };
            let both_here = status.is_here() && other_status.is_here();
            let wins = match (status.is_here(), other_status.is_here()) {
                (true, true) => self.was_first(record, other),
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
