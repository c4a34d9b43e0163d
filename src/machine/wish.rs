//! What a service's state and its neighbours' states ask for: the rules of `needs`, `after` and of
//! stopping in reverse. Asked again after every change, so that no wish is ever lost.

use std::collections::BTreeSet;

use crate::machine::fleet::Fleet;
use crate::machine::shutdown::Shutdown;
use crate::machine::slot::{Ix, Slot, Want};
use crate::machine::unit::{Event, Failure, Next, State};

impl Fleet {
    /// The event that this service is due, if any.
    pub(super) fn wish(&self, ix: Ix) -> Option<Event> {
        let slot = self.slots.get(ix)?;
        match slot.want {
            Want::Up => self.wish_up(slot),
            Want::Off | Want::Down | Want::Gone => self.wish_down(ix, slot),
        }
    }

    fn wish_up(&self, slot: &Slot) -> Option<Event> {
        match slot.unit.state {
            State::Down if slot.service.schedule.is_some() => Some(Event::Plan),
            State::Down => Some(Event::Start),
            State::Waiting if self.has_failed_need(slot) => Some(Event::NeedFailed),
            State::Waiting if self.is_cleared(slot) => Some(Event::Go),
            State::Failed(Failure::Need) if self.has_its_needs(slot) => Some(Event::Go),
            State::Starting(_)
            | State::Ready { .. }
            | State::Unready { .. }
            | State::Undoable
            | State::Stopping {
                next: Next::Policy(_),
                ..
            }
            | State::SpawningFinish {
                next: Next::Policy(_),
                ..
            }
            | State::Finishing {
                next: Next::Policy(_),
                ..
            } if slot.next.is_some() && self.may_change(slot) => Some(Event::Restart),
            State::Waiting
            | State::Spawning
            | State::Starting(_)
            | State::Ready { .. }
            | State::Unready { .. }
            | State::BeforeStop { .. }
            | State::Stopping { .. }
            | State::SpawningFinish { .. }
            | State::Finishing { .. }
            | State::Backoff { .. }
            | State::Scheduled { .. }
            | State::Finished
            | State::Undoable
            | State::Failed(_) => None,
        }
    }

    fn wish_down(&self, ix: Ix, slot: &Slot) -> Option<Event> {
        let by = self.ending.as_ref().map(Shutdown::cutoff);
        match slot.unit.state {
            State::Waiting | State::Backoff { .. } | State::Scheduled { .. } => {
                Some(Event::Stop { by })
            }
            State::Starting(_)
            | State::Ready { .. }
            | State::Unready { .. }
            | State::Undoable
            | State::BeforeStop {
                next: Next::Restart | Next::Policy(_),
                ..
            }
            | State::Stopping {
                next: Next::Restart | Next::Policy(_),
                ..
            }
            | State::SpawningFinish {
                next: Next::Restart | Next::Policy(_),
                ..
            }
            | State::Finishing {
                next: Next::Restart | Next::Policy(_),
                ..
            } => self.may_stop(ix).then_some(Event::Stop { by }),
            State::Down
            | State::Spawning
            | State::BeforeStop {
                next: Next::Down, ..
            }
            | State::Stopping {
                next: Next::Down, ..
            }
            | State::SpawningFinish {
                next: Next::Down, ..
            }
            | State::Finishing {
                next: Next::Down, ..
            }
            | State::Finished
            | State::Failed(_) => None,
        }
    }

    /// One of its needs has failed, keeps failing to start, or is not enabled, so that waiting for
    /// it would be for ever.
    fn has_failed_need(&self, slot: &Slot) -> bool {
        self.each(&slot.needs).any(is_in_vain)
    }

    /// Those of its needs for which it would wait for ever.
    pub fn failed_needs(&self, ix: Ix) -> Vec<&Slot> {
        let needs = self.slots.get(ix).map(|slot| self.each(&slot.needs));
        needs
            .into_iter()
            .flatten()
            .filter(|need| is_in_vain(need))
            .collect()
    }

    fn has_its_needs(&self, slot: &Slot) -> bool {
        // What is about to be replaced is waited for anew, and what is to go is no ground to stand
        // on: a new definition may need what a person is stopping.
        let stays = |need: &Slot| {
            need.want == Want::Up && need.next.is_none() || need.unit.state == State::Finished
        };
        self.each(&slot.needs)
            .all(|need| need.unit.state.satisfies() && stays(need))
    }

    /// Its needs are ready, and what comes before it has become ready, has failed, or is not meant
    /// to be up.
    fn is_cleared(&self, slot: &Slot) -> bool {
        // Down, or failed for want of a need that is there again: it is about to start.
        let is_due = |other: &Slot| match other.unit.state {
            State::Down => true,
            State::Failed(Failure::Need) => self.has_its_needs(other),
            State::Waiting
            | State::Spawning
            | State::Starting(_)
            | State::Ready { .. }
            | State::Unready { .. }
            | State::BeforeStop { .. }
            | State::Stopping { .. }
            | State::SpawningFinish { .. }
            | State::Finishing { .. }
            | State::Backoff { .. }
            | State::Scheduled { .. }
            | State::Finished
            | State::Undoable
            | State::Failed(_) => false,
        };
        let is_past = |other: &Slot| {
            let state = &other.unit.state;
            let is_settled = state.satisfies()
                || matches!(state, State::Scheduled { .. })
                || other.unit.retry.hopeless && !is_due(other)
                || state.is_at_rest() && (other.want != Want::Up || !is_due(other));
            is_settled && other.next.is_none()
        };
        self.has_its_needs(slot) && self.each(&slot.after).all(is_past)
    }

    /// Nobody that is to go too and stands on it lives any more; be it that it stands on it through
    /// others that are gone: web needs migrate, which has finished, which needs db.
    fn may_stop(&self, ix: Ix) -> bool {
        let (mut todo, mut seen) = (vec![ix], BTreeSet::new());
        while let Some(slot) = todo.pop().and_then(|next| self.slots.get(next)) {
            for above in slot.needed_by.iter().chain(&slot.followed_by) {
                match self.slots.get(*above) {
                    Some(other) if !other.unit.state.is_alive() => {
                        if seen.insert(*above) {
                            todo.push(*above);
                        }
                    }
                    Some(other) if other.want != Want::Up => return false,
                    // Its process is of an older definition; the next one may stand elsewhere.
                    Some(other) if slot.ix == ix && other.next.is_some() => return false,
                    Some(_) | None => {}
                }
            }
        }
        true
    }

    /// Nobody whose process is to be replaced too stands on it: they stop in reverse. Only they
    /// count, and only by their own definitions (not through a oneshot, which may be of the new
    /// ones), so that these waits follow one set of definitions and cannot be a circle.
    fn may_change(&self, slot: &Slot) -> bool {
        let name = &slot.service.name;
        let stands_on_it =
            |other: &Slot| other.service.needs.contains(name) || other.service.after.contains(name);
        let above = slot.needed_by.iter().chain(&slot.followed_by);
        let mut others = above.filter_map(|above| self.slots.get(*above));
        !others.any(|other| other.next.is_some() && stands_on_it(other))
    }

    fn each<'a>(&'a self, list: &'a [Ix]) -> impl Iterator<Item = &'a Slot> {
        list.iter().filter_map(|ix| self.slots.get(*ix))
    }

    /// What this service waits for: its needs that are not ready, and what must come before it.
    pub fn waits_for(&self, ix: Ix) -> Vec<&Slot> {
        let Some(slot) = self.slots.get(ix) else {
            return Vec::new();
        };
        self.each(&slot.needs)
            .chain(
                self.each(&slot.after)
                    .filter(|other| other.want == Want::Up),
            )
            .filter(|other| !other.standing().satisfies())
            .collect()
    }
}

/// Whether waiting for this need would be for ever.
fn is_in_vain(need: &Slot) -> bool {
    matches!(need.unit.state, State::Failed(_))
        || need.want == Want::Off && need.unit.state == State::Down
        || need.unit.retry.hopeless && !need.unit.state.satisfies()
}
