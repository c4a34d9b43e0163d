//! The way from exec to ready: probes, notifications, and starts that take too long.

use crate::machine::step::{Outcome, Turn};
use crate::machine::unit::{Action, Cause, Event, Next, Said, StartStep, Starting, State};
use crate::service::definition::{Kind, Probe, RETRY_FIRST};
use crate::values::Moment;

impl Turn<'_> {
    pub(super) fn starting(&self, starting: Starting) -> Outcome {
        let Starting { pid, step, .. } = starting;
        let at = |step| self.settle(State::Starting(Starting { step, ..starting }));
        let is_exec = matches!(step, StartStep::Exec { .. });
        match self.event {
            Event::Execed if is_exec => self.execed(starting),
            Event::ExecFailed if is_exec => self.leaving(pid, None, Next::Policy(Cause::Exec)),
            Event::Probed { ready: true } if step == StartStep::Probing => self.is_ready(pid),
            Event::Probed { ready: false } if step == StartStep::Probing => {
                let interval = self
                    .service
                    .ready
                    .as_ref()
                    .map_or(RETRY_FIRST, |r| r.interval);
                at(StartStep::ProbeAt(self.now + interval))
            }
            Event::Said(Said::Ready) if self.tells_by_itself() => self.is_ready(pid),
            // From now, and never shorter than it was.
            Event::Said(Said::Extend(more)) => self.settle(State::Starting(Starting {
                ready_by: starting.ready_by.map(|by| by.max(self.now + more)),
                ..starting
            })),
            Event::Exited(exit) => self.ended(pid, exit, Next::Policy(Cause::Died)),
            Event::Stop { by } => self.ask(pid, by, Next::Down),
            Event::Restart => self.ask(pid, None, Next::Restart),
            Event::Kill => self.kill(pid, Next::Down),
            Event::Tick => self.starting_tick(starting),
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
            | Event::Clock => at(step),
        }
    }

    fn tells_by_itself(&self) -> bool {
        match self.service.ready.as_ref().map(|ready| &ready.probe) {
            Some(Probe::Fd(_) | Probe::Notify) => true,
            Some(
                Probe::Tcp(_) | Probe::Http(_) | Probe::Unix(_) | Probe::File(_) | Probe::Exec(_),
            )
            | None => false,
        }
    }

    /// The child has become the program: without a probe, that is all there is to know.
    fn execed(&self, starting: Starting) -> Outcome {
        let at = |step| self.settle(State::Starting(Starting { step, ..starting }));
        match self.service.ready.as_ref().map(|ready| &ready.probe) {
            None if self.service.kind == Kind::Longrun => self.is_ready(starting.pid),
            None | Some(Probe::Fd(_) | Probe::Notify) => at(StartStep::Listen),
            Some(
                Probe::Tcp(_) | Probe::Http(_) | Probe::Unix(_) | Probe::File(_) | Probe::Exec(_),
            ) => (at(StartStep::Probing).0, vec![Action::Probe]),
        }
    }

    fn starting_tick(&self, starting: Starting) -> Outcome {
        let is_due = |at: Moment| at <= self.now;
        if starting.ready_by.is_some_and(is_due) {
            return self.ask(starting.pid, None, Next::Policy(Cause::NotReady));
        }
        match starting.step {
            StartStep::Exec { by } if is_due(by) => {
                self.kill(starting.pid, Next::Policy(Cause::Exec))
            }
            StartStep::ProbeAt(at) if is_due(at) => {
                let probing = Starting {
                    step: StartStep::Probing,
                    ..starting
                };
                let (unit, _) = self.settle(State::Starting(probing));
                (unit, vec![Action::Probe])
            }
            StartStep::Exec { .. }
            | StartStep::ProbeAt(_)
            | StartStep::Listen
            | StartStep::Probing => self.settle(State::Starting(starting)),
        }
    }
}
