//! How the container and its services are.

use serde::{Deserialize, Serialize};

use crate::control::protocol::{ExitStatus, Line, State};

/// How pidone and its services are.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// pidone's own pid.
    pub pid: i32,
    /// Where the container is in its life.
    pub phase: Phase,
    /// In the order of their names.
    pub services: Vec<ServiceStatus>,
}

/// Where the container is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Services are being started for the first time.
    Boot,
    /// All that the boot waits for is there.
    Running,
    /// It was asked to end, or its main service has.
    Stopping,
}

impl Phase {
    /// The word of the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Running => "running",
            Self::Stopping => "stopping",
        }
    }
}

/// How a service is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: State,
    /// Its process: the main one, or that of `finish`.
    pub pid: Option<i32>,
    /// How long it has been in this state, milliseconds.
    pub for_ms: u64,
    /// How often it was restarted, by itself or by hand, since the boot.
    pub restarts: u64,
    /// How its last process ended; `null` if none has.
    pub exit: Option<ExitStatus>,
    /// The kernel killed that process for memory.
    pub oom: bool,
    /// What is exceptional, in words: why it is not up, or was not. `null` if nothing is.
    /// Neither `exit`, `oom` nor `next_try_ms` again: screens add them.
    pub note: Option<String>,
    /// Whether the boot starts it.
    #[serde(default)]
    pub enabled: bool,
    /// Whether it is to be up from now on, run after run.
    #[serde(default)]
    pub wanted: bool,
    /// How often its process was started since the boot.
    #[serde(default)]
    pub starts: u64,
    /// When it is tried again, milliseconds from now; only while `waiting-to-restart`.
    #[serde(default)]
    pub next_try_ms: Option<u64>,
    /// When it runs by itself, in words; `null`: it has no schedule.
    #[serde(default)]
    pub schedule: Option<String>,
    /// Its next run by its schedule: RFC 3339, UTC; only while `scheduled`.
    #[serde(default)]
    pub next_run: Option<String>,
    /// The same, milliseconds from now.
    #[serde(default)]
    pub next_run_ms: Option<u64>,
    /// When its last run began, if it has a schedule: RFC 3339, UTC. How it ended is in `exit`.
    #[serde(default)]
    pub last_run: Option<String>,
    /// The same, milliseconds ago.
    #[serde(default)]
    pub last_run_ms: Option<u64>,
    /// How long that took, milliseconds; `null` while it runs.
    #[serde(default)]
    pub last_took_ms: Option<u64>,
    /// Only if asked for.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
}

/// What only the page of one service shows.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Detail {
    /// What defines it.
    pub file: String,
    /// What it needs, and how that is.
    pub needs: Vec<Need>,
    /// What it is started after, as far as that is there.
    #[serde(default)]
    pub after: Vec<String>,
    /// What of both is not there yet that it waits for, or has failed for.
    #[serde(default)]
    pub waits_for: Vec<String>,
    /// It runs once.
    #[serde(default)]
    pub oneshot: bool,
    /// The container ends with it.
    #[serde(default)]
    pub main: bool,
    /// Its probe in words ([`crate::control::describe::ready`]).
    pub ready: Option<String>,
    /// How its health is watched, and how often it was well, in words.
    #[serde(default)]
    pub health: Option<String>,
    /// What it last said of itself by `STATUS=` (sd_notify).
    #[serde(default)]
    pub says: Option<String>,
    /// Its next run by its schedule, on the clocks of its zone, to be read.
    #[serde(default)]
    pub next_run_there: Option<String>,
    /// How it is stopped, in words.
    pub stop: String,
    /// Its restart policy, in words.
    pub restart: String,
    /// How it is reloaded, in words.
    pub reload: Option<String>,
    /// Its last changes of state, oldest first.
    pub history: Vec<Change>,
    /// Its last lines, oldest first; a few, and each cut to what a page can hold.
    pub lines: Vec<Line>,
}

/// A service that another one needs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Need {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: State,
}

/// One change of state, remembered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// When: RFC 3339, UTC, milliseconds.
    pub ts: String,
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// Why, or with what pid.
    pub why: Option<String>,
}
