//! What only pidone does, or what nobody else has a name for: probes, and output at a pace.

use std::fmt::Write as _;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

use super::output::flow;
use super::{Plan, hold};
use crate::figures::Figures;
use crate::house::{House, PATIENCE};
use crate::peers::{Fleet, Output, Peer};
use crate::processes;

pub(crate) const PROBES: &str = "pidone: 1,000 services probed by TCP every 5 s";
pub(crate) const LINES: &str = "pidone: 100,000 lines a second of 10 services";

const PORT: &str = "39119";

pub(crate) fn probes(house: &House, plan: &Plan, figures: &mut Figures) {
    let count = plan.pick(1000, 100);
    let dir = house.fresh_dir();
    let fleet = Fleet::of(count, "stamp");
    let Some(command) = Peer::Pidone.set_up(house, &dir, &fleet) else {
        return;
    };
    for number in 0..count {
        let file = dir.join(format!("s{number}/service.toml"));
        let mut text = fs::read_to_string(&file).expect("it was just written");
        let _ = writeln!(
            text,
            "[health]\ntcp = \"127.0.0.1:{PORT}\"\ninterval = \"5s\""
        );
        fs::write(file, text).expect("a file");
    }
    fs::create_dir(dir.join("answers")).expect("a directory");
    let answers = format!("command = [{:?}, \"{PORT}\"]\n", house.program("accept"));
    fs::write(dir.join("answers/service.toml"), answers).expect("a file");
    let running = house.up(&command);
    let all = running.stamped(count, PATIENCE);
    hold(Peer::Pidone, &running, all, "all services start");
    // The first round of probes, and what is left of the boot.
    sleep(Duration::from_secs(6));
    let costs = || {
        (
            processes::cpu(&[running.pid1]),
            processes::switches(&[running.pid1]),
        )
    };
    let before = costs();
    let seconds = plan.pick(20.0, 5.0);
    sleep(Duration::from_secs_f64(seconds));
    let after = costs();
    let cpu = after.0 - before.0;
    let probes = seconds * count as f64 / 5.0;
    let mut add = |column: &str, value| figures.add(PROBES, column, "pidone", value);
    add("CPU, % of a core", cpu * 100.0 / seconds);
    add("CPU of a probe, µs", cpu * 1e6 / probes);
    add("wake-ups a second", (after.1 - before.1) as f64 / seconds);
}

/// Ten writers at a pace that is far from what they could.
pub(crate) fn lines(house: &House, plan: &Plan, figures: &mut Figures) {
    let seconds = plan.pick(5, 2);
    for format in ["raw", "prefix", "json"] {
        let output = Output::Format(format);
        let paced = ["100", "10000"];
        let flow = flow(house, Peer::Pidone, output, (10, 10_000 * seconds), &paced);
        let column = format!("{format}: CPU, % of a core");
        figures.add(LINES, &column, "pidone", flow.cpu * 100.0 / flow.seconds);
    }
}
