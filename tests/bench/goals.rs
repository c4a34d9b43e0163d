//! What pidone promises, row by row, and what it aims for beyond.

use crate::figures::{Figures, short};
use crate::peers::Peer;
use crate::rows::{calls, footprint, idle, life, output, reap, restart};

/// A limit for pidone's median.
#[derive(Clone, Copy)]
enum Limit {
    AtMost(f64),
    /// So many times what the bare loop needs.
    TimesLoop(f64),
}

struct Goal {
    group: &'static str,
    column: &'static str,
    promise: Limit,
    aim: Option<Limit>,
}

const fn goal(group: &'static str, column: &'static str, promise: Limit) -> Goal {
    Goal {
        group,
        column,
        promise,
        aim: None,
    }
}

impl Goal {
    const fn aim(mut self, aim: Limit) -> Self {
        self.aim = Some(aim);
        self
    }
}

use Limit::{AtMost, TimesLoop};

const GOALS: [Goal; 18] = [
    goal(life::START, "100", TimesLoop(2.0)).aim(TimesLoop(1.5)),
    goal(life::START, "1000", TimesLoop(1.5)),
    goal(life::PSS, "100", AtMost(1500.0)).aim(AtMost(1200.0)),
    goal(life::PSS, "1000", AtMost(2500.0)),
    goal(life::DIRTY, "100", AtMost(300.0)),
    goal(life::STOP, "100", AtMost(10.0)).aim(AtMost(6.0)),
    goal(restart::RESTART, "1", AtMost(1.0)),
    goal(idle::WAKEUPS, "20 s", AtMost(0.0)),
    goal(reap::REAP, reap::TAIL, AtMost(1000.0)),
    goal(output::CPU, "raw", AtMost(0.6)),
    goal(output::CPU, "prefix", AtMost(f64::INFINITY)).aim(AtMost(0.8)),
    goal(output::TORN, "raw", AtMost(0.0)),
    goal(output::TORN, "prefix", AtMost(0.0)),
    goal(output::TORN, "json", AtMost(0.0)),
    goal(calls::CALLS, calls::START, AtMost(40.0)),
    goal(calls::CALLS, calls::RESTART, AtMost(40.0)),
    goal(calls::CALLS, calls::STOP, AtMost(40.0)),
    goal(footprint::FOOTPRINT, footprint::BYTES, AtMost(2.5)),
];

/// The promises that were measured, as a table.
pub(crate) fn table(figures: &Figures) -> String {
    let mut text = String::from("| what | pidone | promise | aim |\n|---|---|---|---|\n");
    for goal in &GOALS {
        let Some(ours) = figures.median(goal.group, goal.column, Peer::Pidone.name()) else {
            continue;
        };
        let of_loop = figures.median(goal.group, goal.column, Peer::Floor.name());
        let told = |limit: Limit| verdict(limit, ours, of_loop);
        text += &format!(
            "| {}: {} | {} | {} | {} |\n",
            goal.group,
            goal.column,
            short(ours),
            told(goal.promise),
            goal.aim.map_or_else(String::new, told),
        );
    }
    text
}

/// The limit, and by how much it is missed.
fn verdict(limit: Limit, ours: f64, of_loop: Option<f64>) -> String {
    let (text, most) = match (limit, of_loop) {
        (AtMost(most), _) if most.is_infinite() => return "none".into(),
        (AtMost(most), _) => (format!("≤ {}", short(most)), most),
        (TimesLoop(times), Some(of_loop)) => (format!("≤ {times} × the loop"), times * of_loop),
        (TimesLoop(_), None) => return "not compared".into(),
    };
    if ours <= most {
        format!("{text}: kept")
    } else {
        format!("{text}: **missed by {}**", short(ours - most))
    }
}
