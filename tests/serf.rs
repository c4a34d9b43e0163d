//! Debian's real Serf as the source of members, over its RPC.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops where it stands, and starts processes"
)]

mod support;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pidone::agent::sources::Report;
use pidone::agent::sources::serf::{Settings, follow};
use pidone::members::member::{Announced, Readiness};
use tokio::sync::{mpsc, watch};

use support::skip;

/// Longer than Serf takes for anything here.
const LONG: Duration = Duration::from_secs(30);

struct Serf {
    child: Child,
    gossip: SocketAddr,
    rpc: SocketAddr,
}

impl Drop for Serf {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free(ip: &str) -> SocketAddr {
    let listener = TcpListener::bind((ip, 0)).unwrap();
    listener.local_addr().unwrap()
}

impl Serf {
    fn start(name: &str, ip: &str, more: &[&str]) -> Self {
        let (gossip, rpc) = (free(ip), free(ip));
        let mut command = Command::new("serf");
        command.args(["agent", "-profile=local", "-tag", "role=backend"]);
        command.arg(format!("-node={name}"));
        command.arg(format!("-bind={gossip}"));
        command.arg(format!("-rpc-addr={rpc}"));
        command
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let by = Instant::now() + LONG;
        while TcpStream::connect(rpc).is_err() {
            assert!(Instant::now() < by, "serf does not listen");
        }
        Self { child, gossip, rpc }
    }
}

fn has_serf() -> bool {
    let known = Command::new("serf")
        .arg("version")
        .stdout(Stdio::null())
        .status();
    if known.is_err() {
        skip("serf is not installed");
    }
    known.is_ok()
}

/// A report as a line: `NAME STATUS ROLE SERVICES`, or the fault.
fn shown(report: Report) -> String {
    match report.answer {
        Err(why) => why,
        Ok(members) => {
            let one = |m: &pidone::members::member::Member| {
                let services = m.services.iter();
                let services = services.map(|s| format!(" {}:{}:{}", s.name, s.port, s.readiness));
                let role = m.tags.get("role").unwrap_or_default();
                format!(
                    "{} {} {role}{}",
                    m.name,
                    m.status,
                    services.collect::<String>()
                )
            };
            members.iter().map(one).collect::<Vec<_>>().join(", ")
        }
    }
}

async fn until(reports: &mut mpsc::Receiver<Report>, wanted: &str) {
    let mut seen = Vec::new();
    let found = tokio::time::timeout(LONG, async {
        loop {
            let line = shown(reports.recv().await.unwrap());
            seen.push(line);
            if seen.last().unwrap().contains(wanted) {
                return;
            }
        }
    });
    assert!(found.await.is_ok(), "no `{wanted}` in {seen:#?}");
}

fn story(body: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(body);
}

#[test]
fn members_come_announce_leave_and_the_agent_may_die() {
    if !has_serf() {
        return;
    }
    story(async {
        let one = Serf::start("n1", "127.0.0.1", &[]);
        let settings = Settings {
            rpc: one.rpc,
            auth: None,
        };
        let (_own, quiet) = watch::channel(None);
        let (tell, mut reports) = mpsc::channel(8);
        let task = tokio::spawn(follow(settings.clone(), quiet, tell));
        until(&mut reports, "n1 alive backend").await;
        let mut two = Serf::start("n2", "127.0.0.2", &["-join", &one.gossip.to_string()]);
        until(&mut reports, "n1 alive backend, n2 alive backend").await;
        // Our agent beside the other one tells of its service; it travels as a tag.
        let service = Announced {
            name: "web".parse().unwrap(),
            port: 3000,
            readiness: Readiness::Ready,
        };
        let (say, own) = watch::channel(Some(vec![service.clone()]));
        let (other, _ignored) = mpsc::channel(64);
        let beside = Settings {
            rpc: two.rpc,
            auth: None,
        };
        let announcing = tokio::spawn(follow(beside, own, other));
        until(&mut reports, "n2 alive backend web:3000:ready").await;
        let began = Instant::now();
        let draining = Announced {
            readiness: Readiness::Draining,
            ..service
        };
        say.send(Some(vec![draining])).unwrap();
        until(&mut reports, "n2 alive backend web:3000:draining").await;
        assert!(
            began.elapsed() < Duration::from_secs(4),
            "{:?}",
            began.elapsed()
        );
        announcing.abort();
        support::process::send(two.child.id().try_into().unwrap(), 2).unwrap();
        until(&mut reports, "n2 left").await;
        two.child.wait().unwrap();
        // The agent dies, and comes back where it was.
        let (gossip, rpc) = (one.gossip.to_string(), one.rpc.to_string());
        drop(one);
        until(&mut reports, "Serf at 127.0.0.1:").await;
        let mut again = Command::new("serf");
        let args = ["agent", "-node=n1", "-tag", "role=again"];
        again
            .args(args)
            .arg(format!("-bind={gossip}"))
            .arg(format!("-rpc-addr={rpc}"));
        let child = again
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let _again = Serf {
            child,
            gossip: settings.rpc,
            rpc: settings.rpc,
        };
        until(&mut reports, "n1 alive again").await;
        task.abort();
    });
}

#[test]
fn a_wrong_key_and_a_stranger_are_told() {
    if !has_serf() {
        return;
    }
    story(async {
        let dir = std::env::temp_dir().join(format!("pidone-serf-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let config = dir.join("auth.json");
        std::fs::write(&config, r#"{"rpc_auth": "sesame"}"#).unwrap();
        let agent = Serf::start(
            "n1",
            "127.0.0.3",
            &["-config-file", config.to_str().unwrap()],
        );
        for (auth, told) in [
            (None, "Authentication required"),
            (Some("simsala"), "Invalid authentication token"),
            (Some("sesame"), "n1 alive backend"),
        ] {
            let settings = Settings {
                rpc: agent.rpc,
                auth: auth.map(str::to_owned),
            };
            let (_own, quiet) = watch::channel(None);
            let (tell, mut reports) = mpsc::channel(8);
            let task = tokio::spawn(follow(settings, quiet, tell));
            until(&mut reports, told).await;
            task.abort();
        }
        let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
        let rpc = stranger.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in stranger.incoming() {
                let _ = std::io::Write::write_all(&mut stream.unwrap(), b"HTTP/1.1 400\r\n\r\n");
            }
        });
        let (_own, quiet) = watch::channel(None);
        let (tell, mut reports) = mpsc::channel(8);
        let settings = Settings { rpc, auth: None };
        let task = tokio::spawn(follow(settings, quiet, tell));
        until(&mut reports, "it answers something else").await;
        task.abort();
        let _ = std::fs::remove_dir_all(&dir);
    });
}
