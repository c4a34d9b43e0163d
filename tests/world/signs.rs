//! What processes of a fake world tell by themselves.

use pidone::machine::slot::Input;
use pidone::machine::unit::{Event, Said};
use pidone::values::Pid;

use super::{Happening, World};

impl World {
    pub(super) fn says(&mut self, pid: Pid, said: Said) {
        if let Some(ix) = self.processes.get(&pid).map(|process| process.ix) {
            self.take(Input::Unit(ix, Event::Said(said)));
        }
    }

    /// A sign of life for a watchdog, and the next one in time.
    pub(super) fn beats(&mut self, pid: Pid) {
        let Some(process) = self.processes.get(&pid) else {
            return;
        };
        let (ix, is_well) = (process.ix, process.is_well(self.now));
        if let Some(interval) = self.slot(ix).service.health.as_ref().map(|h| h.interval) {
            self.schedule(self.now + interval / 2, Happening::Beats(pid));
        }
        if is_well {
            self.says(pid, Said::Alive);
        }
    }
}
