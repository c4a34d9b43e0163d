//! What members say of themselves, the latest of each; what is new goes on to others.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use foca::{BroadcastHandler, Invalidates};

use crate::agent::gossip::peer::{Malformed, Peer};
use crate::members::member::Status;
use crate::members::record::Record;
use crate::members::roster::MEMBERS_MAX;

/// The latest record of each agent.
#[derive(Debug)]
pub struct Records {
    latest: BTreeMap<SocketAddr, Record>,
    /// Whose records are new since [`Self::changed`] was asked.
    changed: Vec<SocketAddr>,
    /// Our own address: of us, nobody knows more than we do.
    own: Option<SocketAddr>,
    /// What others believe that we have said last, when it is later than what we said.
    pub surpassed: Option<Record>,
    /// A life that is later than this was made up; as the wire has it.
    latest_life: Rc<Cell<u64>>,
    /// So many records of agents that nobody has said anything of are taken until the directory
    /// has looked at them.
    pub room: usize,
}

impl Records {
    /// None yet, but our own.
    pub fn new(own: SocketAddr, latest_life: Rc<Cell<u64>>) -> Self {
        Self {
            latest: BTreeMap::new(),
            changed: Vec::new(),
            own: Some(own),
            surpassed: None,
            latest_life,
            room: MEMBERS_MAX,
        }
    }

    /// The latest record of this agent.
    pub fn get(&self, agent: SocketAddr) -> Option<&Record> {
        self.latest.get(&agent)
    }

    /// Whether this agent has said that it leaves.
    pub fn has_left(&self, agent: SocketAddr) -> bool {
        let record = self.latest.get(&agent);
        record.is_some_and(|record| record.status == Status::Left)
    }

    /// Takes a record; whether it was new.
    pub fn take(&mut self, record: Record) -> bool {
        let known = self.latest.get(&record.agent);
        let is_new = known.is_none_or(|known| record.is_later_than(known));
        if !is_new || record.life > self.latest_life.get() {
            return false;
        }
        if self.own == Some(record.agent) {
            self.surpassed = Some(record);
            return false;
        }
        if known.is_none() {
            let Some(room) = self.room.checked_sub(1) else {
                return false;
            };
            self.room = room;
        }
        self.changed.push(record.agent);
        self.latest.insert(record.agent, record);
        true
    }

    /// Takes our own record.
    pub fn say(&mut self, record: Record) {
        self.latest.insert(record.agent, record);
    }

    /// Forgets an agent.
    pub fn forget(&mut self, agent: SocketAddr) {
        self.latest.remove(&agent);
    }

    /// Whose records are new.
    pub fn changed(&mut self) -> Vec<SocketAddr> {
        std::mem::take(&mut self.changed)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.latest.values()
    }
}

/// Which record it is, so that a later one takes its place among what is passed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    agent: SocketAddr,
    order: (u64, u32),
}

impl Invalidates for Key {
    fn invalidates(&self, other: &Self) -> bool {
        self.agent == other.agent && self.order >= other.order
    }
}

/// The records, as the gossip sees them.
#[derive(Clone, Debug)]
pub struct Spread(pub Rc<RefCell<Records>>);

impl BroadcastHandler<Peer> for Spread {
    type Key = Key;
    type Error = Malformed;

    fn receive_item(
        &mut self,
        data: &[u8],
        sender: Option<&Peer>,
    ) -> Result<Option<Key>, Malformed> {
        let record = Record::read(data).ok_or(Malformed)?;
        let key = Key {
            agent: record.agent,
            order: (record.life, record.sequence),
        };
        let mut records = self.0.borrow_mut();
        // Without a sender it is our own, which is always passed on.
        if sender.is_none() {
            records.say(record);
            return Ok(Some(key));
        }
        Ok(records.take(record).then_some(key))
    }
}
