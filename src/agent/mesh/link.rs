//! A connection between two agents: Noise with the cluster's key (NNpsk0), and frames in it.
//!
//! On the wire each frame is its length in two bytes, big-endian, and so many bytes: sealed by
//! Noise where there is a key.

use std::io::{self, ErrorKind};
use std::time::Duration;

use snow::{Builder, TransportState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::agent::mesh::seal::Key;

/// The longest frame before it is sealed, in bytes.
pub const FRAME_BYTES_MAX: usize = 16 * 1024;

/// What Noise adds to a message.
const TAG_BYTES: usize = 16;

/// A handshake's message is short.
const HANDSHAKE_BYTES_MAX: usize = 128;

/// For the whole handshake.
const HANDSHAKE: Duration = Duration::from_secs(2);

/// For the other to take a frame: its kernel has no room for that long.
const TAKE: Duration = Duration::from_secs(5);

const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s";

/// Who began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// We have dialled.
    Dialer,
    /// We were.
    Listener,
}

/// A connection.
pub struct Link {
    stream: TcpStream,
    noise: Option<Box<TransportState>>,
    /// Read, and not yet taken.
    inbox: Vec<u8>,
}

fn bad(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_owned())
}

impl Link {
    /// Shakes hands.
    ///
    /// # Errors
    /// The other has another key, is no agent, or is too slow.
    pub async fn open(stream: TcpStream, side: Side, key: Option<&Key>) -> io::Result<Self> {
        // Frames are small, and none waits for another.
        stream.set_nodelay(true)?;
        let mut link = Self {
            stream,
            noise: None,
            inbox: Vec::new(),
        };
        if let Some(key) = key {
            let shaken = timeout(HANDSHAKE, link.shake(side, key)).await;
            link.noise = Some(Box::new(shaken.map_err(|_| ErrorKind::TimedOut)??));
        }
        Ok(link)
    }

    async fn shake(&mut self, side: Side, key: &Key) -> io::Result<TransportState> {
        let pattern = PATTERN.parse().map_err(io::Error::other)?;
        let builder = Builder::new(pattern)
            .psk(0, &key.0)
            .map_err(io::Error::other)?;
        let state = match side {
            Side::Dialer => builder.build_initiator(),
            Side::Listener => builder.build_responder(),
        };
        let mut state = state.map_err(io::Error::other)?;
        let mut buffer = [0; HANDSHAKE_BYTES_MAX];
        while !state.is_handshake_finished() {
            if state.is_my_turn() {
                let length = state
                    .write_message(&[], &mut buffer)
                    .map_err(io::Error::other)?;
                let message = buffer.get(..length).unwrap_or_default().to_vec();
                self.write(&message).await?;
            } else {
                let message = self.read(HANDSHAKE_BYTES_MAX).await?;
                let message = message.ok_or(ErrorKind::UnexpectedEof)?;
                state
                    .read_message(&message, &mut buffer)
                    .map_err(|_| bad("another key"))?;
            }
        }
        state.into_transport_mode().map_err(io::Error::other)
    }

    /// The next frame; `None` when the other has closed. Cancel-safe.
    ///
    /// # Errors
    /// The connection is broken, or what comes is no frame of ours.
    pub async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(frame) = self.read(FRAME_BYTES_MAX + TAG_BYTES).await? else {
            return Ok(None);
        };
        let Some(noise) = &mut self.noise else {
            return Ok(Some(frame));
        };
        let mut text = vec![0; frame.len()];
        let length = noise
            .read_message(&frame, &mut text)
            .map_err(|_| bad("a frame that was changed"))?;
        text.truncate(length);
        Ok(Some(text))
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// The connection is broken, or the other takes nothing.
    pub async fn send(&mut self, text: &[u8]) -> io::Result<()> {
        if text.len() > FRAME_BYTES_MAX {
            return Err(bad("a frame that is too long"));
        }
        let frame = match &mut self.noise {
            None => text.to_vec(),
            Some(noise) => {
                let mut sealed = vec![0; text.len() + TAG_BYTES];
                let length = noise
                    .write_message(text, &mut sealed)
                    .map_err(io::Error::other)?;
                sealed.truncate(length);
                sealed
            }
        };
        self.write(&frame).await
    }

    /// The connection itself.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    async fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        let length = u16::try_from(frame.len()).map_err(|_| bad("a frame that is too long"))?;
        let bytes = [&length.to_be_bytes()[..], frame].concat();
        let sent = timeout(TAKE, self.stream.write_all(&bytes)).await;
        sent.map_err(|_| ErrorKind::TimedOut)?
    }

    /// Reads into a buffer of our own, so that nothing is lost when this is dropped half-way.
    async fn read(&mut self, longest: usize) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some((head, rest)) = self.inbox.split_first_chunk::<2>() {
                let length = usize::from(u16::from_be_bytes(*head));
                if length > longest {
                    return Err(bad("a frame that is too long"));
                }
                if let Some(frame) = rest.get(..length) {
                    let frame = frame.to_vec();
                    self.inbox.drain(..2 + length);
                    return Ok(Some(frame));
                }
            }
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                return Ok(None);
            }
        }
    }
}
