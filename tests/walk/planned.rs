//! What must hold of schedules on every edge of the walk.

use pidone::machine::unit::{Action, Event, Failure, State};

use super::Edge;

pub(crate) fn plan_is_ordered(edge: &Edge<'_>) -> bool {
    let asks = |state| matches!(state, State::Scheduled { at: None });
    let plans = edge
        .actions
        .iter()
        .any(|a| matches!(a, Action::Plan { .. }));
    let (before, after) = (edge.before.unit.state, edge.after.unit.state);
    let is_planned = edge.service.schedule.is_some() || !asks(after);
    plans == (asks(after) && !asks(before)) && is_planned
}

/// Each run that falls out is told of once, and is planned anew.
pub(crate) fn skips_are_told(edge: &Edge<'_>) -> bool {
    let skips = edge.actions.iter().filter(|a| **a == Action::Skip).count();
    let falls_out = edge.event == Event::NeedFailed
        && edge.before.unit.state == State::Waiting
        && edge.service.schedule.is_some();
    let is_planned = edge.actions.contains(&Action::Plan { anew: true });
    skips == usize::from(falls_out) && (is_planned || !falls_out)
}

/// Only a person, or a `finish` that says so, ends it.
pub(crate) fn schedule_goes_on(edge: &Edge<'_>) -> bool {
    let is_over = matches!(
        edge.after.unit.state,
        State::Finished
            | State::Failed(Failure::Died | Failure::Exec | Failure::Limit | Failure::Need)
    );
    edge.service.schedule.is_none() || !is_over
}
