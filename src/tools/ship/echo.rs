//! The lines once more, for stdout, so that the container's log keeps them. Whoever reads that
//! slowly holds up who writes the lines, as without us; the collector still gets what we have.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::unistd::write;

/// So much of stdin is read ahead of stdout.
const WAITING_BYTES_MAX: usize = 128 << 10;
/// A pipe that can be written takes this much without blocking (`PIPE_BUF`, pipe(7)): the pipe is
/// another's too, so that we do not make it non-blocking.
const WRITE_BYTES: usize = 4096;

/// What is yet to be written.
pub struct Echo {
    stdout: io::Stdout,
    waiting: Vec<u8>,
    /// So much of it is written.
    done: usize,
    on: bool,
}

impl Echo {
    /// An echo, or none.
    pub fn new(on: bool) -> Self {
        Self {
            stdout: io::stdout(),
            waiting: Vec::new(),
            done: 0,
            on,
        }
    }

    /// Adds a line.
    pub fn add(&mut self, line: &[u8]) {
        if self.on {
            self.waiting.extend_from_slice(line);
            self.waiting.push(b'\n');
        }
    }

    /// Whether more lines may be read.
    pub fn has_room(&self) -> bool {
        self.left() < WAITING_BYTES_MAX
    }

    /// How many bytes wait.
    pub fn left(&self) -> usize {
        self.waiting.len() - self.done
    }

    /// Writes a piece; stdout can take it.
    ///
    /// # Errors
    /// Nobody reads stdout any more; from then on there is no echo.
    pub fn write(&mut self) -> io::Result<()> {
        let rest = self.waiting.get(self.done..).unwrap_or_default();
        let piece = rest.get(..WRITE_BYTES).unwrap_or(rest);
        match write(&self.stdout, piece) {
            Ok(count) => self.done += count,
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(error) => {
                self.on = false;
                self.done = self.waiting.len();
                self.tidy();
                return Err(error.into());
            }
        }
        self.tidy();
        Ok(())
    }

    fn tidy(&mut self) {
        if self.done == self.waiting.len() {
            self.waiting.clear();
            self.done = 0;
        } else if self.done >= WAITING_BYTES_MAX {
            self.waiting.drain(..self.done);
            self.done = 0;
        }
    }
}

impl AsFd for Echo {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stdout.as_fd()
    }
}
