//! How PID 1 reaps twenty thousand orphans.

use std::time::{Duration, Instant};

use super::{Plan, hold, start};
use crate::figures::Figures;
use crate::house::{House, PATIENCE, Running};
use crate::peers::{Fleet, Output, Peer};
use crate::processes;

pub(crate) const REAP: &str = "Reaping of 20,000 orphans that live for 2 ms";
pub(crate) const TOTAL: &str = "total, ms";
pub(crate) const TAIL: &str = "tail, ms";
pub(crate) const PEAK: &str = "most children at once";
pub(crate) const CPU: &str = "CPU of PID 1, ms";

/// Who has not reaped them by then does not.
const WITHIN: Duration = Duration::from_secs(12);
/// PID 1's children when no orphan is left: who forks them, or its supervisor; one more of pidone.
const OTHERS: usize = 2;

pub(crate) fn measure(house: &House, plan: &Plan, figures: &mut Figures) {
    let count = plan.pick("20000", "2000");
    for peer in &plan.peers {
        let fleet = Fleet {
            arguments: &[count],
            output: Output::Inherited,
            ..Fleet::of(1, "orphans")
        };
        if let Some(running) = start(house, *peer, &fleet) {
            watch(&running, *peer, figures);
        }
    }
}

fn watch(running: &Running, peer: Peer, figures: &mut Figures) {
    let name = peer.name();
    assert!(running.stamped(1, PATIENCE), "{name}: it does not start");
    let by = Instant::now() + WITHIN;
    let mut peak = 0;
    let mut last = None;
    loop {
        let left = processes::children(running.pid1).len();
        let now = processes::now();
        peak = peak.max(left);
        if last.is_none() {
            last = running.stamps().get(1).map(|stamp| stamp.at);
        } else if left <= OTHERS {
            let begun = running.stamps()[0].at;
            let tail = last.map_or(0, |last| now - last);
            figures.add(REAP, TOTAL, name, (now - begun) as f64 / 1e6);
            figures.add(REAP, TAIL, name, tail as f64 / 1e6);
            break;
        }
        if Instant::now() > by {
            hold(peer, running, false, "orphans are reaped");
            figures.note(REAP, TAIL, name, &format!("{left} left after 12 s"));
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    figures.add(REAP, PEAK, name, peak as f64);
    figures.add(REAP, CPU, name, processes::cpu(&[running.pid1]) * 1e3);
}
