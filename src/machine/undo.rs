//! A oneshot that has finished, and whose `down` undoes its work when it is stopped.

use std::time::Duration;

use crate::machine::step::{Outcome, Turn};
use crate::machine::unit::{Action, Event, Next, State, Unit};
use crate::values::Exit;

impl Turn<'_> {
    pub(super) fn undoable(&self) -> Outcome {
        match self.event {
            Event::Stop { .. } => self.undo(Next::Down),
            Event::Restart => self.undo(Next::Restart),
            // Whoever kills has no time for it.
            Event::Kill => (Unit::new(), vec![]),
            Event::Start
            | Event::Go
            | Event::NeedFailed
            | Event::Spawned(_)
            | Event::SpawnFailed
            | Event::Execed
            | Event::ExecFailed
            | Event::Probed { .. }
            | Event::Said(_)
            | Event::BeforeEnded
            | Event::Plan
            | Event::Due(_)
            | Event::Clock
            | Event::Exited(_)
            | Event::Tick => self.settle(State::Undoable),
        }
    }

    fn undo(&self, next: Next) -> Outcome {
        let exit = Exit::Code(0);
        let (unit, _) = self.settle(State::SpawningFinish { exit, next });
        (unit, vec![Action::SpawnDown])
    }

    /// How long the last process of this service may take: that of `finish`, or of `down`. No
    /// service has both.
    pub(super) fn last_timeout(&self) -> Option<Duration> {
        match (&self.service.finish, &self.service.down) {
            (Some(finish), _) => finish.timeout,
            (None, Some(down)) => down.timeout,
            (None, None) => None,
        }
    }
}
