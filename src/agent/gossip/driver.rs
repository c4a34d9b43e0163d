//! The driver of the gossip: what comes in goes to foca, what foca wants goes out, and beside it
//! three habits of our own. News are passed on at once, not at the next round. Whoever is lost is
//! looked for, so that a network that was cut grows together again. And whose record is missing is
//! asked for it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use foca::{Foca, Notification, OwnedNotification, Runtime, State, Timer};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::agent::config::Profile;
use crate::agent::gossip::bounds::TIDY_EVERY;
use crate::agent::gossip::directory::{Directory, Evidence, Twins};
use crate::agent::gossip::exchange::COMPARE_EVERY;
use crate::agent::gossip::pace::{settings, times};
use crate::agent::gossip::peer::{Peer, Wire};
use crate::agent::gossip::records::{Records, Spread};
use crate::agent::gossip::steady::Steady;
use crate::agent::gossip::timers::Timers;
use crate::members::member::{Member, Readiness};
use crate::members::record::Record;
use crate::values::Moment;

/// A datagram before it is sealed, in bytes: sealed it has at most 1,200.
pub const DATAGRAM_BYTES_MAX: usize = 1159;

/// Lost members are looked for this often, the recent ones.
const SEEK_EVERY: Duration = Duration::from_millis(500);

/// After so long a lost member is looked for more rarely.
const RECENT: Duration = Duration::from_secs(600);

/// So many lost members are looked for at once.
const SEEK_MAX: usize = 3;

/// What foca wants done.
#[derive(Default, Debug)]
pub(super) struct Wants {
    sends: Vec<(SocketAddr, Vec<u8>)>,
    timers: Vec<(Duration, Timer<Peer>)>,
    news: Vec<OwnedNotification<Peer>>,
}

impl Runtime<Peer> for Wants {
    fn notify(&mut self, notification: Notification<'_, Peer>) {
        self.news.push(notification.to_owned());
    }

    fn send_to(&mut self, to: Peer, data: &[u8]) {
        self.sends.push((to.agent, data.to_vec()));
    }

    fn submit_after(&mut self, event: Timer<Peer>, after: Duration) {
        self.timers.push((after, event));
    }
}

/// The gossip of one node.
pub struct Gossip {
    pub(super) foca: Foca<Peer, Wire, SmallRng, Spread>,
    profile: Profile,
    pub(super) clock: Steady,
    /// Since when this gossip is there.
    pub(super) started: Moment,
    /// No later life is believed.
    pub(super) latest: Rc<Cell<u64>>,
    timers: Timers,
    pub(super) wants: Wants,
    pub(super) records: Rc<RefCell<Records>>,
    pub(super) directory: Directory,
    pub(super) own: Record,
    pub(super) rng: SmallRng,
    /// News are passed on then.
    hurry: Option<Moment>,
    /// Lost members are looked for then, if there are any.
    seek: Option<Moment>,
    /// All is compared with somebody then.
    pub(super) compare: Moment,
    /// Whether all who are up have said something is looked at then.
    pub(super) look: Option<Moment>,
    /// Who is gone for long is forgotten then.
    pub(super) tidy: Moment,
    /// Somebody is to be asked for all that he knows.
    pub(super) is_new: bool,
    /// It has left, and says nothing more of its own.
    pub(super) has_left: bool,
    /// The directory is another since it was last asked.
    pub(super) changed: bool,
    /// Lost since it was last asked, and still.
    fallen: BTreeSet<SocketAddr>,
}

impl Gossip {
    /// The gossip of the member that says `own` of itself; its life is `own.life`. `seed` is for
    /// what is left to chance.
    pub fn new(own: Record, profile: Profile, seed: u64, now: Moment) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let latest = Rc::new(Cell::new(u64::MAX));
        let records = Records::new(own.agent, Rc::clone(&latest));
        let records = Rc::new(RefCell::new(records));
        let peer = Peer {
            life: own.life,
            ..Peer::unknown(own.agent)
        };
        let spread = Spread(Rc::clone(&records));
        let foca = Foca::with_custom_broadcast(
            peer,
            settings(profile, 1),
            SmallRng::seed_from_u64(rng.random()),
            Wire(Rc::clone(&latest)),
            spread,
        );
        let (_, rtt, _) = times(profile);
        let mut gossip = Self {
            foca,
            profile,
            clock: Steady::new(now),
            started: now,
            latest,
            timers: Timers::new(rtt),
            wants: Wants::default(),
            records,
            directory: Directory::default(),
            own,
            rng,
            hurry: None,
            seek: None,
            compare: now + COMPARE_EVERY,
            look: None,
            tidy: now + TIDY_EVERY,
            is_new: false,
            has_left: false,
            changed: true,
            fallen: BTreeSet::new(),
        };
        gossip.directory.up(gossip.own.agent, now);
        gossip.say();
        gossip
    }

    /// A datagram has come; whether it was one of a peer.
    pub fn datagram(&mut self, bytes: &[u8], now: Moment) -> bool {
        let now = self.clock.read(now);
        self.believe(now);
        let Some(bytes) = self.fitting(bytes) else {
            return false;
        };
        let taken = self.foca.handle_data(&bytes, &mut self.wants);
        self.settle(now);
        match taken {
            Ok(()) | Err(foca::Error::DataFromOurselves) => true,
            Err(_malformed) => false,
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Moment) {
        let now = self.clock.read(now);
        while let Some(timer) = self.timers.next(now) {
            if !self.still_holds(&timer) {
                continue;
            }
            // What it complains of is a timer that means nothing any more.
            let _ = self.foca.handle_timer(timer, &mut self.wants);
            self.settle(now);
        }
        if self.hurry.is_some_and(|at| at <= now) {
            self.hurry = None;
            let _ = self.foca.gossip(&mut self.wants);
        }
        if self.seek.is_some_and(|at| at <= now) {
            self.seek_lost(now);
        }
        if self.tidy <= now {
            self.tidy(now);
        }
        self.settle(now);
    }

    /// A suspicion that the suspected has answered meanwhile is over. foca 2.0 would tell it all
    /// the same that it was taken for dead, and it would begin another life: at 5 % loss that was
    /// nearly all of the news of a large cluster.
    fn still_holds(&self, timer: &Timer<Peer>) -> bool {
        let Timer::ChangeSuspectToDown {
            member_id,
            incarnation,
            ..
        } = timer
        else {
            return true;
        };
        let mut members = self.foca.iter_members();
        let suspected = members.find(|member| member.id() == member_id);
        suspected.is_some_and(|member| {
            member.incarnation() == *incarnation && member.state() == State::Suspect
        })
    }

    /// When something is due.
    pub fn deadline(&self) -> Option<Moment> {
        let due = [self.timers.deadline(), self.hurry, self.seek];
        let due = due.into_iter().flatten().min();
        due.map(|due| self.clock.shown(due))
    }

    /// Looks for members at these addresses, unless they are known to be there.
    pub fn contact(&mut self, agents: &[SocketAddr], now: Moment) {
        let now = self.clock.read(now);
        self.announce_to(agents, now);
    }

    fn announce_to(&mut self, agents: &[SocketAddr], now: Moment) {
        for agent in agents {
            if *agent != self.own.agent && !self.directory.is_up(*agent) && !self.has_left {
                let peer = Peer::unknown(*agent);
                let _ = self.foca.announce(peer, &mut self.wants);
            }
        }
        self.settle(now);
    }

    /// Looks for some of those that are lost; for all that are long lost, more rarely.
    fn seek_lost(&mut self, now: Moment) {
        self.seek = Some(now + SEEK_EVERY.mul_f64(self.rng.random_range(0.8..1.2)));
        let lost = self.directory.lost(&self.records.borrow());
        let rarely = self.rng.random_ratio(1, 20);
        let mut sought: Vec<SocketAddr> = lost
            .iter()
            .filter(|(_, since)| rarely || now.since(*since) < RECENT)
            .map(|(agent, _)| *agent)
            .collect();
        while sought.len() > SEEK_MAX {
            let at = self.rng.random_range(0..sought.len());
            sought.swap_remove(at);
        }
        self.announce_to(&sought, now);
    }

    /// After each step: what foca wanted, what it told, and what others have said.
    pub(super) fn settle(&mut self, now: Moment) {
        loop {
            for (after, timer) in std::mem::take(&mut self.wants.timers) {
                self.timers.add(timer, after, now);
            }
            let news = std::mem::take(&mut self.wants.news);
            if news.is_empty() {
                break;
            }
            for item in news {
                self.hear(item, now);
            }
        }
        self.sort_records(now);
        self.surpass();
        if self.changed {
            let has_lost = !self.directory.lost(&self.records.borrow()).is_empty();
            let seek = (has_lost && !self.has_left).then_some(now + SEEK_EVERY);
            self.seek = seek.map(|at| self.seek.unwrap_or(at));
        }
        let backlog = self.foca.updates_backlog() + self.foca.custom_broadcast_backlog();
        if backlog > 0 && self.foca.num_members() > 0 {
            let (period, _, _) = times(self.profile);
            self.hurry = self.hurry.or(Some(now + period / 8));
        } else {
            self.hurry = None;
        }
    }

    fn hear(&mut self, news: OwnedNotification<Peer>, now: Moment) {
        self.changed = true;
        match news {
            OwnedNotification::MemberUp(peer) => {
                self.directory.up(peer.agent, now);
                self.fallen.remove(&peer.agent);
                self.look = self.look.or(Some(now));
                self.resize();
            }
            OwnedNotification::MemberDown(peer) => {
                self.directory.down(peer.agent, now);
                self.fallen.insert(peer.agent);
                self.resize();
            }
            // The same agent in a later life: its record follows.
            OwnedNotification::Rename(_, _) | OwnedNotification::Defunct => {}
            OwnedNotification::Active => {
                self.is_new = true;
                if !self.has_left {
                    self.say();
                }
            }
            OwnedNotification::Idle => self.start_over(),
            OwnedNotification::Rejoin(peer) => {
                // Its steps double, and one too far nobody would believe.
                let life = peer.life.min(self.life_max(now));
                if life < peer.life {
                    let peer = Peer { life, ..peer };
                    let _ = self.foca.change_identity(peer, &mut self.wants);
                }
                self.say();
            }
        }
    }

    /// Nobody is left: more likely it is we who are cut off than that all are dead. To meet them
    /// again as the living, we forget that we took them for dead, and begin another life.
    fn start_over(&mut self) {
        if self.has_left {
            return;
        }
        let peer = self.foca.identity().renewed();
        self.foca = Foca::with_custom_broadcast(
            peer,
            settings(self.profile, 1),
            SmallRng::seed_from_u64(self.rng.random()),
            Wire(Rc::clone(&self.latest)),
            Spread(Rc::clone(&self.records)),
        );
        self.timers.clear();
        self.say();
    }

    /// The more members, the longer news take, and the more often they must be told.
    fn resize(&mut self) {
        let members = self.foca.num_members() + 1;
        let _ = self.foca.set_config(settings(self.profile, members));
    }

    /// What is to be sent, and where.
    pub fn sends(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        std::mem::take(&mut self.wants.sends)
    }

    /// A session has seen something of an agent.
    pub fn saw(&mut self, agent: SocketAddr, evidence: Evidence, now: Moment) {
        let now = self.clock.read(now);
        self.directory.saw(agent, evidence, now);
        self.changed = true;
    }

    /// The agents that the gossip has lost since this was last asked, unless they left.
    pub fn fallen(&mut self) -> BTreeSet<SocketAddr> {
        let mut fallen = std::mem::take(&mut self.fallen);
        let records = self.records.borrow();
        fallen.retain(|agent| !records.has_left(*agent));
        fallen
    }

    /// Whether the gossip has this agent up.
    pub fn is_up(&self, agent: SocketAddr) -> bool {
        self.directory.is_up(agent)
    }

    /// The agents that are up, without us.
    pub fn others(&self) -> Vec<SocketAddr> {
        let others = self.directory.up_since().map(|(agent, _)| agent);
        others.filter(|agent| *agent != self.own.agent).collect()
    }

    /// Whether anything is different since [`Self::changes`] was last asked.
    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// The members and the twins, if anything is different since this was last asked.
    pub fn changes(&mut self) -> Option<(Vec<Member>, Vec<Twins>)> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        Some(self.directory.members(&self.records.borrow()))
    }

    /// The ports of the services of this agent that were ready last.
    pub fn ready_ports(&self, agent: SocketAddr) -> Vec<u16> {
        let records = self.records.borrow();
        let services = records.get(agent).map(|record| record.services.iter());
        let ready = services.into_iter().flatten();
        let ready = ready.filter(|one| one.readiness != Readiness::Unready && one.port > 0);
        ready.map(|one| one.port).collect()
    }

    /// What this member says of itself.
    pub fn own(&self) -> &Record {
        &self.own
    }

    /// How long this process has stood still in all, as its timers saw it.
    pub fn stood_still(&self) -> Duration {
        self.timers.behind()
    }
}
