//! Descriptors by their number, as the tools' arguments name them: put in another's place, closed.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

/// So many descriptors below the limit are for whoever asks how things stand, and for what it takes
/// to start a process; pipes that a service keeps do not take them.
const KEPT_FREE: u64 = 16;

/// Whether this one, the newest, is among the last that the limit allows (RLIMIT_NOFILE of
/// getrlimit(2), as it was at the first question). The kernel gives the lowest free number.
pub fn are_scarce(newest: impl AsFd) -> bool {
    static LAST: OnceLock<u64> = OnceLock::new();
    let last = *LAST.get_or_init(|| {
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
        limit.saturating_sub(KEPT_FREE)
    });
    u64::try_from(newest.as_fd().as_raw_fd()).is_ok_and(|number| number >= last)
}

/// Puts ours in the place of number `to`, where the next program finds it.
///
/// # Errors
/// As dup2(2).
pub fn place(ours: OwnedFd, to: RawFd) -> Result<(), Errno> {
    let from = ours.into_raw_fd();
    copy(from, to)?;
    if from != to {
        close(from);
    }
    Ok(())
}

/// Makes number `to` the same as number `from`, left open for the next program.
///
/// # Errors
/// As dup2(2).
pub fn copy(from: RawFd, to: RawFd) -> Result<(), Errno> {
    if from == to {
        // SAFETY: takes numbers; the flag alone changes.
        return Errno::result(unsafe { libc::fcntl(from, libc::F_SETFD, 0) }).map(drop);
    }
    // SAFETY: takes numbers. What `to` was is the tools' to replace: that is what they are told.
    Errno::result(unsafe { libc::dup2(from, to) }).map(drop)
}

/// The same file under a number that no tool gives a meaning, 10 or above.
///
/// # Errors
/// As fcntl(2).
pub fn lift(ours: impl Into<OwnedFd>) -> Result<OwnedFd, Errno> {
    let ours = ours.into();
    // SAFETY: takes numbers, of a descriptor that is ours, and gives a new one.
    let fd = Errno::result(unsafe { libc::fcntl(ours.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 10) })?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Closes number `fd`; nothing if it is not open.
pub fn close(fd: RawFd) {
    // SAFETY: takes a number that a tool was told to close, or owned.
    unsafe { libc::close(fd) };
}

/// Whether number `fd` is open.
///
/// # Errors
/// EBADF.
pub fn is_open(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: takes numbers and changes nothing.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFD) }).map(drop)
}

/// Makes number `fd` blocking or not, for all who share it.
///
/// # Errors
/// As fcntl(2).
pub fn set_blocking(fd: RawFd, blocking: bool) -> Result<(), Errno> {
    // SAFETY: takes numbers.
    let flags = Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    let flags = if blocking {
        flags & !libc::O_NONBLOCK
    } else {
        flags | libc::O_NONBLOCK
    };
    // SAFETY: takes numbers.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_SETFL, flags) }).map(drop)
}

/// Writes all of `bytes` to number `fd`.
///
/// # Errors
/// As write(2).
pub fn write_all(fd: RawFd, bytes: &[u8]) -> Result<(), Errno> {
    let mut rest = bytes;
    while !rest.is_empty() {
        // SAFETY: the bytes are alive and as many as told.
        let written = unsafe { libc::write(fd, rest.as_ptr().cast(), rest.len()) };
        match Errno::result(written) {
            Ok(count) => rest = rest.get(count.unsigned_abs()..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Our stdin, to be read without a buffer in between, so that not a byte too much is taken.
pub fn stdin() -> ManuallyDrop<File> {
    // SAFETY: number 0 is open, as Rust's runtime sees to, and is never closed by the dropped file.
    ManuallyDrop::new(unsafe { File::from_raw_fd(0) })
}
