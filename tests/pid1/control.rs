//! Clients that misbehave on the control socket: each is answered or dropped, none delays another.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::libc;

use crate::support::{Container, SOON, can_contain, container, poll};

fn fleet() -> Container {
    let it = container()
        .service("web", "command = [\"sleep\", \"1000\"]\n")
        .service(
            "talk",
            "command = \"while :; do echo line; sleep 0.01; done\"\n",
        )
        .start();
    it.until("web", "ready");
    it
}

fn connect(it: &Container) -> UnixStream {
    let path = format!("/proc/{}/root/run/pidone/control.sock", it.pid);
    let stream = UnixStream::connect(&path).expect(&path);
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    stream
}

/// The others are answered as if nothing had happened.
fn others_are_answered(it: &Container) {
    let asked = Instant::now();
    assert_eq!(it.service("web")["state"], "ready");
    assert!(
        asked.elapsed() < Duration::from_secs(2),
        "{:?}",
        asked.elapsed()
    );
}

/// The server says something or closes; it does not leave the client hanging.
fn answered_or_closed(mut stream: UnixStream) -> String {
    let mut answer = vec![0; 4096];
    match stream.read(&mut answer) {
        Ok(count) => String::from_utf8_lossy(&answer[..count]).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => String::new(),
        Err(error) => panic!("left hanging: {error}"),
    }
}

#[test]
fn garbage_gets_an_error_or_the_door() {
    if !can_contain() {
        return;
    }
    let mut it = fleet();
    let samples: [&[u8]; 6] = [
        b"garbage\n",
        b"{}\n",
        b"{\"version\":99}\n",
        b"\0\0\0\0\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n",
    ];
    for sample in samples {
        let mut stream = connect(&it);
        stream.write_all(sample).unwrap();
        let answer = answered_or_closed(stream);
        assert!(answer.is_empty() || answer.contains("error"), "{answer}");
        others_are_answered(&it);
    }
    it.stop();
}

#[test]
fn half_a_line_delays_nobody() {
    if !can_contain() {
        return;
    }
    let mut it = fleet();
    let mut half = Vec::new();
    for _ in 0..8 {
        let mut stream = connect(&it);
        stream.write_all(b"{\"version\":1,").unwrap();
        half.push(stream);
    }
    others_are_answered(&it);
    it.stop();
}

#[test]
fn a_line_without_end_is_cut() {
    if !can_contain() {
        return;
    }
    let mut it = fleet();
    let mut stream = connect(&it);
    let block = vec![b'x'; 64 * 1024];
    let cut = (0..1024).any(|_| stream.write_all(&block).is_err());
    assert!(cut, "64 MiB of one line were taken");
    others_are_answered(&it);
    it.stop();
}

#[test]
fn a_million_lines_delay_nobody() {
    if !can_contain() {
        return;
    }
    let mut it = fleet();
    let mut stream = connect(&it);
    let flood = std::thread::spawn(move || {
        let lines = "{}\n".repeat(10_000);
        for _ in 0..100 {
            if stream.write_all(lines.as_bytes()).is_err() {
                return;
            }
        }
    });
    others_are_answered(&it);
    flood.join().unwrap();
    others_are_answered(&it);
    it.stop();
}

#[test]
fn who_never_reads_delays_nobody() {
    if !can_contain() {
        return;
    }
    let mut it = fleet();
    // The shell lets go first, so that a client stopped before its exec holds nothing of ours.
    let follow = "exec >/tmp/followed 2>&1 </dev/null; /mnt/pidone logs -f & kill -STOP $!";
    for _ in 0..3 {
        assert_eq!(it.run(&["sh", "-c", follow]).code, 0);
    }
    for _ in 0..50 {
        others_are_answered(&it);
    }
    // The clients are strays that cannot hear TERM, so they are killed; the end comes all the same.
    it.signal(libc::SIGTERM);
    assert!(it.wait(SOON).after < Duration::from_secs(5));
}

#[test]
fn many_clients_are_bounded() {
    if !can_contain() {
        return;
    }
    let mut it = fleet();
    let clients: Vec<_> = (0..200)
        .filter_map(|_| {
            let path = format!("/proc/{}/root/run/pidone/control.sock", it.pid);
            let stream = UnixStream::connect(path).ok()?;
            stream.set_nonblocking(true).ok()?;
            Some(stream)
        })
        .collect();
    let pid = it.pid;
    let held = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count();
    assert!(held < 200, "PID 1 holds {held} descriptors");
    drop(clients);
    assert!(poll(SOON, || it.pidone(&["status"]).code == 0));
    it.stop();
}

#[test]
fn a_stranger_may_not_ask() {
    if !can_contain() {
        return;
    }
    let mut it = fleet();
    let script = "setpriv --reuid 4321 --regid 4321 --clear-groups /mnt/pidone stop web";
    let answer = it.run(&["sh", "-c", script]);
    assert_ne!(answer.code, 0, "{answer:?}");
    assert_eq!(it.service("web")["state"], "ready");
    it.stop();
}

#[test]
fn the_verbs_do_what_they_say() {
    if !can_contain() {
        return;
    }
    let mut it = fleet();
    let first = it.service("web")["pid"].clone();
    assert_eq!(it.pidone(&["stop", "web"]).code, 0);
    assert_eq!(it.service("web")["state"], "down");
    assert_eq!(
        it.pidone(&["wait", "--down", "web", "--timeout", "5s"])
            .code,
        0
    );
    assert_eq!(
        it.pidone(&["wait", "--ready", "web", "--timeout", "100ms"])
            .code,
        1
    );
    assert_eq!(it.pidone(&["start", "web"]).code, 0);
    assert_eq!(it.service("web")["state"], "ready");
    assert_eq!(it.pidone(&["restart", "web"]).code, 0);
    assert_ne!(it.service("web")["pid"], first);
    assert!(it.pidone(&["logs", "-n", "3", "talk"]).out.contains("line"));
    assert_eq!(it.pidone(&["signal", "KILL", "web"]).code, 0);
    assert!(poll(SOON, || it.service("web")["restarts"].as_u64() >= Some(1)));
    let nobody = it.pidone(&["stop", "nobody-there"]);
    assert_ne!(nobody.code, 0);
    assert!(nobody.err.contains("nobody-there"), "{nobody:?}");
    let events = it.pidone(&["events", "--json"]);
    for line in events.out.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(
            event["ts"].is_string() && event["mono_ms"].is_number(),
            "{line}"
        );
    }
    // The client may be gone with the container before it has said its own word.
    it.pidone(&["shutdown"]);
    assert_eq!(it.wait(SOON).code, 0, "{}", it.err.text());
}

#[test]
fn the_status_screen_reads_as_promised() {
    if !can_contain() {
        return;
    }
    let mut it = fleet();
    let screen = it.pidone(&["status"]).out;
    let head: Vec<_> = screen
        .lines()
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    assert_eq!(
        head,
        ["SERVICE", "STATE", "PID", "FOR", "RESTARTS", "NOTE"],
        "{screen}"
    );
    assert!(screen.contains("2 services: 2 ready"), "{screen}");
    let page = it.pidone(&["status", "web"]).out;
    assert!(page.starts_with("web: ready for "), "{page}");
    assert!(
        page.contains("file") && page.contains("service.toml"),
        "{page}"
    );
    let fields = it.pidone(&["status", "-o", "name,state"]).out;
    assert!(
        fields.contains("web") && !fields.contains("restarts"),
        "{fields}"
    );
    let status = it.status();
    assert_eq!(status["version"], 1);
    assert_eq!(status["phase"], "running");
    assert_eq!(status["pid"], 1);
    for field in [
        "name", "state", "pid", "for_ms", "restarts", "exit", "oom", "note",
    ] {
        assert!(
            status["services"][0].get(field).is_some(),
            "no {field}: {status}"
        );
    }
    it.stop();
}
