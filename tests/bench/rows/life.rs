//! One life: the start of so many services, the memory once they are up, and the stop.

use std::time::Duration;

use super::{Plan, hold};
use crate::figures::Figures;
use crate::house::{House, Running};
use crate::peers::{Fleet, Peer};
use crate::processes;

pub(crate) const START: &str = "Cold start: from exec to the last service's first act, ms";
pub(crate) const PSS: &str = "Memory of all supervising processes: PSS, KiB";
pub(crate) const RSS: &str = "Memory of all supervising processes: RSS, KiB";
pub(crate) const DIRTY: &str = "Memory of all supervising processes: private dirty, KiB";
pub(crate) const COUNT: &str = "Supervising processes";
pub(crate) const STOP: &str = "Stop of obedient services: from the signal to PID 1's end, ms";

/// Later than this a supervisor has failed.
const START_WITHIN: Duration = Duration::from_secs(40);
/// Docker kills after 10 s.
const STOP_WITHIN: Duration = Duration::from_secs(12);

pub(crate) fn measure(house: &House, plan: &Plan, figures: &mut Figures) {
    for count in plan.pick([1, 10, 100, 1000].as_slice(), &[1, 100]) {
        let many = |peer: &Peer| peer.supervises() || *peer == Peer::Floor;
        let is_new = |peer: &&Peer| !plan.quick || many(peer) == (*count > 1);
        for peer in plan.peers.iter().filter(is_new) {
            live(house, *peer, *count, figures);
        }
    }
}

fn live(house: &House, peer: Peer, count: usize, figures: &mut Figures) {
    let dir = house.fresh_dir();
    let Some(command) = peer.set_up(house, &dir, &Fleet::of(count, "stamp")) else {
        return;
    };
    let column = crate::figures::short(count as f64);
    let running = house.up(&[vec![house.program("launch")], command].concat());
    // The first stamp is the launcher's.
    let all = running.stamped(count + 1, START_WITHIN);
    hold(peer, &running, all, "all services start");
    let (name, programs) = (peer.name(), house.dir.join("bin"));
    if all {
        figures.add(START, &column, name, span(&running));
    } else {
        let came = running.stamps().len().saturating_sub(1);
        figures.note(START, &column, name, &format!("{came} of {count} started"));
        return;
    }
    if peer == Peer::Floor {
        return;
    }
    let supervisors = running.settle(&programs);
    let memory = processes::memory(&supervisors);
    figures.add(PSS, &column, name, memory.pss);
    figures.add(RSS, &column, name, memory.rss);
    figures.add(DIRTY, &column, name, memory.dirty);
    figures.add(COUNT, &column, name, supervisors.len() as f64);
    stop(&running, peer, &column, figures);
}

/// The milliseconds from the launcher's exec to the last service's first act.
fn span(running: &Running) -> f64 {
    let stamps = running.stamps();
    let first = stamps.iter().filter(|stamp| stamp.what == "start");
    let from = first.map(|stamp| stamp.at).min().unwrap_or(0);
    let to = stamps.iter().map(|stamp| stamp.at).max().unwrap_or(0);
    (to - from) as f64 / 1e6
}

fn stop(running: &Running, peer: Peer, column: &str, figures: &mut Figures) {
    let Some(signal) = peer.stop_signal() else {
        figures.note(STOP, column, peer.name(), "no signal stops it");
        return;
    };
    match running.stop(signal, STOP_WITHIN) {
        Some(ms) => figures.add(STOP, column, peer.name(), ms),
        None => figures.note(STOP, column, peer.name(), "not within 12 s"),
    }
    if peer == Peer::Runit {
        figures.note(STOP, column, peer.name(), "does not wait for its services");
    }
}
