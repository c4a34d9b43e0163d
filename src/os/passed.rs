//! Descriptors that are sent over a unix socket (SCM_RIGHTS of unix(7)).

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::socket::sockopt::SockType as Type;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockType, UnixAddr, getsockname, getsockopt,
    recvmsg, sendmsg,
};

/// The kernel takes at most so many at once (SCM_MAX_FD); with room for all of them, none is lost
/// on the way, and each is closed where it is not wanted.
const DESCRIPTORS_MAX: usize = 253;

/// Reads bytes and the descriptors sent with them, without waiting. None of them is inherited.
///
/// # Errors
/// As `recvmsg(2)`.
pub fn receive(from: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    take(from, bytes, MsgFlags::MSG_DONTWAIT)
}

fn take(
    from: BorrowedFd<'_>,
    bytes: &mut [u8],
    flags: MsgFlags,
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut room = nix::cmsg_space!([RawFd; DESCRIPTORS_MAX]);
    let mut parts = [IoSliceMut::new(bytes)];
    let flags = flags | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(from.as_raw_fd(), &mut parts, Some(&mut room), flags)?;
    let mut found = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = part {
            // SAFETY: the kernel has just made these descriptors for us, and nobody else in this
            // process knows their numbers.
            found.extend(
                numbers
                    .into_iter()
                    .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
            );
        }
    }
    Ok((message.bytes, found))
}

/// Sends one descriptor with a line end. `flags` as `sendmsg(2)`; SIGPIPE is never raised.
fn send(to: RawFd, what: BorrowedFd<'_>, flags: MsgFlags) -> io::Result<()> {
    let numbers = [what.as_raw_fd()];
    let part = ControlMessage::ScmRights(&numbers);
    let flags = flags | MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(to, &[IoSlice::new(b"\n")], &[part], flags, None)?;
    Ok(())
}

/// Asks whoever holds the other end of the socket of this number for a connection, as
/// [`connect_back`] makes one, and waits for it.
///
/// # Errors
/// As `sendmsg(2)` and `recvmsg(2)`: nothing of this number, no socket, or no answer.
pub fn connection(number: RawFd, patience: Duration) -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_read_timeout(Some(patience))?;
    send(number, theirs.as_fd(), MsgFlags::empty())?;
    drop(theirs);
    let (_, mut passed) = take(ours.as_fd(), &mut [0; 8], MsgFlags::empty())?;
    let closed = || io::Error::from(io::ErrorKind::ConnectionReset);
    Ok(passed.pop().ok_or_else(closed)?.into())
}

/// Makes a connection, sends one end of it to whoever holds the other end of `to`, and keeps the
/// other, which never blocks. It does not wait, whatever `to` is: a stranger made it.
///
/// # Errors
/// `to` is no unix stream socket, or takes nothing now.
pub fn connect_back(to: &OwnedFd) -> io::Result<UnixStream> {
    let is_unix = getsockname::<UnixAddr>(to.as_raw_fd()).is_ok();
    if !is_unix || getsockopt(to, Type)? != SockType::Stream {
        return Err(io::Error::other("it is no unix stream socket"));
    }
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    send(to.as_raw_fd(), theirs.as_fd(), MsgFlags::MSG_DONTWAIT)?;
    Ok(ours)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_connection_comes_back() {
        let (door, visitor) = UnixStream::pair().unwrap();
        let (mine, yours) = UnixStream::pair().unwrap();
        send(visitor.as_raw_fd(), yours.as_fd(), MsgFlags::empty()).unwrap();
        let mut bytes = [0; 8];
        let (count, mut passed) = receive(door.as_fd(), &mut bytes).unwrap();
        assert_eq!((count, passed.len(), bytes[0]), (1, 1, b'\n'));
        let mut server = connect_back(&passed.remove(0)).unwrap();
        let (_, mut passed) = receive(mine.as_fd(), &mut bytes).unwrap();
        let mut client = UnixStream::from(passed.remove(0));
        server.write_all(b"hello").unwrap();
        let mut heard = [0; 5];
        client.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello");
    }

    #[test]
    fn what_is_no_stream_gets_none() {
        let file = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        assert!(connect_back(&file).is_err());
        let datagrams = std::os::unix::net::UnixDatagram::pair().unwrap().0;
        assert!(connect_back(&OwnedFd::from(datagrams)).is_err());
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(connect_back(&OwnedFd::from(tcp)).is_err());
    }
}
