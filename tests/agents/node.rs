//! Real agents, each with an address of loopback or a namespace of its own.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pidone::agent::desk::ask_agent;
use pidone::agent::wire::{Reply, Request, WireMember, WireRefused};

pub(crate) const PIDONE: &str = env!("CARGO_BIN_EXE_pidone");

static NEXT: AtomicU32 = AtomicU32::new(1);

/// A cluster's folder, and its part of loopback: tests run beside one another.
pub(crate) struct Cluster {
    dir: PathBuf,
    number: u8,
    port: u16,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("agents-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("key"), "ab".repeat(32)).unwrap();
        fs::write(dir.join("other"), "cd".repeat(32)).unwrap();
        // Another test process has another port, and each cluster of one another network.
        let port = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
        let number = u8::try_from(number).unwrap();
        Self { dir, number, port }
    }

    /// Where the agent of this number is.
    pub(crate) fn at(&self, host: u8) -> SocketAddr {
        SocketAddr::new(IpAddr::from([127, 77, self.number, host]), self.port)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Starts the agent `nHOST`; `more` is added to its file.
    pub(crate) fn start(&self, host: u8, more: &str) -> Agent {
        self.start_at(self.at(host), &format!("n{host}"), more, &[])
    }

    /// Starts an agent anywhere; `before` are words before its command.
    pub(crate) fn start_at(
        &self,
        at: SocketAddr,
        name: &str,
        more: &str,
        before: &[&str],
    ) -> Agent {
        let dir = self.dir.display();
        let tag = at.to_string().replace([':', '.'], "-");
        let socket = self.dir.join(format!("{tag}.sock"));
        let file = self.dir.join(format!("{tag}.toml"));
        let key = if more.contains("key-file") {
            String::new()
        } else {
            format!("key-file = \"{dir}/key\"\n")
        };
        let text = format!(
            "name = \"{name}\"\nbind = \"{at}\"\nsocket = \"{}\"\n{key}{more}\n",
            socket.display()
        );
        fs::write(&file, text).unwrap();
        let log = self.dir.join(format!("{tag}.log"));
        let out = fs::File::options().create(true).append(true).open(&log);
        let out = out.unwrap();
        let file = file.to_str().unwrap();
        let words = [before, &[PIDONE, "agent", "--config", file]].concat();
        let child = Command::new(words[0])
            .args(&words[1..])
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Agent { child, socket, log }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// An agent; killed when it is dropped.
pub(crate) struct Agent {
    child: Child,
    pub(crate) socket: PathBuf,
    log: PathBuf,
}

impl Agent {
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, signal).unwrap();
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        let dir = format!("/proc/{}/fd", self.child.id());
        fs::read_dir(dir).unwrap().count()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The CPU's time that it has used.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // Behind the name, which may hold anything: utime and stime are fields 14 and 15 (proc(5)).
        let (_, rest) = stat.rsplit_once(')').unwrap();
        let ticks = rest.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Its exit code, once it has ended by itself.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    pub(crate) fn members(&self) -> Vec<WireMember> {
        match ask_agent(&self.socket, &Request::Members { since: None }) {
            Ok(Reply::Members { members, .. }) => members,
            Ok(other) => panic!("{other:?}"),
            Err(_) => Vec::new(),
        }
    }

    pub(crate) fn refused(&self) -> WireRefused {
        match ask_agent(&self.socket, &Request::Status) {
            Ok(Reply::Status { refused, .. }) => refused,
            other => panic!("{other:?}"),
        }
    }

    /// How many members it knows in this status.
    pub(crate) fn count(&self, status: &str) -> usize {
        let members = self.members();
        members.iter().filter(|m| m.status == status).count()
    }

    /// Waits until it knows so many in this status; how long that took.
    pub(crate) fn until(&self, status: &str, count: usize, within: Duration) -> Duration {
        let start = Instant::now();
        while self.count(status) != count {
            let took = start.elapsed();
            let (known, said) = (self.members(), self.said());
            assert!(took < within, "not {count} {status}: {known:?}\n{said}");
            std::thread::sleep(Duration::from_millis(1));
        }
        start.elapsed()
    }

    /// Its story.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
