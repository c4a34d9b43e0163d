//! The story of a fake world, for people.

use std::collections::VecDeque;

use pidone::machine::shutdown::Reason;
use pidone::machine::slot::{Change, Input, Order};
use pidone::machine::unit::{Action, State};
use pidone::values::{Moment, Signal};

use super::World;

/// What has happened, one line each.
pub(crate) struct Story {
    pub(crate) lines: VecDeque<String>,
    begin: Moment,
    /// How many lines are kept.
    keep: usize,
    /// Only what an observer of the fleet sees: changes, signals, the end.
    pub(crate) terse: bool,
}

impl Story {
    pub(crate) fn new(begin: Moment, keep: usize, terse: bool) -> Self {
        Self {
            lines: VecDeque::new(),
            begin,
            keep,
            terse,
        }
    }

    pub(crate) fn add(&mut self, at: Moment, line: &str) {
        if line.is_empty() {
            return;
        }
        if self.lines.len() == self.keep {
            self.lines.pop_front();
        }
        let millis = at.since(self.begin).as_millis();
        let line = format!("{:>4}.{:03}  {line}", millis / 1000, millis % 1000);
        self.lines.push_back(line);
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

fn is_terse(world: &World) -> bool {
    world.story.as_ref().is_some_and(|story| story.terse)
}

/// What comes in.
pub(crate) fn input(world: &World, input: Input) -> String {
    match input {
        Input::Unit(..) | Input::Vanished(_) | Input::Childless | Input::Clock | Input::Tick
            if is_terse(world) =>
        {
            String::new()
        }
        Input::Unit(ix, event) => format!("> {}: {event:?}", world.name(ix)),
        Input::Exited { pid, exit, oom: _ } => match world.fleet.owner(pid) {
            Some(ix) if world.slot(ix).unit.state.main_pid().is_none() => {
                format!("> finish of {} is gone: {exit}", world.name(ix))
            }
            Some(ix) => format!("> {} is gone: {exit}", world.name(ix)),
            None => format!("> somebody is gone: {exit}"),
        },
        Input::Start(ix) => format!("> start {}", world.name(ix)),
        Input::Stop(ix) => format!("> stop {}", world.name(ix)),
        Input::Once(ix) => format!("> once {}", world.name(ix)),
        Input::Restart(ix) => format!("> restart {}", world.name(ix)),
        Input::Shutdown(Reason::Signal(signal)) => format!("> {signal}"),
        Input::Shutdown(reason) => format!("> shutdown: {reason:?}"),
        Input::Vanished(ix) => format!("> {} vanishes", world.name(ix)),
        Input::Childless => "> no child is left".into(),
        Input::Clock => "> the clock".into(),
        Input::Tick => "> tick".into(),
    }
}

/// What is ordered.
pub(crate) fn order(world: &World, order: Order) -> String {
    match order {
        Order::Rewired(_)
        | Order::Act(_, Action::Plan { .. } | Action::Spawn | Action::Probe | Action::CheckUp)
            if is_terse(world) =>
        {
            String::new()
        }
        Order::Act(ix, action) => {
            let name = world.name(ix);
            match action {
                Action::Spawn => format!("spawn {name}"),
                Action::SpawnFinish(_, exit) => format!("run finish of {name} ({exit})"),
                Action::SpawnDown => format!("run down of {name}"),
                Action::Plan { .. } => format!("plan {name}"),
                Action::Skip => format!("a run of {name} is skipped"),
                Action::RunBefore => format!("run before of {name}"),
                Action::KillBefore => format!("kill before of {name}"),
                Action::Ask(_) => format!("ask {name} to end"),
                Action::Kill(_) => format!("kill {name}"),
                Action::KillRest(_) => format!("kill what {name} has left"),
                Action::Probe => format!("probe {name}"),
                Action::CheckUp => format!("check {name}"),
            }
        }
        Order::Changed(Change { ix, from, to, .. }) => {
            format!("{}: {} → {}", world.name(ix), from.word(), word(to))
        }
        Order::Rewired(ix) => format!("rewire {}", world.name(ix)),
        Order::Vanish(ix) => format!("forget {}", world.name(ix)),
        Order::Ending => "the end begins".into(),
        Order::Strays(Signal::KILL) => "kill strays".into(),
        Order::Strays(_) => "ask strays to end".into(),
        Order::Exit(code) => format!("EXIT {code}"),
    }
}

/// The state's word, with the reason of a failure.
pub(crate) fn word(state: State) -> String {
    match state {
        State::Failed(failure) => format!("failed ({failure:?})").to_lowercase(),
        other => other.word().into(),
    }
}
