//! What a TCP connection has taken and its peer has not acknowledged.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// The bytes that the peer's kernel has not acknowledged (SIOCOUTQ, tcp(7)). It can still be asked
/// when the connection is broken.
///
/// # Errors
/// It is no TCP socket.
pub fn unconfirmed(socket: impl AsFd) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is borrowed, so it is open; the request (the same number as TIOCOUTQ)
    // writes one int, to a live one.
    let done = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(bytes).unwrap_or(0))
}
