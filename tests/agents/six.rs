//! A cluster that speaks IPv6: on loopback, and over addresses of a network of its own.

use std::io::Write;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::node::{Agent, Cluster};
use crate::{SOON, ms, run};

/// Three agents, of which the first is the seed and watches; one dies, one leaves, one comes back.
fn lives(cluster: &Cluster, at: impl Fn(u16) -> SocketAddr, before: &[&str]) {
    let start = |number: u16| {
        let watch = if number == 1 { "watch = true\n" } else { "" };
        let more = format!("seeds = [\"{}\"]\n{watch}", at(1));
        cluster.start_at(at(number), &format!("n{number}"), &more, before)
    };
    let agents: Vec<Agent> = [1, 2, 3].map(start).into();
    for agent in &agents {
        agent.until("alive", 3, SOON);
    }
    std::thread::sleep(ms(300));
    let ips: Vec<String> = agents[0].members().into_iter().map(|one| one.ip).collect();
    assert_eq!(ips, [1, 2, 3].map(|number| at(number).ip().to_string()));
    agents[1].signal(Signal::SIGKILL);
    let died = agents[0].until("failed", 1, SOON);
    agents[2].signal(Signal::SIGTERM);
    let left = agents[0].until("left", 1, SOON);
    assert!(died < ms(500) && left < ms(500), "{died:?} {left:?}");
    let again = start(2);
    agents[0].until("alive", 2, SOON);
    again.until("alive", 2, SOON);
}

#[test]
fn members_of_loopback_live_and_die() {
    let Ok(free) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        let _ = writeln!(std::io::stderr(), "skipped: there is no IPv6 here");
        return;
    };
    drop(free);
    let cluster = Cluster::new();
    let port = cluster.at(1).port();
    lives(
        &cluster,
        |number| (Ipv6Addr::LOCALHOST, port + number).into(),
        &[],
    );
}

/// A network namespace; gone when it is dropped.
struct Namespace(String);

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).output();
    }
}

#[test]
fn members_of_a_network_live_and_die() {
    let name = format!("pa{}-six", std::process::id());
    let made = Command::new("ip").args(["netns", "add", &name]).output();
    if !made.is_ok_and(|made| made.status.success()) {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: network namespaces cannot be had"
        );
        let required = std::env::var("PIDONE_REQUIRE_ALL").is_ok_and(|v| v == "1");
        assert!(!required, "skipped where everything is required");
        return;
    }
    let namespace = Namespace(name);
    let name = &namespace.0;
    run(&format!("ip -n {name} link set lo up"));
    for number in 1..=3 {
        run(&format!(
            "ip -n {name} addr add fd77::{number}/64 dev lo nodad"
        ));
    }
    let cluster = Cluster::new();
    let at = |number| (Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, number), 7946).into();
    lives(&cluster, at, &["ip", "netns", "exec", name]);
}
