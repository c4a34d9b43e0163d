//! The descriptor that a service is handed, from our side: its requests, and the sockets that come
//! with them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::control::grant::Grant;
use crate::os::passed;

/// How much is read at once, bytes: nearly every request is shorter.
const READ_BYTES: usize = 4096;

/// A descriptor on which a connection is to be sent back, and what it may ask.
pub(super) type Knock = (Rc<Grant>, OwnedFd);

/// A service's own descriptor. Its processes share it, so that only one of them can talk over it.
/// Who sends an empty line and, with it, a socket to answer on, gets a connection for itself.
pub(super) struct Door {
    pub(super) grant: Rc<Grant>,
    pub(super) knocks: mpsc::Sender<Knock>,
}

impl Door {
    /// Gives these to the server.
    fn pass_on(&self, sockets: Vec<OwnedFd>) {
        for socket in sockets {
            // Whoever knocks too fast is told by the end of its socket.
            let _ = self.knocks.try_send((Rc::clone(&self.grant), socket));
        }
    }
}

/// Reads what is there, and waits if nothing is; 0 is the end. Cancel-safe.
pub(super) async fn read_into(
    stream: &UnixStream,
    into: &mut Vec<u8>,
    door: Option<&Door>,
) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        let mut bytes = [0; READ_BYTES];
        let read = match door {
            None => stream.try_read(&mut bytes),
            Some(door) => stream
                .try_io(Interest::READABLE, || {
                    passed::receive(stream.as_fd(), &mut bytes)
                })
                .map(|(count, sockets)| {
                    door.pass_on(sockets);
                    count
                }),
        };
        match read {
            Ok(count) => {
                into.extend_from_slice(bytes.get(..count).unwrap_or_default());
                return Ok(count);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
