//! Messages of the domain name system (RFC 1035, SRV of RFC 2782): questions written, answers read
//! with a bound on everything. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Hosts and ports of a service.
    Srv,
}

impl Kind {
    fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
            Self::Srv => 33,
        }
    }
}

/// One answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// An address of a name.
    Address {
        /// The name, in lower case.
        of: String,
        /// Its address.
        ip: IpAddr,
    },
    /// Where a service is.
    Service {
        /// The host, in lower case.
        host: String,
        /// The port.
        port: u16,
    },
}

/// An answer as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Those of the answer, and what came along with them.
    pub records: Vec<Record>,
    /// How long the shortest-lived of them holds, in seconds; `None`: there are none.
    pub ttl: Option<u32>,
    /// There is no such name.
    pub is_unknown: bool,
    /// It did not fit, and is to be asked for again over TCP.
    pub is_cut: bool,
}

/// Records that are looked at: a message has at most 64 KiB.
const RECORDS_MAX: usize = 4096;
/// Compression pointers in one name.
const JUMPS_MAX: usize = 32;
/// The longest name, bytes.
const NAME_BYTES_MAX: usize = 255;

/// The bytes of a question; `None`: that is no name.
pub fn question(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let mut out = id.to_be_bytes().to_vec();
    // Recursion is desired; one question, and nothing but an EDNS record (RFC 6891), by which a
    // longer answer is welcome.
    out.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    let name = name.trim_end_matches('.');
    if name.len() > NAME_BYTES_MAX - 2 {
        return None;
    }
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok();
        out.push(length.filter(|length| (1..=63).contains(length))?);
        out.extend(label.bytes());
    }
    out.push(0);
    out.extend(kind.number().to_be_bytes());
    out.extend([0, 1]);
    out.extend([0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);
    Some(out)
}

/// Reads the answer to the question `id` about `name`. `None`: it is none, or is no message.
pub fn answer(bytes: &[u8], id: u16, name: &str) -> Option<Answer> {
    let mut input = Input { bytes, at: 0 };
    let (of, flags) = (input.number()?, input.number()?);
    let (questions, answers) = (input.number()?, input.number()?);
    let (authorities, more) = (input.number()?, input.number()?);
    let is_answer = flags & 0x8000 != 0;
    if of != id || !is_answer || questions != 1 {
        return None;
    }
    if input.name()? != name.trim_end_matches('.').to_lowercase() {
        return None;
    }
    input.take(4)?;
    let code = flags & 0xf;
    let mut answer = Answer {
        records: Vec::new(),
        ttl: None,
        is_unknown: code == 3,
        is_cut: flags & 0x0200 != 0,
    };
    if code != 0 && code != 3 {
        // The server has failed, or refuses: that is not "nobody".
        return None;
    }
    if answer.is_cut {
        return Some(answer);
    }
    let all = usize::from(answers) + usize::from(authorities) + usize::from(more);
    for number in 0..all.min(RECORDS_MAX) {
        let (record, ttl) = input.record()?;
        if let Some(record) = record {
            answer.records.push(record);
            if number < usize::from(answers) {
                answer.ttl = Some(answer.ttl.map_or(ttl, |least| least.min(ttl)));
            }
        }
    }
    Some(answer)
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// A name, in lower case, without its last dot.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let mut after = None;
        let mut jumps = 0;
        loop {
            let length = self.byte()?;
            match length >> 6 {
                0 if length == 0 => break,
                0 => {
                    let label = self.take(usize::from(length))?;
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.push_str(std::str::from_utf8(label).ok()?);
                    if name.len() > NAME_BYTES_MAX {
                        return None;
                    }
                }
                3 => {
                    let low = self.byte()?;
                    after.get_or_insert(self.at);
                    jumps += 1;
                    if jumps > JUMPS_MAX {
                        return None;
                    }
                    self.at = usize::from(length & 0x3f) << 8 | usize::from(low);
                }
                _ => return None,
            }
        }
        self.at = after.unwrap_or(self.at);
        Some(name.to_lowercase())
    }

    /// A record, if it is of a kind that we know, and how long it holds, in seconds.
    fn record(&mut self) -> Option<(Option<Record>, u32)> {
        let of = self.name()?;
        let (kind, _class) = (self.number()?, self.number()?);
        let ttl = u32::from_be_bytes(self.take(4)?.try_into().ok()?);
        let length = usize::from(self.number()?);
        let end = self.at.checked_add(length)?;
        let record = match kind {
            1 => {
                let four: [u8; 4] = self.take(4)?.try_into().ok()?;
                let ip = Ipv4Addr::from(four).into();
                Some(Record::Address { of, ip })
            }
            28 => {
                let sixteen: [u8; 16] = self.take(16)?.try_into().ok()?;
                let ip = Ipv6Addr::from(sixteen).into();
                Some(Record::Address { of, ip })
            }
            33 => {
                self.take(4)?;
                let port = self.number()?;
                let host = self.name()?;
                Some(Record::Service { host, port })
            }
            _ => None,
        };
        self.at = end;
        (end <= self.bytes.len()).then_some((record, ttl))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with one question, and these records, whose owners point to the question's name.
    fn message(id: u16, flags: u16, name: &str, records: &[(u16, u32, Vec<u8>)]) -> Vec<u8> {
        let asked = question(id, name, Kind::A).unwrap();
        let mut out = id.to_be_bytes().to_vec();
        out.extend(flags.to_be_bytes());
        out.extend([0, 1, 0, u8::try_from(records.len()).unwrap(), 0, 0, 0, 0]);
        out.extend(&asked[12..asked.len() - 11]);
        for (kind, ttl, data) in records {
            out.extend([0xc0, 12]);
            out.extend(kind.to_be_bytes());
            out.extend([0, 1]);
            out.extend(ttl.to_be_bytes());
            out.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            out.extend(data);
        }
        out
    }

    #[test]
    fn addresses_and_services_are_read() {
        let srv = [&[0, 1, 0, 2, 0x0b, 0xb8][..], b"\x02S1\xc0\x0c"].concat();
        let bytes = message(
            7,
            0x8180,
            "Tasks.web",
            &[(1, 600, vec![10, 0, 0, 1]), (5, 1, vec![0]), (33, 30, srv)],
        );
        let answer = answer(&bytes, 7, "tasks.Web.").unwrap();
        assert_eq!(
            answer.records,
            [
                Record::Address {
                    of: "tasks.web".into(),
                    ip: "10.0.0.1".parse().unwrap()
                },
                Record::Service {
                    host: "s1.tasks.web".into(),
                    port: 3000
                },
            ]
        );
        assert_eq!((answer.ttl, answer.is_unknown), (Some(30), false));
    }

    #[test]
    fn nobody_and_no_answer_are_different() {
        let read = |flags| answer(&message(7, flags, "web", &[]), 7, "web");
        assert!(read(0x8183).unwrap().is_unknown);
        assert_eq!(read(0x8180).unwrap().records, []);
        assert_eq!(read(0x8182), None, "the server has failed");
        assert_eq!(read(0x0100), None, "a question");
        assert!(read(0x8380).unwrap().is_cut);
        let other = message(7, 0x8180, "web", &[]);
        assert_eq!(answer(&other, 8, "web"), None, "another question's");
        assert_eq!(answer(&other, 7, "ewb"), None);
    }

    #[test]
    fn nothing_that_is_sent_does_harm() {
        let good = message(7, 0x8180, "web", &[(1, 1, vec![10, 0, 0, 1])]);
        for end in 0..good.len() {
            assert_eq!(answer(&good[..end], 7, "web"), None, "{end}");
        }
        for at in 0..good.len() {
            for value in [0, 12, 0x3f, 0xc0, 0xff] {
                let mut bytes = good.clone();
                bytes[at] = value;
                let _ = answer(&bytes, 7, "web");
            }
        }
        // A name that points to itself.
        let mut bytes = message(7, 0x8180, "web", &[]);
        bytes[7] = 1;
        let at = u8::try_from(bytes.len()).unwrap();
        bytes.extend([0xc0, at, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 1, 2, 3, 4]);
        assert_eq!(answer(&bytes, 7, "web"), None);
        assert_eq!(question(1, "a..b", Kind::A), None);
        assert_eq!(question(1, &"a".repeat(64), Kind::A), None);
        assert_eq!(question(1, &"a.".repeat(200), Kind::A), None);
    }
}
