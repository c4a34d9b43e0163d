//! How services end, in words for the story.

use crate::machine::fleet::Fleet;
use crate::machine::slot::{Change, Ix, Slot};
use crate::machine::unit::{Failure, State};
use crate::service::definition::StopBy;
use crate::supervisor::narrator::{Level, Line, about, info, warn};
use crate::supervisor::planned::next_run;
use crate::supervisor::why::{self, Faults};
use crate::values::span::show_span;
use crate::values::{Exit, Signal};

pub(super) fn is_killed(slot: &Slot) -> bool {
    !slot.oom && slot.exit == Some(Exit::Signal(Signal::KILL))
}

/// `finished in 0.4s; next run in 4m 10s`
pub(super) fn planned(change: &Change, slot: &Slot) -> Option<Line> {
    let next = next_run(slot, change.at).map(show_span);
    let next = next.map_or(String::new(), |next| format!("; next run in {next}"));
    let took = |slot: &Slot| {
        let run = slot.run.as_deref()?;
        Some(show_span(run.ended?.since(run.began)))
    };
    Some(match change.from {
        State::Down | State::Failed(_) | State::Finished | State::Undoable => {
            about(slot, format!("scheduled{next}"))
        }
        // That it was skipped is told by itself.
        State::Waiting | State::Scheduled { .. } => return None,
        _it_ran if slot.exit.is_some_and(Exit::is_success) => {
            let took = took(slot).map_or(String::new(), |took| format!(" in {took}"));
            about(slot, format!("finished{took}{next}"))
        }
        _it_ran => warn(
            slot,
            format!("failed: {}{next}", death(slot, Faults::default())),
        ),
    })
}

/// `exit code 1, restart 5 in 3.2s`
pub(super) fn again(change: &Change, slot: &Slot, faults: Faults<'_>, when: &str) -> Line {
    let (death, restarts) = (death(slot, faults), change.restarts);
    warn(slot, format!("{death}, restart {restarts} {when}"))
}

/// `stopped by SIGQUIT in 0.2s (code 0)`
pub(super) fn stopped(slot: &Slot, took: &str) -> Line {
    let asked = match slot.service.stop.by {
        StopBy::Signal(signal) => format!(" by {signal}"),
        StopBy::EndOfInput => String::new(),
    };
    let end = match (slot.oom, slot.exit) {
        (true, _) => " (killed by the kernel's OOM killer)".into(),
        (false, Some(Exit::Code(code))) => format!(" (code {code})"),
        (false, Some(exit @ (Exit::Signal(signal) | Exit::Core(signal)))) => {
            let as_asked = slot.service.stop.by == StopBy::Signal(signal);
            if as_asked && exit == Exit::Signal(signal) {
                String::new()
            } else {
                format!(" ({exit})")
            }
        }
        (false, None) => String::new(),
    };
    info(
        Some(slot.service.name.to_string()),
        format!("stopped{asked} in {took}{end}"),
    )
}

/// `ended in 0.2s, before it was asked (code 0)`
pub(super) fn gone_before(slot: &Slot, took: &str) -> Line {
    let end = slot.exit.map_or_else(String::new, |exit| match exit {
        Exit::Code(code) => format!(" (code {code})"),
        Exit::Signal(_) | Exit::Core(_) => format!(" ({exit})"),
    });
    about(slot, format!("ended in {took}, before it was asked{end}"))
}

pub(super) fn failed(
    ix: Ix,
    slot: &Slot,
    failure: Failure,
    fleet: &Fleet,
    faults: Faults<'_>,
) -> Line {
    let why = why::note(fleet, ix, faults);
    let text = match (failure, why) {
        (Failure::Died, _) | (_, None) => format!("failed: {}", death(slot, Faults::default())),
        (Failure::Limit | Failure::Finish, Some(why)) => {
            format!("failed: {}, {why}", death(slot, faults))
        }
        (Failure::NotReady | Failure::Exec | Failure::Unhealthy | Failure::Need, Some(why)) => {
            format!("failed: {why}")
        }
    };
    Line {
        service: Some(slot.service.name.to_string()),
        level: Level::Error,
        text,
    }
}

/// How it died, as the beginning of a sentence.
fn death(slot: &Slot, faults: Faults<'_>) -> String {
    match (slot.oom, slot.exit, faults.start) {
        (true, _, _) => "killed by the kernel's OOM killer".into(),
        (false, _, Some(fault)) => fault.to_owned(),
        (false, Some(exit), None) => ended(exit),
        (false, None, None) => "could not be started".into(),
    }
}

pub(super) fn ended(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit code {code}"),
        Exit::Signal(_) | Exit::Core(_) => format!("died of {exit}"),
    }
}
