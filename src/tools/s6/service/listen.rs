//! A listener in an `event/` directory: a FIFO of its own, to which the supervisor writes a letter
//! whenever something happens.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::os::clock;
use crate::tools::s6::call::{Bytes, Why};

use crate::tools::s6::tai;

/// What a listener's FIFO is called: this, a time, and what makes it the only one.
const PREFIX: &str = "ftrig1:";
/// Everybody whom the directory lets in may write.
const MODE: u32 = 0o622;
/// Letters read at once.
const LETTERS: usize = 256;

/// Its FIFO goes with it.
#[derive(Debug)]
pub(super) struct Listener {
    name: PathBuf,
    fifo: File,
    /// Keeps the FIFO from its end while no supervisor writes.
    _writer: File,
}

impl Listener {
    /// Listens in this directory.
    ///
    /// # Errors
    /// As mkfifo(3), open(2), rename(2): it is not there, or not for us.
    pub(super) fn new(dir: &Path) -> Result<Self, Why> {
        let now = clock::wall();
        // Six characters, as s6 asks; two listeners of one process differ in their time.
        let only = format!("{:06x}", process::id() & 0xff_ffff);
        let name = format!("{PREFIX}{}:{only}", tai::label(now));
        let hidden = dir.join(format!(".{name}"));
        mkfifo(&hidden, Mode::from_bits_truncate(MODE)).map_err(Why)?;
        let made = Self::open(&hidden, dir.join(name));
        if made.is_err() {
            let _ = fs::remove_file(&hidden);
        }
        made
    }

    fn open(hidden: &Path, name: PathBuf) -> Result<Self, Why> {
        fs::set_permissions(hidden, Permissions::from_mode(MODE))?;
        let fifo = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(hidden)?;
        let writer = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(hidden)?;
        // Visible only when it can be written to: a supervisor removes what has no reader.
        fs::rename(hidden, &name)?;
        Ok(Self {
            name,
            fifo,
            _writer: writer,
        })
    }

    /// What came since the last look, in its order.
    pub(super) fn letters(&mut self) -> Bytes {
        let mut letters = Bytes::new();
        let mut buffer = [0; LETTERS];
        // Empty, or broken: nothing came.
        while let Ok(count @ 1..) = self.fifo.read(&mut buffer) {
            letters.extend(buffer.get(..count).unwrap_or_default());
        }
        letters
    }

    /// Readable when something came.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fifo.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.name);
    }
}
