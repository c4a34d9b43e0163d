//! What must hold of `restart.with` in the fake world: who is restarted with whom, and how often.

use pidone::machine::slot::{Change, Input, Ix};
use pidone::machine::unit::{Next, State};
use pidone::service::definition::Service;
use pidone::values::Name;

use super::World;

/// What the world knows of restarts with others.
#[derive(Debug)]
pub(crate) struct With {
    /// Everybody whose restart is that of the service, through others too.
    leaders: Vec<Vec<Ix>>,
    /// How often each was restarted with another.
    restarts: Vec<u32>,
    /// Whom a person restarts in this turn.
    by_hand: Option<Ix>,
}

impl With {
    pub(crate) fn new(services: &[Service]) -> Self {
        let find = |name: &Name| services.iter().position(|service| service.name == *name);
        let direct = |ix: Ix| services[ix].restart.with.iter().filter_map(find);
        let leaders = |ix: Ix| {
            let (mut all, mut todo) = (Vec::new(), vec![ix]);
            while let Some(next) = todo.pop() {
                for leader in direct(next) {
                    if leader != ix && !all.contains(&leader) {
                        all.push(leader);
                        todo.push(leader);
                    }
                }
            }
            all
        };
        Self {
            leaders: (0..services.len()).map(leaders).collect(),
            restarts: vec![0; services.len()],
            by_hand: None,
        }
    }

    pub(crate) fn comes(&mut self, input: Input) {
        self.by_hand = match input {
            Input::Restart(ix) => Some(ix),
            _other => None,
        };
    }
}

impl World {
    /// A running service is stopped to be started again, and no person asked for it.
    pub(super) fn rules_of_with(&mut self, change: Change) {
        let Change { ix, from, to, .. } = change;
        let is_up = matches!(
            from,
            State::Starting(_) | State::Ready { .. } | State::Unready { .. }
        );
        let restarts = match to {
            State::BeforeStop { next, .. } | State::Stopping { next, .. } => next == Next::Restart,
            _other => false,
        };
        // Rescans restart too, and change who follows whom.
        let is_defined_anew = self.rescans > 0;
        if !is_up || !restarts || is_defined_anew || self.books.with.by_hand == Some(ix) {
            return;
        }
        self.books.with.restarts[ix] += 1;
        let slots = self.fleet.slots();
        let leaders = self.books.with.leaders[ix]
            .iter()
            .map(|leader| &slots[*leader]);
        let is_back = leaders.clone().any(|leader| leader.unit.state.satisfies());
        let starts: u32 = leaders.map(|leader| leader.starts.saturating_sub(1)).sum();
        let is_no_storm = self.books.with.restarts[ix] <= starts;
        self.check(
            is_back,
            "who is restarted with another is so when that is ready again",
        );
        self.check(
            is_no_storm,
            "one restart is at most one of each who follows",
        );
    }
}
