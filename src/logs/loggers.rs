//! The pipes from services to their loggers (s6's `log/`). PID 1 copies nothing here: it only keeps
//! both ends, so that neither side's restart loses a byte.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use crate::logs::outlet::give;

/// All of them, by the logger's index.
#[derive(Debug, Default)]
pub(super) struct Loggers(BTreeMap<usize, LoggerPipe>);

#[derive(Debug)]
struct LoggerPipe {
    read: OwnedFd,
    /// `None` once the logger was asked to end.
    write: Option<OwnedFd>,
}

impl Loggers {
    /// What the logger reads, and what its producer writes to: the same pipe until its input is
    /// closed. `owner`, the producer's user, may open it by its name; whoever comes first.
    pub(super) fn pipe(
        &mut self,
        unit: usize,
        owner: Option<(u32, u32)>,
    ) -> io::Result<(BorrowedFd<'_>, BorrowedFd<'_>)> {
        let is_open = |pipe: &LoggerPipe| pipe.write.is_some();
        if !self.0.get(&unit).is_some_and(is_open) {
            let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
            let write = Some(write);
            self.0.insert(unit, LoggerPipe { read, write });
        }
        if let Some(owner) = owner
            && let Some(pipe) = self.0.get(&unit)
        {
            give(&pipe.read, owner)?;
        }
        let ends = self.0.get(&unit).and_then(|pipe| {
            let write = pipe.write.as_ref()?;
            Some((pipe.read.as_fd(), write.as_fd()))
        });
        ends.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Closes PID 1's writing end: with the producer's, the logger's input ends.
    pub(super) fn close_input(&mut self, unit: usize) {
        if let Some(pipe) = self.0.get_mut(&unit) {
            pipe.write = None;
        }
    }

    pub(super) fn forget(&mut self, unit: usize) {
        self.0.remove(&unit);
    }
}
