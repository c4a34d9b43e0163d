//! The receiver's own output: what senders call an error to stderr, the rest to stdout.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;

use crate::syslog::line;
use crate::syslog::message::Message;

/// Lines of one turn, not yet written.
#[derive(Debug, Default)]
pub struct Outlet {
    out: String,
    err: String,
}

impl Outlet {
    /// Adds a line. `sent` is how long the datagram was, if it was cut.
    pub fn add(&mut self, message: &Message<'_>, sent: Option<usize>) {
        let out = if message.priority.is_error() {
            &mut self.err
        } else {
            &mut self.out
        };
        line::write(out, message, sent);
    }

    /// Writes everything. While nobody reads, nothing more is taken from the sockets, and the
    /// kernel holds up (or turns away) who sends: memory does not grow.
    ///
    /// # Errors
    /// As `write(2)`.
    pub fn flush(&mut self) -> io::Result<()> {
        write_all(io::stdout().as_fd(), self.out.as_bytes())?;
        write_all(io::stderr().as_fd(), self.err.as_bytes())?;
        self.out.clear();
        self.err.clear();
        Ok(())
    }
}

/// Writes all, also to a descriptor that somebody else has made non-blocking.
fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(fd, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
                match poll(&mut fds, PollTimeout::NONE) {
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
