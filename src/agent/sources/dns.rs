//! Names as the source: every address behind a name, or every host and port behind a service's
//! name. The name servers are those of `/etc/resolv.conf`; a name that only the host's files know
//! is asked of the C library, on a thread.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::agent::sources::message::{Answer, Kind, Record, answer, question};
use crate::agent::sources::{Report, simple, unique};
use crate::members::member::{Member, Origin};
use crate::os::{clock, files};

/// For one answer; asked again of the next server then.
const PATIENCE: Duration = Duration::from_secs(1);
/// Twice round the servers.
const ROUNDS: usize = 2;
/// Asked no more often, whatever the answers' time to live.
const POLL_MIN: Duration = Duration::from_secs(1);
/// And no less often: Docker says 600 s of addresses that change any moment.
const POLL_MAX: Duration = Duration::from_secs(2);
/// As resolv.conf(5) has it.
const SERVERS_MAX: usize = 3;
/// The largest `/etc/resolv.conf`, bytes.
const RESOLV_BYTES_MAX: u64 = 64 << 10;
/// The largest datagram of an answer, bytes: what our questions welcome.
const DATAGRAM_BYTES_MAX: usize = 4096;

/// The names.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Settings {
    /// Whoever is behind any of them is a member.
    pub names: Vec<Name>,
}

/// A name, and what is behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    /// As it is asked for.
    pub name: String,
    /// The port of each address; `None`: the name is a service's, which says host and port.
    pub port: Option<u16>,
}

/// Reads `NAME:PORT`, or a service's name such as `_http._tcp.NAME`.
///
/// # Errors
/// It is neither.
pub fn name(text: &str) -> Result<Name, String> {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok().filter(|port| *port > 0)),
        None => (text, None),
    };
    let is_service = text.starts_with('_') && !text.contains(':');
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_name = name.chars().all(fits) && question(0, name, Kind::A).is_some();
    if !is_name || (port.is_none() && !is_service) {
        return Err(format!(
            "`{text}` is neither NAME:PORT nor a service like _http._tcp.NAME"
        ));
    }
    Ok(Name {
        name: name.to_owned(),
        port,
    })
}

/// Asks for the names again and again, for ever.
pub async fn follow(settings: Settings, reports: mpsc::Sender<Report>) {
    let mut last = None;
    loop {
        let (found, wait) = match all(&settings).await {
            Ok((members, ttl)) => (Ok(members), ttl.clamp(POLL_MIN, POLL_MAX)),
            Err(why) => (Err(why), POLL_MIN),
        };
        if last.as_ref() != Some(&found) {
            let (origin, answer) = (Origin::Dns, found.clone());
            if reports.send(Report { origin, answer }).await.is_err() {
                return;
            }
            last = Some(found);
        }
        sleep(wait).await;
    }
}

/// All names or none: half an answer would take the others out.
async fn all(settings: &Settings) -> Result<(Vec<Member>, Duration), String> {
    let mut members = Vec::new();
    let mut ttl = POLL_MAX;
    for name in &settings.names {
        let found = look_up(name).await;
        let (found, holds) = found.map_err(|why| format!("name {}: {why}", name.name))?;
        members.extend(found);
        ttl = ttl.min(holds);
    }
    Ok((unique(members), ttl))
}

async fn look_up(settings: &Name) -> Result<(Vec<Member>, Duration), String> {
    let servers = servers();
    match settings.port {
        None => services(&servers, &settings.name).await,
        Some(port) => {
            let found = addresses(&servers, &settings.name).await;
            let (ips, ttl) = match found {
                Ok((ips, ttl)) if !ips.is_empty() => (ips, ttl),
                // It may stand in /etc/hosts. Where that has none either, nobody is there.
                Ok((_, ttl)) => (by_library(&settings.name).await.unwrap_or_default(), ttl),
                Err(why) => (by_library(&settings.name).await.ok_or(why)?, POLL_MIN),
            };
            let members = ips.into_iter().filter_map(|ip| {
                simple(Origin::Dns, &name_of(ip, None), SocketAddr::new(ip, port)).ok()
            });
            Ok((unique(members.collect()), ttl))
        }
    }
}

/// A member has a name: one whose address is all that is known is called by it.
fn name_of(ip: IpAddr, port: Option<u16>) -> String {
    let plain = ip.to_string().replace(['.', ':'], "-");
    let port = port.map_or(String::new(), |port| format!("-{port}"));
    format!("ip-{plain}{port}")
}

async fn addresses(servers: &[SocketAddr], name: &str) -> Result<(Vec<IpAddr>, Duration), String> {
    let four = ask(servers, name, Kind::A).await?;
    // A server that knows nothing of IPv6 spoils nothing.
    let six = ask(servers, name, Kind::Aaaa).await.ok();
    let both = [Some(four), six].into_iter().flatten();
    let mut ttl = POLL_MAX;
    let mut ips = Vec::new();
    for answer in both {
        ttl = answer.ttl.map_or(ttl, |least| ttl.min(seconds(least)));
        for record in answer.records {
            match record {
                Record::Address { ip, .. } if !ips.contains(&ip) => ips.push(ip),
                Record::Address { .. } | Record::Service { .. } => {}
            }
        }
    }
    Ok((ips, ttl))
}

async fn services(servers: &[SocketAddr], name: &str) -> Result<(Vec<Member>, Duration), String> {
    let answer = ask(servers, name, Kind::Srv).await?;
    let ttl = answer.ttl.map_or(POLL_MAX, seconds);
    let mut members = Vec::new();
    for record in &answer.records {
        let Record::Service { host, port } = record else {
            continue;
        };
        let known = answer.records.iter().find_map(|record| match record {
            Record::Address { of, ip } if of == host => Some(*ip),
            Record::Address { .. } | Record::Service { .. } => None,
        });
        let ip = match known {
            Some(ip) => ip,
            // All hosts or none: half an answer would take the others out.
            None => {
                let (ips, _) = addresses(servers, host).await?;
                *ips.first().ok_or(format!("{host} has no address"))?
            }
        };
        members.extend(simple(
            Origin::Dns,
            &name_of(ip, Some(*port)),
            SocketAddr::new(ip, *port),
        ));
    }
    Ok((unique(members), ttl))
}

fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(u64::from(ttl))
}

/// `getaddrinfo(3)` on a thread; `None`: it knows none, or cannot ask.
async fn by_library(name: &str) -> Option<Vec<IpAddr>> {
    let name = name.to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let found = (name.as_str(), 0).to_socket_addrs();
        found.map(|found| found.map(|at| at.ip()).collect::<Vec<_>>())
    });
    let found = timeout(PATIENCE * 10, asked).await.ok()?.ok()?.ok();
    found.filter(|found| !found.is_empty())
}

fn servers() -> Vec<SocketAddr> {
    let text = files::bounded(Path::new("/etc/resolv.conf"), RESOLV_BYTES_MAX);
    name_servers(&String::from_utf8_lossy(&text.unwrap_or_default()))
}

/// The `nameserver` lines of resolv.conf(5).
fn name_servers(text: &str) -> Vec<SocketAddr> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let is_server = words.next() == Some("nameserver");
        is_server.then(|| words.next())?
    });
    let servers = lines.filter_map(|word| word.parse().ok());
    let servers = servers.map(|ip| SocketAddr::new(ip, 53));
    servers.take(SERVERS_MAX).collect()
}

/// Asks the servers one after the other, twice round.
async fn ask(servers: &[SocketAddr], name: &str, kind: Kind) -> Result<Answer, String> {
    if servers.is_empty() {
        return Err("there is no name server in /etc/resolv.conf".to_owned());
    }
    for server in servers.iter().cycle().take(servers.len() * ROUNDS) {
        // Not foreseeable from outside, like the port that the kernel chooses.
        let [low, high, ..] = (clock::wall().subsec_nanos() ^ std::process::id()).to_le_bytes();
        let id = u16::from_le_bytes([low, high]);
        let question = question(id, name, kind).ok_or("it is no name")?;
        let asked = timeout(PATIENCE, by_udp(*server, &question, id, name)).await;
        match asked {
            Ok(Ok(answer)) if !answer.is_cut => return Ok(answer),
            Ok(Ok(_)) => {
                let asked = timeout(PATIENCE, by_tcp(*server, &question, id, name)).await;
                if let Ok(Ok(answer)) = asked {
                    return Ok(answer);
                }
            }
            // The next server, or this one once more.
            Ok(Err(_)) | Err(_) => {}
        }
    }
    Err("no name server answers".to_owned())
}

async fn by_udp(server: SocketAddr, question: &[u8], id: u16, name: &str) -> io::Result<Answer> {
    let any: IpAddr = match server.ip() {
        IpAddr::V4(_) => [0, 0, 0, 0].into(),
        IpAddr::V6(_) => [0_u16; 8].into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    // Datagrams of others do not come through.
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut bytes = [0; DATAGRAM_BYTES_MAX];
    loop {
        let count = socket.recv(&mut bytes).await?;
        let bytes = bytes.get(..count).unwrap_or_default();
        if let Some(answer) = answer(bytes, id, name) {
            return Ok(answer);
        }
        // A server that says that it has failed is done; anything else may be a forgery.
        if bytes.get(..2) == Some(&id.to_be_bytes()) {
            return Err(io::Error::other("the name server cannot tell"));
        }
    }
}

async fn by_tcp(server: SocketAddr, question: &[u8], id: u16, name: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).unwrap_or(0).to_be_bytes();
    stream.write_all(&[&length[..], question].concat()).await?;
    let length = stream.read_u16().await?;
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await?;
    answer(&bytes, id, name).ok_or_else(|| io::Error::other("the name server cannot tell"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_port_or_is_a_services() {
        let read = |text: &str| name(text).map(|name| (name.name, name.port));
        assert_eq!(read("tasks.web:3000"), Ok(("tasks.web".into(), Some(3000))));
        assert_eq!(read("_http._tcp.web"), Ok(("_http._tcp.web".into(), None)));
        for bad in ["web", "web:", "web:0", "a/b:1", "", "_x:y", "a..b:1"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn servers_are_read_as_the_library_reads_them() {
        let text = "# x\nnameserver 127.0.0.11\noptions ndots:0\nnameserver bad\nnameserver ::1\n";
        assert_eq!(
            name_servers(text),
            [
                "127.0.0.11:53".parse().unwrap(),
                "[::1]:53".parse().unwrap()
            ]
        );
    }

    /// A name server that answers each question with these flags, and this address if it has one.
    fn server(flags: u16, ip: Option<[u8; 4]>) -> SocketAddr {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut bytes = [0; 512];
            while let Ok((count, from)) = socket.recv_from(&mut bytes) {
                let asked = &bytes[12..count - 11];
                let head = [&bytes[..2], &flags.to_be_bytes(), &[0, 1, 0]].concat();
                let counts = [u8::from(ip.is_some()), 0, 0, 0, 0];
                let mut answer = [&head[..], &counts, asked].concat();
                if let Some(ip) = ip {
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
                    answer.extend(ip);
                }
                socket.send_to(&answer, from).unwrap();
            }
        });
        address
    }

    #[test]
    fn a_server_that_is_silent_or_fails_is_not_a_cluster_that_is_empty() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().unwrap();
        runtime.block_on(async {
            let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let silent = silent.local_addr().unwrap();
            let (good, failing) = (server(0x8180, Some([10, 0, 0, 1])), server(0x8182, None));
            let (nobody, unknown) = (server(0x8180, None), server(0x8183, None));
            let no = Err("no name server answers".to_owned());
            assert_eq!(ask(&[silent, failing], "web", Kind::A).await, no);
            let found = addresses(&[silent, failing, good], "web").await.unwrap();
            assert_eq!(found, (vec!["10.0.0.1".parse().unwrap()], seconds(1)));
            assert!(addresses(&[nobody], "web").await.unwrap().0.is_empty());
            assert!(ask(&[unknown], "web", Kind::A).await.unwrap().is_unknown);
            assert!(
                services(&[nobody], "_http._tcp.web")
                    .await
                    .unwrap()
                    .0
                    .is_empty()
            );
        });
    }
}
