//! What the world knows of a fleet, without taking the fleet's word for it.

use pidone::machine::fleet::Fleet;
use pidone::machine::shutdown::Reason;
use pidone::machine::slot::{Change, Input, Ix};
use pidone::machine::unit::{Event, Failure, State};
use pidone::service::definition::{Kind, Probe, Service};
use pidone::values::{Exit, Moment, Name, Signal};

use super::life::Process;
use super::with::With;

/// What the world knows of a fleet.
#[derive(Debug)]
pub(crate) struct Books {
    pub(super) needs: Vec<Vec<Ix>>,
    pub(super) after: Vec<Vec<Ix>>,
    tells: Vec<bool>,
    pub(super) with: With,
    /// How each service last ended.
    pub(super) ends: Vec<Option<Exit>>,
    /// Which services are failed, and since when.
    failed: Vec<Option<(Moment, Failure)>>,
    /// The first wish to end.
    pub(super) asked: Option<Reason>,
    /// A second INT, or a QUIT, forces the end.
    pub(super) forced: bool,
    /// When the end began.
    pub(super) ending: Option<Moment>,
    /// Something had to be killed since.
    pub(super) killed: bool,
    pub(super) has_exited: bool,
}

impl Books {
    pub(crate) fn new(services: &[Service]) -> Self {
        let find = |list: &[Name]| -> Vec<Ix> {
            list.iter()
                .filter_map(|name| services.iter().position(|service| service.name == *name))
                .collect()
        };
        let tells = |service: &Service| {
            let probe = service.ready.as_ref().map(|ready| &ready.probe);
            matches!(probe, Some(Probe::Fd(_) | Probe::Notify))
        };
        Self {
            needs: services
                .iter()
                .map(|service| find(&needs_of(service, services)))
                .collect(),
            after: services
                .iter()
                .map(|service| find(&service.after))
                .collect(),
            with: With::new(services),
            tells: services.iter().map(tells).collect(),
            ends: vec![None; services.len()],
            failed: vec![None; services.len()],
            asked: None,
            forced: false,
            ending: None,
            killed: false,
            has_exited: false,
        }
    }

    pub(crate) fn tells_by_itself(&self, ix: Ix) -> bool {
        self.tells[ix]
    }

    pub(crate) fn died(&mut self, process: &Process, exit: Exit) {
        if !process.is_finish {
            self.ends[process.ix] = Some(exit);
        }
    }

    pub(crate) fn comes(&mut self, fleet: &Fleet, input: Input) {
        self.with.comes(input);
        match input {
            Input::Shutdown(reason) => {
                let forces = matches!(reason, Reason::Signal(Signal::INT | Signal::QUIT));
                self.forced |= forces && fleet.ending().is_some();
                self.asked.get_or_insert(reason);
            }
            // There was no process to end: the shell's code for what cannot be executed.
            Input::Unit(ix, Event::SpawnFailed)
                if fleet.slots()[ix].unit.state == State::Spawning =>
            {
                self.ends[ix] = Some(Exit::Code(126));
            }
            _other => {}
        }
    }

    pub(super) fn changed(&mut self, change: Change) {
        self.failed[change.ix] = match change.to {
            State::Failed(failure) => Some((change.at, failure)),
            _other => None,
        };
    }

    /// The code that a container ends with when nothing is left to run.
    pub(super) fn code_of_empty(&self) -> u8 {
        let code = |ix: Ix, failure| match failure {
            Failure::Need | Failure::NotReady => 1,
            _other => self.ends[ix].map_or(1, |exit| exit.code().max(1)),
        };
        let all = self.failed.iter().enumerate();
        let all = all.filter_map(|(ix, failed)| failed.map(|(at, failure)| (at, ix, failure)));
        // What failed for want of something else is not where it began.
        all.min_by_key(|(at, _, failure)| (*failure == Failure::Need, *at))
            .map_or(0, |(_, ix, failure)| code(ix, failure))
    }
}

/// Its needs, and those of the oneshots among them.
fn needs_of(service: &Service, services: &[Service]) -> Vec<Name> {
    let mut all = service.needs.clone();
    for name in &service.needs {
        let is_it = |other: &&Service| other.name == *name && other.kind == Kind::Oneshot;
        if let Some(oneshot) = services.iter().find(is_it) {
            all.extend(needs_of(oneshot, services));
        }
    }
    all
}
