//! The pipe of s6's notification-fd.

use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{pipe2, read};

/// What a service has told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// Nothing yet, or nothing that counts.
    Nothing,
    /// A newline: it is ready.
    Ready,
    /// It has closed its end, and will never tell.
    End,
}

/// A pipe: our end, which never blocks, and the service's, which does.
///
/// # Errors
/// No descriptors left.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((ours, theirs))
}

/// Reads what is there, without waiting.
pub fn read_told(pipe: &OwnedFd) -> Told {
    let mut bytes = [0; 256];
    match read(pipe, &mut bytes) {
        Err(Errno::EAGAIN | Errno::EINTR) => Told::Nothing,
        Ok(0) | Err(_) => Told::End,
        Ok(count) if bytes.iter().take(count).any(|byte| *byte == b'\n') => Told::Ready,
        Ok(_) => Told::Nothing,
    }
}
