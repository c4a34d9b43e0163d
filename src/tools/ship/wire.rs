//! A socket to the collector, which never blocks.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, connect, send, setsockopt,
    socket, sockopt,
};

use crate::os::outq;
use crate::syslog::record::Carrier;

/// How much the kernel keeps of a connection (it doubles this): little, for what it keeps when the
/// connection breaks is neither sent nor ours to send again.
const SEND_BUFFER_BYTES: usize = 128 << 10;
/// A silent connection is asked whether its other end is there after this long, then as often, and
/// is given up when so many questions have no answer.
const KEEPALIVE_SECONDS: u32 = 30;
const KEEPALIVE_QUESTIONS: u32 = 3;

/// A socket.
#[derive(Debug)]
pub enum Wire {
    /// Connected, or on its way.
    Tcp(TcpStream),
    /// Bound to one peer.
    Udp(UdpSocket),
}

impl Wire {
    /// Begins to connect.
    ///
    /// # Errors
    /// It fails at once.
    pub fn dial(carrier: Carrier, address: SocketAddr) -> io::Result<Self> {
        match carrier {
            Carrier::Stream => dial_tcp(address).map(Self::Tcp),
            Carrier::Datagram => {
                let any: SocketAddr = if address.is_ipv4() {
                    ([0; 4], 0).into()
                } else {
                    ([0_u16; 8], 0).into()
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(address)?;
                socket.set_nonblocking(true)?;
                Ok(Self::Udp(socket))
            }
        }
    }

    /// Whether the connection stands.
    ///
    /// # Errors
    /// It has failed.
    pub fn is_connected(&self) -> io::Result<bool> {
        let Self::Tcp(stream) = self else {
            return Ok(true);
        };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            // On loopback, a port at which nobody listens may by chance be given to us: we would
            // talk to ourselves, and keep the collector from its port.
            Ok(peer) if stream.local_addr()? == peer => {
                Err(io::ErrorKind::ConnectionRefused.into())
            }
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Hands bytes to the kernel; how many it took. `None`: none now.
    ///
    /// # Errors
    /// The connection is broken, or the peer has turned a datagram away.
    pub fn send(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        loop {
            match send(self.as_fd().as_raw_fd(), bytes, flags) {
                Ok(count) => return Ok(Some(count)),
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads away what the collector says, which is nothing to us.
    ///
    /// # Errors
    /// It has closed the connection, or that is broken.
    pub fn listen(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        // A collector that talks without end does not keep us from sending.
        for _ in 0..16 {
            let got = match self {
                Self::Tcp(stream) => stream.read(&mut bytes),
                // An empty datagram is no end.
                Self::Udp(socket) => socket.recv(&mut bytes).map(|count| count.max(1)),
            };
            match got {
                Ok(0) => return Err(io::Error::other("the collector closed it")),
                Ok(_) => {}
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(()),
                    io::ErrorKind::Interrupted => {}
                    _other => return Err(error),
                },
            }
        }
        Ok(())
    }

    /// How many bytes the collector's kernel has not acknowledged; none over UDP, where nobody
    /// acknowledges anything.
    pub fn unconfirmed(&self) -> usize {
        match self {
            Self::Tcp(stream) => outq::unconfirmed(stream).unwrap_or(0),
            Self::Udp(_) => 0,
        }
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Udp(socket) => socket.as_fd(),
        }
    }
}

fn dial_tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(family, SockType::Stream, flags, None)?;
    setsockopt(&fd, sockopt::SndBuf, &SEND_BUFFER_BYTES)?;
    setsockopt(&fd, sockopt::KeepAlive, &true)?;
    setsockopt(&fd, sockopt::TcpKeepIdle, &KEEPALIVE_SECONDS)?;
    setsockopt(&fd, sockopt::TcpKeepInterval, &KEEPALIVE_SECONDS)?;
    setsockopt(&fd, sockopt::TcpKeepCount, &KEEPALIVE_QUESTIONS)?;
    match connect(fd.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) | Err(Errno::EINPROGRESS | Errno::EINTR) => Ok(fd.into()),
        Err(error) => Err(error.into()),
    }
}
