//! The words for how a service is, and for how a process ended.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::values::Exit;

/// The state of a service, in the words of users.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// No process, and none is due.
    Down,
    /// It is to start, once what it needs is ready.
    Waiting,
    /// Its process lives and is not ready yet.
    Starting,
    /// Its process lives and is ready.
    Ready,
    /// Its process lives and was ready; its health fails.
    Unready,
    /// Its process was asked to end.
    Stopping,
    /// Its process is gone and `finish` runs.
    Finishing,
    /// It died, and waits before it is started again.
    WaitingToRestart,
    /// It runs by its schedule, and not now.
    Scheduled,
    /// It ended well and is not to be started again.
    Finished,
    /// It did not, and is not to be started again.
    Failed,
}

impl State {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 11] = [
        Self::Down,
        Self::Waiting,
        Self::Starting,
        Self::Ready,
        Self::Unready,
        Self::Stopping,
        Self::Finishing,
        Self::WaitingToRestart,
        Self::Scheduled,
        Self::Finished,
        Self::Failed,
    ];

    /// The word of the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unready => "unready",
            Self::Stopping => "stopping",
            Self::Finishing => "finishing",
            Self::WaitingToRestart => "waiting-to-restart",
            Self::Scheduled => "scheduled",
            Self::Finished => "finished",
            Self::Failed => "failed",
        }
    }

    /// The state of this word, written with hyphens or with spaces.
    pub fn from_word(word: &str) -> Option<Self> {
        let word = word.replace(' ', "-");
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

impl fmt::Display for State {
    /// The words of screens: with spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WaitingToRestart => f.pad("waiting to restart"),
            other => f.pad(other.word()),
        }
    }
}

/// How a process ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ExitStatus {
    /// It called `exit`.
    Code {
        /// With this code.
        code: u8,
    },
    /// A signal ended it.
    Signal {
        /// This one, as `SIGTERM`.
        signal: String,
        /// The kernel dumped core. Absent means no.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        core: bool,
    },
}

impl From<Exit> for ExitStatus {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Code(code) => Self::Code { code },
            Exit::Signal(signal) | Exit::Core(signal) => Self::Signal {
                signal: signal.to_string(),
                core: matches!(exit, Exit::Core(_)),
            },
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code { code } => write!(f, "exit code {code}"),
            Self::Signal {
                signal,
                core: false,
            } => f.write_str(signal),
            Self::Signal { signal, core: true } => write!(f, "{signal} (core dumped)"),
        }
    }
}
