//! What must hold in the fake world when nothing happens any more.

use pidone::machine::slot::Want;
use pidone::machine::unit::{StartStep, State};

use super::World;

impl World {
    /// What must hold when nothing is due and nobody comes: everything wanted is where it wanted
    /// to be, or stands before somebody who is waited for without limit.
    pub(crate) fn rules_of_stillness(&mut self) {
        for ix in 0..self.fleet.slots().len() {
            let slot = &self.fleet.slots()[ix];
            let is_stuck = |state: State| match state {
                State::Starting(starting) => {
                    starting.ready_by.is_none() && starting.step == StartStep::Listen
                }
                State::Stopping { kill_at, .. } | State::Finishing { kill_at, .. } => {
                    kill_at.is_none()
                }
                State::Waiting => true,
                _other => false,
            };
            let fine = match (slot.want, slot.unit.state) {
                (Want::Up | Want::Down, State::Ready { .. })
                | (Want::Off | Want::Down, State::Down)
                | (Want::Down, State::Starting(_))
                | (_, State::Finished | State::Failed(_)) => true,
                (Want::Up, State::Waiting) => {
                    let (needs, after) = (&self.books.needs[ix], &self.books.after[ix]);
                    needs
                        .iter()
                        .chain(after)
                        .any(|below| is_stuck(self.state(*below)))
                }
                (
                    _,
                    state @ (State::Starting(_) | State::Stopping { .. } | State::Finishing { .. }),
                ) => is_stuck(state),
                _other => false,
            };
            if !fine {
                let rule = format!("`{}` does not stand still", self.name(ix));
                self.check(false, &rule);
            }
        }
    }
}
