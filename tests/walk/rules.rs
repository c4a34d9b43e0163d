//! What must hold on every edge of the walk.

use pidone::machine::unit::{
    Action, Cause, Event, Failure, Health, Next, Said, StartStep, Starting, State,
};
use pidone::service::definition::{Probe, Then};

use pidone::values::Moment;

use super::{Edge, paced, planned, rest};

pub(crate) type Rule = fn(&Edge<'_>) -> bool;

/// The rules by name.
pub(crate) const RULES: &[(&str, Rule)] = &[
    ("a pid exists exactly while a process lives", pid_is_process),
    (
        "a stop ends: a kill is due or was sent, the child ends by itself, or it has no timeout",
        stop_ends,
    ),
    (
        "a signal goes only to the current process",
        signal_to_current,
    ),
    (
        "every automatic restart waits or counts",
        paced::restart_waits_or_counts,
    ),
    (
        "a start that timed out does not forget the retry count",
        timeout_counts,
    ),
    ("the limit bounds what is remembered", memory_is_bounded),
    ("spawning exists only with its order", spawning_is_ordered),
    (
        "finish runs exactly once per death of a program that ran",
        finish_once,
    ),
    (
        "what comes too late, or does not belong, changes nothing",
        late_is_nothing,
    ),
    ("after a tick nothing is due", tick_clears),
    ("a stopped service does not start by itself", stopped_stays),
    (
        "a probe is asked exactly when its answer is waited for",
        probe_is_waited_for,
    ),
    (
        "what is ready is neither hopeless nor trying",
        ready_is_hopeful,
    ),
    (
        "when it was ready is known from then to its next start, at the pace of s6 only",
        paced::ready_is_remembered,
    ),
    (
        "at the pace of s6 every wait is alike, whatever came before",
        paced::waits_of_s6,
    ),
    ("a stop is heard at once", stop_is_heard),
    (
        "a run is planned exactly when its moment is waited for, and only by a schedule",
        planned::plan_is_ordered,
    ),
    ("who falls out is told of once", planned::skips_are_told),
    (
        "with a schedule a run is never the last",
        planned::schedule_goes_on,
    ),
    (
        "the rest is killed exactly when a death is followed by a restart, and no `finish`",
        rest::rest_is_killed,
    ),
    (
        "what runs is watched exactly if it is to be",
        health_is_watched,
    ),
    (
        "a failure makes it unready, a success ready",
        failure_is_unready,
    ),
    (
        "only so many failures in a row are a death",
        failures_are_counted,
    ),
    (
        "`before` runs exactly while the state says so, and is waited for until a moment",
        before_is_state,
    ),
    ("nobody is asked while `before` runs", asked_after_before),
    (
        "a deliberate stop of one who was not asked yet runs `before`, and nothing else does",
        before_each_stop,
    ),
];

pub(crate) fn pid_is_process(edge: &Edge<'_>) -> bool {
    edge.after.unit.state.pid() == edge.after.ghost.alive
}

pub(crate) fn stop_ends(edge: &Edge<'_>) -> bool {
    let ghost = edge.after.ghost;
    match edge.after.unit.state {
        State::Stopping { kill_at, .. } => {
            kill_at.is_some()
                || ghost.killed
                || ghost.never_ran
                || edge.service.stop.timeout.is_none()
        }
        State::Finishing { kill_at, .. } => {
            let timeout = edge.service.finish.as_ref().and_then(|f| f.timeout);
            kill_at.is_some() || ghost.killed || timeout.is_none()
        }
        _other => true,
    }
}

pub(crate) fn signal_to_current(edge: &Edge<'_>) -> bool {
    edge.actions.iter().all(|action| match action {
        Action::Ask(pid) => {
            edge.before.ghost.alive == Some(*pid) && edge.before.unit.state.main_pid().is_some()
        }
        Action::Kill(pid) | Action::KillRest(pid) => edge.before.ghost.alive == Some(*pid),
        Action::Spawn
        | Action::Plan { .. }
        | Action::Skip
        | Action::SpawnFinish(..)
        | Action::Probe
        | Action::CheckUp
        | Action::RunBefore
        | Action::KillBefore => true,
    })
}

pub(crate) fn timeout_counts(edge: &Edge<'_>) -> bool {
    let late = matches!(
        edge.before.unit.state,
        State::Stopping {
            next: Next::Policy(Cause::NotReady | Cause::Exec | Cause::Unhealthy),
            ..
        }
    );
    let forgets = edge.after.unit.retry.failures < edge.before.unit.retry.failures;
    let by_hand = matches!(edge.event, Event::Start | Event::Restart);
    // The next run by a schedule is no retry.
    let is_over = matches!(edge.after.unit.state, State::Scheduled { .. });
    !(late && forgets) || by_hand || is_over
}

pub(crate) fn memory_is_bounded(edge: &Edge<'_>) -> bool {
    let times = edge.service.restart.limit.map_or(0, |limit| limit.times);
    edge.after.unit.retry.restarts.len() <= times as usize
}

pub(crate) fn spawning_is_ordered(edge: &Edge<'_>) -> bool {
    let (before, after) = (edge.before.unit.state, edge.after.unit.state);
    let spawns = edge.actions.contains(&Action::Spawn);
    let finishes = |action: &&Action| matches!(action, Action::SpawnFinish(..));
    let is_finish = |state| matches!(state, State::SpawningFinish { .. });
    spawns == (after == State::Spawning && before != State::Spawning)
        && (edge.actions.iter().any(|a| finishes(&a))) == (is_finish(after) && !is_finish(before))
}

pub(crate) fn finish_once(edge: &Edge<'_>) -> bool {
    let orders: Vec<_> = edge
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::SpawnFinish(pid, exit) => Some((*pid, *exit)),
            Action::Spawn
            | Action::Plan { .. }
            | Action::Skip
            | Action::Ask(_)
            | Action::Kill(_)
            | Action::KillRest(_)
            | Action::Probe
            | Action::CheckUp
            | Action::RunBefore
            | Action::KillBefore => None,
        })
        .collect();
    let main = edge.before.unit.state.main_pid();
    match (edge.event, main) {
        // What was asked to stop before it was known not to run may have its `finish`.
        (Event::Exited(_), Some(_)) if edge.before.ghost.never_ran => {
            orders.is_empty() || edge.before.ghost.stopped || !rest::is_policy(edge.before)
        }
        (Event::Exited(exit), Some(pid)) if edge.service.finish.is_some() => {
            orders == [(pid, exit)]
        }
        _other => orders.is_empty(),
    }
}

pub(crate) fn late_is_nothing(edge: &Edge<'_>) -> bool {
    let state = &edge.before.unit.state;
    let step = match state {
        State::Starting(starting) => Some(starting.step),
        _other => None,
    };
    let belongs = match edge.event {
        Event::Start | Event::Stop { .. } | Event::Restart | Event::Kill => true,
        Event::Plan => state.is_at_rest(),
        Event::Due(_) => matches!(state, State::Scheduled { at: None }),
        Event::Clock => matches!(state, State::Scheduled { at: Some(_) }),
        Event::Go => matches!(state, State::Waiting | State::Failed(Failure::Need)),
        Event::NeedFailed => *state == State::Waiting,
        Event::Spawned(_) | Event::SpawnFailed => {
            matches!(state, State::Spawning | State::SpawningFinish { .. })
        }
        Event::Execed | Event::ExecFailed => matches!(step, Some(StartStep::Exec { .. })),
        Event::Probed { .. } => {
            step == Some(StartStep::Probing) || health_of(state) == Some(Health::Asked)
        }
        Event::Said(Said::Ready) => {
            let tells = edge.service.ready.as_ref().map(|ready| &ready.probe);
            step.is_some() && matches!(tells, Some(Probe::Fd(_)))
        }
        Event::Said(Said::Extend(_)) => step.is_some(),
        Event::Said(Said::Stopping) => health_of(state).is_some(),
        Event::Said(Said::Alive | Said::Alarm) => {
            matches!(health_of(state), Some(Health::SignBy(_)))
        }
        Event::Exited(_) => edge.before.ghost.alive.is_some(),
        Event::BeforeEnded => matches!(state, State::BeforeStop { .. }),
        Event::Tick => state.deadline().is_some_and(|at| at <= edge.now),
    };
    belongs || edge.after.unit == edge.before.unit && edge.actions.is_empty()
}

pub(crate) fn tick_clears(edge: &Edge<'_>) -> bool {
    let due = edge.after.unit.state.deadline();
    edge.event != Event::Tick || due.is_none_or(|at| at > edge.now)
}

pub(crate) fn stopped_stays(edge: &Edge<'_>) -> bool {
    !(edge.before.ghost.stopped
        && edge.actions.contains(&Action::Spawn)
        && !matches!(edge.event, Event::Start | Event::Restart))
}

pub(crate) fn probe_is_waited_for(edge: &Edge<'_>) -> bool {
    let probing = |state| match state {
        State::Starting(Starting { step, .. }) => step == StartStep::Probing,
        _other => false,
    };
    let asked = |state| health_of(&state) == Some(Health::Asked);
    let begins = |is: &dyn Fn(State) -> bool| {
        let (before, after) = (edge.before.unit.state, edge.after.unit.state);
        is(after) && !is(before)
    };
    edge.actions.contains(&Action::Probe) == begins(&probing)
        && edge.actions.contains(&Action::CheckUp) == begins(&asked)
}

/// What is due for the health of what runs.
fn health_of(state: &State) -> Option<Health> {
    match state {
        State::Ready { health, .. } | State::Unready { health, .. } => Some(*health),
        _other => None,
    }
}

/// Without `[health]` nothing is due; with it something always is, but for what is on its way down.
pub(crate) fn health_is_watched(edge: &Edge<'_>) -> bool {
    let Some(health) = &edge.service.health else {
        return health_of(&edge.after.unit.state).is_none_or(|due| due == Health::Unwatched);
    };
    match edge.after.unit.state {
        State::Ready { health: due, .. } => due != Health::Unwatched,
        State::Unready {
            health: due,
            failed,
            ..
        } => {
            let is_leaving = due == Health::Unwatched && failed == 0;
            let is_counted = failed > 0 && failed <= health.retries;
            let is_patient = health.then == Then::Nothing || failed < health.retries;
            is_leaving || due != Health::Unwatched && is_counted && is_patient
        }
        _other => true,
    }
}

/// A failure that counts is never seen as ready, and the first success is.
pub(crate) fn failure_is_unready(edge: &Edge<'_>) -> bool {
    let Some(health) = &edge.service.health else {
        return true;
    };
    let (before, after) = (&edge.before.unit.state, &edge.after.unit.state);
    let was_asked = health_of(before) == Some(Health::Asked);
    let is_late = |by: Moment| edge.event == Event::Tick && by <= edge.now;
    let is_late = matches!(health_of(before), Some(Health::SignBy(by)) if is_late(by));
    let fails = is_late || was_asked && edge.event == Event::Probed { ready: false };
    let is_well = was_asked && edge.event == Event::Probed { ready: true };
    let is_excused = match before {
        State::Ready {
            since, on_trial, ..
        } => *on_trial && edge.now.since(*since) < health.start_period,
        _other => false,
    };
    let is_ready = matches!(after, State::Ready { .. });
    (!fails || is_ready == is_excused) && (!is_well || is_ready)
}

/// It is on its way down because it was not well.
fn is_given_up(state: &State) -> bool {
    match state {
        State::BeforeStop { next, .. } | State::Stopping { next, .. } => {
            *next == Next::Policy(Cause::Unhealthy)
        }
        _other => false,
    }
}

/// It goes by itself only after so many failures in a row as may be.
pub(crate) fn failures_are_counted(edge: &Edge<'_>) -> bool {
    let (before, after) = (&edge.before.unit.state, &edge.after.unit.state);
    if !is_given_up(after) || is_given_up(before) {
        return true;
    }
    let Some(health) = &edge.service.health else {
        return false;
    };
    let so_far = match before {
        State::Unready { failed, .. } => *failed,
        _other => 0,
    };
    let is_alarm = edge.event == Event::Said(Said::Alarm);
    health.then == Then::Restart && (is_alarm || so_far + 1 == health.retries)
}

pub(crate) fn ready_is_hopeful(edge: &Edge<'_>) -> bool {
    let retry = &edge.after.unit.retry;
    let is_ready = matches!(edge.after.unit.state, State::Ready { .. });
    !is_ready || !retry.hopeless && retry.trying_since.is_none()
}

/// While an answer to a spawn is on its way (which is within one turn), the fleet repeats the stop.
pub(crate) fn stop_is_heard(edge: &Edge<'_>) -> bool {
    let is_stop = matches!(edge.event, Event::Stop { .. } | Event::Kill);
    !is_stop || edge.before.unit.state == State::Spawning || edge.after.unit.state.is_at_rest() || {
        let down = Next::Down;
        match edge.after.unit.state {
            State::BeforeStop { next, .. }
            | State::Stopping { next, .. }
            | State::SpawningFinish { next, .. }
            | State::Finishing { next, .. } => next == down,
            _other => false,
        }
    }
}

pub(crate) fn is_before(state: State) -> bool {
    matches!(state, State::BeforeStop { .. })
}

pub(crate) fn before_is_state(edge: &Edge<'_>) -> bool {
    let state = edge.after.unit.state;
    edge.after.ghost.before == is_before(state) && (!is_before(state) || state.deadline().is_some())
}

pub(crate) fn asked_after_before(edge: &Edge<'_>) -> bool {
    let asks = edge.actions.iter().any(|a| matches!(a, Action::Ask(_)));
    !(asks && edge.after.ghost.before)
}

pub(crate) fn before_each_stop(edge: &Edge<'_>) -> bool {
    let is_up = matches!(
        edge.before.unit.state,
        State::Starting(_) | State::Ready { .. } | State::Unready { .. }
    );
    let is_wish = match edge.event {
        Event::Stop { by } => by.is_none_or(|by| by > edge.now),
        Event::Restart => true,
        _other => is_given_up(&edge.after.unit.state),
    };
    let runs = edge.actions.contains(&Action::RunBefore);
    runs == (is_up && is_wish && edge.service.stop.before.is_some())
}
