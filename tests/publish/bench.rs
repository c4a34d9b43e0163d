//! A haproxy with its directory, backends that answer with their name, and a publisher.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pidone::agent::config::{Apply, Template};
use pidone::agent::publish::{status::Told, task::Publisher};
use pidone::diag::Place;
use pidone::members::member::{Announced, Member, Origin, Readiness, Status};
use pidone::members::roster::Roster;
use pidone::members::words::Tags;
use pidone::os::clock;
use pidone::template::view::Own;

use crate::support::{SOON, skip};

const CONFIG: &str = "\
global
    stats socket {{env.DIR}}/admin.sock mode 600 level admin expose-fd listeners
    hard-stop-after 5s
defaults
    mode http
    timeout connect 250ms
    timeout client 5s
    timeout server 5s
frontend web
    bind 127.0.0.1:{{env.PORT}}
    default_backend nodes
backend nodes
    balance roundrobin
    default-server check inter 200ms fall 1 rise 1
    {{#each backends}}
    server {{host}} {{ip}}:{{port}}
    {{/each}}
";

/// Everything of one story; gone when it ends.
pub(crate) struct Bench {
    pub(crate) dir: PathBuf,
    pub(crate) port: u16,
    haproxy: Option<Child>,
    pub(crate) publisher: Publisher,
    pub(crate) roster: Roster,
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(mut child) = self.haproxy.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Whether there is a haproxy; says so if not.
pub(crate) fn has_haproxy() -> bool {
    let known = Command::new("haproxy")
        .arg("-v")
        .stdout(Stdio::null())
        .status();
    if known.is_err() {
        skip("haproxy is not installed");
    }
    known.is_ok()
}

/// A port that nobody has, until somebody takes it.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Bench {
    /// A publisher of one template, with this check; `apply` gets the haproxy's directory.
    pub(crate) fn new(name: &str, check: &[&str], first_sync: Duration) -> Self {
        let dir =
            std::env::temp_dir().join(format!("pidone-publish-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("h.hbs"), CONFIG).unwrap();
        let port = free_port();
        // haproxy's master is signalled as PID 1 would do it.
        let reload = format!("kill -USR2 $(cat {}/haproxy.pid)", dir.display());
        let check = check.iter().map(|&word| word.to_owned()).collect();
        let template = Template {
            from: dir.join("h.hbs"),
            to: dir.join("h.cfg"),
            check: Some(check),
            settle: Duration::from_millis(20),
            apply: Apply {
                haproxy: Some(dir.join("admin.sock")),
                backend: Some("nodes".into()),
                reload: None,
                command: Some(["sh", "-c", &reload].map(str::to_owned).to_vec()),
            },
            place: Place {
                path: "agent.toml".into(),
                spot: None,
            },
        };
        let own = Own {
            name: "ha".into(),
            tags: Tags::default(),
            env: vec![
                ("DIR".into(), dir.display().to_string()),
                ("PORT".into(), port.to_string()),
            ],
        };
        Self {
            publisher: Publisher::new(&[template], own, first_sync, clock::now()),
            roster: Roster::new(&[Origin::Static], 0),
            dir,
            port,
            haproxy: None,
        }
    }

    /// haproxy starts with the file as it is, and serves.
    pub(crate) fn start_haproxy(&mut self) {
        let log = fs::File::create(self.dir.join("haproxy.log")).unwrap();
        let mut command = Command::new("haproxy");
        command
            .args(["-W", "-db", "-f"])
            .arg(self.dir.join("h.cfg"));
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn();
        let child = child.unwrap();
        fs::write(self.dir.join("haproxy.pid"), child.id().to_string()).unwrap();
        self.haproxy = Some(child);
        let by = Instant::now() + SOON;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < by, "haproxy does not serve");
        }
    }

    /// These backends are ready from now on, and no others.
    pub(crate) fn members(&mut self, backends: &[(&str, SocketAddr)]) {
        let members = backends.iter().map(|(name, address)| Member {
            name: name.parse().unwrap(),
            address: address.ip(),
            port: 0,
            tags: Tags::default(),
            services: vec![Announced {
                name: "web".parse().unwrap(),
                port: address.port(),
                readiness: Readiness::Ready,
            }],
            status: Status::Alive,
            incarnation: 0,
            origin: Origin::Static,
        });
        let events = self.roster.take(Origin::Static, members.collect());
        self.publisher.offer(&self.roster, &events, clock::now());
    }

    /// The next turn's end, as the log tells it, without its figures.
    pub(crate) async fn turn(&mut self) -> String {
        let told = tokio::time::timeout(SOON, self.told()).await.unwrap();
        let text = told
            .to_string()
            .replace(&format!("{}/", self.dir.display()), "");
        let mut words: Vec<&str> = text.split(' ').collect();
        for at in 1..words.len() {
            if words[at].starts_with("ms") {
                words[at - 1] = "N";
            }
        }
        words.join(" ")
    }

    pub(crate) async fn told(&mut self) -> Told {
        loop {
            if let Some(told) = self.publisher.next().await {
                return told;
            }
        }
    }

    /// Who answers the next requests through haproxy, each on a connection of its own.
    pub(crate) fn served_by(&self, requests: usize) -> Vec<String> {
        let mut names: Vec<String> = (0..requests).map(|_| get(self.port)).collect();
        names.sort();
        names.dedup();
        names
    }

    pub(crate) fn file(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.dir.join(name)).ok()
    }
}

/// What is answered at this port, on a connection of its own.
pub(crate) fn get(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.rsplit("\r\n\r\n").next().unwrap().trim().to_owned()
}

/// A backend that answers every request with its name, for as long as the test runs.
pub(crate) fn backend(name: &'static str) -> (&'static str, SocketAddr) {
    backend_at(name, SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// The same at this address.
pub(crate) fn backend_at(name: &'static str, at: SocketAddr) -> (&'static str, SocketAddr) {
    let listener = TcpListener::bind(at).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                loop {
                    let mut line = String::new();
                    while line != "\r\n" {
                        line.clear();
                        if reader.read_line(&mut line).unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", name.len());
                    if stream
                        .write_all(format!("{head}{name}").as_bytes())
                        .is_err()
                    {
                        return;
                    }
                }
            });
        }
    });
    (name, address)
}

/// Runs a story in the agent's kind of runtime.
pub(crate) fn story(body: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(body);
}
