//! What others can make a node keep is bounded, also when they have the key: how many members and
//! records, how late a life, and for how long somebody is remembered who is gone.

use std::time::Duration;

use bytes::Buf;
use foca::{Codec, State, Timer};

use crate::agent::gossip::directory::STRAYS_MAX;
use crate::agent::gossip::driver::Gossip;
use crate::agent::gossip::knowledge::Entry;
use crate::agent::gossip::peer::{Peer, Wire, put_member};
use crate::members::roster::MEMBERS_MAX;
use crate::values::Moment;

/// A life is the time when an agent was started, or some steps later. One that is later than now
/// by more than this, in milliseconds, is made up: a hundred years. A clock may be wrong by less.
/// What is believed moves on with the time, so that whoever is surpassed by such a life can always
/// begin a later one.
const LIFE_AHEAD_MS: u64 = 100 * 365 * 24 * 3600 * 1000;

/// Who is gone for long is forgotten this often.
pub(super) const TIDY_EVERY: Duration = Duration::from_secs(10);

/// When fewer places than this are left, those who are gone make room.
const ROOM: usize = MEMBERS_MAX / 10;

impl Gossip {
    /// The latest life that is believed at this time.
    pub(super) fn life_max(&self, now: Moment) -> u64 {
        let ran = u64::try_from(now.since(self.started).as_millis()).unwrap_or(u64::MAX);
        let wall = self.own.born.saturating_add(ran);
        wall.saturating_add(LIFE_AHEAD_MS)
    }

    /// Sets what is believed, before anything is read.
    pub(super) fn believe(&mut self, now: Moment) {
        self.latest.set(self.life_max(now));
    }

    fn is_full(&self) -> bool {
        self.foca.iter_membership_state().len() >= MEMBERS_MAX
    }

    /// A datagram without what there is no room for: members that are not known. `None`: its
    /// sender is none of those known, or it is malformed.
    pub(super) fn fitting<'a>(&self, bytes: &'a [u8]) -> Option<std::borrow::Cow<'a, [u8]>> {
        if !self.is_full() {
            return Some(bytes.into());
        }
        let mut wire = Wire(self.latest.clone());
        let mut rest = bytes;
        let header = wire.decode_header(&mut rest).ok()?;
        if !self.directory.knows(header.src.agent) {
            return None;
        }
        if header.message == foca::Message::Broadcast || rest.len() < 2 {
            return Some(bytes.into());
        }
        let mut out = bytes.get(..bytes.len() - rest.len())?.to_vec();
        let count = rest.get_u16();
        let (mut members, mut kept) = (Vec::new(), 0_u16);
        for _ in 0..count {
            let member = wire.decode_member(&mut rest).ok()?;
            if self.directory.knows(member.id().agent) {
                put_member(&mut members, &member);
                kept += 1;
            }
        }
        out.extend(kept.to_be_bytes());
        out.extend(members);
        out.extend(rest);
        Some(out.into())
    }

    /// Leaves out what there is no room for, what is made up, and those who are gone and were never
    /// here: they would be told of for ever, by one who has not forgotten yet to one who has.
    pub(super) fn keep_fitting(&self, entries: &mut Vec<Entry>) {
        let known = self.foca.iter_membership_state().len();
        let mut room = (MEMBERS_MAX - STRAYS_MAX).saturating_sub(known);
        let latest = self.latest.get();
        entries.retain(|Entry { member, .. }| {
            if self.directory.knows(member.id().agent) {
                return member.id().life <= latest;
            }
            let is_new = member.state() != State::Down && room > 0 && member.id().life <= latest;
            room -= usize::from(is_new);
            is_new
        });
    }

    /// Looks at whose records are new: whether to keep them.
    pub(super) fn sort_records(&mut self, now: Moment) {
        let changed = self.records.borrow_mut().changed();
        if changed.is_empty() {
            return;
        }
        self.changed = true;
        let mut records = self.records.borrow_mut();
        for agent in changed {
            let name = records.get(agent).map(|record| record.name.clone());
            if name.is_some_and(|name| !self.directory.keeps(agent, &name, now)) {
                records.forget(agent);
            }
        }
        records.room = self.directory.room_for_strays();
    }

    /// Forgets who is gone for long, and, where places are few, who is gone at all.
    pub(super) fn tidy(&mut self, now: Moment) {
        self.tidy = now + TIDY_EVERY;
        let room = self.directory.room_for_strays();
        for peer in self.down_unknown().into_iter().take(room) {
            // Old news of it may still be on their way.
            self.directory.stray(peer.agent, now);
        }
        let mut forgotten = self.directory.forget(&self.records.borrow(), now);
        let members = self.foca.iter_membership_state().len();
        if members + ROOM > MEMBERS_MAX {
            forgotten.extend(self.directory.drop_gone(ROOM));
        }
        self.changed |= !forgotten.is_empty();
        for agent in forgotten {
            self.records.borrow_mut().forget(agent);
        }
        for peer in self.down_unknown() {
            let timer = Timer::RemoveDown(peer);
            // It cannot fail: it looks the peer up, and takes it out.
            let _ = self.foca.handle_timer(timer, &mut self.wants);
        }
        self.records.borrow_mut().room = self.directory.room_for_strays();
    }

    /// Whom the gossip has down and the directory does not know.
    fn down_unknown(&self) -> Vec<Peer> {
        let members = self.foca.iter_membership_state();
        let down = members.filter(|member| member.state() == State::Down);
        let unknown = down.filter(|member| !self.directory.knows(member.id().agent));
        unknown.map(|member| member.id().clone()).collect()
    }
}
