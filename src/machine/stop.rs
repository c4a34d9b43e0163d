//! The way from a wish to stop to the end of the process: `stop.before`, the signal, SIGKILL.

use crate::machine::step::{Outcome, Turn};
use crate::machine::unit::{Action, Cause, Event, Next, State};
use crate::values::{Moment, Pid};

impl Turn<'_> {
    /// Asks it to end, and will kill it if it does not. What `stop.before` has to do comes first,
    /// but not for a failed start: who was never ready has nobody to take leave of. Who is not well
    /// may have: what it was given before that is still under way (Kubernetes' preStop, too, comes
    /// before what a failed liveness probe leads to).
    pub(super) fn ask(&self, pid: Pid, by: Option<Moment>, next: Next) -> Outcome {
        let is_deliberate = match next {
            Next::Down | Next::Restart | Next::Policy(Cause::Unhealthy) => true,
            Next::Policy(Cause::Died | Cause::NotReady | Cause::Exec) => false,
        };
        match &self.service.stop.before {
            Some(before) if is_deliberate && by.is_none_or(|by| by > self.now) => {
                let until = self.until(self.now + before.timeout, by);
                let (unit, _) = self.settle(State::BeforeStop {
                    pid,
                    until,
                    by,
                    next,
                });
                (unit, vec![Action::RunBefore])
            }
            Some(_) | None => self.signal(pid, by, next),
        }
    }

    /// When it is asked at the latest: with its own timeout still to come before the container's
    /// cut-off, or half of the time that is left if that is not enough for both.
    fn until(&self, own: Moment, by: Option<Moment>) -> Moment {
        let Some(by) = by else { return own };
        let half = by.since(self.now) / 2;
        let rest = self.service.stop.timeout.unwrap_or(half).min(half);
        own.min(by.before(rest))
    }

    /// Asks it to end at once.
    fn signal(&self, pid: Pid, by: Option<Moment>, next: Next) -> Outcome {
        let own = self.service.stop.timeout.map(|timeout| self.now + timeout);
        let (unit, _) = self.leaving(pid, [own, by].into_iter().flatten().min(), next);
        (unit, vec![Action::Ask(pid)])
    }

    pub(super) fn kill(&self, pid: Pid, next: Next) -> Outcome {
        (self.leaving(pid, None, next).0, vec![Action::Kill(pid)])
    }

    pub(super) fn leaving(&self, pid: Pid, kill_at: Option<Moment>, next: Next) -> Outcome {
        self.settle(State::Stopping { pid, kill_at, next })
    }

    pub(super) fn before_stop(
        &self,
        pid: Pid,
        until: Moment,
        by: Option<Moment>,
        next: Next,
    ) -> Outcome {
        let then = |until, by, next| {
            self.settle(State::BeforeStop {
                pid,
                until,
                by,
                next,
            })
        };
        match self.event {
            Event::BeforeEnded => self.signal(pid, by, next),
            // It did not wait to be asked.
            Event::Exited(exit) => without_before(self.ended(pid, exit, next)),
            Event::Kill => without_before(self.kill(pid, Next::Down)),
            Event::Tick if by.is_some_and(|by| by <= self.now) => {
                without_before(self.kill(pid, next))
            }
            Event::Tick if until <= self.now => without_before(self.signal(pid, by, next)),
            Event::Stop { by: sooner } => {
                let by = [by, sooner].into_iter().flatten().min();
                then(self.until(until, by), by, Next::Down)
            }
            Event::Start | Event::Restart => then(until, by, Next::Restart),
            Event::Go
            | Event::NeedFailed
            | Event::Spawned(_)
            | Event::SpawnFailed
            | Event::Execed
            | Event::ExecFailed
            | Event::Probed { .. }
            | Event::Plan
            | Event::Due(_)
            | Event::Clock
            | Event::Said(_)
            | Event::Tick => then(until, by, next),
        }
    }

    pub(super) fn stopping(&self, pid: Pid, kill_at: Option<Moment>, next: Next) -> Outcome {
        let then = |next| self.settle(State::Stopping { pid, kill_at, next });
        match self.event {
            Event::Exited(exit) => self.ended(pid, exit, next),
            Event::Kill => self.kill(pid, Next::Down),
            Event::Tick if kill_at.is_some_and(|at| at <= self.now) => self.kill(pid, next),
            Event::Stop { by } => {
                let kill_at = kill_at.map(|at| by.map_or(at, |by| by.min(at)));
                self.settle(State::Stopping {
                    pid,
                    kill_at,
                    next: Next::Down,
                })
            }
            Event::Start | Event::Restart => then(Next::Restart),
            Event::Go
            | Event::NeedFailed
            | Event::Spawned(_)
            | Event::SpawnFailed
            | Event::Execed
            | Event::ExecFailed
            | Event::Probed { .. }
            | Event::Said(_)
            | Event::BeforeEnded
            | Event::Plan
            | Event::Due(_)
            | Event::Clock
            | Event::Tick => then(next),
        }
    }
}

/// The same, without the command of `stop.before`: it has had its time, or has lost its meaning.
fn without_before((unit, mut actions): Outcome) -> Outcome {
    actions.insert(0, Action::KillBefore);
    (unit, actions)
}
