//! What a service is asked, why, where and for how long: the probes of `[ready]` and `[health]`.

use std::time::Duration;

use crate::os::probes::Target;
use crate::service::definition::{Probe, Service};
use crate::supervisor::launch::{Surroundings, target};

/// One attempt to dial for `[ready]` may take this long; the service is asked again after that.
const DIAL_TIMEOUT: Duration = Duration::from_secs(3);

/// A command that asks for `[ready]` may take this long.
const EXEC_TIMEOUT: Duration = Duration::from_secs(5);

/// What an answer is wanted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// Whether its start is over.
    Ready,
    /// Whether it is well.
    Health,
}

impl Purpose {
    /// What is asked, and for how long an answer is waited for.
    pub(super) fn question(self, service: &Service) -> Option<(&Probe, Duration)> {
        match self {
            Self::Ready => service.ready.as_ref().map(|ready| match &ready.probe {
                probe @ Probe::Exec(_) => (probe, EXEC_TIMEOUT),
                probe => (probe, DIAL_TIMEOUT),
            }),
            Self::Health => {
                let health = service.health.as_ref();
                health.map(|health| (&health.probe, health.timeout))
            }
        }
    }
}

/// Where the probes of a start dial.
#[derive(Default)]
pub(super) struct Targets {
    ready: Option<Target>,
    health: Option<Target>,
}

impl Targets {
    /// Those of a service in these surroundings. The error is for people.
    pub(super) fn of(service: &Service, around: &Surroundings) -> Result<Self, String> {
        let probe = |purpose: Purpose| purpose.question(service).map(|(probe, _)| probe);
        Ok(Self {
            ready: target(probe(Purpose::Ready), around)?,
            health: target(probe(Purpose::Health), around)?,
        })
    }

    /// Nothing is dialled.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_none() && self.health.is_none()
    }

    /// The one for this purpose.
    pub(super) fn of_purpose(&self, purpose: Purpose) -> Option<&Target> {
        match purpose {
            Purpose::Ready => self.ready.as_ref(),
            Purpose::Health => self.health.as_ref(),
        }
    }
}

/// The probe as it is asked in this start: with the address that its environment made of it.
pub(super) fn aimed(probe: &Probe, target: Option<&Target>) -> Probe {
    match (target, probe) {
        (Some(target), Probe::Tcp(_)) => Probe::Tcp(target.to_string()),
        (Some(target), Probe::Http(_)) => Probe::Http(target.to_string()),
        (Some(target), Probe::Unix(_)) => Probe::Unix(target.to_string()),
        (Some(target), Probe::File(_)) => Probe::File(target.to_string()),
        (_, probe) => probe.clone(),
    }
}

/// The descriptor on which it tells that it is ready, if it does so.
pub(super) fn descriptor(service: &Service) -> Option<i32> {
    match service.ready.as_ref().map(|ready| &ready.probe) {
        Some(Probe::Fd(number)) => Some(*number),
        Some(
            Probe::Tcp(_)
            | Probe::Http(_)
            | Probe::Unix(_)
            | Probe::File(_)
            | Probe::Exec(_)
            | Probe::Notify,
        )
        | None => None,
    }
}
