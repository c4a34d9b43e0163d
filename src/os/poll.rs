//! Many descriptors behind one: an epoll set of our own that tokio watches as a single descriptor.
//! A set that nobody waits for costs nothing, which is how back-pressure is made: the set of the
//! pipes that feed a full sink is simply not waited for.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How many descriptors one turn of the loop serves; the others come in the next turn.
const BATCH: usize = 64;

/// A level-triggered epoll set. Each descriptor is known by a token of the caller's choice.
pub struct Poller {
    set: AsyncFd<EpollFd>,
}

struct EpollFd(Epoll);

impl AsRawFd for EpollFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.0.as_raw_fd()
    }
}

impl AsFd for EpollFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}

impl Poller {
    /// An empty set. Needs a running tokio reactor.
    ///
    /// # Errors
    /// No descriptors left.
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        // SAFETY: `EpollFd` owns its descriptor, gives the same one each time, and lives inside the
        // `AsyncFd`, which deregisters it before it is dropped.
        let set = unsafe { AsyncFd::register_with_interest(EpollFd(epoll), Interest::READABLE)? };
        Ok(Self { set })
    }

    /// Reports `token` while `fd` can be read (or has come to its end).
    ///
    /// # Errors
    /// As `epoll_ctl(2)`; `EPERM` for a regular file.
    pub fn add(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        Ok(self
            .set
            .get_ref()
            .0
            .add(fd, EpollEvent::new(EpollFlags::EPOLLIN, token))?)
    }

    /// Reports `token` once, when `fd` can be read (or has come to its end). Where children still
    /// hold copies of a descriptor, closing ours does not take it out of the set (epoll(7)), and a
    /// pipe that has come to its end would be reported over and over.
    ///
    /// # Errors
    /// As `epoll_ctl(2)`.
    pub fn add_once(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT, token);
        Ok(self.set.get_ref().0.add(fd, event)?)
    }

    /// Forgets `fd`. Closing the last copy of a descriptor forgets it too.
    pub fn remove(&self, fd: impl AsFd) {
        // A descriptor that is not in the set is as forgotten as can be.
        let _ = self.set.get_ref().0.delete(fd);
    }

    /// Waits until something can be read, and gives the tokens of up to `BATCH` descriptors.
    /// Cancel-safe: what is not given now is given by the next call.
    pub async fn wait(&self) -> Vec<u64> {
        loop {
            let Ok(mut guard) = self.set.readable().await else {
                // The reactor is gone, so we are about to end; never spin.
                return std::future::pending().await;
            };
            let tokens = self.ready();
            // tokio hears of our set on its edges only: while there was something to read, there
            // may be more (the set itself is level-triggered), so it stays ready and is asked
            // again. Only an empty answer goes back to sleep.
            if tokens.is_empty() {
                guard.clear_ready();
            } else {
                guard.retain_ready();
                return tokens;
            }
        }
    }

    /// The tokens that can be read now, without waiting.
    pub fn ready(&self) -> Vec<u64> {
        let mut events = [EpollEvent::empty(); BATCH];
        let count = loop {
            match self.set.get_ref().0.wait(&mut events, EpollTimeout::ZERO) {
                Err(Errno::EINTR) => {}
                other => break other.unwrap_or(0),
            }
        };
        events.iter().take(count).map(EpollEvent::data).collect()
    }
}
