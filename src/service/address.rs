//! Where a probe asks: `IP:PORT`, `localhost:PORT`, `http://IP:PORT/PATH`, `/PATH`. PID 1 resolves
//! no names, because a resolver reads files, waits for networks and loads modules.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// sun_path of unix(7), without the NUL at its end.
const SOCKET_BYTES_MAX: usize = 107;

/// An HTTP probe's target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpTarget {
    /// Where to connect.
    pub address: SocketAddr,
    /// What to say in `Host:`.
    pub host: String,
    /// What to ask for, with its query; at least `/`.
    pub path: String,
}

/// Reads `IP:PORT` or `localhost:PORT`.
pub fn tcp(text: &str) -> Result<SocketAddr, String> {
    let (host, port) = text
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty() && (!host.contains(':') || host.ends_with(']')))
        .ok_or_else(|| format!("`{text}` is not an address with a port"))?;
    Ok(SocketAddr::new(ip(host)?, port_number(port)?))
}

/// Reads `http://IP[:PORT][/PATH]`; the port is 80 if none is given.
pub fn http(text: &str) -> Result<HttpTarget, String> {
    let rest = text
        .strip_prefix("http://")
        .ok_or_else(|| format!("`{text}` does not begin with `http://`"))?;
    if !rest.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!(
            "`{text}` holds blanks or other characters that a URL cannot have"
        ));
    }
    let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, tail) = rest.split_at(at);
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.ends_with(']'));
    let address = if has_port {
        tcp(host)?
    } else {
        SocketAddr::new(ip(host)?, 80)
    };
    let path = tail.split('#').next().unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok(HttpTarget {
        address,
        host: host.to_owned(),
        path: format!("{slash}{path}"),
    })
}

/// Reads an absolute path: a start has a directory of its own, which a probe has not.
pub fn path(text: &str) -> Result<PathBuf, String> {
    if text.starts_with('/') {
        Ok(PathBuf::from(text))
    } else {
        Err(format!("`{text}` is not an absolute path"))
    }
}

/// Reads the path of a unix socket, which is short: see unix(7).
pub fn socket(text: &str) -> Result<PathBuf, String> {
    if text.len() > SOCKET_BYTES_MAX {
        return Err(format!(
            "`{text}` is longer than the {SOCKET_BYTES_MAX} bytes that a socket's path can have"
        ));
    }
    path(text)
}

fn ip(host: &str) -> Result<IpAddr, String> {
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let six = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let parsed = match six {
        Some(six) => six.parse().map(IpAddr::V6).ok(),
        None => host.parse().map(IpAddr::V4).ok(),
    };
    parsed.ok_or_else(|| format!("`{host}` is neither an IP address nor `localhost`"))
}

fn port_number(text: &str) -> Result<u16, String> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let port = text.parse().ok().filter(|port| *port != 0 && digits);
    port.ok_or_else(|| format!("`{text}` is not a port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(tcp("localhost:80").unwrap().to_string(), "127.0.0.1:80");
        assert_eq!(tcp("10.0.0.1:5432").unwrap().to_string(), "10.0.0.1:5432");
        assert_eq!(tcp("[::1]:80").unwrap().to_string(), "[::1]:80");
        for bad in [
            "",
            ":80",
            "80",
            "localhost",
            "localhost:",
            "localhost:0",
            "localhost:65536",
            "db:80",
            "::1:80",
            "[::1]",
            "127.1:80",
            "1.2.3.4:+80",
            "[1.2.3.4]:80",
        ] {
            assert!(tcp(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn urls() {
        let shown = |text: &str| http(text).map(|t| format!("{} {} {}", t.address, t.host, t.path));
        for (url, target) in [
            (
                "http://127.0.0.1:3000/healthz",
                "127.0.0.1:3000 127.0.0.1:3000 /healthz",
            ),
            ("http://localhost", "127.0.0.1:80 localhost /"),
            ("http://localhost?a=1", "127.0.0.1:80 localhost /?a=1"),
            ("http://[::1]:8080/a?b#c", "[::1]:8080 [::1]:8080 /a?b"),
            ("http://[::1]", "[::1]:80 [::1] /"),
        ] {
            assert_eq!(shown(url), Ok(target.to_owned()), "{url}");
        }
        for bad in [
            "",
            "127.0.0.1:80/",
            "https://127.0.0.1/",
            "http://",
            "http://web/",
            "http://u@1.2.3.4/",
            "http://127.0.0.1/a b",
            "http://127.0.0.1/\r\nX: y",
            "http://127.0.0.1:x/",
        ] {
            assert!(http(bad).is_err(), "{bad}");
        }
    }
}
