//! What cannot be read as a request gets an error and the end of the connection.

use std::io::Write;
use std::net::Shutdown;

use crate::house::{House, STATUS};

/// What the server says to these bytes, up to the end of the connection.
fn told(house: &House, bytes: &[u8]) -> String {
    let mut talk = house.connect();
    // It may close before everything is sent.
    let _ = talk.0.write_all(bytes);
    talk.hear_all()
}

#[test]
fn garbage_is_refused_and_closed() {
    let house = House::open(None);
    let deep = "[".repeat(10_000) + "\n";
    let deep_inside = format!(
        r#"{{"version":1,"verb":"status","x":{}}}"#,
        "[".repeat(10_000)
    ) + "\n";
    let cases: [(&[u8], &str); 14] = [
        (
            b"garbage\n",
            "cannot read the request: expected value at line 1 column 1",
        ),
        (b"\n", "cannot read the request: EOF"),
        (b"\0\0\0\0\n", "cannot read the request: expected value"),
        (b"\xff\xfe\n", "cannot read the request: expected value"),
        (
            b"{\"version\":1,\"verb\":\"st\xffop\"}\n",
            "cannot read the request: invalid unicode",
        ),
        (deep.as_bytes(), "cannot read the request: "),
        (
            deep_inside.as_bytes(),
            "cannot read the request: recursion limit exceeded",
        ),
        (b"{}\n", "cannot read the request: missing field `version`"),
        (
            b"{\"version\":1}\n",
            "cannot read the request: missing field `verb`",
        ),
        (
            b"{\"verb\":\"status\"}\n",
            "cannot read the request: missing field `version`",
        ),
        (
            b"{\"version\":2,\"verb\":\"status\"}\n",
            "pidone speaks version 1 of the protocol, this is version 2",
        ),
        (
            b"{\"version\":1,\"verb\":\"explode\"}\n",
            "cannot read the request: unknown variant `explode`",
        ),
        (
            b"{\"version\":1,\"verb\":\"stop\"}\n",
            "cannot read the request: missing field `names`",
        ),
        (
            b"{\"version\":1,\"verb\":\"stop\",\"names\":7}\n",
            "cannot read the request: invalid type",
        ),
    ];
    for (bytes, message) in cases {
        let answer = told(&house, bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]);
        assert!(
            answer.contains(&format!(r#""message":"{message}"#)),
            "{shown}: {answer}"
        );
        assert!(
            answer.contains(r#""reply":"error","kind":"bad-request""#),
            "{answer}"
        );
        assert_eq!(answer.lines().count(), 1, "{answer}");
    }
}

#[test]
fn a_request_has_a_longest_length() {
    let house = House::open(None);
    let answer = told(&house, &vec![b'x'; 1 << 20]);
    assert!(
        answer.contains("a request has at most 65536 bytes"),
        "{answer}"
    );
    let names = vec!["\"web\""; 10_000].join(",");
    let long = format!(r#"{{"version":1,"verb":"status","names":[{names}]}}"#) + "\n";
    assert!(long.len() < 65_536);
    let mut talk = house.connect();
    talk.say(long.trim_end());
    assert!(talk.hear().contains(r#""reply":"status""#));
}

#[test]
fn half_a_line_is_a_line_when_nothing_follows() {
    let house = House::open(None);
    let mut talk = house.connect();
    talk.0.write_all(STATUS.as_bytes()).unwrap();
    talk.0.shutdown(Shutdown::Write).unwrap();
    assert!(talk.hear_all().contains(r#""reply":"status""#));
    let mut talk = house.connect();
    talk.0.write_all(&STATUS.as_bytes()[..10]).unwrap();
    talk.0.shutdown(Shutdown::Write).unwrap();
    assert!(talk.hear_all().contains("cannot read the request: EOF"));
}

#[test]
fn half_a_line_has_5_seconds() {
    let house = House::open(None);
    let mut talk = house.connect();
    talk.0.write_all(&STATUS.as_bytes()[..10]).unwrap();
    let answer = talk.hear_all();
    assert!(answer.contains("no whole request within 5s"), "{answer}");
}

#[test]
fn requests_may_follow_each_other() {
    let house = House::open(None);
    let mut talk = house.connect();
    let three = format!("{STATUS}\n{STATUS}\n{STATUS}\n");
    talk.0.write_all(three.as_bytes()).unwrap();
    for _ in 0..3 {
        assert!(talk.hear().contains(r#""reply":"status""#));
    }
    talk.say(r#"{"version":1,"verb":"stop","names":["wbe"]}"#);
    let refusal = talk.hear();
    assert!(refusal.contains("there is no service `wbe`"), "{refusal}");
    assert!(refusal.contains("did you mean `web`?"), "{refusal}");
    // A refused name is not a bad request: the conversation goes on.
    talk.say(STATUS);
    assert!(talk.hear().contains(r#""reply":"status""#));
}

#[test]
fn a_follower_says_nothing_more() {
    let house = House::open(None);
    let mut talk = house.connect();
    talk.say(r#"{"version":1,"verb":"events","follow":true}"#);
    assert!(talk.hear().contains(r#""reply":"status""#));
    talk.say(STATUS);
    let answer = talk.hear_all();
    assert!(
        answer.contains("a client that follows says nothing more"),
        "{answer}"
    );
}
