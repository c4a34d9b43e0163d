//! An agent beside PID 1: what PID 1 tells of a service reaches a watcher at once.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::node::{Agent, Cluster, PIDONE};
use crate::{SOON, ms};

/// `pidone init` with an application `web` and the agent `n2`; both gone when it is dropped.
struct Host {
    init: Child,
    socket: PathBuf,
    agent_socket: PathBuf,
    /// What answers at the port of `web`, whatever becomes of its process.
    port: Option<TcpListener>,
}

impl Host {
    fn start(cluster: &Cluster) -> Self {
        let at = cluster.at(2);
        let port = TcpListener::bind((at.ip(), 0)).unwrap();
        let number = port.local_addr().unwrap().port();
        let root = cluster.file("services");
        let (socket, agent_socket) = (cluster.file("control.sock"), cluster.file("n2.sock"));
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
        for (name, text) in [("agent", agent.as_str()), ("web", web)] {
            fs::create_dir_all(root.join(name)).unwrap();
            fs::write(root.join(name).join("service.toml"), text).unwrap();
        }
        let log = fs::File::create(cluster.file("init.log")).unwrap();
        let init = Command::new(PIDONE)
            .args(["init", "--services", root.to_str().unwrap()])
            .env("PIDONE_SOCKET", &socket)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            init,
            socket,
            agent_socket,
            port: Some(port),
        }
    }

    fn pidone(&self, words: &[&str]) -> String {
        let done = Command::new(PIDONE)
            .args(words)
            .env("PIDONE_SOCKET", &self.socket)
            .output()
            .unwrap();
        assert!(done.status.success(), "{words:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// The main process of a service.
    fn pid(&self, service: &str) -> Pid {
        let text = self.pidone(&["status", service, "--json"]);
        let status: serde_json::Value = serde_json::from_str(&text).unwrap();
        let pid = status["services"][0]["pid"].as_i64().unwrap();
        Pid::from_raw(i32::try_from(pid).unwrap())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.init.id()).unwrap());
        let _ = kill(pid, Signal::SIGTERM);
        let _ = self.init.wait();
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
    let mut host = Host::start(&cluster);
    until(&watcher, "ready");
    std::thread::sleep(ms(300));

    // The application dies, and is back a second later.
    kill(host.pid("web"), Signal::SIGKILL).unwrap();
    let unready = until(&watcher, "unready");
    until(&watcher, "ready");

    // Its agent dies: the application still answers, and stays ready.
    kill(host.pid("agent"), Signal::SIGKILL).unwrap();
    let start = Instant::now();
    while start.elapsed() < ms(2500) {
        assert_eq!(web(&watcher), "ready", "{}", watcher.said());
        std::thread::sleep(ms(2));
    }
    let said = watcher.said();
    assert!(!said.contains("member-failed"), "{said}");

    // A drain returns when the watcher has acted on it.
    let socket = host.agent_socket.to_str().unwrap().to_owned();
    let start = Instant::now();
    host.pidone(&["drain", "web", "--socket", &socket]);
    let drained = start.elapsed();
    assert_eq!(web(&watcher), "draining");
    assert!(drained < ms(450), "{drained:?}");

    // All of it is killed at once: nothing answers, and nobody starts it again.
    let agent = host.pid("agent");
    let init = Pid::from_raw(i32::try_from(host.init.id()).unwrap());
    kill(init, Signal::SIGSTOP).unwrap();
    host.port = None;
    kill(agent, Signal::SIGKILL).unwrap();
    let failed = until(&watcher, "failed");
    kill(init, Signal::SIGCONT).unwrap();
    assert!(failed < ms(500), "{failed:?}");
    println!("application killed: unready after {unready:?}; drain {drained:?}");
    println!("all killed: failed after {failed:?}");
}
