//! A run that is the last one: whoever was told so goes down when it is over, as if a person had
//! stopped it at that moment.

use crate::machine::fleet::Fleet;
use crate::machine::slot::{Ix, Order, Want};
use crate::machine::unit::State;
use crate::values::Moment;

impl Fleet {
    /// It is not to be started again once it has run; who waits for a restart does not get it.
    pub(super) fn once(&mut self, ix: Ix, now: Moment, orders: &mut Vec<Order>) {
        let Some(slot) = self.slots.get_mut(ix).filter(|s| s.want == Want::Up) else {
            return;
        };
        match slot.unit.state {
            State::Backoff { .. } => self.stop(ix, now, orders),
            State::Waiting
            | State::Spawning
            | State::Starting(_)
            | State::Ready { .. }
            | State::Unready { .. }
            | State::BeforeStop { .. }
            | State::Stopping { .. }
            | State::SpawningFinish { .. }
            | State::Finishing { .. } => slot.once = true,
            State::Down
            | State::Scheduled { .. }
            | State::Finished
            | State::Undoable
            | State::Failed(_) => {}
        }
    }

    /// It has changed from this state: whether that was the end of its last run.
    pub(super) fn end_last_run(
        &mut self,
        ix: Ix,
        from: &State,
        now: Moment,
        orders: &mut Vec<Order>,
    ) {
        let Some(slot) = self.slots.get_mut(ix).filter(|slot| slot.once) else {
            return;
        };
        let to = &slot.unit.state;
        if to.is_alive() || !from.is_alive() {
            return;
        }
        slot.once = false;
        if !to.is_at_rest() && slot.want == Want::Up {
            self.stop(ix, now, orders);
        }
    }
}
