//! The services that have changed in one turn, in the order in which they came to be what they are:
//! who fails because of another comes after it.

use std::collections::BTreeMap;

use crate::machine::slot::Ix;
use crate::machine::unit::State;
use crate::values::Moment;

/// What they were before.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    before: BTreeMap<Ix, Before>,
    count: u64,
}

#[derive(Clone, Copy, Debug)]
struct Before {
    state: State,
    since: Moment,
    /// Which change of this turn its last one is.
    nth: u64,
}

impl Changes {
    /// One more: this service was that until now, since then.
    pub(super) fn add(&mut self, ix: Ix, state: State, since: Moment) {
        self.count += 1;
        let nth = self.count;
        let first = Before { state, since, nth };
        self.before.entry(ix).or_insert(first).nth = nth;
    }

    /// All of them, and what they were before the turn, since when. The next turn begins.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (Ix, State, Moment)> {
        let Self { before, .. } = std::mem::take(self);
        let mut all: Vec<_> = before.into_iter().collect();
        all.sort_unstable_by_key(|(_, before)| before.nth);
        all.into_iter()
            .map(|(ix, Before { state, since, .. })| (ix, state, since))
    }
}
