//! What this member says of itself.

use crate::agent::gossip::driver::Gossip;
use crate::members::member::{Announced, Status};
use crate::members::record::Record;
use crate::members::words::Tags;
use crate::values::Moment;

/// Why a record cannot be said.
pub const TOO_MUCH: &str = "the tags and services of this node are more than a datagram holds";

impl Gossip {
    /// Says what this member announces from now on.
    pub fn announce(&mut self, services: &[Announced], now: Moment) {
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
        self.own.status = Status::Left;
        self.say();
        self.has_left = true;
        for _ in 0..2 {
            let _ = self.foca.broadcast(&mut self.wants);
        }
        let _ = self.foca.leave_cluster(&mut self.wants);
        self.settle(now);
    }
}
