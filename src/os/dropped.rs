//! What the kernel had no room for on a socket.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// How many numbers SO_MEMINFO gives (linux/sock_diag.h): the drops are the last of them.
const NUMBERS: usize = libc::SK_MEMINFO_DROPS as usize + 1;

/// How many datagrams of this socket the kernel has dropped since it was made; the count wraps
/// around. Unlike SO_RXQ_OVFL it needs no later datagram to be told.
///
/// # Errors
/// It is no socket, or the kernel does not count (before Linux 4.12).
pub fn dropped(socket: impl AsFd) -> io::Result<u32> {
    let mut numbers = [0_u32; NUMBERS];
    let mut length = libc::socklen_t::try_from(size_of_val(&numbers)).unwrap_or(0);
    // SAFETY: the descriptor is borrowed, so it is open; the kernel writes at most `length` bytes,
    // to a live array of that size.
    let done = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    let [.., drops] = numbers;
    Ok(drops)
}
