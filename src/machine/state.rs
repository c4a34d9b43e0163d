//! What can be said of a state: its word, its process, its deadline, and what others make of it.

use crate::machine::unit::{StartStep, Starting, State};
use crate::values::{Moment, Pid};

impl State {
    /// The word that users see.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Waiting => "waiting",
            Self::Spawning | Self::Starting(_) => "starting",
            Self::Ready { .. } => "ready",
            Self::Unready { .. } => "unready",
            Self::BeforeStop { .. } | Self::Stopping { .. } => "stopping",
            Self::SpawningFinish { .. } | Self::Finishing { .. } => "finishing",
            Self::Backoff { .. } => "waiting to restart",
            Self::Scheduled { .. } => "scheduled",
            Self::Finished | Self::Undoable => "finished",
            Self::Failed(_) => "failed",
        }
    }

    /// The process that lives in this state: the main one, or that of `finish`.
    pub fn pid(&self) -> Option<Pid> {
        match self {
            Self::Starting(Starting { pid, .. })
            | Self::Ready { pid, .. }
            | Self::Unready { pid, .. }
            | Self::BeforeStop { pid, .. }
            | Self::Stopping { pid, .. }
            | Self::Finishing { pid, .. } => Some(*pid),
            Self::Down
            | Self::Waiting
            | Self::Spawning
            | Self::SpawningFinish { .. }
            | Self::Backoff { .. }
            | Self::Scheduled { .. }
            | Self::Finished
            | Self::Undoable
            | Self::Failed(_) => None,
        }
    }

    /// The process of the service itself, not that of `finish`.
    pub fn main_pid(&self) -> Option<Pid> {
        if matches!(self, Self::Finishing { .. }) {
            return None;
        }
        self.pid()
    }

    /// When time alone changes it.
    pub fn deadline(&self) -> Option<Moment> {
        match self {
            Self::Starting(starting) => {
                let step = match starting.step {
                    StartStep::Exec { by } => Some(by),
                    StartStep::ProbeAt(at) => Some(at),
                    StartStep::Listen | StartStep::Probing => None,
                };
                [step, starting.ready_by].into_iter().flatten().min()
            }
            Self::Ready { health, .. } | Self::Unready { health, .. } => health.due(),
            Self::Stopping { kill_at, .. } | Self::Finishing { kill_at, .. } => *kill_at,
            Self::BeforeStop { until, .. } | Self::Backoff { until, .. } => Some(*until),
            Self::Down
            | Self::Waiting
            | Self::Spawning
            | Self::SpawningFinish { .. }
            | Self::Scheduled { .. }
            | Self::Finished
            | Self::Undoable
            | Self::Failed(_) => None,
        }
    }

    /// Nothing lives, and nothing is due.
    pub fn is_at_rest(&self) -> bool {
        match self {
            Self::Down | Self::Finished | Self::Failed(_) => true,
            Self::Waiting
            | Self::Spawning
            | Self::Starting(_)
            | Self::Ready { .. }
            | Self::Unready { .. }
            | Self::BeforeStop { .. }
            | Self::Stopping { .. }
            | Self::SpawningFinish { .. }
            | Self::Finishing { .. }
            | Self::Backoff { .. }
            | Self::Undoable
            | Self::Scheduled { .. } => false,
        }
    }

    /// A process lives or is being made, or is still to undo its work, so what stands below it must
    /// not stop yet.
    pub fn is_alive(&self) -> bool {
        match self {
            Self::Spawning
            | Self::Starting(_)
            | Self::Ready { .. }
            | Self::Unready { .. }
            | Self::BeforeStop { .. }
            | Self::Stopping { .. }
            | Self::SpawningFinish { .. }
            | Self::Finishing { .. }
            | Self::Undoable => true,
            Self::Down
            | Self::Waiting
            | Self::Backoff { .. }
            | Self::Scheduled { .. }
            | Self::Finished
            | Self::Failed(_) => false,
        }
    }

    /// What needs this service may start.
    pub fn satisfies(&self) -> bool {
        match self {
            Self::Ready { .. } | Self::Finished | Self::Undoable => true,
            Self::Down
            | Self::Waiting
            | Self::Spawning
            | Self::Starting(_)
            | Self::Unready { .. }
            | Self::BeforeStop { .. }
            | Self::Stopping { .. }
            | Self::SpawningFinish { .. }
            | Self::Finishing { .. }
            | Self::Backoff { .. }
            | Self::Scheduled { .. }
            | Self::Failed(_) => false,
        }
    }
}
