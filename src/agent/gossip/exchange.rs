//! What two nodes tell each other when they compare all that they know.

use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;

use crate::agent::gossip::driver::Gossip;
use crate::agent::gossip::knowledge::Entry;
use crate::agent::gossip::peer::Peer;
use crate::members::record::Record;
use crate::values::Moment;

/// Whoever is up and has not been heard to say anything is asked after so long.
const RECORD_WITHIN: Duration = Duration::from_millis(150);

/// Two members compare all that they know this often.
pub(super) const COMPARE_EVERY: Duration = Duration::from_secs(30);

/// More news than this come from comparing, and not from what has just happened.
const NEWS_MAX: usize = 16;

impl Gossip {
    /// Whom to ask for all that he knows, and tell all that we know: when we have just come, when
    /// somebody's record is missing, and now and then.
    pub fn sync(&mut self, now: Moment) -> Option<SocketAddr> {
        if self.has_left {
            return None;
        }
        let records = self.records.borrow();
        let others = || {
            let up = self.directory.up_since();
            up.filter(|(agent, _)| *agent != self.own.agent)
        };
        let silent = others().find(|(agent, since)| {
            records.get(*agent).is_none() && now.since(*since) > RECORD_WITHIN
        });
        let is_due = self.is_new || self.compare <= now;
        if let Some((agent, _)) = silent.filter(|_| !is_due) {
            return Some(agent);
        }
        let count = others().count();
        if !is_due || count == 0 {
            return None;
        }
        self.is_new = false;
        self.compare = now + COMPARE_EVERY.mul_f64(self.rng.random_range(0.5..1.5));
        let chosen = self.rng.random_range(0..count);
        others().nth(chosen).map(|(agent, _)| agent)
    }

    /// All that this node knows.
    pub fn knowledge(&self) -> Vec<Entry> {
        let records = self.records.borrow();
        let own = foca::Member::alive(self.foca.identity().clone());
        let others = self.foca.iter_membership_state().cloned();
        let entry = |member: foca::Member<Peer>| Entry {
            record: records.get(member.id().agent).cloned(),
            member,
        };
        std::iter::once(own).chain(others).map(entry).collect()
    }

    /// Takes what another node knows. A whole cluster's worth of it is not passed on: that is for
    /// those who have just come, and the others know it.
    pub fn learn(&mut self, entries: Vec<Entry>, now: Moment) {
        let (members, records): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .map(|entry| (entry.member, entry.record))
            .unzip();
        let fresh = |member: &foca::Member<Peer>| !self.directory.is_up(member.id().agent);
        let pass_on = members.iter().filter(|member| fresh(member)).count() <= NEWS_MAX;
        let _ = self
            .foca
            .apply_many(members.into_iter(), pass_on, &mut self.wants);
        for record in records.into_iter().flatten() {
            self.hear_record(record, pass_on);
        }
        self.settle(now);
    }

    /// Takes a record that came by another way.
    pub fn record(&mut self, record: Record, now: Moment) {
        self.hear_record(record, true);
        self.settle(now);
    }

    fn hear_record(&mut self, record: Record, pass_on: bool) {
        let bytes = record.bytes().unwrap_or_default();
        if self.records.borrow_mut().take(record) && pass_on {
            let _ = self.foca.add_broadcast(&bytes);
        }
    }
}
