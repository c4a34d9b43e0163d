//! What follows a death: the restart policy, its waits and its limit.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::machine::unit::{Cause, Failure, Retry, State};
use crate::service::definition::{Kind, RETRY_FIRST, Restart, Service, When};
use crate::service::pace::Pace;
use crate::values::{Exit, Moment};

/// The shortest wait but for the first restart, which is immediate. Without it a service that can
/// never be started (with `max-delay = "0s"`) would be tried again and again in one turn of the
/// loop, and nobody else, not even an order to stop, would have a turn any more.
const WAIT_MIN: Duration = Duration::from_millis(10);

/// From ready to the next start at the earliest; and from the end of one that never told that it
/// was ready, however long it ran.
const S6_WAIT: Duration = Duration::from_secs(1);

/// After a start that failed at its exec (s6 2.12 to 2.15; 10 s before).
const S6_WAIT_EXEC: Duration = Duration::from_secs(60);

/// The state after a death of this cause, and what is remembered of it.
pub(super) fn after(
    service: &Service,
    retry: &Retry,
    exit: Exit,
    cause: Cause,
    now: Moment,
) -> (State, Retry) {
    let well = cause == Cause::Died && exit.is_success();
    if well && service.kind == Kind::Oneshot {
        let is_undone = service.down.is_some() && service.schedule.is_none();
        let state = if is_undone {
            State::Undoable
        } else {
            State::Finished
        };
        return (state, Retry::default());
    }
    let again = match service.restart.when {
        When::Always => true,
        When::OnFailure => !well,
        When::Never => false,
    };
    // s6-rc takes down what has not become ready in its `timeout-up`.
    let gives_up = cause == Cause::NotReady && service.restart.pace == Pace::S6;
    if again && !gives_up {
        return again_at(service, retry, cause, now);
    }
    if well {
        return (State::Finished, Retry::default());
    }
    let failure = match cause {
        Cause::Died => Failure::Died,
        Cause::NotReady => Failure::NotReady,
        Cause::Exec => Failure::Exec,
        Cause::Unhealthy => Failure::Unhealthy,
    };
    (State::Failed(failure), retry.clone())
}

/// What is remembered of a service that was up since then: nothing, if that was for long.
pub(super) fn once_up(service: &Service, retry: &Retry, since: Moment, now: Moment) -> Retry {
    let up_long = now.since(since) >= service.restart.reset_after;
    let failures = if up_long { 0 } else { retry.failures };
    Retry {
        failures,
        ..retry.clone()
    }
}

/// A restart, if the limit allows one more: at once, or after a wait.
fn again_at(service: &Service, retry: &Retry, cause: Cause, now: Moment) -> (State, Retry) {
    let mut next = retry.clone();
    next.hopeless |= match cause {
        Cause::NotReady | Cause::Exec => true,
        Cause::Died | Cause::Unhealthy => overdue(service, retry, now),
    };
    if let Some(limit) = service.restart.limit {
        next.restarts.retain(|at| now.since(*at) < limit.within);
        if next.restarts.len() >= limit.times as usize {
            return (State::Failed(Failure::Limit), next);
        }
        next.restarts.push(now);
    }
    let wait = match service.restart.pace {
        Pace::Growing => wait(&service.restart, service.name.as_str(), next.failures, now),
        Pace::S6 => wait_of_s6(retry, cause, now),
    };
    next.failures = next.failures.saturating_add(1);
    if wait.is_zero() {
        (State::Waiting, next)
    } else {
        let until = now + wait;
        (State::Backoff { until, cause }, next)
    }
}

/// It has died before it was ready, again and again, for longer than one start may take.
fn overdue(service: &Service, retry: &Retry, now: Moment) -> bool {
    let within = service.ready.as_ref().and_then(|ready| ready.within);
    match (within, retry.trying_since) {
        (Some(within), Some(since)) => now.since(since) >= within,
        (None, _) | (_, None) => false,
    }
}

/// The wait of s6-supervise(8), whatever came before.
fn wait_of_s6(retry: &Retry, cause: Cause, now: Moment) -> Duration {
    match (cause, retry.ready_at) {
        (Cause::Exec, _) => S6_WAIT_EXEC,
        (Cause::Died | Cause::NotReady | Cause::Unhealthy, Some(at)) => (at + S6_WAIT).since(now),
        (Cause::Died | Cause::NotReady | Cause::Unhealthy, None) => S6_WAIT,
    }
}

/// The wait before restart number `failures` in a row (from 0): `delay`, then 250 ms (or `delay`,
/// if that is longer), doubling, at most `max-delay`; a little more or less, so that the members
/// of a fleet that failed together do not come back together.
fn wait(restart: &Restart, name: &str, failures: u32, now: Moment) -> Duration {
    if failures == 0 {
        return restart.delay.min(restart.max_delay);
    }
    let doubled = 2_u32.saturating_pow((failures - 1).min(31));
    let base = RETRY_FIRST
        .max(restart.delay)
        .saturating_mul(doubled)
        .min(restart.max_delay);
    // Jitter need not be secret, only different: the name and the moment of the death will do,
    // and a simulation that replays both replays the wait.
    let mut hasher = DefaultHasher::new();
    (name, failures, now).hash(&mut hasher);
    let span = 2 * u64::from(restart.jitter_permille.min(1000)) + 1;
    let permille = 1000 + hasher.finish() % span - u64::from(restart.jitter_permille.min(1000));
    let wait = base.saturating_mul(u32::try_from(permille).unwrap_or(1000)) / 1000;
    wait.max(WAIT_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let restart = Restart {
            jitter_permille: 0,
            ..Restart::default()
        };
        let now = Moment::at(Duration::from_secs(1));
        let waits: Vec<u128> = (0..10)
            .map(|n| wait(&restart, "web", n, now).as_millis())
            .collect();
        assert_eq!(
            waits,
            [0, 250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]
        );
        assert_eq!(wait(&restart, "web", u32::MAX, now), restart.max_delay);
    }

    #[test]
    fn only_the_first_restart_is_immediate() {
        let restart = Restart {
            max_delay: Duration::ZERO,
            jitter_permille: 1000,
            ..Restart::default()
        };
        for millis in 0..1000 {
            let now = Moment::at(Duration::from_millis(millis));
            assert_eq!(wait(&restart, "web", 0, now), Duration::ZERO);
            assert!(wait(&restart, "web", 1, now) >= WAIT_MIN);
        }
    }

    #[test]
    fn jitter_stays_within_its_share() {
        let restart = Restart::default();
        for millis in 0..1000 {
            let now = Moment::at(Duration::from_millis(millis));
            let wait = wait(&restart, "web", 3, now).as_millis();
            assert!((900..=1100).contains(&wait), "{wait}");
        }
    }
}
