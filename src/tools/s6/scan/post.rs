//! One service at the desk: the FIFO that letters come by, and the files that tell how it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::control::protocol::ServiceStatus;
use crate::os::locks::{self, Lock};
use crate::tools::s6::service::status::Status;
use crate::tools::s6::service::tally;
use crate::values::Signal;

use super::fifodir;
use super::record::{self, Told};

/// Letters taken at once: an order has one to three, and whoever floods us waits for his turn.
const LETTERS_MAX: usize = 64;

/// A file of one word.
const WORD_BYTES_MAX: u64 = 64;

/// A FIFO that is read here, for whoever may write to it.
pub(super) struct Control {
    /// For both directions: it has no end while nobody writes.
    pub(super) fifo: File,
    /// Held while it is ours.
    _lock: File,
}

impl Control {
    /// Makes `below/control` and `below/lock` in a directory of ours, and opens them.
    ///
    /// # Errors
    /// EBUSY: somebody else serves it; as mkdir(2), mkfifo(3), open(2).
    pub(super) fn open(below: &Path) -> io::Result<Self> {
        match fs::DirBuilder::new().mode(0o700).create(below) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(below.join("lock"))?;
        locks::take(lock.as_raw_fd(), Lock::Exclusive, Some(Duration::ZERO))?;
        let path = below.join("control");
        let is_fifo = fs::symlink_metadata(&path).map(|data| data.file_type().is_fifo());
        if matches!(is_fifo, Ok(false)) {
            fs::remove_file(&path)?;
        }
        if !matches!(is_fifo, Ok(true)) {
            mkfifo(&path, Mode::from_bits_truncate(0o600))?;
        }
        let fifo = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        Ok(Self { fifo, _lock: lock })
    }

    /// The letters that have come, at most so many; the rest comes with the next look.
    pub(super) fn letters(&mut self) -> Vec<u8> {
        let mut letters = [0; LETTERS_MAX];
        let count = self.fifo.read(&mut letters).unwrap_or(0);
        letters.get(..count).unwrap_or_default().to_vec()
    }
}

/// One service.
pub(super) struct Post {
    /// Its directory.
    dir: PathBuf,
    pub(super) control: Control,
    status: Status,
    /// It says by itself when it is ready.
    tells: bool,
    /// When PID 1's table was last looked at, milliseconds on its clock: not before this, and not
    /// after that. What is older is in it, what came in between may be.
    pub(super) looked: (u64, u64),
    /// Whoever asked for it wants the supervisor gone, once it is down.
    pub(super) is_left: bool,
}

impl Post {
    /// Makes its files, or finds those of an earlier desk.
    ///
    /// # Errors
    /// As [`Control::open`].
    pub(super) fn open(dir: PathBuf, now: Duration) -> io::Result<Self> {
        let control = Control::open(&dir.join("supervise"))?;
        fifodir::make(&dir.join("event"))?;
        let tells = ["notification-fd", "service.toml"]
            .iter()
            .any(|name| dir.join(name).exists());
        tally::make(&dir)?;
        let before = Status::read(&dir);
        let post = Self {
            status: before.unwrap_or_else(|_| record::never(now)),
            dir,
            control,
            tells,
            looked: (0, 0),
            is_left: false,
        };
        if before.is_err() {
            post.write()?;
        }
        post.notify("s");
        Ok(post)
    }

    /// PID 1 has told how it is now, or what it has become.
    ///
    /// # Errors
    /// The files cannot be written.
    pub(super) fn hear(&mut self, told: &Told) -> io::Result<()> {
        let before = self.status;
        let letters = record::follow(&mut self.status, told, self.tells);
        let mut done = Ok(());
        if letters.contains('d') {
            done = tally::add(&self.dir, told.at, self.status.ended, self.deaths_max());
        }
        if self.status != before {
            done = self.write().and(done);
        }
        self.notify(letters);
        done
    }

    /// Whether it is to be up.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn want(&mut self, wanted: bool) -> io::Result<()> {
        if record::want(&mut self.status, wanted) {
            return self.write();
        }
        Ok(())
    }

    /// What a look at PID 1's table says, after which it is as it should be.
    ///
    /// # Errors
    /// The files cannot be written.
    pub(super) fn look(&mut self, status: &ServiceStatus, now: Duration) -> io::Result<()> {
        let told = Told {
            state: status.state,
            pid: status.pid,
            exit: status.exit.clone(),
            at: now.saturating_sub(Duration::from_millis(status.for_ms)),
        };
        self.hear(&told).and(self.want(status.wanted))
    }

    /// It was sent a signal that lets it stand still, or go on.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn pause(&mut self, paused: bool) -> io::Result<()> {
        if record::pause(&mut self.status, paused) {
            return self.write();
        }
        Ok(())
    }

    /// Whether its supervisor may leave it.
    pub(super) fn is_free(&self) -> bool {
        self.is_left
            && self.status.pid == 0
            && !self
                .status
                .has(crate::tools::s6::service::status::WANTED_UP)
    }

    /// Whether it has a process.
    pub(super) fn is_up(&self) -> bool {
        self.status.is_up()
    }

    /// Makes, or takes away, the file `down`.
    ///
    /// # Errors
    /// As open(2) and unlink(2).
    pub(super) fn mark(&self, down: bool) -> io::Result<()> {
        let path = self.dir.join("down");
        if down {
            return OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o666)
                .open(path)
                .map(drop);
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Whether it has the file `down`.
    pub(super) fn is_marked(dir: &Path) -> bool {
        fs::symlink_metadata(dir.join("down")).is_ok()
    }

    /// The signal that one of its files names.
    pub(super) fn signal(&self, file: &str, otherwise: Signal) -> Signal {
        self.word(file)
            .and_then(|word| word.parse().ok())
            .unwrap_or(otherwise)
    }

    fn deaths_max(&self) -> usize {
        let word = self.word("max-death-tally");
        word.and_then(|word| word.parse().ok())
            .unwrap_or(tally::ENTRIES)
    }

    fn word(&self, file: &str) -> Option<String> {
        let bytes = crate::os::files::bounded(&self.dir.join(file), WORD_BYTES_MAX).ok()?;
        Some(String::from_utf8(bytes).ok()?.trim().to_owned())
    }

    fn write(&self) -> io::Result<()> {
        let supervise = self.dir.join("supervise");
        // Never half of it: whoever reads, reads the old one or the new one.
        let beside = supervise.join("status.new");
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(&beside)?
            .write_all(&self.status.pack())?;
        fs::rename(beside, supervise.join("status"))
    }

    /// Tells whoever listens.
    pub(super) fn notify(&self, letters: &str) {
        if !letters.is_empty() {
            fifodir::notify(&self.dir.join("event"), letters);
        }
    }
}

/// Whether an error of a post means that nothing can be written there, whoever it is about.
pub(super) fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EROFS | Errno::EACCES | Errno::EPERM)
    )
}
