//! What the nodes of the simulation see of one another, and whom they take for dead who is not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use pidone::members::member::{Origin, Status};
use pidone::values::Moment;

use crate::world::{LARGE, Node, World, number};

/// A member that is there and taken for dead: since when, and by whom.
type Doubt = (Moment, BTreeSet<usize>);

/// Who was taken for dead and was not.
#[derive(Default)]
pub(crate) struct Doubts {
    open: BTreeMap<usize, Doubt>,
    /// Who.
    pub(crate) of: BTreeSet<usize>,
    /// How often somebody took somebody for dead.
    pub(crate) told: usize,
    /// How long it lasted until nobody did any more, for each that is over.
    pub(crate) lasted: Vec<Duration>,
}

impl Doubts {
    /// Forgets them, but those that are not over.
    pub(crate) fn clear(&mut self) {
        self.told = 0;
        self.of.clear();
        self.lasted.clear();
    }
}

impl World {
    /// An agent takes all datagrams that have come before it looks at its list. In a large cluster
    /// that are the ones of a moment.
    pub(super) fn look(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if node.looks > self.now {
            return;
        }
        let Some((members, _)) = node.gossip.changes() else {
            return;
        };
        node.looks = self.now + self.look_every;
        let mut alive = vec![false; node.alive.len()];
        for member in members.iter().filter(|m| m.status == Status::Alive) {
            let number = number(SocketAddr::new(member.address, member.port));
            if alive.len() <= number {
                alive.resize(number + 1, false);
            }
            alive[number] = true;
        }
        node.seen = alive.iter().filter(|alive| **alive).count();
        let before = std::mem::replace(&mut node.alive, alive);
        if self.nodes.len() < LARGE {
            for event in self.nodes[at].roster.take(Origin::Gossip, members) {
                *self.events.entry(event.change).or_default() += 1;
            }
        }
        self.note(at, &before);
    }

    /// Notes who is taken for dead by whom, and until when.
    fn note(&mut self, by: usize, before: &[bool]) {
        for number in 0..self.nodes[by].alive.len() {
            let was = before.get(number).copied().unwrap_or(false);
            let is = self.nodes[by].alive[number];
            if was && !is && self.nodes.get(number).is_some_and(|node| !node.dead) {
                let doubts = &mut self.doubts;
                doubts.told += 1;
                doubts.of.insert(number);
                let fresh = || (self.now, BTreeSet::new());
                doubts.open.entry(number).or_insert_with(fresh).1.insert(by);
            } else if !was
                && is
                && let Some((since, doubters)) = self.doubts.open.get_mut(&number)
                && doubters.remove(&by)
                && doubters.is_empty()
            {
                self.doubts.lasted.push(self.now.since(*since));
                self.doubts.open.remove(&number);
            }
        }
    }

    /// How many living nodes take this one for alive.
    pub(crate) fn believers(&self, number: usize) -> usize {
        let others = self.nodes.iter().filter(|node| !node.dead);
        let believe = |node: &&Node| node.alive.get(number).copied().unwrap_or(false);
        others.filter(believe).count()
    }

    /// How many alive members each living node sees.
    pub(crate) fn views(&self) -> Vec<usize> {
        let living = self.nodes.iter().filter(|node| !node.dead);
        living.map(|node| node.seen).collect()
    }
}
