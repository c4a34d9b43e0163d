//! What must hold of who is left in the group of the dead, on every edge of the walk.

use pidone::machine::unit::{Action, Event, Next, State};
use pidone::service::pace::Pace;

use super::{Edge, Node};

/// Only the death of the main process itself allows it: the number is its own until it is reaped.
pub(crate) fn rest_is_killed(edge: &Edge<'_>) -> bool {
    let (before, after) = (edge.before.unit.state, edge.after.unit.state);
    let asked = match before {
        State::BeforeStop { next, .. } | State::Stopping { next, .. } => {
            !matches!(next, Next::Policy(_))
        }
        _other => false,
    };
    let is_s6 = edge.service.restart.pace == Pace::S6;
    let is_again = matches!(after, State::Waiting | State::Backoff { .. }) && !asked && !is_s6;
    let dead = match edge.event {
        Event::Exited(_) => before.main_pid().filter(|_| is_again),
        _other => None,
    };
    let killed = edge.actions.iter().filter_map(|action| match action {
        Action::KillRest(pid) => Some(*pid),
        _other => None,
    });
    killed.eq(dead)
}

pub(crate) fn is_policy(node: &Node) -> bool {
    match node.unit.state {
        State::Stopping { next, .. } => matches!(next, Next::Policy(_)),
        _other => false,
    }
}
