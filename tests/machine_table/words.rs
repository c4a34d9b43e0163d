//! States and orders in words.

use pidone::machine::unit::{Action, Cause, Health, Next, StartStep, Starting, State};
use pidone::values::Moment;

use super::NOW;

fn distance(at: Moment) -> String {
    if at <= NOW {
        return "now".into();
    }
    let millis = at.since(NOW).as_millis();
    if millis.is_multiple_of(1000) {
        format!("in {}s", millis / 1000)
    } else {
        format!("in {millis}ms")
    }
}

fn then(next: Next) -> &'static str {
    match next {
        Next::Down => "then down",
        Next::Restart => "then start",
        Next::Policy(Cause::Died) => "then as for a death",
        Next::Policy(Cause::NotReady) => "then as for a start that was too long",
        Next::Policy(Cause::Exec) => "then as for what cannot exec",
        Next::Policy(Cause::Unhealthy) => "then as for what is not well",
    }
}

fn killed(kill_at: Option<Moment>) -> String {
    kill_at.map_or_else(String::new, |at| format!("killed {}, ", distance(at)))
}

fn due(health: Health) -> String {
    match health {
        Health::Unwatched => "unwatched".into(),
        Health::AskAt(at) => format!("check {}", distance(at)),
        Health::Asked => "asked".into(),
        Health::SignBy(by) => format!("a sign {}", distance(by)),
    }
}

/// A state in words, with what is due in it.
pub(crate) fn show(state: State) -> String {
    match state {
        State::Down | State::Waiting | State::Finished => state.word().into(),
        State::Undoable => "finished, and can be undone".into(),
        State::Spawning => "spawning".into(),
        State::Starting(Starting { step, ready_by, .. }) => {
            let step = match step {
                StartStep::Exec { by } => format!("exec {}", distance(by)),
                StartStep::Listen => "it runs".into(),
                StartStep::ProbeAt(at) => format!("probe {}", distance(at)),
                StartStep::Probing => "probed".into(),
            };
            let ready = ready_by.map_or_else(String::new, |by| format!(", ready {}", distance(by)));
            format!("starting ({step}{ready})")
        }
        State::Ready {
            health, on_trial, ..
        } => {
            let trial = if on_trial { ", on trial" } else { "" };
            format!("ready ({}{trial})", due(health))
        }
        State::Unready { health, failed, .. } => {
            format!("unready ({}, failed {failed})", due(health))
        }
        State::BeforeStop {
            until, by, next, ..
        } => {
            let until = distance(until);
            format!("before (asked {until}, {}{})", killed(by), then(next))
        }
        State::Stopping { kill_at, next, .. } => {
            format!("stopping ({}{})", killed(kill_at), then(next))
        }
        State::SpawningFinish { next, .. } => format!("spawning finish ({})", then(next)),
        State::Finishing { kill_at, next, .. } => {
            format!("finishing ({}{})", killed(kill_at), then(next))
        }
        State::Backoff { until, .. } => format!("waiting to restart ({})", distance(until)),
        State::Scheduled { at: None } => "scheduled (being planned)".into(),
        State::Scheduled { at: Some(at) } => {
            format!("scheduled (looks at the clock {})", distance(at))
        }
        State::Failed(failure) => format!("failed: {failure:?}").to_lowercase(),
    }
}

pub(crate) fn order(action: Action) -> &'static str {
    match action {
        Action::Plan { anew: true } => "PLAN",
        Action::Plan { anew: false } => "LOOK AT THE CLOCK",
        Action::Skip => "TELL THAT IT IS SKIPPED",
        Action::Spawn => "SPAWN",
        Action::SpawnFinish(..) => "RUN FINISH",
        Action::SpawnDown => "RUN DOWN",
        Action::RunBefore => "RUN BEFORE",
        Action::KillBefore => "KILL BEFORE",
        Action::Ask(_) => "ASK IT TO END",
        Action::Kill(_) => "KILL",
        Action::KillRest(_) => "KILL THE REST",
        Action::Probe => "PROBE",
        Action::CheckUp => "CHECK",
    }
}
