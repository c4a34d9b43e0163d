//! The bytes of a simulated cluster, by what they are for.

use foca::{Codec, Message};
use pidone::agent::gossip::peer::Wire;

/// Bytes that all nodes have sent, by what for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Bytes {
    /// Pings and answers, with the news that travel in them.
    pub(crate) probes: u64,
    /// News alone.
    pub(crate) news: u64,
    /// Looking for others.
    pub(crate) search: u64,
    /// All that a node knows.
    pub(crate) compare: u64,
}

impl Bytes {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            probes: self.probes - before.probes,
            news: self.news - before.news,
            search: self.search - before.search,
            compare: self.compare - before.compare,
        }
    }

    /// A datagram, with what goes around it: 41 bytes of the seal, 28 of IP and UDP; how many
    /// bytes that are.
    pub(crate) fn datagram(&mut self, bytes: &[u8]) -> u64 {
        let header = Wire::default().decode_header(bytes).unwrap();
        let kind = match header.message {
            Message::Ping(_)
            | Message::Ack(_)
            | Message::PingReq { .. }
            | Message::IndirectPing { .. }
            | Message::IndirectAck { .. }
            | Message::ForwardedAck { .. } => &mut self.probes,
            Message::Gossip | Message::Broadcast => &mut self.news,
            Message::Announce | Message::Feed | Message::TurnUndead => &mut self.search,
        };
        let all = bytes.len() as u64 + 41 + 28;
        *kind += all;
        all
    }
}
