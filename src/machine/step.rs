//! The transition function of one service: `(service, unit, event, now) → (unit, actions)`.
//! Every state names every event. An event that comes too late (an answer to a question that no
//! longer matters) changes nothing. `start.rs` beside this has the state between exec and ready,
//! `health.rs` what comes after that, `stop.rs` those between a wish to stop and the end of the
//! process.

use std::time::Duration;

use crate::machine::planned::plan;
use crate::machine::retry;
use crate::machine::unit::{
    Action, Cause, Event, Failure, Next, Retry, StartStep, Starting, State, Unit,
};
use crate::service::definition::{FINISH_PERMANENT, OnLimit, Service};
use crate::service::pace::Pace;
use crate::values::{Exit, Moment, Pid};

/// A child that has not reached its exec by then hangs (a `chdir` on a dead NFS mount, say) and
/// is killed.
const EXEC_TIMEOUT: Duration = Duration::from_secs(10);

/// The end of a start for which no process could be made: the shell's code for what it cannot
/// execute.
pub(super) const NO_PROCESS: Exit = Exit::Code(126);

/// What becomes of a service when this happens to it now, and what is to be done.
pub fn step(service: &Service, unit: &Unit, event: Event, now: Moment) -> (Unit, Vec<Action>) {
    let turn = Turn {
        service,
        retry: &unit.retry,
        event,
        now,
    };
    match unit.state {
        State::Down | State::Finished | State::Failed(_) => turn.at_rest(unit.state),
        State::Waiting => turn.waiting(),
        State::Spawning => turn.spawning(),
        State::Starting(starting) => turn.starting(starting),
        State::Ready {
            pid,
            since,
            health,
            on_trial,
        } => turn.ready(pid, since, health, on_trial),
        State::Unready {
            pid,
            health,
            failed,
        } => turn.unready(pid, health, failed),
        State::BeforeStop {
            pid,
            until,
            by,
            next,
        } => turn.before_stop(pid, until, by, next),
        State::Stopping { pid, kill_at, next } => turn.stopping(pid, kill_at, next),
        State::SpawningFinish { exit, next } => turn.spawning_finish(exit, next),
        State::Finishing {
            pid,
            exit,
            kill_at,
            next,
        } => turn.finishing(pid, exit, kill_at, next),
        State::Backoff { until, cause } => turn.backoff(until, cause),
        State::Scheduled { at } => turn.scheduled(at),
        State::Undoable => turn.undoable(),
    }
}

/// What a transition looks at, beside the state itself.
pub(super) struct Turn<'a> {
    pub(super) service: &'a Service,
    pub(super) retry: &'a Retry,
    pub(super) event: Event,
    pub(super) now: Moment,
}

pub(super) type Outcome = (Unit, Vec<Action>);

impl Turn<'_> {
    fn at_rest(&self, state: State) -> Outcome {
        match self.event {
            Event::Start | Event::Restart => (
                Unit {
                    state: State::Waiting,
                    ..Unit::new()
                },
                vec![],
            ),
            // No person asked for it: its own restarts are not forgotten. It was not trying.
            Event::Go if state == State::Failed(Failure::Need) => (
                Unit {
                    state: State::Waiting,
                    retry: Retry {
                        trying_since: None,
                        ..self.retry.clone()
                    },
                },
                vec![],
            ),
            // What has finished stays finished: stopping it cannot undo what it did.
            Event::Stop { .. } | Event::Kill if matches!(state, State::Finished) => {
                self.settle(state)
            }
            Event::Stop { .. } | Event::Kill => self.settle(State::Down),
            Event::Plan if self.service.schedule.is_some() => plan(true),
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
            | Event::Exited(_)
            | Event::Tick => self.settle(state),
        }
    }

    fn waiting(&self) -> Outcome {
        match self.event {
            Event::Go => {
                let trying_since = self.retry.trying_since.or(Some(self.now));
                let retry = Retry {
                    trying_since,
                    ready_at: None,
                    ..self.retry.clone()
                };
                (
                    Unit {
                        state: State::Spawning,
                        retry,
                    },
                    vec![Action::Spawn],
                )
            }
            // The next run may find it there again.
            Event::NeedFailed if self.service.schedule.is_some() => {
                let (unit, mut actions) = plan(true);
                // Last, when the next run is known.
                actions.push(Action::Skip);
                (unit, actions)
            }
            Event::NeedFailed => self.settle(State::Failed(Failure::Need)),
            Event::Stop { .. } | Event::Kill => self.settle(State::Down),
            Event::Start
            | Event::Restart
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
            | Event::Exited(_)
            | Event::Tick => self.settle(State::Waiting),
        }
    }

    /// The answer comes before anything else can happen; a wish to stop that arises in the same
    /// turn is repeated by the fleet as soon as there is a process to stop.
    fn spawning(&self) -> Outcome {
        match self.event {
            Event::Spawned(pid) => {
                let within = self.service.start_within();
                self.settle(State::Starting(Starting {
                    pid,
                    step: StartStep::Exec {
                        by: self.now + EXEC_TIMEOUT,
                    },
                    ready_by: within.map(|within| self.now + within),
                }))
            }
            // No process could be made: as a program that cannot be executed.
            Event::SpawnFailed => self.policy(NO_PROCESS, Cause::Exec),
            Event::Start
            | Event::Go
            | Event::NeedFailed
            | Event::Stop { .. }
            | Event::Restart
            | Event::Kill
            | Event::Execed
            | Event::ExecFailed
            | Event::Probed { .. }
            | Event::Said(_)
            | Event::BeforeEnded
            | Event::Plan
            | Event::Due(_)
            | Event::Clock
            | Event::Exited(_)
            | Event::Tick => self.settle(State::Spawning),
        }
    }

    fn spawning_finish(&self, exit: Exit, next: Next) -> Outcome {
        let then = |next| self.settle(State::SpawningFinish { exit, next });
        match self.event {
            Event::Spawned(pid) => {
                let kill_at = self.last_timeout().map(|timeout| self.now + timeout);
                self.settle(State::Finishing {
                    pid,
                    exit,
                    kill_at,
                    next,
                })
            }
            Event::SpawnFailed => self.over(exit, next),
            Event::Stop { .. } | Event::Kill => then(Next::Down),
            Event::Start | Event::Restart => then(Next::Restart),
            Event::Go
            | Event::NeedFailed
            | Event::Execed
            | Event::ExecFailed
            | Event::Probed { .. }
            | Event::Said(_)
            | Event::BeforeEnded
            | Event::Plan
            | Event::Due(_)
            | Event::Clock
            | Event::Exited(_)
            | Event::Tick => then(next),
        }
    }

    fn finishing(&self, pid: Pid, exit: Exit, kill_at: Option<Moment>, next: Next) -> Outcome {
        let then = |kill_at, next| State::Finishing {
            pid,
            exit,
            kill_at,
            next,
        };
        match self.event {
            Event::Exited(FINISH_PERMANENT)
                if next != Next::Down && self.service.finish.is_some() =>
            {
                self.settle(State::Failed(Failure::Finish))
            }
            Event::Exited(_) => self.over(exit, next),
            Event::Kill => (
                self.settle(then(None, Next::Down)).0,
                vec![Action::Kill(pid)],
            ),
            Event::Tick if kill_at.is_some_and(|at| at <= self.now) => {
                (self.settle(then(None, next)).0, vec![Action::Kill(pid)])
            }
            Event::Stop { .. } => self.settle(then(kill_at, Next::Down)),
            Event::Start | Event::Restart => self.settle(then(kill_at, Next::Restart)),
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
            | Event::Tick => self.settle(then(kill_at, next)),
        }
    }

    fn backoff(&self, until: Moment, cause: Cause) -> Outcome {
        match self.event {
            Event::Tick if until <= self.now => self.settle(State::Waiting),
            Event::Start | Event::Restart => self.settle(State::Waiting),
            Event::Stop { .. } | Event::Kill => self.settle(State::Down),
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
            | Event::Exited(_)
            | Event::Tick => self.settle(State::Backoff { until, cause }),
        }
    }

    /// This state, with what is remembered, and nothing to do.
    pub(super) fn settle(&self, state: State) -> Outcome {
        (
            Unit {
                state,
                retry: self.retry.clone(),
            },
            vec![],
        )
    }

    /// Its process is gone: `finish` comes first, but not for a program that never ran (s6 does
    /// not run it then either).
    pub(super) fn ended(&self, pid: Pid, exit: Exit, next: Next) -> Outcome {
        match (&self.service.finish, next) {
            (
                Some(_),
                Next::Down
                | Next::Restart
                | Next::Policy(Cause::Died | Cause::NotReady | Cause::Unhealthy),
            ) => (
                self.settle(State::SpawningFinish { exit, next }).0,
                vec![Action::SpawnFinish(pid, exit)],
            ),
            (None, _) | (Some(_), Next::Policy(Cause::Exec)) => {
                let (unit, mut actions) = self.over(exit, next);
                // What died may have left children that hold what its successor needs. A `finish`
                // is told of the group, and may have other plans. Who was asked to go has had its
                // say, and what goes down or has finished may have left something on purpose.
                // What is of s6 finds what it has left: there haproxy takes over from its elder.
                let is_again = matches!(unit.state, State::Waiting | State::Backoff { .. })
                    && self.service.restart.pace == Pace::Growing;
                if is_again && matches!(next, Next::Policy(_)) {
                    actions.push(Action::KillRest(pid));
                }
                (unit, actions)
            }
        }
    }

    fn over(&self, exit: Exit, next: Next) -> Outcome {
        match next {
            Next::Down => (Unit::new(), vec![]),
            Next::Restart => (
                Unit {
                    state: State::Waiting,
                    ..Unit::new()
                },
                vec![],
            ),
            Next::Policy(cause) => self.policy(exit, cause),
        }
    }

    fn policy(&self, exit: Exit, cause: Cause) -> Outcome {
        let (state, retry) = retry::after(self.service, self.retry, exit, cause, self.now);
        let ends = state == State::Failed(Failure::Limit)
            && self.service.restart.on_limit == OnLimit::Exit;
        if state.is_at_rest() && !ends && self.service.schedule.is_some() {
            return plan(true);
        }
        (Unit { state, retry }, vec![])
    }
}
