//! What a service is handed: how much it can do with it, and how little harm.

use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use pidone::control::server::CLIENTS_LOOKING_MAX;
use pidone::os::passed::connection;

use crate::house::{DEADLINE, House, STATUS, Talk};

const RELOAD: &str = r#"{"version":1,"verb":"reload","names":["web"]}"#;
const EVENTS: &str = r#"{"version":1,"verb":"events","follow":true}"#;

fn handing() -> (House, Talk) {
    House::handing(&[("events", None), ("reload", Some("web"))])
}

/// Another connection by the same descriptor.
fn another(handed: &Talk) -> Talk {
    Talk::over(connection(handed.0.as_raw_fd(), DEADLINE).unwrap())
}

fn send(handed: &Talk, descriptors: &[RawFd]) -> bool {
    let rights = [ControlMessage::ScmRights(descriptors)];
    let to = handed.0.as_raw_fd();
    let flags = MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(to, &[IoSlice::new(b"\n")], &rights, flags, None).is_ok()
}

fn works(talk: &mut Talk) {
    talk.say(RELOAD);
    let answer = talk.hear();
    assert!(answer.contains(r#""reply":"ok""#), "{answer}");
}

#[test]
fn a_follower_lets_others_in() {
    let (_house, mut handed) = handing();
    handed.say(EVENTS);
    assert!(handed.hear().contains(r#""reply":"status""#));
    let mut first = another(&handed);
    let mut second = another(&handed);
    works(&mut first);
    works(&mut second);
    // What is refused ends a connection, but never the descriptor.
    second.say(STATUS);
    assert!(second.hear().contains("service `agent` may not `status`"));
    assert_eq!(second.hear(), "");
    works(&mut another(&handed));
}

#[test]
fn garbage_ends_it_and_nothing_else() {
    for garbage in ["garbage", "\0\0\0", r#"{"version":7}"#] {
        let (house, mut handed) = handing();
        let mut other = another(&handed);
        handed.say(garbage);
        let answer = handed.hear();
        assert!(answer.contains("bad-request"), "{answer}");
        assert_eq!(handed.hear(), "");
        works(&mut other);
        works(&mut house.connect());
    }
}

#[test]
fn a_line_without_end_is_cut() {
    let (house, handed) = handing();
    let mut stream = &handed.0;
    let block = vec![b'x'; 64 * 1024];
    assert!((0..1024).any(|_| stream.write_all(&block).is_err()));
    works(&mut house.connect());
}

#[test]
fn empty_lines_and_strange_descriptors_are_nothing() {
    let (house, mut handed) = handing();
    let file = File::open("/dev/null").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let datagrams = UnixDatagram::pair().unwrap();
    let strange = [file.as_raw_fd(), tcp.as_raw_fd(), datagrams.0.as_raw_fd()];
    assert!(send(&handed, &strange));
    handed.0.write_all(b"\n\n\n").unwrap();
    works(&mut handed);
    works(&mut another(&handed));
    works(&mut house.connect());
}

#[test]
fn a_flood_of_knocks_holds_nobody_up() {
    let (house, handed) = handing();
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    for _ in 0..200 {
        assert!(send(&handed, &[theirs.as_raw_fd(); 100]));
    }
    // Those that are seated stay; root has its own seats.
    works(&mut house.connect());
    const { assert!(CLIENTS_LOOKING_MAX < 200) };
    drop((ours, theirs));
    let begin = std::time::Instant::now();
    // The ends that nobody took are closed with their sockets, and their seats are free again.
    while connection(handed.0.as_raw_fd(), Duration::from_secs(5))
        .and_then(|mut stream| {
            writeln!(stream, "{RELOAD}")?;
            let mut answer = [0; 25];
            stream.read_exact(&mut answer)?;
            Ok(!answer.ends_with(b"\"ok\""))
        })
        .unwrap_or(true)
    {
        assert!(begin.elapsed() < DEADLINE, "nobody is let in any more");
    }
}
