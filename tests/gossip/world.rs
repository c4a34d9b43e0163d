//! A network of gossiping nodes in memory: it loses, delays and parts, by a seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use pidone::agent::config::Profile;
use pidone::agent::gossip::driver::Gossip;
use pidone::agent::gossip::knowledge::Entry;
use pidone::members::member::{Announced, Origin, Readiness, Status};
use pidone::members::record::{Input, Record};
use pidone::members::roster::{Change, Roster};
use pidone::members::words::Tags;
use pidone::values::Moment;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::bytes::Bytes;
use crate::world::views::Doubts;

mod views;

/// From so many nodes on they do not look at their lists after each datagram, but now and then: to
/// make a list of a thousand members takes half a millisecond, and there are a thousand that do.
pub(crate) const LARGE: usize = 100;
/// While a large cluster starts nobody asks what they see, and they look this often.
const LOOK_AT_BOOT: Duration = Duration::from_millis(500);
/// So long after one another the nodes of a large cluster start.
const BOOT_EVERY: Duration = Duration::from_millis(20);
/// Mostly a datagram takes up to 2 ms, one in twenty up to 20.
pub(crate) const NEAR: Delay = (200..2_000, 2_000..20_000);

/// How long a datagram takes, in microseconds: mostly, and one in twenty.
pub(crate) type Delay = (Range<u64>, Range<u64>);

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
    /// The list as an agent keeps it; of a large cluster only `alive` is kept.
    pub(crate) roster: Roster,
    /// Frozen until then (SIGSTOP).
    pub(crate) stopped: Option<Moment>,
    /// While it is frozen, what comes to it is lost (a machine that is paused).
    pub(crate) is_deaf: bool,
    /// Its clock is so much ahead of the others'.
    ahead: Duration,
    pub(crate) dead: bool,
    /// Bytes that it has sent.
    pub(crate) sent: u64,
    /// How many alive members it sees.
    seen: usize,
    /// Which nodes those are, by their numbers.
    alive: Vec<bool>,
    /// When it has its next turn.
    planned: Option<Moment>,
    /// Before this it does not look at its list again.
    looks: Moment,
}

pub(crate) struct World {
    pub(crate) now: Moment,
    pub(crate) nodes: Vec<Node>,
    post: BinaryHeap<Reverse<Letter>>,
    /// Whose turn is when; what is no longer planned is passed over.
    turns: BinaryHeap<Reverse<(Moment, usize)>>,
    count: u64,
    rng: SmallRng,
    loss: f64,
    pub(crate) delay: Delay,
    /// Somebody lies here: what a node says may be refused for a moment.
    pub(crate) has_liar: bool,
    look_every: Duration,
    /// Nodes below this number do not hear those above.
    pub(crate) cut: Option<usize>,
    pub(crate) bytes: Bytes,
    /// By kind, over all nodes.
    pub(crate) events: BTreeMap<Change, usize>,
    pub(crate) doubts: Doubts,
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn seed() -> u64 {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    seed.unwrap_or(1)
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
            turns: BinaryHeap::new(),
            count: 0,
            rng: SmallRng::seed_from_u64(seed()),
            loss,
            delay: NEAR,
            has_liar: false,
            look_every: Duration::ZERO,
            cut: None,
            bytes: Bytes::default(),
            events: BTreeMap::new(),
            doubts: Doubts::default(),
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
            is_deaf: false,
            ahead: Duration::ZERO,
            dead: false,
            sent: 0,
            seen: 0,
            alive: Vec::new(),
            planned: None,
            looks: self.now,
        }
    }

    /// So many, at once; of a large cluster one after the other.
    pub(crate) fn cluster(nodes: usize, profile: Profile, loss: f64) -> Self {
        Self::cluster_over(nodes, profile, loss, NEAR)
    }

    /// The same over a network that takes so long.
    pub(crate) fn cluster_over(nodes: usize, profile: Profile, loss: f64, delay: Delay) -> Self {
        let mut world = Self::new(loss);
        world.delay = delay;
        let is_large = nodes >= LARGE;
        if is_large {
            world.look_every = LOOK_AT_BOOT;
        }
        for at in 0..nodes {
            world.boot(profile, &format!("n{at}"));
            if is_large {
                world.run(BOOT_EVERY);
            }
        }
        if is_large {
            world.look_every = ms(u64::try_from(nodes / 20).unwrap());
        }
        world
    }

    /// Takes what a node has done: its datagrams, its wish to compare, its list.
    pub(crate) fn collect(&mut self, at: usize) {
        for (to, bytes) in self.nodes[at].gossip.sends() {
            assert!(bytes.len() <= 1159, "{} bytes", bytes.len());
            self.nodes[at].sent += self.bytes.datagram(&bytes);
            self.send(at, to, Post::Datagram(bytes));
        }
        self.look(at);
        let now = self.clock(at);
        if let Some(to) = self.nodes[at].gossip.sync(now) {
            let bytes = knowledge(&self.nodes[at].gossip);
            self.compared(at, bytes.len());
            self.send(at, to, Post::Knowledge(bytes, true));
        }
        let node = &mut self.nodes[at];
        let due = node.gossip.deadline().map(|due| due.before(node.ahead));
        if due != node.planned {
            node.planned = due;
            self.turns.extend(due.map(|due| Reverse((due, at))));
        }
    }

    fn compared(&mut self, at: usize, bytes: usize) {
        self.bytes.compare += bytes as u64;
        self.nodes[at].sent += bytes as u64;
    }

    fn send(&mut self, from: usize, to: SocketAddr, post: Post) {
        let parted = self
            .cut
            .is_some_and(|cut| (from < cut) != (number(to) < cut));
        let lossy = matches!(post, Post::Datagram(_));
        if parted || (lossy && self.rng.random_bool(self.loss)) || self.nodes[from].dead {
            return;
        }
        let delay = match self.rng.random_range(0..100) {
            0..95 => self.delay.0.clone(),
            _slow => self.delay.1.clone(),
        };
        let delay = self.rng.random_range(delay);
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
            let turn = self.turns.peek().map(|Reverse((at, _))| *at);
            let next = [mail, turn].into_iter().flatten().chain([seek, end]);
            self.now = self.now.max(next.min().unwrap());
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
            while self
                .turns
                .peek()
                .is_some_and(|Reverse((at, _))| *at <= self.now)
            {
                let Reverse((due, at)) = self.turns.pop().unwrap();
                self.turn(at, due);
            }
        }
    }

    /// What the clock of this node shows.
    pub(crate) fn clock(&self, at: usize) -> Moment {
        self.now + self.nodes[at].ahead
    }

    /// The clock of this node jumps, and is so much ahead from now on.
    pub(crate) fn jump(&mut self, at: usize, ahead: Duration) {
        self.nodes[at].ahead = ahead;
        self.nodes[at].planned = Some(self.now);
        self.turns.push(Reverse((self.now, at)));
    }

    fn turn(&mut self, at: usize, due: Moment) {
        let node = &mut self.nodes[at];
        if node.dead || node.planned != Some(due) {
            return;
        }
        if let Some(until) = node.stopped.filter(|until| *until > self.now) {
            node.planned = Some(until);
            self.turns.push(Reverse((until, at)));
            return;
        }
        (node.stopped, node.planned) = (None, None);
        node.gossip.tick(self.now + node.ahead);
        self.collect(at);
    }

    fn seek(&mut self) {
        for at in 0..self.nodes.len() {
            let node = &mut self.nodes[at];
            if !node.dead && node.stopped.is_none() {
                node.gossip.contact(&[address(0)], self.now + node.ahead);
                self.collect(at);
            }
        }
    }

    fn deliver(&mut self, from: usize, to: usize, post: Post) {
        let Some(node) = self.nodes.get_mut(to).filter(|node| !node.dead) else {
            return;
        };
        if let Some(until) = node.stopped.filter(|until| *until > self.now) {
            if node.is_deaf {
                return;
            }
            // The kernel keeps it.
            self.count += 1;
            let again = (until, self.count, from, address(to), post);
            self.post.push(Reverse(again));
            return;
        }
        match post {
            Post::Datagram(bytes) => {
                let is_taken = node.gossip.datagram(&bytes, self.now + node.ahead);
                assert!(is_taken || self.has_liar, "{bytes:?}");
            }
            Post::Knowledge(bytes, wants) => {
                let mut input = Input(&bytes);
                let mut entries = Vec::new();
                while !input.0.is_empty() {
                    entries.push(Entry::read(&mut input).unwrap());
                }
                node.gossip.learn(entries, self.now + node.ahead);
                if wants {
                    let back = knowledge(&self.nodes[to].gossip);
                    self.compared(to, back.len());
                    self.send(to, address(from), Post::Knowledge(back, false));
                }
            }
        }
        self.collect(to);
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

pub(crate) fn knowledge(gossip: &Gossip) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in gossip.knowledge() {
        entry.put(&mut bytes);
    }
    bytes
}
