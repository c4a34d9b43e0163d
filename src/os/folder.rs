//! A directory, opened: what is in it, and files opened from there. One listing in place of a look
//! for every name that could be there.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstatat};

/// getdents64(2) gives as many entries at once as find room here: about forty.
const BATCH_BYTES: usize = 2048;

/// An open directory.
pub(super) struct Folder(OwnedFd);

/// What a directory says of an entry without a look at the entry itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hint {
    /// A regular file.
    File,
    /// Something else, a symbolic link, or the file system does not tell.
    Other,
}

impl Folder {
    /// Opens a directory, and nothing that is none: `ENOTDIR` then, without any effect.
    pub(super) fn open(path: &Path) -> nix::Result<Self> {
        // Not open(2): musl's sets the flag once more.
        openat(AT_FDCWD, path, FLAGS | OFlag::O_DIRECTORY, Mode::empty()).map(Self)
    }

    /// Opens a directory in this one.
    pub(super) fn folder(&self, name: &CStr) -> nix::Result<Self> {
        openat(&self.0, name, FLAGS | OFlag::O_DIRECTORY, Mode::empty()).map(Self)
    }

    /// Opens a file in this one, for reading. O_NONBLOCK keeps the open of a FIFO from waiting for
    /// a writer.
    pub(super) fn file(&self, name: &CStr) -> nix::Result<std::fs::File> {
        let flags = FLAGS | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        openat(&self.0, name, flags, Mode::empty()).map(std::fs::File::from)
    }

    /// What `name` leads to.
    pub(super) fn stat(&self, name: &CStr) -> nix::Result<FileStat> {
        fstatat(&self.0, name, AtFlags::empty())
    }

    /// What `name` is: a symbolic link is itself.
    pub(super) fn lstat(&self, name: &CStr) -> nix::Result<FileStat> {
        fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW)
    }

    /// Calls `take` with each entry (`.` and `..` too) until it gives false. A folder is listed
    /// once.
    pub(super) fn each(&self, mut take: impl FnMut(&CStr, Hint) -> bool) -> io::Result<()> {
        let mut batch = [0; BATCH_BYTES];
        loop {
            let count = getdents(self.0.as_fd(), &mut batch)?;
            let mut rest = batch.get(..count).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            while let Some((name, hint, after)) = entry(rest) {
                if !take(name, hint) {
                    return Ok(());
                }
                rest = after;
            }
        }
    }
}

const FLAGS: OFlag = OFlag::O_RDONLY.union(OFlag::O_CLOEXEC);

fn getdents(fd: BorrowedFd<'_>, batch: &mut [u8; BATCH_BYTES]) -> io::Result<usize> {
    // SAFETY: the kernel writes at most the length that is told, into a live buffer.
    let count = unsafe {
        libc::syscall(
            libc::SYS_getdents64,
            fd.as_raw_fd(),
            batch.as_mut_ptr(),
            batch.len(),
        )
    };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// The first entry of a batch, and what follows it. The layout is that of getdents64(2): inode (8
/// bytes), offset (8), length of the entry (2), kind (1), name.
fn entry(batch: &[u8]) -> Option<(&CStr, Hint, &[u8])> {
    let (length, kind) = (batch.get(16..18)?, *batch.get(18)?);
    let length = usize::from(u16::from_ne_bytes(length.try_into().ok()?));
    let name = CStr::from_bytes_until_nul(batch.get(19..length)?).ok()?;
    let hint = if kind == libc::DT_REG {
        Hint::File
    } else {
        Hint::Other
    };
    Some((name, hint, batch.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_listed_once() {
        let path = std::env::temp_dir().join(format!("pidone-folder-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let mut expected: Vec<String> = (0..300).map(|n| format!("file-{n:04}")).collect();
        for name in &expected {
            std::fs::write(path.join(name), name).unwrap();
        }
        let folder = Folder::open(&path).unwrap();
        let mut found = Vec::new();
        let mut take = |name: &CStr, hint| {
            if !name.to_bytes().starts_with(b".") {
                assert_eq!(hint, Hint::File);
                found.push(name.to_str().unwrap().to_owned());
            }
            true
        };
        folder.each(&mut take).unwrap();
        std::fs::remove_dir_all(&path).unwrap();
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
        assert!(entry(b"").is_none() && entry(&[255; 30]).is_none());
    }
}
