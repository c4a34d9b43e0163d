//! Locks of whole files, by process, as fcntl(2) has them: what s6's tools agree by.

use std::os::fd::RawFd;
use std::time::Duration;

use nix::errno::Errno;

use crate::os::{clock, inplace};

/// How often a lock with a deadline is asked for: nobody but a person waits for it.
const AGAIN: Duration = Duration::from_millis(20);

/// Who else may have a lock at the same time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lock {
    /// Everybody who shares too.
    Shared,
    /// Nobody.
    Exclusive,
}

/// Takes the lock of file `fd`, which stays ours until `fd` is closed, over an exec too; waits
/// for it for `patience`, or for ever.
///
/// # Errors
/// EBUSY if somebody has it, ETIMEDOUT if still after a patience that is not zero; as fcntl(2).
pub fn take(fd: RawFd, lock: Lock, patience: Option<Duration>) -> Result<(), Errno> {
    let command = if patience.is_none() {
        libc::F_SETLKW
    } else {
        libc::F_SETLK
    };
    let kind = match lock {
        Lock::Shared => libc::F_RDLCK,
        Lock::Exclusive => libc::F_WRLCK,
    };
    let from = clock::now();
    loop {
        match set(fd, command, kind) {
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN | Errno::EACCES) => match patience {
                Some(Duration::ZERO) => return Err(Errno::EBUSY),
                Some(patience) if clock::now().since(from) >= patience => {
                    return Err(Errno::ETIMEDOUT);
                }
                Some(_) | None => inplace::pause(AGAIN),
            },
            other => return other,
        }
    }
}

fn set(fd: RawFd, command: libc::c_int, kind: libc::c_int) -> Result<(), Errno> {
    // SAFETY: a struct of numbers, all of which may be zero: from the start to the end.
    let mut whole: libc::flock = unsafe { std::mem::zeroed() };
    whole.l_type = libc::c_short::try_from(kind).unwrap_or_default();
    // SAFETY: `whole` is alive, and what the command reads.
    Errno::result(unsafe { libc::fcntl(fd, command, &raw const whole) }).map(drop)
}
