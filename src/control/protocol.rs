//! The language of the control socket. Each message is one JSON object on one line and carries
//! `"version":1`. A client sends a [`Request`] and reads its [`Reply`]s before it sends the next.
//!
//! | `verb` | fields | answer |
//! |---|---|---|
//! | `status` | `names` (empty: all), `detail` | `status` |
//! | `start` `stop` `restart` `reload` | `names` | `ok` when accepted; the result comes as events |
//! | `signal` | `signal`, `names` | `ok` when sent |
//! | `logs` | `names` (empty: all), `last`, `follow` | up to `last` lines a service, oldest first, then `end`, or (`follow`) each line as it is written, for ever |
//! | `events` | `last`, `follow` | up to `last` past events, oldest first; a whole `status`; then `end`, or (`follow`) each event as it happens, for ever |
//! | `shutdown` | `code` | `ok` when accepted |
//!
//! Any request may be answered by `error`. A client that follows says nothing more; it ends by
//! closing its side. One that reads too slowly misses the oldest lines, and `skipped` stands in
//! their place. These types are the wire's own, so that the machine can change without it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::diag::nearest;
use crate::values::Exit;

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

/// What a client asks.
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
    /// They are to read their configuration again. Each is told of by one `reload` event.
    Reload {
        /// At least one.
        names: Vec<String>,
    },
    /// A signal to their main processes.
    Signal {
        /// As `SIGTERM`, `TERM` or `15`.
        signal: String,
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
            | Self::Reload { .. }
            | Self::Signal { .. }
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
            Self::Reload { .. } => "reload",
            Self::Signal { .. } => "signal",
            Self::Logs { .. } => "logs",
            Self::Events { .. } => "events",
            Self::Shutdown { .. } => "shutdown",
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

/// What PID 1 answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// The change was accepted.
    Ok(Accepted),
    /// It was not, or nothing like it can be.
    Error(Refusal),
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
    /// How often its process was started since the boot.
    #[serde(default)]
    pub starts: u64,
    /// When it is tried again, milliseconds from now; only while `waiting-to-restart`.
    #[serde(default)]
    pub next_try_ms: Option<u64>,
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
    /// Its probe in words ([`crate::control::describe::ready`]).
    pub ready: Option<String>,
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
}

impl Event {
    /// The state that a service has reached, if this tells of one.
    pub fn reached(&self) -> Option<State> {
        match self.event {
            EventKind::State => self.to.as_deref().and_then(State::from_word),
            EventKind::Phase | EventKind::Reload | EventKind::Signal => None,
        }
    }
}

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
    /// Its process was asked to end.
    Stopping,
    /// Its process is gone and `finish` runs.
    Finishing,
    /// It died, and waits before it is started again.
    WaitingToRestart,
    /// It ended well and is not to be started again.
    Finished,
    /// It did not, and is not to be started again.
    Failed,
}

impl State {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 9] = [
        Self::Down,
        Self::Waiting,
        Self::Starting,
        Self::Ready,
        Self::Stopping,
        Self::Finishing,
        Self::WaitingToRestart,
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
            Self::Stopping => "stopping",
            Self::Finishing => "finishing",
            Self::WaitingToRestart => "waiting-to-restart",
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
