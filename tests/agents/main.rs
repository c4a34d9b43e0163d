//! Real agents that gossip: who dies, leaves, stands still, comes late, or has another key or the
//! name of another, and a cable that is cut.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may stop where it stands, and starts processes"
)]

mod clients;
mod guide;
mod host;
mod node;
mod noise;
mod services;
mod six;
mod sources;
mod standing;
mod targets;

use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::node::{Agent, Cluster};

/// Longer than anything here takes.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Agents 1 to `count`, of which the first watches, once they know one another.
fn cluster(count: u8) -> (Cluster, Vec<Agent>) {
    let cluster = Cluster::new();
    let seeds = format!("seeds = [\"{}\"]\n", cluster.at(1));
    let more = |host| if host == 1 { "watch = true\n" } else { "" };
    let agents: Vec<Agent> = (1..=count)
        .map(|host| cluster.start(host, &format!("{seeds}{}", more(host))))
        .collect();
    for agent in &agents {
        agent.until("alive", usize::from(count), SOON);
    }
    // The watcher's sessions are there a moment later.
    std::thread::sleep(ms(300));
    (cluster, agents)
}

#[test]
fn a_death_is_noticed_at_once_and_a_leave_is_told_apart() {
    let (_cluster, mut agents) = cluster(4);
    agents[1].signal(Signal::SIGKILL);
    let died = agents[0].until("failed", 1, SOON);
    agents[2].signal(Signal::SIGTERM);
    let left = agents[0].until("left", 1, SOON);
    assert_eq!(agents[2].wait(), Some(0));
    println!("killed: failed after {died:?}; TERM: left after {left:?}");
    assert!(died < ms(500) && left < ms(500), "{died:?} {left:?}");
    // One without a session learns it by the gossip.
    agents[3].until("failed", 1, SOON);
    assert_eq!(agents[3].count("left"), 1);
}

#[test]
fn who_stands_still_has_not_failed() {
    let (_cluster, agents) = cluster(3);
    agents[1].signal(Signal::SIGSTOP);
    std::thread::sleep(ms(1500));
    agents[1].signal(Signal::SIGCONT);
    std::thread::sleep(ms(1500));
    let said = agents[0].said();
    assert!(!said.contains("member-failed"), "{said}");
    // It takes nobody for dead either.
    let said = agents[1].said();
    assert!(!said.contains("member-failed"), "{said}");
    // Nor for one that does not watch, by whose gossip it was lost: its kernel answered.
    agents[2].until("alive", 3, SOON);
    let said = agents[2].said();
    assert!(!said.contains("member-failed"), "{said}");
}

#[test]
fn the_watcher_may_stand_still_and_start_anew() {
    let (cluster, mut agents) = cluster(3);
    agents[0].signal(Signal::SIGSTOP);
    std::thread::sleep(ms(1500));
    agents[0].signal(Signal::SIGCONT);
    std::thread::sleep(ms(1000));
    let said = agents[0].said();
    assert!(!said.contains("member-failed"), "{said}");
    agents[0].signal(Signal::SIGKILL);
    agents[0].wait();
    let start = Instant::now();
    let again = cluster.start(1, "watch = true\n");
    again.until("alive", 3, SOON);
    println!("the seed is whole {:?} after its restart", start.elapsed());
    let said = again.said();
    assert!(!said.contains("member-failed"), "{said}");
}

#[test]
fn the_seed_may_come_last() {
    let cluster = Cluster::new();
    let seeds = format!("seeds = [\"{}\", \"no.such.name.invalid\"]", cluster.at(1));
    let others: Vec<Agent> = (2..=4).map(|host| cluster.start(host, &seeds)).collect();
    std::thread::sleep(ms(2500));
    assert_eq!(others[0].count("alive"), 1);
    let start = Instant::now();
    let first = cluster.start(1, "watch = true\n");
    first.until("alive", 4, SOON);
    let took = start.elapsed();
    println!("whole {took:?} after the seed's start");
    assert!(took < ms(4000), "{took:?}");
}

#[test]
fn another_key_is_no_member_and_harms_nobody() {
    let (cluster, agents) = cluster(2);
    let (at, key) = (cluster.at(1), cluster.file("other"));
    let stranger = format!(
        "seeds = [\"{at}\"]\nwatch = true\nkey-file = \"{}\"",
        key.display()
    );
    let stranger = cluster.start(9, &stranger);
    // Noise beside it: datagrams of every length, and a connection that says nonsense.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut noise = vec![0xA1_u8; 2000];
    for (number, byte) in noise.iter_mut().enumerate().skip(1) {
        *byte = u8::try_from(number % 251).unwrap();
    }
    for number in 0..20_000 {
        let _ = socket.send_to(&noise[..number % 1500], at);
    }
    for _ in 0..20 {
        let mut stream = TcpStream::connect(at).unwrap();
        let _ = stream.write_all(&noise);
    }
    let deadline = Instant::now() + SOON;
    while agents[0].refused().datagrams_unsealed < 1000 || agents[0].refused().sessions < 20 {
        assert!(Instant::now() < deadline, "{:?}", agents[0].refused());
        std::thread::sleep(ms(5));
    }
    assert_eq!(agents[0].count("alive"), 2);
    assert_eq!((stranger.count("alive"), stranger.members().len()), (1, 1));
    let said = agents[0].said();
    assert!(!said.contains("member-failed"), "{said}");
}

#[test]
fn of_two_with_one_name_the_newcomer_is_refused() {
    let (cluster, mut agents) = cluster(2);
    let seeds = format!("seeds = [\"{}\"]\n", cluster.at(1));
    let twin = cluster.start_at(cluster.at(3), "n2", &seeds, &[]);
    let deadline = Instant::now() + SOON;
    let told = |agent: &Agent, words: &str| agent.said().contains(words);
    while !told(&twin, "this node is no member") || !told(&agents[1], "is refused") {
        assert!(
            Instant::now() < deadline,
            "{}{}",
            twin.said(),
            agents[1].said()
        );
        std::thread::sleep(ms(5));
    }
    let members = agents[0].members();
    let n2 = members.iter().find(|m| m.name == "n2").unwrap();
    assert_eq!(n2.ip, cluster.at(2).ip().to_string());
    // It waits for its turn.
    agents[1].signal(Signal::SIGTERM);
    agents[1].wait();
    let deadline = Instant::now() + SOON;
    let third = cluster.at(3).ip().to_string();
    while !agents[0]
        .members()
        .iter()
        .any(|m| m.name == "n2" && m.ip == third)
    {
        assert!(Instant::now() < deadline, "{}", agents[0].said());
        std::thread::sleep(ms(5));
    }
}

#[test]
fn open_to_others_without_a_key_it_does_not_start() {
    let cluster = Cluster::new();
    let at: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let mut agent = cluster.start_at(at, "n1", "key-file = \"/nowhere\"", &[]);
    assert_eq!(agent.wait(), Some(1));
    assert!(
        agent.said().contains("cannot read the key"),
        "{}",
        agent.said()
    );
}

#[test]
fn a_bare_name_of_a_file_stands_where_we_are() {
    let cluster = Cluster::new();
    std::fs::write(cluster.file("1.toml"), "nmae = \"n1\"\n").unwrap();
    let mut command = Command::new(node::PIDONE);
    command.args(["agent", "--config", "1.toml"]);
    let done = command.current_dir(cluster.file(".")).output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(78), "{said}");
    assert!(
        said.contains("unknown key `nmae`") && said.contains("1.toml:1:1"),
        "{said}"
    );
}

#[test]
fn many_start_at_one_moment() {
    let count = std::env::var("AGENTS")
        .ok()
        .and_then(|text| text.parse().ok());
    let count: u8 = count.unwrap_or(12);
    let start = Instant::now();
    let (_cluster, agents) = cluster(count);
    println!(
        "{count} agents know one another after {:?}",
        start.elapsed()
    );
    assert_eq!(agents.len(), usize::from(count));
}

/// A command that must succeed.
pub(crate) fn run(words: &str) {
    let words: Vec<&str> = words.split(' ').collect();
    let done = Command::new(words[0]).args(&words[1..]).output().unwrap();
    let why = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{words:?}: {why}");
}

/// Three network namespaces on one bridge, which is in the first; gone when it is dropped.
struct Cables(u32);

impl Cables {
    fn new() -> Option<Self> {
        let own = std::process::id();
        let tried = Command::new("ip")
            .args(["netns", "add", &format!("pa{own}-1")])
            .output();
        if !tried.is_ok_and(|done| done.status.success()) {
            let _ = writeln!(
                std::io::stderr(),
                "skipped: network namespaces cannot be had"
            );
            let required = std::env::var("PIDONE_REQUIRE_ALL").is_ok_and(|v| v == "1");
            assert!(!required, "skipped where everything is required");
            return None;
        }
        let cables = Self(own);
        let first = cables.name(1);
        run(&format!("ip -n {first} link add br0 type bridge"));
        run(&format!("ip -n {first} addr add 10.77.0.1/24 dev br0"));
        run(&format!("ip -n {first} link set br0 up"));
        run(&format!("ip -n {first} link set lo up"));
        for host in 2..=3 {
            let name = cables.name(host);
            run(&format!("ip netns add {name}"));
            run(&format!(
                "ip -n {first} link add v{host} type veth peer name eth0 netns {name}"
            ));
            run(&format!("ip -n {first} link set v{host} master br0 up"));
            run(&format!("ip -n {name} addr add 10.77.0.{host}/24 dev eth0"));
            run(&format!("ip -n {name} link set eth0 up"));
            run(&format!("ip -n {name} link set lo up"));
        }
        Some(cables)
    }

    fn name(&self, host: u8) -> String {
        format!("pa{}-{host}", self.0)
    }
}

impl Drop for Cables {
    fn drop(&mut self) {
        for host in 1..=3 {
            let _ = Command::new("ip")
                .args(["netns", "del", &self.name(host)])
                .output();
        }
    }
}

#[test]
fn a_cut_cable_is_noticed_and_grows_together_again() {
    let Some(cables) = Cables::new() else { return };
    let cluster = Cluster::new();
    let agents: Vec<Agent> = (1..=3)
        .map(|host| {
            let at = SocketAddr::new(IpAddr::from([10, 77, 0, host]), 7946);
            let more = "seeds = [\"10.77.0.1\"]\nwatch = true\n";
            let name = cables.name(host);
            let before = ["ip", "netns", "exec", &name];
            cluster.start_at(at, &format!("n{host}"), more, &before)
        })
        .collect();
    for agent in &agents {
        agent.until("alive", 3, SOON);
    }
    std::thread::sleep(ms(500));
    for _ in 0..3 {
        let first = cables.name(1);
        run(&format!("ip -n {first} link set v2 down"));
        let noticed = agents[0].until("failed", 1, SOON);
        std::thread::sleep(ms(1500));
        run(&format!("ip -n {first} link set v2 up"));
        let healed = agents[0].until("alive", 3, SOON);
        agents[1].until("alive", 3, SOON);
        println!("cut: noticed after {noticed:?}; whole {healed:?} after its end");
        assert!(
            noticed < ms(2400) && healed < ms(4000),
            "{noticed:?} {healed:?}"
        );
        std::thread::sleep(ms(500));
    }
}
