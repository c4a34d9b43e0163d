//! The thread that waits in PID 1's place when a terminal, a file or a device takes its time. A
//! pipe is all that it shares with the loop.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::unistd::{read, write};

use crate::os::memory::Mapping;
use crate::os::output::{private_pipe, set_nonblocking};

/// A pipe's usual capacity: what the thread takes at once.
const PIPE_BYTES: usize = 64 << 10;

/// The thread calls `read`, `write` and `poll`, and keeps its buffer elsewhere.
const STACK_BYTES: usize = 64 << 10;

/// A failed write as the thread tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Report {
    /// Why.
    pub(super) errno: Errno,
    /// How many bytes were thrown away.
    pub(super) lost: u32,
}

impl Report {
    /// Two numbers in the machine's own byte order: they never leave this process.
    pub(super) const BYTES: usize = 8;

    pub(super) fn from_bytes(record: [u8; Self::BYTES]) -> Self {
        let [e0, e1, e2, e3, lost @ ..] = record;
        Self {
            errno: Errno::from_raw(i32::from_ne_bytes([e0, e1, e2, e3])),
            lost: u32::from_ne_bytes(lost),
        }
    }

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let [e0, e1, e2, e3] = (self.errno as i32).to_ne_bytes();
        let [l0, l1, l2, l3] = self.lost.to_ne_bytes();
        [e0, e1, e2, e3, l0, l1, l2, l3]
    }
}

/// Starts the thread that copies `from` to `to`, waiting in our place; returns where it reports.
pub(super) fn start(from: OwnedFd, to: OwnedFd) -> io::Result<OwnedFd> {
    let (report, tell) = private_pipe()?;
    set_nonblocking(&report)?;
    let buffer = Mapping::new(PIPE_BYTES)?;
    // Signals are for the loop: the thread is born with all of them blocked.
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let started = thread::Builder::new()
        .name("output".into())
        .stack_size(STACK_BYTES)
        .spawn(move || copy(&from, &to, &tell, buffer));
    before.thread_set_mask()?;
    started.map(|_| report)
}

/// The thread. One read takes the whole pipe at most, so that it ends where a chunk ended.
fn copy(from: &OwnedFd, to: &OwnedFd, tell: &OwnedFd, mut buffer: Mapping) {
    loop {
        let count = match read(from, &mut buffer) {
            Ok(0) => return,
            Ok(count) => count,
            Err(Errno::EINTR) => continue,
            Err(_) => return,
        };
        let mut rest = buffer.get(..count).unwrap_or_default();
        while !rest.is_empty() {
            match write(to, rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                // Somebody else made the file non-blocking, as Node does with terminals.
                Err(Errno::EAGAIN) => {
                    let mut room = [PollFd::new(to.as_fd(), PollFlags::POLLOUT)];
                    let _ = poll(&mut room, PollTimeout::NONE);
                }
                Err(error) => {
                    let lost = u32::try_from(rest.len()).unwrap_or(u32::MAX);
                    let report = Report { errno: error, lost };
                    // A full report pipe has told enough.
                    let _ = write(tell, &report.to_bytes());
                    break;
                }
            }
        }
    }
}
