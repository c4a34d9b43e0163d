//! Oneshots with a schedule: the wall clock beside the machine's, and the alarm that is set on it.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use crate::machine::slot::{Change, Input, Ix, Slot};
use crate::machine::unit::{Event, State};
use crate::os::alarm::Alarm;
use crate::os::clock;
use crate::os::reason::reason;
use crate::service::schedule::Schedule;
use crate::service::timetable::Timetable;
use crate::supervisor::history::What;
use crate::supervisor::narrator::warn;
use crate::supervisor::{Supervisor, why};
use crate::values::Moment;
use crate::values::span::show_span;

/// Between two readings of the clocks a moment may pass; the alarm must not ring before its time.
const CLOCKS_APART: Duration = Duration::from_millis(1);

/// A schedule that has no next moment is asked again after this.
const NEVER: Duration = Duration::from_secs(366 * 24 * 3600);

/// The alarm, and what it is set to.
#[derive(Default)]
pub(super) struct Runs {
    alarm: Alarm,
    set: Option<Moment>,
    /// Whose run goes on, and when the next one is due in vain.
    vain: HashMap<Ix, Moment>,
    /// It could not be had: the loop's own deadline stands in, and does not hear of a set clock.
    is_broken: bool,
}

impl Runs {
    /// Sets it to the next run, of those that are waited for and of those that will fall out.
    pub(super) fn set(&mut self, next: Option<Moment>) {
        let vain = self.vain.values().copied();
        let next = next.into_iter().chain(vain).min();
        if self.set == next || self.is_broken {
            return;
        }
        let (now, wall) = (clock::now(), clock::wall());
        let at = next.map(|at| wall + at.since(now) + CLOCKS_APART);
        if let Err(error) = self.alarm.set(at) {
            tracing::warn!("cannot watch the wall clock: {}", reason(&error));
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
        let running: Vec<Ix> = self.runs.vain.keys().copied().collect();
        for ix in running {
            if self.pass(ix) {
                let why = self.why_overlaps(ix);
                self.skipped(ix, why);
            }
        }
    }

    /// A run may have begun, or be over: what is due while it goes on falls out, unless it queues.
    pub(super) fn watch_run(&mut self, change: &Change) {
        let ix = change.ix;
        let Some(slot) = self.fleet.slot(ix).filter(|s| s.service.schedule.is_some()) else {
            self.runs.vain.remove(&ix);
            return;
        };
        if !is_under_way(&slot.unit.state) {
            self.runs.vain.remove(&ix);
        } else if !self.runs.vain.contains_key(&ix) {
            if change.from.is_at_rest() {
                self.table(ix, Timetable::resume);
            }
            self.pass(ix);
        }
    }

    /// Whether its next run has been due in vain; the one after that is watched for.
    fn pass(&mut self, ix: Ix) -> bool {
        let goes_on = self.fleet.ending().is_none();
        let slot = self.fleet.slot(ix).filter(|_| goes_on);
        let is_under_way = slot.is_some_and(|slot| is_under_way(&slot.unit.state));
        let passed = self.table(ix, Timetable::pass);
        let (was_due, next) = passed.filter(|_| is_under_way).unwrap_or_default();
        match next {
            Some(next) => self.runs.vain.insert(ix, next),
            None => self.runs.vain.remove(&ix),
        };
        was_due
    }

    /// Asks the timetable of a service that has one.
    fn table<T>(
        &mut self,
        ix: Ix,
        ask: impl FnOnce(&mut Timetable, &Schedule, Moment, Duration) -> T,
    ) -> Option<T> {
        let service = self.fleet.slot(ix).map(|slot| Rc::clone(&slot.service))?;
        let (now, wall) = Self::stamp();
        let table = self.sides.get_mut(&ix)?.timetable.as_mut()?;
        Some(ask(table, service.schedule.as_deref()?, now, wall))
    }

    /// Why a run is due in vain: `the last one still runs, after 2h 10m`.
    fn why_overlaps(&self, ix: Ix) -> String {
        let Some(slot) = self.fleet.slot(ix) else {
            return String::new();
        };
        let now = clock::now();
        let began = slot.run.as_deref().map_or(slot.entered, |run| run.began);
        let waits = why::waits_for(&self.fleet, ix);
        match (slot.unit.state, waits) {
            (State::Waiting, Some(waits)) => format!("the last one still {waits}"),
            (State::Backoff { until, .. }, _) => {
                let wait = show_span(until.since(now));
                format!("the last one is tried again in {wait}")
            }
            (_it_runs, _) => {
                let runs = show_span(now.since(began));
                format!("the last one still runs, after {runs}")
            }
        }
    }

    /// A run falls out for want of a need.
    pub(super) fn skip(&mut self, ix: Ix) {
        let why = why::needs_failed(&self.fleet, ix);
        self.skipped(ix, why.unwrap_or_default());
    }

    /// A run falls out: whoever listens is told, and the story.
    fn skipped(&mut self, ix: Ix, why: String) {
        let Some(slot) = self.fleet.slot(ix) else {
            return;
        };
        let next = next_run(slot, clock::now()).map(show_span);
        let next = next.map_or(String::new(), |next| format!("; next run in {next}"));
        let line = warn(slot, format!("run skipped: {why}{next}"));
        self.publish_deed(ix, What::RunSkipped, None, Some(why));
        Self::tell([line]);
    }
}

/// Whether a run has begun and is not over: it may also wait for what it needs, or to be tried
/// again.
fn is_under_way(state: &State) -> bool {
    !state.is_at_rest() && !matches!(state, State::Scheduled { .. })
}

/// How long until its next run.
pub(super) fn next_run(slot: &Slot, now: Moment) -> Option<Duration> {
    Some(slot.unit.state.run_at()?.since(now))
}
