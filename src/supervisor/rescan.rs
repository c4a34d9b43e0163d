//! The definitions are read again: what has changed is applied, or every fault is told.

use crate::machine::slot::{Input, Ix};
use crate::os::clock;
use crate::supervisor::Supervisor;

impl Supervisor {
    /// A service has left for good: everything that is kept for it goes, its output last.
    pub(super) fn vanish(&mut self, ix: Ix) {
        let Some(name) = self.fleet.slot(ix).map(|slot| slot.service.name.clone()) else {
            return;
        };
        self.take(Input::Vanished(ix));
        if self.fleet.slot(ix).is_some() {
            return;
        }
        self.history.forget(ix, &name);
        self.starts.forget(ix);
        self.helpers.give_up(ix, clock::now());
        if let Some(dial) = self.sides.remove(&ix).and_then(|side| side.dial) {
            dial.abort();
        }
        self.router.retire(ix);
    }
}
