//! The wall clock of the fake world, which may be set, and who is due when by it.

use std::collections::BTreeMap;
use std::time::Duration;

use pidone::machine::slot::{Input, Ix};
use pidone::machine::unit::Event;
use pidone::service::timetable::Timetable;
use pidone::values::Moment;

use super::World;

/// What the wall clock shows when the world begins, unless it is set: the year 2026.
const BEGIN: Duration = Duration::from_secs(1_767_225_600);

/// The wall clock, and who is due when by it.
#[derive(Default)]
pub(crate) struct Clocks {
    tables: BTreeMap<Ix, Timetable>,
    /// When it is set, and to what, in the order of time.
    set: Vec<(Moment, Duration)>,
}

impl World {
    /// Somebody sets the wall clock at this moment, by so many seconds from what it began with.
    pub(crate) fn set_clock(&mut self, at: Moment, by_s: i64) {
        let seconds = BEGIN + at.since_origin();
        let to = Duration::from_secs(seconds.as_secs().saturating_add_signed(by_s));
        self.clocks.set.push((at, to));
        self.clocks.set.sort();
        self.plan(at, Input::Clock);
    }

    fn wall(&self) -> Duration {
        let mut set = self.clocks.set.iter();
        match set.rfind(|(at, _)| *at <= self.now) {
            Some((at, to)) => *to + self.now.since(*at),
            None => BEGIN + self.now.since_origin(),
        }
    }

    /// When a service is due by its schedule.
    pub(super) fn time(&mut self, ix: Ix, anew: bool) -> Option<Input> {
        let service = self.fleet.slot(ix)?.service.clone();
        let (name, wall) = (service.name.as_str(), self.wall());
        let table = self.clocks.tables.entry(ix).or_default();
        // Its definition may be another one since this was ordered.
        let schedule = service.schedule.as_ref()?;
        let due = if anew {
            table.plan(schedule, name, self.now, wall)
        } else {
            table.look(schedule, name, self.now, wall)
        };
        Some(Input::Unit(ix, Event::Due(due.unwrap())))
    }

    /// No run is overslept, whatever becomes of the clock.
    pub(crate) fn rules_of_runs(&mut self) {
        let next = self.fleet.next_run().filter(|_| self.exit.is_none());
        let is_overslept = next.is_some_and(|at| at + self.late < self.now);
        self.check(!is_overslept, "no run by a schedule is overslept");
    }
}
