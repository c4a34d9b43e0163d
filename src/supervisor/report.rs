//! What the control socket tells of the fleet, in the wire's own types.

use std::time::Duration;

use crate::control::describe;
use crate::control::protocol::{
    Detail, Event, ExitStatus, Need, Phase, ServiceStatus, State as WireState, Status,
};
use crate::machine::slot::{Change, Ix, Slot};
use crate::machine::unit::{Failure, State};
use crate::service::definition::{Health, Kind, Ready};
use crate::supervisor::checks::{Purpose, aimed};
use crate::supervisor::history::{Deed, What};
use crate::supervisor::planned::next_run;
use crate::supervisor::{Supervisor, why};
use crate::values::lists;
use crate::values::stamp::rfc3339;
use crate::values::{Exit, Moment, Name};

/// How many lines the page of one service shows.
const PAGE_LINES: usize = 5;

/// Milliseconds as the wire has them.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A state in the wire's words.
pub(super) fn wire_state(state: &State) -> WireState {
    match state {
        State::Down => WireState::Down,
        State::Waiting => WireState::Waiting,
        State::Spawning | State::Starting(_) => WireState::Starting,
        State::Ready { .. } => WireState::Ready,
        State::Unready { .. } => WireState::Unready,
        State::BeforeStop { .. } | State::Stopping { .. } => WireState::Stopping,
        State::SpawningFinish { .. } | State::Finishing { .. } => WireState::Finishing,
        State::Backoff { .. } => WireState::WaitingToRestart,
        State::Scheduled { .. } => WireState::Scheduled,
        State::Finished | State::Undoable => WireState::Finished,
        State::Failed(_) => WireState::Failed,
    }
}

/// To the millisecond: two clocks that are read one after the other are not further apart.
fn whole(wall: Duration) -> Duration {
    Duration::from_millis(millis(wall + Duration::from_micros(500)))
}

impl Supervisor {
    /// Where the container is in its life.
    fn phase(&self) -> Phase {
        if self.fleet.ending().is_some() {
            Phase::Stopping
        } else if self.narrator.is_booting() {
            Phase::Boot
        } else {
            Phase::Running
        }
    }

    /// How these services are; `None` is all.
    pub(super) fn status(&self, only: Option<&[Ix]>, detail: bool) -> Status {
        let (now, wall) = Self::stamp();
        let all: Vec<Ix> = self.numbers_of_all().collect();
        let mut services: Vec<ServiceStatus> = only
            .unwrap_or(&all)
            .iter()
            .filter_map(|ix| self.service_status(*ix, detail, now, wall))
            .collect();
        lists::sort(&mut services, |a, b| a.name.cmp(&b.name));
        Status {
            pid: i32::try_from(std::process::id()).unwrap_or_default(),
            phase: self.phase(),
            services,
        }
    }

    fn service_status(
        &self,
        ix: Ix,
        detail: bool,
        now: Moment,
        wall: Duration,
    ) -> Option<ServiceStatus> {
        let slot = self.fleet.slot(ix)?;
        let state = &slot.unit.state;
        let next_try_ms = match state {
            State::Backoff { until, .. } => Some(millis(until.since(now))),
            _not_waiting => None,
        };
        let (next, run) = (next_run(slot, now), slot.run.as_deref());
        Some(ServiceStatus {
            name: slot.service.name.to_string(),
            state: wire_state(state),
            pid: state.pid().map(crate::values::Pid::raw),
            for_ms: millis(now.since(slot.entered)),
            restarts: slot.restarts.into(),
            exit: slot.exit.map(ExitStatus::from),
            oom: slot.oom,
            note: why::note(&self.fleet, ix, self.faults(ix)).or_else(|| self.own_note(ix, state)),
            enabled: slot.service.enabled,
            wanted: slot.is_kept_up(),
            starts: slot.starts.into(),
            next_try_ms,
            schedule: slot.service.schedule.as_deref().map(describe::schedule),
            next_run: next.map(|next| rfc3339(whole(wall + next))),
            next_run_ms: next.map(millis),
            last_run: run.map(|run| rfc3339(wall.saturating_sub(now.since(run.began)))),
            last_run_ms: run.map(|run| millis(now.since(run.began))),
            last_took_ms: run.and_then(|run| Some(millis(run.ended?.since(run.began)))),
            detail: detail.then(|| self.detail(ix, slot, next.map(|next| whole(wall + next)))),
        })
    }

    /// What a service notes of itself (`X_PIDONE_NOTE`), while it is up and nothing worse is told.
    fn own_note(&self, ix: Ix, state: &State) -> Option<String> {
        let is_up = matches!(state, State::Starting(_) | State::Ready { .. });
        let side = self.sides.get(&ix).filter(|_| is_up)?;
        side.sayings.as_ref()?.note.clone()
    }

    fn detail(&self, ix: Ix, slot: &Slot, next_run: Option<Duration>) -> Detail {
        let service = &slot.service;
        let need = |name: &Name| {
            let state = self
                .fleet
                .slot(self.find(name.as_str())?)
                .map(|s| &s.unit.state)?;
            Some(Need {
                name: name.to_string(),
                state: wire_state(state),
            })
        };
        let mut lines = self.lines(ix, Some(PAGE_LINES));
        lines.retain(|line| !line.text.is_empty());
        Detail {
            file: service.file().display().to_string(),
            needs: service.needs.iter().filter_map(need).collect(),
            after: service
                .after
                .iter()
                .filter(|name| self.find(name.as_str()).is_some())
                .map(ToString::to_string)
                .collect(),
            waits_for: self.waits_for(ix, slot),
            oneshot: service.kind == Kind::Oneshot,
            main: service.main,
            ready: service
                .ready
                .as_ref()
                .map(|ready| self.describe_ready(ix, ready)),
            health: service
                .health
                .as_ref()
                .map(|health| self.describe_health(ix, health)),
            says: self.sides.get(&ix).and_then(|side| {
                let sayings = side.sayings.as_ref()?;
                sayings.status.clone()
            }),
            next_run_there: next_run.and_then(|next| Some(service.schedule.as_deref()?.show(next))),
            stop: describe::stop(&service.stop),
            restart: describe::restart(&service.restart),
            reload: service.reload.as_ref().map(describe::reload),
            history: self.history.changes(ix),
            lines,
        }
    }

    /// What keeps it from starting; nothing if it does not wait. What a oneshot below it stands
    /// on counts only once that has finished: before, the oneshot says so itself.
    fn waits_for(&self, ix: Ix, slot: &Slot) -> Vec<String> {
        match slot.unit.state {
            State::Waiting | State::Failed(Failure::Need) => {}
            State::Scheduled { .. } => {
                let failed = self.fleet.failed_needs(ix).into_iter();
                return failed.map(|need| need.service.name.to_string()).collect();
            }
            _does_not => return Vec::new(),
        }
        let service = &slot.service;
        let is_named = |name: &Name| service.needs.contains(name) || service.after.contains(name);
        let others = self.fleet.waits_for(ix);
        let mut names: Vec<&Name> = others.iter().map(|other| &other.service.name).collect();
        if names.iter().any(|name| is_named(name)) {
            names.retain(|name| is_named(name));
        }
        names.into_iter().map(ToString::to_string).collect()
    }

    /// The probe of `[ready]` in words, with the address that this start's environment makes of it.
    fn describe_ready(&self, ix: Ix, ready: &Ready) -> String {
        let side = self.sides.get(&ix);
        let target = side.and_then(|side| side.targets.of_purpose(Purpose::Ready));
        describe::ready(&Ready {
            probe: aimed(&ready.probe, target),
            ..ready.clone()
        })
    }

    /// The same of `[health]`, and how it went: `http://… every 5s, 1412 passed since start`.
    fn describe_health(&self, ix: Ix, health: &Health) -> String {
        let side = self.sides.get(&ix);
        let target = side.and_then(|side| side.targets.of_purpose(Purpose::Health));
        let asked = describe::health(&Health {
            probe: aimed(&health.probe, target),
            ..health.clone()
        });
        let passed = side.map_or(0, |side| side.passed);
        format!("{asked}, {passed} passed since start")
    }

    /// Tells whoever listens that a service has changed.
    pub(super) fn publish_change(&mut self, change: &Change) {
        let Some(slot) = self.fleet.slot(change.ix) else {
            return;
        };
        let (_, wall) = Self::stamp();
        let ended =
            change.from.main_pid().is_some() && change.to.main_pid() != change.from.main_pid();
        let why = why::note(&self.fleet, change.ix, self.faults(change.ix));
        // Made in this turn, after the change that asked for it.
        let state = &slot.unit.state;
        let made = state.pid().filter(|_| state.word() == change.to.word());
        self.publish(Deed {
            wall_ms: millis(wall),
            mono_ms: millis(change.at.since_origin()),
            ix: u32::try_from(change.ix).ok(),
            what: What::State {
                from: wire_state(&change.from),
                to: wire_state(&change.to),
            },
            pid: change.to.pid().or(made),
            exit: slot.exit.filter(|_| ended),
            oom: slot.oom,
            why: why.map(Into::into),
        });
    }

    /// Tells whoever listens that pidone itself is in another phase.
    pub(super) fn publish_phase(&mut self, from: Phase, to: Phase) {
        let (at, wall) = Self::stamp();
        self.publish(Deed {
            wall_ms: millis(wall),
            mono_ms: millis(at.since_origin()),
            ix: None,
            what: What::Phase { from, to },
            pid: None,
            exit: None,
            oom: false,
            why: None,
        });
    }

    /// Tells whoever listens that the definitions were read again, and what had changed.
    pub(super) fn publish_rescan(&mut self, what: String) {
        let (at, wall) = Self::stamp();
        self.publish(Deed {
            wall_ms: millis(wall),
            mono_ms: millis(at.since_origin()),
            ix: None,
            what: What::Rescan,
            pid: None,
            exit: None,
            oom: false,
            why: Some(what.into()),
        });
    }

    /// Tells whoever listens of something that was done to a service by hand.
    pub(super) fn publish_deed(
        &mut self,
        ix: Ix,
        what: What,
        exit: Option<Exit>,
        why: Option<String>,
    ) {
        let (at, wall) = Self::stamp();
        let slot = self.fleet.slot(ix);
        let pid = slot.and_then(|slot| slot.unit.state.main_pid());
        self.publish(Deed {
            wall_ms: millis(wall),
            mono_ms: millis(at.since_origin()),
            ix: u32::try_from(ix).ok(),
            what,
            pid,
            exit,
            oom: false,
            why: why.map(Into::into),
        });
    }

    /// The last events, oldest first.
    pub(super) fn past_events(&self, last: Option<u32>) -> impl Iterator<Item = Event> {
        let events = self.history.last(last);
        events.map(|deed| deed.event(deed.ix().map(|ix| self.name_even_if_gone(ix))))
    }

    fn name_even_if_gone(&self, ix: Ix) -> &str {
        let name = self.history.name_of_gone(ix);
        name.unwrap_or_else(|| self.name(ix))
    }

    fn publish(&mut self, deed: Deed) {
        if let Some(server) = self
            .server
            .as_ref()
            .filter(|server| server.has_event_followers())
        {
            server.publish(&deed.event(deed.ix().map(|ix| self.name(ix))));
        }
        self.history.add(deed);
    }
}
