//! Clients that do not read, do not end, or are too many: nobody else waits for them.

use std::io::Write;
use std::thread;
use std::time::Duration;

use pidone::control::server::CLIENTS_MAX;
use pidone::os::clock;

use crate::house::{DEADLINE, House, STATUS, Talk};

/// A good client's answer comes within this, whatever the others do. Unloaded it takes 0.1 ms; the
/// rest is for a machine that is busy with other tests.
const LATENCY_MAX: Duration = Duration::from_millis(500);

/// Asks for the status once on a new connection; how long that took.
fn latency(house: &House) -> Duration {
    let before = clock::now();
    let mut talk = house.connect();
    talk.say(STATUS);
    assert!(talk.hear().contains(r#""reply":"status""#));
    clock::now().since(before)
}

/// Asks until `done`, and gives the longest time that it took.
fn worst_latency(house: &House, mut done: impl FnMut() -> bool) -> Duration {
    let begin = clock::now();
    let mut worst = Duration::ZERO;
    while !done() {
        worst = worst.max(latency(house));
        assert!(
            clock::now().since(begin) < DEADLINE,
            "it never came to an end"
        );
    }
    worst
}

#[test]
fn a_million_lines_delay_nobody() {
    let house = House::open(None);
    let mut garbage = house.connect();
    let mut requests = house.connect();
    let sender = |talk: &mut Talk, line: &str| -> thread::JoinHandle<bool> {
        let mut stream = talk.0.try_clone().unwrap();
        let block = format!("{line}\n").repeat(1000);
        thread::spawn(move || (0..1000).all(|_| stream.write_all(block.as_bytes()).is_ok()))
    };
    // The first garbage ends it; requests whose answers are not read end when one is stuck.
    let senders = [
        sender(&mut garbage, "garbage"),
        sender(&mut requests, STATUS),
    ];
    let worst = worst_latency(&house, || {
        senders.iter().all(thread::JoinHandle::is_finished)
    });
    for sender in senders {
        assert!(!sender.join().unwrap(), "all was taken");
    }
    assert!(worst < LATENCY_MAX, "{worst:?}");
    assert!(garbage.hear().contains("cannot read the request"));
}

#[test]
fn who_never_reads_is_told_what_he_missed() {
    let house = House::open(None);
    let mut follower = house.connect();
    follower.say(r#"{"version":1,"verb":"logs","last":1,"follow":true}"#);
    assert!(follower.hear().contains("line 0 "));
    let mut other = house.connect();
    let floods = 20;
    for _ in 0..floods {
        other.say(r#"{"version":1,"verb":"signal","signal":"SIGUSR1","names":["10000"]}"#);
        assert!(other.hear().contains(r#""reply":"ok""#));
    }
    assert!(latency(&house) < LATENCY_MAX);
    let (mut lines, mut skipped, mut kibibytes) = (0, 0, 0);
    while lines + skipped < floods * 10_000 {
        let line = follower.hear();
        kibibytes += line.len() / 64;
        let message: serde_json::Value = serde_json::from_str(&line).unwrap();
        match message["reply"].as_str().unwrap() {
            "line" => lines += 1,
            "skipped" => skipped += message["lines"].as_u64().unwrap(),
            other => panic!("{other}"),
        }
    }
    assert_eq!(lines + skipped, floods * 10_000);
    assert!(skipped > 0 && lines > 0);
    // Our queue and the kernel's: far less than the 30 MB that were published.
    assert!(kibibytes < 64 * 1024, "{kibibytes}");
}

#[test]
fn seats_are_limited_and_freed() {
    let house = House::open(None);
    let mut talks: Vec<Talk> = (0..CLIENTS_MAX).map(|_| house.connect()).collect();
    for talk in &mut talks {
        talk.say(STATUS);
        assert!(talk.hear().contains(r#""reply":"status""#));
    }
    let mut late = house.connect();
    assert!(late.hear_all().contains("too many clients"));
    talks.clear();
    // The tasks see the ends one by one; a seat is free soon.
    let begin = clock::now();
    loop {
        let mut talk = house.connect();
        let _ = talk.0.write_all(format!("{STATUS}\n").as_bytes());
        if talk.hear().contains(r#""reply":"status""#) {
            return;
        }
        assert!(clock::now().since(begin) < DEADLINE);
    }
}

#[test]
fn followers_leave_their_seats() {
    let house = House::open(None);
    for _ in 0..3 * CLIENTS_MAX {
        let mut talk = house.connect();
        talk.say(r#"{"version":1,"verb":"events","follow":true}"#);
        assert!(talk.hear().contains(r#""reply":"status""#));
    }
}

#[test]
fn a_forgotten_answer_is_not_waited_for_by_others() {
    let house = House::open(None);
    let mut forgotten = house.connect();
    forgotten.say(r#"{"version":1,"verb":"restart","names":["web"]}"#);
    assert!(latency(&house) < LATENCY_MAX);
    assert!(forgotten.hear_all().contains("no answer in time"));
}
