//! Stories of waiting: what was asked for, what happens, and what is said at last.

use pidone::cli::goal::{Goal, Verdict, Watch};
use pidone::control::protocol::{
    Accepted, Before, Event, EventKind, ExitStatus, ServiceStatus, State,
};

/// Runs a story: the state before, then what happens (from 1000 ms on, every 300 ms), and
/// what is said at last.
fn story(goal: Goal, before: State, then: &[(State, Option<u8>)]) -> Option<Verdict> {
    let accepted = Accepted {
        mono_ms: 1000,
        services: vec![],
    };
    let before = Before {
        name: "web".into(),
        state: before,
        pid: None,
        starts: 1,
    };
    let (mut watch, mut verdict) = Watch::after(goal, &before, &accepted);
    for (at, (state, code)) in then.iter().enumerate() {
        assert_eq!(verdict, None, "too early, before {state}");
        verdict = watch.take(&event(1000 + 300 * at as u64, *state, *code));
    }
    verdict
}

fn event(mono_ms: u64, to: State, code: Option<u8>) -> Event {
    Event {
        ts: "2026-11-22T10:03:59.123Z".into(),
        mono_ms,
        event: EventKind::State,
        service: Some("web".into()),
        from: None,
        to: Some(to.word().into()),
        pid: (to == State::Ready).then_some(31),
        exit: code.map(|code| ExitStatus::Code { code }),
        why: None,
    }
}

#[track_caller]
fn says(verdict: Option<Verdict>, expected: &str) {
    let text = match verdict {
        None => "nothing".to_owned(),
        Some(Verdict::Yes(line)) => format!("yes {line}"),
        Some(Verdict::No(line)) => format!("no {line}"),
    };
    assert_eq!(text, expected);
}

#[test]
fn start() {
    use State::*;
    let start = |before, then: &[_]| story(Goal::Start, before, then);
    says(start(Ready, &[]), "yes web: already ready");
    says(
        start(Down, &[(Waiting, None), (Starting, None), (Ready, None)]),
        "yes web: ready after 0.6s, pid 31",
    );
    says(
        start(
            WaitingToRestart,
            &[(Starting, None), (WaitingToRestart, Some(3))],
        ),
        "no web: waiting to restart after 0.3s: exit code 3",
    );
    says(
        start(Finished, &[(Starting, None), (Finished, Some(0))]),
        "yes web: finished after 0.3s",
    );
    says(
        start(Scheduled, &[(Starting, None), (Scheduled, Some(0))]),
        "yes web: scheduled after 0.3s",
    );
    says(
        start(Scheduled, &[(Starting, None), (Scheduled, Some(3))]),
        "no web: scheduled after 0.3s: exit code 3",
    );
    says(
        start(Starting, &[(WaitingToRestart, Some(1))]),
        "no web: waiting to restart after 0ms: exit code 1",
    );
    says(start(Failed, &[]), "nothing");
}

#[test]
fn restart_needs_a_new_start() {
    use State::*;
    let restart = |before, then: &[_]| story(Goal::Restart, before, then);
    says(restart(Ready, &[]), "nothing");
    says(
        restart(
            Ready,
            &[
                (Stopping, None),
                (Waiting, None),
                (Starting, None),
                (Ready, None),
            ],
        ),
        "yes web: ready after 0.9s, pid 31",
    );
    says(
        restart(
            Starting,
            &[
                (Stopping, None),
                (Waiting, None),
                (Starting, None),
                (Failed, Some(2)),
            ],
        ),
        "no web: failed after 0.9s: exit code 2",
    );
}

#[test]
fn stop_and_time() {
    use State::*;
    says(story(Goal::Stop, Down, &[]), "yes web: already down");
    says(
        story(Goal::Stop, Ready, &[(Stopping, None), (Down, Some(0))]),
        "yes web: down after 0.3s, exit code 0",
    );
    let accepted = Accepted::default();
    let before = Before {
        name: "web".into(),
        state: Stopping,
        pid: None,
        starts: 1,
    };
    let (watch, _) = Watch::after(Goal::Stop, &before, &accepted);
    says(Some(watch.late(60_000)), "no web: still stopping after 1m");
}

#[test]
fn what_was_before_does_not_count() {
    let accepted = Accepted {
        mono_ms: 1000,
        services: vec![],
    };
    let before = Before {
        name: "web".into(),
        state: State::WaitingToRestart,
        pid: None,
        starts: 1,
    };
    let (mut watch, _) = Watch::after(Goal::Start, &before, &accepted);
    says(watch.take(&event(999, State::Failed, Some(1))), "nothing");
    let mut other = event(1001, State::Ready, None);
    other.service = Some("db".into());
    says(watch.take(&other), "nothing");
    says(
        watch.take(&event(1001, State::Ready, None)),
        "yes web: ready after 1ms, pid 31",
    );
}

#[test]
fn reload_is_told_by_its_event() {
    let accepted = Accepted {
        mono_ms: 1000,
        services: vec![],
    };
    let before = Before {
        name: "web".into(),
        state: State::Ready,
        pid: Some(31),
        starts: 1,
    };
    let (mut watch, _) = Watch::after(Goal::Reload, &before, &accepted);
    let mut done = event(1012, State::Ready, Some(1));
    done.event = EventKind::Reload;
    says(
        watch.take(&done),
        "no web: reload failed after 12ms: exit code 1",
    );
    done.exit = None;
    done.why = Some("SIGUSR2".into());
    says(watch.take(&done), "yes web: reloaded after 12ms, SIGUSR2");
    says(
        watch.take(&event(1013, State::Down, Some(1))),
        "no web: down after 13ms: exit code 1",
    );
}

#[test]
fn a_picture_makes_up_for_missed_events() {
    let accepted = Accepted {
        mono_ms: 1000,
        services: vec![],
    };
    let before = Before {
        name: "web".into(),
        state: State::Ready,
        pid: Some(31),
        starts: 1,
    };
    let (mut watch, _) = Watch::after(Goal::Restart, &before, &accepted);
    let mut now = ServiceStatus {
        name: "web".into(),
        state: State::Ready,
        pid: Some(31),
        for_ms: 1,
        restarts: 0,
        exit: None,
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
        detail: None,
    };
    // Still the old process.
    says(watch.resync(&now), "nothing");
    now.starts = 2;
    now.pid = Some(40);
    says(watch.resync(&now), "yes web: ready after 0ms, pid 40");
}
