//! The nodes and edges of a walk: the machine beside a ghost that knows what really happened.

mod paced;
mod planned;
mod rest;
pub(crate) mod rules;
pub(crate) mod shapes;

use std::time::Duration;

use pidone::machine::step::step;
use pidone::machine::unit::{Action, Event, Health, Retry, Said, StartStep, Starting, State, Unit};
use pidone::service::definition::Service;
use pidone::values::{Exit, Moment, Pid};

use paced::{is_automatic_restart, was_up_long};

/// The unit of abstract time: `RETRY_FIRST`, so that a backoff is one unit.
pub(crate) const UNIT: Duration = Duration::from_millis(250);
/// Now, in every node.
pub(crate) const NOW: Moment = Moment::at(Duration::from_secs(1000));
/// Later than every deadline, in units.
pub(crate) const FAR: i32 = 60;
/// Distances beyond this many units are one bucket: the exec's timeout.
pub(crate) const NEAR: i32 = 5;
/// A state of the walk: the machine's, and what the world knows.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Node {
    pub(crate) unit: Unit,
    pub(crate) ghost: Ghost,
}

/// What really happened.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Ghost {
    /// The process that lives.
    pub(crate) alive: Option<Pid>,
    /// It got SIGKILL.
    pub(crate) killed: bool,
    /// It never became the program, and ends by itself.
    pub(crate) never_ran: bool,
    /// The last automatic restart did not wait, and the service was not up for long since.
    pub(crate) unwaited: bool,
    /// The command of `stop.before` runs.
    pub(crate) before: bool,
    /// It was told to stop, and not to start since.
    pub(crate) stopped: bool,
}

/// One edge of the walk.
#[derive(Debug)]
pub(crate) struct Edge<'a> {
    pub(crate) service: &'a Service,
    pub(crate) before: &'a Node,
    pub(crate) event: Event,
    pub(crate) now: Moment,
    pub(crate) after: Node,
    pub(crate) actions: Vec<Action>,
}
pub(crate) fn events(now: Moment) -> Vec<Event> {
    let exits = [Exit::Code(0), Exit::Code(1), Exit::Code(125)];
    let mut events = vec![
        Event::Start,
        Event::Go,
        Event::NeedFailed,
        Event::Stop { by: None },
        Event::Stop {
            by: Some(now + UNIT),
        },
        Event::Stop {
            by: Some(now.before(UNIT)),
        },
        Event::Plan,
        Event::Due(now),
        Event::Due(now + UNIT),
        Event::Clock,
        Event::Restart,
        Event::Kill,
        Event::SpawnFailed,
        Event::Execed,
        Event::ExecFailed,
        Event::Probed { ready: true },
        Event::Probed { ready: false },
        Event::Said(Said::Ready),
        Event::Said(Said::Alive),
        Event::Said(Said::Alarm),
        Event::Said(Said::Stopping),
        Event::Said(Said::Extend(UNIT * 3)),
        Event::BeforeEnded,
        Event::Tick,
    ];
    events.extend(exits.map(Event::Exited));
    events.extend([7, 8].map(|raw| Event::Spawned(Pid::new(raw).unwrap())));
    events
}

/// Whether the world can send this now. The rest is fed as well, and must change nothing.
pub(crate) fn is_possible(node: &Node, event: Event) -> bool {
    match event {
        Event::Spawned(pid) => match node.unit.state {
            State::Spawning => pid.raw() == 7,
            State::SpawningFinish { .. } => pid.raw() == 8,
            _other => false,
        },
        // 125 means something only from `finish`, and an end by signal is as good as code 1.
        Event::Exited(exit) => match node.unit.state {
            State::Finishing { .. } => exit == Exit::Code(0) || exit == Exit::Code(125),
            _other => node.ghost.alive.is_some() && exit.code() < 2,
        },
        Event::BeforeEnded => node.ghost.before,
        _other => true,
    }
}

pub(crate) fn take<'a>(
    service: &'a Service,
    before: &'a Node,
    event: Event,
    now: Moment,
) -> Edge<'a> {
    let (unit, actions) = step(service, &before.unit, event, now);
    let mut edge = Edge {
        service,
        before,
        event,
        now,
        after: Node {
            unit,
            ghost: before.ghost,
        },
        actions,
    };
    edge.after.ghost = haunt(&edge);
    edge
}

/// What the world makes of an edge.
pub(crate) fn haunt(edge: &Edge<'_>) -> Ghost {
    let mut ghost = edge.before.ghost;
    let state = edge.before.unit.state;
    let in_exec = matches!(
        state,
        State::Starting(Starting {
            step: StartStep::Exec { .. },
            ..
        })
    );
    match edge.event {
        Event::Spawned(pid) if is_possible(edge.before, edge.event) => {
            ghost = Ghost {
                alive: Some(pid),
                killed: false,
                never_ran: false,
                ..ghost
            };
        }
        Event::Exited(_) => {
            ghost.alive = None;
        }
        Event::ExecFailed if in_exec => ghost.never_ran = true,
        Event::Stop { .. } | Event::Kill if state != State::Spawning => ghost.stopped = true,
        Event::Start | Event::Plan | Event::Restart => ghost.stopped = false,
        _other => {}
    }
    if edge.event == Event::Tick && edge.actions.iter().any(|a| matches!(a, Action::Kill(_))) {
        ghost.never_ran |= in_exec;
    }
    if !matches!(edge.after.unit.state, State::Ready { .. }) {
        ghost.unwaited &= !was_up_long(edge);
    }
    if edge.event == Event::BeforeEnded || edge.actions.contains(&Action::KillBefore) {
        ghost.before = false;
    }
    ghost.before |= edge.actions.contains(&Action::RunBefore);
    ghost.killed |= edge.actions.iter().any(|a| matches!(a, Action::Kill(_)));
    if is_automatic_restart(edge) {
        ghost.unwaited = matches!(edge.after.unit.state, State::Waiting);
    }
    if edge.after.unit.retry == Retry::default() {
        ghost.unwaited = false;
    }
    ghost
}

/// The node as seen from a later moment, with what no rule tells apart made equal.
pub(crate) fn seen_from(node: &Node, units: i32) -> Node {
    let shift = |at: Moment, floor: i32| {
        let ahead = at.since(NOW).as_millis() / UNIT.as_millis();
        let behind = NOW.since(at).as_millis() / UNIT.as_millis();
        let distance = i32::try_from(ahead).unwrap() - i32::try_from(behind).unwrap() - units;
        match distance {
            near if near <= NEAR => moment(near.max(floor)),
            _far => moment(FAR - 20),
        }
    };
    let due = |at: Moment| shift(at, -1);
    let past = |at: Moment| shift(at, -3);
    let state = shifted(node.unit.state, due, past);
    let retry = &node.unit.retry;
    let retry = Retry {
        failures: retry.failures.min(2),
        restarts: retry.restarts.iter().map(|at| past(*at)).collect(),
        trying_since: retry.trying_since.map(|at| shift(at, -2)),
        ready_at: retry.ready_at.map(|at| shift(at, -4)),
        hopeless: retry.hopeless,
    };
    Node {
        unit: Unit { state, retry },
        ghost: node.ghost,
    }
}

/// A state with its moments moved: what is due, and what is past.
fn shifted(state: State, due: impl Fn(Moment) -> Moment, past: impl Fn(Moment) -> Moment) -> State {
    let check = |health: Health| match health {
        Health::AskAt(at) => Health::AskAt(due(at)),
        Health::SignBy(by) => Health::SignBy(due(by)),
        other @ (Health::Unwatched | Health::Asked) => other,
    };
    match state {
        State::Starting(starting) => State::Starting(Starting {
            step: shifted_step(starting.step, &due),
            ready_by: starting.ready_by.map(&due),
            ..starting
        }),
        State::Ready {
            pid,
            since,
            health,
            on_trial,
        } => State::Ready {
            pid,
            since: past(since),
            health: check(health),
            on_trial,
        },
        State::Unready {
            pid,
            health,
            failed,
        } => State::Unready {
            pid,
            health: check(health),
            failed,
        },
        State::BeforeStop {
            pid,
            until,
            by,
            next,
        } => State::BeforeStop {
            pid,
            until: due(until),
            by: by.map(&due),
            next,
        },
        State::Stopping { pid, kill_at, next } => State::Stopping {
            pid,
            kill_at: kill_at.map(&due),
            next,
        },
        State::Finishing {
            pid,
            exit,
            kill_at,
            next,
        } => State::Finishing {
            pid,
            exit,
            kill_at: kill_at.map(&due),
            next,
        },
        State::Backoff { until, cause } => State::Backoff {
            until: due(until),
            cause,
        },
        State::Scheduled { at } => State::Scheduled { at: at.map(due) },
        other => other,
    }
}

fn shifted_step(step: StartStep, due: &dyn Fn(Moment) -> Moment) -> StartStep {
    match step {
        StartStep::Exec { by } => StartStep::Exec { by: due(by) },
        StartStep::ProbeAt(at) => StartStep::ProbeAt(due(at)),
        other @ (StartStep::Listen | StartStep::Probing) => other,
    }
}

pub(crate) fn moment(units: i32) -> Moment {
    let span = UNIT * units.unsigned_abs();
    if units < 0 {
        NOW.before(span)
    } else {
        NOW + span
    }
}
