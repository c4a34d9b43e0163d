//! Commands that run beside services: exec probes, reload commands, `stop.before`. Each has a
//! deadline; that of the last is in the machine's state, with what follows from it.

use std::collections::HashMap;
use std::time::Duration;

use crate::machine::slot::Ix;
use crate::os::attempt::{Attempt, Progress};
use crate::os::spawner::Spawned;
use crate::supervisor::launch::with_hint;
use crate::values::{Moment, Pid};

/// A command beside a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Helper {
    /// Whose.
    pub(super) ix: Ix,
    /// What for.
    pub(super) kind: Kind,
}

/// What a helper is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// It asks whether that start of its service is ready.
    Probe {
        /// Which start.
        starts: u32,
        /// For so long an answer is waited for.
        within: Duration,
    },
    /// It was to tell that, took too long, and has been killed.
    Late,
    /// It makes its service read its configuration again.
    Reload,
    /// Its service is asked to end after it.
    BeforeStop,
}

impl Kind {
    /// How long it may take; `None`: the machine tells.
    fn timeout(self) -> Option<Duration> {
        match self {
            Self::Probe { within, .. } => Some(within),
            Self::Reload => Some(Duration::from_secs(60)),
            Self::Late | Self::BeforeStop => None,
        }
    }
}

/// Every helper that lives.
#[derive(Default)]
pub(super) struct Helpers(HashMap<Pid, Alive>);

struct Alive {
    helper: Helper,
    /// `None` once it was killed, or if the machine tells when.
    deadline: Option<Moment>,
    /// Tells, if its program does not run, why.
    attempt: Attempt,
}

impl Helpers {
    /// One more.
    pub(super) fn add(&mut self, Spawned { pid, attempt }: Spawned, helper: Helper, now: Moment) {
        let alive = Alive {
            helper,
            deadline: helper.kind.timeout().map(|timeout| now + timeout),
            attempt,
        };
        self.0.insert(pid, alive);
    }

    /// The one that is gone, if it was one of these, and why its program did not run.
    pub(super) fn take(&mut self, pid: Pid) -> Option<(Helper, Option<String>)> {
        let Alive {
            helper, attempt, ..
        } = self.0.remove(&pid)?;
        let fault = match attempt.progress() {
            Progress::Failed(error) => Some(with_hint(&error.to_string(), error.hint())),
            Progress::Pending | Progress::Executed => None,
        };
        Some((helper, fault))
    }

    /// The probes of this service are killed now: they asked an earlier start of it.
    pub(super) fn give_up_probes(&mut self, ix: Ix, now: Moment) {
        for alive in self.0.values_mut() {
            if alive.helper.ix == ix
                && matches!(alive.helper.kind, Kind::Probe { .. })
                && let Some(deadline) = &mut alive.deadline
            {
                *deadline = now;
            }
        }
    }

    /// Everything beside this service is killed now: the service is gone.
    pub(super) fn give_up(&mut self, ix: Ix, now: Moment) {
        let of_it = self.0.values_mut().filter(|alive| alive.helper.ix == ix);
        of_it
            .filter_map(|alive| alive.deadline.as_mut())
            .for_each(|deadline| *deadline = now);
    }

    /// The command of this service's `stop.before`, if it lives.
    pub(super) fn before_stop(&self, ix: Ix) -> Option<Pid> {
        let is_it = |helper: Helper| helper.ix == ix && helper.kind == Kind::BeforeStop;
        let mut all = self.0.iter();
        all.find_map(|(pid, alive)| is_it(alive.helper).then_some(*pid))
    }

    /// When one must be killed.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.0.values().filter_map(|alive| alive.deadline).min()
    }

    /// Those that must be killed now; each is named once. A probe among them has answered by that.
    pub(super) fn overdue(&mut self, now: Moment) -> Vec<(Pid, Helper)> {
        let mut overdue = Vec::new();
        for (pid, alive) in &mut self.0 {
            if alive.deadline.take_if(|at| *at <= now).is_some() {
                overdue.push((*pid, alive.helper));
                if matches!(alive.helper.kind, Kind::Probe { .. }) {
                    alive.helper.kind = Kind::Late;
                }
            }
        }
        overdue
    }
}
