//! What a hundred services cost while nothing happens. All peers sleep side by side.

use std::thread::sleep;
use std::time::Duration;

use super::{Plan, hold, start};
use crate::figures::Figures;
use crate::house::{House, PATIENCE, Running};
use crate::peers::{Fleet, Peer};
use crate::processes;

pub(crate) const WAKEUPS: &str = "Idle with 100 services for 20 s: context switches";
pub(crate) const CPU: &str = "Idle with 100 services for 20 s: CPU, ms";

const SERVICES: usize = 100;
/// What follows a start is over: pauses start over when a service has been up for 10 s.
const SETTLED: Duration = Duration::from_secs(12);

struct Sleeper {
    peer: Peer,
    supervisors: Vec<i32>,
    /// Its namespace lives as long as it does.
    _running: Running,
}

pub(crate) fn measure(house: &House, plan: &Plan, figures: &mut Figures) {
    let sleepers: Vec<Sleeper> = plan
        .supervising()
        .filter_map(|peer| sleeper(house, peer))
        .collect();
    sleep(plan.pick(SETTLED, SETTLED / 4));
    let costs = || -> Vec<(u64, f64)> {
        let pids = sleepers.iter().map(|sleeper| &sleeper.supervisors);
        pids.map(|pids| (processes::switches(pids), processes::cpu(pids)))
            .collect()
    };
    let before = costs();
    // The quick form sleeps for a quarter, and its figures are those of a quarter.
    sleep(plan.pick(Duration::from_secs(20), Duration::from_secs(5)));
    let column = plan.pick("20 s", "5 s only");
    for ((before, after), sleeper) in before.iter().zip(costs()).zip(&sleepers) {
        let name = sleeper.peer.name();
        figures.add(WAKEUPS, column, name, (after.0 - before.0) as f64);
        figures.add(CPU, column, name, (after.1 - before.1) * 1e3);
    }
}

fn sleeper(house: &House, peer: Peer) -> Option<Sleeper> {
    let running = start(house, peer, &Fleet::of(SERVICES, "stamp"))?;
    let all = running.stamped(SERVICES, PATIENCE);
    hold(peer, &running, all, "all services start");
    Some(Sleeper {
        peer,
        supervisors: processes::supervisors(running.pid1, &house.dir.join("bin")),
        _running: running,
    })
}
