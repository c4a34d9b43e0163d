//! One service walked exhaustively: every state that can be reached, with every event, for every
//! shape of service; and what must hold on each of these edges, each rule under its own name.
//!
//! Time is abstract: durations are small multiples of one unit, moments are kept as distances from
//! now, and distances that no rule tells apart are one bucket. A ghost beside the machine remembers
//! what really happened (which process lives, whether it got SIGKILL), so that the rules do not
//! take the machine's word for it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use pidone::machine::step::step;
use pidone::machine::unit::{
    Action, Cause, Event, Failure, Next, Retry, StartStep, Starting, State, Unit,
};
use pidone::service::definition::{
    Finish, Kind, Probe, Ready, Restart, RestartLimit, Service, When,
};
use pidone::values::{Exit, Moment, Pid};

/// The unit of abstract time: `RETRY_FIRST`, so that a backoff is one unit.
const UNIT: Duration = Duration::from_millis(250);
/// Now, in every node.
const NOW: Moment = Moment::at(Duration::from_secs(1000));
/// Later than every deadline, in units.
const FAR: i32 = 60;
/// Distances beyond this many units are one bucket: the exec's timeout.
const NEAR: i32 = 5;

/// A state of the walk: the machine's, and what the world knows.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Node {
    unit: Unit,
    ghost: Ghost,
}

/// What really happened.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Ghost {
    /// The process that lives.
    alive: Option<Pid>,
    /// It got SIGKILL.
    killed: bool,
    /// It never became the program, and ends by itself.
    never_ran: bool,
    /// The last automatic restart did not wait, and the service was not up for long since.
    unwaited: bool,
    /// It was told to stop, and not to start since.
    stopped: bool,
}

/// One edge of the walk.
#[derive(Debug)]
struct Edge<'a> {
    service: &'a Service,
    before: &'a Node,
    event: Event,
    now: Moment,
    after: Node,
    actions: Vec<Action>,
}

type Rule = fn(&Edge<'_>) -> bool;

/// The rules by name.
const RULES: &[(&str, Rule)] = &[
    ("a pid exists exactly while a process lives", pid_is_process),
    (
        "a stop ends: a kill is due or was sent, or the child ends by itself, or no timeout was asked for",
        stop_ends,
    ),
    (
        "a signal goes only to the current process",
        signal_to_current,
    ),
    (
        "every automatic restart waits or counts",
        restart_waits_or_counts,
    ),
    (
        "a start that timed out does not forget the retry count",
        timeout_counts,
    ),
    ("the limit bounds what is remembered", memory_is_bounded),
    ("spawning exists only with its order", spawning_is_ordered),
    (
        "finish runs exactly once per death of a program that ran",
        finish_once,
    ),
    (
        "what comes too late, or does not belong, changes nothing",
        late_is_nothing,
    ),
    ("after a tick nothing is due", tick_clears),
    ("a stopped service does not start by itself", stopped_stays),
    (
        "a probe is asked exactly when its answer is waited for",
        probe_is_waited_for,
    ),
    (
        "what is ready is neither hopeless nor trying",
        ready_is_hopeful,
    ),
    ("a stop is heard at once", stop_is_heard),
];

fn pid_is_process(edge: &Edge<'_>) -> bool {
    edge.after.unit.state.pid() == edge.after.ghost.alive
}

fn stop_ends(edge: &Edge<'_>) -> bool {
    let ghost = edge.after.ghost;
    match edge.after.unit.state {
        State::Stopping { kill_at, .. } => {
            kill_at.is_some()
                || ghost.killed
                || ghost.never_ran
                || edge.service.stop.timeout.is_none()
        }
        State::Finishing { kill_at, .. } => {
            let timeout = edge.service.finish.as_ref().and_then(|f| f.timeout);
            kill_at.is_some() || ghost.killed || timeout.is_none()
        }
        _other => true,
    }
}

fn signal_to_current(edge: &Edge<'_>) -> bool {
    edge.actions.iter().all(|action| match action {
        Action::Ask(pid) => {
            edge.before.ghost.alive == Some(*pid) && edge.before.unit.state.main_pid().is_some()
        }
        Action::Kill(pid) => edge.before.ghost.alive == Some(*pid),
        Action::Spawn | Action::SpawnFinish(_) | Action::Probe => true,
    })
}

/// Whether this edge is a restart by policy.
fn is_automatic_restart(edge: &Edge<'_>) -> bool {
    edge.before.unit.state.is_alive()
        && edge.after.unit.retry != Retry::default()
        && matches!(
            edge.after.unit.state,
            State::Waiting | State::Backoff { .. }
        )
}

fn restart_waits_or_counts(edge: &Edge<'_>) -> bool {
    if !is_automatic_restart(edge) {
        return true;
    }
    let waits = matches!(edge.after.unit.state, State::Backoff { .. });
    let was_unwaited = edge.before.ghost.unwaited && !was_up_long(edge);
    edge.after.unit.retry.failures > 0 && (waits || !was_unwaited)
}

fn was_up_long(edge: &Edge<'_>) -> bool {
    match edge.before.unit.state {
        State::Ready { since, .. } => edge.now.since(since) >= edge.service.restart.reset_after,
        _other => false,
    }
}

fn timeout_counts(edge: &Edge<'_>) -> bool {
    let late = matches!(
        edge.before.unit.state,
        State::Stopping {
            next: Next::Policy(Cause::NotReady | Cause::Exec),
            ..
        }
    );
    let forgets = edge.after.unit.retry.failures < edge.before.unit.retry.failures;
    let by_hand = matches!(edge.event, Event::Start | Event::Restart);
    !(late && forgets) || by_hand
}

fn memory_is_bounded(edge: &Edge<'_>) -> bool {
    let times = edge.service.restart.limit.map_or(0, |limit| limit.times);
    edge.after.unit.retry.restarts.len() <= times as usize
}

fn spawning_is_ordered(edge: &Edge<'_>) -> bool {
    let (before, after) = (edge.before.unit.state, edge.after.unit.state);
    let spawns = edge.actions.contains(&Action::Spawn);
    let finishes = |action: &&Action| matches!(action, Action::SpawnFinish(_));
    let is_finish = |state| matches!(state, State::SpawningFinish { .. });
    spawns == (after == State::Spawning && before != State::Spawning)
        && (edge.actions.iter().any(|a| finishes(&a))) == (is_finish(after) && !is_finish(before))
}

fn finish_once(edge: &Edge<'_>) -> bool {
    let orders: Vec<_> = edge
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::SpawnFinish(exit) => Some(*exit),
            Action::Spawn | Action::Ask(_) | Action::Kill(_) | Action::Probe => None,
        })
        .collect();
    let is_main = edge.before.unit.state.main_pid().is_some();
    match edge.event {
        // What was asked to stop before it was known not to run may have its `finish`.
        Event::Exited(_) if is_main && edge.before.ghost.never_ran => {
            orders.is_empty() || edge.before.ghost.stopped || !is_policy(edge.before)
        }
        Event::Exited(exit) if is_main && edge.service.finish.is_some() => orders == [exit],
        _other => orders.is_empty(),
    }
}

fn is_policy(node: &Node) -> bool {
    match node.unit.state {
        State::Stopping { next, .. } => matches!(next, Next::Policy(_)),
        _other => false,
    }
}

fn late_is_nothing(edge: &Edge<'_>) -> bool {
    let state = &edge.before.unit.state;
    let step = match state {
        State::Starting(starting) => Some(starting.step),
        _other => None,
    };
    let belongs = match edge.event {
        Event::Start | Event::Stop { .. } | Event::Restart | Event::Kill => true,
        Event::Go => matches!(state, State::Waiting | State::Failed(Failure::Need)),
        Event::NeedFailed => *state == State::Waiting,
        Event::Spawned(_) | Event::SpawnFailed => {
            matches!(state, State::Spawning | State::SpawningFinish { .. })
        }
        Event::Execed | Event::ExecFailed => matches!(step, Some(StartStep::Exec { .. })),
        Event::Probed { .. } => step == Some(StartStep::Probing),
        Event::Notified => {
            let tells = edge.service.ready.as_ref().map(|ready| &ready.probe);
            step.is_some() && matches!(tells, Some(Probe::Fd(_)))
        }
        Event::Exited(_) => edge.before.ghost.alive.is_some(),
        Event::Tick => state.deadline().is_some_and(|at| at <= edge.now),
    };
    belongs || edge.after.unit == edge.before.unit && edge.actions.is_empty()
}

fn tick_clears(edge: &Edge<'_>) -> bool {
    let due = edge.after.unit.state.deadline();
    edge.event != Event::Tick || due.is_none_or(|at| at > edge.now)
}

fn stopped_stays(edge: &Edge<'_>) -> bool {
    !(edge.before.ghost.stopped
        && edge.actions.contains(&Action::Spawn)
        && !matches!(edge.event, Event::Start | Event::Restart))
}

fn probe_is_waited_for(edge: &Edge<'_>) -> bool {
    let probing = |state| match state {
        State::Starting(Starting { step, .. }) => step == StartStep::Probing,
        _other => false,
    };
    let asks = edge.actions.contains(&Action::Probe);
    asks == (probing(edge.after.unit.state) && !probing(edge.before.unit.state))
}

fn ready_is_hopeful(edge: &Edge<'_>) -> bool {
    let retry = &edge.after.unit.retry;
    let is_ready = matches!(edge.after.unit.state, State::Ready { .. });
    !is_ready || !retry.hopeless && retry.trying_since.is_none()
}

/// While an answer to a spawn is on its way (which is within one turn), the fleet repeats the stop.
fn stop_is_heard(edge: &Edge<'_>) -> bool {
    let is_stop = matches!(edge.event, Event::Stop { .. } | Event::Kill);
    !is_stop || edge.before.unit.state == State::Spawning || edge.after.unit.state.is_at_rest() || {
        let down = Next::Down;
        match edge.after.unit.state {
            State::Stopping { next, .. }
            | State::SpawningFinish { next, .. }
            | State::Finishing { next, .. } => next == down,
            _other => false,
        }
    }
}

fn events(now: Moment) -> Vec<Event> {
    let exits = [Exit::Code(0), Exit::Code(1), Exit::Code(125)];
    let mut events = vec![
        Event::Start,
        Event::Go,
        Event::NeedFailed,
        Event::Stop { by: None },
        Event::Stop {
            by: Some(now + UNIT),
        },
        Event::Stop {
            by: Some(now.before(UNIT)),
        },
        Event::Restart,
        Event::Kill,
        Event::SpawnFailed,
        Event::Execed,
        Event::ExecFailed,
        Event::Probed { ready: true },
        Event::Probed { ready: false },
        Event::Notified,
        Event::Tick,
    ];
    events.extend(exits.map(Event::Exited));
    events.extend([7, 8].map(|raw| Event::Spawned(Pid::new(raw).unwrap())));
    events
}

/// Whether the world can send this now. The rest is fed as well, and must change nothing.
fn is_possible(node: &Node, event: Event) -> bool {
    match event {
        Event::Spawned(pid) => match node.unit.state {
            State::Spawning => pid.raw() == 7,
            State::SpawningFinish { .. } => pid.raw() == 8,
            _other => false,
        },
        // 125 means something only from `finish`, and an end by signal is as good as code 1.
        Event::Exited(exit) => match node.unit.state {
            State::Finishing { .. } => exit == Exit::Code(0) || exit == Exit::Code(125),
            _other => node.ghost.alive.is_some() && exit.code() < 2,
        },
        _other => true,
    }
}

fn take<'a>(service: &'a Service, before: &'a Node, event: Event, now: Moment) -> Edge<'a> {
    let (unit, actions) = step(service, &before.unit, event, now);
    let mut edge = Edge {
        service,
        before,
        event,
        now,
        after: Node {
            unit,
            ghost: before.ghost,
        },
        actions,
    };
    edge.after.ghost = haunt(&edge);
    edge
}

/// What the world makes of an edge.
fn haunt(edge: &Edge<'_>) -> Ghost {
    let mut ghost = edge.before.ghost;
    let state = edge.before.unit.state;
    let in_exec = matches!(
        state,
        State::Starting(Starting {
            step: StartStep::Exec { .. },
            ..
        })
    );
    match edge.event {
        Event::Spawned(pid) if is_possible(edge.before, edge.event) => {
            ghost = Ghost {
                alive: Some(pid),
                killed: false,
                never_ran: false,
                ..ghost
            };
        }
        Event::Exited(_) => {
            ghost.alive = None;
            ghost.unwaited &= !was_up_long(edge);
        }
        Event::ExecFailed if in_exec => ghost.never_ran = true,
        Event::Stop { .. } | Event::Kill if state != State::Spawning => ghost.stopped = true,
        Event::Start | Event::Restart => ghost.stopped = false,
        _other => {}
    }
    if edge.event == Event::Tick && edge.actions.iter().any(|a| matches!(a, Action::Kill(_))) {
        ghost.never_ran |= in_exec;
    }
    ghost.killed |= edge.actions.iter().any(|a| matches!(a, Action::Kill(_)));
    if is_automatic_restart(edge) {
        ghost.unwaited = matches!(edge.after.unit.state, State::Waiting);
    }
    if edge.after.unit.retry == Retry::default() {
        ghost.unwaited = false;
    }
    ghost
}

/// The node as seen from a later moment, with what no rule tells apart made equal.
fn seen_from(node: &Node, units: i32) -> Node {
    let shift = |at: Moment, floor: i32| {
        let ahead = at.since(NOW).as_millis() / UNIT.as_millis();
        let behind = NOW.since(at).as_millis() / UNIT.as_millis();
        let distance = i32::try_from(ahead).unwrap() - i32::try_from(behind).unwrap() - units;
        match distance {
            near if near <= NEAR => moment(near.max(floor)),
            _far => moment(FAR - 20),
        }
    };
    let due = |at: Moment| shift(at, -1);
    let past = |at: Moment| shift(at, -3);
    let state = match node.unit.state {
        State::Starting(starting) => State::Starting(Starting {
            step: match starting.step {
                StartStep::Exec { by } => StartStep::Exec { by: due(by) },
                StartStep::ProbeAt(at) => StartStep::ProbeAt(due(at)),
                other @ (StartStep::Listen | StartStep::Probing) => other,
            },
            ready_by: starting.ready_by.map(due),
            ..starting
        }),
        State::Ready { pid, since } => State::Ready {
            pid,
            since: past(since),
        },
        State::Stopping { pid, kill_at, next } => State::Stopping {
            pid,
            kill_at: kill_at.map(due),
            next,
        },
        State::Finishing {
            pid,
            exit,
            kill_at,
            next,
        } => State::Finishing {
            pid,
            exit,
            kill_at: kill_at.map(due),
            next,
        },
        State::Backoff { until } => State::Backoff { until: due(until) },
        other => other,
    };
    let retry = &node.unit.retry;
    let retry = Retry {
        failures: retry.failures.min(2),
        restarts: retry.restarts.iter().map(|at| past(*at)).collect(),
        trying_since: retry.trying_since.map(|at| shift(at, -2)),
        hopeless: retry.hopeless,
    };
    Node {
        unit: Unit { state, retry },
        ghost: node.ghost,
    }
}

fn moment(units: i32) -> Moment {
    let span = UNIT * units.unsigned_abs();
    if units < 0 {
        NOW.before(span)
    } else {
        NOW + span
    }
}

/// Every shape of service that the machine tells apart.
fn shapes() -> Vec<(String, Service)> {
    let mut shapes = Vec::new();
    let limited = Restart {
        when: When::OnFailure,
        limit: Some(RestartLimit {
            times: 2,
            within: UNIT * 3,
        }),
        ..Restart::default()
    };
    let restarts = [
        ("always", Restart::default()),
        ("on-failure, limited", limited),
        (
            "never",
            Restart {
                when: When::Never,
                ..Restart::default()
            },
        ),
    ];
    let probes = [
        ("none", None),
        ("fd", Some((Probe::Fd(3), None))),
        (
            "tcp",
            Some((Probe::Tcp("127.0.0.1:80".into()), Some(UNIT * 2))),
        ),
    ];
    let finishes = [
        ("no", None),
        ("timed", Some(Some(UNIT))),
        ("endless", Some(None)),
    ];
    for kind in [Kind::Longrun, Kind::Oneshot] {
        for (probe_name, probe) in &probes {
            for (finish_name, finish) in &finishes {
                for (restart_name, restart) in &restarts {
                    // What never times out is walked with the simplest of the rest only.
                    let is_simple = probe.is_none() && *restart_name == "always";
                    let endless = is_simple.then_some(None);
                    if !is_simple && finish.is_some_and(|timeout| timeout.is_none()) {
                        continue;
                    }
                    for timeout in [Some(Some(UNIT * 2)), endless].into_iter().flatten() {
                        let mut service = Service::new("web".parse().unwrap(), vec!["web".into()]);
                        service.kind = kind;
                        service.ready = probe.clone().map(|(probe, within)| Ready {
                            probe,
                            interval: UNIT,
                            within,
                        });
                        service.finish = finish.map(|timeout| Finish {
                            path: "finish".into(),
                            timeout,
                        });
                        service.restart = Restart {
                            max_delay: UNIT,
                            jitter_permille: 0,
                            reset_after: UNIT * 3,
                            ..restart.clone()
                        };
                        service.stop.timeout = timeout;
                        let name = format!(
                            "{kind:?}, probe {probe_name}, finish {finish_name}, restart \
                             {restart_name}, stop timeout {timeout:?}"
                        );
                        shapes.push((name, service));
                    }
                }
            }
        }
    }
    shapes
}

/// How a node was reached, for the story of a broken rule.
type Trail = HashMap<Node, Option<(Node, String)>>;

fn check(shape: &str, trail: &Trail, edge: &Edge<'_>) {
    for (name, rule) in RULES {
        if !rule(edge) {
            let mut story = vec![format!(
                "{:?}\n  → {:?} {:?}",
                edge.event, edge.after, edge.actions
            )];
            let mut at = edge.before;
            while let Some(Some((before, how))) = trail.get(at) {
                story.push(how.clone());
                at = before;
            }
            story.reverse();
            panic!("{shape}: not so: {name}\n{}", story.join("\n"));
        }
    }
}

/// Walks one shape; the numbers of nodes and edges.
fn walk(shape: &str, service: &Service) -> (Trail, usize) {
    let start = Node {
        unit: Unit::new(),
        ghost: Ghost::default(),
    };
    let mut trail = Trail::from([(start.clone(), None)]);
    let mut todo = VecDeque::from([start]);
    let mut edges = 0;
    while let Some(node) = todo.pop_front() {
        let mut reached = Vec::new();
        // A clock that seems to run backwards: nothing follows from it, but everything holds.
        for event in events(moment(-3)) {
            if is_possible(&node, event) {
                check(shape, &trail, &take(service, &node, event, moment(-3)));
            }
        }
        for event in events(NOW) {
            edges += 1;
            let edge = take(service, &node, event, NOW);
            if is_possible(&node, event) {
                check(shape, &trail, &edge);
                reached.push((seen_from(&edge.after, 0), format!("{event:?}")));
            } else if !matches!(event, Event::Exited(_)) || node.ghost.alive.is_none() {
                let name = "what comes too late, or does not belong, changes nothing";
                assert!(late_is_nothing(&edge), "{shape}: not so: {name}: {edge:?}");
            }
        }
        for units in [1, FAR] {
            reached.push((seen_from(&node, units), format!("{units} units pass")));
        }
        for (next, how) in reached {
            if !trail.contains_key(&next) {
                let how = format!("{how}\n  → {:?}", next.unit);
                trail.insert(next.clone(), Some((node.clone(), how)));
                todo.push_back(next);
            }
        }
    }
    (trail, edges)
}

/// Told to stop and left alone with obedient children, it comes to rest, and stays there.
fn comes_down(service: &Service, node: &Node) -> bool {
    let mut node = node.clone();
    for _round in 0..8 {
        if node.unit.state.is_at_rest() {
            let stopped = take(service, &node, Event::Stop { by: None }, NOW).after;
            return matches!(stopped.unit.state, State::Down | State::Finished);
        }
        let event = match node.unit.state {
            State::Spawning => Event::Spawned(Pid::new(7).unwrap()),
            State::SpawningFinish { .. } => Event::Spawned(Pid::new(8).unwrap()),
            State::Stopping { .. } | State::Finishing { .. } => Event::Exited(Exit::Code(0)),
            _running => Event::Stop { by: None },
        };
        let mut after = take(service, &node, event, NOW).after;
        if !after.ghost.stopped {
            after = take(service, &after, Event::Stop { by: None }, NOW).after;
        }
        node = after;
    }
    false
}

#[test]
fn every_rule_holds_on_every_edge_of_every_shape() {
    let (mut nodes, mut edges, mut most) = (0, 0, 0);
    let shapes = shapes();
    for (name, service) in &shapes {
        let (trail, walked) = walk(name, service);
        for node in trail.keys() {
            assert!(
                comes_down(service, node),
                "{name}: down is not reachable from {node:?}"
            );
        }
        nodes += trail.len();
        edges += walked;
        most = most.max(trail.len());
    }
    println!(
        "{} shapes: {nodes} nodes (at most {most} in one), {edges} edges, {} rules",
        shapes.len(),
        RULES.len()
    );
}
