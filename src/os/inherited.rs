//! Descriptors that a role was started with, known by their number.

use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Tells by this descriptor that somebody is ready: with a newline, as s6 has it. Whoever does not
/// read is not waited for.
pub fn tell_ready(by: &OwnedFd) {
    let mut room = [PollFd::new(by.as_fd(), PollFlags::POLLOUT)];
    if poll(&mut room, PollTimeout::ZERO).is_ok_and(|ready| ready > 0) {
        // Nobody reads it any more: then nobody misses it.
        let _ = nix::unistd::write(by, b"\n");
    }
}

/// Takes the descriptor with this number; dropping it closes it.
///
/// # Errors
/// There is none, or it is one of the standard three.
pub fn take(number: i32) -> io::Result<OwnedFd> {
    if number <= libc::STDERR_FILENO {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: fcntl(F_GETFD) takes any number and touches no memory.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and the caller names a descriptor that was handed over at the exec, which
    // nothing in this process owns: a role takes it once, before it opens any of its own.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    // What we start must not hold it open.
    fcntl(&owned, FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    Ok(owned)
}
