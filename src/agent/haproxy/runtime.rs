//! The conversation with a running haproxy, over its admin socket: blocking, with a deadline and a
//! bound for everything. In a thread that may wait.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::poll::{PollTimeout, poll};

use crate::agent::haproxy::config::split;
use crate::agent::haproxy::plan::{Plan, is_refusal, plan};
use crate::agent::haproxy::state::{self, first_line};
use crate::os::clock;
use crate::os::reason::reason;
use crate::values::Moment;

/// For one conversation: a command takes a millisecond, and 24 ms where the CPU is taken.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest answer, bytes: 10,000 servers of 150.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// How haproxy says that it is ready for the next command, once asked to prompt.
const PROMPT: &[u8] = b"\n> ";
/// How often a new worker is looked for after a reload, and the end of requests in a drain.
const LOOK_MS: u16 = 5;

/// What became of a change by the Runtime API.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// haproxy has the servers of the new text.
    Done {
        /// How many commands that took.
        commands: usize,
        /// Servers that get no new request from now on.
        leaving: Vec<String>,
        /// Servers that wait for the end of their connections, to be deleted.
        doomed: Vec<String>,
    },
    /// It has not, and needs a reload: why.
    Reload(String),
    /// It does not run: it will read the file when it starts.
    NotRunning,
}

/// A conversation.
struct Talk {
    stream: UnixStream,
    unread: Vec<u8>,
    by: Moment,
}

impl Talk {
    fn open(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut talk = Self {
            stream,
            unread: Vec::new(),
            by: clock::now() + PATIENCE,
        };
        talk.ask("prompt")?;
        Ok(talk)
    }

    fn ask(&mut self, command: &str) -> io::Result<String> {
        self.stream.write_all(format!("{command}\n").as_bytes())?;
        loop {
            if let Some(at) = find(&self.unread, PROMPT) {
                let rest = self.unread.split_off(at + PROMPT.len());
                let mut answer = std::mem::replace(&mut self.unread, rest);
                answer.truncate(at);
                return Ok(String::from_utf8_lossy(&answer).into_owned());
            }
            if self.unread.len() > ANSWER_BYTES_MAX {
                return Err(io::Error::other("haproxy's answer is too long"));
            }
            let left = self.by.since(clock::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut bytes = [0; 16 << 10];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.unread.extend(bytes.iter().take(count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(ErrorKind::TimedOut.into());
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Makes the servers of the running haproxy those of `text`; `before` is the text it runs with.
pub fn change(socket: &Path, backend: &str, before: Option<&str>, text: &str) -> Change {
    let Some(wanted) = split(text, backend) else {
        return match Talk::open(socket) {
            Err(error) if is_absent(&error) => Change::NotRunning,
            Ok(_) | Err(_) => {
                Change::Reload(format!("backend {backend} is no plain list of servers"))
            }
        };
    };
    let mut talk = match Talk::open(socket) {
        Ok(talk) => talk,
        Err(error) if is_absent(&error) => return Change::NotRunning,
        Err(error) => return Change::Reload(unreachable_at(socket, &error)),
    };
    let before = before.and_then(|before| split(before, backend));
    let done = talk.servers(backend).and_then(|actual| {
        match plan(backend, &wanted, before.as_ref(), &actual) {
            Plan::Reload(why) => Err(why),
            Plan::Commands {
                commands,
                leaving,
                doomed,
            } => {
                talk.perform(&commands)?;
                Ok((commands.len(), leaving, doomed))
            }
        }
    });
    // Asked again, so that "done" is what haproxy says, not what we sent.
    let verified = done.and_then(|done| {
        let actual = talk.servers(backend)?;
        match plan(backend, &wanted, Some(&wanted), &actual) {
            Plan::Commands { commands: left, .. } if left.is_empty() => Ok(done),
            Plan::Commands { .. } | Plan::Reload(_) => Err("haproxy has other servers".to_owned()),
        }
    });
    match verified {
        Ok((commands, leaving, doomed)) => Change::Done {
            commands,
            leaving,
            doomed,
        },
        Err(why) => Change::Reload(why),
    }
}

impl Talk {
    fn servers(&mut self, backend: &str) -> Result<Vec<state::Actual>, String> {
        let answer = self.ask(&format!("show servers state {backend}"));
        state::servers(&answer.map_err(|error| broken(&error))?, backend)
    }

    fn perform(&mut self, commands: &[String]) -> Result<(), String> {
        for command in commands {
            let answer = self.ask(command).map_err(|error| broken(&error))?;
            if is_refusal(&answer) {
                return Err(format!("`{command}`: {}", first_line(&answer)));
            }
        }
        Ok(())
    }
}

/// Waits until none of these servers, which get no new one, has a request; for so long at most:
/// one that takes longer is the application's to finish.
pub fn await_idle(socket: &Path, backend: &str, names: &[String], within: Duration) {
    let by = clock::now() + within;
    // Whoever does not answer has ended, and its requests with it.
    let Ok(mut talk) = Talk::open(socket) else {
        return;
    };
    while clock::now() < by {
        let answer = talk.ask(&format!("show stat {backend} 4 -1"));
        let busy = answer.map(|answer| state::is_busy(&answer, names));
        if !matches!(busy, Ok(Ok(true))) {
            return;
        }
        // Nothing to wait for but time.
        let _ = poll(&mut [], PollTimeout::from(LOOK_MS));
    }
}

/// Deletes servers that are in maintenance; gives those to which somebody is still connected.
pub fn delete(socket: &Path, backend: &str, doomed: Vec<String>) -> Vec<String> {
    let Ok(mut talk) = Talk::open(socket) else {
        // It has ended, and they with it.
        return Vec::new();
    };
    let mut left = Vec::new();
    for name in doomed {
        match talk.ask(&format!("del server {backend}/{name}")) {
            Ok(answer) if answer.contains("connections attached") => left.push(name),
            // Deleted, unknown by now, or in use again.
            Ok(_) | Err(_) => {}
        }
    }
    left
}

/// The worker that answers now.
///
/// # Errors
/// Why none does.
pub fn worker(socket: &Path) -> io::Result<u32> {
    let answer = Talk::open(socket)?.ask("show info")?;
    state::worker(&answer).ok_or_else(|| io::Error::other("`show info` tells no pid"))
}

/// Waits until another worker than `old` answers.
///
/// # Errors
/// Nobody else did in time.
pub fn await_other(socket: &Path, old: Option<u32>, within: Duration) -> Result<u32, String> {
    let by = clock::now() + within;
    loop {
        if let Ok(pid) = worker(socket)
            && Some(pid) != old
        {
            return Ok(pid);
        }
        if clock::now() >= by {
            let seconds = within.as_secs();
            return Err(format!("no new worker of haproxy answers after {seconds}s"));
        }
        // Nothing to wait for but time.
        let _ = poll(&mut [], PollTimeout::from(LOOK_MS));
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::ConnectionRefused
    )
}

fn unreachable_at(socket: &Path, error: &io::Error) -> String {
    format!("cannot reach {}: {}", socket.display(), reason(error))
}

fn broken(error: &io::Error) -> String {
    format!("haproxy does not answer: {}", reason(error))
}
