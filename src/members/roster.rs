//! The roster: one list of members out of what several sources say. A source gives whole answers;
//! the last good one stands while it gives none, and an answer that would empty the cluster below
//! its floor is held back.

use std::collections::BTreeMap;

use crate::members::member::{Member, Origin, Status};
use crate::members::words::MemberName;

/// More members than this are a mistake, and each costs memory; the rest of an answer is dropped.
pub const MEMBERS_MAX: usize = 10_000;

/// What has happened to a member, in Serf's words.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Change {
    /// It is there, and was not.
    Join,
    /// It has left.
    Leave,
    /// It is gone without a word.
    Failed,
    /// It is there, and its tags, its address or its services are others.
    Update,
    /// It was gone, and is forgotten.
    Reap,
}

impl Change {
    /// As Serf calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Join => "member-join",
            Self::Leave => "member-leave",
            Self::Failed => "member-failed",
            Self::Update => "member-update",
            Self::Reap => "member-reap",
        }
    }
}

/// One change of one member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// What has happened.
    pub change: Change,
    /// To whom, as it is now; for [`Change::Reap`] as it was.
    pub member: Member,
}

/// The one list.
#[derive(Clone, Debug)]
pub struct Roster {
    /// The sources, the most trusted first.
    order: Vec<Origin>,
    /// Fewer members than this are only believed when they said that they leave.
    floor: usize,
    answers: BTreeMap<Origin, Vec<Member>>,
    members: BTreeMap<MemberName, Member>,
    /// How many members are only there because of the floor.
    held: usize,
}

impl Roster {
    /// A roster of these sources, the most trusted first, with a floor of so many members.
    pub fn new(order: &[Origin], floor: usize) -> Self {
        Self {
            order: order.to_vec(),
            floor,
            answers: BTreeMap::new(),
            members: BTreeMap::new(),
            held: 0,
        }
    }

    /// Takes a source's whole answer; gives what has changed, by name. A source that gives none is
    /// not mentioned: its last answer stands.
    pub fn take(&mut self, origin: Origin, mut answer: Vec<Member>) -> Vec<Event> {
        answer.truncate(MEMBERS_MAX);
        self.answers.insert(origin, answer);
        self.settle()
    }

    /// Another floor; gives what has changed by it.
    pub fn stay_above(&mut self, floor: usize) -> Vec<Event> {
        self.floor = floor;
        self.settle()
    }

    fn settle(&mut self) -> Vec<Event> {
        let mut merged = self.merged();
        self.hold(&mut merged);
        let before = std::mem::replace(&mut self.members, merged);
        changes(&before, &self.members)
    }

    /// Every member, by name: those that are gone too, until their source forgets them.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&Member> {
        let name: MemberName = name.parse().ok()?;
        self.members.get(&name)
    }

    /// Whether any source has answered yet.
    pub fn has_answer(&self) -> bool {
        !self.answers.is_empty()
    }

    /// How many members are only kept because of the floor.
    pub fn held(&self) -> usize {
        self.held
    }

    /// All answers as one: where two know a name, the more trusted is right.
    fn merged(&self) -> BTreeMap<MemberName, Member> {
        let mut merged = BTreeMap::new();
        for answer in self.order.iter().filter_map(|from| self.answers.get(from)) {
            for member in answer {
                merged
                    .entry(member.name.clone())
                    .or_insert_with(|| member.clone());
            }
        }
        merged
    }

    /// The floor: when too few would be left, those stay that are gone without having said so.
    /// Nobody who leaves is held, and nobody is held who was not there.
    fn hold(&mut self, merged: &mut BTreeMap<MemberName, Member>) {
        self.held = 0;
        let here = |members: &BTreeMap<MemberName, Member>| {
            members.values().filter(|m| m.status.is_here()).count()
        };
        if here(merged) >= self.floor {
            return;
        }
        for (name, was) in self.members.iter().filter(|(_, m)| m.status.is_here()) {
            let gone = merged
                .get(name)
                .is_none_or(|now| now.status == Status::Failed);
            if gone {
                merged.insert(name.clone(), was.clone());
                self.held += 1;
            }
        }
    }
}

/// What leads from one list to the other.
fn changes(
    before: &BTreeMap<MemberName, Member>,
    after: &BTreeMap<MemberName, Member>,
) -> Vec<Event> {
    let mut events = Vec::new();
    for (name, member) in after {
        let was = before.get(name);
        let change = match (was.map(|was| was.status.is_here()), member.status) {
            (None | Some(false), Status::Alive | Status::Leaving) => Some(Change::Join),
            (Some(true), Status::Alive | Status::Leaving) => {
                (was.is_some_and(|was| differs(was, member))).then_some(Change::Update)
            }
            (Some(true), Status::Left) => Some(Change::Leave),
            (Some(true), Status::Failed) => Some(Change::Failed),
            (Some(false), Status::Left) => {
                (was.is_some_and(|was| was.status == Status::Failed)).then_some(Change::Leave)
            }
            (Some(false), Status::Failed) | (None, Status::Left | Status::Failed) => None,
        };
        events.extend(change.map(|change| Event {
            change,
            member: member.clone(),
        }));
    }
    for (name, was) in before {
        if after.contains_key(name) {
            continue;
        }
        // A source that knows only who is there (names in the DNS, files) tells of the end by
        // saying nothing: that is as if it had left.
        let (change, status) = if was.status.is_here() {
            (Change::Leave, Status::Left)
        } else {
            (Change::Reap, was.status)
        };
        let member = Member {
            status,
            ..was.clone()
        };
        events.push(Event { change, member });
    }
    events
}

/// Whether anything is different that others may act on.
fn differs(was: &Member, now: &Member) -> bool {
    was.address != now.address
        || was.port != now.port
        || was.tags != now.tags
        || was.services != now.services
        || was.status != now.status
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::members::member::{Announced, Readiness};
    use crate::members::words::Tags;

    fn member(name: &str, origin: Origin, status: Status) -> Member {
        Member {
            name: name.parse().unwrap(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 7946,
            tags: Tags::default(),
            services: Vec::new(),
            status,
            incarnation: 1,
            origin,
        }
    }

    fn alive(names: &[&str], origin: Origin) -> Vec<Member> {
        names
            .iter()
            .map(|name| member(name, origin, Status::Alive))
            .collect()
    }

    fn told(events: &[Event]) -> Vec<String> {
        events
            .iter()
            .map(|event| format!("{} {}", event.change.word(), event.member.name))
            .collect()
    }

    #[test]
    fn a_life_is_told() {
        let mut roster = Roster::new(&[Origin::Gossip], 0);
        let mut step = |answer: Vec<Member>| told(&roster.take(Origin::Gossip, answer));
        assert_eq!(
            step(alive(&["a", "b"], Origin::Gossip)),
            ["member-join a", "member-join b"]
        );
        assert_eq!(step(alive(&["a", "b"], Origin::Gossip)), [""; 0]);
        let mut answer = alive(&["a", "b"], Origin::Gossip);
        answer[1].services.push(Announced {
            name: "web".parse().unwrap(),
            port: 3000,
            readiness: Readiness::Ready,
        });
        assert_eq!(step(answer), ["member-update b"]);
        let mut answer = alive(&["a", "b"], Origin::Gossip);
        answer[0].status = Status::Left;
        answer[1].status = Status::Failed;
        assert_eq!(step(answer.clone()), ["member-leave a", "member-failed b"]);
        answer.remove(1);
        assert_eq!(step(answer), ["member-reap b"]);
        assert_eq!(step(alive(&["a"], Origin::Gossip)), ["member-join a"]);
    }

    #[test]
    fn the_more_trusted_source_is_right() {
        let mut roster = Roster::new(&[Origin::Gossip, Origin::Dns], 0);
        roster.take(Origin::Dns, alive(&["a", "c"], Origin::Dns));
        let failed = vec![member("a", Origin::Gossip, Status::Failed)];
        let events = roster.take(Origin::Gossip, failed);
        assert_eq!(told(&events), ["member-failed a"]);
        let origins: Vec<_> = roster
            .members()
            .map(|m| (m.name.as_str(), m.origin))
            .collect();
        assert_eq!(origins, [("a", Origin::Gossip), ("c", Origin::Dns)]);
    }

    #[test]
    fn an_empty_answer_is_not_an_empty_cluster() {
        let mut roster = Roster::new(&[Origin::Dns], 2);
        assert!(!roster.has_answer());
        roster.take(Origin::Dns, alive(&["a", "b", "c"], Origin::Dns));
        assert_eq!(told(&roster.take(Origin::Dns, Vec::new())), [""; 0]);
        assert_eq!((roster.members().count(), roster.held()), (3, 3));
        // Two are enough: the third is believed to be gone.
        let events = roster.take(Origin::Dns, alive(&["a", "b"], Origin::Dns));
        assert_eq!(told(&events), ["member-leave c"]);
        assert_eq!(roster.held(), 0);
    }

    #[test]
    fn who_says_that_it_leaves_is_believed_below_the_floor_too() {
        let mut roster = Roster::new(&[Origin::Gossip], 2);
        roster.take(Origin::Gossip, alive(&["a", "b"], Origin::Gossip));
        let events = roster.take(
            Origin::Gossip,
            vec![
                member("a", Origin::Gossip, Status::Left),
                member("b", Origin::Gossip, Status::Failed),
            ],
        );
        assert_eq!(told(&events), ["member-leave a"]);
        assert_eq!(roster.held(), 1);
    }
}
