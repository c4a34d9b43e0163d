//! The machine's table, printed from the code: for two typical services, what each event makes of
//! each state. `UPDATE=1 cargo test --test machine_table` writes `golden/machine/table.txt` anew.

#![allow(clippy::unwrap_used, clippy::format_push_string, reason = "a test may")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use pidone::machine::step::step;
use pidone::machine::unit::{
    Cause, Event, Failure, Health, Next, Retry, Said, StartStep, Starting, State, Unit,
};
use pidone::service::definition::Service;
use pidone::values::{Exit, Moment, Pid, Signal};

mod services;
mod words;

use services::{api, migrate, mount, queue, report, web};
use words::{order, show};

/// Now, in every row.
const NOW: Moment = Moment::at(Duration::from_secs(1000));
/// A moment ago: what was due then is due.
const DUE: Moment = Moment::at(Duration::from_millis(999_999));
/// What is not due yet.
const LATER: Moment = Moment::at(Duration::from_secs(1003));

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
    if service.schedule.is_some() {
        states.extend(plans());
    }
    if service.down.is_some() {
        states.push(("finished, and can be undone", State::Undoable));
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
    ]);
    rows.extend(healths(service));
    rows
}

fn healths(service: &Service) -> Vec<Row> {
    let ready = |health, on_trial| State::Ready {
        pid: pid(),
        since: DUE,
        health,
        on_trial,
    };
    let unready = |health, failed| State::Unready {
        pid: pid(),
        health,
        failed,
    };
    let leaving = (
        "unready, it said that it is stopping",
        unready(Health::Unwatched, 0),
    );
    if service.health.as_ref().is_some_and(|h| h.probe.is_asked()) {
        return vec![
            ("ready, between checks", ready(Health::AskAt(LATER), false)),
            ("ready, a check is due", ready(Health::AskAt(DUE), false)),
            ("ready, asked", ready(Health::Asked, false)),
            (
                "ready, asked, within its `start-period`",
                ready(Health::Asked, true),
            ),
            ("unready, a check is due", unready(Health::AskAt(DUE), 1)),
            ("unready, asked", unready(Health::Asked, 1)),
            (
                "unready, asked, one failure is left",
                unready(Health::Asked, 2),
            ),
            leaving,
        ];
    }
    vec![
        ("ready", ready(Health::SignBy(LATER), false)),
        (
            "ready, silent for too long",
            ready(Health::SignBy(DUE), false),
        ),
        (
            "unready, silent for too long again",
            unready(Health::SignBy(DUE), 2),
        ),
        leaving,
    ]
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
    vec![
        ("spawning finish (only within a turn)", spawning),
        ("finishing, it died", at(LATER, died)),
        ("finishing, it died, finish's timeout is over", overdue),
        ("finishing, it was stopped", at(LATER, Next::Down)),
        ("waiting to restart", waits(LATER)),
        ("waiting to restart, it is time", waits(DUE)),
    ]
}

fn plans() -> Vec<Row> {
    let at = |at| State::Scheduled { at };
    vec![
        ("scheduled, being planned (only within a turn)", at(None)),
        ("scheduled", at(Some(LATER))),
        ("scheduled, it is time", at(Some(DUE))),
        ("waiting to restart", waits(LATER)),
        ("waiting to restart, it is time", waits(DUE)),
    ]
}

fn waits(until: Moment) -> State {
    let cause = Cause::Died;
    State::Backoff { until, cause }
}

fn pid() -> Pid {
    Pid::new(7).unwrap()
}

fn events(state: State) -> Vec<(&'static str, Event)> {
    let pid = Pid::new(8).unwrap();
    let by = Some(NOW + Duration::from_secs(1));
    let extend = Said::Extend(Duration::from_secs(60));
    let mut events = vec![
        ("start", Event::Start),
        ("go: its needs are ready", Event::Go),
        ("a need has failed", Event::NeedFailed),
        ("stop", Event::Stop { by: None }),
        ("stop within 1s", Event::Stop { by }),
        ("restart", Event::Restart),
        ("it has a schedule", Event::Plan),
        ("planned: now", Event::Due(NOW)),
        ("planned: in 3s", Event::Due(LATER)),
        ("the clock is there, or was set", Event::Clock),
        ("kill", Event::Kill),
        ("spawned", Event::Spawned(pid)),
        ("not spawned", Event::SpawnFailed),
        ("exec'd", Event::Execed),
        ("exec failed", Event::ExecFailed),
        ("probe: ready", Event::Probed { ready: true }),
        ("probe: not ready", Event::Probed { ready: false }),
        ("it says that it is ready", Event::Said(Said::Ready)),
        ("… that it lives", Event::Said(Said::Alive)),
        ("… that it is not well", Event::Said(Said::Alarm)),
        ("… that it is stopping", Event::Said(Said::Stopping)),
        ("… that its start takes 60s", Event::Said(extend)),
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
         web: runs for ever, is probed by TCP (ready within 30s; health every 5s, 3 retries, \
         start-period 10s), has `finish` (5s), a stop timeout of 5s, and has failed once\n\n{}\n\
         migrate: a oneshot, not restarted, a stop timeout of 5s\n\n{}\n\
         api: runs for ever, `stop.before` of 500ms, stop timeout of 5s, has failed once\n\n{}\n\
         queue: tells by itself (ready within 30s; health every 5s, 2 retries, then nothing)\n\n{}\
         \n\
         report: a oneshot by a schedule, restarted on failure, and has failed once\n\n{}\n\
         mount: a oneshot with `down` (5s), not restarted\n\n{}",
        table(&web()),
        table(&migrate()),
        table(&api()),
        table(&queue()),
        table(&report()),
        table(&mount()),
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
