//! An agent beside PID 1: what PID 1 tells of a service reaches a watcher at once.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::Host;
use crate::node::{Agent, Cluster, PIDONE};
use crate::{SOON, ms};

/// `pidone init` with an application `web` and the agent `n2`.
struct Node {
    host: Host,
    agent_socket: PathBuf,
    /// What answers at the port of `web`, whatever becomes of its process.
    port: Option<TcpListener>,
}

impl Node {
    fn start(cluster: &Cluster) -> Self {
        let at = cluster.at(2);
        let port = TcpListener::bind((at.ip(), 0)).unwrap();
        let number = port.local_addr().unwrap().port();
        let agent_socket = cluster.file("n2.sock");
        let config = cluster.file("n2.toml");
        let text = format!(
            "name = \"n2\"\nbind = \"{at}\"\nsocket = \"{}\"\nkey-file = \"{}\"\n\
             seeds = [\"{}\"]\nannounce = [{{ service = \"web\", port = {number} }}]\n",
            agent_socket.display(),
            cluster.file("key").display(),
            cluster.at(1),
        );
        fs::write(&config, text).unwrap();
        let agent = format!(
            "command = [\"{PIDONE}\", \"agent\", \"--config\", \"{}\"]\n\
             control = [\"events\"]\n",
            config.display()
        );
        // Down for long enough to be seen.
        let web = "command = [\"sleep\", \"1000\"]\nafter = [\"agent\"]\n\
                   restart = { delay = \"1s\" }\n";
        let services = [("agent", agent.as_str()), ("web", web)];
        let host = Host::start(cluster, &services);
        Self {
            host,
            agent_socket,
            port: Some(port),
        }
    }
}

/// How the watcher sees `web` on `n2`.
fn web(watcher: &Agent) -> String {
    let members = watcher.members();
    let n2 = members.iter().find(|member| member.name == "n2");
    n2.map_or_else(String::new, |n2| match n2.status.as_str() {
        "alive" => n2.services[0].state.clone(),
        other => other.to_owned(),
    })
}

/// Waits until it sees it so; how long that took.
fn until(watcher: &Agent, state: &str) -> Duration {
    let start = Instant::now();
    while web(watcher) != state {
        let said = watcher.said();
        assert!(
            start.elapsed() < SOON,
            "{} and not {state}: {said}",
            web(watcher)
        );
        std::thread::sleep(ms(1));
    }
    start.elapsed()
}

#[test]
fn readiness_drain_and_death_reach_a_watcher_at_once() {
    let cluster = Cluster::new();
    let watcher = cluster.start(1, "watch = true\n");
    let mut node = Node::start(&cluster);
    until(&watcher, "ready");
    std::thread::sleep(ms(300));

    // The application dies, and is back a second later.
    kill(node.host.pid("web"), Signal::SIGKILL).unwrap();
    let unready = until(&watcher, "unready");
    until(&watcher, "ready");

    // Its agent dies: the application still answers, and stays ready.
    kill(node.host.pid("agent"), Signal::SIGKILL).unwrap();
    let start = Instant::now();
    while start.elapsed() < ms(2500) {
        assert_eq!(web(&watcher), "ready", "{}", watcher.said());
        std::thread::sleep(ms(2));
    }
    let said = watcher.said();
    assert!(!said.contains("member-failed"), "{said}");

    // A drain returns when the watcher has acted on it.
    let socket = node.agent_socket.to_str().unwrap().to_owned();
    let start = Instant::now();
    node.host.pidone(&["drain", "web", "--socket", &socket]);
    let drained = start.elapsed();
    assert_eq!(web(&watcher), "draining");
    assert!(drained < ms(450), "{drained:?}");

    // All of it is killed at once: nothing answers, and nobody starts it again.
    let agent = node.host.pid("agent");
    let init = Pid::from_raw(i32::try_from(node.host.init.id()).unwrap());
    kill(init, Signal::SIGSTOP).unwrap();
    node.port = None;
    kill(agent, Signal::SIGKILL).unwrap();
    let failed = until(&watcher, "failed");
    kill(init, Signal::SIGCONT).unwrap();
    assert!(failed < ms(500), "{failed:?}");
    println!("application killed: unready after {unready:?}; drain {drained:?}");
    println!("all killed: failed after {failed:?}");
}
