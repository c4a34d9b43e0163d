//! What must hold of restarts and their waits, on every edge of the walk.

use std::time::Duration;

use pidone::machine::unit::{Cause, Event, Retry, State};
use pidone::service::pace::Pace;

use super::Edge;

const SECOND: Duration = Duration::from_secs(1);

/// Whether this edge is a restart by policy.
pub(crate) fn is_automatic_restart(edge: &Edge<'_>) -> bool {
    edge.before.unit.state.is_alive()
        && edge.after.unit.retry != Retry::default()
        && matches!(
            edge.after.unit.state,
            State::Waiting | State::Backoff { .. }
        )
}

pub(crate) fn restart_waits_or_counts(edge: &Edge<'_>) -> bool {
    if !is_automatic_restart(edge) {
        return true;
    }
    let waits = matches!(edge.after.unit.state, State::Backoff { .. });
    let was_unwaited = edge.before.ghost.unwaited && !was_up_long(edge);
    edge.after.unit.retry.failures > 0 && (waits || !was_unwaited)
}

pub(crate) fn was_up_long(edge: &Edge<'_>) -> bool {
    if edge.service.restart.pace == Pace::S6 {
        // To s6, a second is long, whatever came after it was ready.
        let ready_at = edge.before.unit.retry.ready_at;
        return ready_at.is_some_and(|at| edge.now.since(at) >= SECOND);
    }
    match edge.before.unit.state {
        State::Ready { since, .. } => edge.now.since(since) >= edge.service.restart.reset_after,
        _other => false,
    }
}

pub(crate) fn ready_is_remembered(edge: &Edge<'_>) -> bool {
    let is_told = edge.service.restart.pace == Pace::S6 && edge.service.ready.is_some();
    let (before, after) = (&edge.before.unit, &edge.after.unit);
    let is_by_hand = matches!(edge.event, Event::Start | Event::Restart);
    match after.state {
        State::Spawning | State::Starting(_) => after.retry.ready_at.is_none(),
        State::Ready { since, .. } if !matches!(before.state, State::Ready { .. }) => {
            after.retry.ready_at == is_told.then_some(since)
        }
        _other => {
            let is_forgotten = is_by_hand || after.state.is_at_rest();
            after.retry.ready_at == before.retry.ready_at
                || is_forgotten
                || after.state == State::Waiting && after.retry.ready_at.is_none()
        }
    }
}

pub(crate) fn waits_of_s6(edge: &Edge<'_>) -> bool {
    if edge.service.restart.pace != Pace::S6 || !is_automatic_restart(edge) {
        return true;
    }
    let own = match edge.before.unit.retry.ready_at {
        Some(at) => (at + SECOND).since(edge.now),
        None => SECOND,
    };
    match edge.after.unit.state {
        State::Backoff { until, cause } => {
            let wait = if cause == Cause::Exec {
                SECOND * 60
            } else {
                own
            };
            until == edge.now + wait
        }
        _at_once => own.is_zero(),
    }
}
