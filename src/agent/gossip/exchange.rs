//! What two nodes tell each other when they compare all that they know.

use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;

use crate::agent::gossip::directory::STRAYS_MAX;
use crate::agent::gossip::driver::Gossip;
use crate::agent::gossip::knowledge::Entry;
use crate::agent::gossip::peer::Peer;
use crate::members::record::Record;
use crate::values::Moment;

/// Whoever is up and has not been heard to say anything is asked after so long.
const RECORD_WITHIN: Duration = Duration::from_millis(150);

/// So long after one of them was asked, another is.
const ASK_PAUSE: Duration = Duration::from_millis(25);

/// Two members compare all that they know this often.
pub(super) const COMPARE_EVERY: Duration = Duration::from_secs(30);

/// In a larger cluster they do so more rarely, since it is more that they tell.
const COMPARE_SMALL: usize = 32;

/// More news than this come from comparing, and not from what has just happened.
const NEWS_MAX: usize = 16;

/// How often a member of a cluster of so many compares: each doubling adds one step.
fn compare_every(members: usize) -> Duration {
    let doublings = members.div_ceil(COMPARE_SMALL).next_power_of_two().ilog2();
    COMPARE_EVERY * (doublings + 1)
}

impl Gossip {
    /// Whom to ask for all that he knows, and tell all that we know: when we have just come, when
    /// somebody's record is missing, and now and then. It is asked after each datagram, and mostly
    /// has nothing to look at.
    pub fn sync(&mut self, now: Moment) -> Option<SocketAddr> {
        let now = self.clock.read(now);
        if self.has_left {
            return None;
        }
        if !self.is_new && self.compare > now {
            return self.silent(now);
        }
        let own = self.own.agent;
        let others = || {
            let up = self.directory.up_since().map(|(agent, _)| agent);
            up.filter(|agent| *agent != own)
        };
        let count = others().count();
        if count == 0 {
            return None;
        }
        let chosen = self.rng.random_range(0..count);
        let chosen = others().nth(chosen);
        self.is_new = false;
        self.compare = now + compare_every(count).mul_f64(self.rng.random_range(0.5..1.5));
        chosen
    }

    /// One of those who are up for a while and have not been heard to say anything. The next look
    /// is when the next one may be such.
    fn silent(&mut self, now: Moment) -> Option<SocketAddr> {
        if self.look.is_none_or(|look| look > now) {
            return None;
        }
        let records = self.records.borrow();
        let up = self.directory.up_since();
        let silent = up.filter(|(agent, _)| records.get(*agent).is_none());
        let (overdue, waiting): (Vec<_>, Vec<_>) =
            silent.partition(|(_, since)| now.since(*since) > RECORD_WITHIN);
        let next = waiting.iter().map(|(_, since)| *since).min();
        self.look = next.map(|since| since + RECORD_WITHIN);
        if overdue.is_empty() {
            return None;
        }
        self.look = Some(now + ASK_PAUSE);
        let chosen = self.rng.random_range(0..overdue.len());
        overdue.get(chosen).map(|(agent, _)| *agent)
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
    pub fn learn(&mut self, mut entries: Vec<Entry>, now: Moment) {
        let now = self.clock.read(now);
        self.believe(now);
        self.keep_fitting(&mut entries);
        let (members, records): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .map(|entry| (entry.member, entry.record))
            .unzip();
        let fresh = |member: &foca::Member<Peer>| !self.directory.is_up(member.id().agent);
        let pass_on = members.iter().filter(|member| fresh(member)).count() <= NEWS_MAX;
        let _ = self
            .foca
            .apply_many(members.into_iter(), pass_on, &mut self.wants);
        // Now the members are known, and so their records are no strangers'.
        self.settle(now);
        for record in records.into_iter().flatten() {
            self.hear_record(record, pass_on);
        }
        self.settle(now);
    }

    /// Takes a record that came by another way.
    pub fn record(&mut self, record: Record, now: Moment) {
        let now = self.clock.read(now);
        self.believe(now);
        self.hear_record(record, true);
        self.settle(now);
    }

    fn hear_record(&mut self, record: Record, pass_on: bool) {
        let agent = record.agent;
        if self.directory.has_forgotten(agent) {
            return;
        }
        if self.directory.knows(agent) {
            self.records.borrow_mut().room = STRAYS_MAX;
        }
        if self.records.borrow_mut().take(record) && pass_on {
            let bytes = self.records.borrow().get(agent).and_then(Record::bytes);
            let _ = self.foca.add_broadcast(&bytes.unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_cluster_compares_more_rarely() {
        let seconds = |members| compare_every(members).as_secs();
        assert_eq!([0, 1, 32].map(seconds), [30; 3]);
        assert_eq!([33, 64, 65, 300, 1000].map(seconds), [60, 60, 90, 150, 180]);
    }
}
