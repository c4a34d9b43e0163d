//! The probes that dial: one attempt each, non-blocking, bounded in time and bytes. Addresses are
//! IPs already: PID 1 resolves no names.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::os::reason::reason;
use crate::service::address::HttpTarget;

/// What one attempt asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Is a connection accepted here?
    Tcp(SocketAddr),
    /// Is this page answered with 200–399?
    Http(HttpTarget),
    /// Is a connection to this unix socket accepted?
    Unix(PathBuf),
    /// Is anything here?
    File(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Http(HttpTarget { host, path, .. }) => write!(f, "http://{host}{path}"),
            Self::Unix(path) | Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The beginning of a status line that is needed: `HTTP/1.1 200`.
const STATUS_BYTES: usize = 12;

/// Asks once. The error says what was seen instead, for people.
pub async fn ask(target: &Target, within: Duration) -> Result<(), String> {
    let asked = match target {
        Target::Tcp(address) => timeout(within, connect(*address))
            .await
            .map(|r| r.map(drop)),
        Target::Http(http) => timeout(within, get(http)).await,
        Target::Unix(path) => timeout(within, connect_unix(path)).await,
        Target::File(path) => Ok(see(path)),
    };
    asked.unwrap_or_else(|_| Err(format!("no answer within {}ms", within.as_millis())))
}

async fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(address)
        .await
        .map_err(|error| format!("{address}: {}", plain(&error)))
}

async fn connect_unix(path: &Path) -> Result<(), String> {
    let connected = UnixStream::connect(path).await.map(drop);
    connected.map_err(|error| format!("{}: {}", path.display(), plain(&error)))
}

fn see(path: &Path) -> Result<(), String> {
    let seen = std::fs::metadata(path).map(drop);
    seen.map_err(|error| format!("{}: {}", path.display(), plain(&error)))
}

/// A `GET` of HTTP/1.1 by RFC 9112; of the answer only the status line is read.
async fn get(target: &HttpTarget) -> Result<(), String> {
    let mut stream = connect(target.address).await?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: pidone\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n",
        target.path, target.host
    );
    let failed = |error: io::Error| format!("{}: {}", target.address, plain(&error));
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut head = [0; STATUS_BYTES];
    stream.read_exact(&mut head).await.map_err(failed)?;
    match status(&head) {
        Some(200..=399) => Ok(()),
        Some(code) => Err(format!("{}: HTTP {code}", target.address)),
        None => Err(format!("{}: the answer is not HTTP", target.address)),
    }
}

fn status(head: &[u8]) -> Option<u16> {
    let rest = head
        .strip_prefix(b"HTTP/1.0 ")
        .or_else(|| head.strip_prefix(b"HTTP/1.1 "))?;
    std::str::from_utf8(rest).ok()?.parse().ok()
}

fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "closed without an answer".into(),
        _other => reason(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_status_line_is_an_answer() {
        assert_eq!(status(b"HTTP/1.1 200"), Some(200));
        assert_eq!(status(b"HTTP/1.0 503"), Some(503));
        for bad in [&b"HTTP/1.1 2x0"[..], b"HTTP/2.0 200", b"SSH-2.0-Open", b""] {
            assert_eq!(status(bad), None);
        }
    }
}
