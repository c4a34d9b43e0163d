//! One service's pipes, seen from PID 1, and what is known about what came out of them.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{Gid, Uid, fchown, pipe2};

use crate::logs::format::{Origin, Writer};
use crate::logs::lines::Splitter;
use crate::logs::recent::Recent;
use crate::logs::ring::Stream;
use crate::os::descriptors;
use crate::os::output::set_nonblocking;
use crate::service::definition::Format;
use crate::values::{Name, Pid};

/// All services that have pipes, by the supervisor's index.
pub(super) type Outlets = BTreeMap<usize, Box<Outlet>>;

/// A stream of a service as the pollers know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token {
    pub(super) unit: usize,
    pub(super) stderr: bool,
}

impl Token {
    /// stdout and stderr of a service.
    pub(super) fn both(unit: usize) -> [Self; 2] {
        [false, true].map(|stderr| Self { unit, stderr })
    }

    pub(super) fn from_raw(raw: u64) -> Self {
        Self {
            unit: usize::try_from(raw >> 1).unwrap_or(usize::MAX),
            stderr: raw & 1 == 1,
        }
    }

    pub(super) fn raw(self) -> u64 {
        (self.unit as u64) << 1 | u64::from(self.stderr)
    }

    pub(super) fn stream(self) -> Stream {
        if self.stderr {
            Stream::Stderr
        } else {
            Stream::Stdout
        }
    }
}

/// A service's way out.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) name: Name,
    pub(super) format: Format,
    /// The process that writes, for JSON.
    pub(super) pid: Option<Pid>,
    /// Whom the pipes were given to.
    owner: Option<(u32, u32)>,
    stdout: Option<Source>,
    stderr: Option<Source>,
    pub(super) recent: Recent,
    /// How many bytes were read.
    pub(super) bytes: u64,
}

/// A pipe of which PID 1 keeps both ends, so that it outlives every process of the service.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) read: OwnedFd,
    write: OwnedFd,
    pub(super) splitter: Splitter,
}

impl Outlet {
    pub(super) fn new(name: Name, format: Format, recent: Recent) -> Self {
        Self {
            name,
            format,
            pid: None,
            owner: None,
            stdout: None,
            stderr: None,
            recent,
            bytes: 0,
        }
    }

    /// Gives up the pipe of one stream, if it was opened.
    pub(super) fn close(&mut self, stderr: bool) -> Option<Source> {
        if stderr {
            self.stderr.take()
        } else {
            self.stdout.take()
        }
    }

    /// Whether any pipe is open.
    pub(super) fn has_pipes(&self) -> bool {
        self.stdout.is_some() || self.stderr.is_some()
    }

    /// An open pipe is its new owner's, if there is another one now.
    pub(super) fn give_again(&mut self, stderr: bool, owner: Option<(u32, u32)>) -> io::Result<()> {
        if let Some(owner) = owner.filter(|_| self.owner != owner)
            && let Some(source) = if stderr { &self.stderr } else { &self.stdout }
        {
            give(&source.write, owner)?;
            // stderr is asked for last.
            if stderr {
                self.owner = Some(owner);
            }
        }
        Ok(())
    }

    /// Where the service writes.
    pub(super) fn write_end(&self, stderr: bool) -> Option<BorrowedFd<'_>> {
        let source = if stderr { &self.stderr } else { &self.stdout };
        source.as_ref().map(|source| source.write.as_fd())
    }

    /// Opens the pipe of one stream for this owner.
    pub(super) fn open(&mut self, stderr: bool, owner: Option<(u32, u32)>) -> io::Result<&Source> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        if descriptors::are_scarce(&write) {
            return Err(Errno::EMFILE.into());
        }
        set_nonblocking(&read)?;
        self.owner = owner;
        if let Some(owner) = owner
            && !give(&write, owner)?
            && !stderr
        {
            tracing::warn!(
                service = self.name.as_str(),
                "it cannot open /dev/stdout or /dev/stderr: to give it its pipes needs CHOWN"
            );
        }
        let slot = if stderr {
            &mut self.stderr
        } else {
            &mut self.stdout
        };
        Ok(slot.insert(Source {
            read,
            write,
            splitter: Splitter::default(),
        }))
    }

    /// A writer for what one stream said at `wall`, with the stream and what remembers it.
    pub(super) fn reading(
        &mut self,
        token: Token,
        wall: Duration,
        column: usize,
    ) -> Option<(&mut Source, &mut Recent, Writer)> {
        let origin = Origin {
            name: self.name.as_str(),
            pid: self.pid,
            stream: token.stream(),
            wall,
        };
        let writer = Writer::new(self.format, origin, column);
        let source = if token.stderr {
            self.stderr.as_mut()
        } else {
            self.stdout.as_mut()
        };
        Some((source?, &mut self.recent, writer))
    }
}

/// Makes a pipe one that `owner` may open again by its name in /proc, as programs do with
/// `/dev/stdout`. False if we may not; then only that cannot be had.
pub(super) fn give(pipe: &OwnedFd, (uid, gid): (u32, u32)) -> io::Result<bool> {
    match fchown(pipe, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))) {
        Ok(()) => Ok(true),
        // A container without CHOWN, or whose user namespace does not know the user.
        Err(Errno::EPERM | Errno::EINVAL) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
