//! The machine's table, printed from the code: for two typical services, what each event makes of
//! each state. `UPDATE=1 cargo test --test machine_table` writes `golden/machine/table.txt` anew.

#![allow(clippy::unwrap_used, clippy::format_push_string, reason = "a test may")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use pidone::machine::step::step;
use pidone::machine::unit::{
    Action, Cause, Event, Failure, Next, Retry, StartStep, Starting, State, Unit,
};
use pidone::service::definition::{Before, Finish, Kind, Probe, Ready, Service};
use pidone::values::{Exit, Moment, Pid, Signal};

/// Now, in every row.
const NOW: Moment = Moment::at(Duration::from_secs(1000));
/// A moment ago: what was due then is due.
const DUE: Moment = Moment::at(Duration::from_millis(999_999));
/// What is not due yet.
const LATER: Moment = Moment::at(Duration::from_secs(1003));

fn web() -> Service {
    let mut web = Service::new("web".parse().unwrap(), vec!["web".into()]);
    web.ready = Some(Box::new(Ready {
        probe: Probe::Tcp("127.0.0.1:80".into()),
        interval: Duration::from_millis(100),
        within: Some(Duration::from_secs(30)),
    }));
    web.finish = Some(Box::new(Finish {
        path: "finish".into(),
        timeout: Some(Duration::from_secs(5)),
    }));
    web.restart.jitter_permille = 0;
    web
}

fn migrate() -> Service {
    let mut migrate = Service::new("migrate".parse().unwrap(), vec!["migrate".into()]);
    migrate.kind = Kind::Oneshot;
    migrate.restart.when = pidone::service::definition::When::Never;
    migrate
}

fn api() -> Service {
    let mut api = Service::new("api".parse().unwrap(), vec!["api".into()]);
    api.stop.before = Some(Box::new(Before {
        command: vec!["drain".into()],
        timeout: Duration::from_millis(500),
    }));
    api.restart.jitter_permille = 0;
    api
}

type Row = (&'static str, State);

/// The rows of a table; states that wait for a moment come twice: before it and after it.
fn states(service: &Service) -> Vec<Row> {
    let mut states = vec![
        ("down", State::Down),
        ("waiting", State::Waiting),
        ("spawning (only within a turn)", State::Spawning),
    ];
    states.extend(starts(service));
    states.extend(stops(service));
    if service.finish.is_some() {
        states.extend(finishes());
    }
    states.extend([
        ("finished", State::Finished),
        ("failed", State::Failed(Failure::Died)),
        ("failed for want of a need", State::Failed(Failure::Need)),
    ]);
    states
}

fn starts(service: &Service) -> Vec<Row> {
    let at = |step, ready_by| {
        State::Starting(Starting {
            pid: pid(),
            step,
            ready_by: service.ready.as_ref().map(|_| ready_by),
        })
    };
    let exec = |by| at(StartStep::Exec { by }, LATER);
    let ready = State::Ready {
        pid: pid(),
        since: DUE,
    };
    let probe = |time| at(StartStep::ProbeAt(time), LATER);
    let mut rows = vec![
        ("starting, before its exec", exec(LATER)),
        ("starting, before its exec, for 10s", exec(DUE)),
    ];
    if service.ready.is_none() {
        rows.push(("starting: it runs", at(StartStep::Listen, LATER)));
        return rows;
    }
    let late = at(StartStep::Probing, DUE);
    rows.extend([
        ("starting, probed", at(StartStep::Probing, LATER)),
        ("starting, between probes", probe(LATER)),
        ("starting, a probe is due", probe(DUE)),
        ("starting, its `within` is over", late),
        ("ready, for less than `reset-after`", ready),
    ]);
    rows
}

fn stops(service: &Service) -> Vec<Row> {
    let stopping = |kill_at, next| State::Stopping {
        pid: pid(),
        kill_at,
        next,
    };
    let late = stopping(Some(LATER), Next::Policy(Cause::NotReady));
    let overdue = stopping(Some(DUE), Next::Down);
    let again = stopping(Some(LATER), Next::Restart);
    let never_ran = stopping(None, Next::Policy(Cause::Exec));
    let before = |until, next| State::BeforeStop {
        pid: pid(),
        until,
        by: None,
        next,
    };
    let mut rows = vec![
        ("stopping", stopping(Some(LATER), Next::Down)),
        ("stopping, its timeout is over", overdue),
        ("stopping, to be started again", again),
        ("stopping, it could not exec", never_ran),
    ];
    if service.ready.is_some() {
        rows.push(("stopping, its start was too long", late));
    }
    if service.stop.before.is_some() {
        rows.extend([
            ("stopping, `before` runs", before(LATER, Next::Down)),
            (
                "stopping, `before` runs, to be started again",
                before(LATER, Next::Restart),
            ),
            (
                "stopping, the time of `before` is over",
                before(DUE, Next::Down),
            ),
        ]);
    }
    rows
}

fn finishes() -> Vec<Row> {
    let exit = Exit::Code(1);
    let died = Next::Policy(Cause::Died);
    let at = |kill_at, next| State::Finishing {
        pid: pid(),
        exit,
        kill_at: Some(kill_at),
        next,
    };
    let spawning = State::SpawningFinish { exit, next: died };
    let overdue = at(DUE, died);
    let due = State::Backoff { until: DUE };
    vec![
        ("spawning finish (only within a turn)", spawning),
        ("finishing, it died", at(LATER, died)),
        ("finishing, it died, finish's timeout is over", overdue),
        ("finishing, it was stopped", at(LATER, Next::Down)),
        ("waiting to restart", State::Backoff { until: LATER }),
        ("waiting to restart, it is time", due),
    ]
}

fn pid() -> Pid {
    Pid::new(7).unwrap()
}

fn events(state: State) -> Vec<(&'static str, Event)> {
    let pid = Pid::new(8).unwrap();
    let by = Some(NOW + Duration::from_secs(1));
    let mut events = vec![
        ("start", Event::Start),
        ("go: its needs are ready", Event::Go),
        ("a need has failed", Event::NeedFailed),
        ("stop", Event::Stop { by: None }),
        ("stop within 1s", Event::Stop { by }),
        ("restart", Event::Restart),
        ("kill", Event::Kill),
        ("spawned", Event::Spawned(pid)),
        ("not spawned", Event::SpawnFailed),
        ("exec'd", Event::Execed),
        ("exec failed", Event::ExecFailed),
        ("probe: ready", Event::Probed { ready: true }),
        ("probe: not ready", Event::Probed { ready: false }),
        ("it says that it is ready", Event::Notified),
        ("before has ended", Event::BeforeEnded),
        ("tick", Event::Tick),
    ];
    // Nobody ends who does not live.
    if state.pid().is_some() {
        events.extend([
            ("exit 0", Event::Exited(Exit::Code(0))),
            ("exit 1", Event::Exited(Exit::Code(1))),
            ("exit 125", Event::Exited(Exit::Code(125))),
            ("died of SIGKILL", Event::Exited(Exit::Signal(Signal::KILL))),
        ]);
    }
    events
}

fn distance(at: Moment) -> String {
    if at <= NOW {
        return "now".into();
    }
    let millis = at.since(NOW).as_millis();
    if millis.is_multiple_of(1000) {
        format!("in {}s", millis / 1000)
    } else {
        format!("in {millis}ms")
    }
}

fn then(next: Next) -> &'static str {
    match next {
        Next::Down => "then down",
        Next::Restart => "then start",
        Next::Policy(Cause::Died) => "then as for a death",
        Next::Policy(Cause::NotReady) => "then as for a start that was too long",
        Next::Policy(Cause::Exec) => "then as for what cannot exec",
    }
}

fn killed(kill_at: Option<Moment>) -> String {
    kill_at.map_or_else(String::new, |at| format!("killed {}, ", distance(at)))
}

/// A state in words, with what is due in it.
fn show(state: State) -> String {
    match state {
        State::Down | State::Waiting | State::Finished => state.word().into(),
        State::Spawning => "spawning".into(),
        State::Starting(Starting { step, ready_by, .. }) => {
            let step = match step {
                StartStep::Exec { by } => format!("exec {}", distance(by)),
                StartStep::Listen => "it runs".into(),
                StartStep::ProbeAt(at) => format!("probe {}", distance(at)),
                StartStep::Probing => "probed".into(),
            };
            let ready = ready_by.map_or_else(String::new, |by| format!(", ready {}", distance(by)));
            format!("starting ({step}{ready})")
        }
        State::Ready { .. } => "ready".into(),
        State::BeforeStop {
            until, by, next, ..
        } => {
            let until = distance(until);
            format!("before (asked {until}, {}{})", killed(by), then(next))
        }
        State::Stopping { kill_at, next, .. } => {
            format!("stopping ({}{})", killed(kill_at), then(next))
        }
        State::SpawningFinish { next, .. } => format!("spawning finish ({})", then(next)),
        State::Finishing { kill_at, next, .. } => {
            format!("finishing ({}{})", killed(kill_at), then(next))
        }
        State::Backoff { until } => format!("waiting to restart ({})", distance(until)),
        State::Failed(failure) => format!("failed: {failure:?}").to_lowercase(),
    }
}

fn order(action: Action) -> &'static str {
    match action {
        Action::Spawn => "SPAWN",
        Action::SpawnFinish(_) => "RUN FINISH",
        Action::RunBefore => "RUN BEFORE",
        Action::KillBefore => "KILL BEFORE",
        Action::Ask(_) => "ASK IT TO END",
        Action::Kill(_) => "KILL",
        Action::Probe => "PROBE",
    }
}

/// The rows of one state: events with the same outcome in one row, those without any left out.
fn rows(service: &Service, state: State) -> Vec<(String, Vec<&'static str>)> {
    // The second failure in a row: the next restart waits.
    let retry = Retry {
        failures: 1,
        ..Retry::default()
    };
    let unit = Unit { state, retry };
    let mut rows: Vec<(String, Vec<&str>)> = Vec::new();
    for (name, event) in events(state) {
        let (after, actions) = step(service, &unit, event, NOW);
        if after == unit && actions.is_empty() {
            continue;
        }
        let mut outcome = show(after.state);
        for action in actions {
            outcome.push_str(&format!("  {}", order(action)));
        }
        match rows.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, names)) => names.push(name),
            None => rows.push((outcome, vec![name])),
        }
    }
    rows
}

fn table(service: &Service) -> String {
    let mut table = String::new();
    for (name, state) in states(service) {
        table.push_str(&format!("{name}\n"));
        for (outcome, names) in rows(service, state) {
            table.push_str(&format!("    {:<42} → {outcome}\n", names.join(", ")));
        }
    }
    table
}

#[test]
fn the_table_is_as_it_is_printed() {
    let text = format!(
        "What each event makes of each state. Orders are in capitals; what is not listed changes \
         nothing.\n\n\
         web: runs for ever, is probed by TCP (ready within 30s), has `finish` (5s), a stop \
         timeout of 5s, and has failed once\n\n{}\n\
         migrate: a oneshot, not restarted, a stop timeout of 5s\n\n{}\n\
         api: runs for ever, `stop.before` of 500ms, stop timeout of 5s, has failed once\n\n{}",
        table(&web()),
        table(&migrate()),
        table(&api()),
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/machine/table.txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == text,
        "the machine has changed; UPDATE=1 shows how:\n{text}"
    );
}
