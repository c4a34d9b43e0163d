//! A server that leaves while it works: who drains it hears so once it has answered, or soon.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::bench::{Bench, backend, get, has_haproxy, story};
use super::stories::{HAPROXY, LONG};
use crate::support::SOON;

/// A backend that answers its requests only when it is told to.
struct Slow {
    address: SocketAddr,
    /// A request has reached it.
    asked: mpsc::Receiver<()>,
    answer: mpsc::Sender<()>,
}

impl Slow {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (ask, asked) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                // A health check connects, and says nothing.
                if stream.read(&mut [0; 4096]).unwrap_or(0) == 0 {
                    continue;
                }
                if ask.send(()).is_err() || answers.recv().is_err() {
                    return;
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
            }
        });
        Self {
            address,
            asked,
            answer,
        }
    }
}

/// haproxy with this server alone, at which a request waits for its answer.
async fn waiting(name: &str) -> (Bench, Slow, JoinHandle<String>) {
    let slow = Slow::start();
    let mut bench = Bench::new(name, &HAPROXY, LONG);
    bench.members(&[("slow", slow.address)]);
    bench.turn().await;
    bench.start_haproxy();
    bench.turn().await;
    let port = bench.port;
    let client = thread::spawn(move || get(port));
    slow.asked.recv_timeout(SOON).unwrap();
    (bench, slow, client)
}

async fn in_effect(bench: &mut Bench) -> Duration {
    let began = Instant::now();
    while !bench.publisher.is_in_effect() {
        let next = bench.publisher.next();
        tokio::time::timeout(SOON, next).await.unwrap();
    }
    began.elapsed()
}

#[test]
fn a_drain_is_over_when_the_request_is_answered() {
    if !has_haproxy() {
        return;
    }
    story(async {
        let (mut bench, slow, client) = waiting("answered").await;
        bench.members(&[backend("s2")]);
        assert_eq!(bench.turn().await, "h.cfg: 4 commands to haproxy, N ms");
        assert!(!bench.publisher.is_in_effect(), "a request is in flight");
        assert_eq!(bench.served_by(2), ["s2"], "new ones go elsewhere");
        slow.answer.send(()).unwrap();
        in_effect(&mut bench).await;
        assert!(client.join().unwrap().ends_with("slow"));
    });
}

#[test]
fn a_long_request_is_the_applications_to_finish() {
    if !has_haproxy() {
        return;
    }
    story(async {
        let (mut bench, slow, client) = waiting("long").await;
        bench.members(&[backend("s2")]);
        bench.turn().await;
        let waited = in_effect(&mut bench).await;
        assert!(waited > Duration::from_millis(100), "{waited:?}");
        assert!(!client.is_finished(), "it still waits for its answer");
        slow.answer.send(()).unwrap();
        assert!(client.join().unwrap().ends_with("slow"));
    });
}
