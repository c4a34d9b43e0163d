//! Where a template writes to: memory, with a limit. (The engine writes to an `io::Write`; this is
//! the one file here that names it, and it does no I/O.)

use std::io::{self, Write};

/// A text of bounded size.
pub(super) struct Bounded {
    pub(super) bytes: Vec<u8>,
    max: usize,
    /// More was written than there is room for.
    pub(super) is_full: bool,
}

impl Bounded {
    pub(super) fn new(max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            max,
            is_full: false,
        }
    }
}

impl Write for Bounded {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + part.len() > self.max {
            self.is_full = true;
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
