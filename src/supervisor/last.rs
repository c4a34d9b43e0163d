//! What runs when the process of a service is gone: `finish`, or `down`.

use std::rc::Rc;

use crate::machine::slot::Ix;
use crate::os::reason::reason;
use crate::os::spawner::Spawned;
use crate::supervisor::Supervisor;
use crate::supervisor::perform::GONE;
use crate::supervisor::wiring::{Hold, wire};
use crate::values::{Exit, Pid};

/// What runs when the process of a service is gone.
#[derive(Clone, Copy)]
pub(super) enum Last {
    /// `finish`, for this group and this end.
    Finish(Pid, Exit),
    /// `down`.
    Down,
}

impl Supervisor {
    pub(super) fn spawn_last(&mut self, ix: Ix, last: Last) -> Result<Pid, String> {
        let service = Rc::clone(&self.fleet.slot(ix).ok_or(GONE)?.service);
        let around = self.launcher.surroundings(&service)?;
        let owner = around.user.as_ref().map(|user| (user.uid, user.gid));
        let wiring = self.wiring(ix);
        let mut hold = Hold::default();
        let streams = wire(
            &mut self.router,
            &self.launcher,
            &service,
            wiring,
            owner,
            &mut hold,
        )?;
        let spawned = match last {
            Last::Finish(group, exit) => {
                let ended = (group, exit);
                self.launcher.finish(&service, &around, ended, streams)
            }
            Last::Down => self.launcher.down(&service, &around, streams),
        };
        let Spawned { pid, attempt } = spawned?;
        if let Err(error) = self.starts.add(ix, attempt, None) {
            // It runs, or its exit code tells that it does not.
            tracing::debug!(service = %service.name, "cannot watch its finish: {}", reason(&error));
        }
        Ok(pid)
    }
}
