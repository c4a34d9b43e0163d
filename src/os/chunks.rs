//! Writes of whole lines, each as much as a pipe keeps together.

use std::io;
use std::os::fd::OwnedFd;

use memchr::memrchr;
use nix::errno::Errno;
use nix::fcntl::{SpliceFFlags, splice};
use nix::unistd::write;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What is written at once. A pipe keeps a write of this size in one of its slots, whole, and moves
/// slots whole: so a line is never torn by somebody else who writes to the same pipe (pipe(7),
/// `PIPE_BUF`). Longer lines can be.
pub(super) const CHUNK_BYTES_MAX: usize = 4096;

/// How much of `bytes` to write at once: whole lines, as far as they fit.
fn chunk(bytes: &[u8]) -> &[u8] {
    match bytes.get(..CHUNK_BYTES_MAX) {
        None => bytes,
        Some(window) => {
            let end = memrchr(b'\n', window).map_or(CHUNK_BYTES_MAX, |at| at + 1);
            window.get(..end).unwrap_or(window)
        }
    }
}

/// Calls `write` with one chunk after the other until one does not fit.
pub(super) fn each_chunk(
    to: &AsyncFd<OwnedFd>,
    bytes: &[u8],
    taken: &mut usize,
    write: impl Fn(&OwnedFd, &[u8]) -> nix::Result<usize>,
) -> nix::Result<()> {
    while let Some(rest) = bytes.get(*taken..).filter(|rest| !rest.is_empty()) {
        match to.try_io(Interest::WRITABLE, |fd| Ok(write(fd, chunk(rest))?)) {
            Ok(count) => *taken += count,
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => return Ok(()),
                io::ErrorKind::Interrupted => {}
                _ => return Err(Errno::try_from(error).unwrap_or(Errno::EIO)),
            },
        }
    }
    Ok(())
}

/// Fills our own pipe and empties it into the destination, until one of them is full.
pub(super) fn splice_out(
    to: &AsyncFd<OwnedFd>,
    from: &OwnedFd,
    into: &OwnedFd,
    held: &mut usize,
    bytes: &[u8],
    taken: &mut usize,
) -> nix::Result<()> {
    loop {
        while let Some(rest) = bytes.get(*taken..).filter(|rest| !rest.is_empty()) {
            match write(into, chunk(rest)) {
                Ok(count) => {
                    *taken += count;
                    *held += count;
                }
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
        if *held == 0 {
            return Ok(());
        }
        let moved = to.try_io(Interest::WRITABLE, |fd| {
            let flags = SpliceFFlags::SPLICE_F_NONBLOCK;
            Ok(splice(from, None, fd, None, *held, flags)?)
        });
        match moved {
            // Our own pipe is empty although we counted bytes in it: believe the kernel.
            Ok(0) => *held = 0,
            Ok(count) => *held = held.saturating_sub(count),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => return Ok(()),
                io::ErrorKind::Interrupted => {}
                _ => return Err(Errno::try_from(error).unwrap_or(Errno::EIO)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_whole_lines_where_they_can_be() {
        let long = [vec![b'x'; 5000], b"\n".to_vec()].concat();
        for (bytes, first) in [
            (b"a\nb\n".to_vec(), 4),
            (b"line\n".repeat(1000), 4095),
            (long.clone(), 4096),
            ([b"a\n".to_vec(), long].concat(), 2),
            (vec![b'\n'; 4096], 4096),
        ] {
            assert_eq!(chunk(&bytes).len(), first);
        }
    }
}
