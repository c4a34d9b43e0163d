//! What became of starts and probes, remembered until it can be told.

use std::collections::HashMap;

use tokio::task::AbortHandle;

use crate::machine::slot::{Input, Ix, Slot};
use crate::machine::unit::{Event, State};
use crate::service::timetable::Timetable;
use crate::supervisor::Supervisor;
use crate::supervisor::checks::Targets;
use crate::supervisor::notices::Sayings;
use crate::supervisor::starts;
use crate::supervisor::why::Faults;
use crate::values::Exit;

/// What is known beside the machine's knowledge: of most services, nothing.
pub(super) type Sides = HashMap<Ix, Side>;

/// What is known of a service beside the machine's knowledge.
#[derive(Default)]
pub(super) struct Side {
    /// Where its probes dial in this start.
    pub(super) targets: Targets,
    /// How many checks of its health it has passed in this start.
    pub(super) passed: u64,
    /// The last attempt to dial there.
    pub(super) dial: Option<AbortHandle>,
    /// When it is due by its schedule.
    pub(super) timetable: Option<Timetable>,
    /// Why its last start made no process.
    pub(super) start_fault: Option<String>,
    /// What it has said of itself in this start.
    pub(super) sayings: Option<Box<Sayings>>,
    /// What its last probe saw.
    pub(super) probe_fault: Option<String>,
}

impl Supervisor {
    /// A start has come further, or not.
    pub(super) fn started(&mut self, ix: Ix, event: Event, fault: Option<starts::Fault>) {
        match fault {
            Some(fault) if event == (Event::Probed { ready: false }) => {
                return self.probed(ix, Err(fault.text));
            }
            Some(fault) if self.is_finishing(ix) => self.complain_of_finish(ix, &fault.text),
            Some(fault) => self.complain(ix, fault.text),
            // Only now, since a death is told after the next start was tried.
            None => self.forget_start_fault(ix),
        }
        self.take(Input::Unit(ix, event));
    }

    pub(super) fn is_finishing(&self, ix: Ix) -> bool {
        let slot = self.fleet.slot(ix);
        slot.is_some_and(|slot| matches!(slot.unit.state, State::Finishing { .. }))
    }

    pub(super) fn complain_of_finish(&self, ix: Ix, fault: &str) {
        let is_down = |slot: &Slot| slot.service.down.is_some();
        let what = if self.fleet.slot(ix).is_some_and(is_down) {
            "down"
        } else {
            "finish"
        };
        tracing::warn!(service = self.name(ix), "its {what} does not run: {fault}");
    }

    /// What a oneshot did may not be undone. A `finish` is free to exit as it likes.
    pub(super) fn judge_down(&self, ix: Ix, exit: Exit) {
        let is_down = |slot: &Slot| slot.service.down.is_some();
        if self.is_finishing(ix) && self.fleet.slot(ix).is_some_and(is_down) && !exit.is_success() {
            tracing::warn!(service = self.name(ix), "its down failed: {exit}");
        }
    }

    fn forget_start_fault(&mut self, ix: Ix) {
        if let Some(side) = self.sides.get_mut(&ix) {
            side.start_fault = None;
        }
    }

    /// A new process, of which nothing is known yet but where to dial.
    pub(super) fn aim(&mut self, ix: Ix, targets: Targets) {
        if !targets.is_empty() {
            self.sides.entry(ix).or_default();
        }
        if let Some(side) = self.sides.get_mut(&ix) {
            side.targets = targets;
            side.passed = 0;
            side.sayings = None;
            side.probe_fault = None;
        }
    }

    /// A probe has been answered; what an earlier start answers no longer matters.
    pub(super) fn answered(&mut self, ix: Ix, starts: u32, result: Result<(), String>) {
        let slot = self.fleet.slot(ix);
        if slot.is_some_and(|slot| slot.starts == starts) {
            self.probed(ix, result);
        }
    }

    /// A probe has been answered.
    pub(super) fn probed(&mut self, ix: Ix, result: Result<(), String>) {
        let ready = result.is_ok();
        let slot = self.fleet.slot(ix);
        let is_check = slot.is_some_and(|slot| {
            let state = &slot.unit.state;
            matches!(state, State::Ready { .. } | State::Unready { .. })
        });
        let side = self.sides.entry(ix).or_default();
        side.passed += u64::from(ready && is_check);
        side.probe_fault = result.err();
        self.take(Input::Unit(ix, Event::Probed { ready }));
    }

    pub(super) fn complain(&mut self, ix: Ix, fault: String) {
        self.sides.entry(ix).or_default().start_fault = Some(fault);
    }

    pub(super) fn faults(&self, ix: Ix) -> Faults<'_> {
        faults_of(&self.sides, ix)
    }
}

pub(super) fn faults_of(sides: &Sides, ix: Ix) -> Faults<'_> {
    let side = sides.get(&ix);
    Faults {
        start: side.and_then(|side| side.start_fault.as_deref()),
        probe: side.and_then(|side| side.probe_fault.as_deref()),
        sayings: side.and_then(|side| side.sayings.as_deref()),
    }
}
