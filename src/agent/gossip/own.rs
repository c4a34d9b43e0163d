//! What this member says of itself.

use crate::agent::gossip::driver::Gossip;
use crate::agent::gossip::peer::Peer;
use crate::members::member::{Announced, Status};
use crate::members::record::Record;
use crate::members::words::Tags;
use crate::values::Moment;

/// Why a record cannot be said.
pub const TOO_MUCH: &str = "the tags and services of this node are more than a datagram holds";

impl Gossip {
    /// Says what this member announces from now on.
    pub fn announce(&mut self, services: &[Announced], now: Moment) {
        let now = self.clock.read(now);
        if self.own.services != services && !self.has_left {
            self.own.services = services.to_vec();
            self.say();
            let _ = self.foca.broadcast(&mut self.wants);
            self.settle(now);
        }
    }

    /// Says these tags from now on, with what it announces.
    ///
    /// # Errors
    /// It is more than a record holds; nothing has changed.
    pub fn describe(
        &mut self,
        tags: &Tags,
        services: &[Announced],
        now: Moment,
    ) -> Result<(), String> {
        let now = self.clock.read(now);
        let fresh = Record {
            tags: tags.clone(),
            services: services.to_vec(),
            ..self.own.clone()
        };
        if fresh.bytes().is_none() {
            return Err(TOO_MUCH.into());
        }
        if self.own.tags != *tags && !self.has_left {
            self.own.tags.clone_from(tags);
            self.say();
            let _ = self.foca.broadcast(&mut self.wants);
            self.settle(now);
        }
        Ok(())
    }

    /// Says that this member leaves; what is sent now and in the next moments tells of it.
    pub fn leave(&mut self, now: Moment) {
        let now = self.clock.read(now);
        self.own.status = Status::Left;
        self.say();
        self.has_left = true;
        for _ in 0..2 {
            let _ = self.foca.broadcast(&mut self.wants);
        }
        let _ = self.foca.leave_cluster(&mut self.wants);
        self.settle(now);
    }

    /// Says our record again, as a later one.
    pub(super) fn say(&mut self) {
        self.own.sequence = self.own.sequence.wrapping_add(1);
        self.own.life = self.foca.identity().life;
        self.changed = true;
        if let Some(bytes) = self.own.bytes() {
            let _ = self.foca.add_broadcast(&bytes);
        }
    }

    /// Others know of a later life of us, or of later words: we were here before, and our clock was
    /// set back since, or forgot the words. Or somebody made them up. We begin a life after that.
    pub(super) fn surpass(&mut self) {
        let Some(theirs) = self.records.borrow_mut().surpassed.take() else {
            return;
        };
        if self.has_left {
            return;
        }
        let own = self.foca.identity();
        // No words come after the last number.
        let is_last = theirs.life == own.life && theirs.sequence == u32::MAX;
        if theirs.life > own.life || is_last {
            let life = theirs.life.saturating_add(1);
            let peer = Peer {
                life,
                ..own.clone()
            };
            let _ = self.foca.change_identity(peer, &mut self.wants);
            self.own.sequence = 0;
        }
        if theirs.life == self.foca.identity().life {
            self.own.sequence = self.own.sequence.max(theirs.sequence);
        }
        self.say();
    }
}
