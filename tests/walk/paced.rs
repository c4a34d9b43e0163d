//! What must hold of the waits of s6, on every edge of the walk.

use std::time::Duration;

use pidone::machine::unit::{Cause, Event, State};
use pidone::service::definition::Pace;

use super::Edge;
use super::rules::is_automatic_restart;

const SECOND: Duration = Duration::from_secs(1);

/// To s6, this is long.
pub(crate) fn was_up_long(edge: &Edge<'_>) -> bool {
    let ready_at = edge.before.unit.retry.ready_at;
    ready_at.is_some_and(|at| edge.now.since(at) >= SECOND)
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
