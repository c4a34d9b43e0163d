//! What a client asks.

use serde::{Deserialize, Serialize};

/// What a client asks. Verbs and answers: [`crate::control::protocol`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Request {
    /// How the services are.
    Status {
        /// These only; empty means all.
        #[serde(default)]
        names: Vec<String>,
        /// With [`Detail`].
        #[serde(default)]
        detail: bool,
    },
    /// They are to be up. One that is ready stays as it is; a finished oneshot runs again.
    Start {
        /// At least one.
        names: Vec<String>,
    },
    /// They are to be down.
    Stop {
        /// At least one.
        names: Vec<String>,
    },
    /// They are to be stopped, and started again.
    Restart {
        /// At least one.
        names: Vec<String>,
    },
    /// Their run is the last one: they are down when it is over, whatever their policy says. What
    /// is down stays down.
    Once {
        /// At least one.
        names: Vec<String>,
    },
    /// They are to read their configuration again. Each is told of by one `reload` event.
    Reload {
        /// At least one.
        names: Vec<String>,
    },
    /// A signal to their main processes.
    Signal {
        /// As `SIGTERM`, `TERM` or `15`.
        signal: String,
        /// To the whole process group of each, not the main process alone.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        group: bool,
        /// At least one.
        names: Vec<String>,
    },
    /// What they have written.
    Logs {
        /// These only; empty means all, pidone's own lines too.
        #[serde(default)]
        names: Vec<String>,
        /// At most so many past lines of each service; absent: all that are kept.
        #[serde(default)]
        last: Option<u32>,
        /// Go on with each line as it is written.
        #[serde(default)]
        follow: bool,
    },
    /// What happens.
    Events {
        /// At most so many past events; absent: all that are kept.
        #[serde(default)]
        last: Option<u32>,
        /// Go on with each event as it happens.
        #[serde(default)]
        follow: bool,
    },
    /// The service directories are to be read again, and the difference applied.
    Rescan {
        /// Only told: nothing is changed.
        #[serde(default)]
        dry_run: bool,
    },
    /// The container is to end.
    Shutdown {
        /// With this exit code; absent: as `docker stop` would end it.
        #[serde(default)]
        code: Option<u8>,
    },
}

impl Request {
    /// Whether it changes anything, or only looks.
    pub fn changes(&self) -> bool {
        match self {
            Self::Status { .. } | Self::Logs { .. } | Self::Events { .. } => false,
            Self::Start { .. }
            | Self::Stop { .. }
            | Self::Restart { .. }
            | Self::Once { .. }
            | Self::Reload { .. }
            | Self::Signal { .. }
            | Self::Rescan { .. }
            | Self::Shutdown { .. } => true,
        }
    }

    /// Its verb, as it is written.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Start { .. } => "start",
            Self::Stop { .. } => "stop",
            Self::Restart { .. } => "restart",
            Self::Once { .. } => "once",
            Self::Reload { .. } => "reload",
            Self::Signal { .. } => "signal",
            Self::Logs { .. } => "logs",
            Self::Events { .. } => "events",
            Self::Rescan { .. } => "rescan",
            Self::Shutdown { .. } => "shutdown",
        }
    }

    /// The services that it names.
    pub fn names(&self) -> &[String] {
        match self {
            Self::Status { names, .. }
            | Self::Start { names }
            | Self::Stop { names }
            | Self::Restart { names }
            | Self::Once { names }
            | Self::Reload { names }
            | Self::Signal { names, .. }
            | Self::Logs { names, .. } => names,
            Self::Events { .. } | Self::Rescan { .. } | Self::Shutdown { .. } => &[],
        }
    }

    /// Whether its answer goes on until somebody leaves.
    pub fn follows(&self) -> bool {
        match self {
            Self::Logs { follow, .. } | Self::Events { follow, .. } => *follow,
            _looks_once => false,
        }
    }

    /// Whether its answer is several messages, up to `end`.
    pub fn streams(&self) -> bool {
        matches!(self, Self::Logs { .. } | Self::Events { .. })
    }
}
