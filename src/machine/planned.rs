//! A oneshot between its runs: when the next one is due is asked outside, where the wall clock is.

use crate::machine::fleet::Fleet;
use crate::machine::slot::{Ix, Order, Run, Slot};
use crate::machine::step::{Outcome, Turn};
use crate::machine::unit::{Action, Event, State, Unit};
use crate::values::Moment;

/// It waits for its next run. Each run starts with a clean slate.
pub(super) fn plan(anew: bool) -> Outcome {
    let unit = Unit {
        state: State::Scheduled { at: None },
        ..Unit::new()
    };
    (unit, vec![Action::Plan { anew }])
}

impl Turn<'_> {
    pub(super) fn scheduled(&self, at: Option<Moment>) -> Outcome {
        match self.event {
            Event::Due(due) if at.is_none() && due <= self.now => self.settle(State::Waiting),
            Event::Due(due) if at.is_none() => self.settle(State::Scheduled { at: Some(due) }),
            Event::Clock if at.is_some() => plan(false),
            Event::Start | Event::Restart => self.settle(State::Waiting),
            Event::Stop { .. } | Event::Kill => self.settle(State::Down),
            Event::Go
            | Event::NeedFailed
            | Event::Plan
            | Event::Due(_)
            | Event::Clock
            | Event::Spawned(_)
            | Event::SpawnFailed
            | Event::Execed
            | Event::ExecFailed
            | Event::Probed { .. }
            | Event::Said(_)
            | Event::BeforeEnded
            | Event::Exited(_)
            | Event::Tick => self.settle(State::Scheduled { at }),
        }
    }
}

impl State {
    /// When the clock is to be looked at for its next run.
    pub fn run_at(&self) -> Option<Moment> {
        match self {
            Self::Scheduled { at } => *at,
            Self::Down
            | Self::Waiting
            | Self::Spawning
            | Self::Starting(_)
            | Self::Ready { .. }
            | Self::Unready { .. }
            | Self::BeforeStop { .. }
            | Self::Stopping { .. }
            | Self::SpawningFinish { .. }
            | Self::Finishing { .. }
            | Self::Backoff { .. }
            | Self::Finished
            | Self::Undoable
            | Self::Failed(_) => None,
        }
    }
}

impl Slot {
    /// It was `from` before: its process may have come or gone.
    pub(super) fn ran(&mut self, from: &State, now: Moment) {
        if self.service.schedule.is_none() {
            return;
        }
        let (was, is) = (
            from.main_pid().is_some(),
            self.unit.state.main_pid().is_some(),
        );
        // A run for which no process could be made has begun and ended in one.
        let is_none = *from == State::Spawning && !is;
        if is && !was || is_none {
            let (began, ended) = (now, is_none.then_some(now));
            self.run = Some(Box::new(Run { began, ended }));
        }
        if let Some(run) = self.run.as_mut().filter(|_| was && !is) {
            run.ended = Some(now);
        }
    }
}

impl Fleet {
    /// When `Clock` is due, unless the wall clock is set before: the next run by a schedule.
    pub fn next_run(&self) -> Option<Moment> {
        let (at, _) = self.runs.first()?;
        Some(*at)
    }

    /// Keeps the book of who is due.
    pub(super) fn count_run(&mut self, ix: Ix, from: &State, to: &State) {
        if let Some(at) = from.run_at() {
            self.runs.remove(&(at, ix));
        }
        if let Some(at) = to.run_at() {
            self.runs.insert((at, ix));
        }
    }

    /// Everybody who waits for the clock looks at it.
    pub(super) fn clock(&mut self, now: Moment, orders: &mut Vec<Order>) {
        for (_, ix) in self.runs.clone() {
            self.apply(ix, Event::Clock, now, orders);
        }
    }
}
