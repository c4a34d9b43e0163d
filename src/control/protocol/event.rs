//! What happens, and what is written.

use serde::{Deserialize, Serialize};

use crate::control::protocol::{ExitStatus, State};

/// Something that happened. Every field is always there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// When, on the wall clock: RFC 3339, UTC, milliseconds.
    pub ts: String,
    /// When, on the monotonic clock, milliseconds.
    pub mono_ms: u64,
    /// What happened.
    pub event: EventKind,
    /// To which service; `null`: to pidone itself.
    pub service: Option<String>,
    /// The state (of a service) or phase (of pidone) before.
    pub from: Option<String>,
    /// The state or phase after.
    pub to: Option<String>,
    /// The service's process after it.
    pub pid: Option<i32>,
    /// How a process ended: for `state` the service's, for `reload` that of its command.
    pub exit: Option<ExitStatus>,
    /// Why, in words.
    pub why: Option<String>,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A service is in another state.
    State,
    /// pidone is in another phase.
    Phase,
    /// A service was told to read its configuration again, and `exit` (if any) is the result.
    Reload,
    /// A service was sent a signal by hand.
    Signal,
    /// A run of a service by its schedule falls out.
    RunSkipped,
    /// The service directories were read again, and something had changed.
    Rescan,
    /// A service whose directory is gone has vanished.
    Gone,
    /// A service has told of something itself, in `why`: the agent of its members and files.
    Told,
}

impl EventKind {
    /// The word of the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Phase => "phase",
            Self::Reload => "reload",
            Self::Signal => "signal",
            Self::RunSkipped => "run-skipped",
            Self::Rescan => "rescan",
            Self::Gone => "gone",
            Self::Told => "told",
        }
    }
}

impl Event {
    /// In a few words: `ready → stopping`, or what was done, and why.
    pub fn summary(&self) -> String {
        if let (EventKind::Told, Some(what)) = (self.event, &self.why) {
            return what.clone();
        }
        let what = match (&self.from, &self.to) {
            (Some(from), Some(to)) => format!("{from} → {to}"),
            (None, Some(to)) => to.clone(),
            (_, None) => self.event.word().to_owned(),
        };
        match &self.why {
            Some(why) => format!("{what}: {why}"),
            None => what,
        }
    }

    /// The state that a service has reached, if this tells of one.
    pub fn reached(&self) -> Option<State> {
        match self.event {
            EventKind::State => self.to.as_deref().and_then(State::from_word),
            EventKind::Phase
            | EventKind::Reload
            | EventKind::Signal
            | EventKind::RunSkipped
            | EventKind::Rescan
            | EventKind::Gone
            | EventKind::Told => None,
        }
    }
}

/// A line that somebody wrote.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Line {
    /// When it was read: RFC 3339, UTC, milliseconds.
    pub ts: String,
    /// Who wrote it; for [`Stream::Pidone`] whom it is about, or `pidone`.
    pub service: String,
    /// Where.
    pub stream: Stream,
    /// Without its end. Bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// Where a line was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// The service's standard output.
    Stdout,
    /// The service's standard error.
    Stderr,
    /// pidone's own story.
    Pidone,
}
