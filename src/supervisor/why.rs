//! Why a service is as it is, in words: for notes, events and the story.

use crate::machine::fleet::Fleet;
use crate::machine::slot::{Ix, Slot, Want};
use crate::machine::unit::{Cause, Failure, Health, Next, State};
use crate::service::definition::Kind;
use crate::supervisor::notices::Sayings;
use crate::values::span::show_span;

/// What went wrong with a service's last start.
#[derive(Clone, Copy, Default)]
pub(super) struct Faults<'a> {
    /// Why its process could not be started.
    pub(super) start: Option<&'a str>,
    /// What its last probe saw.
    pub(super) probe: Option<&'a str>,
    /// What it has said of itself.
    pub(super) sayings: Option<&'a Sayings>,
}

impl<'a> Faults<'a> {
    fn status(&self) -> Option<&'a str> {
        self.sayings?.status.as_deref()
    }

    fn errno(&self) -> Option<&'a str> {
        self.sayings?.errno.as_deref()
    }

    fn is_reloading(&self) -> bool {
        self.sayings.is_some_and(|sayings| sayings.is_reloading)
    }
}

/// What is exceptional about a service, beyond how its process ended.
pub(super) fn note(fleet: &Fleet, ix: Ix, faults: Faults<'_>) -> Option<String> {
    let slot = fleet.slot(ix)?;
    match slot.unit.state {
        State::Down => match slot.want {
            Want::Off => Some("not enabled".into()),
            Want::Down if fleet.ending().is_none() => {
                let named = &fleet.slot(slot.stopped_with?)?.service.name;
                Some(format!("stopped by `pidone stop {named}`"))
            }
            Want::Down | Want::Up | Want::Gone => None,
        },
        State::Waiting => waits_for(fleet, ix),
        State::Failed(failure) => failed(fleet, ix, slot, failure, faults),
        State::Spawning | State::Starting(_) => {
            joined([faults.probe, faults.status(), faults.errno()])
        }
        State::Unready { .. } => Some(unready(slot, faults)),
        State::Ready { .. } if faults.is_reloading() => Some("reloading".into()),
        State::Backoff { cause, .. }
        | State::BeforeStop {
            next: Next::Policy(cause),
            ..
        }
        | State::Stopping {
            next: Next::Policy(cause),
            ..
        } => gone(slot, cause, faults),
        State::Ready { .. }
        | State::BeforeStop { .. }
        | State::Stopping { .. }
        | State::SpawningFinish { .. }
        | State::Finishing { .. }
        | State::Finished
        | State::Undoable => None,
        State::Scheduled { .. } => needs_failed(fleet, ix),
    }
}

/// Why a process had to go, or never came to be.
fn gone(slot: &Slot, cause: Cause, faults: Faults<'_>) -> Option<String> {
    match cause {
        Cause::Died | Cause::Exec => faults.start.map(str::to_owned),
        Cause::NotReady => Some(not_ready(slot, faults)),
        Cause::Unhealthy => Some(unhealthy(slot, faults)),
    }
}

fn failed(
    fleet: &Fleet,
    ix: Ix,
    slot: &Slot,
    failure: Failure,
    faults: Faults<'_>,
) -> Option<String> {
    match failure {
        Failure::Died => None,
        Failure::Exec => faults.start.map(str::to_owned),
        Failure::NotReady => Some(not_ready(slot, faults)),
        Failure::Unhealthy => Some(unhealthy(slot, faults)),
        Failure::Limit => slot.service.restart.limit.map(|limit| {
            let plural = if limit.times == 1 { "" } else { "s" };
            let within = show_span(limit.within);
            format!("restarted {} time{plural} within {within}", limit.times)
        }),
        Failure::Finish => Some("its finish exited 125".into()),
        Failure::Need => {
            let needs: Vec<String> = fleet
                .waits_for(ix)
                .into_iter()
                .filter(|other| slot.service.needs.contains(&other.service.name))
                .map(|other| {
                    let name = &other.service.name;
                    match other.standing() {
                        State::Failed(_) => format!("{name}, which has failed"),
                        state if state.is_at_rest() => format!("{name}, which is {}", state.word()),
                        _tried_again => format!("{name}, which does not start"),
                    }
                })
                .collect();
            Some(format!("needs {}", needs.join(", and ")))
        }
    }
}

/// `db has failed`: runs by a schedule fall out.
pub(super) fn needs_failed(fleet: &Fleet, ix: Ix) -> Option<String> {
    let needs: Vec<String> = fleet
        .failed_needs(ix)
        .into_iter()
        .map(|need| match need.failure() {
            Some(_) => format!("{} has failed", need.service.name),
            None if need.want == Want::Off => format!("{} is not enabled", need.service.name),
            None => format!("{} does not start", need.service.name),
        })
        .collect();
    (!needs.is_empty()).then(|| shorten(needs))
}

/// `not ready within 30s: 127.0.0.1:3000: connection refused`; `not ended within 5s`
pub(super) fn not_ready(slot: &Slot, faults: Faults<'_>) -> String {
    let within = slot.service.start_within();
    let within = within.map_or(String::new(), |within| {
        format!(" within {}", show_span(within))
    });
    let fault = faults
        .probe
        .map_or(String::new(), |fault| format!(": {fault}"));
    let what = match slot.service.kind {
        Kind::Longrun => "ready",
        Kind::Oneshot => "ended",
    };
    format!("not {what}{within}{fault}")
}

/// `127.0.0.1:3000: HTTP 503`
pub(super) fn unready(slot: &Slot, faults: Faults<'_>) -> String {
    let is_unwatched = matches!(
        slot.unit.state,
        State::Unready {
            health: Health::Unwatched,
            ..
        }
    );
    let silence = slot
        .service
        .health
        .as_ref()
        .map_or(String::new(), |health| {
            format!("no WATCHDOG=1 for {}", show_span(health.interval))
        });
    let cause = if is_unwatched {
        "it is stopping"
    } else {
        faults.probe.unwrap_or(&silence)
    };
    joined([Some(cause), faults.status(), faults.errno()]).unwrap_or_default()
}

fn joined<const N: usize>(parts: [Option<&str>; N]) -> Option<String> {
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// `unhealthy: 127.0.0.1:3000: HTTP 503`
pub(super) fn unhealthy(slot: &Slot, faults: Faults<'_>) -> String {
    format!("unhealthy: {}", unready(slot, faults))
}

/// `waits for db (starting)`
pub(super) fn waits_for(fleet: &Fleet, ix: Ix) -> Option<String> {
    let others: Vec<String> = fleet
        .waits_for(ix)
        .into_iter()
        .map(|other| format!("{} ({})", other.service.name, other.standing().word()))
        .collect();
    (!others.is_empty()).then(|| format!("waits for {}", shorten(others)))
}

/// How many names a note lists before it says how many more there are.
const NAMES_MAX: usize = 4;

fn shorten(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", names.join(", "))
}
