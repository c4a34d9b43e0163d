//! What the world knows of a fleet, without taking the fleet's word for it.

use std::collections::{BTreeMap, BTreeSet};

use pidone::machine::fleet::Fleet;
use pidone::machine::shutdown::Reason;
use pidone::machine::slot::{Change, Input, Ix};
use pidone::machine::unit::{Event, Failure, State};
use pidone::service::definition::Service;
use pidone::values::{Exit, Moment, Signal};

use super::life::Process;
use super::rescan::Links;
use super::with::With;

/// What the world knows of a fleet.
#[derive(Debug)]
pub(crate) struct Books {
    pub(super) links: Links,
    pub(super) with: With,
    /// How each service last ended.
    pub(super) ends: BTreeMap<Ix, Exit>,
    /// Which services are failed, and since when.
    failed: BTreeMap<Ix, (Moment, Failure)>,
    /// Whose stop has begun with its `before`, since its last start.
    pub(super) have_begun: BTreeSet<Ix>,
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
    pub(crate) fn new(services: &[Service], fleet: &Fleet) -> Self {
        Self {
            links: Links::of(fleet),
            with: With::new(services),
            ends: BTreeMap::new(),
            failed: BTreeMap::new(),
            have_begun: BTreeSet::new(),
            asked: None,
            forced: false,
            ending: None,
            killed: false,
            has_exited: false,
        }
    }

    pub(crate) fn died(&mut self, process: &Process, exit: Exit) {
        if !process.is_finish {
            self.ends.insert(process.ix, exit);
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
                if fleet.slot(ix).unwrap().unit.state == State::Spawning =>
            {
                self.ends.insert(ix, Exit::Code(126));
            }
            _other => {}
        }
    }

    pub(super) fn changed(&mut self, change: Change) {
        match change.to {
            State::Failed(failure) => self.failed.insert(change.ix, (change.at, failure)),
            _other => self.failed.remove(&change.ix),
        };
    }

    /// It is no more: its failure is nobody's.
    pub(super) fn forget(&mut self, ix: Ix) {
        self.failed.remove(&ix);
    }

    /// The code that a container ends with when nothing is left to run.
    pub(super) fn code_of_empty(&self) -> u8 {
        let code = |ix: Ix, failure| match failure {
            Failure::Need | Failure::NotReady => 1,
            _other => self.ends.get(&ix).map_or(1, |exit| exit.code().max(1)),
        };
        let all = self.failed.iter();
        let all = all.map(|(ix, (at, failure))| (*at, *ix, *failure));
        // What failed for want of something else is not where it began.
        all.min_by_key(|(at, _, failure)| (*failure == Failure::Need, *at))
            .map_or(0, |(_, ix, failure)| code(ix, failure))
    }
}
