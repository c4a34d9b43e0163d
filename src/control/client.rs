//! The asking side of the control socket: blocking, with a deadline for everything. It runs in
//! the `pidone` that people and scripts call, never in PID 1.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use nix::unistd::Uid;

use crate::control::place::Place;
use crate::control::protocol::{Message, Refusal, RefusalKind, Reply, Request, Status};
use crate::diag::Diagnostic;
use crate::os::reason::reason;
use crate::os::{clock, passed};
use crate::service::permit;
use crate::values::Moment;

/// How long pidone may take to accept a connection, to take a request and to answer it. It does
/// so at once; a machine that is starved of CPU may need a moment.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The longest message we read, bytes: the detailed status of thousands of services.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// pidone answered, and refused.
    Refused(Refusal),
    /// It could not be asked: where, what was tried, and why not.
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        cause: String,
        /// The next step.
        hint: &'static str,
    },
    /// The conversation broke off.
    Broken(String),
    /// The caller's own deadline has passed.
    Late,
}

impl Failure {
    /// As people read it.
    pub fn diagnostic(&self) -> Diagnostic {
        match self {
            Self::Refused(refusal) => {
                let error = Diagnostic::error(refusal.message.as_str());
                match &refusal.hint {
                    Some(hint) => error.hint(hint.as_str()),
                    None => error,
                }
            }
            Self::Unreachable { path, cause, hint } => {
                let path = path.display();
                Diagnostic::error(format!("cannot reach pidone at {path}: {cause}")).hint(*hint)
            }
            Self::Broken(cause) => Diagnostic::error(format!("cannot go on: {cause}")),
            Self::Late => Diagnostic::error("cannot wait longer: the time is over"),
        }
    }

    /// Whether the answer is "no", rather than that there is none.
    pub fn is_no(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.kind == RefusalKind::No,
            Self::Unreachable { .. } | Self::Broken(_) | Self::Late => false,
        }
    }
}

/// How PID 1 can be reached.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Places {
    /// The descriptor that a service was handed (its field `control`).
    pub handed: Option<RawFd>,
    /// Sockets, one after the other.
    pub paths: Vec<PathBuf>,
}

/// How PID 1 is looked for: at what PIDONE_SOCKET names and nothing else; or by PIDONE_CONTROL_FD;
/// or at `/run/pidone`, or where a pidone of our user, or of PID 1's user, would have put it.
pub fn places() -> Places {
    let given = std::env::var_os("PIDONE_SOCKET").map(PathBuf::from);
    let handed = std::env::var(permit::VARIABLE).ok();
    let handed = handed.and_then(|text| text.parse().ok());
    let own = Uid::effective().as_raw();
    let first = std::fs::metadata("/proc/1").map_or(own, |process| process.uid());
    let mut paths: Vec<PathBuf> = Vec::new();
    for uid in [own, first] {
        for place in Place::candidates(given.clone(), uid) {
            if !paths.contains(&place.path) {
                paths.push(place.path);
            }
        }
    }
    Places {
        handed: handed.filter(|number| given.is_none() && *number > 2),
        paths,
    }
}

/// A connection to PID 1.
pub struct Client {
    stream: UnixStream,
    /// Read, and not yet taken.
    unread: Vec<u8>,
    /// So much of it holds no end of a line.
    searched: usize,
}

impl Client {
    /// Connects by the descriptor that our service was handed, or to the first of the paths where
    /// somebody listens.
    ///
    /// # Errors
    /// None; told of the first that is more than absent, or else of the first.
    pub fn connect(places: &Places) -> Result<Self, Failure> {
        if let Some(number) = places.handed
            && let Some(stream) = by_descriptor(number)?
        {
            return Ok(Self::over(stream));
        }
        let mut told: Option<(&Path, io::Error)> = None;
        for path in &places.paths {
            match dial(path) {
                Ok(stream) => return Ok(Self::over(stream)),
                Err(error) => {
                    let is_absent = error.kind() == ErrorKind::NotFound;
                    let was_absent =
                        |(_, error): &(&Path, io::Error)| error.kind() == ErrorKind::NotFound;
                    if told.is_none() || (!is_absent && told.as_ref().is_some_and(was_absent)) {
                        told = Some((path, error));
                    }
                }
            }
        }
        Err(match told {
            Some((path, error)) => unreachable_at(path, &error),
            None => Failure::Broken("no socket is named".to_owned()),
        })
    }

    fn over(stream: UnixStream) -> Self {
        Self {
            stream,
            unread: Vec::new(),
            searched: 0,
        }
    }

    /// Asks, and reads the one reply.
    ///
    /// # Errors
    /// A refusal, or no answer.
    pub fn ask(&mut self, request: &Request) -> Result<Reply, Failure> {
        self.send(request)?;
        self.next_now()?.ok_or_else(closed)
    }

    /// The next reply, which is due at once; `None` when pidone has closed the connection.
    ///
    /// # Errors
    /// A refusal, or no answer.
    pub fn next_now(&mut self) -> Result<Option<Reply>, Failure> {
        match self.next(Some(clock::now() + PATIENCE)) {
            Err(Failure::Late) => Err(Failure::Broken(format!(
                "pidone has not answered within {}s",
                PATIENCE.as_secs()
            ))),
            other => other,
        }
    }

    /// Asks how things are.
    ///
    /// # Errors
    /// A refusal, or no answer.
    pub fn status(&mut self, names: Vec<String>, detail: bool) -> Result<Status, Failure> {
        match self.ask(&Request::Status { names, detail })? {
            Reply::Status(status) => Ok(status),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks; the replies are read with [`Self::next`].
    ///
    /// # Errors
    /// pidone does not take it.
    pub fn send(&mut self, request: &Request) -> Result<(), Failure> {
        let text = serde_json::to_string(&Message::new(request)).map_err(io::Error::from);
        let sent = text.and_then(|text| self.stream.write_all(format!("{text}\n").as_bytes()));
        match sent {
            // It may have refused us as soon as we connected: that reply says more.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(Failure::Broken(format!(
                "cannot send the request: {}",
                reason(&error)
            ))),
            Ok(()) => Ok(()),
        }
    }

    /// The next reply; `None` when pidone has closed the connection. Waits until `by`; for ever
    /// without it.
    ///
    /// # Errors
    /// A refusal, a broken conversation, or the deadline.
    pub fn next(&mut self, by: Option<Moment>) -> Result<Option<Reply>, Failure> {
        loop {
            if let Some(reply) = self.arrived()? {
                return Ok(Some(reply));
            }
            if self.unread.len() > MESSAGE_BYTES_MAX {
                return Err(Failure::Broken("the answer is too long".to_owned()));
            }
            if !self.read(by)? {
                return Ok(None);
            }
        }
    }

    /// The next reply that has come whole, without reading any more.
    ///
    /// # Errors
    /// A refusal, or an answer that cannot be read.
    pub fn arrived(&mut self) -> Result<Option<Reply>, Failure> {
        let Some(line) = self.take_line() else {
            return Ok(None);
        };
        let message: Message<Reply> = serde_json::from_slice(&line)
            .map_err(|error| Failure::Broken(format!("cannot read the answer: {error}")))?;
        match message.body {
            Reply::Error(refusal) => Err(Failure::Refused(refusal)),
            other => Ok(Some(other)),
        }
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let fresh = self.unread.get(self.searched..).unwrap_or_default();
        let Some(at) = fresh.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.unread.len();
            return None;
        };
        let rest = self.unread.split_off(self.searched + at + 1);
        self.searched = 0;
        Some(std::mem::replace(&mut self.unread, rest))
    }

    /// Waits for more, and takes it; whether there can be more after that.
    fn read(&mut self, by: Option<Moment>) -> Result<bool, Failure> {
        let left = by.map(|by| by.since(clock::now()));
        if left == Some(Duration::ZERO) {
            return Err(Failure::Late);
        }
        let broken = |error: &io::Error| {
            Failure::Broken(format!("cannot read the answer: {}", reason(error)))
        };
        self.stream
            .set_read_timeout(left)
            .map_err(|error| broken(&error))?;
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(count) => {
                let bytes = bytes.get(..count).unwrap_or_default();
                self.unread.extend_from_slice(bytes);
                Ok(count > 0)
            }
            Err(error) => match error.kind() {
                // A socket with a timeout is not taken up again after a signal (signal(7)).
                ErrorKind::Interrupted => Ok(true),
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Err(Failure::Late),
                // It closed while something of ours was unread.
                ErrorKind::ConnectionReset => Ok(false),
                _other => Err(broken(&error)),
            },
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// pidone has hung up.
pub fn closed() -> Failure {
    Failure::Broken("pidone closed the connection".to_owned())
}

/// An answer that does not belong to the question.
pub fn unexpected(reply: &Reply) -> Failure {
    let text = serde_json::to_string(reply).unwrap_or_default();
    Failure::Broken(format!("pidone answered something else: {text}"))
}

/// A connection by a service's descriptor; `None` where a program on the way to us has closed it.
fn by_descriptor(number: RawFd) -> Result<Option<UnixStream>, Failure> {
    match passed::connection(number, PATIENCE) {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EBADF | Errno::ENOTSOCK) => Ok(None),
            _other => Err(Failure::Broken(format!(
                "no connection by descriptor {number} ({}): {}",
                permit::VARIABLE,
                reason(&error)
            ))),
        },
    }
}

/// `connect(2)` with a deadline: a PID 1 that stands still accepts nobody, and its queue fills up.
fn dial(path: &Path) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let patience = TimeVal::new(i64::try_from(PATIENCE.as_secs()).unwrap_or(5), 0);
    setsockopt(&socket, sockopt::SendTimeout, &patience)?;
    let address = UnixAddr::new(path)?;
    loop {
        match connect(socket.as_raw_fd(), &address) {
            Ok(()) => return Ok(socket.into()),
            // Nothing has happened yet: a unix socket connects whole or not at all.
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn unreachable_at(path: &Path, error: &io::Error) -> Failure {
    let (cause, hint) = match error.kind() {
        ErrorKind::NotFound => (
            "No such file or directory",
            "is pidone running here? PIDONE_SOCKET names a socket elsewhere",
        ),
        ErrorKind::ConnectionRefused => (
            "nobody listens",
            "pidone has ended, and its socket was left behind",
        ),
        ErrorKind::PermissionDenied => (
            "Permission denied",
            "root and the user that pidone runs as may; PIDONE_CONTROL_GROUP lets a group look",
        ),
        ErrorKind::WouldBlock => (
            "no answer within 5s",
            "is pidone stopped, or has it no CPU time?",
        ),
        _other => ("", "is it a socket of pidone?"),
    };
    Failure::Unreachable {
        path: path.to_owned(),
        cause: if cause.is_empty() {
            reason(error)
        } else {
            cause.to_owned()
        },
        hint,
    }
}
