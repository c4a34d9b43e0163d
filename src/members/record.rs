//! What a member says of itself, as it travels: a few bytes that anybody may have made up, read
//! with a bound on everything. Every record carries its life and its number in it, so that an old
//! one that comes again changes nothing.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | [`VERSION`] |
//! | 5 or 17, 2 | 4 or 6 and the address, then the agent's port |
//! | 8, 8, 4 | born, life, sequence |
//! | 1 | status |
//! | 1 + n | name |
//! | 1, then each 1 + n, 2 + n | tags: how many; name, value |
//! | 1, then each 1 + n, 2, 1 | services: how many; name, port, readiness |
//!
//! Numbers are big-endian.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::members::member::{Announced, Member, Origin, Readiness, SERVICES_MAX, Status};
use crate::members::words::{MemberName, Tags};

/// The form of the bytes. Another one is not understood.
pub const VERSION: u8 = 1;

/// The longest record, in bytes: with what goes around it, it fits a datagram of 1,200.
pub const RECORD_BYTES_MAX: usize = 1000;

/// What a member says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Where its agent is: by this address it is known to the gossip.
    pub agent: SocketAddr,
    /// When its agent was started, on its own wall clock: milliseconds since 1970, UTC. Of two
    /// members of one name, the one that was there first keeps it.
    pub born: u64,
    /// Which life of it this is: an agent that was taken for dead begins another one.
    pub life: u64,
    /// Counts what it has said in this life.
    pub sequence: u32,
    /// What it is called.
    pub name: MemberName,
    /// How it is; never failed, for that it cannot say.
    pub status: Status,
    /// What it says of itself.
    pub tags: Tags,
    /// What it announces.
    pub services: Vec<Announced>,
}

impl Record {
    /// Which of two records of one agent is the later one.
    pub fn is_later_than(&self, other: &Self) -> bool {
        (self.life, self.sequence) > (other.life, other.sequence)
    }

    /// The member that it tells of, in this status.
    pub fn member(&self, status: Status) -> Member {
        Member {
            name: self.name.clone(),
            address: self.agent.ip(),
            port: self.agent.port(),
            tags: self.tags.clone(),
            services: self.services.clone(),
            status,
            incarnation: self.life,
            origin: Origin::Gossip,
        }
    }

    /// The bytes; `None` if they are more than fit.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let mut out = vec![VERSION];
        put_address(&mut out, self.agent);
        out.extend(self.born.to_be_bytes());
        out.extend(self.life.to_be_bytes());
        out.extend(self.sequence.to_be_bytes());
        out.push(number(&Status::ALL, self.status));
        put_text(&mut out, self.name.as_str());
        out.push(u8::try_from(self.tags.iter().len()).ok()?);
        for (name, value) in self.tags.iter() {
            put_text(&mut out, name);
            out.extend(u16::try_from(value.len()).ok()?.to_be_bytes());
            out.extend(value.as_bytes());
        }
        out.push(u8::try_from(self.services.len()).ok()?);
        for service in &self.services {
            put_text(&mut out, service.name.as_str());
            out.extend(service.port.to_be_bytes());
            out.push(number(&Readiness::ALL, service.readiness));
        }
        let fits = out.len() <= RECORD_BYTES_MAX && self.services.len() <= SERVICES_MAX;
        fits.then_some(out)
    }

    /// Reads a record, and all of these bytes.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > RECORD_BYTES_MAX {
            return None;
        }
        let mut input = Input(bytes);
        if input.byte()? != VERSION {
            return None;
        }
        let agent = input.address()?;
        let born = u64::from_be_bytes(input.array()?);
        let life = u64::from_be_bytes(input.array()?);
        let sequence = u32::from_be_bytes(input.array()?);
        let status = *Status::ALL.get(usize::from(input.byte()?))?;
        let name = input.text()?.parse().ok()?;
        let mut tags = Tags::default();
        for _ in 0..input.byte()? {
            let name = input.text()?;
            let length = usize::from(u16::from_be_bytes(input.array()?));
            let value = std::str::from_utf8(input.take(length)?).ok()?;
            tags.set(name, value).ok()?;
        }
        let count = usize::from(input.byte()?);
        if count > SERVICES_MAX || status == Status::Failed {
            return None;
        }
        let mut services = Vec::with_capacity(count);
        for _ in 0..count {
            services.push(Announced {
                name: input.text()?.parse().ok()?,
                port: u16::from_be_bytes(input.array()?),
                readiness: *Readiness::ALL.get(usize::from(input.byte()?))?,
            });
        }
        input.0.is_empty().then_some(Self {
            agent,
            born,
            life,
            sequence,
            name,
            status,
            tags,
            services,
        })
    }
}

/// The place of a value among all of its kind.
fn number<T: PartialEq + Copy>(all: &[T], value: T) -> u8 {
    let place = all.iter().position(|other| *other == value);
    place
        .and_then(|place| u8::try_from(place).ok())
        .unwrap_or_default()
}

/// Writes an address and its port.
pub fn put_address(out: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend(ip.octets());
        }
    }
    out.extend(address.port().to_be_bytes());
}

/// Writes a short text: a name has at most 64 bytes.
fn put_text(out: &mut Vec<u8>, text: &str) {
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend(text.as_bytes());
}

/// Bytes that are read from the front; `None` when there are too few.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// The next bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// An address and its port. A port of 0 cannot be sent to.
    pub fn address(&mut self) -> Option<SocketAddr> {
        let ip: IpAddr = match self.byte()? {
            4 => Ipv4Addr::from(self.array::<4>()?).into(),
            6 => Ipv6Addr::from(self.array::<16>()?).into(),
            _other => return None,
        };
        let port = u16::from_be_bytes(self.array()?);
        let bad = port == 0 || ip.is_unspecified() || ip.is_multicast();
        (!bad).then(|| SocketAddr::new(ip, port))
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::from(self.byte()?);
        std::str::from_utf8(self.take(length)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let mut tags = Tags::default();
        tags.set("role", "backend").unwrap();
        tags.set("zone", "a, b = c").unwrap();
        Record {
            agent: "10.0.0.7:7946".parse().unwrap(),
            born: 1_795_341_839_123,
            life: 1_795_341_839_123,
            sequence: 3,
            name: "s1".parse().unwrap(),
            status: Status::Alive,
            tags,
            services: vec![Announced {
                name: "webapp".parse().unwrap(),
                port: 3000,
                readiness: Readiness::Draining,
            }],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for agent in ["10.0.0.7:7946", "[fd00::1]:1"] {
            let record = Record {
                agent: agent.parse().unwrap(),
                ..record()
            };
            let bytes = record.bytes().unwrap();
            assert_eq!(Record::read(&bytes), Some(record));
        }
    }

    #[test]
    fn a_part_or_more_is_no_record() {
        let bytes = record().bytes().unwrap();
        for length in 0..bytes.len() {
            assert_eq!(Record::read(&bytes[..length]), None, "{length}");
        }
        assert_eq!(Record::read(&[bytes, vec![0]].concat()), None);
        assert_eq!(Record::read(&[VERSION; RECORD_BYTES_MAX + 1]), None);
    }

    /// What is read is always something that could have been written.
    #[test]
    fn any_byte_may_be_wrong() {
        let bytes = record().bytes().unwrap();
        for at in 0..bytes.len() {
            for value in 0..=u8::MAX {
                let mut bytes = bytes.clone();
                bytes[at] = value;
                if let Some(read) = Record::read(&bytes) {
                    // Tags may have come in another order.
                    let again = read.bytes().and_then(|bytes| Record::read(&bytes));
                    assert_eq!(again.as_ref(), Some(&read));
                    assert!(!format!("{read:?}").contains(['\n', '\r']));
                }
            }
        }
    }

    #[test]
    fn the_longest_is_refused_by_its_writer() {
        let mut record = record();
        let long = |i: usize| format!("{}{i}", "x".repeat(63)).parse().unwrap();
        record.tags.set("long", &"y".repeat(256)).unwrap();
        record.tags.set("longer", &"y".repeat(200)).unwrap();
        record.services = (0..SERVICES_MAX)
            .map(|i| Announced {
                name: long(i),
                port: 1,
                readiness: Readiness::Ready,
            })
            .collect();
        assert_eq!(record.bytes(), None);
        record.services.truncate(5);
        assert!(record.bytes().is_some());
    }

    #[test]
    fn a_later_life_or_number_is_later() {
        let first = record();
        let next = Record {
            sequence: 4,
            ..record()
        };
        let reborn = Record {
            life: first.life + 1,
            sequence: 0,
            ..record()
        };
        assert!(next.is_later_than(&first) && reborn.is_later_than(&next));
        assert!(!first.is_later_than(&first) && !first.is_later_than(&reborn));
    }
}
