//! Clients of the agent's own socket that mean it no good: each gets its answer or its end within
//! bounds, and the next one is served.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use nix::unistd::geteuid;
use pidone::agent::desk::ask_agent;
use pidone::agent::wire::{Reply, Request};

use crate::node::{Agent, Cluster, PIDONE};
use crate::{SOON, ms};

/// Nobody.
const STRANGER: u32 = 65534;
/// So long the agent waits for a question.
const PATIENCE_MS: u64 = 5000;

fn agent(cluster: &Cluster) -> Agent {
    let agent = cluster.start(1, "announce = [{ service = \"web\", port = 9 }]");
    agent.until("alive", 1, SOON);
    agent
}

fn connected(agent: &Agent) -> UnixStream {
    let stream = UnixStream::connect(&agent.socket).unwrap();
    stream.set_read_timeout(Some(ms(4 * PATIENCE_MS))).unwrap();
    stream
}

/// What is answered to these bytes, up to the end of the connection however that comes.
fn answer(agent: &Agent, said: &[u8]) -> String {
    let mut stream = connected(agent);
    // It may be closed in the middle.
    let _ = stream.write_all(said);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn serves(agent: &Agent) {
    let began = Instant::now();
    assert_eq!(agent.count("alive"), 1);
    assert!(began.elapsed() < ms(PATIENCE_MS / 2), "{began:?}");
}

fn eventually(mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + ms(3 * PATIENCE_MS);
    while !holds() {
        assert!(Instant::now() < until, "not in time");
        std::thread::sleep(ms(50));
    }
}

#[test]
fn a_line_without_end_is_refused_at_its_bound() {
    let cluster = Cluster::new();
    let agent = agent(&cluster);
    let huge = [b"{\"verb\":\"".as_slice(), &vec![b'a'; 8 << 20]].concat();
    let answer = answer(&agent, &huge);
    assert!(answer.contains("cannot read the request"), "{answer}");
    serves(&agent);
}

#[test]
fn garbage_gets_a_sentence() {
    let cluster = Cluster::new();
    let agent = agent(&cluster);
    let nested = "[".repeat(4000);
    for said in [
        b"\n".as_slice(),
        b"\0\xff\xfe\n",
        b"GET / HTTP/1.1\r\n",
        b"{\"verb\":\"reboot\"}\n",
        b"{\"verb\":\"drain\"}\n",
        b"{\"verb\":\"members\",\"since\":-1}\n",
        b"{\"verb\":\"status\"}{\"verb\":\"status\"}\n",
        nested.as_bytes(),
    ] {
        let answer = answer(&agent, said);
        assert!(answer.contains("cannot read the request"), "{answer}");
    }
    let other = ask_agent(
        &agent.socket,
        &Request::Drain {
            service: "a\nb".to_owned(),
        },
    );
    assert!(matches!(other, Ok(Reply::Error { .. })), "{other:?}");
    serves(&agent);
}

#[test]
fn half_a_line_and_silence_ends_in_time() {
    let cluster = Cluster::new();
    let agent = agent(&cluster);
    let mut stream = connected(&agent);
    stream.write_all(b"{\"verb\":").unwrap();
    serves(&agent);
    let began = Instant::now();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(answer, b"");
    assert!(began.elapsed() < ms(2 * PATIENCE_MS), "{began:?}");
    serves(&agent);
}

#[test]
fn two_hundred_of_our_own_are_bounded_and_it_heals() {
    let cluster = Cluster::new();
    let agent = agent(&cluster);
    let before = agent.descriptors();
    let crowd: Vec<UnixStream> = (0..200).map(|_| connected(&agent)).collect();
    let refused = ask_agent(&agent.socket, &Request::Status);
    let Ok(Reply::Error { message }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(message, "48 others ask already; try again later");
    assert!(agent.descriptors() <= before + 64);
    // Who says nothing has left by now, though none of these has closed its end.
    eventually(|| {
        let reply = ask_agent(&agent.socket, &Request::Status);
        matches!(reply, Ok(Reply::Status { .. }))
    });
    assert_eq!(crowd.len(), 200);
}

/// Whether another user can be played, and if not, why.
fn can_be_stranger() -> bool {
    let can = geteuid().is_root() && stranger(&["--version"]).is_some_and(|o| o.status.success());
    if !can {
        eprintln!("skipped: only root can be somebody else, who must be able to run {PIDONE}");
    }
    can
}

/// pidone, run by somebody else.
fn stranger(words: &[&str]) -> Option<Output> {
    somebody(STRANGER, words)
}

fn somebody(id: u32, words: &[&str]) -> Option<Output> {
    let mut command = Command::new(PIDONE);
    command.args(words).uid(id).gid(id);
    command.output().ok()
}

#[test]
fn a_stranger_may_look_but_not_drain() {
    if !can_be_stranger() {
        return;
    }
    let cluster = Cluster::new();
    let agent = agent(&cluster);
    let socket = agent.socket.to_str().unwrap();
    let drain = stranger(&["drain", "web", "--socket", socket]).unwrap();
    assert!(!drain.status.success());
    let said = String::from_utf8(drain.stderr).unwrap();
    assert!(said.contains("uid 65534 may not drain `web`"), "{said}");
    assert_eq!(agent.members()[0].services[0].state, "unready");
    let members = stranger(&["members", "--socket", socket]).unwrap();
    assert!(members.status.success());
}

/// Two hundred silent connections of somebody else; they end with it.
struct Crowd(Child);

impl Crowd {
    fn start(agent: &Agent) -> Option<Self> {
        let code = "use IO::Socket::UNIX; $| = 1; \
                    my @all = map { IO::Socket::UNIX->new(Peer => $ARGV[0]) } 1 .. 200; \
                    print \"in\\n\"; <STDIN>";
        let mut child = Command::new("perl")
            .args(["-e", code, agent.socket.to_str().unwrap()])
            .uid(STRANGER)
            .gid(STRANGER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut word = [0; 3];
        let read = child.stdout.as_mut().unwrap().read_exact(&mut word);
        let crowd = Self(child);
        read.is_ok().then_some(crowd)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn two_hundred_strangers_keep_nobody_else_waiting() {
    if !can_be_stranger() {
        return;
    }
    let cluster = Cluster::new();
    let agent = agent(&cluster);
    let before = agent.descriptors();
    let Some(crowd) = Crowd::start(&agent) else {
        eprintln!("skipped: there is no perl");
        return;
    };
    serves(&agent);
    assert!(agent.descriptors() <= before + 32);
    let socket = agent.socket.to_str().unwrap();
    let refused = stranger(&["members", "--socket", socket]).unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("16 others ask already"), "{said}");
    // Another stranger, such as the application's own user, is none of them.
    let other = somebody(STRANGER - 1, &["members", "--socket", socket]).unwrap();
    assert!(other.status.success(), "{other:?}");
    serves(&agent);
    drop(crowd);
    eventually(|| {
        let members = stranger(&["members", "--socket", socket]).unwrap();
        members.status.success()
    });
}
