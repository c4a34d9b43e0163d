//! The collector's address as people write it.

use std::fmt;
use std::str::FromStr;

use crate::syslog::record::Carrier;

/// `tcp://HOST:PORT` or `udp://HOST:PORT`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// TCP or UDP.
    pub carrier: Carrier,
    /// A name or an address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is neither tcp://HOST:PORT nor udp://HOST:PORT");
        let (scheme, place) = text.split_once("://").ok_or_else(bad)?;
        let carrier = match scheme {
            "tcp" => Carrier::Stream,
            "udp" => Carrier::Datagram,
            _ => return Err(bad()),
        };
        let (host, port) = place.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().ok().filter(|port| *port != 0);
        let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = match inner {
            Some(address) => address,
            None if host.contains(':') => return Err(bad()),
            None => host,
        };
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '[' | ']' | '@');
        if host.is_empty() || !host.chars().all(is_plain) {
            return Err(bad());
        }
        Ok(Self {
            carrier,
            host: host.to_owned(),
            port: port.ok_or_else(bad)?,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.carrier {
            Carrier::Stream => "tcp",
            Carrier::Datagram => "udp",
        };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["tcp://logs:514", "udp://10.0.0.1:1", "tcp://[fe80::1]:6514"] {
            let target: Target = good.parse().unwrap();
            assert_eq!(target.to_string(), good);
        }
        for bad in [
            "logs:514",
            "tcp://logs",
            "tcp://logs:0",
            "tcp://logs:514/",
            "tcp://:514",
            "tls://logs:514",
            "tcp://fe80::1:514",
            "tcp://a b:1",
        ] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
