//! A peer, as the gossip knows it: an address, and which life of it. And its bytes on the wire.

use std::cell::Cell;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::{Buf, BufMut};
use foca::{Codec, Header, Identity, Member, Message, State};

use crate::members::record::{Input, put_address};

/// Who takes part in the gossip.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Where it is reached; at one address there is one peer.
    pub agent: SocketAddr,
    /// Which life of it: the later one is right.
    pub life: u64,
    /// How often it has begun another life without being started anew.
    pub renewals: u8,
}

impl Peer {
    /// Whoever is at this address: to be announced to, before anything is known of it.
    pub fn unknown(agent: SocketAddr) -> Self {
        Self {
            agent,
            life: 0,
            renewals: 0,
        }
    }

    /// The next life. The steps double, so that a clock that was set back by a year between two
    /// starts is caught up within 35 of them.
    pub fn renewed(&self) -> Self {
        Self {
            agent: self.agent,
            life: self.life.saturating_add(1 << self.renewals.min(40)),
            renewals: self.renewals.saturating_add(1),
        }
    }
}

impl Identity for Peer {
    type Addr = SocketAddr;

    fn renew(&self) -> Option<Self> {
        Some(self.renewed())
    }

    fn addr(&self) -> SocketAddr {
        self.agent
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        (self.life, self.renewals) > (adversary.life, adversary.renewals)
    }
}

/// Bytes that are no message of a peer, or do not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a message of a peer")
    }
}

impl std::error::Error for Malformed {}

/// How peers and messages are written: big-endian, each message with a number.
#[derive(Clone, Debug)]
pub struct Wire(
    /// No life that is later than this is believed: whoever says so has made it up, so that nobody
    /// could ever begin a later one. Of a member that is said to live it, this is read as the end
    /// of its first life, which changes nothing.
    pub Rc<Cell<u64>>,
);

impl Default for Wire {
    fn default() -> Self {
        Self(Rc::new(Cell::new(u64::MAX)))
    }
}

impl Wire {
    fn believes(&self, peer: &Peer) -> Option<()> {
        (peer.life <= self.0.get()).then_some(())
    }
}

impl Codec<Peer> for Wire {
    type Error = Malformed;

    fn encode_header(&mut self, header: &Header<Peer>, buf: impl BufMut) -> Result<(), Malformed> {
        let mut out = Vec::with_capacity(64);
        put_peer(&mut out, &header.src);
        out.extend(header.src_incarnation.to_be_bytes());
        put_peer(&mut out, &header.dst);
        put_message(&mut out, &header.message);
        put(&out, buf)
    }

    fn decode_header(&mut self, mut buf: impl Buf) -> Result<Header<Peer>, Malformed> {
        let mut input = Input(buf.chunk());
        let before = input.0.len();
        let header = header(&mut input).ok_or(Malformed)?;
        self.believes(&header.src).ok_or(Malformed)?;
        let read = before - input.0.len();
        buf.advance(read);
        Ok(header)
    }

    fn encode_member(&mut self, member: &Member<Peer>, buf: impl BufMut) -> Result<(), Malformed> {
        let mut out = Vec::with_capacity(40);
        put_member(&mut out, member);
        put(&out, buf)
    }

    fn decode_member(&mut self, mut buf: impl Buf) -> Result<Member<Peer>, Malformed> {
        let mut input = Input(buf.chunk());
        let before = input.0.len();
        let member = member(&mut input).ok_or(Malformed)?;
        // Who passes that on need not have made it up: the rest of what he says counts.
        let member = match self.believes(member.id()) {
            Some(()) => member,
            None => Member::new(Peer::unknown(member.id().agent), 0, State::Down),
        };
        let read = before - input.0.len();
        buf.advance(read);
        Ok(member)
    }
}

/// All of it, or nothing.
fn put(bytes: &[u8], mut buf: impl BufMut) -> Result<(), Malformed> {
    if buf.remaining_mut() < bytes.len() {
        return Err(Malformed);
    }
    buf.put_slice(bytes);
    Ok(())
}

fn put_peer(out: &mut Vec<u8>, peer: &Peer) {
    put_address(out, peer.agent);
    out.extend(peer.life.to_be_bytes());
    out.push(peer.renewals);
}

fn peer(input: &mut Input<'_>) -> Option<Peer> {
    Some(Peer {
        agent: input.address()?,
        life: u64::from_be_bytes(input.array()?),
        renewals: input.byte()?,
    })
}

/// Writes a member and its state.
pub(super) fn put_member(out: &mut Vec<u8>, member: &Member<Peer>) {
    put_peer(out, member.id());
    out.extend(member.incarnation().to_be_bytes());
    out.push(match member.state() {
        State::Alive => 0,
        State::Suspect => 1,
        State::Down => 2,
    });
}

/// Reads a member and its state.
pub(super) fn member(input: &mut Input<'_>) -> Option<Member<Peer>> {
    let peer = peer(input)?;
    let incarnation = u16::from_be_bytes(input.array()?);
    let state = match input.byte()? {
        0 => State::Alive,
        1 => State::Suspect,
        2 => State::Down,
        _other => return None,
    };
    Some(Member::new(peer, incarnation, state))
}

fn header(input: &mut Input<'_>) -> Option<Header<Peer>> {
    Some(Header {
        src: peer(input)?,
        src_incarnation: u16::from_be_bytes(input.array()?),
        dst: peer(input)?,
        message: message(input)?,
    })
}

fn put_message(out: &mut Vec<u8>, message: &Message<Peer>) {
    let (number, peer, probe) = match message {
        Message::Ping(probe) => (0, None, Some(probe)),
        Message::Ack(probe) => (1, None, Some(probe)),
        Message::PingReq {
            target,
            probe_number,
        } => (2, Some(target), Some(probe_number)),
        Message::IndirectPing {
            origin,
            probe_number,
        } => (3, Some(origin), Some(probe_number)),
        Message::IndirectAck {
            target,
            probe_number,
        } => (4, Some(target), Some(probe_number)),
        Message::ForwardedAck {
            origin,
            probe_number,
        } => (5, Some(origin), Some(probe_number)),
        Message::Announce => (6, None, None),
        Message::Feed => (7, None, None),
        Message::Gossip => (8, None, None),
        Message::Broadcast => (9, None, None),
        Message::TurnUndead => (10, None, None),
    };
    out.push(number);
    if let Some(peer) = peer {
        put_peer(out, peer);
    }
    if let Some(probe) = probe {
        out.extend(probe.to_be_bytes());
    }
}

fn message(input: &mut Input<'_>) -> Option<Message<Peer>> {
    let number = input.byte()?;
    let other = if (2..=5).contains(&number) {
        Some(peer(input)?)
    } else {
        None
    };
    let probe_number = if number <= 5 {
        foca::ProbeNumber::from_be_bytes(input.array()?)
    } else {
        0
    };
    Some(match (number, other) {
        (0, None) => Message::Ping(probe_number),
        (1, None) => Message::Ack(probe_number),
        (2, Some(target)) => Message::PingReq {
            target,
            probe_number,
        },
        (3, Some(origin)) => Message::IndirectPing {
            origin,
            probe_number,
        },
        (4, Some(target)) => Message::IndirectAck {
            target,
            probe_number,
        },
        (5, Some(origin)) => Message::ForwardedAck {
            origin,
            probe_number,
        },
        (6, None) => Message::Announce,
        (7, None) => Message::Feed,
        (8, None) => Message::Gossip,
        (9, None) => Message::Broadcast,
        (10, None) => Message::TurnUndead,
        _other => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(port: u16) -> Peer {
        Peer {
            agent: SocketAddr::new([10, 0, 0, 1].into(), port),
            life: 1_795_341_839_123,
            renewals: 2,
        }
    }

    fn header(message: Message<Peer>) -> Header<Peer> {
        Header {
            src: peer(1),
            src_incarnation: 7,
            dst: peer(2),
            message,
        }
    }

    #[test]
    fn every_message_is_read_as_it_was_written() {
        let (origin, probe_number) = (peer(3), 9);
        let target = origin.clone();
        for message in [
            Message::Ping(1),
            Message::Ack(2),
            Message::PingReq {
                target: target.clone(),
                probe_number,
            },
            Message::IndirectPing {
                origin: origin.clone(),
                probe_number,
            },
            Message::IndirectAck {
                target,
                probe_number,
            },
            Message::ForwardedAck {
                origin,
                probe_number,
            },
            Message::Announce,
            Message::Feed,
            Message::Gossip,
            Message::Broadcast,
            Message::TurnUndead,
        ] {
            let header = header(message);
            let mut bytes = Vec::new();
            Wire::default().encode_header(&header, &mut bytes).unwrap();
            let mut input = bytes.as_slice();
            assert_eq!(Wire::default().decode_header(&mut input), Ok(header));
            assert!(input.is_empty());
            for short in 0..bytes.len() {
                assert_eq!(
                    Wire::default().decode_header(&bytes[..short]),
                    Err(Malformed)
                );
            }
        }
    }

    #[test]
    fn a_member_that_does_not_fit_leaves_nothing() {
        let mut bytes = Vec::new();
        let member = Member::new(peer(1), 3, State::Suspect);
        let no_room = (&mut bytes).limit(10);
        assert_eq!(
            Wire::default().encode_member(&member, no_room),
            Err(Malformed)
        );
        assert!(bytes.is_empty());
        Wire::default().encode_member(&member, &mut bytes).unwrap();
        assert_eq!(Wire::default().decode_member(bytes.as_slice()), Ok(member));
    }

    #[test]
    fn a_later_life_wins_and_a_clock_set_back_is_caught_up() {
        let mut peer = peer(1);
        let year_later = peer.life + 366 * 24 * 3600 * 1000;
        let mut steps = 0;
        while peer.life <= year_later {
            let next = peer.renewed();
            assert!(next.win_addr_conflict(&peer) && !peer.win_addr_conflict(&next));
            peer = next;
            steps += 1;
        }
        assert!(steps <= 35, "{steps}");
    }
}
