//! What the control socket tells of the fleet, in the wire's own types.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::control::describe;
use crate::control::protocol::{
    Change as WireChange, Detail, Event, EventKind, ExitStatus, Need, Phase, ServiceStatus,
    State as WireState, Status,
};
use crate::control::stamp::rfc3339;
use crate::machine::slot::{Change, Ix, Slot};
use crate::machine::unit::State;
use crate::service::definition::{Probe, Ready};
use crate::supervisor::{Supervisor, why};
use crate::values::Moment;

/// How many changes of one service are remembered, for its page.
const CHANGES_MAX: usize = 8;

/// How many events are remembered, for those who ask later.
const EVENTS_MAX: usize = 256;

/// How many lines the page of one service shows.
const PAGE_LINES: usize = 5;

/// What has happened, as far as it is remembered.
#[derive(Default)]
pub(super) struct History {
    events: VecDeque<Event>,
    changes: HashMap<Ix, VecDeque<WireChange>>,
}

impl History {
    fn add(&mut self, ix: Option<Ix>, event: &Event, change: Option<WireChange>) {
        push_bounded(&mut self.events, event.clone(), EVENTS_MAX);
        if let (Some(ix), Some(change)) = (ix, change) {
            push_bounded(self.changes.entry(ix).or_default(), change, CHANGES_MAX);
        }
    }

    /// The last events, oldest first.
    pub(super) fn last(&self, count: Option<u32>) -> Vec<Event> {
        let count = count.map_or(EVENTS_MAX, |count| count as usize);
        let skip = self.events.len().saturating_sub(count);
        self.events.iter().skip(skip).cloned().collect()
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, max: usize) {
    if queue.len() >= max {
        queue.pop_front();
    }
    queue.push_back(item);
}

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
        State::Stopping { .. } => WireState::Stopping,
        State::SpawningFinish { .. } | State::Finishing { .. } => WireState::Finishing,
        State::Backoff { .. } => WireState::WaitingToRestart,
        State::Finished => WireState::Finished,
        State::Failed(_) => WireState::Failed,
    }
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
        let all: Vec<Ix> = (0..self.fleet.slots().len()).collect();
        let mut services: Vec<ServiceStatus> = only
            .unwrap_or(&all)
            .iter()
            .filter_map(|ix| self.service_status(*ix, detail, now, wall))
            .collect();
        services.sort_by(|a, b| a.name.cmp(&b.name));
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
            State::Backoff { until } => Some(millis(until.since(now))),
            _not_waiting => None,
        };
        Some(ServiceStatus {
            name: slot.service.name.to_string(),
            state: wire_state(state),
            pid: state.pid().map(crate::values::Pid::raw),
            for_ms: millis(now.since(slot.entered)),
            restarts: slot.restarts.into(),
            exit: slot.exit.map(ExitStatus::from),
            oom: slot.oom,
            note: why::note(&self.fleet, ix, self.faults(ix)),
            enabled: slot.service.enabled,
            starts: slot.starts.into(),
            next_try_ms,
            detail: detail.then(|| self.detail(ix, slot, wall)),
        })
    }

    fn detail(&self, ix: Ix, slot: &Slot, _wall: Duration) -> Detail {
        let service = &slot.service;
        let need = |name: &crate::values::Name| {
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
            file: service.file.display().to_string(),
            needs: service.needs.iter().filter_map(need).collect(),
            ready: service
                .ready
                .as_ref()
                .map(|ready| self.describe_probe(ix, ready)),
            stop: describe::stop(&service.stop),
            restart: describe::restart(&service.restart),
            reload: service.reload.as_ref().map(describe::reload),
            history: self
                .history
                .changes
                .get(&ix)
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
            lines,
        }
    }

    /// The probe in words, with the address that this start's environment makes of it.
    fn describe_probe(&self, ix: Ix, ready: &Ready) -> String {
        let target = self.sides.get(ix).and_then(|side| side.target.as_ref());
        let probe = match (target, &ready.probe) {
            (Some(target), Probe::Tcp(_)) => Probe::Tcp(target.to_string()),
            (Some(target), Probe::Http(_)) => Probe::Http(target.to_string()),
            (_, probe) => probe.clone(),
        };
        describe::ready(&Ready {
            probe,
            ..ready.clone()
        })
    }

    /// Tells whoever listens that a service has changed.
    pub(super) fn publish_change(&mut self, change: &Change) {
        let Some(slot) = self.fleet.slot(change.ix) else {
            return;
        };
        let (_, wall) = Self::stamp();
        let ended =
            change.from.main_pid().is_some() && change.to.main_pid() != change.from.main_pid();
        let exit = slot.exit.filter(|_| ended);
        let why = why::note(&self.fleet, change.ix, self.faults(change.ix));
        let event = Event {
            ts: rfc3339(wall),
            mono_ms: millis(change.at.since_origin()),
            event: EventKind::State,
            service: Some(slot.service.name.to_string()),
            from: Some(wire_state(&change.from).word().into()),
            to: Some(wire_state(&change.to).word().into()),
            pid: change.to.pid().map(crate::values::Pid::raw),
            exit: exit.map(ExitStatus::from),
            why: if exit.is_some() && slot.oom {
                Some(OOM.into())
            } else {
                why.clone()
            },
        };
        let reason = [
            exit.map(|exit| {
                if slot.oom {
                    OOM.to_owned()
                } else {
                    exit.to_string()
                }
            }),
            why,
            change.to.pid().map(|pid| format!("pid {pid}")),
        ];
        let remembered = WireChange {
            ts: event.ts.clone(),
            from: wire_state(&change.from),
            to: wire_state(&change.to),
            why: reason.into_iter().flatten().next(),
        };
        self.publish(Some(change.ix), &event, Some(remembered));
    }

    /// Tells whoever listens that pidone itself is in another phase.
    pub(super) fn publish_phase(&mut self, from: Phase, to: Phase) {
        let (now, wall) = Self::stamp();
        let event = Event {
            ts: rfc3339(wall),
            mono_ms: millis(now.since_origin()),
            event: EventKind::Phase,
            service: None,
            from: Some(from.word().into()),
            to: Some(to.word().into()),
            pid: None,
            exit: None,
            why: None,
        };
        self.publish(None, &event, None);
    }

    /// Tells whoever listens of something that was done to a service by hand.
    pub(super) fn publish_deed(
        &mut self,
        ix: Ix,
        kind: EventKind,
        exit: Option<ExitStatus>,
        why: Option<String>,
    ) {
        let (now, wall) = Self::stamp();
        let slot = self.fleet.slot(ix);
        let event = Event {
            ts: rfc3339(wall),
            mono_ms: millis(now.since_origin()),
            event: kind,
            service: Some(self.name(ix).to_owned()),
            from: None,
            to: None,
            pid: slot
                .and_then(|slot| slot.unit.state.main_pid())
                .map(crate::values::Pid::raw),
            exit,
            why,
        };
        self.publish(Some(ix), &event, None);
    }

    fn publish(&mut self, ix: Option<Ix>, event: &Event, change: Option<WireChange>) {
        self.history.add(ix, event, change);
        if let Some(server) = &self.server {
            server.publish(event);
        }
    }
}

/// How the kernel's memory killer is named.
const OOM: &str = "killed by the kernel's OOM killer";
