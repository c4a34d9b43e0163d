//! The last stage: waits until all that the boot starts is there or has failed, and judges it; CMD
//! waits for this stage.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use crate::control::client::{Client, Failure, closed, places};
use crate::control::protocol::{EventKind, Reply, Request, State};
use crate::os::clock;
use crate::service::environment::Environment;
use crate::service::overlay::{self, EXIT_CODE, LEGACY_DIRS, is_on};
use crate::supervisor::crew::CMD;
use crate::tools::s6::tell;
use crate::values::Moment;

use super::scripts::behaviour;
use super::second;

/// The container ends with this number, as far as CMD and the image say nothing else.
///
/// PID 1 reads the file at the very end.
pub(super) fn end(code: u8) {
    let _ = fs::write(EXIT_CODE, code.to_string());
    let asked = Client::connect(&places())
        .and_then(|mut client| client.ask(&Request::Shutdown { code: Some(code) }));
    if let Err(failure) = asked {
        tell(b"s6", &format!("fatal: {}", failure.diagnostic().message));
    }
}

/// How the boot went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// Something is still on its way.
    Open,
    /// All is there.
    Good,
    /// Something has failed, or took too long.
    Failed,
}

pub(super) fn run(variables: &Environment) -> u8 {
    let outcome = wait(variables).unwrap_or_else(|failure| {
        tell(
            b"top",
            &format!("warning: {}", failure.diagnostic().message),
        );
        Outcome::Good
    });
    second::services(variables, "done.");
    if outcome == Outcome::Good {
        return 0;
    }
    match behaviour(variables) {
        0 => 0,
        1 => {
            tell(b"top", "warning: not everything could be brought up");
            0
        }
        _stops => {
            tell(
                b"top",
                "fatal: not everything could be brought up: the container ends",
            );
            end(1);
            1
        }
    }
}

/// `S6_CMD_WAIT_FOR_SERVICES_MAXTIME`, milliseconds; 0 is for ever.
fn deadline(variables: &Environment) -> Option<Moment> {
    let said = variables
        .get("S6_CMD_WAIT_FOR_SERVICES_MAXTIME")?
        .to_str()?;
    let millis: u64 = said.trim().parse().ok()?;
    (millis > 0).then(|| clock::now() + Duration::from_millis(millis))
}

/// Follows everybody but CMD and ourselves by their names; those of `services.d` only if they are
/// waited for.
fn wait(variables: &Environment) -> Result<Outcome, Failure> {
    let by = deadline(variables);
    let ignored = if is_on(variables, "S6_CMD_WAIT_FOR_SERVICES") {
        BTreeSet::new()
    } else {
        legacy()
    };
    let is_awaited = |name: &str| name != overlay::TOP && name != CMD && !ignored.contains(name);
    let mut states: BTreeMap<String, String> = BTreeMap::new();
    let mut client = Client::connect(&places())?;
    client.send(&Request::Events {
        last: Some(0),
        follow: true,
    })?;
    loop {
        let next = match client.next(by) {
            Err(Failure::Late) => return Ok(Outcome::Failed),
            other => other?,
        };
        match next {
            None => return Err(closed()),
            Some(Reply::Status(now)) => {
                let all = now.services.into_iter();
                states.extend(all.map(|it| (it.name, it.state.word().to_owned())));
            }
            Some(Reply::Event(event)) => {
                if let (EventKind::State, Some(name), Some(to)) =
                    (event.event, event.service, event.to)
                {
                    states.insert(name, to);
                }
            }
            Some(_other) => {}
        }
        let awaited = states.iter().filter(|(name, _)| is_awaited(name));
        let outcome = judge(awaited.map(|(_, state)| state.as_str()));
        if outcome != Outcome::Open {
            return Ok(outcome);
        }
    }
}

/// Those of `services.d`.
fn legacy() -> BTreeSet<String> {
    let entries = fs::read_dir(LEGACY_DIRS).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// What these states come to.
fn judge<'a>(states: impl Iterator<Item = &'a str>) -> Outcome {
    let mut outcome = Outcome::Good;
    let mut any = false;
    for state in states {
        any = true;
        if state == State::Waiting.word() || state == State::Starting.word() {
            return Outcome::Open;
        }
        if state == State::Failed.word() {
            outcome = Outcome::Failed;
        }
    }
    // Before the first picture nothing is known.
    if any { outcome } else { Outcome::Open }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_is_over_when_nothing_is_on_its_way() {
        let of = |states: &[&str]| judge(states.iter().copied());
        assert_eq!(of(&[]), Outcome::Open);
        assert_eq!(of(&["ready", "finished", "down"]), Outcome::Good);
        assert_eq!(of(&["ready", "waiting", "failed"]), Outcome::Open);
        assert_eq!(of(&["ready", "failed"]), Outcome::Failed);
        assert_eq!(of(&["waiting-to-restart"]), Outcome::Good);
    }
}
