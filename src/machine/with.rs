//! `[restart] with`: who is restarted when another was. One restart of that other is one of each
//! who follows it, directly or through others, be it in a circle; and only once it is ready, so
//! that one which keeps dying before that restarts nobody.

use std::collections::BTreeSet;

use crate::machine::fleet::Fleet;
use crate::machine::slot::{Ix, Order, Slot, Want};
use crate::machine::unit::{Event, State};
use crate::service::definition::Kind;
use crate::values::Moment;
use crate::values::lists;

/// What a start means to whoever is restarted with the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// Nothing: it is the first, or they know.
    None,
    /// They are restarted once it is ready.
    Leads,
    /// It will be a restart with another, with which they are restarted as well.
    Follows,
}

impl Part {
    /// The start that it was about will not come, if the service is at rest.
    pub(super) fn at(self, state: &State) -> Self {
        match self {
            Self::Follows if state.is_at_rest() => Self::None,
            Self::None | Self::Leads | Self::Follows => self,
        }
    }
}

impl Slot {
    /// It has a new process.
    pub(super) fn started(&mut self) {
        self.part = match self.part {
            Part::Follows => Part::None,
            Part::None | Part::Leads if self.starts == 0 => Part::None,
            Part::None | Part::Leads => Part::Leads,
        };
        self.starts += 1;
    }
}

impl Fleet {
    /// This service was `from` before. If it is back after a restart, whoever is restarted with it
    /// is now.
    pub(super) fn lead(&mut self, ix: Ix, from: State, now: Moment, orders: &mut Vec<Order>) {
        let ends = self.ending.is_some();
        let Some(slot) = self.slots.get_mut(ix).filter(|_| !ends) else {
            return;
        };
        let is_back = !from.satisfies() && slot.unit.state.satisfies();
        if !is_back || slot.part != Part::Leads {
            return;
        }
        slot.part = Part::None;
        for follower in self.followers(ix) {
            self.follow(follower, now, orders);
        }
    }

    /// Everybody who follows this one, through others too; not itself.
    fn followers(&self, ix: Ix) -> Vec<Ix> {
        let (mut all, mut seen) = (Vec::new(), lists::filled::<BTreeSet<_>, _>([ix]));
        let mut todo = vec![ix];
        while let Some(slot) = todo.pop().and_then(|next| self.slots.get(next)) {
            for follower in &slot.followers {
                if seen.insert(*follower) {
                    all.push(*follower);
                    todo.push(*follower);
                }
            }
        }
        all
    }

    /// Restarts it, if it runs; a oneshot also when it has done its work.
    fn follow(&mut self, ix: Ix, now: Moment, orders: &mut Vec<Order>) {
        let Some(slot) = self.slots.get_mut(ix).filter(|slot| slot.want == Want::Up) else {
            return;
        };
        let (runs, comes) = match slot.unit.state {
            State::Starting(_) | State::Ready { .. } | State::Unready { .. } => (true, true),
            State::Finished | State::Undoable => {
                let is_oneshot = slot.service.kind == Kind::Oneshot;
                (is_oneshot, is_oneshot)
            }
            State::Waiting
            | State::Spawning
            | State::BeforeStop { .. }
            | State::Stopping { .. }
            | State::SpawningFinish { .. }
            | State::Finishing { .. }
            | State::Backoff { .. } => (false, true),
            State::Scheduled { .. } | State::Down | State::Failed(_) => (false, false),
        };
        // Its own next start, if one is due, is this restart.
        slot.part = if comes { Part::Follows } else { Part::None };
        if runs {
            self.apply(ix, Event::Restart, now, orders);
        }
    }
}
