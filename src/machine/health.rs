//! What comes after ready: checks of a service's health, signs of life, and what follows failures.
//! The first failure makes it unready, so that nobody is sent to it; `retries` in a row are a death
//! by policy, if the service says so; the first success makes it ready again.

use crate::machine::retry;
use crate::machine::step::{Outcome, Turn};
use crate::machine::unit::{Action, Cause, Event, Health, Next, Retry, Said, State, Unit};
use crate::service::definition::Then;
use crate::service::pace::Pace;
use crate::values::{Moment, Pid};

/// What a check comes to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Finding {
    Well,
    Failed,
    /// As many failures as there may be, at once.
    Alarm,
}

impl Health {
    /// When time alone changes it.
    pub(super) fn due(self) -> Option<Moment> {
        match self {
            Self::AskAt(at) | Self::SignBy(at) => Some(at),
            Self::Unwatched | Self::Asked => None,
        }
    }
}

impl Turn<'_> {
    /// The start has succeeded.
    pub(super) fn is_ready(&self, pid: Pid) -> Outcome {
        let retry = Retry {
            trying_since: None,
            ready_at: self.is_timed_by_ready().then_some(self.now),
            hopeless: false,
            ..self.retry.clone()
        };
        let health = self.service.health.as_ref();
        let state = State::Ready {
            pid,
            since: self.now,
            health: self.next_check(),
            on_trial: health.is_some_and(|health| !health.start_period.is_zero()),
        };
        (Unit { state, retry }, vec![])
    }

    /// Whether the wait after its death begins when it becomes ready. To s6, one that tells nobody
    /// never does.
    fn is_timed_by_ready(&self) -> bool {
        match self.service.restart.pace {
            Pace::S6 => self.service.ready.is_some(),
            Pace::Growing => false,
        }
    }

    pub(super) fn ready(&self, pid: Pid, since: Moment, health: Health, on_trial: bool) -> Outcome {
        let at = |health, on_trial| State::Ready {
            pid,
            since,
            health,
            on_trial,
        };
        let retry = retry::once_up(self.service, self.retry, since, self.now);
        let leaving = Turn {
            retry: &retry,
            ..*self
        };
        match (self.event, self.finding(health)) {
            (Event::Exited(exit), _) => leaving.ended(pid, exit, Next::Policy(Cause::Died)),
            (Event::Stop { by }, _) => self.ask(pid, by, Next::Down),
            (Event::Restart, _) => self.ask(pid, None, Next::Restart),
            (Event::Kill, _) => self.kill(pid, Next::Down),
            (Event::Said(Said::Stopping), _) => leaving.on_its_way_down(pid),
            (_, Some(Finding::Well)) => self.settle(at(self.next_check(), false)),
            (_, Some(Finding::Failed)) if on_trial && self.is_young(since) => {
                self.settle(at(self.next_check(), true))
            }
            (_, Some(Finding::Failed)) => leaving.failed(pid, 1),
            (_, Some(Finding::Alarm)) => leaving.failed(pid, u32::MAX),
            (Event::Tick, None) if self.is_due(health) => {
                let (unit, _) = self.settle(at(Health::Asked, on_trial));
                (unit, vec![Action::CheckUp])
            }
            (
                Event::Start
                | Event::Go
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
                | Event::Tick,
                None,
            ) => self.settle(at(health, on_trial)),
        }
    }

    pub(super) fn unready(&self, pid: Pid, health: Health, failed: u32) -> Outcome {
        let at = |health| State::Unready {
            pid,
            health,
            failed,
        };
        match (self.event, self.finding(health)) {
            (Event::Exited(exit), _) => self.ended(pid, exit, Next::Policy(Cause::Died)),
            (Event::Stop { by }, _) => self.ask(pid, by, Next::Down),
            (Event::Restart, _) => self.ask(pid, None, Next::Restart),
            (Event::Kill, _) => self.kill(pid, Next::Down),
            (Event::Said(Said::Stopping), _) => self.on_its_way_down(pid),
            (_, Some(Finding::Well)) => self.settle(State::Ready {
                pid,
                since: self.now,
                health: self.next_check(),
                on_trial: false,
            }),
            (_, Some(Finding::Failed)) => self.failed(pid, failed.saturating_add(1)),
            (_, Some(Finding::Alarm)) => self.failed(pid, u32::MAX),
            (Event::Tick, None) if self.is_due(health) => {
                (self.settle(at(Health::Asked)).0, vec![Action::CheckUp])
            }
            (
                Event::Start
                | Event::Go
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
                | Event::Tick,
                None,
            ) => self.settle(at(health)),
        }
    }

    /// It says that it is stopping: nobody is sent to it, and nobody asks it any more, since what
    /// drains may well answer that it is not well. It ends by itself, or when it is stopped.
    fn on_its_way_down(&self, pid: Pid) -> Outcome {
        self.settle(State::Unready {
            pid,
            health: Health::Unwatched,
            failed: 0,
        })
    }

    /// It has now failed so many checks in a row.
    fn failed(&self, pid: Pid, failed: u32) -> Outcome {
        let (retries, then) = match &self.service.health {
            Some(health) => (health.retries, health.then),
            None => (0, Then::Nothing),
        };
        match then {
            Then::Restart if failed >= retries => {
                self.ask(pid, None, Next::Policy(Cause::Unhealthy))
            }
            Then::Restart | Then::Nothing => self.settle(State::Unready {
                pid,
                health: self.next_check(),
                failed: failed.min(retries),
            }),
        }
    }

    /// What this event tells of its health, if it does.
    fn finding(&self, health: Health) -> Option<Finding> {
        match (health, self.event) {
            (Health::Asked, Event::Probed { ready: true })
            | (Health::SignBy(_), Event::Said(Said::Alive)) => Some(Finding::Well),
            (Health::Asked, Event::Probed { ready: false }) => Some(Finding::Failed),
            (Health::SignBy(by), Event::Tick) if by <= self.now => Some(Finding::Failed),
            (Health::SignBy(_), Event::Said(Said::Alarm)) => Some(Finding::Alarm),
            (Health::Unwatched | Health::AskAt(_) | Health::Asked | Health::SignBy(_), _other) => {
                None
            }
        }
    }

    /// The check after one that is over, or after the start.
    fn next_check(&self) -> Health {
        match &self.service.health {
            None => Health::Unwatched,
            Some(health) if health.probe.is_asked() => Health::AskAt(self.now + health.interval),
            Some(health) => Health::SignBy(self.now + health.interval),
        }
    }

    fn is_due(&self, health: Health) -> bool {
        match health {
            Health::AskAt(at) => at <= self.now,
            Health::Unwatched | Health::Asked | Health::SignBy(_) => false,
        }
    }

    /// Whether its `start-period` goes on.
    fn is_young(&self, since: Moment) -> bool {
        let period = self
            .service
            .health
            .as_ref()
            .map(|health| health.start_period);
        period.is_some_and(|period| self.now.since(since) < period)
    }
}
