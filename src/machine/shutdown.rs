//! The end of a container: why it ends, by when, and with which code.

use std::time::Duration;

use crate::values::{Exit, Moment, Signal};

/// Between the last SIGKILL and the deadline: the time to reap, to flush the output and to exit.
const LAST_SECOND: Duration = Duration::from_secs(1);

/// How long processes that belong to no service have after SIGTERM before SIGKILL.
const STRAYS_GRACE: Duration = Duration::from_secs(2);

/// Why the container ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A signal asked for it.
    Signal(Signal),
    /// `pidone shutdown`, with its `--code`.
    Asked(Option<u8>),
    /// The main service, or CMD, has ended.
    Main(usize, Exit),
    /// The main service's health failed.
    Unhealthy(usize, Exit),
    /// The main service, or CMD, could not start.
    MainFailed(usize),
    /// CMD waited longer than `PIDONE_CMD_WAIT`.
    CmdWait(usize),
    /// A service with `on-limit = "exit"` has reached its limit.
    Limit(usize, Exit),
    /// Nothing is left to run; with the code of the first failure.
    Empty(u8),
}

/// How far the end is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Services stop.
    Services,
    /// The services are gone; whatever else lives got SIGTERM, and SIGKILL is due at this moment.
    Strays(Moment),
    /// Whatever else lives got SIGKILL.
    Killed,
}

/// An end in progress.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shutdown {
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub since: Moment,
    /// It is over by then, whatever happens.
    pub deadline: Moment,
    /// How far it is.
    pub step: Step,
    /// What was left at the cut-off has been killed.
    pub cut_off: bool,
    /// How many services were running when it began.
    pub services: usize,
    /// How many services had to be killed.
    pub killed: usize,
    /// So had something that belonged to no service.
    pub killed_strays: bool,
}

impl Shutdown {
    /// An end that begins now and may take `budget`.
    pub fn new(reason: Reason, services: usize, budget: Duration, now: Moment) -> Self {
        Self {
            reason,
            since: now,
            deadline: now + budget,
            step: Step::Services,
            cut_off: false,
            services,
            killed: 0,
            killed_strays: false,
        }
    }

    /// When everything that is left is killed: early enough to say so. A budget of less than two
    /// seconds is halved, so that services are always asked before they are killed.
    pub fn cutoff(&self) -> Moment {
        let budget = self.deadline.since(self.since);
        self.deadline.before(LAST_SECOND.min(budget / 2))
    }

    /// When strays that got SIGTERM now get SIGKILL.
    pub fn strays_until(&self, now: Moment) -> Moment {
        (now + STRAYS_GRACE).min(self.cutoff().max(now))
    }

    /// When time alone changes something.
    pub fn next(&self) -> Moment {
        match self.step {
            Step::Services if !self.cut_off => self.cutoff(),
            Step::Strays(until) => until,
            Step::Services | Step::Killed => self.deadline,
        }
    }

    /// The container's exit code.
    pub fn code(&self) -> u8 {
        match self.reason {
            Reason::Main(_, exit) => exit.code(),
            Reason::Asked(Some(code)) | Reason::Empty(code) => code,
            Reason::MainFailed(_) | Reason::CmdWait(_) => 1,
            Reason::Limit(_, exit) | Reason::Unhealthy(_, exit) => exit.code().max(1),
            Reason::Signal(_) | Reason::Asked(None) => {
                if self.killed == 0 && !self.killed_strays {
                    0
                } else {
                    Exit::Signal(Signal::KILL).code()
                }
            }
        }
    }
}
