//! A network of gossiping nodes in memory: it loses, delays and parts, by a seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

use pidone::agent::config::Profile;
use pidone::agent::gossip::driver::Gossip;
use pidone::agent::gossip::knowledge::Entry;
use pidone::members::member::{Announced, Member, Origin, Readiness, Status};
use pidone::members::record::{Input, Record};
use pidone::members::roster::{Change, Roster};
use pidone::members::words::Tags;
use pidone::values::Moment;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// What is on its way.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Post {
    Datagram(Vec<u8>),
    /// All that a node knows, by a session, and whether it wants the same back.
    Knowledge(Vec<u8>, bool),
}

/// When it comes, its number, from whom, to where, and what.
type Letter = (Moment, u64, usize, SocketAddr, Post);

pub(crate) struct Node {
    pub(crate) gossip: Gossip,
    pub(crate) roster: Roster,
    /// Frozen until then (SIGSTOP).
    pub(crate) stopped: Option<Moment>,
    pub(crate) dead: bool,
}

pub(crate) struct World {
    pub(crate) now: Moment,
    pub(crate) nodes: Vec<Node>,
    post: BinaryHeap<Reverse<Letter>>,
    count: u64,
    rng: SmallRng,
    loss: f64,
    /// Nodes below this number do not hear those above.
    pub(crate) cut: Option<usize>,
    pub(crate) bytes: u64,
    /// By kind, over all nodes.
    pub(crate) events: BTreeMap<Change, usize>,
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn seed() -> u64 {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    seed.unwrap_or(1)
}

pub(crate) fn is_full() -> bool {
    std::env::var("GOSSIP").is_ok_and(|word| word == "full")
}

pub(crate) fn address(at: usize) -> SocketAddr {
    let [_, _, high, low] = u32::try_from(at).unwrap().to_be_bytes();
    SocketAddr::new([10, 1, high, low].into(), 7946)
}

fn number(address: SocketAddr) -> usize {
    match address {
        SocketAddr::V4(v4) => {
            let [_, _, high, low] = v4.ip().octets();
            usize::from(high) * 256 + usize::from(low)
        }
        SocketAddr::V6(_) => unreachable!("all are v4"),
    }
}

impl World {
    pub(crate) fn new(loss: f64) -> Self {
        Self {
            now: Moment::at(ms(1000)),
            nodes: Vec::new(),
            post: BinaryHeap::new(),
            count: 0,
            rng: SmallRng::seed_from_u64(seed()),
            loss,
            cut: None,
            bytes: 0,
            events: BTreeMap::new(),
        }
    }

    /// A node that knows the first one as its seed.
    pub(crate) fn boot(&mut self, profile: Profile, name: &str) -> usize {
        let at = self.nodes.len();
        self.nodes.push(self.node(at, profile, name));
        at
    }

    pub(crate) fn node(&self, at: usize, profile: Profile, name: &str) -> Node {
        let born = u64::try_from(self.now.since_origin().as_millis()).unwrap();
        let own = Record {
            agent: address(at),
            born,
            life: born,
            sequence: 0,
            name: name.parse().unwrap(),
            status: Status::Alive,
            tags: Tags::default(),
            services: vec![Announced {
                name: "web".parse().unwrap(),
                port: 80,
                readiness: Readiness::Unready,
            }],
        };
        let chance = seed() * 10_000 + born + u64::try_from(at).unwrap();
        Node {
            gossip: Gossip::new(own, profile, chance, self.now),
            roster: Roster::new(&[Origin::Gossip], 0),
            stopped: None,
            dead: false,
        }
    }

    pub(crate) fn cluster(nodes: usize, profile: Profile, loss: f64) -> Self {
        let mut world = Self::new(loss);
        for at in 0..nodes {
            world.boot(profile, &format!("n{at}"));
        }
        world
    }

    /// Takes what a node has done: its datagrams, its wish to compare, its list.
    pub(crate) fn collect(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        for (to, bytes) in node.gossip.sends() {
            assert!(bytes.len() <= 1159, "{} bytes", bytes.len());
            self.bytes += bytes.len() as u64 + 41 + 28;
            self.send(at, to, Post::Datagram(bytes));
        }
        let node = &mut self.nodes[at];
        if let Some((members, _)) = node.gossip.changes() {
            for event in node.roster.take(Origin::Gossip, members) {
                *self.events.entry(event.change).or_default() += 1;
            }
        }
        if let Some(to) = self.nodes[at].gossip.sync(self.now) {
            let bytes = knowledge(&self.nodes[at].gossip);
            self.bytes += bytes.len() as u64;
            self.send(at, to, Post::Knowledge(bytes, true));
        }
    }

    fn send(&mut self, from: usize, to: SocketAddr, post: Post) {
        let parted = self
            .cut
            .is_some_and(|cut| (from < cut) != (number(to) < cut));
        let lossy = matches!(post, Post::Datagram(_));
        if parted || (lossy && self.rng.random_bool(self.loss)) || self.nodes[from].dead {
            return;
        }
        // Mostly a millisecond, at times twenty.
        let delay = match self.rng.random_range(0..100) {
            0..95 => self.rng.random_range(200..2_000),
            _slow => self.rng.random_range(2_000..20_000),
        };
        self.count += 1;
        let at = self.now + Duration::from_micros(delay);
        self.post.push(Reverse((at, self.count, from, to, post)));
    }

    /// Lets it run for so long.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        // Each looks for its seed once a second.
        let mut seek = self.now;
        while self.now < end {
            let mail = self.post.peek().map(|Reverse((at, ..))| *at);
            let due = self
                .nodes
                .iter()
                .filter(|node| !node.dead)
                .filter_map(|node| {
                    let due = node.gossip.deadline()?;
                    Some(node.stopped.map_or(due, |until| due.max(until)))
                });
            let next = due.chain(mail).chain([seek, end]).min().unwrap();
            self.now = self.now.max(next);
            if self.now >= seek {
                seek = self.now + ms(1000);
                self.seek();
            }
            while self
                .post
                .peek()
                .is_some_and(|Reverse((at, ..))| *at <= self.now)
            {
                let Reverse((_, _, from, to, post)) = self.post.pop().unwrap();
                self.deliver(from, number(to), post);
            }
            for at in 0..self.nodes.len() {
                let node = &mut self.nodes[at];
                let frozen = node.stopped.is_some_and(|until| until > self.now);
                if !node.dead && !frozen {
                    node.stopped = None;
                    if node.gossip.deadline().is_some_and(|due| due <= self.now) {
                        node.gossip.tick(self.now);
                        self.collect(at);
                    }
                }
            }
        }
    }

    fn seek(&mut self) {
        for at in 0..self.nodes.len() {
            let node = &mut self.nodes[at];
            if !node.dead && node.stopped.is_none() {
                node.gossip.contact(&[address(0)], self.now);
                self.collect(at);
            }
        }
    }

    fn deliver(&mut self, from: usize, to: usize, post: Post) {
        let Some(node) = self.nodes.get_mut(to).filter(|node| !node.dead) else {
            return;
        };
        if let Some(until) = node.stopped.filter(|until| *until > self.now) {
            // The kernel keeps it.
            self.count += 1;
            let again = (until, self.count, from, address(to), post);
            self.post.push(Reverse(again));
            return;
        }
        match post {
            Post::Datagram(bytes) => {
                assert!(node.gossip.datagram(&bytes, self.now), "{bytes:?}");
            }
            Post::Knowledge(bytes, wants) => {
                let mut input = Input(&bytes);
                let mut entries = Vec::new();
                while !input.0.is_empty() {
                    entries.push(Entry::read(&mut input).unwrap());
                }
                node.gossip.learn(entries, self.now);
                if wants {
                    let back = knowledge(&self.nodes[to].gossip);
                    self.bytes += back.len() as u64;
                    self.send(to, address(from), Post::Knowledge(back, false));
                }
            }
        }
        self.collect(to);
    }

    /// How many alive members each living node sees.
    pub(crate) fn views(&self) -> Vec<usize> {
        let living = self.nodes.iter().filter(|node| !node.dead);
        living
            .map(|node| {
                let alive = |m: &&Member| m.status == Status::Alive;
                node.roster.members().filter(alive).count()
            })
            .collect()
    }

    /// Runs until each living node sees so many; how long that took.
    pub(crate) fn until(&mut self, alive: usize, within: Duration) -> Duration {
        let start = self.now;
        while !self.views().iter().all(|seen| *seen == alive) {
            let took = self.now.since(start);
            assert!(took < within, "after {took:?}: {:?}", self.views());
            self.run(ms(20));
        }
        self.now.since(start)
    }

    pub(crate) fn told(&mut self, change: Change) -> usize {
        self.events.remove(&change).unwrap_or(0)
    }
}

fn knowledge(gossip: &Gossip) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in gossip.knowledge() {
        entry.put(&mut bytes);
    }
    bytes
}
