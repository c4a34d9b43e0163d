//! Who is at the other end of a unix socket: the groups, which nix does not ask for.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The supplementary groups that the other end had when it connected (SO_PEERGROUPS, unix(7),
/// Linux 4.13).
///
/// # Errors
/// As `getsockopt(2)`; an older kernel does not know the option.
pub fn groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    // NGROUPS_MAX of the kernel is 65536: the answer grows once, to the size the kernel names.
    let mut groups: Vec<u32> = vec![0; 32];
    loop {
        let room = size_of_val(groups.as_slice());
        let mut bytes = libc::socklen_t::try_from(room).map_err(io::Error::other)?;
        // SAFETY: the pointer is to `bytes` writable bytes of `groups`, which outlives the call,
        // and the kernel writes no more than `bytes` of them; a gid_t is a u32, and any is valid.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };
        let count = usize::try_from(bytes).map_err(io::Error::other)? / size_of::<u32>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn our_own_groups_are_told() {
        let (one, _other) = UnixStream::pair().expect("a pair of sockets");
        let mut told = groups(one.as_fd()).expect("the kernel knows the option");
        let mut own: Vec<u32> = nix::unistd::getgroups()
            .expect("our groups")
            .into_iter()
            .map(nix::unistd::Gid::as_raw)
            .collect();
        told.sort_unstable();
        own.sort_unstable();
        assert_eq!(told, own);
    }
}
