//! What must hold of `finish`, and of `down`.

use pidone::machine::unit::{Action, Event, State};

use super::{Edge, rest};

pub(crate) fn finish_once(edge: &Edge<'_>) -> bool {
    let orders: Vec<_> = edge
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::SpawnFinish(pid, exit) => Some((*pid, *exit)),
            Action::Spawn
            | Action::SpawnDown
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

/// A kill leaves no time for it.
pub(crate) fn down_undoes(edge: &Edge<'_>) -> bool {
    let (before, after) = (edge.before.unit.state, edge.after.unit.state);
    let is_asked = matches!(edge.event, Event::Stop { .. } | Event::Restart);
    let has_down = edge.service.down.is_some() && edge.service.schedule.is_none();
    let runs = edge.actions.contains(&Action::SpawnDown);
    runs == (before == State::Undoable && is_asked)
        && (after != State::Undoable || has_down)
        && (after != State::Finished || !has_down)
}
