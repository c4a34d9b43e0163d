//! Orders to end as a descriptor that can be waited for, for the roles that are not PID 1.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Signals which from now on are only noted.
pub struct Ending(SignalFd);

/// What was ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// TERM or INT.
    End,
    /// HUP.
    Reload,
}

impl Ending {
    /// Blocks TERM and INT for this thread (and those it starts) and hears them here.
    ///
    /// # Errors
    /// No descriptors left.
    pub fn new() -> io::Result<Self> {
        Self::of(&[Signal::SIGTERM, Signal::SIGINT])
    }

    /// The same, and HUP: for a role that reads its configuration again.
    ///
    /// # Errors
    /// No descriptors left.
    pub fn or_reload() -> io::Result<Self> {
        Self::of(&[Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP])
    }

    fn of(signals: &[Signal]) -> io::Result<Self> {
        let set: SigSet = signals.iter().copied().collect();
        set.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self(SignalFd::with_flags(&set, flags)?))
    }

    /// The next order that has come, without waiting.
    pub fn next(&self) -> Option<Order> {
        let info = self.0.read_signal().ok().flatten()?;
        let is_reload = i32::try_from(info.ssi_signo) == Ok(Signal::SIGHUP as i32);
        Some(if is_reload { Order::Reload } else { Order::End })
    }
}

impl AsFd for Ending {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
