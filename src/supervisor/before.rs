//! The command of `stop.before`: run before a service is asked to end, as the service runs.

use std::rc::Rc;

use crate::machine::slot::{Input, Ix};
use crate::machine::unit::{Event, State};
use crate::os::clock;
use crate::os::spawner::Spawned;
use crate::supervisor::Supervisor;
use crate::supervisor::helpers::{Helper, Kind};
use crate::supervisor::perform::{to_group, to_process};
use crate::values::span::show_span;
use crate::values::{Exit, Signal};

impl Supervisor {
    /// Runs it; that it cannot be run is its end.
    pub(super) fn run_before(&mut self, ix: Ix) {
        // Somebody may have died, or lost patience, since this was ordered.
        if !self.is_before_stop(ix) {
            return;
        }
        match self.spawn_before(ix) {
            Ok(spawned) => {
                let kind = Kind::BeforeStop;
                self.helpers.add(spawned, Helper { ix, kind }, clock::now());
            }
            Err(why) => {
                tracing::warn!(service = self.name(ix), "stop.before does not run: {why}");
                self.take(Input::Unit(ix, Event::BeforeEnded));
            }
        }
    }

    fn spawn_before(&mut self, ix: Ix) -> Result<Spawned, String> {
        let slot = self.fleet.slot(ix).ok_or("there is no such service")?;
        let service = Rc::clone(&slot.service);
        let before = service.stop.before.as_ref().ok_or("there is none")?;
        self.beside(ix, &service, &before.command)
    }

    /// Its time is over, or nobody waits for it any more.
    pub(super) fn kill_before(&mut self, ix: Ix) {
        let Some(pid) = self.helpers.before_stop(ix) else {
            return;
        };
        to_process(pid, Signal::KILL);
        to_group(pid, Signal::KILL);
        let slot = self.fleet.slot(ix);
        if let Some(slot) = slot.filter(|slot| slot.unit.state.main_pid().is_some()) {
            let took = show_span(clock::now().since(slot.entered));
            tracing::warn!(
                service = self.name(ix),
                "stop.before still runs after {took}: SIGKILL"
            );
        }
    }

    /// It has ended. One that was killed, or whose service has died, tells nothing new.
    pub(super) fn before_ended(&mut self, ix: Ix, exit: Exit, why: &str) {
        if !self.is_before_stop(ix) {
            return;
        }
        if !exit.is_success() {
            tracing::warn!(service = self.name(ix), "stop.before failed: {why}");
        }
        self.take(Input::Unit(ix, Event::BeforeEnded));
    }

    fn is_before_stop(&self, ix: Ix) -> bool {
        let slot = self.fleet.slot(ix);
        slot.is_some_and(|slot| matches!(slot.unit.state, State::BeforeStop { .. }))
    }
}
