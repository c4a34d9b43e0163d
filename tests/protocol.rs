//! The words of the control socket, as they are written: whoever changes one of these lines breaks
//! somebody's program.

#![expect(
    clippy::expect_used,
    reason = "a test may fail; PID 1's rules are not its own"
)]

use std::fmt::Debug;

use pidone::control::protocol::{
    Accepted, Before, Change, Detail, ExitStatus, Line, Message, Need, Phase, Refusal, RefusalKind,
    Reply, Request, ServiceStatus, State, Status, Stream,
};
use pidone::values::{Exit, Signal};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// It is written so, and read back as it was.
#[track_caller]
fn writes<T: Serialize + DeserializeOwned + PartialEq + Debug>(body: T, expected: &str) {
    let message = Message::new(body);
    let text = serde_json::to_string(&message).expect("it can be written");
    assert_eq!(text, expected);
    let read: Message<T> = serde_json::from_str(&text).expect("it can be read");
    assert_eq!(read, message);
}

fn web() -> Vec<String> {
    vec!["web".into()]
}

#[test]
fn requests() {
    writes(
        Request::Status {
            names: web(),
            detail: true,
        },
        r#"{"version":1,"verb":"status","names":["web"],"detail":true}"#,
    );
    writes(
        Request::Start { names: web() },
        r#"{"version":1,"verb":"start","names":["web"]}"#,
    );
    writes(
        Request::Stop { names: web() },
        r#"{"version":1,"verb":"stop","names":["web"]}"#,
    );
    writes(
        Request::Restart { names: web() },
        r#"{"version":1,"verb":"restart","names":["web"]}"#,
    );
    writes(
        Request::Once { names: web() },
        r#"{"version":1,"verb":"once","names":["web"]}"#,
    );
    writes(
        Request::Signal {
            signal: "9".into(),
            group: true,
            names: web(),
        },
        r#"{"version":1,"verb":"signal","signal":"9","group":true,"names":["web"]}"#,
    );
    writes(
        Request::Reload { names: web() },
        r#"{"version":1,"verb":"reload","names":["web"]}"#,
    );
    writes(
        Request::Signal {
            signal: "SIGUSR1".into(),
            group: false,
            names: web(),
        },
        r#"{"version":1,"verb":"signal","signal":"SIGUSR1","names":["web"]}"#,
    );
    writes(
        Request::Logs {
            names: web(),
            last: Some(10),
            follow: true,
        },
        r#"{"version":1,"verb":"logs","names":["web"],"last":10,"follow":true}"#,
    );
    writes(
        Request::Events {
            last: None,
            follow: false,
        },
        r#"{"version":1,"verb":"events","last":null,"follow":false}"#,
    );
    writes(
        Request::Rescan { dry_run: true },
        r#"{"version":1,"verb":"rescan","dry_run":true}"#,
    );
    writes(
        Request::Shutdown { code: Some(3) },
        r#"{"version":1,"verb":"shutdown","code":3}"#,
    );
}

#[test]
fn what_may_be_left_out() {
    for (short, request) in [
        (
            r#""status""#,
            Request::Status {
                names: vec![],
                detail: false,
            },
        ),
        (
            r#""logs""#,
            Request::Logs {
                names: vec![],
                last: None,
                follow: false,
            },
        ),
        (
            r#""events""#,
            Request::Events {
                last: None,
                follow: false,
            },
        ),
        (r#""shutdown""#, Request::Shutdown { code: None }),
    ] {
        let text = format!(r#"{{"version":1,"verb":{short}}}"#);
        let read: Message<Request> = serde_json::from_str(&text).expect("it can be read");
        assert_eq!(read.body, request);
    }
}

#[test]
fn replies() {
    let before = Before {
        name: "web".into(),
        state: State::WaitingToRestart,
        pid: None,
        starts: 4,
    };
    writes(
        Reply::Ok(Accepted {
            mono_ms: 1000,
            services: vec![before],
        }),
        concat!(
            r#"{"version":1,"reply":"ok","mono_ms":1000,"services":"#,
            r#"[{"name":"web","state":"waiting-to-restart","pid":null,"starts":4}]}"#
        ),
    );
    writes(
        Reply::Error(Refusal::new(RefusalKind::No, "`web` is not running").hint("start it")),
        concat!(
            r#"{"version":1,"reply":"error","kind":"no","#,
            r#""message":"`web` is not running","hint":"start it"}"#
        ),
    );
    writes(
        Reply::Line(Line {
            ts: "2026-11-22T06:01:12.345Z".into(),
            service: "web".into(),
            stream: Stream::Stderr,
            text: "a \"b\"\t\u{1b}".into(),
        }),
        concat!(
            r#"{"version":1,"reply":"line","ts":"2026-11-22T06:01:12.345Z","service":"web","#,
            r#""stream":"stderr","text":"a \"b\"\t\u001b"}"#
        ),
    );
    writes(
        Reply::Skipped {
            ts: "2026-11-22T06:01:12.345Z".into(),
            lines: 7,
        },
        r#"{"version":1,"reply":"skipped","ts":"2026-11-22T06:01:12.345Z","lines":7}"#,
    );
    writes(Reply::End, r#"{"version":1,"reply":"end"}"#);
}

#[test]
fn a_detailed_status() {
    let detail = Detail {
        file: "CMD".into(),
        needs: vec![Need {
            name: "db".into(),
            state: State::Ready,
        }],
        after: vec!["log".into()],
        waits_for: vec!["db".into()],
        oneshot: false,
        main: true,
        ready: None,
        health: None,
        says: None,
        next_run_there: None,
        stop: "SIGTERM".into(),
        restart: "never".into(),
        reload: None,
        history: vec![Change {
            ts: "2026-11-22T06:01:12.345Z".into(),
            from: State::Waiting,
            to: State::Starting,
            why: None,
        }],
        lines: vec![],
    };
    let service = ServiceStatus {
        name: "cmd".into(),
        state: State::Starting,
        pid: Some(9),
        for_ms: 1,
        restarts: 0,
        exit: Some(Exit::Core(Signal::QUIT).into()),
        oom: false,
        note: None,
        enabled: true,
        wanted: true,
        starts: 1,
        next_try_ms: None,
        schedule: None,
        next_run: None,
        next_run_ms: None,
        last_run: None,
        last_run_ms: None,
        last_took_ms: None,
        detail: Some(detail),
    };
    writes(
        Reply::Status(Status {
            pid: 1,
            phase: Phase::Running,
            services: vec![service],
        }),
        concat!(
            r#"{"version":1,"reply":"status","pid":1,"phase":"running","services":["#,
            r#"{"name":"cmd","state":"starting","pid":9,"for_ms":1,"restarts":0,"#,
            r#""exit":{"signal":"SIGQUIT","core":true},"oom":false,"note":null,"#,
            r#""enabled":true,"wanted":true,"#,
            r#""starts":1,"next_try_ms":null,"schedule":null,"next_run":null,"next_run_ms":null,"#,
            r#""last_run":null,"last_run_ms":null,"last_took_ms":null,"file":"CMD","#,
            r#""needs":[{"name":"db","state":"ready"}],"after":["log"],"waits_for":["db"],"#,
            r#""oneshot":false,"main":true,"ready":null,"health":null,"says":null,"#,
            r#""next_run_there":null,"stop":"SIGTERM","#,
            r#""restart":"never","reload":null,"#,
            r#""history":[{"ts":"2026-11-22T06:01:12.345Z","from":"waiting","to":"starting","#,
            r#""why":null}],"lines":[]}]}"#
        ),
    );
}

#[test]
fn words_are_read_as_they_are_written() {
    for state in State::ALL {
        let text = serde_json::to_string(&state).expect("it can be written");
        assert_eq!(text, format!("\"{}\"", state.word()));
        assert_eq!(State::from_word(state.word()), Some(state));
        assert_eq!(State::from_word(&state.to_string()), Some(state));
    }
    for (exit, text) in [
        (Exit::Code(7), r#"{"code":7}"#),
        (Exit::Signal(Signal::KILL), r#"{"signal":"SIGKILL"}"#),
    ] {
        let status = ExitStatus::from(exit);
        assert_eq!(
            serde_json::to_string(&status).expect("it can be written"),
            text
        );
        assert_eq!(status.to_string(), exit.to_string());
    }
}
