//! Services that misbehave: one that ignores TERM, and one that ends as soon as it starts. All
//! peers have theirs side by side, because what is waited for is the clock.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Plan, hold, start};
use crate::figures::Figures;
use crate::house::{House, PATIENCE, Running};
use crate::peers::{Fleet, Peer};
use crate::processes;

pub(crate) const STUBBORN: &str = "Stop of one service that ignores TERM, by its defaults, s";
pub(crate) const LOOP: &str = "A service that ends at once, for 30 s";

/// Docker kills after 10 s.
const STOP_WITHIN: Duration = Duration::from_secs(12);

fn up(house: &House, peers: impl Iterator<Item = Peer>, program: &str) -> Vec<(Peer, Running)> {
    let fleet = Fleet::of(1, program);
    peers
        .filter_map(|peer| Some((peer, start(house, peer, &fleet)?)))
        .collect()
}

/// pidone's default is 5 s.
pub(crate) fn stubborn(house: &House, plan: &Plan, figures: &mut Figures) {
    let peers = plan.peers.iter().copied();
    let with_signal = peers.filter(|peer| peer.stop_signal().is_some());
    let all = up(house, with_signal, "stubborn");
    for (peer, running) in &all {
        assert!(running.stamped(1, PATIENCE), "{peer:?} does not start");
    }
    let began = Instant::now();
    for (peer, running) in &all {
        if let Some(signal) = peer.stop_signal() {
            running.stop(signal, Duration::ZERO);
        }
    }
    let within = plan.pick(STOP_WITHIN, STOP_WITHIN / 2);
    let mut waiting: Vec<&(Peer, Running)> = all.iter().collect();
    while !waiting.is_empty() && began.elapsed() < within {
        waiting.retain(|(peer, running)| {
            let ended = running.has_ended(Duration::ZERO);
            if ended {
                let seconds = began.elapsed().as_secs_f64();
                figures.add(STUBBORN, "1", peer.name(), seconds);
            }
            !ended
        });
        sleep(Duration::from_millis(2));
    }
    for (peer, running) in waiting {
        hold(*peer, running, false, "a stubborn service is killed");
        figures.note(
            STUBBORN,
            "1",
            peer.name(),
            &format!("not within {} s", within.as_secs()),
        );
    }
    if plan.peers.contains(&Peer::Runit) {
        figures.note(STUBBORN, "1", "runit", "does not wait for its services");
    }
}

pub(crate) fn crash_loop(house: &House, plan: &Plan, figures: &mut Figures) {
    let all = up(house, plan.supervising(), "brief");
    sleep(Duration::from_secs(plan.pick(30, 5)));
    let column = |what: &str| format!("{what}{}", plan.pick("", " in 5 s only"));
    for (peer, running) in &all {
        let starts = running.stamps().len();
        hold(*peer, running, starts > 1, "who ends is restarted");
        let supervisors = processes::supervisors(running.pid1, &house.dir.join("bin"));
        let cpu = processes::cpu(&supervisors) * 1e3;
        figures.add(LOOP, &column("starts"), peer.name(), starts as f64);
        figures.add(LOOP, &column("CPU, ms"), peer.name(), cpu);
    }
}
