//! The gossip of whole clusters over a network that loses, delays and parts, by a seed, without a
//! socket: `SEED=7` plays one again, `GOSSIP=full` plays the long ones (an hour, 1,000 nodes).

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

use pidone::agent::config::Profile;
use pidone::agent::gossip::driver::Gossip;
use pidone::agent::gossip::knowledge::Entry;
use pidone::members::member::{Announced, Member, Origin, Readiness, Status};
use pidone::members::record::Record;
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

struct Node {
    gossip: Gossip,
    roster: Roster,
    /// Frozen until then (SIGSTOP).
    stopped: Option<Moment>,
    dead: bool,
}

struct World {
    now: Moment,
    nodes: Vec<Node>,
    post: BinaryHeap<Reverse<(Moment, u64, usize, SocketAddr, Post)>>,
    count: u64,
    rng: SmallRng,
    loss: f64,
    /// Nodes below this number do not hear those above.
    cut: Option<usize>,
    bytes: u64,
    /// By kind, over all nodes.
    events: BTreeMap<Change, usize>,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn seed() -> u64 {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    seed.unwrap_or(1)
}

fn is_full() -> bool {
    std::env::var("GOSSIP").is_ok_and(|word| word == "full")
}

fn address(at: usize) -> SocketAddr {
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
    fn new(loss: f64) -> Self {
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
    fn boot(&mut self, profile: Profile, name: &str) -> usize {
        let at = self.nodes.len();
        self.nodes.push(self.node(at, profile, name));
        at
    }

    fn node(&self, at: usize, profile: Profile, name: &str) -> Node {
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

    fn cluster(nodes: usize, profile: Profile, loss: f64) -> Self {
        let mut world = Self::new(loss);
        for at in 0..nodes {
            world.boot(profile, &format!("n{at}"));
        }
        world
    }

    /// Takes what a node has done: its datagrams, its wish to compare, its list.
    fn collect(&mut self, at: usize) {
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
    fn run(&mut self, span: Duration) {
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
                let mut input = pidone::members::record::Input(&bytes);
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
    fn views(&self) -> Vec<usize> {
        let living = self.nodes.iter().filter(|node| !node.dead);
        living
            .map(|node| {
                let alive = |m: &&Member| m.status == Status::Alive;
                node.roster.members().filter(alive).count()
            })
            .collect()
    }

    /// Runs until each living node sees so many; how long that took.
    fn until(&mut self, alive: usize, within: Duration) -> Duration {
        let start = self.now;
        while !self.views().iter().all(|seen| *seen == alive) {
            let took = self.now.since(start);
            assert!(took < within, "after {took:?}: {:?}", self.views());
            self.run(ms(20));
        }
        self.now.since(start)
    }

    fn told(&mut self, change: Change) -> usize {
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

#[test]
fn three_nodes_live_and_die() {
    for profile in [Profile::Default, Profile::Fast] {
        let mut world = World::cluster(3, profile, 0.0);
        let joined = world.until(3, ms(3000));
        world.run(ms(5000));
        // One is killed.
        world.nodes[1].dead = true;
        let noticed = world.until(2, ms(3000));
        let limit = if profile == Profile::Fast { 500 } else { 1200 };
        assert!(noticed <= ms(limit), "{profile:?}: {noticed:?}");
        assert_eq!(world.told(Change::Failed), 2);
        // It comes back at the same address, as another life.
        world.nodes[1] = world.node(1, profile, "n1");
        let back = world.until(3, ms(3000));
        // One leaves.
        let now = world.now;
        world.nodes[2].gossip.leave(now);
        world.collect(2);
        world.run(ms(150));
        world.nodes[2].dead = true;
        let left = world.until(2, ms(3000));
        // The two others, and itself.
        assert_eq!(
            (world.told(Change::Leave), world.told(Change::Failed)),
            (3, 0)
        );
        println!(
            "{profile:?}: joined {joined:?}, failed after {noticed:?}, back {back:?}, left {left:?}"
        );
    }
}

#[test]
fn readiness_travels_at_once() {
    let mut world = World::cluster(10, Profile::Default, 0.05);
    world.until(10, ms(5000));
    world.run(ms(5000));
    let ready = [Announced {
        name: "web".parse().unwrap(),
        port: 80,
        readiness: Readiness::Ready,
    }];
    let now = world.now;
    world.nodes[4].gossip.announce(&ready, now);
    world.collect(4);
    world.run(ms(300));
    for node in &world.nodes {
        assert!(node.roster.get("n4").unwrap().is_ready());
    }
    assert_eq!(world.told(Change::Failed), 0);
}

/// A network that is cut in two, and grows together again.
#[test]
fn what_was_parted_grows_together() {
    for (nodes, cut) in [(2, 1), (3, 1), (6, 3), (20, 7)] {
        let mut world = World::cluster(nodes, Profile::Default, 0.02);
        world.until(nodes, ms(5000));
        world.run(ms(3000));
        world.cut = Some(cut);
        world.run(ms(6000));
        let views = world.views();
        assert!(views[..cut].iter().all(|seen| *seen == cut), "{views:?}");
        assert!(
            views[cut..].iter().all(|seen| *seen == nodes - cut),
            "{views:?}"
        );
        world.cut = None;
        let healed = world.until(nodes, ms(10_000));
        println!("{nodes} nodes cut at {cut}: whole {healed:?} after the cut's end");
        world.events.clear();
        world.run(ms(5000));
        assert_eq!(world.told(Change::Failed), 0);
        assert!(nodes > 3 || healed <= ms(2000), "{healed:?}");
    }
}

/// A node that stood still takes nobody for dead.
#[test]
fn who_slept_suspects_nobody() {
    for round in 0..20 {
        let mut world = World::cluster(5, Profile::Default, 0.0);
        world.until(5, ms(5000));
        world.run(ms(3000 + round * 37));
        world.nodes[2].stopped = Some(world.now + ms(1000));
        world.events.clear();
        world.run(ms(5000));
        // The others may have missed it; it has missed nobody.
        let seen = world.nodes[2].roster.members();
        assert!(seen.into_iter().all(|m| m.status == Status::Alive));
        assert!(world.told(Change::Failed) <= 4);
        world.until(5, ms(3000));
        assert!(world.nodes[2].gossip.stood_still() >= ms(300));
    }
}

#[test]
fn the_first_of_two_with_one_name_keeps_it() {
    let mut world = World::cluster(3, Profile::Default, 0.0);
    world.until(3, ms(3000));
    world.boot(Profile::Default, "n1");
    world.run(ms(3000));
    for node in &world.nodes {
        assert_eq!(node.roster.get("n1").unwrap().address, address(1).ip());
        assert_eq!(node.roster.members().count(), 3);
    }
    // Only the newcomer had believed itself to be it.
    assert_eq!(
        (world.told(Change::Failed), world.told(Change::Update)),
        (0, 1)
    );
    // When the first is gone, the other is there.
    world.nodes[1].dead = true;
    world.run(ms(3000));
    for node in world.nodes.iter().filter(|node| !node.dead) {
        assert_eq!(node.roster.get("n1").unwrap().address, address(3).ip());
    }
}

/// A clock that was set back between two starts harms nobody.
#[test]
fn a_clock_may_be_set_back() {
    let mut world = World::cluster(3, Profile::Default, 0.0);
    world.until(3, ms(3000));
    world.run(ms(100_000));
    let mut past = World::new(0.0);
    past.now = Moment::at(ms(10));
    world.nodes[1] = past.node(1, Profile::Default, "n1");
    world.run(ms(4000));
    assert_eq!(world.views(), [3, 3, 3]);
}

fn long(nodes: usize, loss: f64, span: Duration) {
    let mut world = World::cluster(nodes, Profile::Default, loss);
    let joined = world.until(nodes, ms(60_000));
    world.run(ms(3000));
    let (start, before) = (world.now, world.bytes);
    world.events.clear();
    world.run(span);
    let span = world.now.since(start).as_secs();
    let each = (world.bytes - before) / (nodes as u64 * span);
    let failed = world.told(Change::Failed);
    println!(
        "{nodes} nodes, {:.0} % loss, {span} s: whole after {joined:?}, {each} B/node/s, \
         {failed} false failures",
        loss * 100.0
    );
    assert!(failed == 0 || loss > 0.05);
    world.until(nodes, ms(60_000));
}

#[test]
fn nobody_fails_falsely_for_five_percent() {
    let full = is_full();
    long(3, 0.05, Duration::from_secs(if full { 3600 } else { 600 }));
    long(30, 0.05, Duration::from_secs(if full { 3600 } else { 60 }));
}

#[test]
fn large_clusters_converge() {
    let full = is_full();
    if !full {
        // A tenth of it within a debug build's patience.
        long(60, 0.05, Duration::from_secs(5));
        return;
    }
    long(300, 0.05, Duration::from_secs(60));
    long(1000, 0.05, Duration::from_secs(10));
    for nodes in [3, 30, 300] {
        long(nodes, 0.2, Duration::from_secs(60));
    }
}
