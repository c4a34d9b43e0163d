//! One socket of the receiver, and what the kernel says of the datagrams that it had no room for.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};

use crate::diag::Diagnostic;
use crate::os::reason::reason;
use crate::syslog::parse::parse;
use crate::tools::syslog::outlet::Outlet;
use crate::tools::syslog::place::SocketFile;

/// What is kept of a datagram, in octets; RFC 5424 asks for 2,048 at least.
pub const DATAGRAM_BYTES_MAX: usize = 8 << 10;
/// How many datagrams of a socket are read before the next has its turn.
const BATCH: usize = 64;

/// A socket on which messages come.
pub struct Intake {
    socket: OwnedFd,
    name: String,
    file: Option<SocketFile>,
    /// What the kernel counts: it wraps around.
    dropped: u32,
    /// How much of it nobody has been told.
    unsaid: u32,
}

impl Intake {
    /// Listens on a socket file.
    ///
    /// # Errors
    /// As [`SocketFile::bind`].
    pub fn unix(path: &Path, mode: u32) -> Result<Self, Box<Diagnostic>> {
        let (socket, file) = SocketFile::bind(path, mode)?;
        Ok(Self::new(
            socket.into(),
            path.display().to_string(),
            Some(file),
        ))
    }

    /// Listens on an address.
    ///
    /// # Errors
    /// Somebody else does, or we may not.
    pub fn udp(address: SocketAddr) -> Result<Self, Box<Diagnostic>> {
        let socket = UdpSocket::bind(address).map_err(|error| {
            let told = Diagnostic::error(format!("cannot listen on {address}: {}", reason(&error)));
            Box::new(match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    told.hint("ports below 1024 need root or NET_BIND_SERVICE")
                }
                _other => told,
            })
        })?;
        // Where the kernel cannot count, there is nothing to tell.
        let _ = setsockopt(&socket, sockopt::RxqOvfl, &1);
        Ok(Self::new(socket.into(), address.to_string(), None))
    }

    fn new(socket: OwnedFd, name: String, file: Option<SocketFile>) -> Self {
        Self {
            socket,
            name,
            file,
            dropped: 0,
            unsaid: 0,
        }
    }

    /// As people know it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many datagrams were dropped of which nobody has been told.
    pub fn unsaid(&self) -> u32 {
        self.unsaid
    }

    /// Takes that number: somebody is told now.
    pub fn say(&mut self) -> u32 {
        std::mem::take(&mut self.unsaid)
    }

    /// Takes the address away, so that nobody new sends.
    pub fn retire(&mut self) {
        if let Some(file) = self.file.take() {
            file.remove();
        }
    }

    /// Reads what is there, a batch at most; whether there was anything.
    ///
    /// # Errors
    /// As `recvmsg(2)`.
    pub fn read(&mut self, outlet: &mut Outlet) -> io::Result<bool> {
        let mut octets = [0; DATAGRAM_BYTES_MAX];
        for at in 0..BATCH {
            let Some(sent) = self.receive(&mut octets)? else {
                return Ok(at > 0);
            };
            let datagram = octets.get(..sent).unwrap_or(&octets);
            let cut = (sent > octets.len()).then_some(sent);
            outlet.add(&parse(datagram), cut);
        }
        Ok(true)
    }

    /// The length of the next datagram, however much of it there was room for; `None` if there is
    /// none now.
    fn receive(&mut self, octets: &mut [u8]) -> io::Result<Option<usize>> {
        let mut room = nix::cmsg_space!(u32);
        // TRUNC: the length as it was sent, and not as it was kept.
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        loop {
            let mut parts = [IoSliceMut::new(octets)];
            let fd = self.socket.as_raw_fd();
            let got = match recvmsg::<()>(fd, &mut parts, Some(&mut room), flags) {
                Ok(got) => got,
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            for control in got.cmsgs().into_iter().flatten() {
                if let ControlMessageOwned::RxqOvfl(total) = control {
                    self.unsaid = self.unsaid.saturating_add(total.wrapping_sub(self.dropped));
                    self.dropped = total;
                }
            }
            return Ok(Some(got.bytes));
        }
    }
}

impl AsFd for Intake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.retire();
    }
}
