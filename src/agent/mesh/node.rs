//! The mesh at work: the sockets of one node, its gossip, whom it watches and who watches it. It is
//! a part of the agent's loop: [`Mesh::next`] waits for whatever comes, and tells what came of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::agent::config::{Config, Profile};
use crate::agent::gossip::directory::{Evidence, Twins};
use crate::agent::gossip::driver::Gossip;
use crate::agent::mesh::frame;
use crate::agent::mesh::seal::{Key, SEALED_BYTES_MAX, Sealer};
use crate::agent::mesh::session::{self, Seen, Watch};
use crate::agent::mesh::watches::Watches;
use crate::agent::mesh::{parts, seeds};
use crate::members::member::{Announced, Member};
use crate::members::words::MemberName;
use crate::os::{clock, random};
use crate::values::Moment;
use crate::values::lists;

/// What sessions have seen and the loop has not.
const QUEUE: usize = 256;
/// So many datagrams are taken in a row before anything else has its turn.
const BATCH: usize = 256;
/// Comparisons that go on at once.
const COMPARES_MAX: usize = 4;
/// Seeds are looked for this often; in a large cluster more rarely, for somebody finds them.
const SEEK: Duration = Duration::from_secs(1);
/// What each member adds to it.
const SEEK_EACH: Duration = Duration::from_millis(10);
/// Who does not watch makes a list of the members so often at most, for each of them: it costs some
/// microseconds each, and a hundred who come at once would be a hundred lists at every node.
const LIST_EACH: Duration = Duration::from_millis(1);
/// So long we stay to tell that we leave.
const FAREWELL: Duration = Duration::from_millis(150);

/// What came of it.
#[derive(Debug)]
pub enum Told {
    /// The members, all of them.
    Members(Vec<Member>),
    /// Something for people to read.
    Line(String),
    /// Every watcher has acted on what we last announced.
    Heard,
    /// One whom we watch has spoken, and waits to hear that we have acted.
    Said,
}

/// What was refused, and how often.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Refused {
    /// Datagrams of nobody with our key: noise, another key, too long, cut short.
    pub unsealed: u64,
    /// Datagrams that were sealed, and said nothing that we understand.
    pub malformed: u64,
    /// Connections of nobody with our key.
    pub sessions: u64,
}

/// One who watches us.
pub(super) struct Watcher {
    pub(super) frames: mpsc::Sender<Vec<u8>>,
    /// The life and number on which it has acted.
    pub(super) heard: (u64, u32),
}

/// The sockets and sessions of this node.
pub struct Mesh {
    pub(super) gossip: Gossip,
    socket: UdpSocket,
    sealer: Sealer,
    key: Option<Key>,
    ping: Duration,
    pub(super) seen: (mpsc::Sender<Seen>, mpsc::Receiver<Seen>),
    found: mpsc::Receiver<Vec<SocketAddr>>,
    pace: watch::Sender<Duration>,
    pub(super) tasks: JoinSet<()>,
    compares: JoinSet<()>,
    pub(super) watches: Option<Watches>,
    pub(super) watchers: BTreeMap<u64, Watcher>,
    /// Lost by the gossip, unwatched, and asked for a sign of life.
    pub(super) held: BTreeSet<SocketAddr>,
    /// The next list of the members is made then, if they are others.
    list_at: Moment,
    pub(super) told: VecDeque<Told>,
    twins: BTreeSet<Twins>,
    pub(super) refused: Refused,
    state_dir: Option<PathBuf>,
    peers: Vec<SocketAddr>,
    /// The life and number of the record that the watchers were sent last.
    pushed: (u64, u32),
    /// It is not heard by all of them yet.
    is_unheard: bool,
}

impl Mesh {
    /// Listens, and begins to look for others.
    ///
    /// # Errors
    /// A sentence for the user: what it cannot begin without.
    pub async fn open(config: &Config, name: MemberName) -> Result<Self, String> {
        let key = parts::key(config)?;
        let at = config.bind;
        if key.is_none() && !at.ip().is_loopback() && !config.insecure {
            return Err(format!("there is no key, and {at} is not loopback"));
        }
        let cannot = |error| format!("cannot listen at {at}: {error}");
        let listener = TcpListener::bind(at).await.map_err(cannot)?;
        let bound = listener.local_addr().map_err(cannot)?;
        let socket = UdpSocket::bind(bound).await.map_err(cannot)?;
        let agent = parts::advertised(config, bound).await;
        let mut chance = [0; 32];
        random::fill(&mut chance).map_err(|error| format!("cannot get chance: {error}"))?;
        let (nonce, rest) = chance.split_at(24);
        let lot = u64::from_be_bytes(rest.try_into().unwrap_or_default());
        let now = clock::now();
        let own = parts::own_record(config, name, agent)?;
        let seen = mpsc::channel(QUEUE);
        let (tell, found) = mpsc::channel(16);
        let (pace, paced) = watch::channel(SEEK);
        let mut tasks = JoinSet::new();
        tasks.spawn(session::listen(listener, key.clone(), seen.0.clone()));
        for (number, each) in config.seeds.iter().enumerate() {
            let byte = chance.get(number % 32).copied().unwrap_or(0);
            let rhythm = 0.8 + f64::from(byte) / 255.0 * 0.4;
            tasks.spawn(seeds::seek(
                each.clone(),
                rhythm,
                paced.clone(),
                tell.clone(),
            ));
        }
        let mut mesh = Self {
            gossip: Gossip::new(own, config.profile, lot, now),
            socket,
            sealer: Sealer::new(key.as_ref(), nonce.try_into().unwrap_or_default()),
            key,
            ping: Duration::from_millis(match config.profile {
                Profile::Default => 200,
                Profile::Fast => 100,
            }),
            seen,
            found,
            pace,
            tasks,
            compares: JoinSet::new(),
            watches: config.watches().then(Watches::default),
            watchers: BTreeMap::new(),
            held: BTreeSet::new(),
            list_at: now,
            told: VecDeque::new(),
            twins: BTreeSet::new(),
            refused: Refused::default(),
            state_dir: config.state_dir.clone(),
            peers: Vec::new(),
            pushed: (0, 0),
            is_unheard: false,
        };
        let known = config.state_dir.as_deref().map(parts::remembered);
        mesh.gossip.contact(&known.unwrap_or_default(), now);
        let line = format!("listening at {bound}, others reach it at {agent}");
        mesh.told.push_back(Told::Line(line));
        mesh.settle(now);
        Ok(mesh)
    }

    /// Waits for what comes, and tells what came of it. Cancel-safe.
    pub async fn next(&mut self) -> Told {
        loop {
            if let Some(told) = self.told.pop_front() {
                return told;
            }
            let now = clock::now();
            let list = self.gossip.has_changed().then_some(self.list_at);
            let due = [self.gossip.deadline(), self.watch_deadline(), list];
            let due = due.into_iter().flatten().min();
            let due = due.map_or(SEEK, |due| due.since(now));
            tokio::select! {
                _ = self.socket.readable() => {}
                Some(seen) = self.seen.1.recv() => self.see(seen, clock::now()),
                Some(found) = self.found.recv() => self.gossip.contact(&found, clock::now()),
                () = sleep(due) => {}
            }
            self.turn(clock::now());
        }
    }

    /// First what has come, then what is due: who stood still has not heard the answers yet.
    fn turn(&mut self, now: Moment) {
        let mut buffer = [0; SEALED_BYTES_MAX + 1];
        for _ in 0..BATCH {
            match self.socket.try_recv_from(&mut buffer) {
                Ok((length, _)) => self.datagram(buffer.get(..length).unwrap_or_default(), now),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // An answer that somebody's port is closed (udp(7)) comes as an error of ours.
                Err(_) => {}
            }
        }
        self.gossip.tick(now);
        self.settle(now);
    }

    fn datagram(&mut self, bytes: &[u8], now: Moment) {
        let Some(text) = self.sealer.open(bytes) else {
            self.refused.unsealed += 1;
            return;
        };
        if !self.gossip.datagram(&text, now) {
            self.refused.malformed += 1;
        }
    }

    /// Sends what is to be sent, dials whom there is to dial, tells what has changed.
    pub(super) fn settle(&mut self, now: Moment) {
        while self.compares.try_join_next().is_some() {}
        while self.tasks.try_join_next().is_some() {}
        if self.compares.len() < COMPARES_MAX
            && let Some(agent) = self.gossip.sync(now)
        {
            let frames = frame::entries(&self.gossip.knowledge());
            let seen = self.seen.0.clone();
            self.compares
                .spawn(session::compare(agent, self.key.clone(), frames, seen));
        }
        self.push();
        self.hold_fallen(now);
        let is_to_list = self.watches.is_some() || self.list_at <= now;
        let changes = is_to_list.then(|| self.gossip.changes()).flatten();
        let is_due = self.watch_deadline().is_some_and(|due| due <= now);
        if changes.is_some() || is_due {
            self.dial(now);
        }
        if let Some((members, twins)) = changes {
            let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
            self.list_at = now + LIST_EACH.saturating_mul(count);
            self.tell_twins(twins);
            self.told.push_back(Told::Members(members));
            self.keep_peers();
        }
        for (to, text) in self.gossip.sends() {
            if let Some(datagram) = self.sealer.seal(&text) {
                // A datagram may be lost anywhere, here too.
                let _ = self.socket.try_send_to(&datagram, to);
            }
        }
    }

    pub(super) fn dial(&mut self, now: Moment) {
        let Some(watches) = &mut self.watches else {
            return;
        };
        for agent in watches.overdue(now) {
            self.gossip.saw(agent, Evidence::None, now);
        }
        let up = self.gossip.others();
        watches.forget(&up);
        for (agent, heard) in watches.dial(&up, now) {
            let watch = Watch {
                agent,
                key: self.key.clone(),
                ping: self.ping,
            };
            let seen = self.seen.0.clone();
            self.tasks.spawn(session::watch(watch, heard, seen));
        }
    }

    fn watch_deadline(&self) -> Option<Moment> {
        self.watches.as_ref().and_then(Watches::deadline)
    }

    fn tell_twins(&mut self, twins: Vec<Twins>) {
        let own = self.gossip.own().agent;
        let twins: BTreeSet<Twins> = lists::filled(twins);
        for twin in twins.difference(&self.twins) {
            let (name, keeps) = (&twin.name, twin.keeps);
            let line = if twin.refused == own {
                format!("this node is no member: the name {name:?} is that of {keeps}")
            } else {
                let refused = twin.refused;
                format!("{refused} is refused: the name {name:?} is that of {keeps}")
            };
            self.told.push_back(Told::Line(line));
        }
        self.twins = twins;
    }

    fn keep_peers(&mut self) {
        let peers = self.gossip.others();
        // A large cluster is told slowly; when alone, the last known are worth more than none.
        let _ = self.pace.send_if_modified(|pace| {
            let count = u32::try_from(peers.len()).unwrap_or(u32::MAX);
            let fresh = SEEK.max(SEEK_EACH.saturating_mul(count));
            std::mem::replace(pace, fresh) != fresh
        });
        let Some(dir) = &self.state_dir else { return };
        if peers.is_empty() || peers == self.peers {
            return;
        }
        if let Err(why) = parts::remember(dir, &peers) {
            self.told.push_back(Told::Line(why));
        }
        self.peers = peers;
    }

    /// Announces this from now on: to the watchers at once, to all by the gossip.
    pub fn announce(&mut self, services: &[Announced]) {
        let now = clock::now();
        self.gossip.announce(services, now);
        self.settle(now);
    }

    /// Sends our record to every watcher, when it is another.
    fn push(&mut self) {
        let own = self.gossip.own();
        let last = (own.life, own.sequence);
        if self.pushed == last {
            return;
        }
        self.pushed = last;
        self.is_unheard = true;
        if let Some(frame) = frame::record(own) {
            for watcher in self.watchers.values() {
                // A full queue belongs to one who does not listen.
                let _ = watcher.frames.try_send(frame.clone());
            }
        }
    }

    pub(super) fn tell_heard(&mut self) {
        if self.is_unheard && self.is_heard() {
            self.is_unheard = false;
            self.told.push_back(Told::Heard);
        }
    }

    /// Whether every watcher has acted on what we last announced, and there is one. Without any,
    /// nobody says when the gossip has come around.
    pub fn is_heard(&self) -> bool {
        let own = self.gossip.own();
        let last = (own.life, own.sequence);
        let heard = |watcher: &Watcher| watcher.heard >= last;
        !self.watchers.is_empty() && self.watchers.values().all(heard)
    }

    /// Whether somebody waits to hear that we have acted on what he said.
    pub fn is_owing(&self) -> bool {
        let is_told = !self
            .told
            .iter()
            .any(|told| matches!(told, Told::Members(_)));
        is_told && self.watches.as_ref().is_some_and(Watches::is_owing)
    }

    /// We have acted on all that was told.
    pub fn acted(&mut self) {
        if let Some(watches) = &mut self.watches {
            watches.acted(frame::heard);
        }
    }

    /// What was refused so far.
    pub fn refused(&self) -> Refused {
        self.refused
    }

    /// Leaves the cluster, and stays for a moment to tell it.
    pub async fn leave(&mut self) {
        let now = clock::now();
        self.gossip.leave(now);
        self.settle(now);
        let by = now + FAREWELL;
        while clock::now() < by {
            let left = by.since(clock::now());
            tokio::select! {
                told = self.next() => {
                    if matches!(told, Told::Heard) {
                        return;
                    }
                }
                () = sleep(left) => {}
            }
        }
    }
}
