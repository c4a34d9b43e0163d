//! The language of the control socket. Each message is one JSON object on one line and carries
//! `"version":1`. A client sends a [`Request`] and reads its [`Reply`]s before it sends the next.
//!
//! | `verb` | fields | answer |
//! |---|---|---|
//! | `status` | `names` (empty: all), `detail` | `status` |
//! | `start` `stop` `restart` `once` `reload` | `names` | `ok` when accepted; the result comes as events |
//! | `signal` | `signal`, `names`, `group` | `ok` when sent |
//! | `logs` | `names` (empty: all), `last`, `follow` | `line`s, then `end` |
//! | `events` | `last`, `follow` | past `event`s, one whole `status`, then `end` |
//! | `rescan` | `dry_run` | `rescanned`, or `error` with every fault |
//! | `shutdown` | `code` | `ok` when accepted |
//!
//! Any request may be answered by `error`. Lines and events come oldest first. With `follow` there
//! is no `end`: what happens next follows, for ever. A client that follows says nothing more; it
//! ends by closing its side. One that reads too slowly misses the oldest lines, and `skipped`
//! stands in their place. These types are the wire's own, so that the machine can change without
//! it.

mod event;
mod request;
mod rescanned;
mod state;
mod status;

use serde::{Deserialize, Serialize};

use crate::diag::nearest;

pub use event::{Event, EventKind, Line, Stream};
pub use request::Request;
pub use rescanned::Rescanned;
pub use state::{ExitStatus, State};
pub use status::{Change, Detail, Need, Phase, ServiceStatus, Status};

/// The version that every message carries.
pub const VERSION: u32 = 1;

/// A message with its version.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Message<T> {
    /// [`VERSION`].
    pub version: u32,
    /// What is said.
    #[serde(flatten)]
    pub body: T,
}

impl<T> Message<T> {
    /// The message of this version that says `body`.
    pub fn new(body: T) -> Self {
        Self {
            version: VERSION,
            body,
        }
    }
}

/// What PID 1 answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// The change was accepted.
    Ok(Accepted),
    /// It was not, or nothing like it can be.
    Error(Refusal),
    /// The service directories were read again.
    Rescanned(Rescanned),
    /// How the services are.
    Status(Status),
    /// Something happened.
    Event(Event),
    /// Somebody wrote a line.
    Line(Line),
    /// This client read too slowly.
    Skipped {
        /// When it was noticed: RFC 3339, UTC, milliseconds.
        ts: String,
        /// How many lines (or events) it missed.
        lines: u64,
    },
    /// There is no more.
    End,
}

/// A change was accepted: how things stood when it was.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Accepted {
    /// When, on the clock of [`Event::mono_ms`]. What the change brings about is not earlier.
    pub mono_ms: u64,
    /// The named services just before it took effect, in the order of the request.
    #[serde(default)]
    pub services: Vec<Before>,
}

/// A service just before a change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Before {
    /// The service.
    pub name: String,
    /// Its state.
    pub state: State,
    /// Its main process.
    pub pid: Option<i32>,
    /// [`ServiceStatus::starts`].
    pub starts: u64,
}

/// Why a request was not accepted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// What kind of refusal.
    pub kind: RefusalKind,
    /// Lower case, no full stop; names the thing.
    pub message: String,
    /// The next step.
    #[serde(default)]
    pub hint: Option<String>,
    /// What is wrong with the definitions, each as `pidone check` shows it. Absent means none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

/// Kinds of refusal, for programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalKind {
    /// It cannot be read as a request; the connection is closed.
    BadRequest,
    /// This user may not; the connection is closed.
    NotAllowed,
    /// There is no service of this name.
    UnknownService,
    /// Things are not so that it could be done: the answer is no.
    No,
    /// Too many clients, or no answer in time; the connection is closed.
    Busy,
}

impl Refusal {
    /// A refusal without a next step.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            faults: Vec::new(),
        }
    }

    /// The same, with the next step.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// There is no service `name`; one of `known` may have been meant.
    pub fn unknown_service<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let refusal = Self::new(
            RefusalKind::UnknownService,
            format!("there is no service `{name}`"),
        );
        match nearest(name, known) {
            Some(near) => refusal.hint(format!("did you mean `{near}`?")),
            None => refusal.hint("`pidone status` lists the services"),
        }
    }
}
