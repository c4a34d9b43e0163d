//! How soon a service that was killed is there again.

use std::thread::sleep;
use std::time::Duration;

use super::{Plan, hold, start};
use crate::figures::Figures;
use crate::house::{House, PATIENCE, Running, strike, until};
use crate::peers::{Fleet, Peer};
use crate::processes;

pub(crate) const RESTART: &str = "Restart after SIGKILL: to the new process's first act, ms";

/// Several hold a service that was up for less to be crashing.
const UP_FOR: Duration = Duration::from_millis(2300);
const WITHIN: Duration = Duration::from_secs(12);

pub(crate) fn measure(house: &House, plan: &Plan, figures: &mut Figures) {
    let count = plan.pick(10, 2);
    let up: Vec<(Peer, Running)> = plan
        .supervising()
        .filter_map(|peer| Some((peer, start(house, peer, &Fleet::of(count, "stamp"))?)))
        .collect();
    for (peer, running) in &up {
        let all = running.stamped(count, PATIENCE);
        hold(*peer, running, all, "all services start");
    }
    sleep(UP_FOR);
    for (peer, running) in &up {
        kill_each(house, *peer, running, figures);
    }
}

/// Each service is killed once, so that each restart is a first one.
fn kill_each(house: &House, peer: Peer, running: &Running, figures: &mut Figures) {
    for pid in processes::services(running.pid1, &house.dir.join("bin")) {
        let before = running.stamps().len();
        let struck = processes::now();
        strike(pid);
        let back = until(WITHIN, || {
            running.stamps().get(before).map(|stamp| stamp.at)
        });
        hold(peer, running, back.is_some(), "who is killed is restarted");
        match back {
            Some(at) => figures.add(RESTART, "1", peer.name(), (at - struck) as f64 / 1e6),
            None => figures.note(RESTART, "1", peer.name(), "not all within 12 s"),
        }
    }
}
