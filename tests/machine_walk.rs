//! One service walked exhaustively: every state that can be reached, with every event, for every
//! shape of service; and what must hold on each of these edges, each rule under its own name.
//!
//! Time is abstract: durations are small multiples of one unit, moments are kept as distances from
//! now, and distances that no rule tells apart are one bucket. A ghost beside the machine remembers
//! what really happened (which process lives, whether it got SIGKILL), so that the rules do not
//! take the machine's word for it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod walk;

use std::collections::{HashMap, VecDeque};

use pidone::machine::unit::{Event, State, Unit};
use pidone::service::definition::Service;
use pidone::values::{Exit, Pid};

use walk::rules::{RULES, late_is_nothing};
use walk::shapes::shapes;
use walk::{Edge, FAR, Ghost, NOW, Node, events, is_possible, moment, seen_from, take};

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
            State::Scheduled { .. } => Event::Stop { by: None },
            State::Spawning => Event::Spawned(Pid::new(7).unwrap()),
            State::SpawningFinish { .. } => Event::Spawned(Pid::new(8).unwrap()),
            State::BeforeStop { .. } => Event::BeforeEnded,
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
