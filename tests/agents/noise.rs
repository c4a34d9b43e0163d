//! What comes from the network and is not from a member: noise, and what members once said.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, socket};

use crate::node::{Agent, Cluster};
use crate::{SOON, cluster, ms};

/// Every datagram of IPv4 on loopback, as it passes.
struct Tap(OwnedFd);

impl Tap {
    fn open() -> Option<Self> {
        let (flags, all) = (SockFlag::SOCK_NONBLOCK, SockProtocol::EthAll);
        let tap = socket(AddressFamily::Packet, SockType::Datagram, flags, all);
        if tap.is_err() {
            let _ = writeln!(std::io::stderr(), "skipped: only root can listen to a wire");
            let required = std::env::var("PIDONE_REQUIRE_ALL").is_ok_and(|v| v == "1");
            assert!(!required, "skipped where everything is required");
        }
        tap.ok().map(Self)
    }

    /// What is said to this address within this time.
    fn hear(&self, at: SocketAddr, span: Duration) -> Vec<Vec<u8>> {
        let (mut heard, mut bytes) = (Vec::new(), [0; 2048]);
        let SocketAddr::V4(at) = at else { return heard };
        let start = Instant::now();
        while start.elapsed() < span {
            let Ok(count) = recv(self.0.as_raw_fd(), &mut bytes, MsgFlags::empty()) else {
                std::thread::sleep(ms(1));
                continue;
            };
            let packet = &bytes[..count];
            // Of IPv4 without options, UDP (RFC 791, RFC 768).
            if count > 28
                && packet[0] == 0x45
                && packet[9] == 17
                && packet[16..20] == at.ip().octets()
                && packet[22..24] == at.port().to_be_bytes()
            {
                heard.push(packet[28..].to_vec());
            }
        }
        heard
    }
}

fn status(agent: &Agent, name: &str) -> String {
    let members = agent.members();
    let found = members.iter().find(|member| member.name == name);
    found.map_or_else(String::new, |member| member.status.clone())
}

fn until(mut is_so: impl FnMut() -> bool, agent: &Agent) {
    let start = Instant::now();
    while !is_so() {
        let refused = agent.refused();
        assert!(start.elapsed() < SOON, "{refused:?}\n{}", agent.said());
        std::thread::sleep(ms(20));
    }
}

#[test]
fn what_was_said_once_is_no_news_when_it_comes_again() {
    let Some(tap) = Tap::open() else { return };
    let (cluster, mut agents) = cluster(3);
    let at = cluster.at(1);
    let heard = tap.hear(at, ms(2000));
    assert!(heard.len() > 10, "{} datagrams in two seconds", heard.len());
    agents[2].signal(Signal::SIGTERM);
    assert_eq!(agents[2].wait(), Some(0));
    agents[0].until("left", 1, SOON);
    let before = agents[0].refused();
    // All of it again, many times and from elsewhere: n3 stays gone, and n2 stays.
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..20 {
        for datagram in &heard {
            stranger.send_to(datagram, at).unwrap();
        }
        std::thread::sleep(ms(50));
    }
    std::thread::sleep(ms(500));
    assert_eq!(
        (status(&agents[0], "n2"), status(&agents[0], "n3")),
        ("alive".into(), "left".into())
    );
    let said = agents[0].said();
    assert!(!said.contains("member-failed"), "{said}");
    assert_eq!(said.matches("member-join n3").count(), 1, "{said}");
    assert_eq!(agents[0].refused(), before);
    // Cut short anywhere, with an octet that is another, or longer: nobody said that.
    let datagram = heard.iter().max_by_key(|datagram| datagram.len()).unwrap();
    let mut sent = 0;
    for at_octet in 0..datagram.len() {
        let mut other = datagram.clone();
        other[at_octet] ^= 0x40;
        stranger.send_to(&datagram[..at_octet], at).unwrap();
        stranger.send_to(&other, at).unwrap();
        stranger
            .send_to(&[&datagram[..], &other[..=at_octet]].concat(), at)
            .unwrap();
        sent += 3;
        if at_octet % 32 == 0 {
            std::thread::sleep(ms(5));
        }
    }
    stranger.send_to(&vec![0; 60_000], at).unwrap();
    until(
        || agents[0].refused().datagrams_unsealed > before.datagrams_unsealed + sent,
        &agents[0],
    );
    assert_eq!(
        agents[0].refused().datagrams_malformed,
        before.datagrams_malformed
    );
    assert_eq!(
        (status(&agents[0], "n2"), status(&agents[0], "n3")),
        ("alive".into(), "left".into())
    );
}

#[test]
fn ten_thousand_datagrams_a_second_of_noise() {
    let (cluster, mut agents) = cluster(3);
    let (at, span) = (cluster.at(1), Duration::from_secs(4));
    let noise: Vec<u8> = (0..1400_u32)
        .map(|n| u8::try_from(n * 7 % 251).unwrap())
        .collect();
    let sender = std::thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (start, mut sent) = (Instant::now(), 0_u32);
        while start.elapsed() < span {
            let due = u32::try_from(start.elapsed().as_millis()).unwrap() * 10;
            while sent < due {
                let length = usize::try_from(sent % 1400).unwrap();
                let _ = socket.send_to(&noise[..length], at);
                sent += 1;
            }
            std::thread::sleep(ms(1));
        }
        sent
    });
    let (start, before) = (Instant::now(), agents[0].cpu());
    std::thread::sleep(ms(1500));
    // In the middle of it a death is noticed, and nothing else is.
    agents[2].signal(Signal::SIGKILL);
    agents[2].wait();
    let took = agents[0].until("failed", 1, SOON);
    let sent = sender.join().unwrap();
    let (used, wall) = (agents[0].cpu().saturating_sub(before), start.elapsed());
    let refused = agents[0].refused().datagrams_unsealed;
    println!("{sent} sent, {refused} refused, {used:?} of CPU in {wall:?}; a death after {took:?}");
    assert!(
        sent > 30_000 && refused > u64::from(sent) / 2,
        "{sent} sent, {refused} refused"
    );
    assert!(took < ms(1500), "{took:?}");
    assert!(used < wall / 2, "{used:?} of CPU in {wall:?}");
    assert_eq!(status(&agents[0], "n2"), "alive");
    let said = agents[0].said();
    assert_eq!(said.matches("member-failed").count(), 1, "{said}");
}

#[test]
fn a_seed_that_never_answers_keeps_nobody_waiting() {
    let cluster = Cluster::new();
    // One that listens and accepts nobody, one that is nowhere, a name that is none.
    let deaf = TcpListener::bind((cluster.at(9).ip(), cluster.at(9).port())).unwrap();
    let (deaf, first) = (deaf.local_addr().unwrap(), cluster.at(1));
    let seeds =
        format!("seeds = [\"{deaf}\", \"192.0.2.1\", \"no.such.name.invalid\", \"{first}\"]\n");
    let start = Instant::now();
    let one = cluster.start(1, "watch = true\n");
    let two = cluster.start(2, &seeds);
    one.until("alive", 2, SOON);
    let took = start.elapsed();
    assert!(took < ms(4000), "{took:?}");
    let before = two.descriptors();
    std::thread::sleep(ms(3000));
    assert!(
        two.descriptors() <= before + 8,
        "{before} and then {}",
        two.descriptors()
    );
    assert_eq!((one.count("alive"), two.count("alive")), (2, 2));
}

/// What a bad peers file holds must not be more than no help.
#[test]
fn known_members_are_found_again_without_any_seed() {
    let cluster = Cluster::new();
    let more = |host: u8| {
        let state = cluster.file(&format!("state{host}")).display().to_string();
        format!("seeds = [\"{}\"]\nstate-dir = \"{state}\"\n", cluster.at(1))
    };
    let start = |host| cluster.start(host, &more(host));
    let mut agents: Vec<Agent> = [1, 2, 3].map(start).into();
    agents
        .iter()
        .for_each(|agent| _ = agent.until("alive", 3, SOON));
    let peers = cluster.file("state2/peers");
    until(
        || fs::read_to_string(&peers).is_ok_and(|text| text.lines().count() == 2),
        &agents[1],
    );
    for gone in [0, 1] {
        agents[gone].signal(Signal::SIGKILL);
        agents[gone].wait();
    }
    let again = start(2);
    again.until("alive", 2, SOON);
    assert_eq!(status(&again, "n3"), "alive");
    drop(again);
    // Whatever else is in the file: what can be read of it is used, and the rest is no harm.
    let known = cluster.at(3);
    for text in [
        format!("\0\u{ff}\n{known}\n999.1.1.1:1\n../../etc/passwd\n"),
        "x".repeat(1 << 20),
        String::new(),
    ] {
        fs::write(&peers, &text).unwrap();
        let again = start(2);
        again.until("alive", if text.contains('\n') { 2 } else { 1 }, SOON);
    }
}
