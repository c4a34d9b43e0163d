//! A folder of logs: `current` is written to, `@TIME.s` and `.u` are old; `lock` is whose it is.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::os::clock;
use crate::os::locks::{self, Lock};
use crate::tools::s6::call::{Stop, Why, path};
use crate::tools::s6::tai;
use crate::values::{Moment, Pid};

use super::script::Settings;

/// `current` while it is written to, and when it was left in order.
const OPEN: u32 = 0o644;
const DONE: u32 = 0o744;
/// The bit that tells them apart.
const IN_ORDER: u32 = 0o100;

/// What becomes of `previous`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rotation {
    /// There is none: a full `current` may become it.
    Ready,
    /// It goes through this processor. `current` grows meanwhile, whatever its size.
    Processing(Pid),
    /// Something failed; it is tried again then.
    Failed(Moment),
}

/// One folder, ours by its lock.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) settings: Settings,
    pub(super) dir: PathBuf,
    pub(super) rotation: Rotation,
    current: File,
    size: u64,
    /// Stays open: closing it would give up the lock.
    _lock: File,
}

impl Folder {
    /// Opens it, and first puts in order what a crash has left.
    pub(super) fn new(settings: &Settings) -> Result<Self, Stop> {
        let dir = path(&settings.dir).to_path_buf();
        let unable = |deed: &str, file: &str, error: io::Error| {
            let place = if file.is_empty() {
                dir.clone()
            } else {
                dir.join(file)
            };
            Stop::unable(format!("{deed} {}", place.display()), error)
        };
        match DirBuilder::new().mode(0o2700).create(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(unable("mkdir", "", error));
            }
            Ok(()) | Err(_) => {}
        }
        let lock = append(&dir.join("lock")).map_err(|error| unable("open", "lock", error))?;
        locks::take(lock.as_raw_fd(), Lock::Exclusive, Some(Duration::ZERO))
            .map_err(|errno| unable("lock", "lock", errno.into()))?;
        if mode(&dir.join("current")).is_none_or(|mode| mode & IN_ORDER == 0) {
            mend(&dir, settings).map_err(|error| unable("put in order", "", error))?;
        }
        let (current, size) =
            open_current(&dir).map_err(|error| unable("open", "current", error))?;
        Ok(Self {
            settings: settings.clone(),
            dir,
            rotation: Rotation::Ready,
            current,
            size,
            _lock: lock,
        })
    }

    /// Writes a whole line. True if it is time to rotate.
    pub(super) fn write(&mut self, line: &[u8]) -> io::Result<bool> {
        self.current.write_all(line)?;
        self.size = self.size.saturating_add(line.len() as u64);
        Ok(self.is_full())
    }

    pub(super) fn is_full(&self) -> bool {
        self.size.saturating_add(self.settings.tolerance) >= self.settings.size
    }

    pub(super) fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// `current` becomes `previous`, and a new one begins.
    pub(super) fn turn(&mut self) -> io::Result<()> {
        self.current.sync_all()?;
        fs::rename(self.dir.join("current"), self.dir.join("previous"))?;
        (self.current, self.size) = open_current(&self.dir)?;
        fs::set_permissions(self.dir.join("previous"), Permissions::from_mode(DONE))
    }

    /// Leaves it in order.
    pub(super) fn close(&self) -> io::Result<()> {
        self.current.sync_all()?;
        self.current.set_permissions(Permissions::from_mode(DONE))
    }

    /// `name` becomes an old file, in order (`s`) or not (`u`); the oldest go.
    pub(super) fn retire(&self, name: &str, suffix: char) -> io::Result<()> {
        retire(&self.dir, &self.settings, name, suffix)
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o666)
        .open(path)
}

fn open_current(dir: &Path) -> io::Result<(File, u64)> {
    let file = append(&dir.join("current"))?;
    file.set_permissions(Permissions::from_mode(OPEN))?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

fn mode(path: &Path) -> Option<u32> {
    fs::symlink_metadata(path).ok().map(|data| data.mode())
}

/// A file that need not be there is gone.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// After a crash: nothing that was written is lost, but what did not come whole is marked `u`.
fn mend(dir: &Path, settings: &Settings) -> io::Result<()> {
    remove(&dir.join("state"))?;
    remove(&dir.join("newstate"))?;
    if mode(&dir.join("processed")).is_some_and(|mode| mode & IN_ORDER != 0) {
        remove(&dir.join("previous"))?;
        retire(dir, settings, "processed", 's')?;
    } else {
        remove(&dir.join("processed"))?;
        retire(dir, settings, "previous", 'u')?;
    }
    retire(dir, settings, "current", 'u')?;
    File::create(dir.join("state")).map(drop)
}

fn retire(dir: &Path, settings: &Settings, name: &str, suffix: char) -> io::Result<()> {
    let from = dir.join(name);
    match fs::symlink_metadata(&from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        // It has its old name already: s6-log links first and unlinks then.
        Ok(data) if data.nlink() > 1 => fs::remove_file(&from)?,
        Ok(_) => {
            let name = || dir.join(format!("{}.{suffix}", tai::label(clock::wall())));
            // No old file gives way to another one of the same moment.
            let mut to = name();
            while fs::symlink_metadata(&to).is_ok() {
                to = name();
            }
            fs::rename(&from, to)?;
        }
    }
    trim(dir, settings)
}

/// Removes the oldest files, until no more are there than may be, of no more bytes.
fn trim(dir: &Path, settings: &Settings) -> io::Result<()> {
    let mut old = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_old = match name.as_bytes() {
            [stamp @ .., b'.', b's' | b'u'] => tai::is_label(stamp),
            _ => false,
        };
        if is_old && let Ok(data) = entry.metadata() {
            old.push((name, data.len()));
        }
    }
    old.sort();
    let mut total: u64 = old.iter().map(|(_, size)| *size).sum();
    let mut count = old.len();
    for (name, size) in old {
        let too_many = count > settings.files_max;
        if !too_many && (settings.total_max == 0 || total <= settings.total_max) {
            break;
        }
        match remove(&dir.join(&name)) {
            Ok(()) => total = total.saturating_sub(size),
            Err(error) => {
                let text = format!(
                    "warning: unable to unlink {}: {}",
                    dir.join(&name).display(),
                    Why::from(error)
                );
                crate::tools::s6::tell(b"s6-log", &text);
            }
        }
        count -= 1;
    }
    Ok(())
}
