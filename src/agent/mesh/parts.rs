//! What the mesh begins with: the key, the address by which others reach us, and the members that
//! were known at the last start.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::agent::config::{Config, Seed};
use crate::agent::gossip::own::TOO_MUCH;
use crate::agent::mesh::seal::Key;
use crate::members::member::Status;
use crate::members::record::Record;
use crate::members::words::MemberName;
use crate::os::{clock, files};
use crate::values::lists;

/// The variable with the key, as hexadecimal digits, where there is no file.
const VARIABLE: &str = "PIDONE_KEY";

/// A file with a key is no longer than this, in bytes.
const KEY_FILE_BYTES_MAX: u64 = 256;

/// More known members than this are not kept.
const PEERS_MAX: usize = 256;

/// The file with them is no longer than this, in bytes.
const PEERS_BYTES_MAX: u64 = 16 * 1024;

/// So long we look for a seed before we choose our address without one.
const LOOK_UP: Duration = Duration::from_millis(500);

/// The cluster's key, if there is one.
pub(super) fn key(config: &Config) -> Result<Option<Key>, String> {
    if let Some(path) = &config.key_file {
        let fault = |why: String| format!("cannot read the key in {}: {why}", path.display());
        let bytes = files::bounded(path, KEY_FILE_BYTES_MAX).map_err(fault)?;
        return Key::read(&bytes).map(Some).map_err(fault);
    }
    let Some(text) = std::env::var_os(VARIABLE) else {
        return Ok(None);
    };
    let key = Key::read(text.as_encoded_bytes());
    key.map(Some)
        .map_err(|why| format!("cannot use {VARIABLE}: {why}"))
}

/// The address by which others reach us, when we listen at `bound`.
pub(super) async fn advertised(config: &Config, bound: SocketAddr) -> SocketAddr {
    if let Some(address) = config.advertise {
        return address;
    }
    if !bound.ip().is_unspecified() {
        return bound;
    }
    let ip = match toward(&config.seeds).await {
        Some(ip) => ip,
        None => any().unwrap_or_else(|| IpAddr::from([127, 0, 0, 1])),
    };
    SocketAddr::new(ip, bound.port())
}

/// Our address on the way to the first seed that has one: a container may be in several networks.
async fn toward(seeds: &[Seed]) -> Option<IpAddr> {
    for seed in seeds.iter().take(4) {
        let found = timeout(LOOK_UP, lookup_host((seed.host.as_str(), seed.port))).await;
        let Ok(Ok(mut addresses)) = found else {
            continue;
        };
        let way = addresses.find_map(|to| {
            let any: SocketAddr = match to {
                SocketAddr::V4(_) => ([0; 4], 0).into(),
                SocketAddr::V6(_) => ([0; 16], 0).into(),
            };
            // Nothing is sent: the kernel only chooses the way (connect(2) of udp(7)).
            let socket = UdpSocket::bind(any).ok()?;
            socket.connect(to).ok()?;
            socket.local_addr().ok().map(|own| own.ip())
        });
        // Our own name leads to ourselves, by loopback or not.
        if let Some(way) = way.filter(|ip| !ip.is_loopback()) {
            return Some(way);
        }
    }
    None
}

/// The first address that is not loopback; one of IPv4 if there is any.
fn any() -> Option<IpAddr> {
    let mut found: Vec<IpAddr> = getifaddrs()
        .ok()?
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|at| IpAddr::V4(at.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|at| IpAddr::V6(at.ip())))
        })
        .filter(|ip| !ip.is_loopback())
        .collect();
    lists::sort_by_key(&mut found, IpAddr::is_ipv6);
    found.first().copied()
}

/// The members that were known at the last start.
pub(super) fn remembered(dir: &Path) -> Vec<SocketAddr> {
    let bytes = files::bounded(&dir.join("peers"), PEERS_BYTES_MAX).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().filter_map(|line| line.parse().ok());
    lines.take(PEERS_MAX).collect()
}

/// Keeps them for the next start.
pub(super) fn remember(dir: &Path, peers: &[SocketAddr]) -> Result<(), String> {
    let (path, fresh) = (dir.join("peers"), dir.join("peers.new"));
    let write = || {
        fs::create_dir_all(dir)?;
        let mut file = fs::File::create(&fresh)?;
        for peer in peers.iter().take(PEERS_MAX) {
            writeln!(file, "{peer}")?;
        }
        file.sync_all()?;
        fs::rename(&fresh, &path)
    };
    write().map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// What this node says of itself at first.
pub(super) fn own_record(
    config: &Config,
    name: MemberName,
    agent: SocketAddr,
) -> Result<Record, String> {
    let born = u64::try_from(clock::wall().as_millis()).unwrap_or(0);
    let own = Record {
        agent,
        born,
        life: born,
        sequence: 0,
        name,
        status: Status::Alive,
        tags: config.tags.clone(),
        services: config.announce.clone(),
    };
    if own.bytes().is_none() {
        return Err(TOO_MUCH.into());
    }
    Ok(own)
}
