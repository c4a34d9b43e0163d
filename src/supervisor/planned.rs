//! Oneshots with a schedule: the wall clock beside the machine's, and the alarm that is set on it.

use std::rc::Rc;
use std::time::Duration;

use crate::machine::slot::{Input, Ix, Slot};
use crate::machine::unit::Event;
use crate::os::alarm::Alarm;
use crate::os::clock;
use crate::supervisor::Supervisor;
use crate::values::Moment;

/// Between two readings of the clocks a moment may pass; the alarm must not ring before its time.
const CLOCKS_APART: Duration = Duration::from_millis(1);

/// A schedule that has no next moment is asked again after this.
const NEVER: Duration = Duration::from_secs(366 * 24 * 3600);

/// The alarm, and what it is set to.
#[derive(Default)]
pub(super) struct Runs {
    alarm: Alarm,
    set: Option<Moment>,
    /// It could not be had: the loop's own deadline stands in, and does not hear of a set clock.
    is_broken: bool,
}

impl Runs {
    /// Sets it to the next run.
    pub(super) fn set(&mut self, next: Option<Moment>) {
        if self.set == next || self.is_broken {
            return;
        }
        let (now, wall) = (clock::now(), clock::wall());
        let at = next.map(|at| wall + at.since(now) + CLOCKS_APART);
        if let Err(error) = self.alarm.set(at) {
            tracing::warn!("cannot watch the wall clock: {error}");
            self.is_broken = true;
        }
        self.set = next;
    }

    /// What the loop's own deadline must see to.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.set.filter(|_| self.is_broken)
    }

    /// Waits until a run is due, or the clock is set. Cancel-safe.
    pub(super) async fn wait(&mut self) {
        self.alarm.ring().await;
        self.set = None;
    }
}

impl Supervisor {
    /// Says when a service is due by its schedule.
    pub(super) fn plan(&mut self, ix: Ix, anew: bool) {
        let Some(service) = self.fleet.slot(ix).map(|slot| Rc::clone(&slot.service)) else {
            return;
        };
        let Some(schedule) = &service.schedule else {
            return;
        };
        let (now, wall) = Self::stamp();
        let side = self.sides.entry(ix).or_default();
        let table = side.timetable.get_or_insert_default();
        let name = service.name.as_str();
        let due = if anew {
            table.plan(schedule, name, now, wall)
        } else {
            table.look(schedule, name, now, wall)
        };
        self.take(Input::Unit(ix, Event::Due(due.unwrap_or(now + NEVER))));
    }

    /// A run is due, or the clock was set.
    pub(super) fn clock(&mut self) {
        self.runs.set = None;
        self.take(Input::Clock);
    }
}

/// How long until its next run.
pub(super) fn next_run(slot: &Slot, now: Moment) -> Option<Duration> {
    Some(slot.unit.state.run_at()?.since(now))
}
